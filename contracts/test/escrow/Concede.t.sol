// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Deal, IEscrow, Status, Terms} from "../../src/interfaces/IEscrow.sol";
import {Fixture} from "../Fixture.sol";

/// @notice Release by the buyer: the seller's running total.
contract ReleaseTest is Fixture {
    function test_InFullBeforeFundByLeavesATombstone() public {
        (bytes32 id, Deal memory deal) = fund(coinTerms());
        vm.expectEmit(address(escrow));
        emit IEscrow.Released(id, AMOUNT, 2);
        vm.prank(buyer);
        escrow.release(deal, AMOUNT);
        assertEq(seller.balance, AMOUNT);
        assertEq(address(escrow).balance, 0);
        assertState(id, Status.Closed, 2, 0, NOW, AMOUNT, 0);
    }

    function test_InFullAfterFundByDeletesTheDeal() public {
        (bytes32 id, Deal memory deal) = fund(coinTerms());
        vm.warp(FUND_BY);
        vm.prank(buyer);
        escrow.release(deal, 1);
        vm.warp(FUND_BY + 1);
        vm.prank(buyer);
        escrow.release(deal, AMOUNT);
        assertEq(seller.balance, AMOUNT);
        assertGone(id);
    }

    function test_TotalsAreCumulative() public {
        (bytes32 id, Deal memory deal) = fund(tokenTerms());
        vm.startPrank(buyer);
        escrow.release(deal, 100);
        assertEq(token.balanceOf(seller), 100);
        escrow.release(deal, 250);
        assertEq(token.balanceOf(seller), 250);
        assertState(id, Status.Funded, 3, 0, NOW, 250, 0);
    }

    function test_FromEveryOpenState() public {
        Terms memory terms = coinTerms();
        (, Deal memory deal) = fund(terms);
        vm.prank(buyer);
        escrow.release(deal, 1);
        terms.annex.salt = "2";
        bytes32 id;
        (id, deal) = delivered(terms);
        vm.prank(buyer);
        escrow.release(deal, 1);
        assertState(id, Status.Delivered, 3, NOW, NOW, 1, 0);
        terms.annex.salt = "3";
        (id, deal) = disputed(terms);
        vm.warp(NOW + 1000);
        vm.prank(buyer);
        escrow.release(deal, 1);
        assertState(id, Status.Disputed, 3, NOW, NOW, 1, 0);
        assertEq(seller.balance, 3);
    }

    function test_AfterEveryWindow() public {
        (, Deal memory deal) = fund(coinTerms());
        vm.warp(DELIVER_BY + 1000 days);
        vm.prank(buyer);
        escrow.release(deal, AMOUNT);
        assertEq(seller.balance, AMOUNT);
    }

    function test_ClampedToWhatTheBuyerLeft() public {
        (bytes32 id, Deal memory deal) = fund(coinTerms());
        vm.prank(seller);
        escrow.refund(deal, 400);
        vm.expectEmit(address(escrow));
        emit IEscrow.Released(id, AMOUNT - 400, 3);
        vm.prank(buyer);
        escrow.release(deal, AMOUNT);
        assertEq(seller.balance, AMOUNT - 400);
        assertState(id, Status.Closed, 3, 0, NOW, AMOUNT - 400, 400);
    }

    function test_AboveTheAmountIsRefused() public {
        (, Deal memory deal) = fund(coinTerms());
        expect(refusal(IEscrow.TotalTooHigh.selector, uint256(AMOUNT) + 1, AMOUNT));
        vm.prank(buyer);
        escrow.release(deal, AMOUNT + 1);
    }

    function test_WhatMovesNothingIsRefused() public {
        (, Deal memory deal) = fund(coinTerms());
        vm.startPrank(buyer);
        expect(IEscrow.NothingMoves.selector);
        escrow.release(deal, 0);
        escrow.release(deal, 9);
        expect(IEscrow.NothingMoves.selector);
        escrow.release(deal, 9);
        expect(IEscrow.NothingMoves.selector);
        escrow.release(deal, 8);
    }

    function test_OnlyTheBuyer() public {
        (, Deal memory deal) = fund(coinTerms());
        address[3] memory others = [seller, arbiter, stranger];
        for (uint256 i; i < 3; ++i) {
            expect(IEscrow.NotBuyer.selector);
            vm.prank(others[i]);
            escrow.release(deal, AMOUNT + 1);
        }
    }

    function test_BySignature() public {
        (bytes32 id, Deal memory deal) = fund(coinTerms());
        bytes memory signature = sign(buyerKey, releaseDigest(id, 60));
        vm.prank(stranger);
        escrow.releaseBySig(deal, 60, signature);
        assertEq(seller.balance, 60);
        expect(IEscrow.NothingMoves.selector);
        escrow.releaseBySig(deal, 60, signature);
        escrow.releaseBySig(deal, 70, sign(buyerKey, releaseDigest(id, 70)));
        assertEq(seller.balance, 70);
    }

    function test_SignatureBindsTotalActionAndSigner() public {
        (bytes32 id, Deal memory deal) = fund(coinTerms());
        expect(refusal(IEscrow.InvalidSignature.selector, buyer));
        escrow.releaseBySig(deal, 61, sign(buyerKey, releaseDigest(id, 60)));
        expect(refusal(IEscrow.InvalidSignature.selector, buyer));
        escrow.releaseBySig(deal, 60, sign(buyerKey, refundDigest(id, 60)));
        expect(refusal(IEscrow.InvalidSignature.selector, buyer));
        escrow.releaseBySig(deal, 60, sign(sellerKey, releaseDigest(id, 60)));
    }

    function test_RevokedSignatureIsRefused() public {
        (bytes32 id, Deal memory deal) = fund(coinTerms());
        bytes32 digest = releaseDigest(id, 60);
        vm.prank(buyer);
        escrow.revoke(digest);
        expect(refusal(IEscrow.SignatureRevoked.selector, digest));
        escrow.releaseBySig(deal, 60, sign(buyerKey, digest));
    }

    /// Pay as you go: growing totals off chain, the last one redeemed.
    function test_MeteredVouchers() public {
        (bytes32 id, Deal memory deal) = fund(meteredTerms());
        bytes memory last = sign(buyerKey, releaseDigest(id, 900));
        vm.warp(DELIVER_BY + INSPECTION);
        escrow.releaseBySig(deal, 900, last);
        vm.warp(DELIVER_BY + INSPECTION + 1);
        uint256 before = buyer.balance;
        escrow.reclaim(deal);
        assertEq(seller.balance, 900);
        assertEq(buyer.balance - before, AMOUNT - 900);
    }

    /// The seller served for the voucher, so the buyer cannot take it back; a refund in the same deal it can.
    function test_MeteredVouchersCannotBeRevoked() public {
        (bytes32 id, Deal memory deal) = fund(meteredTerms());
        bytes32 digest = releaseDigest(id, 900);
        vm.prank(buyer);
        escrow.revoke(digest);
        expect(refusal(IEscrow.InvalidSignature.selector, buyer));
        escrow.releaseBySig(deal, 900, sign(sellerKey, digest));
        escrow.releaseBySig(deal, 900, sign(buyerKey, digest));
        assertEq(seller.balance, 900);
        digest = refundDigest(id, 50);
        vm.prank(seller);
        escrow.revoke(digest);
        expect(refusal(IEscrow.SignatureRevoked.selector, digest));
        escrow.refundBySig(deal, 50, sign(sellerKey, digest));
    }

    /// In any order, any totals: the seller has the greatest of them as far as the refund leaves it.
    function testFuzz_CrossingTotals(uint88[6] memory totals, uint8 mask) public {
        (, Deal memory deal) = fund(coinTerms());
        uint256 released;
        uint256 refunded;
        for (uint256 i; i < 6; ++i) {
            uint88 total = uint88(bound(totals[i], 1, AMOUNT));
            bool release = mask >> i & 1 == 0;
            (uint256 mine, uint256 other) = release ? (released, refunded) : (refunded, released);
            uint256 expected = total < AMOUNT - other ? total : AMOUNT - other;
            if (released + refunded == AMOUNT) expect(IEscrow.DealClosed.selector);
            else if (expected <= mine) expect(IEscrow.NothingMoves.selector);
            else if (release) released = expected;
            else refunded = expected;
            vm.prank(release ? buyer : seller);
            if (release) escrow.release(deal, total);
            else escrow.refund(deal, total);
            assertEq(seller.balance, released);
            assertEq(address(escrow).balance, AMOUNT - released - refunded);
        }
    }
}

/// @notice Refund by the seller: the buyer's running total.
contract RefundTest is Fixture {
    function test_InFull() public {
        uint256 before = buyer.balance;
        (bytes32 id, Deal memory deal) = fund(coinTerms());
        vm.expectEmit(address(escrow));
        emit IEscrow.Refunded(id, AMOUNT, 2);
        vm.prank(seller);
        escrow.refund(deal, AMOUNT);
        assertEq(buyer.balance, before);
        assertState(id, Status.Closed, 2, 0, NOW, 0, AMOUNT);
    }

    function test_FromEveryOpenState() public {
        Terms memory terms = tokenTerms();
        uint256 before = token.balanceOf(buyer);
        (bytes32 id, Deal memory deal) = delivered(terms);
        vm.prank(seller);
        escrow.refund(deal, 3);
        assertState(id, Status.Delivered, 3, NOW, NOW, 0, 3);
        terms.annex.salt = "2";
        (id, deal) = disputed(terms);
        vm.prank(seller);
        escrow.refund(deal, 4);
        assertState(id, Status.Disputed, 3, NOW, NOW, 0, 4);
        terms.annex.salt = "3";
        (id, deal) = fund(terms);
        vm.prank(seller);
        escrow.refund(deal, 5);
        assertState(id, Status.Funded, 2, 0, NOW, 0, 5);
        assertEq(token.balanceOf(buyer), before - 3 * uint256(AMOUNT) + 12);
    }

    function test_ClampedToWhatTheSellerHas() public {
        (bytes32 id, Deal memory deal) = fund(coinTerms());
        vm.prank(buyer);
        escrow.release(deal, 400);
        vm.warp(FUND_BY + 1);
        vm.expectEmit(address(escrow));
        emit IEscrow.Refunded(id, AMOUNT - 400, 3);
        vm.prank(seller);
        escrow.refund(deal, AMOUNT);
        assertGone(id);
    }

    function test_Refusals() public {
        (, Deal memory deal) = fund(coinTerms());
        expect(IEscrow.NotSeller.selector);
        vm.prank(buyer);
        escrow.refund(deal, 1);
        vm.startPrank(seller);
        expect(refusal(IEscrow.TotalTooHigh.selector, uint256(AMOUNT) + 1, AMOUNT));
        escrow.refund(deal, AMOUNT + 1);
        expect(IEscrow.NothingMoves.selector);
        escrow.refund(deal, 0);
        escrow.refund(deal, 2);
        expect(IEscrow.NothingMoves.selector);
        escrow.refund(deal, 2);
    }

    function test_BySignature() public {
        (bytes32 id, Deal memory deal) = fund(coinTerms());
        uint256 before = buyer.balance;
        bytes memory signature = sign(sellerKey, refundDigest(id, 60));
        vm.prank(stranger);
        escrow.refundBySig(deal, 60, signature);
        assertEq(buyer.balance, before + 60);
        expect(IEscrow.NothingMoves.selector);
        escrow.refundBySig(deal, 60, signature);
        expect(refusal(IEscrow.InvalidSignature.selector, seller));
        escrow.refundBySig(deal, 61, signature);
        expect(refusal(IEscrow.InvalidSignature.selector, seller));
        escrow.refundBySig(deal, 61, sign(buyerKey, refundDigest(id, 61)));
        bytes32 digest = refundDigest(id, 62);
        vm.prank(seller);
        escrow.revoke(digest);
        expect(refusal(IEscrow.SignatureRevoked.selector, digest));
        escrow.refundBySig(deal, 62, sign(sellerKey, digest));
    }
}
