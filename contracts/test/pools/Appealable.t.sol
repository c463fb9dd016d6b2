// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IArbitrationPools, Jury, RuleBook, Stage} from "../../src/interfaces/IArbitrationPools.sol";
import {Terms} from "../../src/interfaces/IEscrow.sol";
import {CaseFixture} from "./CaseFixture.sol";

/// @notice Which rulings can be appealed; the others are executed as they are accepted.
contract AppealableTest is CaseFixture {
    bytes32 private _salt;

    /// A court of three seats over a parent of five with a list of `size`.
    function _courtOver(uint256 size) private returns (bytes32 pool_) {
        RuleBook memory rules = parentBook();
        rules.salt = _salt = keccak256(abi.encode(_salt));
        rules.parent = pools.createPool(rules);
        if (size != 0) _publish(rules.parent, _people("elder", size));
        (rules.jurySize, rules.opening, rules.voting, rules.appeal) = (3, 1 days, 3 days, APPEAL);
        pool_ = pools.createPool(rules);
        _publish(pool_, members);
        vm.warp(vm.getBlockTimestamp() + DELAY);
    }

    function _ruledIn(bytes32 pool_) private returns (bytes32 id) {
        Terms memory terms = caseTerms();
        terms.annex.panel = pool_;
        id = ruled(terms, 500);
        if (lastOf(id).stage == Stage.Executed) {
            expect(IArbitrationPools.AlreadyExecuted.selector);
            appealAs(buyer, terms);
        } else {
            appealAs(buyer, terms);
        }
    }

    /// Two juries of five, two parties and six who may have sat before: eighteen.
    function test_WhereTheParentCouldSeatTwoJuries() public {
        bytes32 id = _ruledIn(_courtOver(18));
        assertEq(lastOf(id).instance, 1);
        assertEq(lastOf(id).members, 18);
    }

    function test_NotWhereTheParentIsOneShort() public {
        bytes32 id = _ruledIn(_courtOver(17));
        assertEq(pools.caseOf(address(escrow), id).length, 1);
        assertFalse(lastOf(id).appealable);
        assertPaid(id, 500);
    }

    function test_NotWhereTheParentHasNoList() public {
        assertPaid(_ruledIn(_courtOver(0)), 500);
    }

    function test_NotWithoutAParent() public {
        assertPaid(_ruledIn(pool), 500);
    }

    /// The parent's list is the one in effect when the deal was funded, like the pool's own.
    function test_TheParentsListIsThatOfTheFunding() public {
        bytes32 other = _courtOver(0);
        bytes32 above = pools.bookOf(other).parent;
        _publish(above, elders);
        vm.warp(vm.getBlockTimestamp() + DELAY - 1);
        uint256 snapshot = vm.snapshotState();
        assertPaid(_ruledIn(other), 500);
        vm.revertToState(snapshot);
        vm.warp(vm.getBlockTimestamp() + 1);
        assertEq(lastOf(_ruledIn(other)).instance, 1);
    }

    /// A list that the parent publishes later neither packs nor empties it against a deal.
    function test_NobodyPacksTheParentAgainstADeal() public {
        Terms memory terms = caseTerms();
        bytes32 id = heard(terms);
        _publish(parent, _people("friend", 18));
        vm.warp(START + DELAY);
        assertEq(pools.listAt(parent, START + DELAY), 1);
        vote(terms, 0, shares(500, 500, NONE));
        appealAs(buyer, terms);
        drawLast(terms);
        assertEq(lastOf(id).list, 0);
        assertEq(pools.juryOf(address(escrow), terms, 0), expectedJuries(terms)[1]);
    }

    /* THE TIME FOR IT */

    /// The last second in which a ruling can be accepted and still be appealed.
    function _lastChance(Terms memory terms) private pure returns (uint256) {
        return START + terms.ruling - APPEAL - PARENT_SPAN - SPARE;
    }

    function test_NotWithTooLittleTime() public {
        Terms memory terms = caseTerms();
        terms.ruling = 12 days;
        bytes32 id = heard(terms);
        // Both juries of the first instance end a day and more before the deadline, but an appeal would not.
        assertTrue(lastOf(id).appealable);
        vm.warp(_lastChance(terms) + 1);
        vote(terms, 0, shares(500, 500, NONE));
        assertFalse(lastOf(id).appealable);
        assertPaid(id, 500);
    }

    function test_WithExactlyTheTime() public {
        Terms memory terms = caseTerms();
        terms.ruling = 12 days;
        bytes32 id = heard(terms);
        vm.warp(_lastChance(terms));
        vote(terms, 0, shares(500, 500, NONE));
        assertTrue(lastOf(id).appealable);
        vm.warp(_lastChance(terms) + APPEAL);
        appealAs(seller, terms);
        // What the rule leaves: with the appeal at its very end there are two days to the deadline.
        assertEq(lastOf(id).endsAt, START + terms.ruling - 2 days);
    }

    /// The same rule for a last word, which counts from the instance's end.
    function test_OfALastWordWithExactlyTheTime() public {
        uint256 needed = SPAN + APPEAL + PARENT_SPAN + SPARE;
        for (uint256 short; short < 2; ++short) {
            uint256 snapshot = vm.snapshotState();
            Terms memory terms = caseTerms();
            terms.ruling = uint32(needed - short);
            bytes32 id = heard(terms);
            vote(terms, 0, shares(500, NONE, NONE));
            vm.warp(START + SPAN + 1);
            pools.conclude(address(escrow), terms);
            assertEq(uint8(lastOf(id).stage), uint8(short == 0 ? Stage.Accepted : Stage.Executed));
            vm.revertToState(snapshot);
        }
    }

    /// forge-config: default.fuzz.runs = 64
    function testFuzz_TheTimeForIt(uint256 ruling, uint256 time) public {
        Terms memory terms = caseTerms();
        terms.ruling = uint32(bound(ruling, 1 days, RULING));
        bytes32 id = heard(terms);
        uint256 end = lastOf(id).endsAt;
        uint256 at_ = bound(time, START, end);
        vm.warp(at_);
        vote(terms, 0, shares(500, 500, NONE));
        bool enough = at_ + APPEAL + PARENT_SPAN + SPARE <= START + uint256(terms.ruling);
        assertEq(lastOf(id).appealable, enough);
        assertEq(uint8(lastOf(id).stage), uint8(enough ? Stage.Accepted : Stage.Executed));
    }
}

/// @notice A pool that had no list when the deal was funded leaves the case to its parent, once.
contract StraightToTheParentTest is CaseFixture {
    bytes32 private bare;
    bytes32 private grand;

    /// bare, without a list, over a court with one, which has a parent itself.
    function setUp() public override {
        super.setUp();
        RuleBook memory rules = courtBook();
        (rules.parent, rules.salt, rules.opening) = (court, "bare", 2 days);
        bare = pools.createPool(rules);
        rules.salt = "between";
        bytes32 between = pools.createPool(rules);
        (rules.parent, rules.salt) = (between, "grand");
        grand = pools.createPool(rules);
    }

    function _terms(bytes32 pool_) private view returns (Terms memory terms) {
        terms = caseTerms();
        terms.annex.panel = pool_;
    }

    function test_TheParentHearsIt() public {
        Terms memory terms = _terms(bare);
        bytes32 id = opened(terms);
        uint40 target = lastOf(id).targetBlock;
        vm.roll(target + 1);
        bytes32 seed = seedOf(blockhash(target), id, 1, 0);
        address[] memory seats = expectedJury(members, seed, 3, buyer, seller);
        vm.expectEmit(address(pools));
        emit IArbitrationPools.JuryDrawn(id, address(escrow), court, 1, 0, 0, uint40(START + SPAN), seed, seats);
        pools.draw(address(escrow), terms);
        assertEq(pools.juryOf(address(escrow), terms, 0), seats);
        bytes32 expected = keccak256(abi.encode(court, address(escrow), id, uint8(1), uint8(0), lastOf(id).seed));
        assertEq(pools.caseId(address(escrow), terms, 0), expected);
        assertEq(pools.caseOf(address(escrow), id).length, 1);
    }

    /// The parent has a parent of its own, but a case goes one pool up at most.
    function test_AndItsRulingIsFinal() public {
        Terms memory terms = _terms(bare);
        bytes32 id = heard(terms);
        assertFalse(lastOf(id).appealable);
        vote(terms, 0, shares(500, 500, NONE));
        assertPaid(id, 500);
        assertEq(pools.rulings(address(escrow), id), 1);
    }

    function test_BothItsJuriesMaySit() public {
        Terms memory terms = _terms(bare);
        bytes32 id = heard(terms);
        // By the parent's own periods.
        vm.warp(START + HALF);
        expectTooEarly(START + HALF + 1);
        pools.openSecondJury(address(escrow), terms);
        vm.warp(START + HALF + 1);
        uint40 target = uint40(vm.getBlockNumber()) + 2;
        vm.expectEmit(address(pools));
        emit IArbitrationPools.CaseOpened(id, address(escrow), 1, 1, target);
        pools.openSecondJury(address(escrow), terms);
        drawLast(terms);
        address[] memory struck = new address[](2);
        (struck[0], struck[1]) = (buyer, seller);
        struck = concat(struck, pools.juryOf(address(escrow), terms, 0));
        address[] memory seats = firstOf(shuffled(members, lastOf(id).seed), struck, 3);
        assertEq(pools.juryOf(address(escrow), terms, 1), seats);
        vote(terms, 1, shares(NONE, 2500, 2500));
        assertPaid(id, 2500);
        assertEq(pools.rulings(address(escrow), id), 1);
    }

    function test_ItsLastWordStartsFromTheLapseShare() public {
        Terms memory terms = _terms(bare);
        bytes32 id = heard(terms);
        vote(terms, 0, shares(4000, 9000, NONE));
        vm.warp(START + SPAN + 1);
        pools.conclude(address(escrow), terms);
        assertAccepted(id, START + SPAN, 4000);
        assertPaid(id, 4000);
    }

    function test_WithoutAnyBallotThereIsNoLastWord() public {
        Terms memory terms = _terms(bare);
        heard(terms);
        vm.warp(START + SPAN + 1);
        expect(IArbitrationPools.NoBallots.selector);
        pools.conclude(address(escrow), terms);
    }

    /// Neither the pool nor its parent had one; the parent's parent is not asked.
    function test_NeitherHasAList() public {
        Terms memory terms = _terms(grand);
        opened(terms);
        vm.roll(vm.getBlockNumber() + 3);
        expect(IArbitrationPools.NoList.selector);
        pools.draw(address(escrow), terms);
        vm.warp(START + RULING + 1);
        escrow.lapse(dealOf(terms));
        assertEq(seller.balance, LAPSE_TOTAL);
    }

    /// A list that takes effect a second after the funding comes too late, for the pool and for going past it.
    function test_TheListIsThatOfTheFunding() public {
        _publish(bare, members);
        vm.warp(START + DELAY - 1);
        Terms memory terms = _terms(bare);
        uint256 snapshot = vm.snapshotState();
        bytes32 id = heard(terms);
        assertEq(lastOf(id).instance, 1);
        vm.revertToState(snapshot);
        vm.warp(START + DELAY);
        id = heard(terms);
        assertEq(lastOf(id).instance, 0);
        assertEq(lastOf(id).endsAt, START + DELAY + 2 * (2 days + 3 days));
    }

    /// A target that is missed before the pool is known moves as any other.
    function test_AMissedTargetFindsTheParentToo() public {
        Terms memory terms = _terms(bare);
        bytes32 id = opened(terms);
        vm.roll(lastOf(id).targetBlock + 257);
        pools.draw(address(escrow), terms);
        Jury memory moved = lastOf(id);
        assertEq(uint8(moved.stage), uint8(Stage.Opened));
        assertEq(moved.instance, 0);
        drawLast(terms);
        assertEq(lastOf(id).instance, 1);
        assertEq(lastOf(id).endsAt, START + SPAN);
    }
}
