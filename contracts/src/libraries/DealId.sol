// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Annex, Deal, IEscrow, Terms} from "../interfaces/IEscrow.sol";
import {TypedData} from "./TypedData.sol";

/// @title  DealId
/// @notice The EIP-712 struct hash of a deal's terms, from either form in which calls carry them.
/// @dev    Terms and Deal share their first eleven words, so both are hashed as they stand in calldata. Padding that is
///         not zero gives another hash: it must never reach storage as a second deal, hence `requireClean` at funding.
library DealId {
    bytes32 internal constant TERMS_TYPEHASH = keccak256(
        "Terms(address buyer,address seller,address arbiter,address asset,uint88 amount,uint40 fundBy,uint40 deliverBy,uint32 inspection,uint32 ruling,uint16 lapseShare,bool metered,Annex annex)Annex(bytes32 panel,bytes32 agreement,bytes32 salt)"
    );
    bytes32 internal constant ANNEX_TYPEHASH = keccak256("Annex(bytes32 panel,bytes32 agreement,bytes32 salt)");

    /// The name and version in the EIP-712 domain of every escrow of this kind.
    string internal constant NAME = "Earnest Escrow";
    string internal constant VERSION = "1";
    bytes32 private constant NAME_HASH = keccak256("Earnest Escrow");
    bytes32 private constant VERSION_HASH = keccak256("1");

    /// The id under which `escrow` keeps the deal of these terms, where it is an escrow of this kind. Padding that is not
    /// zero gives the id of no deal.
    function idAt(Terms calldata terms, address escrow) internal view returns (bytes32) {
        return TypedData.digest(TypedData.domain(NAME_HASH, VERSION_HASH, escrow), hashTerms(terms));
    }

    function hashTerms(Terms calldata terms) internal pure returns (bytes32) {
        uint256 start;
        assembly ("memory-safe") {
            start := terms
        }
        return _hash(start, hashAnnex(terms.annex));
    }

    function hashDeal(Deal calldata deal) internal pure returns (bytes32) {
        uint256 start;
        assembly ("memory-safe") {
            start := deal
        }
        return _hash(start, deal.annex);
    }

    function hashAnnex(Annex calldata annex) internal pure returns (bytes32 hash) {
        bytes32 typehash = ANNEX_TYPEHASH;
        assembly ("memory-safe") {
            let m := mload(0x40)
            mstore(m, typehash)
            calldatacopy(add(m, 0x20), annex, 0x60)
            hash := keccak256(m, 0x80)
        }
    }

    /// The form that later calls carry.
    function fold(Terms calldata terms) internal pure returns (Deal memory deal) {
        bytes32 annex = hashAnnex(terms.annex);
        assembly ("memory-safe") {
            calldatacopy(deal, terms, 0x160)
            mstore(add(deal, 0x160), annex)
        }
    }

    /// The call of an escrow's `rule`, with the terms in the form that later calls carry.
    function ruleCall(Terms calldata terms, uint16 share) internal pure returns (bytes memory message) {
        bytes32 annex = hashAnnex(terms.annex);
        bytes4 selector = IEscrow.rule.selector;
        assembly ("memory-safe") {
            message := mload(0x40)
            mstore(0x40, add(message, 0x1e0))
            mstore(message, 0x1a4)
            mstore(add(message, 0x20), selector)
            calldatacopy(add(message, 0x24), terms, 0x160)
            mstore(add(message, 0x184), annex)
            mstore(add(message, 0x1a4), and(share, 0xffff))
        }
    }

    /// Reverts without data, as the ABI decoder does, when a field has bits above its type.
    function requireClean(Terms calldata terms) internal pure {
        assembly ("memory-safe") {
            let addresses :=
                or(
                    or(calldataload(terms), calldataload(add(terms, 0x20))),
                    or(calldataload(add(terms, 0x40)), calldataload(add(terms, 0x60)))
                )
            let times := or(calldataload(add(terms, 0xa0)), calldataload(add(terms, 0xc0)))
            let windows := or(calldataload(add(terms, 0xe0)), calldataload(add(terms, 0x100)))
            let dirty := or(shr(160, addresses), shr(88, calldataload(add(terms, 0x80))))
            dirty := or(dirty, or(shr(40, times), shr(32, windows)))
            dirty := or(dirty, or(shr(16, calldataload(add(terms, 0x120))), shr(1, calldataload(add(terms, 0x140)))))
            if dirty { revert(0, 0) }
        }
    }

    /// The eleven shared words start at `start` in calldata.
    function _hash(uint256 start, bytes32 annex) private pure returns (bytes32 hash) {
        bytes32 typehash = TERMS_TYPEHASH;
        assembly ("memory-safe") {
            let m := mload(0x40)
            mstore(m, typehash)
            calldatacopy(add(m, 0x20), start, 0x160)
            mstore(add(m, 0x180), annex)
            hash := keccak256(m, 0x1a0)
        }
    }
}
