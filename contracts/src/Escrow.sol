// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Funding} from "./Funding.sol";
import {Deal, IArbiter, IEscrow, State, Status} from "./interfaces/IEscrow.sol";
import {DealState} from "./libraries/DealState.sol";
import {Shares} from "./libraries/Shares.sol";

/// @title  Escrow
/// @notice See IEscrow. One word of storage a deal; nobody has any power here beyond what the terms give it.
/// @dev    Every action has the same shape: load the deal, then state, time, authority and amount in this order, then
///         the word is written, the event emitted, and only then anybody paid.
contract Escrow is Funding {
    using DealState for State;
    using DealState for uint256;

    uint256 private constant LONGEST_URI = 256;
    /// What an arbiter may spend on telling how many rulings it accepted.
    uint256 private constant ARBITER_GAS = 100_000;
    /// With this much left the arbiter gets its whole bound (EIP-150), so that nobody can starve it into counting as zero.
    uint256 private constant ARBITER_RESERVE = 110_000;

    bytes32 private constant DELIVER_TYPEHASH = keccak256("Deliver(bytes32 deal,bytes32 delivery,uint40 validUntil)");
    bytes32 private constant RELEASE_TYPEHASH = keccak256("Release(bytes32 deal,uint88 total)");
    bytes32 private constant REFUND_TYPEHASH = keccak256("Refund(bytes32 deal,uint88 total)");
    bytes32 private constant DISPUTE_TYPEHASH = keccak256("Dispute(bytes32 deal,bytes32 evidence,uint40 validUntil)");
    bytes32 private constant EVIDENCE_TYPEHASH =
        keccak256("Evidence(bytes32 deal,bytes32 evidence,string uri,uint40 validUntil)");
    bytes32 private constant SETTLE_TYPEHASH =
        keccak256("Settle(bytes32 deal,uint88 sellerTotal,uint8 status,uint8 rulings,uint40 validUntil)");

    /* DELIVER */

    /// @inheritdoc IEscrow
    function deliver(Deal calldata deal, bytes32 delivery) external {
        (bytes32 id, State memory state) = _deliverable(deal);
        if (msg.sender != deal.seller) revert NotSeller();
        _deliver(id, state, delivery);
    }

    /// @inheritdoc IEscrow
    function deliverBySig(Deal calldata deal, bytes32 delivery, uint40 validUntil, bytes calldata signature) external {
        (bytes32 id, State memory state) = _deliverable(deal);
        _requireFresh(validUntil);
        _requireSigned(deal.seller, _digest(DELIVER_TYPEHASH, id, delivery, validUntil), signature);
        _deliver(id, state, delivery);
    }

    function _deliverable(Deal calldata deal) private view returns (bytes32 id, State memory state) {
        (id, state) = _open(deal);
        if (deal.metered) revert MeteredDeal();
        if (state.status == Status.Delivered) revert AlreadyDelivered();
        if (state.status == Status.Disputed) revert DealDisputed();
        _requireNotAfter(deal.deliverBy);
    }

    function _deliver(bytes32 id, State memory state, bytes32 delivery) private {
        state.status = Status.Delivered;
        state.since = uint40(block.timestamp);
        _write(id, state);
        emit Delivered(id, delivery, state.count);
    }

    /* CONCESSIONS: release and refund */

    /// @inheritdoc IEscrow
    function release(Deal calldata deal, uint88 total) external alone {
        (bytes32 id, State memory state) = _open(deal);
        if (msg.sender != deal.buyer) revert NotBuyer();
        _release(deal, id, state, total);
    }

    /// @inheritdoc IEscrow
    function releaseBySig(Deal calldata deal, uint88 total, bytes calldata signature) external alone {
        (bytes32 id, State memory state) = _open(deal);
        bytes32 digest = _digest(RELEASE_TYPEHASH, id, total);
        // The seller of a metered deal has already served for the voucher: it cannot be taken back.
        if (deal.metered) _requireSignature(deal.buyer, digest, signature);
        else _requireSigned(deal.buyer, digest, signature);
        _release(deal, id, state, total);
    }

    function _release(Deal calldata deal, bytes32 id, State memory state, uint88 total) private {
        uint88 before = state.released;
        state.released = _concede(total, before, state.refunded, deal.amount);
        _writeOrClose(deal, id, state);
        emit Released(id, state.released, state.count);
        _push(id, deal.asset, deal.seller, state.released - before);
    }

    /// @inheritdoc IEscrow
    function refund(Deal calldata deal, uint88 total) external alone {
        (bytes32 id, State memory state) = _open(deal);
        if (msg.sender != deal.seller) revert NotSeller();
        _refund(deal, id, state, total);
    }

    /// @inheritdoc IEscrow
    function refundBySig(Deal calldata deal, uint88 total, bytes calldata signature) external alone {
        (bytes32 id, State memory state) = _open(deal);
        _requireSigned(deal.seller, _digest(REFUND_TYPEHASH, id, total), signature);
        _refund(deal, id, state, total);
    }

    function _refund(Deal calldata deal, bytes32 id, State memory state, uint88 total) private {
        uint88 before = state.refunded;
        state.refunded = _concede(total, before, state.released, deal.amount);
        _writeOrClose(deal, id, state);
        emit Refunded(id, state.refunded, state.count);
        _push(id, deal.asset, deal.buyer, state.refunded - before);
    }

    /// The receiving side's new total: what is conceded, as far as the other side's total leaves it.
    function _concede(uint88 total, uint88 before, uint88 other, uint88 amount) private pure returns (uint88) {
        if (total > amount) revert TotalTooHigh(total, amount);
        uint88 most = amount - other;
        if (total > most) total = most;
        if (total <= before) revert NothingMoves();
        return total;
    }

    /* DISPUTE */

    /// @inheritdoc IEscrow
    function dispute(Deal calldata deal, bytes32 hash) external {
        (bytes32 id, State memory state) = _disputable(deal);
        _requireParty(deal, msg.sender);
        _dispute(id, state, msg.sender, hash);
    }

    /// @inheritdoc IEscrow
    function disputeBySig(Deal calldata deal, address party, bytes32 hash, uint40 validUntil, bytes calldata signature)
        external
    {
        (bytes32 id, State memory state) = _disputable(deal);
        _requireFresh(validUntil);
        _requireParty(deal, party);
        _requireSigned(party, _digest(DISPUTE_TYPEHASH, id, hash, validUntil), signature);
        _dispute(id, state, party, hash);
    }

    function _disputable(Deal calldata deal) private view returns (bytes32 id, State memory state) {
        (id, state) = _open(deal);
        if (state.status == Status.Disputed) revert DealDisputed();
        _requireNotAfter(state.status == Status.Delivered ? uint256(state.since) + deal.inspection : deal.deliverBy);
    }

    function _dispute(bytes32 id, State memory state, address by, bytes32 hash) private {
        state.status = Status.Disputed;
        state.since = uint40(block.timestamp);
        _write(id, state);
        emit Disputed(id, by, hash, state.count);
    }

    /// @inheritdoc IEscrow
    function evidence(Deal calldata deal, bytes32 hash, string calldata uri) external {
        (bytes32 id, State memory state) = _disputed(deal);
        _requireParty(deal, msg.sender);
        _evidence(id, state, msg.sender, hash, uri);
    }

    /// @inheritdoc IEscrow
    function evidenceBySig(
        Deal calldata deal,
        address party,
        bytes32 hash,
        string calldata uri,
        uint40 validUntil,
        bytes calldata signature
    ) external {
        (bytes32 id, State memory state) = _disputed(deal);
        _requireFresh(validUntil);
        _requireParty(deal, party);
        bytes32 digest =
            _hashTypedData(keccak256(abi.encode(EVIDENCE_TYPEHASH, id, hash, keccak256(bytes(uri)), validUntil)));
        _requireSigned(party, digest, signature);
        _evidence(id, state, party, hash, uri);
    }

    function _evidence(bytes32 id, State memory state, address by, bytes32 hash, string calldata uri) private {
        uint256 length = bytes(uri).length;
        if (length > LONGEST_URI) revert UriTooLong(length);
        _write(id, state);
        emit Evidence(id, by, hash, uri, state.count);
    }

    /* SILENCE: reclaim, claim and lapse */

    /// @inheritdoc IEscrow
    function reclaim(Deal calldata deal) external alone {
        (bytes32 id, State memory state) = _open(deal);
        if (state.status == Status.Delivered) revert AlreadyDelivered();
        if (state.status == Status.Disputed) revert DealDisputed();
        _requireAfter(uint256(deal.deliverBy) + (deal.metered ? deal.inspection : 0));
        (uint256 toSeller, uint256 toBuyer) = _conclude(deal, id, state, state.released);
        emit Reclaimed(id, state.refunded, state.count);
        _pushBoth(deal, id, toSeller, toBuyer);
    }

    /// @inheritdoc IEscrow
    function claim(Deal calldata deal) external alone {
        (bytes32 id, State memory state) = _open(deal);
        if (deal.metered) revert MeteredDeal();
        if (state.status == Status.Funded) revert NotDelivered();
        if (state.status == Status.Disputed) revert DealDisputed();
        _requireAfter(uint256(state.since) + deal.inspection);
        (uint256 toSeller, uint256 toBuyer) = _conclude(deal, id, state, deal.amount - state.refunded);
        emit Claimed(id, state.released, state.count);
        _pushBoth(deal, id, toSeller, toBuyer);
    }

    /// @inheritdoc IEscrow
    function lapse(Deal calldata deal) external alone {
        (bytes32 id, State memory state) = _disputed(deal);
        _requireAfter(uint256(state.since) + deal.ruling);
        (uint256 toSeller, uint256 toBuyer) = _concludeAtShare(deal, id, state, deal.lapseShare);
        emit Lapsed(id, state.released, state.refunded, state.count);
        _pushBoth(deal, id, toSeller, toBuyer);
    }

    /* DECISIONS: rule and settle */

    /// @inheritdoc IEscrow
    function rule(Deal calldata deal, uint16 share) external alone {
        if (share > Shares.WHOLE) revert ShareOutOfRange();
        (bytes32 id, State memory state) = _disputed(deal);
        _requireNotAfter(uint256(state.since) + deal.ruling);
        if (msg.sender != deal.arbiter) revert NotArbiter();
        (uint256 toSeller, uint256 toBuyer) = _concludeAtShare(deal, id, state, share);
        emit Ruled(id, share, state.released, state.refunded, state.count);
        _pushBoth(deal, id, toSeller, toBuyer);
    }

    /// @inheritdoc IEscrow
    function settle(
        Deal calldata deal,
        uint88 sellerTotal,
        uint8 rulings,
        uint40 validUntil,
        bytes calldata buyerSignature,
        bytes calldata sellerSignature
    ) external alone {
        (bytes32 id, State memory state) = _open(deal);
        uint256 accepted = state.status == Status.Disputed ? _rulings(deal.arbiter, id) : 0;
        if (rulings != accepted) revert StateChanged();
        _requireFresh(validUntil);
        bytes32 digest =
            _hashTypedData(keccak256(abi.encode(SETTLE_TYPEHASH, id, sellerTotal, state.status, rulings, validUntil)));
        _requireConsent(deal.buyer, digest, buyerSignature);
        _requireConsent(deal.seller, digest, sellerSignature);
        if (sellerTotal > deal.amount) revert TotalTooHigh(sellerTotal, deal.amount);
        uint88 total = Shares.clamp(sellerTotal, deal.amount, state.released, state.refunded);
        (uint256 toSeller, uint256 toBuyer) = _conclude(deal, id, state, total);
        emit Settled(id, state.released, state.refunded, state.count);
        _pushBoth(deal, id, toSeller, toBuyer);
    }

    /// Zero when the arbiter fails, answers less than a word or names more than a byte holds.
    function _rulings(address arbiter, bytes32 id) private view returns (uint256 accepted) {
        if (gasleft() < ARBITER_RESERVE) revert NotEnoughGas();
        uint256 bound = ARBITER_GAS;
        bytes4 selector = IArbiter.rulings.selector;
        assembly ("memory-safe") {
            let m := mload(0x40)
            mstore(m, selector)
            mstore(add(m, 0x04), address())
            mstore(add(m, 0x24), id)
            let ok := staticcall(bound, arbiter, m, 0x44, 0x00, 0x20)
            if and(ok, gt(returndatasize(), 0x1f)) { accepted := mload(0x00) }
            if gt(accepted, 0xff) { accepted := 0 }
        }
    }

    /* STATE */

    /// The deal where it is Funded, Delivered or Disputed. Padding that is not zero names no deal.
    function _open(Deal calldata deal) private view returns (bytes32 id, State memory state) {
        id = idOf(deal);
        uint256 word = _deals[id];
        if (word == 0) {
            if (block.timestamp > deal.fundBy) revert DealClosed();
            revert UnknownDeal();
        }
        state = word.unpack();
        if (state.status == Status.Closed) revert DealClosed();
    }

    function _disputed(Deal calldata deal) private view returns (bytes32 id, State memory state) {
        (id, state) = _open(deal);
        if (state.status != Status.Disputed) revert NotDisputed();
    }

    function _concludeAtShare(Deal calldata deal, bytes32 id, State memory state, uint16 share)
        private
        returns (uint256 toSeller, uint256 toBuyer)
    {
        return _conclude(deal, id, state, Shares.sellerTotal(share, deal.amount, state.released, state.refunded));
    }

    /// Closes at `sellerTotal`, which lies in [released, amount - refunded], and says what each side still gets.
    function _conclude(Deal calldata deal, bytes32 id, State memory state, uint88 sellerTotal)
        private
        returns (uint256 toSeller, uint256 toBuyer)
    {
        uint88 buyerTotal = deal.amount - sellerTotal;
        toSeller = sellerTotal - state.released;
        toBuyer = buyerTotal - state.refunded;
        state.released = sellerTotal;
        state.refunded = buyerTotal;
        _writeOrClose(deal, id, state);
    }

    function _writeOrClose(Deal calldata deal, bytes32 id, State memory state) private {
        if (uint256(state.released) + state.refunded != deal.amount) return _write(id, state);
        state.status = Status.Closed;
        state.since = 0;
        _count(state);
        // After fundBy nothing can be funded under this id any more, so no tombstone is needed.
        _deals[id] = block.timestamp > deal.fundBy ? 0 : state.pack();
    }

    function _write(bytes32 id, State memory state) private {
        _count(state);
        _deals[id] = state.pack();
    }

    function _count(State memory state) private pure {
        unchecked {
            ++state.count; // modulo 256
        }
    }

    /* PAYOUTS */

    function _pushBoth(Deal calldata deal, bytes32 id, uint256 toSeller, uint256 toBuyer) private {
        _push(id, deal.asset, deal.seller, toSeller);
        _push(id, deal.asset, deal.buyer, toBuyer);
    }

    /* AUTHORITY AND TIME */

    function _requireParty(Deal calldata deal, address party) private pure {
        if (party != deal.buyer && party != deal.seller) revert NotParty();
    }

    function _requireNotAfter(uint256 last) private view {
        if (block.timestamp > last) revert TooLate(last);
    }

    function _requireAfter(uint256 last) private view {
        if (block.timestamp <= last) revert TooEarly(last + 1);
    }
}
