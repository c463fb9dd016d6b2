// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @title  Sortition
/// @notice Draws distinct indices from 0 to size - 1 by a seed: a Fisher-Yates shuffle that stops early and remembers
///         only what it swapped.
library Sortition {
    struct Deck {
        bytes32 seed;
        uint256 size;
        /// How many indices were drawn.
        uint256 drawn;
        /// Two words an entry: a position that no longer holds its own number, and what it holds.
        uint256[] swaps;
    }

    /// @param most How many indices will be drawn at most; never more than `size`.
    function deck(bytes32 seed, uint256 size, uint256 most) internal pure returns (Deck memory) {
        uint256[] memory swaps;
        assembly ("memory-safe") {
            swaps := mload(0x40)
            mstore(swaps, shl(1, most))
            let entries := add(swaps, 0x20)
            mstore(0x40, add(entries, shl(6, most)))
            // What lies past the calldata is zero.
            calldatacopy(entries, calldatasize(), shl(6, most))
        }
        return Deck(seed, size, 0, swaps);
    }

    /// The next index: with i drawn so far, position i + keccak256(seed, i) mod (size - i) is swapped with position i.
    /// Reverts when more are asked for than the deck was made for.
    /// @dev An entry of `swaps` that was passed over says position 0, which nobody asks for after the first draw.
    function next(Deck memory self) internal pure returns (uint256 index) {
        assembly ("memory-safe") {
            let i := mload(add(self, 0x40))
            let swaps := mload(add(self, 0x60))
            if iszero(lt(shl(1, i), mload(swaps))) { revert(0, 0) }
            mstore(0x00, mload(self))
            mstore(0x20, i)
            let j := add(i, mod(keccak256(0x00, 0x40), sub(mload(add(self, 0x20)), i)))
            // What the positions i and j hold, and the entry that says so for j or will.
            let own := i
            index := j
            let entry := add(swaps, 0x20)
            let end := add(entry, shl(6, i))
            let target := end
            for {} lt(entry, end) { entry := add(entry, 0x40) } {
                let position := mload(entry)
                if eq(position, i) { own := mload(add(entry, 0x20)) }
                if eq(position, j) {
                    index := mload(add(entry, 0x20))
                    target := entry
                }
            }
            mstore(target, j)
            mstore(add(target, 0x20), own)
            mstore(add(self, 0x40), add(i, 1))
        }
    }
}
