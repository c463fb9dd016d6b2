// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Deal, IEscrow} from "../src/interfaces/IEscrow.sol";
import {vm} from "./Cheats.sol";
import {Ground} from "./Ground.sol";

/// A contract wallet that accepts one digest at most.
contract Wallet {
    bytes32 private immutable DIGEST;

    constructor(bytes32 digest) {
        DIGEST = digest;
    }

    function isValidSignature(bytes32 digest, bytes calldata) external view returns (bytes4) {
        return digest == DIGEST ? this.isValidSignature.selector : bytes4(0);
    }
}

/// @notice Who may do what: in any word that a deal may have, at any time, by any caller.
/// @dev    The asset is coin. Recovery of a signature's key is uninterpreted: whatever ecrecover says, what it said decides.
contract AuthorityProof is Ground {
    /// What the prover chooses beside the deal.
    struct Choice {
        uint256 word;
        uint40 time;
        address caller;
        bytes32 r;
        bytes32 s;
        uint8 v;
    }

    /// Only the arbiter of the terms rules.
    function check_OnlyTheArbiterRules(Deal memory deal, Choice memory choice, uint16 share) public {
        if (_succeeds(deal, choice, abi.encodeCall(IEscrow.rule, (deal, share)))) {
            assert(choice.caller == deal.arbiter);
        }
    }

    /// Only the buyer releases without a signature.
    function check_OnlyTheBuyerReleases(Deal memory deal, Choice memory choice, uint88 total) public {
        if (_succeeds(deal, choice, abi.encodeCall(IEscrow.release, (deal, total)))) {
            assert(choice.caller == deal.buyer);
        }
    }

    /// Only the seller refunds without a signature.
    function check_OnlyTheSellerRefunds(Deal memory deal, Choice memory choice, uint88 total) public {
        if (_succeeds(deal, choice, abi.encodeCall(IEscrow.refund, (deal, total)))) {
            assert(choice.caller == deal.seller);
        }
    }

    /// Only the seller delivers without a signature.
    function check_OnlyTheSellerDelivers(Deal memory deal, Choice memory choice, bytes32 hash) public {
        if (_succeeds(deal, choice, abi.encodeCall(IEscrow.deliver, (deal, hash)))) {
            assert(choice.caller == deal.seller);
        }
    }

    /// Only a party disputes without a signature.
    function check_OnlyAPartyDisputes(Deal memory deal, Choice memory choice, bytes32 hash) public {
        if (_succeeds(deal, choice, abi.encodeCall(IEscrow.dispute, (deal, hash)))) _assertParty(deal, choice.caller);
    }

    /// Only a party gives evidence without a signature; the address of the evidence is empty.
    function check_OnlyAPartyGivesEvidence(Deal memory deal, Choice memory choice, bytes32 hash) public {
        if (_succeeds(deal, choice, abi.encodeCall(IEscrow.evidence, (deal, hash, "")))) {
            _assertParty(deal, choice.caller);
        }
    }

    /// A signed release is the buyer's, over this deal and total under this contract's domain.
    function check_ASignedReleaseIsTheBuyers(Deal memory deal, Choice memory choice, uint88 total) public {
        bytes32 digest = _digest(abi.encode(keccak256("Release(bytes32 deal,uint88 total)"), escrow.idOf(deal), total));
        bytes memory data = abi.encodeCall(IEscrow.releaseBySig, (deal, total, _signed(choice)));
        if (_succeeds(deal, choice, data)) _assertSigned(choice, digest, deal.buyer);
    }

    /// A signed refund is the seller's, over this deal and total.
    function check_ASignedRefundIsTheSellers(Deal memory deal, Choice memory choice, uint88 total) public {
        bytes32 digest = _digest(abi.encode(keccak256("Refund(bytes32 deal,uint88 total)"), escrow.idOf(deal), total));
        bytes memory data = abi.encodeCall(IEscrow.refundBySig, (deal, total, _signed(choice)));
        if (_succeeds(deal, choice, data)) _assertSigned(choice, digest, deal.seller);
    }

    /// A signed delivery is the seller's, over this deal, delivery and time, and this time has not passed.
    function check_ASignedDeliveryIsTheSellers(Deal memory deal, Choice memory choice, bytes32 hash, uint40 until)
        public
    {
        bytes32 typehash = keccak256("Deliver(bytes32 deal,bytes32 delivery,uint40 validUntil)");
        bytes32 digest = _digest(abi.encode(typehash, escrow.idOf(deal), hash, until));
        bytes memory data = abi.encodeCall(IEscrow.deliverBySig, (deal, hash, until, _signed(choice)));
        if (!_succeeds(deal, choice, data)) return;
        _assertSigned(choice, digest, deal.seller);
        assert(choice.time <= until);
    }

    /// A signed dispute is a party's, over this deal, evidence and time, and this time has not passed.
    function check_ASignedDisputeIsAPartys(
        Deal memory deal,
        Choice memory choice,
        address party,
        bytes32 hash,
        uint40 until
    ) public {
        bytes32 typehash = keccak256("Dispute(bytes32 deal,bytes32 evidence,uint40 validUntil)");
        bytes32 digest = _digest(abi.encode(typehash, escrow.idOf(deal), hash, until));
        bytes memory data = abi.encodeCall(IEscrow.disputeBySig, (deal, party, hash, until, _signed(choice)));
        if (!_succeeds(deal, choice, data)) return;
        _assertParty(deal, party);
        _assertSigned(choice, digest, party);
        assert(choice.time <= until);
    }

    /// A party that is a contract consents through its code alone, to the digest of this release and to no other; the key
    /// that ecrecover finds is not its address.
    function long_AWalletsReleaseIsItsWord(Deal memory deal, Choice memory choice, uint88 total, bytes32 accepts)
        public
    {
        deal.buyer = address(new Wallet(accepts));
        bytes32 digest = _digest(abi.encode(keccak256("Release(bytes32 deal,uint88 total)"), escrow.idOf(deal), total));
        vm.assume(ecrecover(digest, choice.v, choice.r, choice.s) != deal.buyer);
        bytes memory data = abi.encodeCall(IEscrow.releaseBySig, (deal, total, _signed(choice)));
        if (_succeeds(deal, choice, data)) assert(digest == accepts);
    }

    function _succeeds(Deal memory deal, Choice memory choice, bytes memory data) private returns (bool) {
        vm.assume(deal.asset == address(0));
        vm.assume(choice.word & 0xf <= 4);
        vm.warp(choice.time);
        vm.deal(address(escrow), type(uint128).max);
        // The parties' own code, where they are the escrow or this contract, is not in question.
        vm.assume(deal.buyer != address(escrow) && deal.seller != address(escrow));
        _put(deal, choice.word);
        return _as(choice.caller, data);
    }

    function _signed(Choice memory choice) private pure returns (bytes memory) {
        return _signature(choice.r, choice.s, choice.v);
    }

    function _digest(bytes memory message) private view returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", escrow.DOMAIN_SEPARATOR(), keccak256(message)));
    }

    function _assertParty(Deal memory deal, address who) private pure {
        assert(who == deal.buyer || who == deal.seller);
    }

    function _assertSigned(Choice memory choice, bytes32 digest, address signer) private pure {
        assert(ecrecover(digest, choice.v, choice.r, choice.s) == signer && signer != address(0));
    }
}
