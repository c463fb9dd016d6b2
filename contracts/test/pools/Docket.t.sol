// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";
import {Stage} from "../../src/interfaces/IArbitrationPools.sol";
import {Docket, Dockets, Panel} from "../../src/libraries/Docket.sol";

/// @notice The fields of a docket do not touch one another, at whatever values their widths have room for.
contract DocketTest is Test {
    function _panel(uint256 noise) private pure returns (Panel memory) {
        return Panel({
            instance: noise & 1,
            seats: noise >> 8 & 63,
            list: noise >> 16 & type(uint32).max,
            members: noise >> 48 & type(uint24).max,
            endsAt: noise >> 72 & (1 << 36) - 1,
            appealable: noise >> 108 & 1 == 1
        });
    }

    function _assertPanel(Docket docket, Panel memory panel) private pure {
        assertEq(docket.instance(), panel.instance);
        assertEq(docket.seats(), panel.seats);
        assertEq(docket.list(), panel.list);
        assertEq(docket.members(), panel.members);
        assertEq(docket.endsAt(), panel.endsAt);
    }

    function _top(bytes32 seed) private pure returns (bytes32) {
        return bytes32(bytes12(seed));
    }

    /// A first jury: opened by times, drawn from a panel, voted, followed by others, ruling.
    function testFuzz_TheFirstJurysWay(uint256 noise, uint40 fundedAt, uint40 beganAt, bytes32 seed) public pure {
        uint256 target = noise >> 120 & (1 << 36) - 1;
        Panel memory panel = _panel(noise);
        Docket docket = Dockets.opened(0, 0, target).withTimes(fundedAt, beganAt);
        assertEq(uint8(docket.stage()), uint8(Stage.Opened));
        assertEq(docket.fundedAt(), fundedAt);
        assertEq(docket.beganAt(), beganAt);
        assertEq(docket.moment(), target);
        assertEq(docket.seats(), 0);
        docket = docket.withPanel(panel);
        _assertPanel(docket, panel);
        assertEq(docket.appealable(), panel.appealable);
        assertEq(docket.moment(), target);
        docket = docket.drawn(seed);
        _assertPanel(docket, panel);
        assertEq(uint8(docket.stage()), uint8(Stage.Drawn));
        assertEq(docket.seed(), _top(seed));
        assertEq(docket.moment(), 0);
        assertFalse(docket.voted());
        docket = docket.withVoted().withLast(noise % 4);
        assertTrue(docket.voted());
        assertEq(docket.last(), noise % 4);
        assertEq(docket.jury(), 0);
        _assertPanel(docket, panel);
        assertEq(docket.seed(), _top(seed));
        assertEq(docket.appealable(), panel.appealable);
    }

    /// A ruling takes the place of nothing but the stage, the moment, the share and whether it can be appealed.
    function testFuzz_ARuling(uint256 noise, bytes32 seed, uint16 share, uint256 time, bool appealable) public pure {
        time &= (1 << 36) - 1;
        Panel memory panel = _panel(noise);
        Docket docket = Dockets.opened(panel.instance, noise >> 7 & 1, time).withPanel(panel).drawn(seed);
        if (noise >> 6 & 1 == 1) docket = docket.withVoted();
        docket = docket.withLast(noise >> 4 & 3).accepted(share, time, appealable);
        assertEq(uint8(docket.stage()), uint8(Stage.Accepted));
        assertEq(docket.share(), share);
        assertEq(docket.moment(), time);
        assertEq(docket.appealable(), appealable);
        docket = docket.withStage(Stage.Executed);
        assertEq(uint8(docket.stage()), uint8(Stage.Executed));
        _assertPanel(docket, panel);
        assertEq(docket.jury(), noise >> 7 & 1);
        assertEq(docket.voted(), noise >> 6 & 1 == 1);
        assertEq(docket.last(), noise >> 4 & 3);
        assertEq(docket.seed(), _top(seed));
        assertEq(docket.share(), share);
    }

    /// Another jury of a panel starts with that panel alone.
    function testFuzz_ASecondJury(uint256 noise, bytes32 seed, uint256 target) public pure {
        target &= (1 << 36) - 1;
        Panel memory panel = _panel(noise);
        Docket first = Dockets.opened(panel.instance, 0, 1).withPanel(panel).drawn(seed).withVoted().withLast(3);
        first = first.accepted(uint16(noise), noise >> 200 & (1 << 36) - 1, panel.appealable);
        Docket second = Dockets.opened(panel.instance, 1, target).withPanelOf(first);
        _assertPanel(second, panel);
        assertEq(second.appealable(), panel.appealable);
        assertEq(uint8(second.stage()), uint8(Stage.Opened));
        assertEq(second.jury(), 1);
        assertEq(second.moment(), target);
        assertEq(second.seed(), 0);
        assertEq(second.share(), 0);
        assertEq(second.last(), 0);
        assertFalse(second.voted());
    }
}
