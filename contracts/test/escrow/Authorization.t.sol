// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IEscrow, Status, Terms} from "../../src/interfaces/IEscrow.sol";
import {IntakeFixture} from "./IntakeFixture.sol";
import {DelegatedCode, Delegating} from "../accounts/DelegatedCode.sol";
import {Answer, Wallet} from "../accounts/Wallets.sol";
import {CountingToken, OpenToken, SignedToken} from "../tokens/SignedToken.sol";

/// @notice Funding by ERC-3009: the buyer's authorization, to this escrow, of this amount, under the deal's id.
contract AuthorizationTest is IntakeFixture {
    function _fund(address by, Terms memory terms, bytes memory consent, Authorization memory a, bytes memory signature)
        private
        returns (bytes32)
    {
        vm.prank(by);
        return escrow.fundByAuthorization(terms, consent, a.validAfter, a.validBefore, signature);
    }

    /// What `a` with the buyer's signature brings, submitted by the seller.
    function _try(Terms memory terms, Authorization memory a) private returns (bool ok, bytes memory answer) {
        bytes memory signature = sign(buyerKey, authorizationDigest(a));
        vm.prank(seller);
        (ok, answer) = address(escrow)
            .call(abi.encodeCall(IEscrow.fundByAuthorization, (terms, "", a.validAfter, a.validBefore, signature)));
    }

    function _refused(Terms memory terms, Authorization memory a) private {
        (bool ok, bytes memory answer) = _try(terms, a);
        assertFalse(ok);
        assertEq(answer, abi.encodeWithSelector(IEscrow.TransferFailed.selector));
        assertGone(idOf(terms));
    }

    function _funded(Terms memory terms) private view {
        assertState(idOf(terms), Status.Funded, 1, 0, NOW, 0, 0);
        assertEq(dollar.balanceOf(address(escrow)), terms.amount);
    }

    /* TAKEN */

    function test_SubmittedByTheSeller() public {
        Terms memory terms = dollarTerms();
        Authorization memory a = authorization(terms);
        bytes memory signature = sign(buyerKey, authorizationDigest(a));
        vm.expectEmit(address(escrow));
        emit IEscrow.Funded(idOf(terms), terms);
        assertEq(_fund(seller, terms, "", a, signature), idOf(terms));
        _funded(terms);
        assertEq(dollar.balanceOf(buyer), 99 * uint256(AMOUNT));
        assertTrue(dollar.authorizationState(buyer, idOf(terms)));
    }

    function test_SubmittedByARelayerWithTheSellersSignature() public {
        Terms memory terms = dollarTerms();
        Authorization memory a = authorization(terms);
        bytes memory signature = sign(buyerKey, authorizationDigest(a));
        bytes memory consent = sign(sellerKey, idOf(terms));
        _fund(stranger, terms, consent, a, signature);
        _funded(terms);
    }

    /// Not 65 bytes, so it goes to the form with bytes.
    function test_WalletBuysByTheFormWithBytes() public {
        Wallet wallet = new Wallet(stranger);
        dollar.mint(address(wallet), AMOUNT);
        Terms memory terms = dollarTerms();
        terms.buyer = address(wallet);
        Authorization memory a = authorization(terms);
        bytes memory signature = bytes.concat(sign(strangerKey, authorizationDigest(a)), "for the wallet");
        _fund(seller, terms, "", a, signature);
        _funded(terms);
        assertEq(dollar.balanceOf(address(wallet)), 0);
    }

    function test_WalletThatDeniesIsRefused() public {
        Wallet wallet = new Wallet(stranger);
        dollar.mint(address(wallet), AMOUNT);
        Terms memory terms = dollarTerms();
        terms.buyer = address(wallet);
        Authorization memory a = authorization(terms);
        bytes memory signature = bytes.concat(sign(strangerKey, authorizationDigest(a)), "for the wallet");
        wallet.set(Answer.No);
        expect(IEscrow.TransferFailed.selector);
        _fund(seller, terms, "", a, signature);
    }

    /// 65 bytes go to the form with v, r and s, which asks keys alone in this token.
    function test_WalletWith65BytesIsForTheTokenToJudge() public {
        Wallet wallet = new Wallet(stranger);
        dollar.mint(address(wallet), AMOUNT);
        Terms memory terms = dollarTerms();
        terms.buyer = address(wallet);
        Authorization memory a = authorization(terms);
        bytes memory signature = sign(strangerKey, authorizationDigest(a));
        expect(IEscrow.TransferFailed.selector);
        _fund(seller, terms, "", a, signature);
    }

    /// As the token reads it: here the form with v, r and s knows keys alone, code or not, and that with bytes asks the code.
    function test_AKeyWithCodeSignsAsTheTokenReadsIt() public {
        Delegating(address(vm)).setEvmVersion("prague");
        DelegatedCode code = new DelegatedCode();
        Delegating(address(vm)).signAndAttachDelegation(address(code), buyerKey);
        code = DelegatedCode(payable(buyer));
        code.set(Answer.No);
        Terms memory terms = dollarTerms();
        _refused(terms, authorization(salted(dollarTerms(), "another")));
        (bool ok,) = _try(terms, authorization(terms));
        assertTrue(ok);
        terms.annex.salt = "second";
        Authorization memory a = authorization(terms);
        expect(IEscrow.TransferFailed.selector);
        _fund(seller, terms, "", a, "for the code");
        code.set(Answer.Yes);
        _fund(seller, terms, "", a, "for the code");
        assertState(idOf(terms), Status.Funded, 1, 0, NOW, 0, 0);
    }

    function test_AtBothEndsOfItsValidity() public {
        Terms memory terms = dollarTerms();
        Authorization memory a = authorization(terms);
        // The token's bounds are exclusive.
        (a.validAfter, a.validBefore) = (NOW, NOW + 2);
        _refused(terms, a);
        vm.warp(NOW + 2);
        _refused(terms, a);
        vm.warp(NOW + 1);
        (bool ok,) = _try(terms, a);
        assertTrue(ok);
    }

    /* REFUSED: THE AUTHORIZATION */

    function test_AnotherNonceIsRefused() public {
        Terms memory terms = dollarTerms();
        Authorization memory a = authorization(terms);
        a.nonce = idOf(salted(dollarTerms(), "another"));
        _refused(terms, a);
        a.nonce = 0;
        _refused(terms, a);
    }

    function test_AnotherAmountIsRefused() public {
        Terms memory terms = dollarTerms();
        Authorization memory a = authorization(terms);
        a.value = AMOUNT - 1;
        _refused(terms, a);
        a.value = uint256(AMOUNT) + 1;
        _refused(terms, a);
    }

    function test_AnotherReceiverIsRefused() public {
        Terms memory terms = dollarTerms();
        Authorization memory a = authorization(terms);
        a.to = seller;
        _refused(terms, a);
    }

    function test_AnotherSignerIsRefused() public {
        Terms memory terms = dollarTerms();
        Authorization memory a = authorization(terms);
        bytes memory signature = sign(sellerKey, authorizationDigest(a));
        dollar.mint(seller, AMOUNT);
        expect(IEscrow.TransferFailed.selector);
        _fund(seller, terms, "", a, signature);
    }

    function test_OtherTimesThanSignedAreRefused() public {
        Terms memory terms = dollarTerms();
        Authorization memory a = authorization(terms);
        bytes memory signature = sign(buyerKey, authorizationDigest(a));
        a.validBefore += 1;
        expect(IEscrow.TransferFailed.selector);
        _fund(seller, terms, "", a, signature);
    }

    function test_ACancelledOneIsRefused() public {
        Terms memory terms = dollarTerms();
        bytes32 kind = keccak256("CancelAuthorization(address authorizer,bytes32 nonce)");
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(buyerKey, dollarDigest(keccak256(abi.encode(kind, buyer, idOf(terms)))));
        dollar.cancelAuthorization(buyer, idOf(terms), v, r, s);
        _refused(terms, authorization(terms));
    }

    function test_MalformedOnesAreRefused() public {
        Terms memory terms = dollarTerms();
        Authorization memory a = authorization(terms);
        bytes32 digest = authorizationDigest(a);
        bytes memory good = sign(buyerKey, digest);
        bytes[4] memory wrong = [bytes(""), compact(buyerKey, digest), bytes.concat(good, hex"00"), new bytes(65)];
        for (uint256 i; i < wrong.length; ++i) {
            expect(IEscrow.TransferFailed.selector);
            _fund(seller, terms, "", a, wrong[i]);
        }
    }

    function test_WithoutTheBalanceIsRefused() public {
        Terms memory terms = dollarTerms();
        vm.prank(buyer);
        assertTrue(dollar.transfer(stranger, 99 * uint256(AMOUNT) + 1));
        _refused(terms, authorization(terms));
    }

    /* ONCE, AND ONLY HERE */

    function test_ReplayIsRefused() public {
        Terms memory terms = dollarTerms();
        (bool ok,) = _try(terms, authorization(terms));
        assertTrue(ok);
        bytes memory answer;
        (ok, answer) = _try(terms, authorization(terms));
        assertFalse(ok);
        assertEq(bytes4(answer), IEscrow.AlreadyFunded.selector);
        vm.prank(buyer);
        escrow.release(dealOf(terms), AMOUNT);
        (ok, answer) = _try(terms, authorization(terms));
        assertFalse(ok);
        assertEq(bytes4(answer), IEscrow.DealClosed.selector);
    }

    /// Another's deal under the same authorization would need the same id.
    function test_OneAuthorizationFundsOneDeal() public {
        Terms memory terms = dollarTerms();
        Authorization memory a = authorization(terms);
        terms.annex.salt = "another";
        _refused(terms, a);
    }

    /// Nobody but the payee can use it at the token, so nobody can spoil it by using it first.
    function test_NobodyElseCanUseIt() public {
        Terms memory terms = dollarTerms();
        Authorization memory a = authorization(terms);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(buyerKey, authorizationDigest(a));
        address[3] memory others = [seller, buyer, stranger];
        for (uint256 i; i < others.length; ++i) {
            vm.startPrank(others[i]);
            vm.expectRevert();
            dollar.receiveWithAuthorization(
                buyer, address(escrow), AMOUNT, a.validAfter, a.validBefore, a.nonce, v, r, s
            );
            vm.expectRevert();
            dollar.transferWithAuthorization(
                buyer, address(escrow), AMOUNT, a.validAfter, a.validBefore, a.nonce, v, r, s
            );
            vm.stopPrank();
        }
        (bool ok,) = _try(terms, a);
        assertTrue(ok);
    }

    /// The escrow is the payee of every authorization; another deal's call still cannot use this one's.
    function test_AnotherEscrowCannotUseIt() public {
        Terms memory terms = dollarTerms();
        Authorization memory a = authorization(terms);
        bytes memory signature = sign(buyerKey, authorizationDigest(a));
        IEscrow other = IEscrow(vm.deployCode("Escrow.sol:Escrow"));
        expect(IEscrow.TransferFailed.selector);
        vm.prank(seller);
        other.fundByAuthorization(terms, "", a.validAfter, a.validBefore, signature);
    }

    function test_OnAnotherChainItIsRefused() public {
        Terms memory terms = dollarTerms();
        Authorization memory a = authorization(terms);
        bytes memory signature = sign(buyerKey, authorizationDigest(a));
        vm.chainId(block.chainid + 1);
        expect(IEscrow.TransferFailed.selector);
        _fund(seller, terms, "", a, signature);
    }

    /* REFUSED: EVERYTHING ELSE */

    function test_OnlyWithTheSellersConsent() public {
        Terms memory terms = dollarTerms();
        Authorization memory a = authorization(terms);
        bytes memory signature = sign(buyerKey, authorizationDigest(a));
        bytes[2] memory wrong = [bytes(""), sign(buyerKey, idOf(terms))];
        for (uint256 i; i < wrong.length; ++i) {
            expect(refusal(IEscrow.InvalidSignature.selector, seller));
            _fund(i == 0 ? buyer : stranger, terms, wrong[i], a, signature);
        }
    }

    /// An allowance does not stand in for the authorization.
    function test_AllowanceDoesNotHelp() public {
        Terms memory terms = dollarTerms();
        vm.prank(buyer);
        dollar.approve(address(escrow), type(uint256).max);
        Authorization memory a = authorization(terms);
        expect(IEscrow.TransferFailed.selector);
        _fund(seller, terms, "", a, "");
    }

    function test_TokensWithoutItAreRefused() public {
        Terms memory terms = tokenTerms();
        _refused(terms, authorization(terms));
    }

    /// A call that a token takes for a deposit of nothing moves nothing.
    function test_TokensThatTakeAnyCallAreRefused() public {
        OpenToken open = new OpenToken();
        open.mint(buyer, AMOUNT);
        vm.prank(buyer);
        open.approve(address(escrow), AMOUNT);
        Terms memory terms = coinTerms();
        terms.asset = address(open);
        (bool ok, bytes memory answer) = _try(terms, authorization(terms));
        assertFalse(ok);
        assertEq(answer, refusal(IEscrow.IntakeMismatch.selector, 0, AMOUNT));
        assertGone(idOf(terms));
    }

    /// Where nonces count up, the id of a deal is not the next one.
    function test_TokensWhoseNoncesCountAreRefused() public {
        CountingToken counting = new CountingToken();
        counting.mint(buyer, AMOUNT);
        dollar = SignedToken(address(counting));
        Terms memory terms = dollarTerms();
        _refused(terms, authorization(terms));
    }

    function test_CoinIsRefused() public {
        Terms memory terms = coinTerms();
        _refused(terms, authorization(terms));
    }

    function test_CoinSentAlongIsRefused() public {
        Terms memory terms = dollarTerms();
        Authorization memory a = authorization(terms);
        bytes memory order = abi.encodeCall(
            IEscrow.fundByAuthorization,
            (terms, "", a.validAfter, a.validBefore, sign(buyerKey, authorizationDigest(a)))
        );
        vm.deal(seller, 1);
        vm.prank(seller);
        (bool ok,) = address(escrow).call{value: 1}(order);
        assertFalse(ok);
    }

    function test_TermsBeforeStateBeforeAuthorityBeforeIntake() public {
        Terms memory terms = dollarTerms();
        vm.warp(FUND_BY + 1);
        terms.lapseShare = 10_001;
        expect(IEscrow.ShareOutOfRange.selector);
        escrow.fundByAuthorization(terms, "", 0, 0, "");
        terms.lapseShare = 10_000;
        expect(IEscrow.DealClosed.selector);
        escrow.fundByAuthorization(terms, "", 0, 0, "");
        vm.warp(FUND_BY);
        expect(refusal(IEscrow.InvalidSignature.selector, seller));
        escrow.fundByAuthorization(terms, "", 0, 0, "");
        bytes memory consent = sign(sellerKey, idOf(terms));
        expect(IEscrow.TransferFailed.selector);
        escrow.fundByAuthorization(terms, consent, 0, 0, "");
    }
}
