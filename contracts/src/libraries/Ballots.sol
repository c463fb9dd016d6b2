// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @title  Ballots
/// @notice A jury's ballots in one word, and the ruling that they determine.
/// @dev    A 5-bit field a seat, seat 0 lowest: 0 none, 1 to 21 is share / 500 + 1, 31 void. From bit 155 one bit a seat:
///         cast on chain, therefore final.
library Ballots {
    /// Shares on ballots are multiples of this many basis points.
    uint16 internal constant STEP = 500;
    uint16 internal constant WHOLE = 10_000;
    uint256 private constant VOID = 31;
    uint256 private constant FINAL_FROM = 155;

    function isShare(uint256 share) internal pure returns (bool) {
        return share <= WHOLE && share % STEP == 0;
    }

    function isVoid(uint256 word, uint256 seat) internal pure returns (bool) {
        return _field(word, seat) == VOID;
    }

    function isFinal(uint256 word, uint256 seat) internal pure returns (bool) {
        return (word >> (FINAL_FROM + seat)) & 1 == 1;
    }

    /// Counts a signed ballot: the first stands, a different one voids the seat, a final or void seat stays as it is.
    function withSigned(uint256 word, uint256 seat, uint256 share) internal pure returns (uint256) {
        if (isFinal(word, seat)) return word;
        uint256 field = _field(word, seat);
        if (field == 0) return _set(word, seat, share / STEP + 1);
        return field == share / STEP + 1 ? word : _set(word, seat, VOID);
    }

    /// Counts a ballot cast on chain, in place of whatever was signed.
    function withCast(uint256 word, uint256 seat, uint256 share) internal pure returns (uint256) {
        return _set(word, seat, share / STEP + 1) | uint256(1) << (FINAL_FROM + seat);
    }

    /// @return lo The k-th highest share, k = (jurySize + 1) / 2, with every missing ballot taken as 0.
    /// @return hi The k-th lowest share with every missing ballot taken as the whole. The median of the full jury lies
    ///            between the two, whatever the missing ballots say; a void seat stays missing.
    function bounds(uint256 word, uint256 jurySize) internal pure returns (uint16 lo, uint16 hi) {
        unchecked {
            // One byte a possible share: how many ballots name it.
            uint256 tally;
            for (uint256 seat; seat < jurySize; ++seat) {
                uint256 field = _field(word, seat);
                if (field != 0 && field != VOID) tally += uint256(1) << ((field - 1) << 3);
            }
            uint256 k = (jurySize + 1) / 2;
            uint256 seen;
            hi = WHOLE;
            for (uint16 step; step <= WHOLE / STEP; ++step) {
                seen += (tally >> (step << 3)) & 0xff;
                if (seen >= k) {
                    hi = step * STEP;
                    break;
                }
            }
            seen = 0;
            for (uint16 step = WHOLE / STEP; step != 0; --step) {
                seen += (tally >> (step << 3)) & 0xff;
                if (seen >= k) {
                    lo = step * STEP;
                    break;
                }
            }
        }
    }

    function _field(uint256 word, uint256 seat) private pure returns (uint256) {
        return (word >> (5 * seat)) & 31;
    }

    function _set(uint256 word, uint256 seat, uint256 field) private pure returns (uint256) {
        return word & ~(uint256(31) << (5 * seat)) | field << (5 * seat);
    }
}
