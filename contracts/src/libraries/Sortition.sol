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
        /// Positions that no longer hold their own number, and what they hold.
        uint256[] positions;
        uint256[] values;
    }

    /// @param most How many indices will be drawn at most.
    function deck(bytes32 seed, uint256 size, uint256 most) internal pure returns (Deck memory) {
        return Deck(seed, size, 0, new uint256[](most), new uint256[](most));
    }

    /// The next index: with i drawn so far, position i + keccak256(seed, i) mod (size - i) is swapped with position i.
    function next(Deck memory self) internal pure returns (uint256 index) {
        uint256 i = self.drawn;
        uint256 j = i + uint256(keccak256(abi.encode(self.seed, i))) % (self.size - i);
        (uint256 own,) = _at(self, i);
        uint256 slot;
        (index, slot) = _at(self, j);
        self.positions[slot] = j;
        self.values[slot] = own;
        self.drawn = i + 1;
    }

    /// What `position` holds, and where that is or would be remembered. Entry `drawn` is free; an entry passed over says
    /// position 0, which nobody asks for after the first draw.
    function _at(Deck memory self, uint256 position) private pure returns (uint256 value, uint256 slot) {
        uint256 used = self.drawn;
        for (; slot < used; ++slot) {
            if (self.positions[slot] == position) return (self.values[slot], slot);
        }
        return (position, slot);
    }
}
