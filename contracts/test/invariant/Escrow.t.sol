// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";
import {IEscrow, Status} from "../../src/interfaces/IEscrow.sol";
import {Books} from "./Books.sol";
import {Handler} from "./Handler.sol";

/// @notice What holds after any history of many deals (docs/protocol.md, section 7). Authority, "a closed deal never moves"
///         and "windows never overlap" are asserted in the handler, action by action.
/// forge-config: default.invariant.runs = 24
/// forge-config: default.invariant.depth = 100
contract EscrowInvariants is Test {
    Handler private handler;
    IEscrow private escrow;
    address private buyer;
    address private seller;

    function setUp() public {
        handler = new Handler();
        escrow = handler.contractUnderTest();
        (buyer, seller) = handler.parties();
        bytes4[20] memory all = [
            Handler.wait.selector,
            Handler.deny.selector,
            Handler.feel.selector,
            Handler.misbehave.selector,
            Handler.accept.selector,
            Handler.open.selector,
            Handler.openTwo.selector,
            Handler.fundAgain.selector,
            Handler.retract.selector,
            Handler.deliver.selector,
            Handler.dispute.selector,
            Handler.evidence.selector,
            Handler.release.selector,
            Handler.refund.selector,
            Handler.settle.selector,
            Handler.rule.selector,
            Handler.silence.selector,
            Handler.withdraw.selector,
            Handler.poke.selector,
            Handler.windows.selector
        ];
        bytes4[] memory actions = new bytes4[](all.length);
        for (uint256 i; i < all.length; ++i) {
            actions[i] = all[i];
        }
        targetSelector(FuzzSelector(address(handler), actions));
        targetContract(address(handler));
    }

    /// The escrow holds what remains in open deals and all credit, to the unit, of each asset.
    function invariant_Solvency() public view {
        address[4] memory assets = handler.assets();
        for (uint256 i; i < 4; ++i) {
            assertEq(handler.balanceOf(assets[i], address(escrow)), handler.held(assets[i]) + handler.owed(assets[i]));
        }
    }

    function invariant_Conservation() public view {
        address[4] memory assets = handler.assets();
        uint256[4] memory left;
        for (uint256 i; i < handler.count(); ++i) {
            Books.Ghost memory g = handler.ghost(i);
            if (g.retracted) continue;
            assertLe(g.released + g.refunded, g.terms.amount);
            uint256 rest = g.terms.amount - g.released - g.refunded;
            assertEq(rest == 0, g.status == Status.Closed);
            for (uint256 j; j < 4; ++j) {
                if (g.terms.asset == assets[j]) left[j] += rest;
            }
        }
        for (uint256 j; j < 4; ++j) {
            assertEq(left[j], handler.held(assets[j]));
        }
    }

    function invariant_StateIsWhatTheEventsSay() public view {
        for (uint256 i; i < handler.count(); ++i) {
            assertTrue(handler.agrees(i));
        }
    }

    function invariant_EverybodyHasWhatTheyAreDue() public view {
        address[4] memory assets = handler.assets();
        for (uint256 i; i < 4; ++i) {
            assertEq(escrow.creditOf(buyer, assets[i]), handler.credit(buyer, assets[i]));
            assertEq(escrow.creditOf(seller, assets[i]), handler.credit(seller, assets[i]));
            assertEq(handler.balanceOf(assets[i], seller), handler.paid(seller, assets[i]));
            uint256 buyers = type(uint96).max - handler.spent(assets[i]) + handler.paid(buyer, assets[i]);
            assertEq(handler.balanceOf(assets[i], buyer), buyers);
        }
    }

    /// Liveness, at the end of each run: a call that anybody can make closes every deal that is still open.
    function afterInvariant() public {
        _unwind();
    }

    function _unwind() private {
        handler.unwind();
        address[4] memory assets = handler.assets();
        for (uint256 i; i < 4; ++i) {
            assertEq(handler.balanceOf(assets[i], address(escrow)), 0);
        }
    }

    /// The handler is no idle one: in a long enough history every action goes through, and some are refused.
    function test_TheHandlerGetsEverywhere() public {
        for (uint8 form; form < 3; ++form) {
            handler.open(1000, 0, 2, false, form);
        }
        for (uint256 i; i < 3000; ++i) {
            _step(uint256(keccak256(abi.encode(i))), i);
        }
        bytes32[21] memory all = [
            bytes32("fund"),
            "fundBySig",
            "fundByAuthorization",
            "fundByPermit2",
            "fundByPermit",
            "fundTwo",
            "retract",
            "deliver",
            "dispute",
            "evidence",
            "release",
            "refund",
            "settle",
            "rule",
            "reclaim",
            "claim",
            "lapse",
            "withdraw",
            "poke",
            "windows",
            0
        ];
        invariant_Solvency();
        invariant_Conservation();
        invariant_StateIsWhatTheEventsSay();
        invariant_EverybodyHasWhatTheyAreDue();
        _unwind();
        for (uint256 i; all[i] != 0; ++i) {
            assertGt(handler.done(all[i]), 0, string(abi.encodePacked(all[i])));
        }
        assertGt(handler.refusals(), 0);
    }

    function _step(uint256 noise, uint256 i) private {
        (uint256 which, uint256 who, uint8 how) = (noise >> 8, noise >> 16, uint8(noise >> 24));
        uint88 total = uint88(noise >> 32);
        if (i % 50 == 0) handler.open(total, uint16(who), uint8(which), noise & 14 == 0, how);
        if (i % 500 == 1) handler.openTwo(total, uint88(noise >> 40), uint96(noise));
        if (i % 500 == 2) handler.retract(who, uint8(which), how % 2 == 0);
        if (i % 120 == 0) handler.wait(noise >> 240);
        uint256 action = (noise >> 200) % 16;
        if (action == 0) handler.deny(noise & 256 == 0, noise & 512 == 0);
        if (action == 1) handler.feel(noise & 256 == 0, how);
        if (action == 2) handler.misbehave(how);
        if (action == 3) handler.fundAgain(which, how);
        if (action == 4) handler.deliver(which, who, how);
        if (action == 5 && how < 40) handler.dispute(which, who, how);
        if (action == 6) handler.evidence(which, who, how);
        if (action == 7) handler.release(which, who, total, how);
        if (action == 8) handler.refund(which, who, total, how);
        if (action == 9) handler.rule(which, who, uint16(total));
        if (action == 10) handler.silence(which, who, how);
        if (action == 11) handler.withdraw(who, uint8(which), total, how);
        if (action == 12) handler.settle(which, total, who, noise >> 120, how);
        if (action == 13) handler.poke(which);
        if (action == 14) handler.windows(which);
        if (action == 15) handler.accept(how % 3);
    }
}
