// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Deal, IEscrow, Status, Terms} from "../../src/interfaces/IEscrow.sol";
import {Fixture} from "../Fixture.sol";
import {DenylistToken, Odd, OddToken, owedAfter} from "../tokens/OddToken.sol";
import {RebasingToken} from "../tokens/RebasingToken.sol";

/// @notice Tokens that do not do what they are asked, at every action that pays: each party gets, or is owed, what is due to
///         it, and neither waits for the other.
contract TokensTest is Fixture {
    enum Payout {
        Release,
        Refund,
        Reclaim,
        Claim,
        Lapse,
        Rule,
        Settle
    }

    /// The seller's part; the buyer's is the rest, or nothing yet.
    uint88 private constant HALF = AMOUNT / 2;

    function _pay(Payout payout, Terms memory terms) private returns (uint256 toSeller, uint256 toBuyer) {
        (bytes32 id, Deal memory deal) = payout == Payout.Claim
            ? delivered(terms)
            : payout == Payout.Lapse || payout == Payout.Rule ? disputed(terms) : fund(terms);
        _ready(terms.asset);
        if (payout == Payout.Release) {
            vm.prank(buyer);
            escrow.release{gas: 3_000_000}(deal, HALF);
            return (HALF, 0);
        }
        if (payout == Payout.Refund) {
            vm.prank(seller);
            escrow.refund{gas: 3_000_000}(deal, HALF);
            return (0, HALF);
        }
        if (payout == Payout.Reclaim) {
            vm.warp(DELIVER_BY + 1);
            escrow.reclaim{gas: 3_000_000}(deal);
            return (0, AMOUNT);
        }
        if (payout == Payout.Claim) {
            vm.warp(NOW + INSPECTION + 1);
            escrow.claim{gas: 3_000_000}(deal);
            return (AMOUNT, 0);
        }
        if (payout == Payout.Lapse) {
            vm.warp(NOW + RULING + 1);
            escrow.lapse{gas: 3_000_000}(deal);
            return (LAPSE_TOTAL, AMOUNT - LAPSE_TOTAL);
        }
        if (payout == Payout.Rule) {
            vm.prank(arbiter);
            escrow.rule{gas: 3_000_000}(deal, 5000);
            return (HALF, AMOUNT - HALF);
        }
        bytes32 digest = settleDigest(id, HALF, Status.Funded, 0, ALWAYS);
        escrow.settle{gas: 3_000_000}(deal, HALF, 0, ALWAYS, sign(buyerKey, digest), sign(sellerKey, digest));
        return (HALF, AMOUNT - HALF);
    }

    /// What the token does, and whom it refuses, once it has been taken in.
    Odd private _odd;
    address private _denied;

    function _ready(address asset) private {
        if (_odd != Odd.Nothing) OddToken(asset).setOut(_odd);
        if (_denied != address(0)) DenylistToken(asset).deny(_denied, true);
    }

    /* ANSWERS */

    function test_EveryAnswerAtEveryPayout() public {
        Odd[17] memory odd = [
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
            Odd.Extra,
            Odd.Heavy,
            Odd.Slow,
            Odd.Long,
            Odd.LongStill,
            Odd.Narrow,
            Odd.NarrowStill
        ];
        for (uint256 i; i < odd.length; ++i) {
            for (uint256 payout; payout <= uint256(type(Payout).max); ++payout) {
                uint256 snapshot = vm.snapshotState();
                _odd = odd[i];
                _check(Payout(payout), string.concat(vm.toString(i), " at ", vm.toString(payout)));
                vm.revertToState(snapshot);
            }
        }
    }

    function _check(Payout payout, string memory where) private {
        Odd odd = _odd;
        OddToken asset = new OddToken();
        asset.mint(buyer, AMOUNT);
        vm.prank(buyer);
        asset.approve(address(escrow), AMOUNT);
        Terms memory terms = coinTerms();
        terms.asset = address(asset);
        (uint256 toSeller, uint256 toBuyer) = _pay(payout, terms);
        assertEq(escrow.creditOf(seller, address(asset)), owedAfter(odd, toSeller), where);
        assertEq(escrow.creditOf(buyer, address(asset)), owedAfter(odd, toBuyer), where);
        // One more than was sent arrives of a token that is generous.
        uint256 gift = odd == Odd.Extra ? 1 : 0;
        if (toSeller != 0) assertEq(asset.held(seller), toSeller - owedAfter(odd, toSeller) + gift, where);
        if (toBuyer != 0) assertEq(asset.held(buyer), toBuyer - owedAfter(odd, toBuyer) + gift, where);
        assertEq(
            asset.held(address(escrow)),
            AMOUNT - toSeller - toBuyer + owedAfter(odd, toSeller) + owedAfter(odd, toBuyer),
            where
        );
    }

    /// A token that says yes and keeps it cannot be told from one that pays: who trades in it chose it.
    function test_ATokenThatLiesIsBelieved() public {
        uint256 snapshot = vm.snapshotState();
        _believed(Odd.SilentStill);
        vm.revertToState(snapshot);
        _believed(Odd.TrueStill);
    }

    function _believed(Odd odd) private {
        _odd = odd;
        OddToken asset = new OddToken();
        asset.mint(buyer, AMOUNT);
        vm.prank(buyer);
        asset.approve(address(escrow), AMOUNT);
        Terms memory terms = coinTerms();
        terms.asset = address(asset);
        _pay(Payout.Claim, terms);
        assertEq(escrow.creditOf(seller, address(asset)), 0);
        assertEq(asset.held(seller), 0);
    }

    /* WITHDRAWING WHAT IS OWED */

    /// Paid in whole, or not at all and still owed.
    function test_EveryAnswerAtAWithdrawal() public {
        Odd[10] memory odd = [
            Odd.Silent,
            Odd.FalseMoves,
            Odd.Two,
            Odd.Long,
            Odd.Narrow,
            Odd.False,
            Odd.TwoHalf,
            Odd.TwoStill,
            Odd.Reverts,
            Odd.LongStill
        ];
        for (uint256 i; i < odd.length; ++i) {
            uint256 snapshot = vm.snapshotState();
            OddToken asset = new OddToken();
            asset.mint(buyer, AMOUNT);
            vm.prank(buyer);
            asset.approve(address(escrow), AMOUNT);
            Terms memory terms = coinTerms();
            terms.asset = address(asset);
            (, Deal memory deal) = fund(terms);
            asset.setOut(Odd.Reverts);
            vm.prank(buyer);
            escrow.release(deal, AMOUNT);
            asset.setOut(odd[i]);
            vm.prank(seller);
            (bool ok, bytes memory answer) =
                address(escrow).call(abi.encodeCall(IEscrow.withdraw, (address(asset), stranger)));
            assertEq(ok, i < 5, vm.toString(i));
            if (!ok) assertEq(bytes4(answer), IEscrow.TransferFailed.selector);
            assertEq(asset.held(stranger), ok ? AMOUNT : 0);
            assertEq(escrow.creditOf(seller, address(asset)), ok ? 0 : AMOUNT);
            vm.revertToState(snapshot);
        }
    }

    /* DENYLISTS */

    function _denylist() private returns (DenylistToken asset, Terms memory terms) {
        asset = new DenylistToken();
        asset.mint(buyer, AMOUNT);
        vm.prank(buyer);
        asset.approve(address(escrow), AMOUNT);
        terms = coinTerms();
        terms.asset = address(asset);
    }

    function test_ADeniedPartyIsOwedAndTheOtherPaid() public {
        for (uint256 payout; payout <= uint256(type(Payout).max); ++payout) {
            for (uint256 i; i < 2; ++i) {
                uint256 snapshot = vm.snapshotState();
                address other = i == 0 ? seller : buyer;
                _denied = i == 0 ? buyer : seller;
                (DenylistToken asset, Terms memory terms) = _denylist();
                (uint256 toOther, uint256 owed) = _pay(Payout(payout), terms);
                if (i == 1) (toOther, owed) = (owed, toOther);
                assertEq(asset.balanceOf(other), toOther);
                assertEq(escrow.creditOf(other, address(asset)), 0);
                assertEq(escrow.creditOf(_denied, address(asset)), owed);
                if (owed != 0) {
                    vm.prank(_denied);
                    escrow.withdraw(address(asset), stranger);
                    assertEq(asset.balanceOf(stranger), owed);
                }
                vm.revertToState(snapshot);
            }
        }
    }

    /// Both are owed while the escrow itself is refused, the deal ends all the same, and later both are paid.
    function test_ADeniedEscrowOwesBoth() public {
        for (uint256 payout; payout <= uint256(type(Payout).max); ++payout) {
            uint256 snapshot = vm.snapshotState();
            _denied = address(escrow);
            (DenylistToken asset, Terms memory terms) = _denylist();
            (uint256 toSeller, uint256 toBuyer) = _pay(Payout(payout), terms);
            assertEq(escrow.creditOf(seller, address(asset)), toSeller);
            assertEq(escrow.creditOf(buyer, address(asset)), toBuyer);
            asset.deny(address(escrow), false);
            if (toSeller != 0) {
                vm.prank(seller);
                escrow.withdraw(address(asset), seller);
            }
            if (toBuyer != 0) {
                vm.prank(buyer);
                escrow.withdraw(address(asset), buyer);
            }
            assertEq(asset.balanceOf(seller), toSeller);
            assertEq(asset.balanceOf(buyer), toBuyer);
            vm.revertToState(snapshot);
        }
    }

    /* REBASING */

    function _rebasing() private returns (RebasingToken asset, Terms memory terms) {
        asset = new RebasingToken();
        asset.mint(buyer, 10 * uint256(AMOUNT));
        vm.prank(buyer);
        asset.approve(address(escrow), type(uint256).max);
        terms = coinTerms();
        terms.asset = address(asset);
    }

    /// What came on top belongs to no deal and nobody can take it.
    function test_RebasedUpPaysWhatWasAgreed() public {
        (RebasingToken asset, Terms memory terms) = _rebasing();
        // Even, so that the shares come out even.
        terms.amount = 1000;
        (, Deal memory deal) = fund(terms);
        asset.rebase(2e18);
        vm.prank(buyer);
        escrow.release(deal, 998);
        assertEq(asset.balanceOf(seller), 998);
        assertEq(asset.balanceOf(address(escrow)), 1002);
        vm.prank(seller);
        escrow.refund(deal, 1000);
        expect(IEscrow.NothingToWithdraw.selector);
        vm.prank(buyer);
        escrow.withdraw(address(asset), buyer);
        assertEq(asset.balanceOf(address(escrow)), 1000);
    }

    /// The first that are paid get all, the last are owed what is missing, and other assets know nothing of it.
    function test_RebasedDownOwesTheLast() public {
        (RebasingToken asset, Terms memory terms) = _rebasing();
        (bytes32 first, Deal memory a) = fund(terms);
        terms.annex.salt = "second";
        (bytes32 second, Deal memory b) = fund(terms);
        (, Deal memory coin) = fund(coinTerms());
        (, Deal memory other) = fund(tokenTerms());
        asset.rebase(0.5e18);
        vm.startPrank(buyer);
        escrow.release(a, AMOUNT);
        escrow.release(b, AMOUNT);
        escrow.release(coin, AMOUNT);
        escrow.release(other, AMOUNT);
        vm.stopPrank();
        assertState(first, Status.Closed, 2, 0, NOW, AMOUNT, 0);
        assertState(second, Status.Closed, 2, 0, NOW, AMOUNT, 0);
        assertEq(asset.balanceOf(seller), AMOUNT);
        assertEq(escrow.creditOf(seller, address(asset)), AMOUNT);
        assertEq(seller.balance, AMOUNT);
        assertEq(token.balanceOf(seller), AMOUNT);
        expect(IEscrow.TransferFailed.selector);
        vm.prank(seller);
        escrow.withdraw(address(asset), seller);
        asset.mint(address(escrow), AMOUNT);
        vm.prank(seller);
        escrow.withdraw(address(asset), seller);
        assertEq(asset.balanceOf(seller), 2 * uint256(AMOUNT));
    }

    /// Where the shares do not come out even, another sum arrives than was asked for.
    function test_SharesThatRoundAreRefused() public {
        (RebasingToken asset, Terms memory terms) = _rebasing();
        asset.rebase(3e18);
        bytes memory consent = sign(sellerKey, idOf(terms));
        expect(refusal(IEscrow.IntakeMismatch.selector, AMOUNT - AMOUNT % 3, AMOUNT));
        vm.prank(buyer);
        escrow.fund(terms, consent);
    }
}
