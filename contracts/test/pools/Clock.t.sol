// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Jury, Stage} from "../../src/interfaces/IArbitrationPools.sol";
import {State, Terms} from "../../src/interfaces/IEscrow.sol";
import {CaseFixture} from "./CaseFixture.sol";

/// @notice Boundaries follow from the dispute and from acceptances. Who called, and when, moves none of them.
contract ClockTest is CaseFixture {
    /// forge-config: default.fuzz.runs = 128
    /// One case led through four juries and two last words with every call at a moment of chance in its window: every
    /// boundary is where the dispute alone puts it.
    function testFuzz_LateCallsMoveNoBoundary(uint256 noise) public {
        Terms memory terms = caseTerms();
        bytes32 id = _disputedAndLate(terms, noise);
        uint256 end = START + SPAN;
        _instance(terms, noise, 0, START, HALF, end);
        uint256 until = end + APPEAL;
        vm.warp(_between(noise, 6, end + 1, until));
        pools.conclude(address(escrow), terms);
        assertEq(lastOf(id).acceptedAt, end);
        vm.warp(_between(noise, 7, vm.getBlockTimestamp(), until));
        appealAs(noise % 2 == 0 ? buyer : seller, terms);
        _instance(terms, noise, 8, until, PARENT_HALF, until + PARENT_SPAN);
        vm.warp(_between(noise, 14, until + PARENT_SPAN + 1, START + RULING));
        pools.conclude(address(escrow), terms);
        assertEq(lastOf(id).acceptedAt, until + PARENT_SPAN);
        assertStage(id, Stage.Executed);
    }

    function _disputedAndLate(Terms memory terms, uint256 noise) private returns (bytes32 id) {
        (id,) = disputed(terms);
        vm.warp(_between(noise, 99, START, START + HALF / 2));
        pools.open(address(escrow), id);
    }

    /// Draws, votes and seats a second jury anywhere between `begin` and `end`; nothing is ever ruled.
    function _instance(Terms memory terms, uint256 noise, uint256 at_, uint256 begin, uint256 half, uint256 end)
        private
    {
        bytes32 id = idOf(terms);
        uint256 earliest = begin > vm.getBlockTimestamp() ? begin : vm.getBlockTimestamp();
        vm.warp(_between(noise, at_, earliest, end - half));
        drawLast(terms);
        assertEq(lastOf(id).endsAt, end);
        vm.warp(_between(noise, at_ + 1, vm.getBlockTimestamp(), end - half));
        if (noise >> at_ & 1 == 1) vote(terms, 0, shares(6000, NONE, NONE));
        vm.warp(end - half);
        expectTooEarly(end - half + 1);
        pools.openSecondJury(address(escrow), terms);
        vm.warp(_between(noise, at_ + 2, end - half + 1, end));
        pools.openSecondJury(address(escrow), terms);
        assertEq(lastOf(id).endsAt, end);
        vm.warp(_between(noise, at_ + 3, vm.getBlockTimestamp(), end));
        drawLast(terms);
        assertEq(lastOf(id).endsAt, end);
        vm.warp(_between(noise, at_ + 4, vm.getBlockTimestamp(), end));
        vote(terms, 1, shares(4000, NONE, NONE));
        vm.warp(end);
        expectTooEarly(end + 1);
        pools.conclude(address(escrow), terms);
    }

    function _between(uint256 noise, uint256 step, uint256 least, uint256 most) private pure returns (uint256) {
        return least + uint256(keccak256(abi.encode(noise, step))) % (most - least + 1);
    }

    /* THE WORST CASE */

    /// The longest way: nobody rules, each jury's time runs to its last second, everyone calls as late as still has an
    /// effect, the losing side appeals in the last second, and a day goes by before somebody executes.
    function _longest(Terms memory terms) private returns (uint256 time) {
        bytes32 id = heard(terms);
        vm.warp(START + SPAN);
        vote(terms, 0, shares(500, 9500, NONE));
        pools.openSecondJury(address(escrow), terms);
        drawLast(terms);
        vote(terms, 1, shares(500, 9500, NONE));
        vm.warp(START + SPAN + APPEAL);
        pools.conclude(address(escrow), terms);
        assertStage(id, Stage.Accepted);
        appealAs(buyer, terms);
        uint256 end = START + SPAN + APPEAL + PARENT_SPAN;
        vm.warp(end);
        drawLast(terms);
        vote(terms, 0, shares(500, 9500, NONE, NONE, NONE));
        pools.openSecondJury(address(escrow), terms);
        drawLast(terms);
        vote(terms, 1, shares(500, 9500, NONE, NONE, NONE));
        // The first second in which the last word can be spoken, and a day less that second for executing it.
        vm.warp(end + 1 days);
        pools.conclude(address(escrow), terms);
        assertPaid(id, LAPSE_SHARE);
        return vm.getBlockTimestamp() - START;
    }

    /// Where the terms give as long as the worst case, as hubs demand, the longest way is open and ends in time: it leaves
    /// the margin of an appeal, and the day for executing that a case without an appeal would have had.
    function test_TheWorstCaseIsTheLongestWay() public {
        Terms memory terms = caseTerms();
        terms.ruling = uint32(pools.worstCase(court));
        uint256 longest = _longest(terms);
        assertEq(longest, SPAN + APPEAL + PARENT_SPAN + 1 days);
        assertEq(pools.worstCase(court), longest + 1 days + 1 days);
    }

    /// Without a parent it is the longest way to the second: the last word falls and a day is left to execute it.
    function test_TheWorstCaseWithoutAParent() public {
        Terms memory terms = caseTerms();
        terms.annex.panel = pool;
        terms.ruling = uint32(pools.worstCase(pool));
        bytes32 id = heard(terms);
        vm.warp(START + SPAN);
        vote(terms, 0, shares(500, 9500, NONE));
        pools.openSecondJury(address(escrow), terms);
        drawLast(terms);
        vote(terms, 1, shares(500, 9500, NONE));
        vm.warp(START + SPAN + 1 days);
        assertEq(vm.getBlockTimestamp(), START + pools.worstCase(pool));
        pools.conclude(address(escrow), terms);
        assertPaid(id, LAPSE_SHARE);
        State memory state = escrow.stateOf(id);
        assertEq(state.since, 0);
    }

    /// Straight to the parent, a case takes no longer than with an appeal.
    function test_TheWorstCaseCoversTheParentsHearing() public {
        uint256 worst = pools.worstCase(court);
        assertGe(worst, pools.worstCase(parent));
        assertEq(worst, SPAN + 1 days + APPEAL + PARENT_SPAN + 1 days + 1 days);
        assertEq(pools.worstCase(parent), PARENT_SPAN + 1 days);
    }

    /// Every ruling that can be accepted within the worst case and be appealed leaves the parent its whole time.
    function testFuzz_AnAppealIsNeverCutShort(uint256 ruling, uint256 time) public {
        Terms memory terms = caseTerms();
        terms.ruling = uint32(bound(ruling, 1 hours, pools.worstCase(court) + 1 days));
        bytes32 id = heard(terms);
        vm.warp(bound(time, START, lastOf(id).endsAt));
        vote(terms, 0, shares(500, 500, NONE));
        if (lastOf(id).stage == Stage.Executed) return;
        uint256 until = appealUntil(id);
        vm.warp(until);
        appealAs(buyer, terms);
        Jury memory last = lastOf(id);
        assertEq(last.endsAt, until + PARENT_SPAN);
        assertLe(last.endsAt + SPARE, START + uint256(terms.ruling));
    }
}
