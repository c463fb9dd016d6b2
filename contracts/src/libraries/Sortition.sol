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
        return Deck(seed, size, 0, new uint256[](2 * most));
    }

    /// The next index: with i drawn so far, position i + keccak256(seed, i) mod (size - i) is swapped with position i.
    /// Reverts when more are asked for than the deck was made for.
    function next(Deck memory self) internal pure returns (uint256 index) {
        uint256 i = self.drawn;
        uint256 j = i + _hash(self.seed, i) % (self.size - i);
        (uint256 own,) = _look(self, i);
        uint256 entry;
        (index, entry) = _look(self, j);
        self.swaps[2 * entry] = j;
        self.swaps[2 * entry + 1] = own;
        self.drawn = i + 1;
    }

    /// What `position` holds, and the entry where that is or would be remembered. Entry `drawn` is free; an entry passed
    /// over says position 0, which nobody asks for after the first draw.
    function _look(Deck memory self, uint256 position) private pure returns (uint256 value, uint256 entry) {
        uint256 used = self.drawn;
        uint256[] memory swaps = self.swaps;
        value = position;
        assembly ("memory-safe") {
            let word := add(swaps, 0x20)
            for {} lt(entry, used) { entry := add(entry, 1) } {
                if eq(mload(word), position) {
                    value := mload(add(word, 0x20))
                    break
                }
                word := add(word, 0x40)
            }
        }
    }

    function _hash(bytes32 seed, uint256 i) private pure returns (uint256 hash) {
        assembly ("memory-safe") {
            mstore(0x00, seed)
            mstore(0x20, i)
            hash := keccak256(0x00, 0x40)
        }
    }
}
