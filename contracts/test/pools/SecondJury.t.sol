// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Ballot, IArbitrationPools, Jury, Stage} from "../../src/interfaces/IArbitrationPools.sol";
import {Terms} from "../../src/interfaces/IEscrow.sol";
import {CaseFixture} from "./CaseFixture.sol";

contract OpenSecondJuryTest is CaseFixture {
    function test_FromTheSecondAfterTheFirstsVoting() public {
        Terms memory terms = caseTerms();
        bytes32 id = heard(terms);
        vm.warp(START + HALF);
        expectTooEarly(START + HALF + 1);
        pools.openSecondJury(address(escrow), terms);
        vm.warp(START + HALF + 1);
        uint40 target = uint40(vm.getBlockNumber()) + 2;
        vm.expectEmit(address(pools));
        emit IArbitrationPools.CaseOpened(id, address(escrow), 0, 1, target);
        vm.prank(stranger);
        pools.openSecondJury(address(escrow), terms);
        Jury[] memory juries = pools.caseOf(address(escrow), id);
        assertEq(juries.length, 2);
        assertEq(uint8(juries[0].stage), uint8(Stage.Drawn));
        assertEq(uint8(juries[1].stage), uint8(Stage.Opened));
        assertEq(juries[1].jury, 1);
        assertEq(juries[1].targetBlock, target);
        assertEq(juries[1].endsAt, START + SPAN);
        assertEq(juries[1].seats, 3);
        assertEq(juries[1].members, 12);
        assertTrue(juries[1].appealable);
    }

    function test_UntilTheInstanceEnds() public {
        Terms memory terms = caseTerms();
        heard(terms);
        vm.warp(START + SPAN + 1);
        expectTooLate(START + SPAN);
        pools.openSecondJury(address(escrow), terms);
        vm.warp(START + SPAN);
        pools.openSecondJury(address(escrow), terms);
        drawLast(terms);
        vote(terms, 1, shares(500, 500, NONE));
        assertAccepted(idOf(terms), START + SPAN, 500);
    }

    function test_OnlyWhereTheFirstWasDrawn() public {
        Terms memory terms = caseTerms();
        opened(terms);
        vm.warp(START + HALF + 1);
        expect(IArbitrationPools.NotDrawn.selector);
        pools.openSecondJury(address(escrow), terms);
        // Drawn that late, the first one still votes, and a second one may join it.
        drawLast(terms);
        pools.openSecondJury(address(escrow), terms);
    }

    function test_ASecondIsTheLast() public {
        Terms memory terms = caseTerms();
        heard(terms);
        vm.warp(START + HALF + 1);
        pools.openSecondJury(address(escrow), terms);
        expect(IArbitrationPools.NoFurtherJury.selector);
        pools.openSecondJury(address(escrow), terms);
        drawLast(terms);
        expect(IArbitrationPools.NoFurtherJury.selector);
        pools.openSecondJury(address(escrow), terms);
    }

    function test_NotAfterARuling() public {
        Terms memory terms = caseTerms();
        ruled(terms, 500);
        vm.warp(START + HALF + 1);
        expect(IArbitrationPools.AlreadyAccepted.selector);
        pools.openSecondJury(address(escrow), terms);
        vm.warp(START + APPEAL);
        appealAs(seller, terms);
        // Nor of an appeal whose first jury nobody drew.
        vm.warp(START + APPEAL + PARENT_HALF + 1);
        expect(IArbitrationPools.NotDrawn.selector);
        pools.openSecondJury(address(escrow), terms);
    }

    function test_OfAnAppealByTheParentsPeriods() public {
        Terms memory terms = caseTerms();
        bytes32 id = appealed(terms, 500);
        drawLast(terms);
        vm.warp(START + APPEAL + PARENT_HALF);
        expectTooEarly(START + APPEAL + PARENT_HALF + 1);
        pools.openSecondJury(address(escrow), terms);
        vm.warp(START + APPEAL + PARENT_HALF + 1);
        uint40 target = uint40(vm.getBlockNumber()) + 2;
        vm.expectEmit(address(pools));
        emit IArbitrationPools.CaseOpened(id, address(escrow), 1, 1, target);
        pools.openSecondJury(address(escrow), terms);
        assertEq(lastOf(id).endsAt, START + APPEAL + PARENT_SPAN);
        assertEq(lastOf(id).seats, 5);
        assertEq(lastOf(id).members, 20);
    }

    /// Where the deal's time to rule is shorter than the pool's, the second jury keeps its half of the end.
    function test_InAShortRulingTheEndIsTheDeadline() public {
        Terms memory terms = caseTerms();
        terms.ruling = uint32(SPAN - 1 hours);
        heard(terms);
        vm.warp(START + HALF - 1 hours);
        expectTooEarly(START + HALF - 1 hours + 1);
        pools.openSecondJury(address(escrow), terms);
        vm.warp(START + HALF - 1 hours + 1);
        pools.openSecondJury(address(escrow), terms);
        drawLast(terms);
        vm.warp(START + SPAN - 1 hours);
        vote(terms, 1, shares(1500, 1500, NONE));
        assertPaid(idOf(terms), 1500);
    }

    /// Shorter than one jury's time, there is no time of the first one alone.
    function test_InAVeryShortRulingBothSitAtOnce() public {
        Terms memory terms = caseTerms();
        terms.ruling = 1 hours;
        bytes32 id = heard(terms);
        pools.openSecondJury(address(escrow), terms);
        drawLast(terms);
        assertEq(lastOf(id).endsAt, START + 1 hours);
        vote(terms, 1, shares(1500, 1500, NONE));
        assertPaid(id, 1500);
    }
}

contract SecondJuryTest is CaseFixture {
    function test_SeedAndSeats() public {
        Terms memory terms = caseTerms();
        bytes32 id = heard(terms);
        vm.warp(START + HALF + 1);
        pools.openSecondJury(address(escrow), terms);
        uint40 target = lastOf(id).targetBlock;
        vm.roll(target + 1);
        bytes32 hash = keccak256("another block");
        vm.setBlockhash(target, hash);
        bytes32 seed = seedOf(hash, id, 0, 1);
        address[] memory struck = new address[](2);
        (struck[0], struck[1]) = (buyer, seller);
        struck = concat(struck, pools.juryOf(address(escrow), terms, 0));
        address[] memory seats = firstOf(shuffled(members, seed), struck, 3);
        vm.expectEmit(address(pools));
        emit IArbitrationPools.JuryDrawn(id, address(escrow), court, 0, 1, 0, uint40(START + SPAN), seed, seats);
        pools.draw(address(escrow), terms);
        assertEq(pools.juryOf(address(escrow), terms, 1), seats);
    }

    /// forge-config: default.fuzz.runs = 128
    /// Whatever the hashes: nobody sits twice, the parties never, and a second implementation seats the same.
    function testFuzz_NobodySitsTwiceInACase(uint256 noise, bool firstSecond, bool lastSecond) public {
        Terms memory terms = caseTerms();
        opened(terms);
        _drawBy(terms, noise, 0);
        if (firstSecond) _secondBy(terms, noise, 1);
        vote(terms, 0, shares(500, 500, NONE));
        appealAs(buyer, terms);
        _drawBy(terms, noise, 2);
        if (lastSecond) _secondBy(terms, noise, 3);
        address[][] memory juries = expectedJuries(terms);
        uint256 last = juries.length - 1;
        assertEq(pools.juryOf(address(escrow), terms, lastSecond ? 1 : 0), juries[last]);
        if (lastSecond) assertEq(pools.juryOf(address(escrow), terms, 0), juries[last - 1]);
        address[] memory seated = new address[](0);
        for (uint256 n; n <= last; ++n) {
            for (uint256 i; i < juries[n].length; ++i) {
                assertTrue(juries[n][i] != buyer && juries[n][i] != seller, "a party");
                assertFalse(among(seated, juries[n][i]), "seated before");
            }
            seated = concat(seated, juries[n]);
        }
        assertEq(seated.length, (firstSecond ? 6 : 3) + (lastSecond ? 10 : 5));
    }

    function _secondBy(Terms memory terms, uint256 noise, uint256 number) private {
        Jury memory first = lastOf(idOf(terms));
        vm.warp(first.endsAt);
        pools.openSecondJury(address(escrow), terms);
        address[] memory before = pools.juryOf(address(escrow), terms, 0);
        _drawBy(terms, noise, number);
        // A second jury does not unseat the first.
        assertEq(pools.juryOf(address(escrow), terms, 0), before);
    }

    function _drawBy(Terms memory terms, uint256 noise, uint256 number) private {
        bytes32 id = idOf(terms);
        Jury memory last = lastOf(id);
        bytes32 hash = keccak256(abi.encode(noise, number));
        vm.roll(last.targetBlock + 1);
        vm.setBlockhash(last.targetBlock, hash);
        pools.draw(address(escrow), terms);
        assertEq(lastOf(id).seed, seedOf(hash, id, last.instance, last.jury));
        address[][] memory juries = expectedJuries(terms);
        assertEq(pools.juryOf(address(escrow), terms, last.jury), juries[juries.length - 1]);
    }

    function test_NoSeatsUntilItIsDrawn() public {
        Terms memory terms = caseTerms();
        heard(terms);
        expect(IArbitrationPools.NotDrawn.selector);
        pools.juryOf(address(escrow), terms, 1);
        vm.warp(START + HALF + 1);
        pools.openSecondJury(address(escrow), terms);
        expect(IArbitrationPools.NotDrawn.selector);
        pools.juryOf(address(escrow), terms, 1);
        expect(IArbitrationPools.NotDrawn.selector);
        pools.caseId(address(escrow), terms, 1);
        expect(IArbitrationPools.NotDrawn.selector);
        pools.submit(address(escrow), terms, 1, new Ballot[](0));
        expect(IArbitrationPools.NotDrawn.selector);
        pools.cast(address(escrow), terms, 1, 0, 0, 0);
        drawLast(terms);
        expect(IArbitrationPools.NotDrawn.selector);
        pools.juryOf(address(escrow), terms, 2);
    }

    function test_DrawnUntilTheInstanceEnds() public {
        Terms memory terms = caseTerms();
        bytes32 id = heard(terms);
        vm.warp(START + SPAN);
        pools.openSecondJury(address(escrow), terms);
        vm.roll(lastOf(id).targetBlock + 1);
        vm.warp(START + SPAN + 1);
        expectTooLate(START + SPAN);
        pools.draw(address(escrow), terms);
    }

    /// forge-config: default.fuzz.runs = 64
    /// A missed target moves by strides in later juries too, and takes nothing of the case with it.
    function testFuzz_MissedTargetsOfLaterJuries(uint32 late) public {
        Terms memory terms = caseTerms();
        bytes32 id = heard(terms);
        vm.warp(START + HALF + 1);
        pools.openSecondJury(address(escrow), terms);
        _missed(id, terms, late);
        vote(terms, 1, shares(500, 500, NONE));
        appealAs(seller, terms);
        _missed(id, terms, late);
        vm.warp(lastOf(id).endsAt - PARENT_HALF + 1);
        pools.openSecondJury(address(escrow), terms);
        _missed(id, terms, late);
        assertEq(pools.caseOf(address(escrow), id).length, 4);
    }

    function _missed(bytes32 id, Terms memory terms, uint32 late) private {
        Jury memory before = lastOf(id);
        uint256 target = before.targetBlock;
        uint256 height = target + bound(late, 257, 100_000);
        // The first block a multiple of 256 from the old target whose hash nobody knows at `height`.
        uint256 moved = target;
        while (moved < height + 2) moved += 256;
        vm.roll(height);
        vm.expectEmit(address(pools));
        emit IArbitrationPools.TargetMoved(id, address(escrow), uint40(moved));
        pools.draw(address(escrow), terms);
        before.targetBlock = uint40(moved);
        assertEq(keccak256(abi.encode(lastOf(id))), keccak256(abi.encode(before)));
        vm.roll(moved + 1);
        pools.draw(address(escrow), terms);
        assertEq(lastOf(id).seed, seedOf(blockhash(moved), id, before.instance, before.jury));
        address[][] memory juries = expectedJuries(terms);
        assertEq(pools.juryOf(address(escrow), terms, before.jury), juries[juries.length - 1]);
    }

    /* WHOSE BALLOTS COUNT */

    /// The first jury's ballots still rule, whether the second one is only opened or drawn, and whatever it said so far.
    function test_TheFirstRulesUntilTheSecondHas() public {
        for (uint256 kind; kind < 3; ++kind) {
            uint256 snapshot = vm.snapshotState();
            Terms memory terms = caseTerms();
            bytes32 id = heard(terms);
            vote(terms, 0, shares(2000, NONE, NONE));
            vm.warp(START + HALF + 1);
            pools.openSecondJury(address(escrow), terms);
            if (kind > 0) drawLast(terms);
            if (kind > 1) vote(terms, 1, shares(9000, 1000, NONE));
            Ballot[] memory list = ballotsOf(terms, 0, shares(NONE, NONE, 2000));
            vm.expectEmit(address(pools));
            emit IArbitrationPools.RulingAccepted(
                id, address(escrow), 0, 0, 5 | 5 << 10, 2000, uint40(vm.getBlockTimestamp()) + APPEAL + 1
            );
            pools.submit(address(escrow), terms, 0, list);
            assertAccepted(id, vm.getBlockTimestamp(), 2000);
            // It stands in the last jury's entry, and the second jury is too late.
            assertEq(lastOf(id).jury, 1);
            assertEq(uint8(pools.caseOf(address(escrow), id)[0].stage), uint8(Stage.Drawn));
            expect(IArbitrationPools.AlreadyAccepted.selector);
            pools.submit(address(escrow), terms, 1, list);
            vm.revertToState(snapshot);
        }
    }

    function test_TheSecondRulesWhileTheFirstIsDivided() public {
        Terms memory terms = caseTerms();
        bytes32 id = heard(terms);
        vote(terms, 0, shares(1000, 9000, NONE));
        seatSecond(terms);
        vote(terms, 1, shares(4000, NONE, NONE));
        Jury[] memory juries = pools.caseOf(address(escrow), id);
        assertEq(juries[0].ballots, 3 | 19 << 5);
        assertEq(juries[1].ballots, 9);
        Ballot[] memory list = ballotsOf(terms, 1, shares(NONE, 4000, NONE));
        uint40 executableAt = uint40(vm.getBlockTimestamp()) + APPEAL + 1;
        vm.expectEmit(address(pools));
        emit IArbitrationPools.RulingAccepted(id, address(escrow), 0, 1, 9 | 9 << 5, 4000, executableAt);
        pools.submit(address(escrow), terms, 1, list);
        assertAccepted(id, START + HALF + 1, 4000);
    }

    /// Of both juries in one second: each for itself, whichever is first complete.
    function test_BothJuriesAtOnce() public {
        Terms memory terms = caseTerms();
        bytes32 id = heard(terms);
        seatSecond(terms);
        vote(terms, 0, shares(3000, NONE, NONE));
        vote(terms, 1, shares(7000, NONE, NONE));
        // Two seats that agree, but of two juries, rule nothing.
        vote(terms, 1, shares(NONE, 3000, NONE));
        assertStage(id, Stage.Drawn);
        vote(terms, 0, shares(NONE, 3000, NONE));
        assertAccepted(id, START + HALF + 1, 3000);
    }

    function test_ABallotIsOfOneJury() public {
        Terms memory terms = caseTerms();
        heard(terms);
        seatSecond(terms);
        assertNotEq(pools.caseId(address(escrow), terms, 0), pools.caseId(address(escrow), terms, 1));
        for (uint8 jury; jury < 2; ++jury) {
            Ballot[] memory list = ballotsOf(terms, jury, shares(NONE, 5000, NONE));
            expect(refusal(IArbitrationPools.InvalidBallot.selector, uint256(1)));
            pools.submit(address(escrow), terms, 1 - jury, list);
        }
        // Nor does who sits in the one cast in the other.
        address juror = pools.juryOf(address(escrow), terms, 0)[0];
        expect(refusal(IArbitrationPools.NotJuror.selector, uint256(0)));
        vm.prank(juror);
        pools.cast(address(escrow), terms, 1, 0, 0, 0);
    }

    function test_ASeatOfTheSecondCasts() public {
        Terms memory terms = caseTerms();
        bytes32 id = heard(terms);
        seatSecond(terms);
        address[] memory seats = pools.juryOf(address(escrow), terms, 1);
        vm.expectEmit(address(pools));
        emit IArbitrationPools.BallotCast(id, address(escrow), 0, 1, 2, 8000, "why");
        vm.expectEmit(address(pools));
        emit IArbitrationPools.BallotsCounted(id, address(escrow), 0, 1, 17 << 10 | 1 << 157, 0, 10_000);
        vm.prank(seats[2]);
        pools.cast(address(escrow), terms, 1, 2, 8000, "why");
        assertEq(pools.caseOf(address(escrow), id)[0].ballots, 0);
        vm.prank(seats[0]);
        pools.cast(address(escrow), terms, 1, 0, 8000, 0);
        assertAccepted(id, vm.getBlockTimestamp(), 8000);
    }

    /// A seat that contradicts itself in the one jury says nothing about the other.
    function test_VoidInOneJuryOnly() public {
        Terms memory terms = caseTerms();
        bytes32 id = heard(terms);
        seatSecond(terms);
        vote(terms, 0, shares(VOID, NONE, NONE));
        vote(terms, 1, shares(2000, NONE, NONE));
        Jury[] memory juries = pools.caseOf(address(escrow), id);
        assertEq(juries[0].ballots, 31);
        assertEq(juries[1].ballots, 5);
    }
}
