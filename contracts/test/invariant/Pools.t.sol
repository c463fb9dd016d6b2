// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";
import {PoolsHandler} from "./PoolsHandler.sol";

/// @notice What holds of cases after any history of many (docs/protocol.md, section 3). The handler knows of every step
///         whether it must go through, and says so when it does not.
contract PoolsInvariants is Test {
    PoolsHandler private handler;

    function setUp() public {
        handler = new PoolsHandler();
        bytes4[] memory actions = new bytes4[](15);
        actions[0] = PoolsHandler.wait.selector;
        actions[1] = PoolsHandler.approach.selector;
        actions[2] = PoolsHandler.begin.selector;
        actions[3] = PoolsHandler.concede.selector;
        actions[4] = PoolsHandler.lapse.selector;
        actions[5] = PoolsHandler.open.selector;
        actions[6] = PoolsHandler.draw.selector;
        actions[7] = PoolsHandler.openSecond.selector;
        actions[8] = PoolsHandler.advance.selector;
        actions[9] = PoolsHandler.sign.selector;
        actions[10] = PoolsHandler.cast.selector;
        actions[11] = PoolsHandler.forge.selector;
        actions[12] = PoolsHandler.conclude.selector;
        actions[13] = PoolsHandler.execute.selector;
        actions[14] = PoolsHandler.appeal.selector;
        targetSelector(FuzzSelector(address(handler), actions));
        targetContract(address(handler));
    }

    /// A ruling comes of ballots of drawn jurors alone, is what they come to, and changes by one appeal at most.
    /// forge-config: default.invariant.runs = 24
    /// forge-config: default.invariant.depth = 150
    function invariant_RulingsAreWhatTheBallotsComeTo() public view {
        handler.checkRulings();
    }

    /// forge-config: default.invariant.runs = 24
    /// forge-config: default.invariant.depth = 150
    function invariant_NobodySitsWhoIsAPartyOrSatBefore() public view {
        handler.checkSeats();
    }

    /// forge-config: default.invariant.runs = 24
    /// forge-config: default.invariant.depth = 150
    function invariant_NoBoundaryHangsOnACall() public view {
        handler.checkTimes();
    }

    /// forge-config: default.invariant.runs = 24
    /// forge-config: default.invariant.depth = 150
    function invariant_TheEscrowIsToldOnceAndHoldsWhatIsOpen() public view {
        handler.checkMoney();
    }

    /// Whatever became of the cases, every deal can be closed by anybody once its deadline is over.
    function afterInvariant() public {
        handler.closeAll();
    }

    /// The handler is no idle one: in a long enough history every action goes through, and is refused.
    function test_TheHandlerGetsEverywhere() public {
        bytes32[12] memory all = [
            bytes32("open"),
            "draw",
            "openSecond",
            "sign",
            "cast",
            "conclude",
            "appeal",
            "execute",
            "lapse",
            "concede",
            "move",
            "void"
        ];
        uint256[12] memory done;
        uint256[12] memory refused;
        for (uint256 round; round < 10; ++round) {
            handler = new PoolsHandler();
            for (uint256 i; i < 400; ++i) {
                _step(uint256(keccak256(abi.encode(round, i))));
            }
            handler.checkRulings();
            handler.checkSeats();
            handler.checkTimes();
            handler.checkMoney();
            for (uint256 i; i < all.length; ++i) {
                done[i] += handler.done(all[i]);
                refused[i] += handler.refused(all[i]);
            }
            handler.closeAll();
        }
        for (uint256 i; i < all.length; ++i) {
            emit log_named_uint(string(abi.encodePacked(all[i])), done[i]);
            assertGt(done[i], 0, string(abi.encodePacked(all[i])));
            // A target that moves and a seat that is void are results of actions, not actions.
            if (i < 10) assertGt(refused[i], 0, string(abi.encodePacked(all[i])));
        }
    }

    function _step(uint256 noise) private {
        uint256 which = noise >> 8;
        uint256 who = noise >> 16;
        uint8 jury = uint8(noise >> 24);
        uint8 seat = uint8(noise >> 32);
        uint16 share = uint16(noise >> 40);
        uint256 action = noise % 25;
        if (action == 0) handler.wait(noise >> 64, noise >> 128);
        if (action == 1 || action == 24) handler.approach(which, noise >> 64, noise >> 128);
        if (action == 3 || action == 6) handler.begin(noise >> 64, noise >> 128, share);
        if (action == 4) handler.concede(which);
        if (action == 4) handler.appeal(which, who, noise >> 64 & 1 == 0);
        if (action == 5) handler.lapse(which, who);
        if (action == 6) handler.open(which, who);
        if (action == 7) handler.draw(which, who);
        if (action == 8) handler.openSecond(which, who);
        if (action > 8 && action < 12) handler.advance(which, who);
        if (action == 2 || (action > 11 && action < 17)) handler.sign(which, jury, seat, share, who);
        if (action == 17 || action == 23) handler.cast(which, jury, seat, share);
        if (action == 18) handler.forge(which, jury, seat, share, who);
        if (action == 19) handler.conclude(which, who);
        if (action == 20) handler.execute(which, who);
        if (action == 21 || action == 22) handler.appeal(which, who, noise >> 64 & 1 == 0);
    }
}
