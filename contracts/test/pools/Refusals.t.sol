// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Ballot, IArbitrationPools as I, Stage} from "../../src/interfaces/IArbitrationPools.sol";
import {IEscrow, Terms} from "../../src/interfaces/IEscrow.sol";
import {CaseFixture} from "./CaseFixture.sol";

/// @notice Every function of a case at every place where a case can stand: it goes through, or exactly one refusal names why
///         not.
contract RefusalsTest is CaseFixture {
    /// Where a case can stand.
    enum Place {
        Undisputed,
        AnotherArbiters,
        UnknownPool,
        NoList,
        Unopened,
        Opened,
        OpenedPastItsEnd,
        Drawn,
        FirstIsLate,
        SecondOpened,
        SecondDrawn,
        EndedSilent,
        EndedDivided,
        PastTheDeadline,
        ClosedWhenDrawn,
        InTheWindow,
        AfterTheWindow,
        ClosedInTheWindow,
        AppealOpened,
        AppealDrawn,
        AppealEnded,
        Untold,
        Executed
    }

    enum Act {
        Open,
        Draw,
        OpenSecond,
        Cast,
        Submit,
        CastSecond,
        Conclude,
        Appeal,
        AppealBySig,
        Execute,
        JuryOf,
        CaseId
    }

    Terms private _terms;
    bytes32 private _id;
    address private _juror;
    address private _secondJuror;

    /* THE TABLE */

    /// One row a place, one word a function in the order of `Act`.
    function _row(Place place) private pure returns (string memory) {
        if (place == Place.Undisputed) return "disp case case case case case case case case case case case";
        if (place == Place.AnotherArbiters) return "have mine mine mine mine mine mine mine mine mine mine mine";
        if (place == Place.UnknownPool) return "have pool seat seat seat seat seat nacc nacc nacc seat seat";
        if (place == Place.NoList) return "have list seat seat seat seat seat nacc nacc nacc seat seat";
        if (place == Place.Unopened) return "good case case case case case case case case case case case";
        if (place == Place.Opened) return "have good seat seat seat seat seat nacc nacc nacc seat seat";
        if (place == Place.OpenedPastItsEnd) return "have late seat seat seat seat seat nacc nacc nacc seat seat";
        if (place == Place.Drawn) return "have done soon good good seat soon nacc nacc nacc good good";
        if (place == Place.FirstIsLate) return "have done good good good seat soon nacc nacc nacc good good";
        if (place == Place.SecondOpened) return "have good more good good seat soon nacc nacc nacc good good";
        if (place == Place.SecondDrawn) return "have done more good good good soon nacc nacc nacc good good";
        if (place == Place.EndedSilent) return "have done more late late late none nacc nacc nacc good good";
        if (place == Place.EndedDivided) return "have done more late late late good nacc nacc nacc good good";
        if (place == Place.PastTheDeadline) return "have done more late late late late nacc nacc nacc good good";
        if (place == Place.ClosedWhenDrawn) return "have done more good disp good disp nacc nacc nacc good good";
        if (place == Place.InTheWindow) return "have done over over over over over good good soon good good";
        if (place == Place.AfterTheWindow) return "have done over over over over over late late good good good";
        if (place == Place.ClosedInTheWindow) return "have done over over over over over disp disp soon good good";
        if (place == Place.AppealOpened) return "have good seat seat seat seat soon nacc nacc nacc seat seat";
        if (place == Place.AppealDrawn) return "have done soon good good seat soon nacc nacc nacc good good";
        if (place == Place.AppealEnded) return "have done late late late seat good nacc nacc nacc good good";
        if (place == Place.Untold) return "have done over over over over over once once good good good";
        return "have done over over over over over exec exec exec good good";
    }

    function _refusal(bytes4 word, Place place, Act act) private view returns (bytes memory) {
        if (word == "disp") return abi.encodePacked(I.NotDisputed.selector);
        if (word == "case") return abi.encodePacked(I.UnknownCase.selector);
        if (word == "mine") return abi.encodePacked(I.NotMyDeal.selector);
        if (word == "have") return abi.encodePacked(I.CaseExists.selector);
        if (word == "pool") return abi.encodePacked(I.UnknownPool.selector);
        if (word == "list") return abi.encodePacked(I.NoList.selector);
        if (word == "seat") return abi.encodePacked(I.NotDrawn.selector);
        if (word == "done") return abi.encodePacked(I.AlreadyDrawn.selector);
        if (word == "more") return abi.encodePacked(I.NoFurtherJury.selector);
        if (word == "nacc") return abi.encodePacked(I.NotAccepted.selector);
        if (word == "over") return abi.encodePacked(I.AlreadyAccepted.selector);
        if (word == "exec") return abi.encodePacked(I.AlreadyExecuted.selector);
        if (word == "once") return abi.encodePacked(I.NotAppealable.selector);
        if (word == "none") return abi.encodePacked(I.NoBallots.selector);
        if (word == "soon") return refusal(I.TooEarly.selector, _first(place, act));
        assertEq(word, bytes4("late"), "an unknown word");
        return refusal(I.TooLate.selector, _last(place, act));
    }

    /// The first second of what it is too early for.
    function _first(Place place, Act act) private pure returns (uint256) {
        if (act == Act.Execute) return START + APPEAL + 1;
        bool ofAppeal = place >= Place.AppealOpened;
        uint256 end = ofAppeal ? START + APPEAL + PARENT_SPAN : START + SPAN;
        if (act == Act.Conclude) return end + 1;
        return end - (ofAppeal ? PARENT_HALF : HALF) + 1;
    }

    /// The last second of what it is too late for.
    function _last(Place place, Act act) private pure returns (uint256) {
        if (place == Place.AfterTheWindow) return START + APPEAL;
        if (place == Place.AppealEnded) return START + APPEAL + PARENT_SPAN;
        return act == Act.Conclude ? START + RULING : START + SPAN;
    }

    /* GETTING THERE */

    function _reach(Place place) private {
        _terms = caseTerms();
        if (place == Place.AnotherArbiters) _terms.arbiter = stranger;
        if (place == Place.UnknownPool) _terms.annex.panel = "nobody's";
        if (place == Place.NoList) _terms.annex.panel = pools.createPool(book(5));
        _id = idOf(_terms);
        if (place == Place.Undisputed) {
            fund(_terms);
            return;
        }
        disputed(_terms);
        if (place == Place.Unopened) return;
        pools.open(address(escrow), _id);
        vm.roll(vm.getBlockNumber() + 3);
        if (place == Place.OpenedPastItsEnd) vm.warp(START + SPAN + 1);
        if (place <= Place.OpenedPastItsEnd) return;
        pools.draw(address(escrow), _terms);
        if (place < Place.InTheWindow) _reachUnruled(place);
        else _reachRuled(place);
    }

    function _reachUnruled(Place place) private {
        _juror = pools.juryOf(address(escrow), _terms, 0)[2];
        if (place == Place.Drawn) return;
        bool divided = place == Place.EndedDivided || place == Place.PastTheDeadline;
        if (divided) vote(_terms, 0, shares(500, 9500, NONE));
        vm.warp(START + HALF + 1);
        if (place == Place.FirstIsLate) return;
        pools.openSecondJury(address(escrow), _terms);
        vm.roll(vm.getBlockNumber() + 3);
        if (place == Place.SecondOpened) return;
        pools.draw(address(escrow), _terms);
        _secondJuror = pools.juryOf(address(escrow), _terms, 1)[2];
        if (place == Place.ClosedWhenDrawn) _close();
        if (place == Place.SecondDrawn || place == Place.ClosedWhenDrawn) return;
        vm.warp(place == Place.PastTheDeadline ? START + RULING + 1 : START + SPAN + 1);
    }

    function _reachRuled(Place place) private {
        vote(_terms, 0, shares(500, 500, NONE));
        if (place == Place.ClosedInTheWindow) _close();
        if (place == Place.InTheWindow || place == Place.ClosedInTheWindow) return;
        if (place == Place.AfterTheWindow || place == Place.Executed) {
            vm.warp(START + APPEAL + 1);
            if (place == Place.Executed) pools.execute(address(escrow), _terms);
            return;
        }
        appealAs(seller, _terms);
        vm.roll(vm.getBlockNumber() + 3);
        if (place == Place.AppealOpened) return;
        pools.draw(address(escrow), _terms);
        _juror = pools.juryOf(address(escrow), _terms, 0)[2];
        if (place == Place.AppealDrawn) return;
        if (place == Place.AppealEnded) {
            vm.warp(START + APPEAL + PARENT_SPAN + 1);
            return;
        }
        vm.mockCallRevert(address(escrow), abi.encodePacked(IEscrow.rule.selector), "no");
        vote(_terms, 0, shares(500, 500, 500, NONE, NONE));
        vm.clearMockedCalls();
        assertEq(uint8(place), uint8(Place.Untold));
    }

    function _close() private {
        vm.prank(buyer);
        escrow.release(dealOf(_terms), AMOUNT);
    }

    /* TRYING */

    function _by(Act act) private view returns (address) {
        if (act == Act.Appeal) return buyer;
        if (act == Act.Cast) return _juror;
        return act == Act.CastSecond ? _secondJuror : stranger;
    }

    function _call(Act act) private view returns (bytes memory) {
        address at_ = address(escrow);
        if (act == Act.Open) return abi.encodeCall(I.open, (at_, _id));
        if (act == Act.Draw) return abi.encodeCall(I.draw, (at_, _terms));
        if (act == Act.OpenSecond) return abi.encodeCall(I.openSecondJury, (at_, _terms));
        if (act == Act.Cast) return abi.encodeCall(I.cast, (at_, _terms, 0, 2, 500, 0));
        if (act == Act.CastSecond) return abi.encodeCall(I.cast, (at_, _terms, 1, 2, 500, 0));
        if (act == Act.Submit) return abi.encodeCall(I.submit, (at_, _terms, 0, _agreed()));
        if (act == Act.Conclude) return abi.encodeCall(I.conclude, (at_, _terms));
        if (act == Act.Appeal) return abi.encodeCall(I.appeal, (at_, _terms));
        if (act == Act.AppealBySig) return abi.encodeCall(I.appealBySig, (at_, _terms, seller, ALWAYS, _consent()));
        if (act == Act.Execute) return abi.encodeCall(I.execute, (at_, _terms));
        return
            act == Act.JuryOf ? abi.encodeCall(I.juryOf, (at_, _terms, 0)) : abi.encodeCall(I.caseId, (at_, _terms, 0));
    }

    /// Ballots of jury 0 that rule, where it sits and is not ruled yet.
    function _agreed() private view returns (Ballot[] memory list) {
        if (_juror == address(0)) return list;
        bool five = lastOf(_id).instance == 1;
        return ballotsOf(_terms, 0, five ? shares(500, 500, 500, NONE, NONE) : shares(500, 500, NONE));
    }

    function _consent() private view returns (bytes memory) {
        bytes32 content = keccak256(abi.encode(keccak256("Appeal(bytes32 deal,uint40 validUntil)"), _id, ALWAYS));
        bytes32 domain = domainOf("Earnest Arbitration Pools", address(pools));
        return sign(sellerKey, keccak256(abi.encodePacked(hex"1901", domain, content)));
    }

    function test_EveryPlaceWithEveryFunction() public {
        uint256 places = uint256(type(Place).max) + 1;
        uint256 start = vm.snapshotState();
        for (uint256 i; i < places; ++i) {
            _reach(Place(i));
            bytes memory row = bytes(_row(Place(i)));
            assertEq(row.length, 5 * (uint256(type(Act).max) + 1) - 1);
            for (uint256 j; j <= uint256(type(Act).max); ++j) {
                _try(
                    Place(i),
                    Act(j),
                    bytes4(abi.encodePacked(row[5 * j], row[5 * j + 1], row[5 * j + 2], row[5 * j + 3]))
                );
            }
            vm.revertToState(start);
        }
    }

    function _try(Place place, Act act, bytes4 word) private {
        uint256 snapshot = vm.snapshotState();
        bytes memory data = _call(act);
        vm.prank(_by(act));
        (bool ok, bytes memory answer) = address(pools).call(data);
        string memory where = string.concat("place ", vm.toString(uint256(place)), ", act ", vm.toString(uint256(act)));
        assertEq(ok, word == "good", where);
        if (!ok) assertEq(answer, _refusal(word, place, act), where);
        vm.revertToState(snapshot);
    }
}
