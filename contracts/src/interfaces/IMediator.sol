// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IArbiterRefusals} from "./IArbiterRefusals.sol";
import {IArbiter, Terms} from "./IEscrow.sol";

/// @title  IMediator
/// @notice One account rules: the terms name this contract as arbiter and the account, left-padded to a word, as panel.
///         Nobody owns the contract and it keeps nothing: a ruling that the escrow does not take was never given.
/// @dev    A mediator who signs computes the deal's id from the terms and the escrow's address; who asks the escrow for
///         it signs whatever that says. The refusals of the escrow come through as they are.
interface IMediator is IArbiter, IArbiterRefusals {
    /* REFUSALS, terms: NotMyDeal, then these */

    /// The panel is not an account: zero, or more than 160 bits.
    error BadPanel();
    /// The mediator is the buyer or the seller.
    error SameParty();

    /* REFUSALS, time: TooLate, then this */

    error SignatureExpired(uint256 validUntil);

    /* REFUSALS, authority */

    error NotMediator();
    error InvalidSignature(address signer);

    /* REFUSALS, amount */

    /// Above 10,000.
    error BadShare(uint256 share);

    /* ACTIONS */

    /// The caller is the mediator. `share` is the seller's, of the whole amount, in basis points; 0 to 10,000.
    function rule(address escrow, Terms calldata terms, uint16 share) external;
    /// Rules by the mediator's typed `Ruling(bytes32 deal,uint16 share,uint40 validUntil)`, which anyone may hand in until
    /// `validUntil` (Unix seconds). Of several that the mediator signed, the first that arrives counts.
    function ruleBySig(address escrow, Terms calldata terms, uint16 share, uint40 validUntil, bytes calldata signature)
        external;

    /* READING */

    /// Always zero: a ruling closes the deal in the call that brings it, so none is ever accepted and still to be
    /// executed, and an offer to settle has nothing to outlive.
    function rulings(address escrow, bytes32 deal) external pure returns (uint8);
    function DOMAIN_SEPARATOR() external view returns (bytes32);
}
