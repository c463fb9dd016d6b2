// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Stage} from "../interfaces/IArbitrationPools.sol";

/// What a case keeps of one of its juries, in one word. From the lowest bit:
///   4 stage | 1 instance | 1 jury | 2 last | 1 appealable | 1 voted | 6 seats | 32 list | 24 members
///   36 endsAt | 36 moment | 16 share | 96 seed
/// `last` is the number of the case's last jury and stands in the word of its first one. `moment` is the target block
/// until the jury is drawn, and when the ruling was accepted once one is. Until the first jury is drawn the place of the
/// seed holds, from its lowest bit, when the deal was funded (40) and when the instance began (40): the pool and its list
/// are found by them. 36 bits of seconds last until the year 4147.
type Docket is uint256;

using Dockets for Docket global;

/// Whom a jury is drawn from, and for how long it sits.
struct Panel {
    uint256 instance;
    uint256 seats;
    uint256 list;
    uint256 members;
    uint256 endsAt;
    bool appealable;
}

/// @title  Dockets
/// @notice Reads and writes the fields of a docket.
library Dockets {
    uint256 private constant STAGE = 0xf;
    uint256 private constant LAST_AT = 6;
    uint256 private constant APPEALABLE = 1 << 8;
    uint256 private constant VOTED = 1 << 9;
    uint256 private constant SEATS_AT = 10;
    uint256 private constant LIST_AT = 16;
    uint256 private constant MEMBERS_AT = 48;
    uint256 private constant ENDS_AT = 72;
    uint256 private constant MOMENT_AT = 108;
    uint256 private constant TIME = (1 << 36) - 1;
    uint256 private constant SHARE_AT = 144;
    uint256 private constant SEED_AT = 160;
    uint256 private constant BEGAN_AT = 200;

    /// A jury to be drawn at `target`.
    function opened(uint256 instance_, uint256 jury_, uint256 target) internal pure returns (Docket) {
        return Docket.wrap(uint256(Stage.Opened) | instance_ << 4 | jury_ << 5 | target << MOMENT_AT);
    }

    // forge-lint: disable-start(unsafe-typecast)
    function stage(Docket self) internal pure returns (Stage) {
        return Stage(Docket.unwrap(self) & STAGE);
    }

    function instance(Docket self) internal pure returns (uint8) {
        return uint8(Docket.unwrap(self) >> 4 & 1);
    }

    function jury(Docket self) internal pure returns (uint8) {
        return uint8(Docket.unwrap(self) >> 5 & 1);
    }

    function last(Docket self) internal pure returns (uint256) {
        return Docket.unwrap(self) >> LAST_AT & 3;
    }

    function appealable(Docket self) internal pure returns (bool) {
        return Docket.unwrap(self) & APPEALABLE != 0;
    }

    function voted(Docket self) internal pure returns (bool) {
        return Docket.unwrap(self) & VOTED != 0;
    }

    function seats(Docket self) internal pure returns (uint256) {
        return Docket.unwrap(self) >> SEATS_AT & 0x3f;
    }

    function list(Docket self) internal pure returns (uint32) {
        return uint32(Docket.unwrap(self) >> LIST_AT);
    }

    function members(Docket self) internal pure returns (uint256) {
        return uint24(Docket.unwrap(self) >> MEMBERS_AT);
    }

    function endsAt(Docket self) internal pure returns (uint256) {
        return Docket.unwrap(self) >> ENDS_AT & TIME;
    }

    function moment(Docket self) internal pure returns (uint256) {
        return Docket.unwrap(self) >> MOMENT_AT & TIME;
    }

    function share(Docket self) internal pure returns (uint16) {
        return uint16(Docket.unwrap(self) >> SHARE_AT);
    }

    function seed(Docket self) internal pure returns (bytes32) {
        return bytes32(Docket.unwrap(self) >> SEED_AT << SEED_AT);
    }

    function fundedAt(Docket self) internal pure returns (uint40) {
        return uint40(Docket.unwrap(self) >> SEED_AT);
    }

    function beganAt(Docket self) internal pure returns (uint40) {
        return uint40(Docket.unwrap(self) >> BEGAN_AT);
    }
    // forge-lint: disable-end(unsafe-typecast)

    function withStage(Docket self, Stage stage_) internal pure returns (Docket) {
        return Docket.wrap(Docket.unwrap(self) & ~STAGE | uint256(stage_));
    }

    function withLast(Docket self, uint256 number) internal pure returns (Docket) {
        return Docket.wrap(Docket.unwrap(self) & ~(uint256(3) << LAST_AT) | number << LAST_AT);
    }

    function withVoted(Docket self) internal pure returns (Docket) {
        return Docket.wrap(Docket.unwrap(self) | VOTED);
    }

    function withMoment(Docket self, uint256 moment_) internal pure returns (Docket) {
        return Docket.wrap(Docket.unwrap(self) & ~(TIME << MOMENT_AT) | moment_ << MOMENT_AT);
    }

    /// Of a first jury that is not drawn.
    function withTimes(Docket self, uint40 fundedAt_, uint40 beganAt_) internal pure returns (Docket) {
        return Docket.wrap(Docket.unwrap(self) | uint256(fundedAt_) << SEED_AT | uint256(beganAt_) << BEGAN_AT);
    }

    /// The panel that a jury is drawn from, in place of the times by which it was found.
    function withPanel(Docket self, Panel memory panel) internal pure returns (Docket) {
        return Docket.wrap(
            Docket.unwrap(self) << 96 >> 96 | panel.instance << 4 | (panel.appealable ? APPEALABLE : 0) | panel.seats
                << SEATS_AT | panel.list << LIST_AT | panel.members << MEMBERS_AT | panel.endsAt << ENDS_AT
        );
    }

    /// The same panel as another jury's.
    function withPanelOf(Docket self, Docket other) internal pure returns (Docket) {
        uint256 panel = APPEALABLE | ((uint256(1) << MOMENT_AT) - (uint256(1) << SEATS_AT));
        return Docket.wrap(Docket.unwrap(self) | Docket.unwrap(other) & panel);
    }

    /// `seed_` in its first 12 bytes.
    function drawn(Docket self, bytes32 seed_) internal pure returns (Docket) {
        return Docket.wrap(
            (Docket.unwrap(self) & ~STAGE & ~(TIME << MOMENT_AT)) << 96 >> 96 | uint256(Stage.Drawn) | uint256(seed_)
                >> SEED_AT << SEED_AT
        );
    }

    function accepted(Docket self, uint16 share_, uint256 time, bool appealable_) internal pure returns (Docket) {
        uint256 kept = Docket.unwrap(withMoment(self, time)) & ~STAGE & ~APPEALABLE & ~(uint256(0xffff) << SHARE_AT);
        return
            Docket.wrap(kept | uint256(Stage.Accepted) | (appealable_ ? APPEALABLE : 0) | uint256(share_) << SHARE_AT);
    }
}
