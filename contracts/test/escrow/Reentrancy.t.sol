// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Deal, IEscrow, Status, Terms} from "../../src/interfaces/IEscrow.sol";
import {Fixture} from "../Fixture.sol";
import {Caller} from "../accounts/Payees.sol";
import {Odd, OddToken} from "../tokens/OddToken.sol";

/// @notice A payee that calls back, in coin and in a token with hooks: whatever moves money is refused, and what does not
///         finds the new state.
contract ReentrancyTest is Fixture {
    /// The buyer's key, with code that calls back when paid.
    function _becomeCaller(bytes[] memory calls) private returns (Caller caller) {
        vm.etch(buyer, address(new Caller()).code);
        caller = Caller(payable(buyer));
        caller.plan(address(escrow), calls);
    }

    function _hookedToken(Terms memory terms) private returns (OddToken asset) {
        asset = new OddToken();
        asset.mint(buyer, 10 * uint256(AMOUNT));
        vm.prank(buyer);
        asset.approve(address(escrow), type(uint256).max);
        terms.asset = address(asset);
    }

    /// From the payee's hook, with a token's gas: each call would be allowed to this caller outside of it.
    function test_NothingThatMovesMoneyReenters() public {
        Terms memory terms = coinTerms();
        OddToken asset = _hookedToken(terms);
        (, Deal memory deal) = fund(terms);
        (bytes32 otherId, Deal memory other) = fund(coinTerms());
        Terms memory third = coinTerms();
        third.annex.salt = "third";
        asset.setOut(Odd.Hook);
        bytes[] memory calls = new bytes[](11);
        calls[0] = abi.encodeCall(IEscrow.release, (other, 5));
        calls[1] = abi.encodeCall(IEscrow.releaseBySig, (other, 5, sign(buyerKey, releaseDigest(otherId, 5))));
        calls[2] = abi.encodeCall(IEscrow.refundBySig, (other, 5, sign(sellerKey, refundDigest(otherId, 5))));
        calls[3] = abi.encodeCall(IEscrow.reclaim, (other));
        calls[4] = abi.encodeCall(IEscrow.claim, (other));
        calls[5] = abi.encodeCall(IEscrow.lapse, (other));
        calls[6] = abi.encodeCall(IEscrow.rule, (other, 5));
        calls[7] = abi.encodeCall(IEscrow.settle, (other, 5, 0, ALWAYS, "", ""));
        calls[8] = abi.encodeCall(IEscrow.withdraw, (address(0), seller));
        calls[9] = abi.encodeCall(IEscrow.withdrawBySig, (buyer, address(0), 5, seller, ALWAYS, ""));
        calls[10] = abi.encodeCall(IEscrow.fund, (third, sign(sellerKey, idOf(third))));
        for (uint256 i; i < calls.length; ++i) {
            uint256 snapshot = vm.snapshotState();
            bytes[] memory one = new bytes[](1);
            one[0] = calls[i];
            Caller caller = _becomeCaller(one);
            vm.prank(seller);
            escrow.refund(deal, 100);
            assertEq(caller.count(), 1);
            assertFalse(caller.outcomes(0));
            assertEq(bytes4(caller.answers(0)), IEscrow.Reentered.selector);
            assertState(otherId, Status.Funded, 1, 0, NOW, 0, 0);
            assertEq(asset.held(buyer), 9 * uint256(AMOUNT) + 100);
            vm.revertToState(snapshot);
        }
    }

    /// What moves no money may be called: it sees the payment as made.
    function test_TokenHookSeesTheNewState() public {
        Terms memory terms = coinTerms();
        OddToken asset = _hookedToken(terms);
        (bytes32 id, Deal memory deal) = fund(terms);
        asset.setOut(Odd.Hook);
        bytes[] memory calls = new bytes[](1);
        calls[0] = abi.encodeCall(IEscrow.dispute, (deal, bytes32(0)));
        Caller caller = _becomeCaller(calls);
        vm.prank(seller);
        escrow.refund(deal, 100);
        assertTrue(caller.outcomes(0));
        assertState(id, Status.Disputed, 3, NOW, NOW, 0, 100);
        assertEq(asset.held(buyer), 9 * uint256(AMOUNT) + 100);
    }

    /// A second deal funded from within the first one's intake would count one deposit twice.
    function test_IntakeDoesNotNest() public {
        Terms memory outer = coinTerms();
        OddToken asset = _hookedToken(outer);
        Terms memory inner = outer;
        bytes memory consent = sign(sellerKey, idOf(outer));
        bytes32 outerId = idOf(outer);
        inner.annex.salt = "inner";
        bytes[] memory calls = new bytes[](1);
        calls[0] = abi.encodeCall(IEscrow.fund, (inner, sign(sellerKey, idOf(inner))));
        Caller caller = _becomeCaller(calls);
        asset.setInto(Odd.Hook);
        outer = coinTerms();
        outer.asset = address(asset);
        vm.prank(buyer);
        escrow.fund(outer, consent);
        assertEq(caller.count(), 1);
        assertFalse(caller.outcomes(0));
        assertEq(bytes4(caller.answers(0)), IEscrow.Reentered.selector);
        assertState(outerId, Status.Funded, 1, 0, NOW, 0, 0);
        assertGone(idOf(inner));
        assertEq(asset.held(address(escrow)), AMOUNT);
    }

    /// The lock ends with the call that took it, not with the transaction.
    function test_TheLockIsReleased() public {
        (, Deal memory deal) = fund(coinTerms());
        Caller batch = new Caller();
        bytes32 id = idOf(coinTerms());
        for (uint88 i = 1; i < 4; ++i) {
            bytes memory one = sign(buyerKey, releaseDigest(id, i));
            batch.act(address(escrow), abi.encodeCall(IEscrow.releaseBySig, (deal, i, one)));
        }
        assertEq(seller.balance, 3);
    }

    function test_CoinSentByItselfIsRefused() public {
        vm.prank(buyer);
        (bool ok,) = address(escrow).call{value: 1}("");
        assertFalse(ok);
    }
}
