// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @title  Ballots
/// @notice A jury's ballots in one word, and the ruling that they determine.
/// @dev    A seat is 0 to 30 throughout. A 5-bit field a seat, seat 0 lowest: 0 none, 1 to 21 is share / 500 + 1, 31 void. From bit 155 one bit a seat:
///         cast on chain, therefore final.
library Ballots {
    /// Shares on ballots are multiples of this many basis points.
    uint16 internal constant STEP = 500;
    uint16 internal constant WHOLE = 10_000;
    uint256 private constant VOID = 31;
    uint256 private constant FINAL_FROM = 155;
    /// One in each of the bytes of the 21 shares, and those bytes whole.
    uint256 private constant ONES = 0x010101010101010101010101010101010101010101;
    uint256 private constant FIELDS = 0xffffffffffffffffffffffffffffffffffffffffff;

    function isShare(uint256 share) internal pure returns (bool) {
        return share <= WHOLE && share % STEP == 0;
    }

    function isVoid(uint256 word, uint256 seat) internal pure returns (bool) {
        return _field(word, seat) == VOID;
    }

    function isFinal(uint256 word, uint256 seat) internal pure returns (bool) {
        unchecked {
            return (word >> (FINAL_FROM + seat)) & 1 == 1;
        }
    }

    /// Counts a signed ballot: the first stands, a different one voids the seat, a final or void seat stays as it is.
    function withSigned(uint256 word, uint256 seat, uint256 share) internal pure returns (uint256) {
        unchecked {
            if (isFinal(word, seat)) return word;
            uint256 field = _field(word, seat);
            uint256 said = share / STEP + 1;
            if (field == 0) return word | said << (5 * seat);
            return field == said ? word : _set(word, seat, VOID);
        }
    }

    /// Counts a ballot cast on chain, in place of whatever was signed.
    function withCast(uint256 word, uint256 seat, uint256 share) internal pure returns (uint256) {
        return _set(word, seat, share / STEP + 1) | uint256(1) << (FINAL_FROM + seat);
    }

    /// @return lo The k-th highest share, k = (jurySize + 1) / 2, with every missing ballot taken as 0.
    /// @return hi The k-th lowest share with every missing ballot taken as the whole. The median of the full jury lies
    ///            between the two, whatever the missing ballots say; a void seat stays missing.
    /// @dev       Bytes of one word side by side, one a possible share. `tally` counts the ballots that name it; times ONES,
    ///            that is how many name it or a lower one. These sums ascend, so the k-th lowest share is as many steps up
    ///            as there are sums below k, and the k-th highest as many as there are sums that leave k above them.
    function bounds(uint256 word, uint256 jurySize) internal pure returns (uint16 lo, uint16 hi) {
        unchecked {
            uint256 tally;
            uint256 cast;
            for (uint256 end = 5 * jurySize; end != 0;) {
                end -= 5;
                uint256 field = (word >> end) & 31;
                if (field == 0 || field == VOID) continue;
                tally += uint256(1) << ((field - 1) << 3);
                ++cast;
            }
            uint256 k = (jurySize + 1) / 2;
            if (cast < k) return (0, WHOLE);
            uint256 sums = tally * ONES;
            // forge-lint: disable-start(unsafe-typecast)
            hi = uint16(_below(sums, k)) * STEP;
            lo = uint16(_below(sums, cast - k + 1)) * STEP;
            // forge-lint: disable-end(unsafe-typecast)
        }
    }

    /// How many of the 21 lowest bytes, each below 128, are below `limit`, at most 127.
    function _below(uint256 bytes_, uint256 limit) private pure returns (uint256) {
        unchecked {
            // A byte reaches 128 when it is not below the limit; its highest bit says so.
            uint256 reached = ((bytes_ & FIELDS) + (128 - limit) * ONES) >> 7 & ONES;
            return 21 - (reached * ONES >> 160 & 0xff);
        }
    }

    function _field(uint256 word, uint256 seat) private pure returns (uint256) {
        unchecked {
            return (word >> (5 * seat)) & 31;
        }
    }

    function _set(uint256 word, uint256 seat, uint256 field) private pure returns (uint256) {
        unchecked {
            return word & ~(uint256(31) << (5 * seat)) | field << (5 * seat);
        }
    }
}
