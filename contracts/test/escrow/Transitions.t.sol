// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Deal, IEscrow, State, Terms} from "../../src/interfaces/IEscrow.sol";
import {Fixture} from "../Fixture.sol";

/// @notice Every state with every action, by the party that may take it, at a time when nothing but the state can be
///         wrong: allowed, or refused by name. The columns are in the order of `_call`.
contract TransitionsTest is Fixture {
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
        Metered,
        MeteredLate, // after deliverBy
        MeteredOver, // after deliverBy and inspection
        MeteredDisputed
    }

    uint256 private constant ACTIONS = 11;
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

    /// fund, deliver, release, refund, dispute, evidence, reclaim, claim, lapse, rule, settle
    function _row(Stand stand) private pure returns (bytes4[ACTIONS] memory) {
        if (stand == Stand.Unfunded) {
            return [YES, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN];
        }
        if (stand == Stand.Missed || stand == Stand.Tombstone || stand == Stand.Gone) {
            return [OVER, OVER, OVER, OVER, OVER, OVER, OVER, OVER, OVER, OVER, OVER];
        }
        if (stand == Stand.Funded) {
            return [AGAIN, YES, YES, YES, YES, CALM, EARLY, NOT_YET, CALM, CALM, YES];
        }
        if (stand == Stand.FundedLate) {
            return [AGAIN, LATE, YES, YES, LATE, CALM, YES, NOT_YET, CALM, CALM, YES];
        }
        if (stand == Stand.Delivered) {
            return [AGAIN, ALREADY, YES, YES, YES, CALM, ALREADY, EARLY, CALM, CALM, YES];
        }
        if (stand == Stand.DeliveredLate) {
            return [AGAIN, ALREADY, YES, YES, LATE, CALM, ALREADY, YES, CALM, CALM, YES];
        }
        if (stand == Stand.Disputed) {
            return [AGAIN, DISPUTED, YES, YES, DISPUTED, YES, DISPUTED, DISPUTED, EARLY, YES, YES];
        }
        if (stand == Stand.DisputedLate) {
            return [AGAIN, DISPUTED, YES, YES, DISPUTED, YES, DISPUTED, DISPUTED, YES, LATE, YES];
        }
        if (stand == Stand.Metered) {
            return [AGAIN, METERED, YES, YES, YES, CALM, EARLY, METERED, CALM, CALM, YES];
        }
        if (stand == Stand.MeteredLate) {
            return [AGAIN, METERED, YES, YES, LATE, CALM, EARLY, METERED, CALM, CALM, YES];
        }
        if (stand == Stand.MeteredOver) {
            return [AGAIN, METERED, YES, YES, LATE, CALM, YES, METERED, CALM, CALM, YES];
        }
        return [AGAIN, METERED, YES, YES, DISPUTED, YES, DISPUTED, METERED, EARLY, YES, YES];
    }

    function test_EveryStateWithEveryAction() public {
        for (uint256 stand; stand <= uint256(type(Stand).max); ++stand) {
            uint256 snapshot = vm.snapshotState();
            Terms memory terms = _arrive(Stand(stand));
            bytes4[ACTIONS] memory row = _row(Stand(stand));
            for (uint256 action; action < ACTIONS; ++action) {
                uint256 here = vm.snapshotState();
                bytes32 before = keccak256(abi.encode(escrow.stateOf(idOf(terms)), address(escrow).balance));
                (bool ok, bytes memory answer) = _call(terms, action);
                string memory where = string.concat("stand ", vm.toString(stand), ", action ", vm.toString(action));
                assertEq(ok ? YES : bytes4(answer), row[action], where);
                bytes32 later = keccak256(abi.encode(escrow.stateOf(idOf(terms)), address(escrow).balance));
                assertEq(before == later, !ok, where);
                vm.revertToState(here);
            }
            vm.revertToState(snapshot);
        }
    }

    /// No state is a trap: somebody who needs nobody's leave can close the deal by a time that the terms fix.
    function test_EveryOpenStateHasAnExit() public {
        Stand[4] memory open = [Stand.Funded, Stand.Delivered, Stand.Disputed, Stand.Metered];
        for (uint256 i; i < 4; ++i) {
            uint256 snapshot = vm.snapshotState();
            Terms memory terms = _arrive(open[i]);
            vm.warp(uint256(DELIVER_BY) + INSPECTION + RULING + 1);
            uint256 action = open[i] == Stand.Delivered ? 7 : open[i] == Stand.Disputed ? 8 : 6;
            (bool ok,) = _call(terms, action);
            assertTrue(ok);
            assertEq(address(escrow).balance, 0);
            vm.revertToState(snapshot);
        }
    }

    function _arrive(Stand stand) private returns (Terms memory terms) {
        terms = stand >= Stand.Metered ? meteredTerms() : coinTerms();
        if (stand == Stand.Unfunded) return terms;
        if (stand == Stand.Missed) {
            vm.warp(FUND_BY + 1);
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

    function _call(Terms memory terms, uint256 action) private returns (bool, bytes memory) {
        Deal memory deal = dealOf(terms);
        bytes32 id = idOf(terms);
        bytes memory data;
        address by = stranger;
        uint256 value;
        if (action == 0) {
            (by, value) = (buyer, AMOUNT);
            data = abi.encodeCall(IEscrow.fund, (terms, sign(sellerKey, id)));
        }
        if (action == 1) (by, data) = (seller, abi.encodeCall(IEscrow.deliver, (deal, bytes32(0))));
        if (action == 2) (by, data) = (buyer, abi.encodeCall(IEscrow.release, (deal, 5)));
        if (action == 3) (by, data) = (seller, abi.encodeCall(IEscrow.refund, (deal, 5)));
        if (action == 4) (by, data) = (buyer, abi.encodeCall(IEscrow.dispute, (deal, bytes32(0))));
        if (action == 5) (by, data) = (buyer, abi.encodeCall(IEscrow.evidence, (deal, bytes32(0), "")));
        if (action == 6) data = abi.encodeCall(IEscrow.reclaim, (deal));
        if (action == 7) data = abi.encodeCall(IEscrow.claim, (deal));
        if (action == 8) data = abi.encodeCall(IEscrow.lapse, (deal));
        if (action == 9) (by, data) = (arbiter, abi.encodeCall(IEscrow.rule, (deal, 5)));
        if (action == 10) {
            State memory state = escrow.stateOf(id);
            bytes32 digest = settleDigest(id, 5, state.status, 0, ALWAYS);
            data = abi.encodeCall(IEscrow.settle, (deal, 5, 0, ALWAYS, sign(buyerKey, digest), sign(sellerKey, digest)));
        }
        vm.prank(by);
        return address(escrow).call{value: value}(data);
    }
}
