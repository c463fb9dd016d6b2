// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Ballot, IArbitrationPools, Jury, Stage} from "../../src/interfaces/IArbitrationPools.sol";
import {Deal, IArbiter, Status, Terms} from "../../src/interfaces/IEscrow.sol";
import {Caller} from "../accounts/Payees.sol";
import {CaseFixture} from "./CaseFixture.sol";
import {LyingEscrow} from "./LyingEscrow.sol";
import {PoolsFixture} from "./PoolsFixture.sol";

contract OpenTest is PoolsFixture {
    function test_FixesListAndTarget() public {
        Terms memory terms = poolTerms();
        (bytes32 id,) = disputed(terms);
        uint40 at_ = uint40(vm.getBlockTimestamp());
        uint40 target = uint40(vm.getBlockNumber()) + 2;
        vm.warp(at_ + 100);
        vm.expectEmit(address(pools));
        emit IArbitrationPools.CaseOpened(id, address(escrow), 0, 0, target);
        vm.prank(stranger);
        pools.open(address(escrow), idOf(terms));
        Jury memory c = lastOf(id);
        assertEq(uint8(c.stage), uint8(Stage.Opened));
        assertEq(c.seats, 0);
        assertEq(c.endsAt, 0);
        assertEq(c.targetBlock, target);
        assertEq(c.acceptedAt, 0);
        assertEq(c.share, 0);
        assertEq(c.seed, 0);
        assertEq(c.ballots, 0);
        assertEq(c.instance, 0);
        assertEq(c.jury, 0);
        assertEq(pools.rulings(address(escrow), id), 0);
    }

    function test_TwiceIsRefused() public {
        Terms memory terms = poolTerms();
        disputed(terms);
        pools.open(address(escrow), idOf(terms));
        expect(IArbitrationPools.CaseExists.selector);
        pools.open(address(escrow), idOf(terms));
    }

    function test_OnlyDisputedDeals() public {
        Terms memory terms = poolTerms();
        expect(IArbitrationPools.NotDisputed.selector);
        pools.open(address(escrow), idOf(terms));
        (, Deal memory deal) = delivered(terms);
        expect(IArbitrationPools.NotDisputed.selector);
        pools.open(address(escrow), idOf(terms));
        vm.prank(buyer);
        escrow.dispute(deal, "");
        vm.prank(buyer);
        escrow.release(deal, AMOUNT);
        expect(IArbitrationPools.NotDisputed.selector);
        pools.open(address(escrow), idOf(terms));
    }

    function test_OnlyItsOwnDeals() public {
        Terms memory terms = poolTerms();
        terms.arbiter = stranger;
        disputed(terms);
        pools.open(address(escrow), idOf(terms));
        expect(IArbitrationPools.NotMyDeal.selector);
        pools.draw(address(escrow), terms);
    }

    function test_OnlyKnownPools() public {
        Terms memory terms = poolTerms();
        terms.annex.panel = "other";
        disputed(terms);
        pools.open(address(escrow), idOf(terms));
        expect(IArbitrationPools.UnknownPool.selector);
        pools.draw(address(escrow), terms);
    }

    function test_OnlyWithAListWhenFunded() public {
        vm.warp(NOW);
        Terms memory terms = poolTerms();
        (, Deal memory deal) = fund(terms);
        vm.warp(NOW + DELAY);
        vm.prank(buyer);
        escrow.dispute(deal, "");
        pools.open(address(escrow), idOf(terms));
        expect(IArbitrationPools.NoList.selector);
        pools.draw(address(escrow), terms);
    }

    /// A list published after the funding does not seat this deal's jury, however late the dispute.
    function test_NobodyPacksThePoolAgainstADeal() public {
        Terms memory terms = poolTerms();
        (bytes32 id, Deal memory deal) = fund(terms);
        address[] memory packed = _people("friend", 8);
        _publish(pool, packed);
        vm.warp(NOW + 5 days);
        assertEq(pools.listAt(pool, uint40(vm.getBlockTimestamp())), 1);
        vm.prank(seller);
        escrow.dispute(deal, "");
        pools.open(address(escrow), idOf(terms));
        assertEq(lastOf(id).list, 0);
        vm.roll(vm.getBlockNumber() + 3);
        pools.draw(address(escrow), terms);
        address[] memory seats = pools.juryOf(address(escrow), terms, 0);
        bytes32 seed = lastOf(id).seed;
        assertEq(seats, expectedJury(members, seed, 3, buyer, seller));
    }
}

/// @notice Anybody may open anything that some escrow calls a dispute. What comes of it is that escrow's alone.
contract StrangersCaseTest is CaseFixture {
    function _lying() private returns (address) {
        return address(new LyingEscrow(START, START));
    }

    /// The id that an escrow at that address would have for the terms.
    function idAt(Terms memory terms, address where) private view returns (bytes32) {
        bytes32 content = keccak256(abi.encode(TERMS, dealOf(terms)));
        return keccak256(abi.encodePacked(hex"1901", domainOf("Earnest Escrow", where), content));
    }

    /// A real deal's id at an attacker's escrow: another record, that no terms lead to.
    function test_ARealDealsIdAtAnEscrowThatLies() public {
        Terms memory terms = caseTerms();
        (bytes32 id,) = disputed(terms);
        address lying = _lying();
        vm.prank(stranger);
        pools.open(lying, id);
        assertEq(pools.caseOf(lying, id).length, 1);
        assertEq(pools.caseOf(address(escrow), id).length, 0);
        vm.roll(vm.getBlockNumber() + 3);
        expect(IArbitrationPools.UnknownCase.selector);
        pools.draw(lying, terms);
        // The deal's own case is as if nothing had been.
        expect(IArbitrationPools.UnknownCase.selector);
        pools.draw(address(escrow), terms);
        pools.open(address(escrow), id);
        drawLast(terms);
        vote(terms, 0, shares(500, 500, NONE));
        assertAccepted(id, START, 500);
        assertEq(uint8(pools.caseOf(lying, id)[0].stage), uint8(Stage.Opened));
        assertEq(pools.rulings(lying, id), 0);
    }

    /// The same terms at the attacker's escrow are another deal: its jury, ballots and ruling are none of the real one's.
    function test_TheSameTermsAtAnEscrowThatLies() public {
        Terms memory terms = caseTerms();
        bytes32 id = heard(terms);
        address lying = _lying();
        bytes32 other = idAt(terms, lying);
        pools.open(lying, other);
        vm.roll(vm.getBlockNumber() + 3);
        pools.draw(lying, terms);
        assertEq(pools.caseOf(lying, other)[0].seats, 3);
        assertNotEq(pools.caseId(lying, terms, 0), pools.caseId(address(escrow), terms, 0));
        // Ballots for the one are worthless in the other, either way.
        Ballot[] memory list = ballotsOf(terms, 0, shares(500, 500, NONE));
        expect(refusal(IArbitrationPools.InvalidBallot.selector, uint256(0)));
        pools.submit(lying, terms, 0, list);
        address[] memory seats = pools.juryOf(lying, terms, 0);
        for (uint8 seat; seat < 2; ++seat) {
            vm.prank(seats[seat]);
            pools.cast(lying, terms, 0, seat, 9000, 0);
        }
        vm.warp(START + APPEAL + 1);
        pools.execute(lying, terms);
        assertEq(LyingEscrow(lying).ruled(), 1);
        assertStage(id, Stage.Drawn);
        assertEq(pools.rulings(address(escrow), id), 0);
        assertEq(uint8(escrow.stateOf(id).status), uint8(Status.Disputed));
        pools.submit(address(escrow), terms, 0, list);
        assertAccepted(id, START + APPEAL + 1, 500);
    }

    /// Whatever it says of times, even such as no field holds: another escrow's cases stay as they are.
    function testFuzz_TimesThatAreLies(uint40 since, uint40 fundedAt) public {
        Terms memory terms = caseTerms();
        bytes32 id = heard(terms);
        bytes32 before = keccak256(abi.encode(pools.caseOf(address(escrow), id)));
        address lying = address(new LyingEscrow(since, fundedAt));
        pools.open(lying, idAt(terms, lying));
        vm.roll(vm.getBlockNumber() + 3);
        bytes[4] memory calls = [
            abi.encodeCall(IArbitrationPools.draw, (lying, terms)),
            abi.encodeCall(IArbitrationPools.openSecondJury, (lying, terms)),
            abi.encodeCall(IArbitrationPools.draw, (lying, terms)),
            abi.encodeCall(IArbitrationPools.conclude, (lying, terms))
        ];
        uint256 went;
        for (uint256 i; i < calls.length; ++i) {
            (bool ok,) = address(pools).call(calls[i]);
            if (ok) ++went;
        }
        assertLt(went, calls.length, "a last word without a ballot");
        assertEq(LyingEscrow(lying).ruled(), 0);
        assertEq(keccak256(abi.encode(pools.caseOf(address(escrow), id))), before);
    }

    /// A deal that names another arbiter can be opened here, and nothing more: no jury of ours ever sits on it.
    function test_AnotherArbitersDealIsNeverDrawn() public {
        Terms memory terms = caseTerms();
        terms.arbiter = stranger;
        bytes32 id = opened(terms);
        vm.roll(vm.getBlockNumber() + 3);
        expect(IArbitrationPools.NotMyDeal.selector);
        pools.draw(address(escrow), terms);
        expect(IArbitrationPools.NotMyDeal.selector);
        pools.submit(address(escrow), terms, 0, new Ballot[](0));
        expect(IArbitrationPools.NotMyDeal.selector);
        pools.conclude(address(escrow), terms);
        // The same terms with this arbiter are another deal, which nobody opened.
        terms.arbiter = address(pools);
        expect(IArbitrationPools.UnknownCase.selector);
        pools.draw(address(escrow), terms);
        assertEq(uint8(lastOf(id).stage), uint8(Stage.Opened));
    }

    /// Terms that differ in anything are another deal.
    function test_OtherTermsAreAnotherCase() public {
        Terms memory terms = caseTerms();
        heard(terms);
        Terms memory other = caseTerms();
        other.annex.panel = pool;
        expect(IArbitrationPools.UnknownCase.selector);
        pools.juryOf(address(escrow), other, 0);
        other = caseTerms();
        other.lapseShare = 10_000;
        expect(IArbitrationPools.UnknownCase.selector);
        pools.conclude(address(escrow), other);
        other = caseTerms();
        other.buyer = stranger;
        expect(IArbitrationPools.UnknownCase.selector);
        vm.prank(stranger);
        pools.appeal(address(escrow), other);
    }

    function test_WhatIsNoEscrow() public {
        vm.expectRevert(bytes(""));
        pools.open(stranger, "deal");
        vm.expectRevert(bytes(""));
        pools.open(address(token), "deal");
    }

    /// Escrows that answer about another deal, or that stop calling it disputed, cannot have a ruling concluded.
    function test_AnEscrowThatTakesItsDisputeBack() public {
        LyingEscrow lying = new LyingEscrow(START, START);
        Terms memory terms = caseTerms();
        bytes32 other = idAt(terms, address(lying));
        pools.open(address(lying), other);
        vm.roll(vm.getBlockNumber() + 3);
        pools.draw(address(lying), terms);
        lying.set(Status.Closed, 0, 0);
        vm.warp(START + SPAN + 1);
        expect(IArbitrationPools.NotDisputed.selector);
        pools.conclude(address(lying), terms);
        assertEq(lying.ruled(), 0);
    }
}

/// @notice Nothing that anybody may do asks who calls: a contract may call, and many times in one transaction.
contract ThroughAContractTest is CaseFixture {
    function _together(bytes[] memory calls) private {
        Caller caller = new Caller();
        caller.plan(address(pools), calls);
        caller.received();
        for (uint256 i; i < calls.length; ++i) {
            assertTrue(caller.outcomes(i));
        }
    }

    function test_ManyCasesInOneTransaction() public {
        bytes[] memory calls = new bytes[](5);
        Terms[] memory all = new Terms[](5);
        for (uint256 i; i < 5; ++i) {
            all[i] = caseTerms();
            all[i].annex.salt = bytes32(i);
            (bytes32 id,) = disputed(all[i]);
            calls[i] = abi.encodeCall(IArbitrationPools.open, (address(escrow), id));
        }
        _together(calls);
        vm.roll(vm.getBlockNumber() + 3);
        for (uint256 i; i < 5; ++i) {
            calls[i] = abi.encodeCall(IArbitrationPools.draw, (address(escrow), all[i]));
        }
        _together(calls);
        for (uint256 i; i < 5; ++i) {
            Ballot[] memory list = ballotsOf(all[i], 0, shares(2000, 2000, NONE));
            calls[i] = abi.encodeCall(IArbitrationPools.submit, (address(escrow), all[i], 0, list));
        }
        _together(calls);
        vm.warp(START + APPEAL + 1);
        for (uint256 i; i < 5; ++i) {
            calls[i] = abi.encodeCall(IArbitrationPools.execute, (address(escrow), all[i]));
        }
        _together(calls);
        assertEq(seller.balance, 5 * (uint256(AMOUNT) * 2000 / 10_000));
    }

    /// Both juries' ballots, the ruling and a second case's opening, in whatever order they are put.
    function test_StepsOfOneCaseInOneTransaction() public {
        Terms memory terms = caseTerms();
        bytes32 id = heard(terms);
        seatSecond(terms);
        bytes[] memory calls = new bytes[](4);
        for (uint8 jury; jury < 2; ++jury) {
            Ballot[] memory list = ballotsOf(terms, jury, shares(6000, 8000, NONE));
            calls[jury] = abi.encodeCall(IArbitrationPools.submit, (address(escrow), terms, jury, list));
        }
        Ballot[] memory last = ballotsOf(terms, 1, shares(NONE, NONE, 6500));
        calls[2] = abi.encodeCall(IArbitrationPools.submit, (address(escrow), terms, 1, last));
        calls[3] = abi.encodeCall(IArbiter.rulings, (address(escrow), id));
        _together(calls);
        assertAccepted(id, vm.getBlockTimestamp(), 6500);
    }

    /// A contract is no party because it carries a party's call.
    function test_ACarrierIsNoParty() public {
        Caller caller = new Caller();
        Terms memory terms = caseTerms();
        ruled(terms, 500);
        bytes memory data = abi.encodeCall(IArbitrationPools.appeal, (address(escrow), terms));
        expect(IArbitrationPools.NotParty.selector);
        vm.prank(buyer);
        caller.act(address(pools), data);
    }
}
