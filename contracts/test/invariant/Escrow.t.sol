// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";
import {IEscrow, Status} from "../../src/interfaces/IEscrow.sol";
import {DenylistToken} from "../tokens/OddToken.sol";
import {Handler} from "./Handler.sol";

/// @notice What holds after any history of many deals (docs/protocol.md, section 7). Authority and "a closed deal never
///         moves" are asserted in the handler, action by action.
contract EscrowInvariants is Test {
    Handler private handler;
    IEscrow private escrow;
    DenylistToken private token;
    address private buyer;
    address private seller;

    function setUp() public {
        handler = new Handler();
        escrow = handler.contractUnderTest();
        token = handler.denylist();
        (buyer, seller) = handler.parties();
        bytes4[] memory actions = new bytes4[](13);
        actions[0] = Handler.wait.selector;
        actions[1] = Handler.deny.selector;
        actions[2] = Handler.open.selector;
        actions[3] = Handler.fundAgain.selector;
        actions[4] = Handler.deliver.selector;
        actions[5] = Handler.dispute.selector;
        actions[6] = Handler.evidence.selector;
        actions[7] = Handler.release.selector;
        actions[8] = Handler.refund.selector;
        actions[9] = Handler.settle.selector;
        actions[10] = Handler.rule.selector;
        actions[11] = Handler.silence.selector;
        actions[12] = Handler.withdraw.selector;
        targetSelector(FuzzSelector(address(handler), actions));
        targetContract(address(handler));
    }

    /// The escrow holds what remains in open deals and all credit, to the unit.
    function invariant_Solvency() public view {
        assertEq(address(escrow).balance, handler.held(address(0)) + handler.owed(address(0)));
        assertEq(token.balanceOf(address(escrow)), handler.held(address(token)) + handler.owed(address(token)));
    }

    function invariant_Conservation() public view {
        uint256 coin;
        uint256 tokens;
        for (uint256 i; i < handler.count(); ++i) {
            Handler.Ghost memory g = handler.ghost(i);
            assertLe(g.released + g.refunded, g.terms.amount);
            uint256 left = g.terms.amount - g.released - g.refunded;
            assertEq(left == 0, g.status == Status.Closed);
            if (g.terms.asset == address(0)) coin += left;
            else tokens += left;
        }
        assertEq(coin, handler.held(address(0)));
        assertEq(tokens, handler.held(address(token)));
    }

    function invariant_StateIsWhatTheEventsSay() public view {
        for (uint256 i; i < handler.count(); ++i) {
            assertTrue(handler.agrees(i));
        }
    }

    function invariant_EverybodyHasWhatTheyAreDue() public view {
        address[2] memory who = [buyer, seller];
        address[2] memory assets = [address(0), address(token)];
        for (uint256 i; i < 2; ++i) {
            for (uint256 j; j < 2; ++j) {
                assertEq(escrow.creditOf(who[i], assets[j]), handler.credit(who[i], assets[j]));
            }
        }
        assertEq(seller.balance, handler.paid(seller, address(0)));
        assertEq(token.balanceOf(seller), handler.paid(seller, address(token)));
    }

    /// The handler is no idle one: in a long enough history every action goes through, and some are refused.
    function test_TheHandlerGetsEverywhere() public {
        for (uint256 i; i < 3000; ++i) {
            uint256 noise = uint256(keccak256(abi.encode(i)));
            uint256 which = noise >> 8;
            uint256 who = noise >> 16;
            uint88 total = uint88(noise >> 32);
            if (noise % 20 == 0 && handler.count() < 50) {
                handler.open(total, uint16(who), noise & 1 == 0, noise & 14 == 0, noise & 16 == 0);
            }
            uint256 action = (noise >> 200) % 12;
            if (action == 0) handler.wait(noise >> 240);
            if (action == 1) handler.deny(noise & 256 == 0, noise & 512 == 0);
            if (action == 2) handler.fundAgain(which);
            if (action == 3) handler.deliver(which, who);
            if (action == 4) handler.dispute(which, who);
            if (action == 5) handler.evidence(which, who);
            if (action == 6) handler.release(which, who, total, noise & 256 == 0);
            if (action == 7) handler.refund(which, who, total, noise & 256 == 0);
            if (action == 8) handler.rule(which, who, uint16(total));
            if (action == 9) handler.silence(which, who, uint8(noise >> 128));
            if (action == 10) handler.withdraw(who, noise & 256 == 0);
            if (action == 11) handler.settle(which, total, who);
        }
        bytes32[12] memory all = [
            bytes32("fund"),
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
            "withdraw"
        ];
        // Three more are left to silence, one in each state.
        uint256 last = handler.count();
        for (uint256 i; i < 3; ++i) {
            handler.open(1000, 5000, false, false, false);
        }
        handler.deliver(last + 1, 1);
        handler.dispute(last + 2, 0);
        for (uint256 i; i < 3; ++i) {
            handler.wait(4 days);
        }
        for (uint256 i; i < handler.count(); ++i) {
            for (uint8 kind; kind < 3; ++kind) {
                handler.silence(i, 3, kind);
            }
        }
        for (uint256 i; i < all.length; ++i) {
            assertGt(handler.done(all[i]), 0, string(abi.encodePacked(all[i])));
        }
        assertGt(handler.refusals(), 0);
        // With time for everything to run out, nothing is left but credit.
        assertEq(handler.held(address(0)), 0);
        assertEq(handler.held(address(token)), 0);
        assertEq(address(escrow).balance, handler.owed(address(0)));
    }
}
