// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Stage} from "../src/interfaces/IArbitrationPools.sol";
import {State, Status} from "../src/interfaces/IEscrow.sol";
import {DealState} from "../src/libraries/DealState.sol";
import {Docket, Dockets, Panel} from "../src/libraries/Docket.sol";
import {vm} from "./Cheats.sol";

/// @notice The packed words: what is written is read, and nothing beside it changes.
contract WordsProof {
    using DealState for State;
    using DealState for uint256;

    uint256 private constant STAGE = 0xf;
    uint256 private constant INSTANCE = 1 << 4;
    uint256 private constant LAST = 3 << 6;
    uint256 private constant APPEALABLE = 1 << 8;
    uint256 private constant VOTED = 1 << 9;
    /// seats, list, members and endsAt
    uint256 private constant PANEL = ((1 << 98) - 1) << 10;
    uint256 private constant MOMENT = ((1 << 36) - 1) << 108;
    uint256 private constant SHARE = 0xffff << 144;
    uint256 private constant SEED = ((1 << 96) - 1) << 160;

    /* A DEAL'S STATE */

    /// Every word of a deal is that of its state: unpacked and packed again it is the same.
    function check_AWordIsItsState(uint256 word) public pure {
        vm.assume(word & 0xf <= uint256(type(Status).max));
        assert(word.unpack().pack() == word);
    }

    /// Every state comes back from its word, its times modulo 2^34 seconds.
    function check_AStateIsItsWord(State memory state) public pure {
        vm.assume(state.since < 1 << 34 && state.fundedAt < 1 << 34);
        State memory read = state.pack().unpack();
        assert(read.status == state.status && read.count == state.count);
        assert(read.since == state.since && read.fundedAt == state.fundedAt);
        assert(read.released == state.released && read.refunded == state.refunded);
    }

    /// Whatever time a state has, the word's other fields are as if it had none.
    function check_ATimeStaysInItsField(State memory state, uint40 since, uint40 fundedAt) public pure {
        uint256 word = state.pack();
        (state.since, state.fundedAt) = (since, fundedAt);
        assert((word ^ state.pack()) & ~(((uint256(1) << 68) - 1) << 12) == 0);
    }

    /// A funded deal's word is that of the state Funded at that time, after one event, with nothing paid.
    function check_AFundedWord(uint40 time) public pure {
        vm.assume(time < 1 << 34);
        State memory state = DealState.funded(time).unpack();
        assert(state.status == Status.Funded && state.count == 1 && state.since == 0);
        assert(state.fundedAt == time && state.released == 0 && state.refunded == 0);
    }

    /* A DOCKET: in each, from any word with a stage */

    /// A stage is read as written and leaves all else.
    function check_Stage(uint256 word, Stage stage) public pure {
        Docket docket = _docket(word).withStage(stage);
        assert(docket.stage() == stage);
        _onlyIn(docket, word, STAGE);
    }

    /// The number of the last jury, 0 to 3, is read as written and leaves all else.
    function check_Last(uint256 word, uint256 number) public pure {
        vm.assume(number < 4);
        Docket docket = _docket(word).withLast(number);
        assert(docket.last() == number);
        _onlyIn(docket, word, LAST);
    }

    /// That somebody voted is read as written and leaves all else.
    function check_Voted(uint256 word) public pure {
        Docket docket = _docket(word).withVoted();
        assert(docket.voted());
        _onlyIn(docket, word, VOTED);
    }

    /// A moment below 2^36 is read as written and leaves all else.
    function check_Moment(uint256 word, uint256 moment) public pure {
        vm.assume(moment < 1 << 36);
        Docket docket = _docket(word).withMoment(moment);
        assert(docket.moment() == moment);
        _onlyIn(docket, word, MOMENT);
    }

    /// A jury opened at a block below 2^36 with times of 40 bits says these, and nothing else.
    function check_Opened(uint8 instance, uint8 jury, uint256 target, uint40 fundedAt, uint40 beganAt) public pure {
        vm.assume(instance < 2 && jury < 2 && target < 1 << 36);
        Docket docket = Dockets.opened(instance, jury, target).withTimes(fundedAt, beganAt);
        assert(docket.stage() == Stage.Opened && docket.instance() == instance && docket.jury() == jury);
        assert(docket.moment() == target && docket.fundedAt() == fundedAt && docket.beganAt() == beganAt);
        assert(docket.last() == 0 && !docket.appealable() && !docket.voted() && docket.share() == 0);
        assert(docket.seats() == 0 && docket.list() == 0 && docket.members() == 0 && docket.endsAt() == 0);
    }

    /// A panel with fields in their ranges, put into any docket without one, is read as written, ends the times and leaves
    /// all else.
    function check_Panel(uint256 word, Panel memory panel) public pure {
        word &= ~(INSTANCE | APPEALABLE | PANEL);
        _assumeInRange(panel);
        Docket docket = _docket(word).withPanel(panel);
        assert(docket.instance() == panel.instance && docket.seats() == panel.seats && docket.list() == panel.list);
        assert(docket.members() == panel.members && docket.endsAt() == panel.endsAt);
        assert(docket.appealable() == panel.appealable && docket.seed() == 0);
        _onlyIn(docket, word, INSTANCE | APPEALABLE | PANEL | SEED);
    }

    /// A second jury's docket takes over the panel of the first and nothing else of it.
    function check_PanelOfAnother(uint256 word, uint256 other) public pure {
        word &= ~(APPEALABLE | PANEL);
        Docket docket = _docket(word).withPanelOf(Docket.wrap(other));
        assert(Docket.unwrap(docket) & (APPEALABLE | PANEL) == other & (APPEALABLE | PANEL));
        _onlyIn(docket, word, APPEALABLE | PANEL);
    }

    /// Drawing any docket sets the first 12 bytes of the seed and the stage, clears the moment and leaves all else.
    function check_Drawn(uint256 word, bytes32 seed) public pure {
        Docket docket = _docket(word).drawn(seed);
        assert(docket.stage() == Stage.Drawn && docket.moment() == 0);
        assert(docket.seed() == bytes32(bytes12(seed)));
        _onlyIn(docket, word, STAGE | MOMENT | SEED);
    }

    /// Accepting a ruling in any docket sets share, time (below 2^36), stage and whether it can be appealed, and leaves all
    /// else.
    function check_Accepted(uint256 word, uint16 share, uint256 time, bool appealable) public pure {
        vm.assume(time < 1 << 36);
        Docket docket = _docket(word).accepted(share, time, appealable);
        assert(docket.stage() == Stage.Accepted && docket.share() == share);
        assert(docket.moment() == time && docket.appealable() == appealable);
        _onlyIn(docket, word, STAGE | MOMENT | SHARE | APPEALABLE);
    }

    /// In any docket each field is read from bits of its own: the fields of any two that differ in one of the fields' bits
    /// alone agree in every other field.
    function check_FieldsAreDisjoint(uint256 word, uint256 other) public pure {
        Docket a = _docket(word);
        uint256[9] memory fields;
        (fields[0], fields[1], fields[2]) = (0x3f << 10, 0xffffffff << 16, 0xffffff << 48);
        (fields[3], fields[4], fields[5]) = (((1 << 36) - 1) << 72, MOMENT, SHARE);
        (fields[6], fields[7], fields[8]) = (SEED, LAST, INSTANCE);
        for (uint256 field; field < 9; ++field) {
            Docket b = Docket.wrap(word ^ other & fields[field]);
            assert(a.stage() == b.stage() && a.jury() == b.jury());
            assert(a.appealable() == b.appealable() && a.voted() == b.voted());
            assert(field == 0 || a.seats() == b.seats());
            assert(field == 1 || a.list() == b.list());
            assert(field == 2 || a.members() == b.members());
            assert(field == 3 || a.endsAt() == b.endsAt());
            assert(field == 4 || a.moment() == b.moment());
            assert(field == 5 || a.share() == b.share());
            assert(field == 6 || a.seed() == b.seed());
            assert(field == 7 || a.last() == b.last());
            assert(field == 8 || a.instance() == b.instance());
        }
    }

    function _docket(uint256 word) private pure returns (Docket) {
        vm.assume(word & STAGE <= uint256(type(Stage).max));
        return Docket.wrap(word);
    }

    function _assumeInRange(Panel memory panel) private pure {
        vm.assume(panel.instance < 2 && panel.seats < 1 << 6 && panel.list < 1 << 32);
        vm.assume(panel.members < 1 << 24 && panel.endsAt < 1 << 36);
    }

    function _onlyIn(Docket docket, uint256 word, uint256 fields) private pure {
        assert((Docket.unwrap(docket) ^ word) & ~fields == 0);
    }
}
