// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Deal, IEscrow, Status, Terms} from "../../src/interfaces/IEscrow.sol";
import {Fixture} from "../Fixture.sol";

/// @notice Reclaim, claim and lapse: what silence at the end of a window answers. Anyone may say so.
contract SilenceTest is Fixture {
    /* RECLAIM */

    function test_ReclaimAfterDeliverBy() public {
        uint256 before = buyer.balance;
        (bytes32 id, Deal memory deal) = fund(coinTerms());
        vm.warp(DELIVER_BY);
        expect(refusal(IEscrow.TooEarly.selector, uint256(DELIVER_BY) + 1));
        vm.prank(stranger);
        escrow.reclaim(deal);
        vm.warp(DELIVER_BY + 1);
        vm.expectEmit(address(escrow));
        emit IEscrow.Reclaimed(id, AMOUNT, 2);
        vm.prank(stranger);
        escrow.reclaim(deal);
        assertEq(buyer.balance, before);
        assertGone(id);
    }

    function test_ReclaimLeavesTheSellerWhatWasReleased() public {
        (bytes32 id, Deal memory deal) = fund(tokenTerms());
        vm.prank(buyer);
        escrow.release(deal, 300);
        vm.prank(seller);
        escrow.refund(deal, 11);
        vm.warp(DELIVER_BY + 1);
        vm.expectEmit(address(escrow));
        emit IEscrow.Reclaimed(id, AMOUNT - 300, 4);
        escrow.reclaim(deal);
        assertEq(token.balanceOf(seller), 300);
        assertEq(token.balanceOf(address(escrow)), 0);
    }

    /// The seller of a metered deal has the inspection time to redeem the last voucher.
    function test_ReclaimMeteredAfterInspection() public {
        (, Deal memory deal) = fund(meteredTerms());
        vm.warp(DELIVER_BY + INSPECTION);
        expect(refusal(IEscrow.TooEarly.selector, uint256(DELIVER_BY) + INSPECTION + 1));
        escrow.reclaim(deal);
        vm.warp(DELIVER_BY + INSPECTION + 1);
        escrow.reclaim(deal);
        assertEq(address(escrow).balance, 0);
    }

    /* CLAIM */

    function test_ClaimAfterInspection() public {
        (bytes32 id, Deal memory deal) = delivered(coinTerms());
        vm.warp(NOW + INSPECTION);
        expect(refusal(IEscrow.TooEarly.selector, uint256(NOW) + INSPECTION + 1));
        escrow.claim(deal);
        vm.warp(NOW + INSPECTION + 1);
        vm.expectEmit(address(escrow));
        emit IEscrow.Claimed(id, AMOUNT, 3);
        vm.prank(stranger);
        escrow.claim(deal);
        assertEq(seller.balance, AMOUNT);
        assertGone(id);
    }

    function test_ClaimLeavesTheBuyerWhatWasRefunded() public {
        (bytes32 id, Deal memory deal) = delivered(tokenTerms());
        vm.prank(seller);
        escrow.refund(deal, 300);
        vm.prank(buyer);
        escrow.release(deal, 7);
        vm.warp(NOW + INSPECTION + 1);
        vm.expectEmit(address(escrow));
        emit IEscrow.Claimed(id, AMOUNT - 300, 5);
        escrow.claim(deal);
        assertEq(token.balanceOf(seller), AMOUNT - 300);
    }

    /// Closed before fundBy: a tombstone keeps the terms from being funded again.
    function test_ClaimBeforeFundByLeavesATombstone() public {
        Terms memory terms = coinTerms();
        terms.inspection = 1;
        (bytes32 id, Deal memory deal) = delivered(terms);
        vm.warp(NOW + 2);
        escrow.claim(deal);
        assertState(id, Status.Closed, 3, 0, NOW, AMOUNT, 0);
    }

    /* LAPSE */

    function test_LapseAfterRuling() public {
        uint256 before = buyer.balance;
        (bytes32 id, Deal memory deal) = disputed(coinTerms());
        vm.warp(NOW + RULING);
        expect(refusal(IEscrow.TooEarly.selector, uint256(NOW) + RULING + 1));
        escrow.lapse(deal);
        vm.warp(NOW + RULING + 1);
        vm.expectEmit(address(escrow));
        emit IEscrow.Lapsed(id, LAPSE_TOTAL, AMOUNT - LAPSE_TOTAL, 3);
        vm.prank(stranger);
        escrow.lapse(deal);
        assertEq(seller.balance, LAPSE_TOTAL);
        assertEq(buyer.balance, before - LAPSE_TOTAL);
        assertGone(id);
    }

    function test_LapseIsClampedToConcessions() public {
        (bytes32 id, Deal memory deal) = disputed(coinTerms());
        vm.prank(buyer);
        escrow.release(deal, LAPSE_TOTAL + 1);
        vm.warp(NOW + RULING + 1);
        vm.expectEmit(address(escrow));
        emit IEscrow.Lapsed(id, LAPSE_TOTAL + 1, AMOUNT - LAPSE_TOTAL - 1, 4);
        escrow.lapse(deal);
    }

    function test_LapseAtTheEnds() public {
        uint16[2] memory shares = [0, 10_000];
        for (uint256 i; i < 2; ++i) {
            Terms memory terms = coinTerms();
            terms.lapseShare = shares[i];
            (, Deal memory deal) = disputed(terms);
            vm.warp(NOW + RULING + 1);
            escrow.lapse(deal);
            assertEq(seller.balance, i == 0 ? 0 : AMOUNT);
            vm.warp(NOW);
        }
    }

    /* WINDOWS NEVER OVERLAP */

    /// At any second a party may still speak or its silence counts, never both, whatever the state.
    function testFuzz_SpeechOrSilence(uint256 when, uint8 kind) public {
        Terms memory terms = kind % 4 == 3 ? meteredTerms() : coinTerms();
        Deal memory deal;
        if (kind % 4 == 1) (, deal) = delivered(terms);
        else if (kind % 4 == 2) (, deal) = disputed(terms);
        else (, deal) = fund(terms);
        vm.warp(bound(when, NOW, uint256(DELIVER_BY) + INSPECTION + RULING + 2));
        uint256 snapshot = vm.snapshotState();
        vm.prank(kind % 4 == 2 ? arbiter : buyer);
        (bool spoke,) = address(escrow)
            .call(
                kind % 4 == 2
                    ? abi.encodeCall(IEscrow.rule, (deal, 5000))
                    : abi.encodeCall(IEscrow.dispute, (deal, bytes32(0)))
            );
        vm.revertToState(snapshot);
        bytes[3] memory ends = [
            abi.encodeCall(IEscrow.reclaim, (deal)),
            abi.encodeCall(IEscrow.claim, (deal)),
            abi.encodeCall(IEscrow.lapse, (deal))
        ];
        uint256 open;
        for (uint256 i; i < 3; ++i) {
            (bool ended,) = address(escrow).call(ends[i]);
            if (ended) ++open;
            vm.revertToState(snapshot);
        }
        assertLe(open, 1);
        if (kind % 4 == 3) assertFalse(spoke && open == 1);
        else assertEq(spoke, open == 0);
    }
}
