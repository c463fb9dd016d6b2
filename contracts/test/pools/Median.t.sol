// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Ballot, Jury, Stage} from "../../src/interfaces/IArbitrationPools.sol";
import {Terms} from "../../src/interfaces/IEscrow.sol";
import {Ballots} from "../../src/libraries/Ballots.sol";
import {PoolsFixture} from "./PoolsFixture.sol";

/// @notice The ruling's arithmetic against a full jury, by brute force.
contract MedianTest is PoolsFixture {
    function _word(uint8[31] memory units, uint256 jurySize, uint256 present) private pure returns (uint256 word) {
        for (uint256 i; i < jurySize; ++i) {
            if (present >> i & 1 == 1) word = Ballots.withSigned(word, i, uint256(units[i] % 21) * 500);
        }
    }

    /// The median of the full jury: sort, take the middle.
    function _median(uint8[31] memory units, uint256 jurySize) private pure returns (uint256) {
        uint256[] memory sorted = new uint256[](jurySize);
        for (uint256 i; i < jurySize; ++i) {
            uint256 share = uint256(units[i] % 21) * 500;
            uint256 j = i;
            for (; j > 0 && sorted[j - 1] > share; --j) {
                sorted[j] = sorted[j - 1];
            }
            sorted[j] = share;
        }
        return sorted[jurySize / 2];
    }

    function testFuzz_FullJuryIsItsMedian(uint8[31] memory units, uint8 half) public pure {
        uint256 n = bound(half, 0, 15) * 2 + 1;
        (uint256 lo, uint256 hi) = Ballots.bounds(_word(units, n, type(uint256).max), n);
        assertEq(lo, _median(units, n));
        assertEq(hi, lo);
    }

    /// Whatever is left out, the full jury's median stays within the bounds; so a ruling is that median.
    function testFuzz_OmissionNeverChangesARuling(uint8[31] memory units, uint8 half, uint256 present) public pure {
        uint256 n = bound(half, 0, 15) * 2 + 1;
        (uint256 lo, uint256 hi) = Ballots.bounds(_word(units, n, present), n);
        uint256 median = _median(units, n);
        assertLe(lo, median);
        assertGe(hi, median);
    }

    /// The bounds are the narrowest there are: some full jury reaches each of them.
    function testFuzz_BoundsAreReached(uint8[31] memory units, uint8 half, uint256 present) public pure {
        uint256 n = bound(half, 0, 15) * 2 + 1;
        (uint256 lo, uint256 hi) = Ballots.bounds(_word(units, n, present), n);
        uint8[31] memory low;
        uint8[31] memory high;
        for (uint256 i; i < n; ++i) {
            bool there = present >> i & 1 == 1;
            low[i] = there ? units[i] % 21 : 0;
            high[i] = there ? units[i] % 21 : 20;
        }
        assertEq(lo, _median(low, n));
        assertEq(hi, _median(high, n));
    }

    /// One more ballot never widens.
    function testFuzz_BallotsNarrow(uint8[31] memory units, uint8 half, uint256 present, uint8 added) public pure {
        uint256 n = bound(half, 0, 15) * 2 + 1;
        (uint256 lo, uint256 hi) = Ballots.bounds(_word(units, n, present), n);
        (uint256 lo2, uint256 hi2) = Ballots.bounds(_word(units, n, present | 1 << (added % n)), n);
        assertGe(lo2, lo);
        assertLe(hi2, hi);
        assertLe(lo2, hi2);
    }

    function test_WithFewerThanHalfNothingIsKnown() public pure {
        for (uint256 n = 1; n < 32; n += 2) {
            uint256 word;
            for (uint256 i; i < n / 2; ++i) {
                word = Ballots.withCast(word, i, 5000);
            }
            (uint256 lo, uint256 hi) = Ballots.bounds(word, n);
            assertEq(lo, 0);
            assertEq(hi, 10_000);
            (lo, hi) = Ballots.bounds(Ballots.withCast(word, n / 2, 5000), n);
            assertEq(lo, 5000);
            assertEq(hi, 5000);
        }
    }

    /// On chain: signed ballots in any order and any portions end at the full jury's median.
    function testFuzz_OnChainInAnyOrder(uint8[31] memory units, uint256 order) public {
        Terms memory terms = poolTerms();
        (bytes32 id,) = drawn(terms);
        for (uint256 step; step < 3; ++step) {
            uint8 seat = uint8((order % 3 + step * (1 + order % 2)) % 3);
            if (lastOf(id).stage != Stage.Drawn) break;
            Ballot[] memory single = one(ballot(terms, seat, uint16(units[seat] % 21) * 500));
            pools.submit(address(escrow), terms, 0, single);
        }
        Jury memory c = lastOf(id);
        assertEq(uint8(c.stage), uint8(Stage.Executed));
        assertEq(c.share, _median(units, 3));
        assertEq(seller.balance, uint256(AMOUNT) * c.share / 10_000);
    }
}
