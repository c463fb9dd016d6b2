// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IArbitrationPools, Stage} from "../../src/interfaces/IArbitrationPools.sol";
import {IEscrow, Status, Terms} from "../../src/interfaces/IEscrow.sol";
import {CaseFixture} from "./CaseFixture.sol";

/// @notice How many rulings were accepted, and what that does to offers to settle; and what is executed, and when.
contract RulingsTest is CaseFixture {
    function _count(bytes32 id, uint8 expected) private view {
        assertEq(pools.rulings(address(escrow), id), expected);
    }

    function _escrowRefuses() private {
        vm.mockCallRevert(address(escrow), abi.encodePacked(IEscrow.rule.selector), "no");
    }

    /// An offer that both signed, naming `rulings`.
    function _settle(Terms memory terms, uint8 rulings) private {
        bytes32 digest = settleDigest(idOf(terms), AMOUNT, Status.Disputed, rulings, ALWAYS);
        (bytes memory a, bytes memory b) = (sign(buyerKey, digest), sign(sellerKey, digest));
        escrow.settle(dealOf(terms), AMOUNT, rulings, ALWAYS, a, b);
    }

    /// Of the offers that name 0, 1, 2 and 3 rulings exactly the one that names `living` is good.
    function _offersLive(Terms memory terms, uint8 living) private {
        for (uint8 rulings; rulings < 4; ++rulings) {
            uint256 snapshot = vm.snapshotState();
            if (rulings != living) expect(IEscrow.StateChanged.selector);
            _settle(terms, rulings);
            if (rulings == living) assertEq(seller.balance, AMOUNT);
            vm.revertToState(snapshot);
        }
    }

    function test_OffersDieAtEachAcceptance() public {
        Terms memory terms = caseTerms();
        (bytes32 id,) = disputed(terms);
        _offersLive(terms, 0);
        pools.open(address(escrow), id);
        drawLast(terms);
        vote(terms, 0, shares(500, NONE, NONE));
        _offersLive(terms, 0);
        vote(terms, 0, shares(NONE, 500, NONE));
        _offersLive(terms, 1);
        // An appeal changes nothing yet: nobody has ruled since.
        appealAs(buyer, terms);
        _offersLive(terms, 1);
        drawLast(terms);
        vote(terms, 0, shares(9000, 9000, NONE, NONE, NONE));
        seatSecond(terms);
        _offersLive(terms, 1);
        _escrowRefuses();
        vote(terms, 0, shares(NONE, NONE, 9000, NONE, NONE));
        vm.clearMockedCalls();
        _offersLive(terms, 2);
    }

    function test_NoneThenOneThenTwo() public {
        Terms memory terms = caseTerms();
        _count(idOf(terms), 0);
        bytes32 id = opened(terms);
        _count(id, 0);
        drawLast(terms);
        seatSecond(terms);
        _count(id, 0);
        vote(terms, 1, shares(500, 500, NONE));
        _count(id, 1);
        appealAs(buyer, terms);
        _count(id, 1);
        drawLast(terms);
        seatSecond(terms);
        _count(id, 1);
        vote(terms, 1, shares(500, 500, 500, NONE, NONE));
        _count(id, 2);
        assertStage(id, Stage.Executed);
    }

    /// Of a case that was never appealed the execution adds none.
    function test_ExecutionIsNoRuling() public {
        Terms memory terms = caseTerms();
        bytes32 id = ruled(terms, 500);
        vm.warp(START + APPEAL + 1);
        pools.execute(address(escrow), terms);
        _count(id, 1);
    }

    /// A last word that nobody has spoken yet is no ruling; who wants old offers dead concludes.
    function test_ALastWordCountsOnceItIsSpoken() public {
        Terms memory terms = caseTerms();
        bytes32 id = heard(terms);
        vote(terms, 0, shares(500, NONE, NONE));
        vm.warp(START + SPAN + 1);
        _count(id, 0);
        pools.conclude(address(escrow), terms);
        _count(id, 1);
        appealAs(seller, terms);
        vm.warp(START + SPAN + APPEAL + PARENT_SPAN + 1);
        _count(id, 1);
        _escrowRefuses();
        pools.conclude(address(escrow), terms);
        vm.clearMockedCalls();
        _offersLive(terms, 2);
    }

    /// Both parties may still settle in the window, and the ruling then stays what it is, unexecuted.
    function test_SettledInTheWindow() public {
        Terms memory terms = caseTerms();
        bytes32 id = ruled(terms, 0);
        _settle(terms, 1);
        assertEq(seller.balance, AMOUNT);
        vm.warp(START + APPEAL + 1);
        expect(IEscrow.DealClosed.selector);
        pools.execute(address(escrow), terms);
        assertStage(id, Stage.Accepted);
        _count(id, 1);
    }

    /* EXECUTION */

    function test_ExecutedAfterTheWindow() public {
        Terms memory terms = caseTerms();
        bytes32 id = ruled(terms, 2500);
        assertEq(seller.balance, 0);
        vm.warp(START + APPEAL);
        expectTooEarly(START + APPEAL + 1);
        pools.execute(address(escrow), terms);
        vm.warp(START + APPEAL + 1);
        vm.expectEmit(address(pools));
        emit IArbitrationPools.RulingExecuted(id, address(escrow), 2500);
        vm.prank(stranger);
        pools.execute(address(escrow), terms);
        assertPaid(id, 2500);
        expect(IArbitrationPools.AlreadyExecuted.selector);
        pools.execute(address(escrow), terms);
        assertEq(seller.balance, uint256(AMOUNT) * 2500 / 10_000);
    }

    function test_NotWhileTheAppealIsHeard() public {
        Terms memory terms = caseTerms();
        appealed(terms, 2500);
        vm.warp(START + APPEAL + 1);
        expect(IArbitrationPools.NotAccepted.selector);
        pools.execute(address(escrow), terms);
        drawLast(terms);
        expect(IArbitrationPools.NotAccepted.selector);
        pools.execute(address(escrow), terms);
        vm.warp(START + APPEAL + PARENT_SPAN + 1);
        expect(IArbitrationPools.NotAccepted.selector);
        pools.execute(address(escrow), terms);
    }

    /// Past the escrow's deadline its refusal comes through, and the deal lapses.
    function test_PastTheDeadlineTheEscrowRefuses() public {
        Terms memory terms = caseTerms();
        bytes32 id = ruled(terms, 10_000);
        vm.warp(START + RULING + 1);
        expect(refusal(IEscrow.TooLate.selector, START + RULING));
        pools.execute(address(escrow), terms);
        escrow.lapse(dealOf(terms));
        assertEq(seller.balance, LAPSE_TOTAL);
        assertStage(id, Stage.Accepted);
    }

    /// The second jury's accepted ruling is executed like the first's.
    function test_OfTheSecondJury() public {
        Terms memory terms = caseTerms();
        bytes32 id = heard(terms);
        seatSecond(terms);
        vote(terms, 1, shares(500, 500, NONE));
        vm.warp(START + HALF + 1 + APPEAL);
        expectTooEarly(START + HALF + 1 + APPEAL + 1);
        pools.execute(address(escrow), terms);
        vm.warp(START + HALF + 1 + APPEAL + 1);
        pools.execute(address(escrow), terms);
        assertPaid(id, 500);
    }

    /// Whatever gas a last word or a cast brings: all of it happens or nothing, and where only the payout lacks its gas
    /// that is said.
    function test_NoAmountOfGasRulesHalf() public {
        Terms memory terms = caseTerms();
        terms.annex.panel = pool;
        heard(terms);
        vote(terms, 0, shares(500, NONE, NONE));
        address juror = pools.juryOf(address(escrow), terms, 0)[1];
        bytes memory data = abi.encodeCall(IArbitrationPools.cast, (address(escrow), terms, 0, 1, 500, 0));
        _allOrNothing(terms, juror, data, 500);
        vm.warp(START + SPAN + 1);
        _allOrNothing(
            terms, stranger, abi.encodeCall(IArbitrationPools.conclude, (address(escrow), terms)), LAPSE_SHARE
        );
    }

    function _allOrNothing(Terms memory terms, address by, bytes memory data, uint16 share) private {
        bytes32 id = idOf(terms);
        uint256 starved;
        uint256 went;
        for (uint256 gas_ = 30_000; gas_ < 500_000; gas_ += 5000) {
            uint256 snapshot = vm.snapshotState();
            vm.prank(by);
            (bool ok, bytes memory answer) = address(pools).call{gas: gas_}(data);
            if (ok) {
                ++went;
                assertPaid(id, share);
            } else {
                if (bytes4(answer) == IArbitrationPools.NotEnoughGas.selector) ++starved;
                else assertEq(answer.length, 0);
                assertStage(id, Stage.Drawn);
                assertEq(seller.balance, 0);
            }
            vm.revertToState(snapshot);
        }
        assertGt(went, 0);
        assertGt(starved, 0);
    }
}
