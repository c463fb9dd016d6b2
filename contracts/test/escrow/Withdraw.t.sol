// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Deal, IEscrow, Status, Terms} from "../../src/interfaces/IEscrow.sol";
import {Fixture} from "../Fixture.sol";
import {Bomber, Burner, Hungry, Refuser} from "../accounts/Payees.sol";
import {DenylistToken, Odd, OddToken} from "../tokens/OddToken.sol";

/// @notice Payouts that fail become credit, credit is withdrawn, and nobody blocks anybody.
contract WithdrawTest is Fixture {
    DenylistToken private denylist;

    function setUp() public override {
        super.setUp();
        denylist = new DenylistToken();
        denylist.mint(buyer, 100 * uint256(AMOUNT));
        vm.prank(buyer);
        denylist.approve(address(escrow), type(uint256).max);
    }

    /* CREDIT */

    /// The seller's key, with code that takes no coin.
    function test_CoinThatIsNotTakenBecomesCredit() public {
        bytes[3] memory codes = [address(new Refuser()).code, address(new Burner()).code, address(new Bomber()).code];
        Terms memory terms = coinTerms();
        for (uint256 i; i < 3; ++i) {
            vm.etch(seller, codes[i]);
            terms.annex.salt = bytes32(i);
            (bytes32 id, Deal memory deal) = fund(terms);
            vm.expectEmit(address(escrow));
            emit IEscrow.Released(id, AMOUNT, 2);
            vm.expectEmit(address(escrow));
            emit IEscrow.Credited(id, seller, address(0), AMOUNT);
            vm.prank(buyer);
            escrow.release{gas: 500_000}(deal, AMOUNT);
            assertState(id, Status.Closed, 2, 0, NOW, AMOUNT, 0);
            assertEq(escrow.creditOf(seller, address(0)), (i + 1) * uint256(AMOUNT));
            assertEq(address(escrow).balance, (i + 1) * uint256(AMOUNT));
        }
    }

    function test_APartyThatCannotReceiveDoesNotBlockTheOther() public {
        denylist.deny(seller, true);
        Terms memory terms = coinTerms();
        terms.asset = address(denylist);
        (, Deal memory deal) = disputed(terms);
        uint256 before = denylist.balanceOf(buyer);
        vm.prank(arbiter);
        escrow.rule(deal, 5000);
        assertEq(denylist.balanceOf(buyer) - before, AMOUNT - AMOUNT / 2);
        assertEq(escrow.creditOf(seller, address(denylist)), AMOUNT / 2);
        assertEq(denylist.balanceOf(address(escrow)), AMOUNT / 2);
    }

    /// Out of a deal whose token answers oddly the seller gets, or is owed, all that it was released.
    function test_OddTokens() public {
        Odd[11] memory odd = [
            Odd.Nothing,
            Odd.Silent,
            Odd.False,
            Odd.FalseMoves,
            Odd.Two,
            Odd.TwoHalf,
            Odd.TwoStill,
            Odd.Reverts,
            Odd.Burns,
            Odd.Bomb,
            Odd.Fee
        ];
        uint88[11] memory credit = [0, 0, AMOUNT, 0, 0, AMOUNT - AMOUNT / 2, AMOUNT, AMOUNT, AMOUNT, AMOUNT, 0];
        for (uint256 i; i < odd.length; ++i) {
            OddToken asset = new OddToken();
            asset.mint(buyer, AMOUNT);
            vm.prank(buyer);
            asset.approve(address(escrow), AMOUNT);
            Terms memory terms = coinTerms();
            terms.asset = address(asset);
            (, Deal memory deal) = fund(terms);
            asset.setOut(odd[i]);
            vm.prank(buyer);
            escrow.release{gas: 2_000_000}(deal, AMOUNT);
            assertEq(escrow.creditOf(seller, address(asset)), credit[i], "credit");
            assertEq(asset.held(address(escrow)), credit[i], "balance covers credit");
        }
    }

    /// What may have left is never owed: a token that hides its balance and gives no clean answer counts as paid.
    function test_BlindTokens() public {
        Odd[4] memory odd = [Odd.Blind, Odd.BlindBefore, Odd.Curt, Odd.CurtLater];
        for (uint256 i; i < odd.length; ++i) {
            OddToken asset = new OddToken();
            asset.mint(buyer, AMOUNT);
            vm.prank(buyer);
            asset.approve(address(escrow), AMOUNT);
            Terms memory terms = coinTerms();
            terms.asset = address(asset);
            (, Deal memory deal) = fund(terms);
            asset.setOut(odd[i]);
            vm.prank(buyer);
            escrow.release(deal, AMOUNT);
            assertEq(escrow.creditOf(seller, address(asset)), 0);
            assertEq(asset.held(seller), AMOUNT);
        }
    }

    /// A token whose code is gone answers every call with success and nothing.
    function test_TokenWithoutCodeBecomesCredit() public {
        (, Deal memory deal) = fund(tokenTerms());
        vm.etch(address(token), "");
        vm.prank(buyer);
        escrow.release(deal, AMOUNT);
        assertEq(escrow.creditOf(seller, address(token)), AMOUNT);
    }

    /// Whoever pays the gas cannot turn a payment into a debt by giving too little: with payees that need all but the
    /// whole bound, there is no amount of gas at which the call goes through and they are not paid.
    function test_TooLittleGasNeverMakesCredit() public {
        vm.etch(seller, address(new Hungry()).code);
        OddToken asset = new OddToken();
        asset.mint(buyer, AMOUNT);
        vm.prank(buyer);
        asset.approve(address(escrow), AMOUNT);
        Terms memory terms = coinTerms();
        _neverStarved(terms);
        assertEq(seller.balance, 5);
        terms.asset = address(asset);
        asset.setOut(Odd.Heavy);
        _neverStarved(terms);
        assertEq(asset.held(seller), 5);
    }

    /// Nor can it make a debt disappear: the balance that decides after an unclear answer is never starved either.
    function test_TooLittleGasNeverMakesPaid() public {
        OddToken asset = new OddToken();
        asset.mint(buyer, AMOUNT);
        vm.prank(buyer);
        asset.approve(address(escrow), AMOUNT);
        Terms memory terms = coinTerms();
        terms.asset = address(asset);
        (bytes32 id, Deal memory deal) = fund(terms);
        asset.setOut(Odd.Slow);
        bytes memory order = abi.encodeCall(IEscrow.releaseBySig, (deal, 5, sign(buyerKey, releaseDigest(id, 5))));
        bool ok;
        for (uint256 limit = 20_000; !ok && limit < 700_000; limit += 2_000) {
            (ok,) = address(escrow).call{gas: limit}(order);
        }
        assertTrue(ok);
        assertEq(escrow.creditOf(seller, address(asset)), 5);
    }

    /// Releases 5 with growing gas, until it goes through.
    function _neverStarved(Terms memory terms) private {
        (bytes32 id, Deal memory deal) = fund(terms);
        bytes memory order = abi.encodeCall(IEscrow.releaseBySig, (deal, 5, sign(buyerKey, releaseDigest(id, 5))));
        bytes32 refusedFor = keccak256(abi.encodePacked(IEscrow.NotEnoughGas.selector));
        uint256 refusals;
        for (uint256 limit = 20_000; limit < 700_000; limit += 2_000) {
            (bool ok, bytes memory answer) = address(escrow).call{gas: limit}(order);
            assertEq(escrow.creditOf(seller, terms.asset), 0, "starved");
            if (ok) break;
            if (keccak256(answer) == refusedFor) ++refusals;
        }
        assertGt(refusals, 2);
    }

    /* WITHDRAW */

    function _credit() private returns (Refuser refuser) {
        vm.etch(seller, address(new Refuser()).code);
        refuser = Refuser(payable(seller));
        (, Deal memory deal) = fund(coinTerms());
        vm.prank(buyer);
        escrow.release(deal, 1000);
    }

    function test_ToAnotherAccount() public {
        _credit();
        address to = makeAddr("to");
        vm.expectEmit(address(escrow));
        emit IEscrow.Withdrawn(seller, address(0), 1000, to);
        vm.prank(seller);
        assertEq(escrow.withdraw(address(0), to), 1000);
        assertEq(to.balance, 1000);
        assertEq(escrow.creditOf(seller, address(0)), 0);
        assertEq(address(escrow).balance, AMOUNT - 1000);
        expect(IEscrow.NothingToWithdraw.selector);
        vm.prank(seller);
        escrow.withdraw(address(0), to);
    }

    function test_ToOneself() public {
        Refuser refuser = _credit();
        expect(IEscrow.TransferFailed.selector);
        vm.prank(seller);
        escrow.withdraw(address(0), seller);
        assertEq(escrow.creditOf(seller, address(0)), 1000);
        refuser.relent();
        vm.prank(seller);
        escrow.withdraw(address(0), seller);
        assertEq(seller.balance, 1000);
    }

    function test_Token() public {
        denylist.deny(seller, true);
        Terms memory terms = coinTerms();
        terms.asset = address(denylist);
        (, Deal memory deal) = fund(terms);
        vm.prank(buyer);
        escrow.release(deal, 10);
        expect(IEscrow.TransferFailed.selector);
        vm.prank(seller);
        escrow.withdraw(address(denylist), seller);
        vm.prank(seller);
        escrow.withdraw(address(denylist), stranger);
        assertEq(denylist.balanceOf(stranger), 10);
        assertEq(denylist.balanceOf(address(escrow)), AMOUNT - 10);
    }

    function test_Nobody() public {
        expect(IEscrow.NothingToWithdraw.selector);
        escrow.withdraw(address(0), stranger);
    }

    function test_DestinationsThatWouldLoseIt() public {
        vm.startPrank(seller);
        expect(IEscrow.ZeroParty.selector);
        escrow.withdraw(address(token), address(0));
        expect(IEscrow.SameParty.selector);
        escrow.withdraw(address(token), address(escrow));
        expect(IEscrow.SameParty.selector);
        escrow.withdraw(address(token), address(token));
        expect(IEscrow.SameParty.selector);
        escrow.withdrawBySig(seller, address(token), 1, address(token), NOW, "");
    }

    /* BY SIGNATURE */

    /// The refuser's code keeps the seller's key (EIP-7702), so the key signs.
    function test_BySignature() public {
        _credit();
        bytes32 digest = withdrawDigest(seller, address(0), 400, stranger, 0, NOW);
        bytes memory signature = sign(sellerKey, digest);
        assertEq(escrow.withdrawalNonceOf(seller), 0);
        vm.expectEmit(address(escrow));
        emit IEscrow.Withdrawn(seller, address(0), 400, stranger);
        vm.prank(buyer);
        escrow.withdrawBySig(seller, address(0), 400, stranger, NOW, signature);
        assertEq(stranger.balance, 400);
        assertEq(escrow.creditOf(seller, address(0)), 600);
        assertEq(escrow.withdrawalNonceOf(seller), 1);
        // Used once, it names a nonce that has passed.
        expect(refusal(IEscrow.InvalidSignature.selector, seller));
        escrow.withdrawBySig(seller, address(0), 400, stranger, NOW, signature);
    }

    function test_SignatureBindsEveryField() public {
        _credit();
        bytes memory signature = sign(sellerKey, withdrawDigest(seller, address(0), 400, stranger, 0, NOW));
        expect(refusal(IEscrow.InvalidSignature.selector, buyer));
        escrow.withdrawBySig(buyer, address(0), 400, stranger, NOW, signature);
        expect(refusal(IEscrow.InvalidSignature.selector, seller));
        escrow.withdrawBySig(seller, address(token), 400, stranger, NOW, signature);
        expect(refusal(IEscrow.InvalidSignature.selector, seller));
        escrow.withdrawBySig(seller, address(0), 401, stranger, NOW, signature);
        expect(refusal(IEscrow.InvalidSignature.selector, seller));
        escrow.withdrawBySig(seller, address(0), 400, buyer, NOW, signature);
        expect(refusal(IEscrow.InvalidSignature.selector, seller));
        escrow.withdrawBySig(seller, address(0), 400, stranger, NOW + 1, signature);
        vm.warp(NOW + 1);
        expect(refusal(IEscrow.SignatureExpired.selector, NOW));
        escrow.withdrawBySig(seller, address(0), 400, stranger, NOW, signature);
    }

    function test_NoMoreThanTheCredit() public {
        _credit();
        bytes memory signature = sign(sellerKey, withdrawDigest(seller, address(0), 1001, stranger, 0, NOW));
        expect(refusal(IEscrow.TotalTooHigh.selector, 1001, 1000));
        escrow.withdrawBySig(seller, address(0), 1001, stranger, NOW, signature);
        signature = sign(sellerKey, withdrawDigest(seller, address(0), 0, stranger, 0, NOW));
        expect(IEscrow.NothingToWithdraw.selector);
        escrow.withdrawBySig(seller, address(0), 0, stranger, NOW, signature);
    }

    function test_RevokedSignatureIsRefused() public {
        _credit();
        bytes32 digest = withdrawDigest(seller, address(0), 400, stranger, 0, NOW);
        vm.expectEmit(address(escrow));
        emit IEscrow.Revoked(seller, digest);
        vm.prank(seller);
        escrow.revoke(digest);
        assertTrue(escrow.revoked(seller, digest));
        assertFalse(escrow.revoked(buyer, digest));
        expect(refusal(IEscrow.SignatureRevoked.selector, digest));
        escrow.withdrawBySig(seller, address(0), 400, stranger, NOW, sign(sellerKey, digest));
    }
}
