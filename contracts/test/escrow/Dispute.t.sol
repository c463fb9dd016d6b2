// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Deal, IEscrow, Status, Terms} from "../../src/interfaces/IEscrow.sol";
import {Fixture} from "../Fixture.sol";

contract DisputeTest is Fixture {
    bytes32 private constant HASH = keccak256("what went wrong");

    function test_ByEitherParty() public {
        Terms memory terms = coinTerms();
        address[2] memory parties = [buyer, seller];
        for (uint256 i; i < 2; ++i) {
            terms.annex.salt = bytes32(i);
            (bytes32 id, Deal memory deal) = fund(terms);
            vm.warp(NOW + 7);
            vm.expectEmit(address(escrow));
            emit IEscrow.Disputed(id, parties[i], HASH, 2);
            vm.prank(parties[i]);
            escrow.dispute(deal, HASH);
            assertState(id, Status.Disputed, 2, NOW + 7, NOW, 0, 0);
            vm.warp(NOW);
        }
    }

    function test_FundedAtTheLastSecond() public {
        (bytes32 id, Deal memory deal) = fund(coinTerms());
        vm.warp(DELIVER_BY);
        vm.prank(buyer);
        escrow.dispute(deal, HASH);
        assertState(id, Status.Disputed, 2, DELIVER_BY, NOW, 0, 0);
    }

    function test_FundedASecondLaterIsRefused() public {
        (, Deal memory deal) = fund(coinTerms());
        vm.warp(DELIVER_BY + 1);
        expect(refusal(IEscrow.TooLate.selector, DELIVER_BY));
        vm.prank(buyer);
        escrow.dispute(deal, HASH);
    }

    function test_DeliveredAtTheLastSecond() public {
        vm.warp(NOW + 1);
        (bytes32 id, Deal memory deal) = delivered(coinTerms());
        vm.warp(NOW + 1 + INSPECTION);
        vm.prank(buyer);
        escrow.dispute(deal, HASH);
        assertState(id, Status.Disputed, 3, NOW + 1 + INSPECTION, NOW + 1, 0, 0);
    }

    function test_DeliveredASecondLaterIsRefused() public {
        (, Deal memory deal) = delivered(coinTerms());
        vm.warp(NOW + INSPECTION + 1);
        expect(refusal(IEscrow.TooLate.selector, uint256(NOW) + INSPECTION));
        vm.prank(buyer);
        escrow.dispute(deal, HASH);
    }

    /// Delivered late, inspection runs past deliverBy and so does the right to dispute.
    function test_InspectionOutlastsDeliverBy() public {
        (, Deal memory deal) = fund(coinTerms());
        vm.warp(DELIVER_BY);
        vm.prank(seller);
        escrow.deliver(deal, HASH);
        vm.warp(DELIVER_BY + INSPECTION);
        vm.prank(buyer);
        escrow.dispute(deal, HASH);
    }

    function test_OnlyParties() public {
        (, Deal memory deal) = fund(coinTerms());
        address[2] memory others = [arbiter, stranger];
        for (uint256 i; i < 2; ++i) {
            expect(IEscrow.NotParty.selector);
            vm.prank(others[i]);
            escrow.dispute(deal, HASH);
        }
        expect(IEscrow.NotParty.selector);
        escrow.disputeBySig(deal, stranger, HASH, NOW, sign(strangerKey, disputeDigest(idOf(coinTerms()), HASH, NOW)));
    }

    function test_BySignatureOfEither() public {
        Terms memory terms = coinTerms();
        for (uint256 i; i < 2; ++i) {
            terms.annex.salt = bytes32(i);
            (bytes32 id, Deal memory deal) = fund(terms);
            (address party, uint256 key) = i == 0 ? (buyer, buyerKey) : (seller, sellerKey);
            bytes memory signature = sign(key, disputeDigest(id, HASH, NOW));
            expect(refusal(IEscrow.InvalidSignature.selector, i == 0 ? seller : buyer));
            escrow.disputeBySig(deal, i == 0 ? seller : buyer, HASH, NOW, signature);
            vm.expectEmit(address(escrow));
            emit IEscrow.Disputed(id, party, HASH, 2);
            escrow.disputeBySig(deal, party, HASH, NOW, signature);
        }
    }

    function test_SignatureRefusals() public {
        (bytes32 id, Deal memory deal) = fund(coinTerms());
        bytes32 digest = disputeDigest(id, HASH, NOW + 5);
        bytes memory signature = sign(buyerKey, digest);
        expect(refusal(IEscrow.InvalidSignature.selector, buyer));
        escrow.disputeBySig(deal, buyer, keccak256("other"), NOW + 5, signature);
        vm.prank(buyer);
        escrow.revoke(digest);
        expect(refusal(IEscrow.SignatureRevoked.selector, digest));
        escrow.disputeBySig(deal, buyer, HASH, NOW + 5, signature);
        vm.warp(NOW + 6);
        expect(refusal(IEscrow.SignatureExpired.selector, NOW + 5));
        escrow.disputeBySig(deal, stranger, HASH, NOW + 5, signature);
    }
}

contract EvidenceTest is Fixture {
    bytes32 private constant HASH = keccak256("a photograph");

    function _uri(uint256 length) private pure returns (string memory) {
        bytes memory text = new bytes(length);
        for (uint256 i; i < length; ++i) {
            text[i] = "x";
        }
        return string(text);
    }

    function test_EventOnly() public {
        (bytes32 id, Deal memory deal) = disputed(coinTerms());
        vm.warp(NOW + 50);
        vm.expectEmit(address(escrow));
        emit IEscrow.Evidence(id, buyer, HASH, "ipfs://a", 3);
        vm.prank(buyer);
        escrow.evidence(deal, HASH, "ipfs://a");
        vm.expectEmit(address(escrow));
        emit IEscrow.Evidence(id, seller, HASH, "", 4);
        vm.prank(seller);
        escrow.evidence(deal, HASH, "");
        assertState(id, Status.Disputed, 4, NOW, NOW, 0, 0);
    }

    function test_UriLength() public {
        (bytes32 id, Deal memory deal) = disputed(coinTerms());
        vm.startPrank(buyer);
        escrow.evidence(deal, HASH, _uri(256));
        expect(refusal(IEscrow.UriTooLong.selector, uint256(257)));
        escrow.evidence(deal, HASH, _uri(257));
        assertState(id, Status.Disputed, 3, NOW, NOW, 0, 0);
    }

    function test_OnlyPartiesAndOnlyDisputed() public {
        (, Deal memory deal) = fund(coinTerms());
        expect(IEscrow.NotDisputed.selector);
        vm.prank(buyer);
        escrow.evidence(deal, HASH, "");
        vm.prank(seller);
        escrow.dispute(deal, HASH);
        expect(IEscrow.NotParty.selector);
        vm.prank(arbiter);
        escrow.evidence(deal, HASH, _uri(300));
        expect(IEscrow.NotParty.selector);
        escrow.evidenceBySig(deal, stranger, HASH, "", NOW, "");
    }

    function test_BySignature() public {
        (bytes32 id, Deal memory deal) = disputed(coinTerms());
        bytes32 digest = evidenceDigest(id, HASH, "ipfs://a", NOW);
        bytes memory signature = sign(sellerKey, digest);
        vm.expectEmit(address(escrow));
        emit IEscrow.Evidence(id, seller, HASH, "ipfs://a", 3);
        escrow.evidenceBySig(deal, seller, HASH, "ipfs://a", NOW, signature);
        expect(refusal(IEscrow.InvalidSignature.selector, seller));
        escrow.evidenceBySig(deal, seller, HASH, "ipfs://b", NOW, signature);
        expect(refusal(IEscrow.InvalidSignature.selector, buyer));
        escrow.evidenceBySig(deal, buyer, HASH, "ipfs://a", NOW, signature);
        vm.prank(seller);
        escrow.revoke(digest);
        expect(refusal(IEscrow.SignatureRevoked.selector, digest));
        escrow.evidenceBySig(deal, seller, HASH, "ipfs://a", NOW, signature);
        vm.warp(NOW + 1);
        expect(refusal(IEscrow.SignatureExpired.selector, NOW));
        escrow.evidenceBySig(deal, seller, HASH, "ipfs://a", NOW, signature);
    }

    function test_CountWrapsAt256() public {
        (bytes32 id, Deal memory deal) = disputed(coinTerms());
        vm.startPrank(buyer);
        for (uint256 i; i < 254; ++i) {
            escrow.evidence(deal, HASH, "");
        }
        assertEq(escrow.stateOf(id).count, 0);
        escrow.evidence(deal, HASH, "");
        assertState(id, Status.Disputed, 1, NOW, NOW, 0, 0);
    }
}
