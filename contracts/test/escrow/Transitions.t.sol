// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Deal, IEscrow, Terms} from "../../src/interfaces/IEscrow.sol";
import {Permit2Fixture} from "./Permit2Fixture.sol";

/// @notice Every state with every action, by the party that may take it, at a time when nothing but the state can be
///         wrong: allowed, or refused by name, and the same directly, in a batch and by signature. The columns are in the
///         order of `_call`.
contract TransitionsTest is Permit2Fixture {
    enum Stand {
        Unfunded, // before fundBy
        Missed, // never funded, after fundBy
        Funded,
        FundedLate, // after deliverBy
        Delivered,
        DeliveredLate, // after inspection
        Disputed,
        DisputedLate, // after ruling
        Tombstone, // closed before fundBy
        Gone, // closed after fundBy
        Retracted, // before fundBy
        RetractedLate, // after fundBy
        Metered,
        MeteredLate, // after deliverBy
        MeteredOver, // after deliverBy and inspection
        MeteredDisputed
    }

    uint256 private constant ACTIONS = 15;
    bytes4 private constant YES = 0;
    bytes4 private constant UNKNOWN = IEscrow.UnknownDeal.selector;
    bytes4 private constant AGAIN = IEscrow.AlreadyFunded.selector;
    bytes4 private constant OVER = IEscrow.DealClosed.selector;
    bytes4 private constant METERED = IEscrow.MeteredDeal.selector;
    bytes4 private constant ALREADY = IEscrow.AlreadyDelivered.selector;
    bytes4 private constant NOT_YET = IEscrow.NotDelivered.selector;
    bytes4 private constant DISPUTED = IEscrow.DealDisputed.selector;
    bytes4 private constant CALM = IEscrow.NotDisputed.selector;
    bytes4 private constant EARLY = IEscrow.TooEarly.selector;
    bytes4 private constant LATE = IEscrow.TooLate.selector;

    /// fund, by signature, by authorization, by Permit2; retract; deliver, release, refund, dispute, evidence, reclaim, claim,
    /// lapse, rule, settle
    function _row(Stand stand) private pure returns (bytes4[ACTIONS] memory row) {
        bytes4[10] memory rest;
        bytes4 taken = AGAIN;
        if (stand == Stand.Unfunded) {
            taken = YES;
            rest = [UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN];
        } else if (_isOver(stand)) {
            taken = OVER;
            rest = [OVER, OVER, OVER, OVER, OVER, OVER, OVER, OVER, OVER, OVER];
        } else {
            rest = _open(stand);
        }
        for (uint256 i; i < ACTIONS; ++i) {
            row[i] = i < 5 ? taken : rest[i - 5];
        }
    }

    function _isOver(Stand stand) private pure returns (bool) {
        return stand == Stand.Missed || stand == Stand.Tombstone || stand == Stand.Gone || stand == Stand.Retracted
            || stand == Stand.RetractedLate;
    }

    function _open(Stand stand) private pure returns (bytes4[10] memory) {
        if (stand == Stand.Funded) {
            return [YES, YES, YES, YES, CALM, EARLY, NOT_YET, CALM, CALM, YES];
        }
        if (stand == Stand.FundedLate) {
            return [LATE, YES, YES, LATE, CALM, YES, NOT_YET, CALM, CALM, YES];
        }
        if (stand == Stand.Delivered) {
            return [ALREADY, YES, YES, YES, CALM, ALREADY, EARLY, CALM, CALM, YES];
        }
        if (stand == Stand.DeliveredLate) {
            return [ALREADY, YES, YES, LATE, CALM, ALREADY, YES, CALM, CALM, YES];
        }
        if (stand == Stand.Disputed) {
            return [DISPUTED, YES, YES, DISPUTED, YES, DISPUTED, DISPUTED, EARLY, YES, YES];
        }
        if (stand == Stand.DisputedLate) {
            return [DISPUTED, YES, YES, DISPUTED, YES, DISPUTED, DISPUTED, YES, LATE, YES];
        }
        if (stand == Stand.Metered) {
            return [METERED, YES, YES, YES, CALM, EARLY, METERED, CALM, CALM, YES];
        }
        if (stand == Stand.MeteredLate) {
            return [METERED, YES, YES, LATE, CALM, EARLY, METERED, CALM, CALM, YES];
        }
        if (stand == Stand.MeteredOver) {
            return [METERED, YES, YES, LATE, CALM, YES, METERED, CALM, CALM, YES];
        }
        return [METERED, YES, YES, DISPUTED, YES, DISPUTED, METERED, EARLY, YES, YES];
    }

    enum Form {
        Direct,
        Batch,
        BySignature
    }

    function setUp() public override {
        super.setUp();
        vm.prank(buyer);
        dollar.approve(address(escrow), type(uint256).max);
    }

    function test_EveryStateWithEveryAction() public {
        for (uint256 stand; stand <= uint256(type(Stand).max); ++stand) {
            uint256 snapshot = vm.snapshotState();
            Terms memory terms = _arrive(Stand(stand));
            bytes4[ACTIONS] memory row = _row(Stand(stand));
            for (uint256 action; action < ACTIONS; ++action) {
                for (uint256 form; form <= uint256(type(Form).max); ++form) {
                    string memory where = string.concat(
                        "stand ", vm.toString(stand), ", action ", vm.toString(action), ", form ", vm.toString(form)
                    );
                    _check(terms, action, Form(form), row[action], where);
                }
            }
            vm.revertToState(snapshot);
        }
    }

    function _check(Terms memory terms, uint256 action, Form form, bytes4 expected, string memory where) private {
        uint256 here = vm.snapshotState();
        bytes32 before = _everything(terms);
        (bool ok, bytes memory answer) = _call(terms, action, form);
        assertEq(ok ? YES : bytes4(answer), expected, where);
        assertEq(before == _everything(terms), !ok, where);
        vm.revertToState(here);
    }

    function _everything(Terms memory terms) private view returns (bytes32) {
        uint256[3] memory balances =
            [dollar.balanceOf(address(escrow)), dollar.balanceOf(buyer), dollar.balanceOf(seller)];
        return keccak256(abi.encode(escrow.stateOf(idOf(terms)), balances));
    }

    /// No state is a trap: somebody who needs nobody's leave can close the deal by a time that the terms fix.
    function test_EveryOpenStateHasAnExit() public {
        Stand[4] memory open = [Stand.Funded, Stand.Delivered, Stand.Disputed, Stand.Metered];
        for (uint256 i; i < 4; ++i) {
            uint256 snapshot = vm.snapshotState();
            Terms memory terms = _arrive(open[i]);
            vm.warp(uint256(DELIVER_BY) + INSPECTION + RULING + 1);
            uint256 action = open[i] == Stand.Delivered ? 11 : open[i] == Stand.Disputed ? 12 : 10;
            (bool ok,) = _call(terms, action, Form.Direct);
            assertTrue(ok);
            assertEq(dollar.balanceOf(address(escrow)), 0);
            vm.revertToState(snapshot);
        }
    }

    function _arrive(Stand stand) private returns (Terms memory terms) {
        terms = dollarTerms();
        terms.metered = stand >= Stand.Metered;
        if (stand == Stand.Unfunded) return terms;
        if (stand == Stand.Missed) {
            vm.warp(FUND_BY + 1);
            return terms;
        }
        if (stand == Stand.Retracted || stand == Stand.RetractedLate) {
            vm.prank(seller);
            escrow.retract(terms);
            if (stand == Stand.RetractedLate) vm.warp(FUND_BY + 1);
            return terms;
        }
        (, Deal memory deal) = fund(terms);
        if (stand == Stand.FundedLate || stand == Stand.MeteredLate) vm.warp(DELIVER_BY + 1);
        if (stand == Stand.MeteredOver) vm.warp(DELIVER_BY + INSPECTION + 1);
        if (stand == Stand.Gone) vm.warp(FUND_BY + 1);
        if (stand == Stand.Delivered || stand == Stand.DeliveredLate) {
            vm.prank(seller);
            escrow.deliver(deal, "");
            if (stand == Stand.DeliveredLate) vm.warp(NOW + INSPECTION + 1);
        }
        if (stand == Stand.Disputed || stand == Stand.DisputedLate || stand == Stand.MeteredDisputed) {
            vm.prank(seller);
            escrow.dispute(deal, "");
            if (stand == Stand.DisputedLate) vm.warp(NOW + RULING + 1);
        }
        if (stand == Stand.Tombstone || stand == Stand.Gone) {
            vm.prank(buyer);
            escrow.release(deal, AMOUNT);
        }
    }

    function _call(Terms memory terms, uint256 action, Form form) private returns (bool, bytes memory) {
        (address by, bytes memory data) = action < 5 ? _taking(terms, action) : _acting(terms, action);
        if (form == Form.BySignature && action >= 5 && action <= 9) (by, data) = (stranger, _signed(terms, action));
        if (form == Form.Batch) {
            bytes[] memory calls = new bytes[](1);
            calls[0] = data;
            data = abi.encodeCall(IEscrow.batch, (calls));
        }
        vm.prank(by);
        return address(escrow).call(data);
    }

    function _taking(Terms memory terms, uint256 action) private view returns (address by, bytes memory data) {
        bytes32 id = idOf(terms);
        bytes memory consent = sign(sellerKey, id);
        if (action == 0) return (buyer, abi.encodeCall(IEscrow.fund, (terms, consent)));
        if (action == 1) {
            bytes memory order = sign(buyerKey, fundDigest(id, ALWAYS));
            return (stranger, abi.encodeCall(IEscrow.fundBySig, (terms, consent, ALWAYS, order)));
        }
        if (action == 2) {
            Authorization memory a = authorization(terms);
            a.validBefore = ALWAYS;
            bytes memory signature = sign(buyerKey, authorizationDigest(a));
            return (
                stranger,
                abi.encodeCall(IEscrow.fundByAuthorization, (terms, consent, a.validAfter, a.validBefore, signature))
            );
        }
        if (action == 3) {
            Order memory order = orderOf(terms);
            order.deadline = ALWAYS;
            bytes memory signature = sign(buyerKey, permit2Digest(order, id));
            return (stranger, abi.encodeCall(IEscrow.fundByPermit2, (terms, consent, NONCE, order.deadline, signature)));
        }
        return (seller, abi.encodeCall(IEscrow.retract, (terms)));
    }

    function _acting(Terms memory terms, uint256 action) private view returns (address by, bytes memory data) {
        Deal memory deal = dealOf(terms);
        bytes32 id = idOf(terms);
        by = stranger;
        if (action == 5) (by, data) = (seller, abi.encodeCall(IEscrow.deliver, (deal, bytes32(0))));
        if (action == 6) (by, data) = (buyer, abi.encodeCall(IEscrow.release, (deal, 5)));
        if (action == 7) (by, data) = (seller, abi.encodeCall(IEscrow.refund, (deal, 5)));
        if (action == 8) (by, data) = (buyer, abi.encodeCall(IEscrow.dispute, (deal, bytes32(0))));
        if (action == 9) (by, data) = (buyer, abi.encodeCall(IEscrow.evidence, (deal, bytes32(0), "")));
        if (action == 10) data = abi.encodeCall(IEscrow.reclaim, (deal));
        if (action == 11) data = abi.encodeCall(IEscrow.claim, (deal));
        if (action == 12) data = abi.encodeCall(IEscrow.lapse, (deal));
        if (action == 13) (by, data) = (arbiter, abi.encodeCall(IEscrow.rule, (deal, 5)));
        if (action == 14) {
            bytes32 digest = settleDigest(id, 5, escrow.stateOf(id).status, 0, ALWAYS);
            data = abi.encodeCall(IEscrow.settle, (deal, 5, 0, ALWAYS, sign(buyerKey, digest), sign(sellerKey, digest)));
        }
    }

    /// The actions from 5 to 9, of the same party.
    function _signed(Terms memory terms, uint256 action) private view returns (bytes memory) {
        Deal memory deal = dealOf(terms);
        bytes32 id = idOf(terms);
        bytes memory signature;
        if (action == 5) {
            signature = sign(sellerKey, deliverDigest(id, 0, ALWAYS));
            return abi.encodeCall(IEscrow.deliverBySig, (deal, 0, ALWAYS, signature));
        }
        if (action == 6) {
            return abi.encodeCall(IEscrow.releaseBySig, (deal, 5, sign(buyerKey, releaseDigest(id, 5))));
        }
        if (action == 7) {
            return abi.encodeCall(IEscrow.refundBySig, (deal, 5, sign(sellerKey, refundDigest(id, 5))));
        }
        if (action == 8) {
            signature = sign(buyerKey, disputeDigest(id, 0, ALWAYS));
            return abi.encodeCall(IEscrow.disputeBySig, (deal, buyer, 0, ALWAYS, signature));
        }
        signature = sign(buyerKey, evidenceDigest(id, 0, "", ALWAYS));
        return abi.encodeCall(IEscrow.evidenceBySig, (deal, buyer, 0, "", ALWAYS, signature));
    }
}
