// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Deal, IEscrow, Terms} from "../../src/interfaces/IEscrow.sol";
import {Answer, Wallet} from "../accounts/Wallets.sol";
import {SignedFixture} from "./SignedFixture.sol";

/// @notice What holds of every action by signature alike.
contract BySignatureTest is SignedFixture {
    uint256 private constant ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;

    function test_AnyoneMaySendIt() public {
        _each(_anyone);
    }

    function _anyone(Kind kind) private {
        _arrive(kind);
        _taken(kind, _signature(kind));
    }

    /* TIME */

    function test_UntilItsLastSecond() public {
        _each(_untilItsLastSecond);
    }

    function _untilItsLastSecond(Kind kind) private {
        if (!_ends(kind)) return;
        _arrive(kind);
        bytes memory signature = _signature(kind);
        vm.warp(UNTIL + 1);
        _refused(kind, signature, refusal(IEscrow.SignatureExpired.selector, UNTIL));
        vm.warp(UNTIL);
        _taken(kind, signature);
    }

    /// They name totals, which never get old.
    function test_ConcessionsHaveNoEnd() public {
        _concede(Kind.Release);
        subject.annex.salt = "second";
        _concede(Kind.Refund);
    }

    function _concede(Kind kind) private {
        _arrive(kind);
        bytes memory signature = _signature(kind);
        vm.warp(NOW + 20 * 365 days);
        _taken(kind, signature);
        vm.warp(NOW);
    }

    /// The seller's consent ends with the terms' own time.
    function test_ConsentEndsWithFundBy() public {
        bytes memory signature = _signature(Kind.Consent);
        vm.warp(FUND_BY + 1);
        _refused(Kind.Consent, signature, abi.encodeWithSelector(IEscrow.DealClosed.selector));
        vm.warp(FUND_BY);
        _taken(Kind.Consent, signature);
    }

    /* REVOCATION */

    function test_ItsSignerTakesItBack() public {
        _each(_takenBack);
    }

    /// All but the terms, which have a way of their own (see retract).
    function _takenBack(Kind kind) private {
        _arrive(kind);
        vm.prank(_signer(kind));
        escrow.revoke(_digest(kind));
        if (kind == Kind.Consent) return _taken(kind, _signature(kind));
        _refused(kind, _signature(kind), refusal(IEscrow.SignatureRevoked.selector, _digest(kind)));
    }

    function test_NobodyElseTakesItBack() public {
        _each(_notTakenBack);
    }

    function _notTakenBack(Kind kind) private {
        _arrive(kind);
        address[3] memory others = [_byBuyer(kind) ? subject.seller : subject.buyer, arbiter, stranger];
        for (uint256 i; i < others.length; ++i) {
            // Of a settlement both sign the same digest.
            if (i == 0 && (kind == Kind.SettleByBuyer || kind == Kind.SettleBySeller)) continue;
            vm.prank(others[i]);
            escrow.revoke(_digest(kind));
        }
        _taken(kind, _signature(kind));
    }

    /* WHAT IT BINDS */

    /// The same terms, in the same state, on another chain.
    function test_ItIsForOneChain() public {
        _each(_oneChain);
    }

    function _oneChain(Kind kind) private {
        bytes memory signature = _signature(kind);
        uint256 here = block.chainid;
        vm.chainId(here + 1);
        _arrive(kind);
        _refused(kind, signature, _invalid(kind));
        _taken(kind, _signature(kind));
        vm.chainId(here);
    }

    function test_ItIsForOneEscrow() public {
        _each(_oneEscrow);
    }

    function _oneEscrow(Kind kind) private {
        bytes memory signature = _signature(kind);
        IEscrow here = escrow;
        escrow = IEscrow(vm.deployCode("Escrow.sol:Escrow"));
        _arrive(kind);
        _refused(kind, signature, _invalid(kind));
        _taken(kind, _signature(kind));
        escrow = here;
    }

    function test_ItIsForOneDeal() public {
        _each(_oneDeal);
    }

    function _oneDeal(Kind kind) private {
        if (kind == Kind.Withdraw) return; // names no deal, but a nonce
        bytes memory signature = _signature(kind);
        subject.annex.salt = "another";
        _arrive(kind);
        _refused(kind, signature, _invalid(kind));
    }

    /// No signature of one action is good for another, whoever signed both.
    function test_ItIsForOneAction() public {
        _each(_oneAction);
    }

    function _oneAction(Kind kind) private {
        _arrive(kind);
        for (uint256 i; i < KINDS; ++i) {
            if (_digest(Kind(i)) == _digest(kind)) continue;
            _refused(kind, sign(_key(kind), _digest(Kind(i))), _invalid(kind));
        }
    }

    function test_ItIsOfOneSigner() public {
        _each(_oneSigner);
    }

    function _oneSigner(Kind kind) private {
        _arrive(kind);
        uint256 other = _byBuyer(kind) ? sellerKey : buyerKey;
        _refused(kind, sign(other, _digest(kind)), _invalid(kind));
        _refused(kind, sign(strangerKey, _digest(kind)), _invalid(kind));
    }

    /// What was done is not done again. Evidence alone may be said twice: it changes nothing.
    function test_ItIsGoodOnce() public {
        _each(_once);
    }

    function _once(Kind kind) private {
        _arrive(kind);
        bytes memory signature = _signature(kind);
        _taken(kind, signature);
        (bool ok,) = _send(kind, signature);
        assertEq(ok, kind == Kind.EvidenceByBuyer || kind == Kind.EvidenceBySeller, _name(kind));
    }

    /* FORMS */

    function test_MalformedOnesAreRefused() public {
        _each(_malformed);
    }

    function _malformed(Kind kind) private {
        _arrive(kind);
        bytes32 digest = _digest(kind);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(_key(kind), digest);
        (, bytes32 vs) = vm.signCompact(_key(kind), digest);
        bytes[11] memory wrong = [
            bytes(""),
            abi.encodePacked(r, vs), // EIP-2098
            abi.encodePacked(r, s),
            abi.encodePacked(r, s, v, v),
            abi.encodePacked(r, s, v - 27),
            abi.encodePacked(r, s, uint8(29)),
            abi.encodePacked(r, s, v == 27 ? 28 : 27), // recovers somebody else
            abi.encodePacked(r, ORDER - uint256(s), v == 27 ? uint8(28) : uint8(27)),
            abi.encodePacked(bytes32(0), s, v),
            abi.encodePacked(r, bytes32(0), v),
            new bytes(65)
        ];
        for (uint256 i; i < wrong.length; ++i) {
            _refused(kind, wrong[i], _invalid(kind));
        }
    }

    /* CONTRACT WALLETS (ERC-1271) */

    function _becomeWallets() private returns (Wallet ofBuyer, Wallet ofSeller) {
        (ofBuyer, ofSeller) = (new Wallet(buyer), new Wallet(seller));
        (subject.buyer, subject.seller) = (address(ofBuyer), address(ofSeller));
    }

    function test_AWalletSignsByItsOwner() public {
        _each(_wallet);
    }

    function _wallet(Kind kind) private {
        _becomeWallets();
        _arrive(kind);
        // The wallet reads 65 bytes and no more; the escrow hands on whatever there is.
        _refused(kind, sign(strangerKey, _digest(kind)), _invalid(kind));
        _taken(kind, bytes.concat(_signature(kind), "tail"));
    }

    /// Only the magic value as a whole word counts: no lie, no short or dirty word, no endless answer.
    function test_AWalletThatAnswersOddlyHasNotSigned() public {
        _each(_oddAnswers);
    }

    function _oddAnswers(Kind kind) private {
        (Wallet ofBuyer, Wallet ofSeller) = _becomeWallets();
        _arrive(kind);
        Wallet wallet = _byBuyer(kind) ? ofBuyer : ofSeller;
        bytes[2] memory signatures = [_signature(kind), new bytes(65)];
        for (uint256 i = uint256(Answer.No); i <= uint256(Answer.Bomb); ++i) {
            wallet.set(Answer(i));
            for (uint256 j; j < 2; ++j) {
                uint256 before = gasleft();
                _refused(kind, signatures[j], _invalid(kind));
                assertLt(before - gasleft(), 1_000_000, _name(kind));
            }
        }
        wallet.set(Answer.Yes);
        _taken(kind, "");
    }

    /// What a wallet signed it can deny until it is used.
    function test_AWalletChangesItsMind() public {
        _each(_changesItsMind);
    }

    function _changesItsMind(Kind kind) private {
        (Wallet ofBuyer, Wallet ofSeller) = _becomeWallets();
        _arrive(kind);
        bytes memory signature = _signature(kind);
        Wallet wallet = _byBuyer(kind) ? ofBuyer : ofSeller;
        wallet.set(Answer.No);
        _refused(kind, signature, _invalid(kind));
        wallet.set(Answer.Owner);
        _taken(kind, signature);
    }

    /// Even its voucher in a metered deal, which is safe only once it is redeemed.
    function test_AWalletDeniesAVoucher() public {
        Wallet wallet = new Wallet(buyer);
        Terms memory terms = meteredTerms();
        terms.buyer = address(wallet);
        vm.deal(address(wallet), AMOUNT);
        (bytes32 id, Deal memory deal) = fund(terms);
        bytes memory voucher = sign(buyerKey, releaseDigest(id, 9));
        escrow.releaseBySig(deal, 5, sign(buyerKey, releaseDigest(id, 5)));
        wallet.set(Answer.No);
        expect(refusal(IEscrow.InvalidSignature.selector, address(wallet)));
        escrow.releaseBySig(deal, 9, voucher);
        assertEq(seller.balance, 5);
    }

    /// A wallet that spends all it gets on one check delays nobody else's action.
    function test_AWalletThatBurnsBlocksNobodyElse() public {
        (Wallet ofBuyer,) = _becomeWallets();
        vm.deal(address(ofBuyer), AMOUNT);
        (bytes32 id, Deal memory deal) = fund(subject);
        ofBuyer.set(Answer.Burns);
        escrow.refundBySig{gas: 400_000}(deal, 5, sign(sellerKey, refundDigest(id, 5)));
        vm.warp(DELIVER_BY + 1);
        escrow.reclaim{gas: 400_000}(deal);
        assertEq(address(escrow).balance, 0);
    }
}
