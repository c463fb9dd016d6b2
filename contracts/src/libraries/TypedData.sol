// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @title  TypedData
/// @notice EIP-712 where Solady's mixin is not enough: another contract's domain, and hashing many structs cheaply.
library TypedData {
    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");

    function domain(bytes32 nameHash, bytes32 versionHash, address verifyingContract)
        internal
        view
        returns (bytes32 separator)
    {
        bytes32 typehash = DOMAIN_TYPEHASH;
        assembly ("memory-safe") {
            let m := mload(0x40)
            mstore(m, typehash)
            mstore(add(m, 0x20), nameHash)
            mstore(add(m, 0x40), versionHash)
            mstore(add(m, 0x60), chainid())
            mstore(add(m, 0x80), verifyingContract)
            separator := keccak256(m, 0xa0)
        }
    }

    /// The digest that is signed, of a struct's hash under a domain.
    function digest(bytes32 separator, bytes32 structHash) internal pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            let m := mload(0x40)
            mstore(m, hex"1901")
            mstore(add(m, 0x02), separator)
            mstore(add(m, 0x22), structHash)
            hash := keccak256(m, 0x42)
        }
    }

    /// The hash of a struct of three words.
    function hash3(bytes32 typehash, bytes32 a, uint256 b, bytes32 c) internal pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            let m := mload(0x40)
            mstore(m, typehash)
            mstore(add(m, 0x20), a)
            mstore(add(m, 0x40), b)
            mstore(add(m, 0x60), c)
            hash := keccak256(m, 0x80)
        }
    }
}
