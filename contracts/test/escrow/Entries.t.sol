// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Deal, IEscrow, Status, Terms} from "../../src/interfaces/IEscrow.sol";
import {Caller, Refuser} from "../accounts/Payees.sol";
import {Permit2Fixture} from "./Permit2Fixture.sol";
import {Nosy} from "../accounts/Nosy.sol";
import {HookToken} from "../tokens/HookToken.sol";

/// @notice Every way into the escrow, tried from every place from which it calls somebody else.
contract EntriesTest is Permit2Fixture {
    /// What pays out; the first six also take in.
    enum Outer {
        Fund,
        FundBySig,
        FundByAuthorization,
        FundByPermit2,
        Permit,
        Batch,
        Release,
        ReleaseBySig,
        Refund,
        RefundBySig,
        Reclaim,
        Claim,
        Lapse,
        Rule,
        Settle,
        Withdraw,
        WithdrawBySig
    }

    /// The deal that the inner calls are about, funded and in coin.
    Terms private _other;

    function setUp() public override {
        super.setUp();
        vm.deal(seller, 1 ether);
        _other = coinTerms();
        _other.annex.salt = "other";
        fund(_other);
    }

    /// Whatever moves money, with what would be right of each outside a hook, as far as it depends on the call.
    function _moving() private view returns (bytes[] memory calls) {
        Deal memory deal = dealOf(_other);
        bytes32 id = idOf(_other);
        Terms memory next = coinTerms();
        next.annex.salt = "next";
        bytes memory consent = sign(sellerKey, idOf(next));
        calls = new bytes[](18);
        calls[0] = abi.encodeCall(IEscrow.fund, (next, consent));
        calls[1] = abi.encodeCall(IEscrow.fundBySig, (next, consent, NOW, sign(buyerKey, fundDigest(idOf(next), NOW))));
        calls[2] = abi.encodeCall(IEscrow.fundByAuthorization, (next, consent, 0, ALWAYS, ""));
        calls[3] = abi.encodeCall(IEscrow.fundByPermit2, (next, consent, 0, ALWAYS, ""));
        calls[4] = abi.encodeCall(IEscrow.permit, (address(token), buyer, 5, ALWAYS, 27, "", ""));
        calls[5] = abi.encodeCall(IEscrow.batch, (new bytes[](0)));
        calls[6] = abi.encodeCall(IEscrow.release, (deal, 5));
        calls[7] = abi.encodeCall(IEscrow.releaseBySig, (deal, 5, sign(buyerKey, releaseDigest(id, 5))));
        calls[8] = abi.encodeCall(IEscrow.refund, (deal, 5));
        calls[9] = abi.encodeCall(IEscrow.refundBySig, (deal, 5, sign(sellerKey, refundDigest(id, 5))));
        calls[10] = abi.encodeCall(IEscrow.reclaim, (deal));
        calls[11] = abi.encodeCall(IEscrow.claim, (deal));
        calls[12] = abi.encodeCall(IEscrow.lapse, (deal));
        calls[13] = abi.encodeCall(IEscrow.rule, (deal, 5));
        bytes32 digest = settleDigest(id, 5, Status.Funded, 0, ALWAYS);
        calls[14] =
            abi.encodeCall(IEscrow.settle, (deal, 5, 0, ALWAYS, sign(buyerKey, digest), sign(sellerKey, digest)));
        calls[15] = abi.encodeCall(IEscrow.withdraw, (address(0), stranger));
        calls[16] = abi.encodeCall(IEscrow.withdrawBySig, (seller, address(0), 5, stranger, ALWAYS, ""));
        bytes[] memory inner = new bytes[](1);
        inner[0] = calls[7];
        calls[17] = abi.encodeCall(IEscrow.batch, (inner));
    }

    /* OUTER CALLS */

    /// A deal of `asset` in which `outer` is right, taken there; where it takes in, not funded yet.
    function _arrive(Outer outer, address asset) private returns (Terms memory terms) {
        terms = coinTerms();
        terms.asset = asset;
        if (uint256(outer) < 6) return terms;
        if (outer == Outer.Claim) delivered(terms);
        else if (outer == Outer.Lapse || outer == Outer.Rule) disputed(terms);
        else fund(terms);
        if (outer == Outer.Reclaim) vm.warp(DELIVER_BY + 1);
        if (outer == Outer.Claim) vm.warp(NOW + INSPECTION + 1);
        if (outer == Outer.Lapse) vm.warp(NOW + RULING + 1);
    }

    function _do(Outer outer, Terms memory terms) private {
        Deal memory deal = dealOf(terms);
        bytes32 id = idOf(terms);
        bytes memory consent = sign(sellerKey, id);
        if (outer == Outer.Fund || outer == Outer.Batch || outer == Outer.Release) vm.prank(buyer);
        if (outer == Outer.Refund || outer == Outer.Withdraw) vm.prank(seller);
        if (outer == Outer.Rule) vm.prank(arbiter);
        if (outer == Outer.Fund) escrow.fund(terms, consent);
        if (outer == Outer.FundBySig) escrow.fundBySig(terms, consent, NOW, sign(buyerKey, fundDigest(id, NOW)));
        if (outer == Outer.FundByAuthorization) escrow.fundByAuthorization(terms, consent, 0, ALWAYS, "");
        if (outer == Outer.FundByPermit2) {
            escrow.fundByPermit2(terms, consent, NONCE, NOW, sign(buyerKey, permit2Digest(orderOf(terms), id)));
        }
        if (outer == Outer.Permit) escrow.permit(terms.asset, buyer, 5, ALWAYS, 27, "", "");
        if (outer == Outer.Batch) {
            bytes[] memory calls = new bytes[](1);
            calls[0] = abi.encodeCall(IEscrow.fund, (terms, consent));
            escrow.batch(calls);
        }
        if (outer == Outer.Release) escrow.release(deal, AMOUNT);
        if (outer == Outer.ReleaseBySig) escrow.releaseBySig(deal, AMOUNT, sign(buyerKey, releaseDigest(id, AMOUNT)));
        if (outer == Outer.Refund) escrow.refund(deal, AMOUNT);
        if (outer == Outer.RefundBySig) escrow.refundBySig(deal, AMOUNT, sign(sellerKey, refundDigest(id, AMOUNT)));
        if (outer == Outer.Reclaim) escrow.reclaim(deal);
        if (outer == Outer.Claim) escrow.claim(deal);
        if (outer == Outer.Lapse) escrow.lapse(deal);
        if (outer == Outer.Rule) escrow.rule(deal, 5000);
        bytes32 digest = settleDigest(id, AMOUNT / 2, Status.Funded, 0, ALWAYS);
        if (outer == Outer.Settle) {
            escrow.settle(deal, AMOUNT / 2, 0, ALWAYS, sign(buyerKey, digest), sign(sellerKey, digest));
        }
        if (outer == Outer.Withdraw) escrow.withdraw(terms.asset, stranger);
        digest = withdrawDigest(seller, terms.asset, 7, stranger, 0, ALWAYS);
        if (outer == Outer.WithdrawBySig) {
            escrow.withdrawBySig(seller, terms.asset, 7, stranger, ALWAYS, sign(sellerKey, digest));
        }
    }

    /* FROM A TOKEN */

    function _hookToken() private returns (HookToken asset) {
        asset = new HookToken();
        asset.mint(buyer, AMOUNT);
        vm.startPrank(buyer);
        asset.approve(address(escrow), AMOUNT);
        asset.approve(PERMIT2, AMOUNT);
        vm.stopPrank();
    }

    /// Leaves the seller with a credit of 7 in `asset`.
    function _owe(address asset) private {
        Terms memory terms = coinTerms();
        (terms.asset, terms.amount, terms.annex.salt) = (asset, 7, "owed");
        if (asset != address(0)) {
            HookToken(asset).mint(buyer, 7);
            vm.prank(buyer);
            HookToken(asset).approve(address(escrow), 7);
        }
        (, Deal memory deal) = fund(terms);
        if (asset == address(0)) vm.etch(seller, address(new Refuser()).code);
        else vm.mockCallRevert(asset, abi.encodeCall(HookToken.transfer, (seller, 7)), "");
        vm.prank(buyer);
        escrow.release(deal, 7);
        if (asset == address(0)) vm.etch(seller, "");
        assertEq(escrow.creditOf(seller, asset), 7);
    }

    function test_NothingMovesFromATokensHook() public {
        HookToken asset = _hookToken();
        bytes[] memory calls = _moving();
        bytes32 other = idOf(_other);
        for (uint256 outer; outer <= uint256(type(Outer).max); ++outer) {
            uint256 snapshot = vm.snapshotState();
            Terms memory terms = coinTerms();
            if (Outer(outer) >= Outer.Withdraw) {
                _owe(address(asset));
                terms.asset = address(asset);
            } else {
                terms = _arrive(Outer(outer), address(asset));
            }
            for (uint256 i; i < calls.length; ++i) {
                uint256 here = vm.snapshotState();
                string memory where = string.concat("outer ", vm.toString(outer), ", inner ", vm.toString(i));
                asset.plan(address(escrow), calls[i]);
                _do(Outer(outer), terms);
                assertGt(asset.count(), 0, where);
                assertFalse(asset.ok(), where);
                assertEq(bytes4(asset.answer()), IEscrow.Reentered.selector, where);
                assertState(other, Status.Funded, 1, 0, NOW, 0, 0);
                vm.revertToState(here);
            }
            vm.revertToState(snapshot);
        }
    }

    /// What moves no money finds the deal as the outer call leaves it, or refuses for a reason of its own.
    function test_TheRestSeesTheNewStateFromATokensHook() public {
        HookToken asset = _hookToken();
        bytes32 id = idOf(_other);
        Deal memory deal = dealOf(_other);
        Terms memory next = coinTerms();
        next.annex.salt = "next";
        bytes[] memory calls = new bytes[](8);
        calls[0] = abi.encodeCall(IEscrow.deliver, (deal, ""));
        calls[1] =
            abi.encodeCall(IEscrow.deliverBySig, (deal, "", ALWAYS, sign(sellerKey, deliverDigest(id, "", ALWAYS))));
        calls[2] = abi.encodeCall(IEscrow.dispute, (deal, ""));
        calls[3] = abi.encodeCall(
            IEscrow.disputeBySig, (deal, buyer, "", ALWAYS, sign(buyerKey, disputeDigest(id, "", ALWAYS)))
        );
        calls[4] = abi.encodeCall(IEscrow.evidence, (deal, "", ""));
        calls[5] = abi.encodeCall(IEscrow.evidenceBySig, (deal, buyer, "", "", ALWAYS, ""));
        calls[6] = abi.encodeCall(IEscrow.retract, (next));
        calls[7] = abi.encodeCall(IEscrow.revoke, (id));
        bytes4[8] memory expected = [
            IEscrow.NotSeller.selector,
            bytes4(0),
            IEscrow.NotParty.selector,
            bytes4(0),
            IEscrow.NotDisputed.selector,
            IEscrow.NotDisputed.selector,
            IEscrow.NotParty.selector,
            bytes4(0)
        ];
        Terms memory terms = _arrive(Outer.Release, address(asset));
        for (uint256 i; i < calls.length; ++i) {
            uint256 here = vm.snapshotState();
            asset.plan(address(escrow), calls[i]);
            _do(Outer.Release, terms);
            assertEq(asset.ok() ? bytes4(0) : bytes4(asset.answer()), expected[i], vm.toString(i));
            vm.revertToState(here);
        }
        asset.plan(address(escrow), abi.encodeCall(IEscrow.stateOf, (idOf(terms))));
        _do(Outer.Release, terms);
        assertEq(asset.answer(), abi.encode(escrow.stateOf(idOf(terms))));
    }

    /// While it is being funded a deal is there already: nobody funds or retracts it again, and what was recorded goes with
    /// the money if that does not come.
    function test_ADealBeingFundedIsThere() public {
        HookToken asset = _hookToken();
        Terms memory terms = _arrive(Outer.Fund, address(asset));
        bytes32 id = idOf(terms);
        Deal memory deal = dealOf(terms);
        asset.plan(
            address(escrow),
            abi.encodeCall(IEscrow.deliverBySig, (deal, "", ALWAYS, sign(sellerKey, deliverDigest(id, "", ALWAYS))))
        );
        uint256 here = vm.snapshotState();
        _do(Outer.Fund, terms);
        assertTrue(asset.ok());
        assertState(id, Status.Delivered, 2, NOW, NOW, 0, 0);
        vm.revertToState(here);
        vm.prank(buyer);
        asset.approve(address(escrow), AMOUNT - 1);
        bytes memory consent = sign(sellerKey, id);
        expect(IEscrow.TransferFailed.selector);
        vm.prank(buyer);
        escrow.fund(terms, consent);
        assertGone(id);
    }

    /* FROM A PAYEE OF COIN */

    /// The payee takes the coin only when the call it makes on receiving it was refused as reentering.
    function test_NothingMovesFromAPayeesHook() public {
        _owe(address(0));
        bytes[] memory calls = _moving();
        bytes memory code = address(new Caller()).code;
        bytes32 other = idOf(_other);
        for (uint256 outer = uint256(Outer.Release); outer <= uint256(type(Outer).max); ++outer) {
            uint256 snapshot = vm.snapshotState();
            Terms memory terms = coinTerms();
            if (Outer(outer) < Outer.Withdraw) terms = _arrive(Outer(outer), address(0));
            address payee = Outer(outer) >= Outer.Withdraw
                ? stranger
                : Outer(outer) == Outer.Refund || Outer(outer) == Outer.RefundBySig || Outer(outer) == Outer.Reclaim
                    ? buyer
                    : seller;
            for (uint256 i; i < calls.length; ++i) {
                uint256 here = vm.snapshotState();
                vm.etch(payee, code);
                bytes[] memory one = new bytes[](1);
                one[0] = calls[i];
                Caller(payable(payee)).plan(address(escrow), one);
                Caller(payable(payee)).confess();
                // Its plan is read again in the call: warm, as a payee's own calls before would have it.
                uint256 before = payee.balance;
                _do(Outer(outer), terms);
                string memory where = string.concat("outer ", vm.toString(outer), ", inner ", vm.toString(i));
                assertGt(payee.balance, before, where);
                assertState(other, Status.Funded, 1, 0, NOW, 0, 0);
                vm.revertToState(here);
            }
            vm.revertToState(snapshot);
        }
    }

    /* FROM WHO IS ONLY ASKED */

    /// A wallet asked for its word, an arbiter for its number, a token for a balance: none can change anything.
    function test_WhoIsAskedChangesNothing() public {
        Deal memory deal = dealOf(_other);
        bytes[] memory tries = new bytes[](21);
        bytes[] memory moving = _moving();
        for (uint256 i; i < moving.length; ++i) {
            tries[i] = moving[i];
        }
        bytes32 id = idOf(_other);
        tries[18] = abi.encodeCall(
            IEscrow.disputeBySig, (deal, buyer, "", ALWAYS, sign(buyerKey, disputeDigest(id, "", ALWAYS)))
        );
        tries[19] = abi.encodeCall(IEscrow.deliver, (deal, ""));
        tries[20] = abi.encodeCall(IEscrow.revoke, (id));
        Nosy nosy = new Nosy();
        vm.deal(address(nosy), 100 ether);
        nosy.mint(buyer, 100 * uint256(AMOUNT));
        vm.prank(buyer);
        nosy.approve(address(escrow), type(uint256).max);
        for (uint256 i; i < tries.length; ++i) {
            nosy.plan(address(escrow), tries[i]);
            _askedAsWallet(nosy, i);
            _askedAsArbiterAndToken(nosy, i);
        }
        assertState(id, Status.Funded, 1, 0, NOW, 0, 0);
    }

    function _askedAsWallet(Nosy nosy, uint256 i) private {
        Terms memory terms = coinTerms();
        (terms.seller, terms.annex.salt) = (address(nosy), bytes32(i));
        vm.prank(buyer);
        bytes32 id = escrow.fund{value: AMOUNT}(terms, "");
        escrow.deliverBySig(dealOf(terms), "", ALWAYS, "");
        escrow.refundBySig(dealOf(terms), AMOUNT, "");
        assertState(id, Status.Closed, 3, 0, NOW, 0, AMOUNT);
    }

    function _askedAsArbiterAndToken(Nosy nosy, uint256 i) private {
        Terms memory terms = coinTerms();
        (terms.arbiter, terms.annex.salt) = (address(nosy), bytes32(i));
        (bytes32 id, Deal memory deal) = disputed(terms);
        bytes32 digest = settleDigest(id, 5, Status.Disputed, 7, ALWAYS);
        escrow.settle(deal, 5, 7, ALWAYS, sign(buyerKey, digest), sign(sellerKey, digest));
        assertState(id, Status.Closed, 3, 0, NOW, 5, AMOUNT - 5);
        terms = coinTerms();
        (terms.asset, terms.annex.salt) = (address(nosy), bytes32(i));
        (id, deal) = fund(terms);
        vm.prank(buyer);
        escrow.release(deal, AMOUNT);
        assertState(id, Status.Closed, 2, 0, NOW, AMOUNT, 0);
        assertEq(escrow.creditOf(seller, address(nosy)), 0);
    }
}
