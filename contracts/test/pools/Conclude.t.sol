// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IArbitrationPools, Jury, Stage} from "../../src/interfaces/IArbitrationPools.sol";
import {IEscrow, Status, Terms} from "../../src/interfaces/IEscrow.sol";
import {CaseFixture} from "./CaseFixture.sol";

/// @notice When the last word falls.
contract ConcludeTest is CaseFixture {
    function test_AfterTheEndAndUntilTheDeadline() public {
        Terms memory terms = caseTerms();
        bytes32 id = heard(terms);
        vote(terms, 0, shares(1000, 9000, NONE));
        vm.warp(START + SPAN);
        expectTooEarly(START + SPAN + 1);
        pools.conclude(address(escrow), terms);
        vm.warp(START + RULING + 1);
        expectTooLate(START + RULING);
        pools.conclude(address(escrow), terms);
        vm.warp(START + SPAN + 1);
        uint256 snapshot = vm.snapshotState();
        vm.expectEmit(address(pools));
        emit IArbitrationPools.RulingAccepted(
            id, address(escrow), 0, 0, 3 | 19 << 5, LAPSE_SHARE, uint40(START + SPAN) + APPEAL + 1
        );
        vm.prank(stranger);
        pools.conclude(address(escrow), terms);
        assertStage(id, Stage.Accepted);
        assertAccepted(id, START + SPAN, LAPSE_SHARE);
        vm.revertToState(snapshot);
        // The very last second: accepted as of the end all the same, and executed at once.
        vm.warp(START + RULING);
        pools.conclude(address(escrow), terms);
        assertAccepted(id, START + SPAN, LAPSE_SHARE);
        assertPaid(id, LAPSE_SHARE);
    }

    function test_OnlyWhereAJuryWasDrawn() public {
        Terms memory terms = caseTerms();
        expect(IArbitrationPools.UnknownCase.selector);
        pools.conclude(address(escrow), terms);
        opened(terms);
        vm.warp(START + SPAN + 1);
        expect(IArbitrationPools.NotDrawn.selector);
        pools.conclude(address(escrow), terms);
    }

    /// A ruling needs a ballot; without any the deal lapses, at the same share.
    function test_WithoutAnyBallotOnlyTheLapseIsLeft() public {
        for (uint256 kind; kind < 3; ++kind) {
            uint256 snapshot = vm.snapshotState();
            Terms memory terms = caseTerms();
            bytes32 id = heard(terms);
            vm.warp(START + HALF + 1);
            if (kind > 0) pools.openSecondJury(address(escrow), terms);
            if (kind > 1) drawLast(terms);
            vm.warp(START + SPAN + 1);
            expect(IArbitrationPools.NoBallots.selector);
            pools.conclude(address(escrow), terms);
            vm.warp(START + RULING);
            expect(IArbitrationPools.NoBallots.selector);
            pools.conclude(address(escrow), terms);
            assertEq(pools.rulings(address(escrow), id), 0);
            vm.warp(START + RULING + 1);
            escrow.lapse(dealOf(terms));
            assertEq(seller.balance, LAPSE_TOTAL);
            vm.revertToState(snapshot);
        }
    }

    /// With a second more than the pool takes there is a second in which to conclude, and with none there is none.
    function test_InAShortRulingThereIsNoLastWord() public {
        uint32[4] memory rulings = [uint32(1 hours), uint32(SPAN) - 1, uint32(SPAN), uint32(SPAN) + 1];
        for (uint256 i; i < 4; ++i) {
            uint256 snapshot = vm.snapshotState();
            Terms memory terms = caseTerms();
            terms.ruling = rulings[i];
            bytes32 id = heard(terms);
            vote(terms, 0, shares(5000, NONE, NONE));
            uint256 deadline = START + rulings[i];
            uint256 end = rulings[i] < SPAN ? deadline : START + SPAN;
            assertEq(lastOf(id).endsAt, end);
            vm.warp(end);
            expectTooEarly(end + 1);
            pools.conclude(address(escrow), terms);
            vm.warp(end + 1);
            if (i < 3) {
                expectTooLate(deadline);
                pools.conclude(address(escrow), terms);
                escrow.lapse(dealOf(terms));
                assertEq(seller.balance, LAPSE_TOTAL);
            } else {
                pools.conclude(address(escrow), terms);
                assertPaid(id, LAPSE_SHARE);
            }
            vm.revertToState(snapshot);
        }
    }

    function test_NotOfAClosedDeal() public {
        Terms memory terms = caseTerms();
        bytes32 id = heard(terms);
        vote(terms, 0, shares(1000, 9000, NONE));
        vm.prank(seller);
        escrow.refund(dealOf(terms), AMOUNT);
        vm.warp(START + SPAN + 1);
        expect(IArbitrationPools.NotDisputed.selector);
        pools.conclude(address(escrow), terms);
        assertEq(pools.rulings(address(escrow), id), 0);
    }

    function test_NotTwice() public {
        Terms memory terms = caseTerms();
        heard(terms);
        vote(terms, 0, shares(1000, 9000, NONE));
        vm.warp(START + SPAN + 1);
        pools.conclude(address(escrow), terms);
        expect(IArbitrationPools.AlreadyAccepted.selector);
        pools.conclude(address(escrow), terms);
        vm.warp(START + SPAN + APPEAL + 1);
        pools.execute(address(escrow), terms);
        expect(IArbitrationPools.AlreadyAccepted.selector);
        pools.conclude(address(escrow), terms);
    }

    /// A last word that nobody spoke in time for an appeal is executed as it is spoken; its window was over.
    function test_TheWindowForAnAppealIsCountedFromTheEnd() public {
        Terms memory terms = caseTerms();
        bytes32 id = heard(terms);
        vote(terms, 0, shares(1000, 9000, NONE));
        uint256 until = START + SPAN + APPEAL;
        vm.warp(until);
        uint256 snapshot = vm.snapshotState();
        pools.conclude(address(escrow), terms);
        assertStage(id, Stage.Accepted);
        appealAs(seller, terms);
        assertEq(lastOf(id).endsAt, until + PARENT_SPAN);
        vm.revertToState(snapshot);
        vm.warp(until + 1);
        pools.conclude(address(escrow), terms);
        assertPaid(id, LAPSE_SHARE);
    }
}

/// @notice What the last word is.
contract LastWordTest is CaseFixture {
    /// Both juries vote, the instance ends, and `share` is what stands.
    function _concluded(uint16[] memory first, uint16[] memory second, uint16 share) private {
        uint256 snapshot = vm.snapshotState();
        Terms memory terms = caseTerms();
        bytes32 id = heard(terms);
        if (ballotsOf(terms, 0, first).length != 0) vote(terms, 0, first);
        if (second.length != 0) {
            seatSecond(terms);
            if (ballotsOf(terms, 1, second).length != 0) vote(terms, 1, second);
        }
        vm.warp(START + SPAN + 1);
        uint8 jury = second.length == 0 ? 0 : 1;
        uint256 word = wordOf(jury == 0 ? first : second);
        vm.expectEmit(address(pools));
        emit IArbitrationPools.RulingAccepted(
            id, address(escrow), 0, jury, word, share, uint40(START + SPAN) + APPEAL + 1
        );
        pools.conclude(address(escrow), terms);
        assertAccepted(id, START + SPAN, share);
        vm.revertToState(snapshot);
    }

    function test_TheLapseShareWhereTheBallotsLeaveIt() public {
        _concluded(shares(3000, 3500, NONE), new uint16[](0), LAPSE_SHARE);
        _concluded(shares(NONE, 9000, NONE), new uint16[](0), LAPSE_SHARE);
    }

    function test_ElseTheNearestThatTheyLeave() public {
        _concluded(shares(6000, 8000, NONE), new uint16[](0), 6000);
        _concluded(shares(NONE, 3000, 0), new uint16[](0), 3000);
    }

    function test_TheFirstJurysBoundsComeBeforeTheSeconds() public {
        _concluded(shares(2000, 3000, NONE), shares(6000, 8000, NONE), 6000);
        _concluded(shares(6000, 8000, NONE), shares(2000, 3000, NONE), 3000);
    }

    function test_ASilentSecondJuryUndoesNothing() public {
        _concluded(shares(6000, 8000, NONE), shares(NONE, NONE, NONE), 6000);
    }

    function test_ASecondJuryThatNobodyDrewUndoesNothing() public {
        Terms memory terms = caseTerms();
        bytes32 id = heard(terms);
        vote(terms, 0, shares(6000, 8000, NONE));
        vm.warp(START + SPAN);
        pools.openSecondJury(address(escrow), terms);
        vm.warp(START + SPAN + 1);
        pools.conclude(address(escrow), terms);
        assertAccepted(id, START + SPAN, 6000);
        // What was accepted without having been drawn has no seats.
        expect(IArbitrationPools.NotDrawn.selector);
        pools.juryOf(address(escrow), terms, 1);
        assertEq(pools.juryOf(address(escrow), terms, 0).length, 3);
    }

    function test_ASecondJuryAlone() public {
        _concluded(shares(NONE, NONE, NONE), shares(6000, 8000, NONE), 6000);
    }

    /// Who contradicts itself counts as missing: heard, but bounding nothing.
    function test_VoidSeatsBoundNothing() public {
        _concluded(shares(VOID, 9000, NONE), new uint16[](0), LAPSE_SHARE);
        _concluded(shares(VOID, 9000, 8000), new uint16[](0), 8000);
        _concluded(shares(VOID, VOID, VOID), new uint16[](0), LAPSE_SHARE);
    }

    /// forge-config: default.fuzz.runs = 96
    /// For any ballots of both juries that rule nothing: the lapse share, clamped by bounds that sorting finds.
    function testFuzz_IsTheClampOfBothJuries(uint256 noise, uint16 lapse) public {
        Terms memory terms = caseTerms();
        terms.lapseShare = uint16(bound(lapse, 0, 10_000));
        bytes32 id = heard(terms);
        uint16[] memory first = _undecided(noise);
        uint16[] memory second = _undecided(noise >> 128);
        if (_count(first) != 0) vote(terms, 0, first);
        seatSecond(terms);
        if (_count(second) != 0) vote(terms, 1, second);
        vm.warp(START + SPAN + 1);
        if (_count(first) + _count(second) == 0) {
            expect(IArbitrationPools.NoBallots.selector);
            pools.conclude(address(escrow), terms);
            return;
        }
        uint16 share = _clamp(_clamp(terms.lapseShare, first), second);
        pools.conclude(address(escrow), terms);
        assertAccepted(id, START + SPAN, share);
    }

    /// Of three seats at least one is missing, and two that are there differ.
    function _undecided(uint256 noise) private pure returns (uint16[] memory said) {
        said = shares(NONE, NONE, NONE);
        uint256 a = noise % 3;
        uint256 b = (a + 1 + (noise >> 8) % 2) % 3;
        uint16 share = uint16((noise >> 16) % 21) * 500;
        if ((noise >> 32) % 4 > 0) said[a] = share;
        if ((noise >> 40) % 4 > 0) {
            said[b] = (noise >> 48) % 5 == 0 ? VOID : (share + 500 + uint16((noise >> 56) % 20) * 500) % 10_500;
        }
    }

    function _count(uint16[] memory said) private pure returns (uint256 count) {
        for (uint256 i; i < said.length; ++i) {
            if (said[i] != NONE) ++count;
        }
    }

    function _clamp(uint16 share, uint16[] memory said) private pure returns (uint16) {
        (uint16 lo, uint16 hi) = boundsOf(said);
        return share < lo ? lo : share > hi ? hi : share;
    }

    /* IN AN APPEAL */

    function _appealConcluded(uint16 share, uint16[] memory first, uint16[] memory second, uint16 expected) private {
        uint256 snapshot = vm.snapshotState();
        Terms memory terms = caseTerms();
        bytes32 id = appealed(terms, share);
        uint256 end = START + APPEAL + PARENT_SPAN;
        if (first.length != 0) drawLast(terms);
        if (first.length != 0 && ballotsOf(terms, 0, first).length != 0) vote(terms, 0, first);
        if (second.length != 0) {
            seatSecond(terms);
            if (ballotsOf(terms, 1, second).length != 0) vote(terms, 1, second);
        }
        vm.warp(end);
        expectTooEarly(end + 1);
        pools.conclude(address(escrow), terms);
        vm.warp(end + 1);
        uint8 jury = second.length == 0 ? 0 : 1;
        uint256 word = wordOf(jury == 0 ? first : second);
        vm.expectEmit(address(pools));
        emit IArbitrationPools.RulingAccepted(id, address(escrow), 1, jury, word, expected, 0);
        pools.conclude(address(escrow), terms);
        assertAccepted(id, end, expected);
        assertPaid(id, expected);
        assertEq(pools.rulings(address(escrow), id), 2);
        vm.revertToState(snapshot);
    }

    /// Whoever keeps the parent's jurors from voting gains nothing by appealing.
    function test_OfASilentAppealIsTheRulingAppealedFrom() public {
        uint16[] memory silent = shares(NONE, NONE, NONE, NONE, NONE);
        _appealConcluded(7000, silent, new uint16[](0), 7000);
        _appealConcluded(7000, silent, silent, 7000);
    }

    function test_OfAnAppealThatNobodyDrewIsTheRulingAppealedFrom() public {
        _appealConcluded(7000, new uint16[](0), new uint16[](0), 7000);
    }

    function test_OfAnAppealIsTheRulingAppealedFromAsFarAsItsBallotsLeaveIt() public {
        uint16[] memory low = shares(0, 1000, 2000, NONE, 9000);
        // k = 3: at most the third lowest, at least the third highest.
        _appealConcluded(7000, low, new uint16[](0), 2000);
        _appealConcluded(1500, low, new uint16[](0), 1500);
        _appealConcluded(500, low, shares(NONE, 5000, 5000, 9000, 9000), 5000);
        _appealConcluded(7000, shares(NONE, NONE, NONE, NONE, NONE), low, 2000);
    }

    /// What the first instance's juries did not say binds nothing any more; only their ruling stands.
    function test_OfAnAppealFromALastWord() public {
        Terms memory terms = caseTerms();
        bytes32 id = heard(terms);
        vote(terms, 0, shares(6000, 8000, NONE));
        seatSecond(terms);
        vote(terms, 1, shares(7000, 9000, NONE));
        vm.warp(START + SPAN + 1);
        pools.conclude(address(escrow), terms);
        assertAccepted(id, START + SPAN, 7000);
        appealAs(buyer, terms);
        drawLast(terms);
        vote(terms, 0, shares(0, 500, 1000, NONE, 10_000));
        uint256 end = START + SPAN + APPEAL + PARENT_SPAN;
        vm.warp(end + 1);
        pools.conclude(address(escrow), terms);
        assertAccepted(id, end, 1000);
        assertPaid(id, 1000);
        assertEq(uint8(escrow.stateOf(id).status), uint8(Status.None));
    }

    /// An appeal's ruling that the escrow does not take when it is concluded is executed later, at the same share.
    function test_OutlivesAFailedExecution() public {
        Terms memory terms = caseTerms();
        bytes32 id = heard(terms);
        vote(terms, 0, shares(6000, 8000, NONE));
        vm.warp(START + SPAN + APPEAL + 1);
        vm.mockCallRevert(address(escrow), abi.encodePacked(IEscrow.rule.selector), "no");
        pools.conclude(address(escrow), terms);
        assertStage(id, Stage.Accepted);
        vm.clearMockedCalls();
        Jury memory accepted = lastOf(id);
        pools.execute(address(escrow), terms);
        accepted.stage = Stage.Executed;
        assertEq(keccak256(abi.encode(lastOf(id))), keccak256(abi.encode(accepted)));
        assertPaid(id, 6000);
    }
}
