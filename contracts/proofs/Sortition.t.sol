// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Sortition} from "../src/libraries/Sortition.sol";

/// @notice Whatever keccak-256 says, the indices drawn from a deck are different members of it.
/// @dev    The seed is symbolic and the hash uninterpreted, so every sequence of positions is tried.
contract SortitionProof {
    using Sortition for Sortition.Deck;

    /// Three draws from a deck of 8.
    function check_ThreeOfEight(bytes32 seed) public pure {
        _distinct(seed, 8, 3);
    }

    /// Four draws from a deck of 4: all of it.
    function check_FourOfFour(bytes32 seed) public pure {
        _distinct(seed, 4, 4);
    }

    function _distinct(bytes32 seed, uint256 size, uint256 draws) private pure {
        Sortition.Deck memory deck = Sortition.deck(seed, size, draws);
        uint256[] memory drawn = new uint256[](draws);
        for (uint256 i; i < draws; ++i) {
            drawn[i] = deck.next();
            assert(drawn[i] < size);
            for (uint256 j; j < i; ++j) {
                assert(drawn[i] != drawn[j]);
            }
        }
    }
}
