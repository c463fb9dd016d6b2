// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Deal, IEscrow, Status, Terms} from "../../src/interfaces/IEscrow.sol";
import {Fixture} from "../Fixture.sol";
import {DenylistToken} from "../tokens/OddToken.sol";

/// @notice Every action by signature in one form: brought about, signed, sent by a stranger.
abstract contract SignedFixture is Fixture {
    /// By what is signed; a settlement by which of the two signatures is looked at.
    enum Kind {
        Consent, // the seller's, of the terms
        Fund,
        Deliver,
        Release,
        Refund,
        DisputeByBuyer,
        DisputeBySeller,
        EvidenceByBuyer,
        EvidenceBySeller,
        SettleByBuyer,
        SettleBySeller,
        Withdraw
    }

    uint256 internal constant KINDS = 12;
    uint40 internal constant UNTIL = NOW + 60;
    bytes32 private constant HASH = "hash";
    string private constant URI = "ipfs://a";

    DenylistToken private _denylist;
    /// With the buyer and the seller of whom the tests are: keys, wallets of these keys, keys with code.
    Terms internal subject;

    function setUp() public virtual override {
        super.setUp();
        _denylist = new DenylistToken();
        subject = coinTerms();
    }

    function _byBuyer(Kind kind) internal pure returns (bool) {
        return kind == Kind.Fund || kind == Kind.Release || kind == Kind.DisputeByBuyer || kind == Kind.EvidenceByBuyer
            || kind == Kind.SettleByBuyer;
    }

    function _signer(Kind kind) internal view returns (address) {
        return _byBuyer(kind) ? subject.buyer : subject.seller;
    }

    function _key(Kind kind) internal view returns (uint256) {
        return _byBuyer(kind) ? buyerKey : sellerKey;
    }

    /// Whether what is signed names the last second in which it is good.
    function _ends(Kind kind) internal pure returns (bool) {
        return kind != Kind.Consent && kind != Kind.Release && kind != Kind.Refund;
    }

    /// Takes the subject to where `kind` is right.
    function _arrive(Kind kind) internal {
        if (kind == Kind.Consent || kind == Kind.Fund) return;
        if (kind == Kind.Withdraw) return _owe();
        vm.deal(subject.buyer, AMOUNT);
        (, Deal memory deal) = fund(subject);
        if (kind != Kind.EvidenceByBuyer && kind != Kind.EvidenceBySeller) return;
        vm.prank(subject.buyer);
        escrow.dispute(deal, "");
    }

    /// Leaves the seller with a credit of AMOUNT in a token.
    function _owe() private {
        subject.asset = address(_denylist);
        _denylist.mint(subject.buyer, AMOUNT);
        vm.prank(subject.buyer);
        _denylist.approve(address(escrow), AMOUNT);
        (, Deal memory deal) = fund(subject);
        _denylist.deny(subject.seller, true);
        vm.prank(subject.buyer);
        escrow.release(deal, AMOUNT);
        _denylist.deny(subject.seller, false);
    }

    function _digest(Kind kind) internal view returns (bytes32) {
        bytes32 id = idOf(subject);
        if (kind == Kind.Consent) return id;
        if (kind == Kind.Fund) return fundDigest(id, UNTIL);
        if (kind == Kind.Deliver) return deliverDigest(id, HASH, UNTIL);
        if (kind == Kind.Release) return releaseDigest(id, 5);
        if (kind == Kind.Refund) return refundDigest(id, 5);
        if (kind == Kind.DisputeByBuyer || kind == Kind.DisputeBySeller) return disputeDigest(id, HASH, UNTIL);
        if (kind == Kind.EvidenceByBuyer || kind == Kind.EvidenceBySeller) {
            return evidenceDigest(id, HASH, URI, UNTIL);
        }
        if (kind == Kind.Withdraw) return withdrawDigest(subject.seller, address(_denylist), 5, stranger, 0, UNTIL);
        return settleDigest(id, 5, Status.Funded, 0, UNTIL);
    }

    function _signature(Kind kind) internal view returns (bytes memory) {
        return sign(_key(kind), _digest(kind));
    }

    function _call(Kind kind, bytes memory signature) internal view returns (bytes memory) {
        Deal memory deal = dealOf(subject);
        if (kind == Kind.Consent) {
            bytes memory order = sign(buyerKey, fundDigest(idOf(subject), ALWAYS));
            return abi.encodeCall(IEscrow.fundBySig, (subject, signature, ALWAYS, order));
        }
        if (kind == Kind.Fund) {
            return abi.encodeCall(IEscrow.fundBySig, (subject, sign(sellerKey, idOf(subject)), UNTIL, signature));
        }
        if (kind == Kind.Deliver) return abi.encodeCall(IEscrow.deliverBySig, (deal, HASH, UNTIL, signature));
        if (kind == Kind.Release) return abi.encodeCall(IEscrow.releaseBySig, (deal, 5, signature));
        if (kind == Kind.Refund) return abi.encodeCall(IEscrow.refundBySig, (deal, 5, signature));
        if (kind == Kind.DisputeByBuyer || kind == Kind.DisputeBySeller) {
            return abi.encodeCall(IEscrow.disputeBySig, (deal, _signer(kind), HASH, UNTIL, signature));
        }
        if (kind == Kind.EvidenceByBuyer || kind == Kind.EvidenceBySeller) {
            return abi.encodeCall(IEscrow.evidenceBySig, (deal, _signer(kind), HASH, URI, UNTIL, signature));
        }
        if (kind == Kind.Withdraw) {
            return
                abi.encodeCall(
                    IEscrow.withdrawBySig, (subject.seller, address(_denylist), 5, stranger, UNTIL, signature)
                );
        }
        bytes memory others = _signature(kind == Kind.SettleByBuyer ? Kind.SettleBySeller : Kind.SettleByBuyer);
        return kind == Kind.SettleByBuyer
            ? abi.encodeCall(IEscrow.settle, (deal, 5, 0, UNTIL, signature, others))
            : abi.encodeCall(IEscrow.settle, (deal, 5, 0, UNTIL, others, signature));
    }

    /// By a stranger, who brings the coin where there has to be some.
    function _send(Kind kind, bytes memory signature) internal returns (bool ok, bytes memory answer) {
        uint256 value = kind == Kind.Consent || kind == Kind.Fund ? AMOUNT : 0;
        vm.deal(stranger, value);
        bytes memory data = _call(kind, signature);
        vm.prank(stranger);
        return address(escrow).call{value: value}(data);
    }

    function _taken(Kind kind, bytes memory signature) internal {
        (bool ok, bytes memory answer) = _send(kind, signature);
        assertTrue(ok, string.concat(_name(kind), " ", vm.toString(answer)));
    }

    function _refused(Kind kind, bytes memory signature, bytes memory expected) internal {
        (bool ok, bytes memory answer) = _send(kind, signature);
        assertFalse(ok, _name(kind));
        assertEq(answer, expected, _name(kind));
    }

    function _invalid(Kind kind) internal view returns (bytes memory) {
        return refusal(IEscrow.InvalidSignature.selector, _signer(kind));
    }

    function _name(Kind kind) internal pure returns (string memory) {
        return string.concat("kind ", vm.toString(uint256(kind)));
    }

    /// Runs the body for every kind, each from the same state.
    function _each(function(Kind) internal body) internal {
        for (uint256 i; i < KINDS; ++i) {
            uint256 snapshot = vm.snapshotState();
            body(Kind(i));
            vm.revertToState(snapshot);
        }
    }
}
