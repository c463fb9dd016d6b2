// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Ballot, IArbitrationPools, Jury, Stage} from "../../src/interfaces/IArbitrationPools.sol";
import {IEscrow, Status, Terms} from "../../src/interfaces/IEscrow.sol";
import {Ballots} from "../../src/libraries/Ballots.sol";
import {PoolsFixture} from "./PoolsFixture.sol";

contract SubmitTest is PoolsFixture {
    function _bounds(Jury memory jury, uint16 lo, uint16 hi) private pure {
        (uint16 low, uint16 high) = Ballots.bounds(jury.ballots, jury.seats);
        assertEq(low, lo);
        assertEq(high, hi);
    }

    function test_TwoOfThreeRule() public {
        Terms memory terms = poolTerms();
        (bytes32 id,) = drawn(terms);
        Ballot[] memory ballots = two(ballot(terms, 0, 2500), ballot(terms, 2, 2500));
        uint88 total = uint88(uint256(AMOUNT) * 2500 / 10_000);
        vm.expectEmit(address(escrow));
        emit IEscrow.Ruled(id, 2500, total, AMOUNT - total, 3);
        vm.expectEmit(address(pools));
        emit IArbitrationPools.RulingAccepted(id, address(escrow), 0, 0, 6 | 6 << 10, 2500, 0);
        vm.prank(stranger);
        pools.submit(address(escrow), terms, 0, ballots);
        assertEq(seller.balance, total);
        Jury memory c = lastOf(id);
        assertEq(uint8(c.stage), uint8(Stage.Executed));
        assertEq(c.acceptedAt, vm.getBlockTimestamp());
        assertEq(c.share, 2500);
        assertEq(c.ballots, 0);
        assertEq(pools.rulings(address(escrow), id), 1);
    }

    function test_InSteps() public {
        Terms memory terms = poolTerms();
        (bytes32 id,) = drawn(terms);
        pools.submit(address(escrow), terms, 0, one(ballot(terms, 0, 10_000)));
        Jury memory c = lastOf(id);
        assertEq(uint8(c.stage), uint8(Stage.Drawn));
        assertEq(c.ballots, 21);
        _bounds(c, 0, 10_000);
        pools.submit(address(escrow), terms, 0, one(ballot(terms, 1, 5000)));
        c = lastOf(id);
        _bounds(c, 5000, 10_000);
        assertEq(pools.rulings(address(escrow), id), 0);
        pools.submit(address(escrow), terms, 0, one(ballot(terms, 2, 0)));
        c = lastOf(id);
        assertEq(uint8(c.stage), uint8(Stage.Executed));
        assertEq(c.share, 5000);
        assertEq(c.ballots, 21 | 11 << 5);
        assertEq(seller.balance, AMOUNT / 2);
    }

    function test_CountedTwiceChangesNothing() public {
        Terms memory terms = poolTerms();
        drawn(terms);
        Ballot memory a = ballot(terms, 0, 5000);
        pools.submit(address(escrow), terms, 0, one(a));
        expect(IArbitrationPools.NoBallots.selector);
        pools.submit(address(escrow), terms, 0, one(a));
        expect(IArbitrationPools.NoBallots.selector);
        pools.submit(address(escrow), terms, 0, new Ballot[](0));
        pools.submit(address(escrow), terms, 0, two(a, ballot(terms, 1, 0)));
    }

    function test_UntilTheEndOfTheSecondJurysVoting() public {
        Terms memory terms = poolTerms();
        uint256 last = vm.getBlockTimestamp() + SPAN;
        drawn(terms);
        Ballot[] memory both = two(ballot(terms, 0, 5000), ballot(terms, 1, 5000));
        vm.warp(last + 1);
        expect(refusal(IArbitrationPools.TooLate.selector, last));
        pools.submit(address(escrow), terms, 0, both);
        // Long past the first jury's voting: it may rule until the second one has.
        vm.warp(last);
        pools.submit(address(escrow), terms, 0, both);
        assertEq(seller.balance, AMOUNT / 2);
    }

    function test_StateRefusals() public {
        Terms memory terms = poolTerms();
        disputed(terms);
        expect(IArbitrationPools.UnknownCase.selector);
        pools.submit(address(escrow), terms, 0, new Ballot[](0));
        pools.open(address(escrow), idOf(terms));
        expect(IArbitrationPools.NotDrawn.selector);
        pools.submit(address(escrow), terms, 0, new Ballot[](0));
        vm.roll(vm.getBlockNumber() + 3);
        pools.draw(address(escrow), terms);
        pools.submit(address(escrow), terms, 0, two(ballot(terms, 0, 0), ballot(terms, 1, 0)));
        expect(IArbitrationPools.AlreadyAccepted.selector);
        pools.submit(address(escrow), terms, 0, new Ballot[](0));
    }

    /* FORGERIES */

    function _refused(Terms memory terms, Ballot memory bad, bytes memory why) private {
        expect(why);
        pools.submit(address(escrow), terms, 0, one(bad));
        // Nor in good company.
        Ballot[] memory list = two(ballot(terms, 1, 0), bad);
        expect(why);
        pools.submit(address(escrow), terms, 0, list);
    }

    function test_ForgedBallots() public {
        Terms memory terms = poolTerms();
        (, address[] memory seats) = drawn(terms);
        bytes memory why = refusal(IArbitrationPools.InvalidBallot.selector, uint256(0));
        Ballot memory good = ballot(terms, 0, 5000);
        bytes32 id = pools.caseId(address(escrow), terms, 0);

        Ballot memory bad = ballot(terms, 0, 5000);
        bad.share = 5500;
        _refused(terms, bad, why);
        (bad.share, bad.reason) = (5000, keccak256("other"));
        _refused(terms, bad, why);
        (bad.reason, bad.r, bad.vs) = (good.reason, 0, 0);
        _refused(terms, bad, why);
        // Another juror's, a stranger's, a ballot of another case.
        (bad.r, bad.vs) = vm.signCompact(keys[seats[1]], ballotDigest(id, 5000, bad.reason));
        _refused(terms, bad, why);
        (bad.r, bad.vs) = vm.signCompact(strangerKey, ballotDigest(id, 5000, bad.reason));
        _refused(terms, bad, why);
        (bad.r, bad.vs) = vm.signCompact(keys[seats[0]], ballotDigest(keccak256("other"), 5000, bad.reason));
        _refused(terms, bad, why);
        // The same signature in its malleable form.
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(keys[seats[0]], ballotDigest(id, 5000, bad.reason));
        uint256 order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
        // Its s has the highest bit set or not, and no parity fits it.
        (bad.r, bad.vs) = (r, bytes32(order - uint256(s) | uint256(v == 27 ? 1 : 0) << 255));
        _refused(terms, bad, why);
        // The seat's own signature under another seat.
        good.seat = 2;
        _refused(terms, good, refusal(IArbitrationPools.InvalidBallot.selector, uint256(2)));
    }

    function test_BallotOfAnotherCaseIsRefused() public {
        Terms memory terms = poolTerms();
        drawn(terms);
        Terms memory other = poolTerms();
        other.annex.salt = "other";
        drawn(other);
        // The same juror could sit in both: what it signs for the one says nothing in the other.
        address juror = pools.juryOf(address(escrow), terms, 0)[0];
        bytes32 foreign = pools.caseId(address(escrow), other, 0);
        assertNotEq(foreign, pools.caseId(address(escrow), terms, 0));
        (bytes32 r, bytes32 vs) = vm.signCompact(keys[juror], ballotDigest(foreign, 5000, 0));
        Ballot memory bad = Ballot(0, 5000, 0, r, vs);
        _refused(terms, bad, refusal(IArbitrationPools.InvalidBallot.selector, uint256(0)));
    }

    function test_SeatsAndShares() public {
        Terms memory terms = poolTerms();
        drawn(terms);
        Ballot memory bad = ballot(terms, 0, 5000);
        bad.seat = 3;
        _refused(terms, bad, refusal(IArbitrationPools.BadSeat.selector, uint256(3)));
        uint16[3] memory shares = [uint16(1), 5250, 10_500];
        for (uint256 i; i < 3; ++i) {
            _refused(
                terms, ballot(terms, 0, shares[i]), refusal(IArbitrationPools.BadShare.selector, uint256(shares[i]))
            );
        }
    }

    /* TWO BALLOTS OF ONE SEAT */

    function test_TwoDifferentBallotsVoidTheSeat() public {
        Terms memory terms = poolTerms();
        (bytes32 id,) = drawn(terms);
        pools.submit(address(escrow), terms, 0, one(ballot(terms, 0, 5000)));
        pools.submit(address(escrow), terms, 0, one(ballot(terms, 0, 6000)));
        Jury memory c = lastOf(id);
        assertEq(c.ballots, 31);
        _bounds(c, 0, 10_000);
        // Void it stays, whatever else is shown of it.
        Ballot[] memory third = one(ballot(terms, 0, 7000));
        expect(IArbitrationPools.NoBallots.selector);
        pools.submit(address(escrow), terms, 0, third);
        // The other two still rule when they agree.
        pools.submit(address(escrow), terms, 0, two(ballot(terms, 1, 3000), ballot(terms, 2, 3000)));
        assertEq(seller.balance, uint256(AMOUNT) * 3000 / 10_000);
    }

    function test_InOneSubmission() public {
        Terms memory terms = poolTerms();
        (bytes32 id,) = drawn(terms);
        Ballot[] memory list = new Ballot[](3);
        (list[0], list[1], list[2]) = (ballot(terms, 0, 5000), ballot(terms, 1, 5000), ballot(terms, 0, 6000));
        pools.submit(address(escrow), terms, 0, list);
        Jury memory c = lastOf(id);
        assertEq(uint8(c.stage), uint8(Stage.Drawn));
        assertEq(c.ballots, 31 | 11 << 5);
    }

    /* EXECUTION */

    /// A ruling that the escrow cannot take at once is kept, and executed later by anyone.
    function test_AcceptanceOutlivesAFailedExecution() public {
        Terms memory terms = poolTerms();
        (bytes32 id,) = drawn(terms);
        Ballot[] memory both = two(ballot(terms, 0, 5000), ballot(terms, 1, 5000));
        expect(IArbitrationPools.NotAccepted.selector);
        pools.execute(address(escrow), terms);
        vm.mockCallRevert(address(escrow), abi.encodePacked(IEscrow.rule.selector), "no");
        pools.submit(address(escrow), terms, 0, both);
        Jury memory c = lastOf(id);
        assertEq(uint8(c.stage), uint8(Stage.Accepted));
        assertEq(pools.rulings(address(escrow), id), 1);
        expect(IArbitrationPools.AlreadyAccepted.selector);
        pools.submit(address(escrow), terms, 0, both);
        vm.expectRevert(bytes("no"));
        pools.execute(address(escrow), terms);
        vm.clearMockedCalls();
        vm.expectEmit(address(pools));
        emit IArbitrationPools.RulingExecuted(id, address(escrow), 5000);
        vm.prank(stranger);
        pools.execute(address(escrow), terms);
        assertEq(seller.balance, AMOUNT / 2);
        expect(IArbitrationPools.AlreadyExecuted.selector);
        pools.execute(address(escrow), terms);
        assertEq(uint8(escrow.stateOf(id).status), uint8(Status.Closed));
    }

    /// Too little gas for the payout keeps the ruling, and an offer from before it is dead.
    function test_AcceptedRulingKillsOffers() public {
        Terms memory terms = poolTerms();
        (bytes32 id,) = drawn(terms);
        bytes32 digest = settleDigest(id, AMOUNT, Status.Disputed, 0, ALWAYS);
        (bytes memory a, bytes memory b) = (sign(buyerKey, digest), sign(sellerKey, digest));
        Ballot[] memory both = two(ballot(terms, 0, 0), ballot(terms, 1, 0));
        vm.mockCallRevert(address(escrow), abi.encodePacked(IEscrow.rule.selector), "no");
        pools.submit(address(escrow), terms, 0, both);
        vm.clearMockedCalls();
        expect(IEscrow.StateChanged.selector);
        escrow.settle(dealOf(terms), AMOUNT, 0, ALWAYS, a, b);
        pools.execute(address(escrow), terms);
        assertEq(seller.balance, 0);
    }

    function test_ExecuteUnknown() public {
        Terms memory terms = poolTerms();
        expect(IArbitrationPools.UnknownCase.selector);
        pools.execute(address(escrow), terms);
    }

    function test_NoAmountOfGasExecutesHalf() public {
        Terms memory terms = poolTerms();
        (bytes32 id,) = drawn(terms);
        Ballot[] memory both = two(ballot(terms, 0, 5000), ballot(terms, 1, 5000));
        bytes memory data = abi.encodeCall(IArbitrationPools.submit, (address(escrow), terms, 0, both));
        for (uint256 gas_ = 40_000; gas_ < 600_000; gas_ += 5_000) {
            uint256 snapshot = vm.snapshotState();
            (bool ok,) = address(pools).call{gas: gas_}(data);
            Stage stage = lastOf(id).stage;
            if (!ok) assertEq(uint8(stage), uint8(Stage.Drawn));
            else assertEq(uint8(stage), uint8(Stage.Executed));
            bool closed = escrow.stateOf(id).status == Status.Closed;
            assertEq(closed, ok);
            assertEq(seller.balance, closed ? AMOUNT / 2 : 0);
            vm.revertToState(snapshot);
        }
    }
}

/// @notice Runs a call from within a call of the escrow, which asks any token for its permit.
contract Insider {
    address private _target;
    bytes private _data;
    bytes public answer;

    function run(IEscrow escrow, address target, bytes calldata data) external {
        (_target, _data) = (target, data);
        escrow.permit(address(this), address(0), 0, 0, 0, 0, 0);
    }

    function permit(address, address, uint256, uint256, uint8, bytes32, bytes32) external {
        // Not reverted here: the escrow would take no notice, and nothing would have happened.
        (, answer) = _target.call(_data);
    }
}

contract LateRulingTest is PoolsFixture {
    /// Else a stranger could have the ruling accepted but not told, a moment before it is too late to tell it.
    function test_NoRulingFromWithinTheEscrow() public {
        Terms memory terms = poolTerms();
        (bytes32 id,) = drawn(terms);
        Ballot[] memory both = two(ballot(terms, 0, 5000), ballot(terms, 1, 5000));
        vm.warp(lastOf(id).endsAt);
        bytes memory data = abi.encodeCall(IArbitrationPools.submit, (address(escrow), terms, 0, both));
        Insider insider = new Insider();
        insider.run(escrow, address(pools), data);
        assertEq(insider.answer(), abi.encodePacked(IArbitrationPools.Reentered.selector));
        assertEq(uint8(lastOf(id).stage), uint8(Stage.Drawn));
        pools.submit(address(escrow), terms, 0, both);
        assertEq(seller.balance, AMOUNT / 2);
    }

    function test_NoRulingOfADealThatIsClosed() public {
        Terms memory terms = poolTerms();
        (bytes32 id, address[] memory seats) = drawn(terms);
        Ballot[] memory both = two(ballot(terms, 0, 5000), ballot(terms, 1, 5000));
        Ballot[] memory single = one(both[0]);
        vm.prank(buyer);
        escrow.release(dealOf(terms), AMOUNT);
        expect(IArbitrationPools.NotDisputed.selector);
        pools.submit(address(escrow), terms, 0, both);
        pools.submit(address(escrow), terms, 0, single);
        expect(IArbitrationPools.NotDisputed.selector);
        vm.prank(seats[1]);
        pools.cast(address(escrow), terms, 0, 1, 5000, 0);
        assertEq(pools.rulings(address(escrow), id), 0);
    }
}
