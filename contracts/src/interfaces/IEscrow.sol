// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// What the terms are about, kept out of the words that later calls carry.
struct Annex {
    /// Which pool of the arbiter may rule: the hash of its rule book.
    bytes32 panel;
    /// SHA-256 of the JCS-canonical agreement.
    bytes32 agreement;
    /// Makes equal deals distinct.
    bytes32 salt;
}

/// What buyer and seller agree on. Its EIP-712 digest under this contract's domain is the deal's id.
struct Terms {
    address buyer;
    address seller;
    /// Who may rule on a dispute.
    address arbiter;
    /// The ERC-20 token, or address(0) for the chain's native coin.
    address asset;
    /// In the asset's smallest unit; 1 to 2^88 - 1.
    uint88 amount;
    /// Unix seconds; the seller's signature is worthless after this time.
    uint40 fundBy;
    /// Unix seconds; not delivered by then, everything left goes back to the buyer.
    uint40 deliverBy;
    /// Seconds after delivery in which to release or dispute; 1 to 366 days.
    uint32 inspection;
    /// Seconds after a dispute in which the arbiter must have ruled; 1 to 366 days.
    uint32 ruling;
    /// The seller's share of the whole amount if no ruling arrives in time; basis points.
    uint16 lapseShare;
    /// The deal is a payment channel: no deliver, no claim.
    bool metered;
    Annex annex;
}

/// The terms as every call after `fund` carries them: the same words with the annex folded to its EIP-712
/// struct hash. Hashes to the same id.
struct Deal {
    address buyer;
    address seller;
    address arbiter;
    address asset;
    uint88 amount;
    uint40 fundBy;
    uint40 deliverBy;
    uint32 inspection;
    uint32 ruling;
    uint16 lapseShare;
    bool metered;
    bytes32 annex;
}

/// Where a deal stands. A deal whose storage is empty and whose `fundBy` has passed counts as Closed.
enum Status {
    None,
    Funded,
    Delivered,
    Disputed,
    Closed
}

/// A deal's one storage slot.
struct State {
    Status status;
    /// Events emitted for this deal, modulo 256.
    uint8 count;
    /// When it was delivered (Delivered) or disputed (Disputed); else zero.
    uint40 since;
    uint40 fundedAt;
    /// Paid or credited to the seller so far.
    uint88 released;
    /// Paid or credited to the buyer so far.
    uint88 refunded;
}

/// What an escrow asks of an arbiter. Any contract that calls `rule` fits.
interface IArbiter {
    /// How many rulings this arbiter has accepted for a deal of `escrow`, executed or not. An offer to settle made
    /// during a dispute names this number and dies when it changes. A call that fails counts as zero.
    function rulings(address escrow, bytes32 deal) external view returns (uint8);
}

/// @title  Escrow
/// @notice Holds the payment of deals between a buyer and a seller until one concedes, a window ends in silence, or
///         the arbiter that both named has ruled. Nobody owns it; it takes nothing.
/// @dev    The refusals are checked in this order, and the first that applies is given: terms, state, time, authority,
///         amount, intake (docs/protocol.md, section 4); within one of these, in the order listed here.
interface IEscrow {
    /* EVENTS: one a transition, the deal's id first, enough to rebuild the state without reading storage. `count` is
       the number of this deal's events so far, this one included, modulo 256. */

    event Funded(bytes32 indexed deal, Terms terms);
    event Delivered(bytes32 indexed deal, bytes32 delivery, uint8 count);
    /// `released` is the seller's total after this event. The deal is closed when released + refunded = amount.
    event Released(bytes32 indexed deal, uint88 released, uint8 count);
    /// `refunded` is the buyer's total after this event.
    event Refunded(bytes32 indexed deal, uint88 refunded, uint8 count);
    event Disputed(bytes32 indexed deal, address by, bytes32 evidence, uint8 count);
    event Evidence(bytes32 indexed deal, address by, bytes32 evidence, string uri, uint8 count);
    event Reclaimed(bytes32 indexed deal, uint88 refunded, uint8 count);
    event Claimed(bytes32 indexed deal, uint88 released, uint8 count);
    event Settled(bytes32 indexed deal, uint88 released, uint88 refunded, uint8 count);
    event Ruled(bytes32 indexed deal, uint16 share, uint88 released, uint88 refunded, uint8 count);
    event Lapsed(bytes32 indexed deal, uint88 released, uint88 refunded, uint8 count);
    /// A push payment failed and is owed instead.
    event Credited(bytes32 indexed deal, address indexed creditor, address asset, uint256 amount);
    event Withdrawn(address indexed creditor, address asset, uint256 amount, address to);
    event Revoked(address indexed signer, bytes32 digest);
    /// The terms can never be funded any more. Not counted: the deal has no events.
    event Retracted(bytes32 indexed deal, address by);

    /* REFUSALS, terms */

    error ZeroParty();
    error SameParty();
    error AmountOutOfRange();
    error WindowOutOfRange();
    error ShareOutOfRange();
    /// fundBy is not before deliverBy.
    error DeadlinesOutOfOrder();
    /// deliverBy is more than ten years away.
    error DeadlineTooFar();

    /* REFUSALS, state */

    error UnknownDeal();
    error AlreadyFunded();
    /// Closed, or never funded and too late now.
    error DealClosed();
    error MeteredDeal();
    error AlreadyDelivered();
    error NotDelivered();
    error DealDisputed();
    error NotDisputed();
    /// An offer to settle names another number of accepted rulings. One that was signed for another status is
    /// InvalidSignature: the status is part of what is signed and is not handed in.
    error StateChanged();

    /* REFUSALS, time (Unix seconds) */

    /// `opensAt` is the first second that is not too early.
    error TooEarly(uint256 opensAt);
    /// `closedAt` is the last second that was not too late.
    error TooLate(uint256 closedAt);
    error SignatureExpired(uint256 validUntil);

    /* REFUSALS, authority */

    error NotBuyer();
    error NotSeller();
    error NotParty();
    error NotArbiter();
    error InvalidSignature(address signer);
    error SignatureRevoked(bytes32 digest);

    /* REFUSALS, amount */

    /// A total above the deal's amount, or a withdrawal above the credit.
    error TotalTooHigh(uint256 total, uint256 amount);
    /// A total that moves nothing.
    error NothingMoves();
    error NothingToWithdraw();
    error UriTooLong(uint256 length);

    /* REFUSALS, intake */

    error WrongValue(uint256 sent, uint256 needed);
    error IntakeMismatch(uint256 received, uint256 needed);
    error TransferFailed();
    /// Too little gas is left for a call that must have its whole bound.
    error NotEnoughGas();
    /// Checked before everything else.
    error Reentered();

    /* ACTIONS. The plain form is called by the party itself; the `By…Signature` form by anyone who holds its signature
       over the EIP-712 type named in docs/protocol.md. */

    /// The buyer funds. In this and the other forms `sellerSignature` is over the terms, and empty where the seller is the
    /// caller.
    function fund(Terms calldata terms, bytes calldata sellerSignature) external payable returns (bytes32 deal);
    /// Funds by the buyer's typed `Fund(bytes32 deal,uint40 validUntil)`: a token from the buyer's allowance, native coin
    /// from the caller.
    function fundBySig(
        Terms calldata terms,
        bytes calldata sellerSignature,
        uint40 validUntil,
        bytes calldata buyerSignature
    ) external payable returns (bytes32 deal);
    /// Funds by the buyer's ERC-3009 ReceiveWithAuthorization to this contract with the deal's id as its nonce. A signature
    /// of 65 bytes (r, s, v) goes to the token's form with v, r and s, any other to its form with bytes.
    function fundByAuthorization(
        Terms calldata terms,
        bytes calldata sellerSignature,
        uint256 validAfter,
        uint256 validBefore,
        bytes calldata authorization
    ) external returns (bytes32 deal);
    /// Funds by the buyer's Permit2 PermitWitnessTransferFrom to this contract; the witness is `Fund(bytes32 deal)`. What a
    /// signer takes back there (invalidateUnorderedNonces) is worthless here.
    function fundByPermit2(
        Terms calldata terms,
        bytes calldata sellerSignature,
        uint256 nonce,
        uint256 deadline,
        bytes calldata permit
    ) external returns (bytes32 deal);
    /// Buyer or seller makes the terms of a deal that is not funded worthless for good: its id is closed.
    function retract(Terms calldata terms) external;
    /// Tries the token's EIP-2612 permit of this contract, for use in a batch before `fund` or `fundBySig`. Its failure is
    /// none here: somebody else may have used the permit already, and the allowance then stands.
    function permit(address token, address owner, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
        payable;
    /// Runs calls of this contract in order, all or none. Coin sent along is for the deals of native coin that `fund` and
    /// `fundBySig` fund in it, must be exactly their sum, and each unit of it is spent once; a batch with coin has no other
    /// calls than those and `permit`.
    function batch(bytes[] calldata calls) external payable returns (bytes[] memory results);

    function deliver(Deal calldata deal, bytes32 delivery) external;
    function deliverBySig(Deal calldata deal, bytes32 delivery, uint40 validUntil, bytes calldata signature) external;

    /// Raises the seller's total to min(total, amount - refunded).
    function release(Deal calldata deal, uint88 total) external;
    function releaseBySig(Deal calldata deal, uint88 total, bytes calldata signature) external;

    /// Raises the buyer's total to min(total, amount - released).
    function refund(Deal calldata deal, uint88 total) external;
    function refundBySig(Deal calldata deal, uint88 total, bytes calldata signature) external;

    function dispute(Deal calldata deal, bytes32 evidence) external;
    function disputeBySig(
        Deal calldata deal,
        address party,
        bytes32 evidence,
        uint40 validUntil,
        bytes calldata signature
    ) external;

    function evidence(Deal calldata deal, bytes32 hash, string calldata uri) external;
    function evidenceBySig(
        Deal calldata deal,
        address party,
        bytes32 hash,
        string calldata uri,
        uint40 validUntil,
        bytes calldata signature
    ) external;

    function reclaim(Deal calldata deal) external;
    function claim(Deal calldata deal) external;
    function lapse(Deal calldata deal) external;
    /// Only the arbiter of the terms. `share` is the seller's, of the whole amount, in basis points.
    function rule(Deal calldata deal, uint16 share) external;

    /// Closes at `sellerTotal`, clamped like a share. Each party signs
    /// `Settle(bytes32 deal,uint88 sellerTotal,uint8 status,uint8 rulings,uint40 validUntil)`; a party that is the
    /// caller gives an empty signature.
    function settle(
        Deal calldata deal,
        uint88 sellerTotal,
        uint8 rulings,
        uint40 validUntil,
        bytes calldata buyerSignature,
        bytes calldata sellerSignature
    ) external;

    /// Makes a digest that the caller signed, or may sign later, worthless here; not a Release of a metered deal, which
    /// pays for what the seller has already done, and not the terms themselves, for which there is `retract`.
    function revoke(bytes32 digest) external;
    /// Pays the caller's whole credit to `to`, which is neither zero, the asset nor this contract.
    function withdraw(address asset, address to) external returns (uint256 amount);
    /// Pays `amount` of the creditor's credit by its typed
    /// `Withdraw(address creditor,address asset,uint256 amount,address to,uint256 nonce,uint40 validUntil)`.
    function withdrawBySig(
        address creditor,
        address asset,
        uint256 amount,
        address to,
        uint40 validUntil,
        bytes calldata signature
    ) external;

    /* READING */

    function idOf(Terms calldata terms) external view returns (bytes32);
    function idOf(Deal calldata deal) external view returns (bytes32);
    function stateOf(bytes32 deal) external view returns (State memory);
    function creditOf(address creditor, address asset) external view returns (uint256);
    function withdrawalNonceOf(address creditor) external view returns (uint256);
    function revoked(address signer, bytes32 digest) external view returns (bool);
    function DOMAIN_SEPARATOR() external view returns (bytes32);
}
