// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Deal, IEscrow, Status, Terms} from "../../src/interfaces/IEscrow.sol";
import {Permit2Fixture} from "./Permit2Fixture.sol";
import {DelegatedCode, Delegating} from "../accounts/DelegatedCode.sol";
import {Answer, Wallet} from "../accounts/Wallets.sol";
import {Odd, OddToken} from "../tokens/OddToken.sol";

/// @notice What the tests call of Permit2 itself.
interface IPermit2Nonces {
    function invalidateUnorderedNonces(uint256 word, uint256 mask) external;
    function nonceBitmap(address owner, uint256 word) external view returns (uint256);
}

/// @notice Funding by Permit2, whose own code of the chains stands at its address on them: the buyer's signature, for this
///         escrow, over token and amount, with the deal's id as its witness.
contract Permit2Test is Permit2Fixture {
    function _fund(address by, Terms memory terms, bytes memory consent, bytes memory signature)
        private
        returns (bytes32)
    {
        vm.prank(by);
        return escrow.fundByPermit2(terms, consent, NONCE, NOW, signature);
    }

    /// The buyer's signature over `order` and `id`, used by the seller for `terms`.
    function _refused(Terms memory terms, Order memory order, bytes32 id) private {
        bytes memory signature = sign(buyerKey, permit2Digest(order, id));
        expect(IEscrow.TransferFailed.selector);
        _fund(seller, terms, "", signature);
        assertGone(idOf(terms));
        assertEq(dollar.balanceOf(buyer), 100 * uint256(AMOUNT));
    }

    function _funded(Terms memory terms) private view {
        assertState(idOf(terms), Status.Funded, 1, 0, NOW, 0, 0);
        assertEq(dollar.balanceOf(address(escrow)), terms.amount);
    }

    /* TAKEN */

    function test_SubmittedByTheSeller() public {
        Terms memory terms = dollarTerms();
        bytes memory signature = sign(buyerKey, permit2Digest(orderOf(terms), idOf(terms)));
        vm.expectEmit(address(escrow));
        emit IEscrow.Funded(idOf(terms), terms);
        assertEq(_fund(seller, terms, "", signature), idOf(terms));
        _funded(terms);
    }

    function test_SubmittedByARelayerWithTheSellersSignature() public {
        Terms memory terms = dollarTerms();
        bytes memory signature = sign(buyerKey, permit2Digest(orderOf(terms), idOf(terms)));
        bytes memory consent = sign(sellerKey, idOf(terms));
        _fund(stranger, terms, consent, signature);
        _funded(terms);
    }

    /// Permit2 takes EIP-2098 where we elsewhere do not.
    function test_CompactSignature() public {
        Terms memory terms = dollarTerms();
        _fund(seller, terms, "", compact(buyerKey, permit2Digest(orderOf(terms), idOf(terms))));
        _funded(terms);
    }

    function test_WalletBuys() public {
        Wallet wallet = new Wallet(stranger);
        dollar.mint(address(wallet), AMOUNT);
        wallet.act(address(dollar), abi.encodeCall(dollar.approve, (PERMIT2, AMOUNT)), 0);
        Terms memory terms = dollarTerms();
        terms.buyer = address(wallet);
        bytes memory signature = sign(strangerKey, permit2Digest(orderOf(terms), idOf(terms)));
        wallet.set(Answer.No);
        expect(IEscrow.TransferFailed.selector);
        _fund(seller, terms, "", signature);
        wallet.set(Answer.Owner);
        _fund(seller, terms, "", signature);
        _funded(terms);
        assertEq(dollar.balanceOf(address(wallet)), 0);
    }

    /// Permit2 asks the code of an account that has any, the escrow its key first: such a buyer's key alone does not do here.
    function test_AKeyWithCodeSignsByItsCode() public {
        Delegating(address(vm)).setEvmVersion("prague");
        DelegatedCode code = new DelegatedCode();
        Delegating(address(vm)).signAndAttachDelegation(address(code), buyerKey);
        code = DelegatedCode(payable(buyer));
        code.set(Answer.No);
        Terms memory terms = dollarTerms();
        bytes memory signature = sign(buyerKey, permit2Digest(orderOf(terms), idOf(terms)));
        expect(IEscrow.TransferFailed.selector);
        _fund(seller, terms, "", signature);
        code.set(Answer.Yes);
        _fund(seller, terms, "", signature);
        _funded(terms);
    }

    /* REFUSED: WHAT IS SIGNED */

    function test_AnotherWitnessIsRefused() public {
        Terms memory terms = dollarTerms();
        _refused(terms, orderOf(terms), idOf(salted(dollarTerms(), "another")));
    }

    /// A plain Permit2 transfer, which says nothing of a deal, is no consent to one.
    function test_WithoutAWitnessIsRefused() public {
        Terms memory terms = dollarTerms();
        bytes32 kind = keccak256(
            "PermitTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline)TokenPermissions(address token,uint256 amount)"
        );
        bytes32 permitted = keccak256(
            abi.encode(keccak256("TokenPermissions(address token,uint256 amount)"), terms.asset, terms.amount)
        );
        bytes32 content = keccak256(abi.encode(kind, permitted, address(escrow), NONCE, NOW));
        bytes memory signature = sign(buyerKey, keccak256(abi.encodePacked(hex"1901", permit2Domain(), content)));
        expect(IEscrow.TransferFailed.selector);
        _fund(seller, terms, "", signature);
    }

    function test_AnotherTokenIsRefused() public {
        Terms memory terms = dollarTerms();
        Order memory order = orderOf(terms);
        order.token = address(token);
        _refused(terms, order, idOf(terms));
    }

    /// Neither less nor more: the amount that is signed is the deal's.
    function test_AnotherAmountIsRefused() public {
        Terms memory terms = dollarTerms();
        Order memory order = orderOf(terms);
        order.amount = AMOUNT - 1;
        _refused(terms, order, idOf(terms));
        order.amount = uint256(AMOUNT) + 1;
        _refused(terms, order, idOf(terms));
    }

    function test_AnotherSpenderIsRefused() public {
        Terms memory terms = dollarTerms();
        Order memory order = orderOf(terms);
        order.spender = seller;
        _refused(terms, order, idOf(terms));
    }

    function test_AnotherSignerIsRefused() public {
        Terms memory terms = dollarTerms();
        bytes memory signature = sign(sellerKey, permit2Digest(orderOf(terms), idOf(terms)));
        expect(IEscrow.TransferFailed.selector);
        _fund(seller, terms, "", signature);
    }

    function test_AnotherNonceThanSignedIsRefused() public {
        Terms memory terms = dollarTerms();
        Order memory order = orderOf(terms);
        order.nonce = NONCE + 1;
        _refused(terms, order, idOf(terms));
    }

    function test_MalformedSignaturesAreRefused() public {
        Terms memory terms = dollarTerms();
        bytes memory good = sign(buyerKey, permit2Digest(orderOf(terms), idOf(terms)));
        bytes[3] memory wrong = [bytes(""), bytes.concat(good, hex"00"), new bytes(65)];
        for (uint256 i; i < wrong.length; ++i) {
            expect(IEscrow.TransferFailed.selector);
            _fund(seller, terms, "", wrong[i]);
        }
    }

    function test_ASecondLateIsRefused() public {
        Terms memory terms = dollarTerms();
        vm.warp(NOW + 1);
        _refused(terms, orderOf(terms), idOf(terms));
        vm.warp(NOW);
        _fund(seller, terms, "", sign(buyerKey, permit2Digest(orderOf(terms), idOf(terms))));
        _funded(terms);
    }

    function test_OnAnotherChainItIsRefused() public {
        Terms memory terms = dollarTerms();
        bytes memory signature = sign(buyerKey, permit2Digest(orderOf(terms), idOf(terms)));
        vm.chainId(block.chainid + 1);
        expect(IEscrow.TransferFailed.selector);
        _fund(seller, terms, "", signature);
    }

    function test_AnotherEscrowCannotUseIt() public {
        Terms memory terms = dollarTerms();
        bytes memory signature = sign(buyerKey, permit2Digest(orderOf(terms), idOf(terms)));
        IEscrow other = IEscrow(vm.deployCode("Escrow.sol:Escrow"));
        expect(IEscrow.TransferFailed.selector);
        vm.prank(seller);
        other.fundByPermit2(terms, "", NONCE, NOW, signature);
    }

    /* ITS NONCES */

    function test_ANonceThatWasUsedIsRefused() public {
        Terms memory terms = dollarTerms();
        _fund(seller, terms, "", sign(buyerKey, permit2Digest(orderOf(terms), idOf(terms))));
        terms.annex.salt = "another";
        bytes memory second = sign(buyerKey, permit2Digest(orderOf(terms), idOf(terms)));
        expect(IEscrow.TransferFailed.selector);
        _fund(seller, terms, "", second);
    }

    /// What the buyer takes back at Permit2 is worthless here.
    function test_ANonceThatWasInvalidatedIsRefused() public {
        Terms memory terms = dollarTerms();
        vm.prank(buyer);
        IPermit2Nonces(PERMIT2).invalidateUnorderedNonces(0, 1 << NONCE);
        _refused(terms, orderOf(terms), idOf(terms));
    }

    /// A refused funding leaves the nonce as it was.
    function test_ARefusalUsesNoNonce() public {
        Terms memory terms = dollarTerms();
        bytes memory signature = sign(buyerKey, permit2Digest(orderOf(terms), idOf(terms)));
        vm.prank(buyer);
        dollar.approve(PERMIT2, 0);
        expect(IEscrow.TransferFailed.selector);
        _fund(seller, terms, "", signature);
        assertEq(IPermit2Nonces(PERMIT2).nonceBitmap(buyer, 0), 0);
        vm.prank(buyer);
        dollar.approve(PERMIT2, AMOUNT);
        _fund(seller, terms, "", signature);
        assertEq(IPermit2Nonces(PERMIT2).nonceBitmap(buyer, 0), 1 << NONCE);
    }

    function test_ReplayIsRefused() public {
        Terms memory terms = dollarTerms();
        bytes memory signature = sign(buyerKey, permit2Digest(orderOf(terms), idOf(terms)));
        _fund(seller, terms, "", signature);
        expect(IEscrow.AlreadyFunded.selector);
        _fund(seller, terms, "", signature);
        Deal memory deal = dealOf(terms);
        vm.prank(buyer);
        escrow.release(deal, AMOUNT);
        expect(IEscrow.DealClosed.selector);
        _fund(seller, terms, "", signature);
    }

    /* REFUSED: EVERYTHING ELSE */

    function test_OnlyWithTheSellersConsent() public {
        Terms memory terms = dollarTerms();
        bytes memory signature = sign(buyerKey, permit2Digest(orderOf(terms), idOf(terms)));
        expect(refusal(IEscrow.InvalidSignature.selector, seller));
        _fund(buyer, terms, "", signature);
    }

    /// A call to where nothing is succeeds and moves nothing.
    function test_OnAChainWithoutPermit2ItIsRefused() public {
        Terms memory terms = dollarTerms();
        bytes memory signature = sign(buyerKey, permit2Digest(orderOf(terms), idOf(terms)));
        vm.etch(PERMIT2, "");
        expect(refusal(IEscrow.IntakeMismatch.selector, 0, AMOUNT));
        _fund(seller, terms, "", signature);
    }

    function test_TokensThatMoveAnotherSumAreRefused() public {
        Odd[3] memory odd = [Odd.Silent, Odd.Fee, Odd.SilentStill];
        uint256[3] memory received = [uint256(AMOUNT), AMOUNT - AMOUNT / 100, 0];
        for (uint256 i; i < odd.length; ++i) {
            OddToken asset = new OddToken();
            asset.mint(buyer, AMOUNT);
            asset.setInto(odd[i]);
            vm.prank(buyer);
            asset.approve(PERMIT2, AMOUNT);
            Terms memory terms = coinTerms();
            terms.asset = address(asset);
            bytes memory signature =
                sign(buyerKey, permit2Digest(Order(terms.asset, AMOUNT, address(escrow), i, NOW), idOf(terms)));
            if (i != 0) expect(refusal(IEscrow.IntakeMismatch.selector, received[i], AMOUNT));
            vm.prank(seller);
            escrow.fundByPermit2(terms, "", i, NOW, signature);
        }
    }

    function test_CoinIsRefused() public {
        Terms memory terms = coinTerms();
        _refused(terms, orderOf(terms), idOf(terms));
    }

    function test_CoinSentAlongIsRefused() public {
        Terms memory terms = dollarTerms();
        bytes memory signature = sign(buyerKey, permit2Digest(orderOf(terms), idOf(terms)));
        vm.deal(seller, 1);
        vm.prank(seller);
        (bool ok,) =
            address(escrow).call{value: 1}(abi.encodeCall(IEscrow.fundByPermit2, (terms, "", NONCE, NOW, signature)));
        assertFalse(ok);
    }

    function test_TermsBeforeStateBeforeAuthorityBeforeIntake() public {
        Terms memory terms = dollarTerms();
        vm.warp(FUND_BY + 1);
        terms.lapseShare = 10_001;
        expect(IEscrow.ShareOutOfRange.selector);
        _fund(stranger, terms, "", "");
        terms.lapseShare = 10_000;
        expect(IEscrow.DealClosed.selector);
        _fund(stranger, terms, "", "");
        vm.warp(FUND_BY);
        expect(refusal(IEscrow.InvalidSignature.selector, seller));
        _fund(stranger, terms, "", "");
        bytes memory consent = sign(sellerKey, idOf(terms));
        expect(IEscrow.TransferFailed.selector);
        _fund(stranger, terms, consent, "");
    }
}
