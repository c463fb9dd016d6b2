// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Deal, IEscrow, Status} from "../../src/interfaces/IEscrow.sol";
import {Fixture} from "../Fixture.sol";

contract DeliverTest is Fixture {
    bytes32 private constant HASH = keccak256("what was delivered");

    function test_StartsInspection() public {
        (bytes32 id, Deal memory deal) = fund(coinTerms());
        vm.warp(NOW + 5);
        vm.expectEmit(address(escrow));
        emit IEscrow.Delivered(id, HASH, 2);
        vm.prank(seller);
        escrow.deliver(deal, HASH);
        assertState(id, Status.Delivered, 2, NOW + 5, NOW, 0, 0);
        assertEq(address(escrow).balance, AMOUNT);
    }

    function test_KeepsWhatWasPaid() public {
        (bytes32 id, Deal memory deal) = fund(coinTerms());
        vm.prank(buyer);
        escrow.release(deal, 7);
        vm.prank(seller);
        escrow.refund(deal, 5);
        vm.prank(seller);
        escrow.deliver(deal, HASH);
        assertState(id, Status.Delivered, 4, NOW, NOW, 7, 5);
    }

    function test_AtTheLastSecond() public {
        (bytes32 id, Deal memory deal) = fund(coinTerms());
        vm.warp(DELIVER_BY);
        vm.prank(seller);
        escrow.deliver(deal, HASH);
        assertState(id, Status.Delivered, 2, DELIVER_BY, NOW, 0, 0);
    }

    function test_ASecondLaterIsRefused() public {
        (, Deal memory deal) = fund(coinTerms());
        vm.warp(DELIVER_BY + 1);
        expect(refusal(IEscrow.TooLate.selector, DELIVER_BY));
        vm.prank(seller);
        escrow.deliver(deal, HASH);
    }

    function test_OnlyTheSeller() public {
        (, Deal memory deal) = fund(coinTerms());
        address[3] memory others = [buyer, arbiter, stranger];
        for (uint256 i; i < 3; ++i) {
            expect(IEscrow.NotSeller.selector);
            vm.prank(others[i]);
            escrow.deliver(deal, HASH);
        }
    }

    function test_MeteredIsRefused() public {
        (, Deal memory deal) = fund(meteredTerms());
        expect(IEscrow.MeteredDeal.selector);
        vm.prank(seller);
        escrow.deliver(deal, HASH);
    }

    function test_BySignature() public {
        (bytes32 id, Deal memory deal) = fund(coinTerms());
        bytes memory signature = sign(sellerKey, deliverDigest(id, HASH, NOW));
        vm.expectEmit(address(escrow));
        emit IEscrow.Delivered(id, HASH, 2);
        vm.prank(stranger);
        escrow.deliverBySig(deal, HASH, NOW, signature);
        assertState(id, Status.Delivered, 2, NOW, NOW, 0, 0);
        expect(IEscrow.AlreadyDelivered.selector);
        escrow.deliverBySig(deal, HASH, NOW, signature);
    }

    function test_SignatureBindsHashTimeAndSigner() public {
        (bytes32 id, Deal memory deal) = fund(coinTerms());
        bytes memory signature = sign(sellerKey, deliverDigest(id, HASH, NOW));
        expect(refusal(IEscrow.InvalidSignature.selector, seller));
        escrow.deliverBySig(deal, keccak256("other"), NOW, signature);
        expect(refusal(IEscrow.InvalidSignature.selector, seller));
        escrow.deliverBySig(deal, HASH, NOW + 1, signature);
        expect(refusal(IEscrow.InvalidSignature.selector, seller));
        escrow.deliverBySig(deal, HASH, NOW, sign(buyerKey, deliverDigest(id, HASH, NOW)));
    }

    function test_ExpiredAndRevokedSignaturesAreRefused() public {
        (bytes32 id, Deal memory deal) = fund(coinTerms());
        bytes32 digest = deliverDigest(id, HASH, NOW + 9);
        bytes memory signature = sign(sellerKey, digest);
        vm.prank(seller);
        escrow.revoke(digest);
        expect(refusal(IEscrow.SignatureRevoked.selector, digest));
        escrow.deliverBySig(deal, HASH, NOW + 9, signature);
        vm.warp(NOW + 10);
        expect(refusal(IEscrow.SignatureExpired.selector, NOW + 9));
        escrow.deliverBySig(deal, HASH, NOW + 9, signature);
    }

    function test_TimeBeforeAuthority() public {
        (, Deal memory deal) = fund(coinTerms());
        vm.warp(DELIVER_BY + 1);
        expect(refusal(IEscrow.TooLate.selector, DELIVER_BY));
        vm.prank(stranger);
        escrow.deliver(deal, HASH);
        expect(refusal(IEscrow.TooLate.selector, DELIVER_BY));
        escrow.deliverBySig(deal, HASH, NOW, "");
    }
}
