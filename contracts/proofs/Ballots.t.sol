// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Ballots} from "../src/libraries/Ballots.sol";
import {vm} from "./Cheats.sol";

/// @notice What the ballots of a small jury determine, for every ballot and every omission.
/// @dev    A mask names the seats whose ballots were shown. Masks are concrete, one after the other; a ballot's step, its
///         share / 500, is symbolic. Branches are always decided, or the solver would follow all that cannot be.
/// @custom:halmos --solver-timeout-branching 0
contract BallotsProof {
    using Ballots for uint256;

    /// Whichever ballots of a jury of 3 are left out, the bounds hold the full jury's median: where they meet, they are it.
    function check_TheMedianOfThreeIsUnique(uint8 a, uint8 b, uint8 c) public pure {
        uint256[3] memory steps = [_step(a), _step(b), _step(c)];
        uint256 median = _median(steps[0], steps[1], steps[2]) * Ballots.STEP;
        bool held = true;
        for (uint256 mask; mask < 8; ++mask) {
            (uint16 lo, uint16 hi) = _word(steps, mask).bounds(3);
            held = _both(held, _both(_notAbove(lo, median), _notAbove(median, hi)));
        }
        assert(held);
    }

    /// All ballots of a jury of 3 determine a ruling: its median.
    function check_ThreeBallotsRule(uint8 a, uint8 b, uint8 c) public pure {
        uint256[3] memory steps = [_step(a), _step(b), _step(c)];
        uint256 median = _median(steps[0], steps[1], steps[2]) * Ballots.STEP;
        (uint16 lo, uint16 hi) = _word(steps, 7).bounds(3);
        assert(_both(lo == median, hi == median));
    }

    /// One more ballot of a jury of 3 never widens the bounds.
    function check_BallotsNarrow(uint8 a, uint8 b, uint8 c) public pure {
        uint256[3] memory steps = [_step(a), _step(b), _step(c)];
        uint16[8] memory los;
        uint16[8] memory his;
        for (uint256 mask; mask < 8; ++mask) {
            (los[mask], his[mask]) = _word(steps, mask).bounds(3);
        }
        bool held = true;
        for (uint256 mask; mask < 8; ++mask) {
            for (uint256 seat; seat < 3; ++seat) {
                uint256 more = mask | 1 << seat;
                held = _both(held, _both(_notAbove(los[mask], los[more]), _notAbove(his[more], his[mask])));
            }
        }
        assert(held);
    }

    /// In any word, seat 0, 15 or 30 without a final ballot that said two things is void, and stays as it is whatever else
    /// is shown that it signed.
    function check_AVoidSeatStaysVoid(uint256 word, uint8 a, uint8 b, uint8 c) public pure {
        vm.assume(a != b);
        for (uint256 seat; seat < 31; seat += 15) {
            uint256 empty = word & ~(uint256(31) << (5 * seat)) & ~(uint256(1) << (155 + seat));
            uint256 both = empty.withSigned(seat, _share(a)).withSigned(seat, _share(b));
            assert(both == empty | uint256(31) << (5 * seat));
            assert(both.isVoid(seat));
            assert(both.withSigned(seat, _share(c)) == both);
        }
    }

    /// A ballot cast on chain stands in any word, whatever was signed before and is shown after; no other seat changes.
    function check_ACastBallotIsFinal(uint256 word, uint8 seat, uint8 a, uint8 b) public pure {
        vm.assume(seat < 31);
        uint256 cast = word.withCast(seat, _share(a));
        assert(cast.isFinal(seat));
        assert((cast >> (5 * uint256(seat))) & 31 == uint256(a) + 1);
        assert(cast.withSigned(seat, _share(b)) == cast);
        uint256 own = uint256(31) << (5 * uint256(seat)) | uint256(1) << (155 + uint256(seat));
        assert(cast & ~own == word & ~own);
    }

    /// A signed ballot touches no seat but its own in any word, and shown twice it is shown once.
    function check_ASignedBallotIsItsSeatsAlone(uint256 word, uint8 seat, uint8 a) public pure {
        vm.assume(seat < 31);
        uint256 said = word.withSigned(seat, _share(a));
        assert((said ^ word) & ~(uint256(31) << (5 * uint256(seat))) == 0);
        assert(said.withSigned(seat, _share(a)) == said);
    }

    function _step(uint8 step) private pure returns (uint256) {
        vm.assume(step <= 20);
        return step;
    }

    /// The share that a ballot names: any of the 21.
    function _share(uint8 step) private pure returns (uint256) {
        return _step(step) * Ballots.STEP;
    }

    function _word(uint256[3] memory steps, uint256 mask) private pure returns (uint256 word) {
        for (uint256 seat; seat < 3; ++seat) {
            if (mask >> seat & 1 == 1) word |= (steps[seat] + 1) << (5 * seat);
        }
    }

    function _median(uint256 a, uint256 b, uint256 c) private pure returns (uint256) {
        return _max(_min(a, b), _min(_max(a, b), c));
    }

    /* Without branches, which would multiply. */

    function _notAbove(uint256 a, uint256 b) private pure returns (bool answer) {
        assembly ("memory-safe") {
            answer := iszero(gt(a, b))
        }
    }

    function _both(bool a, bool b) private pure returns (bool answer) {
        assembly ("memory-safe") {
            answer := and(a, b)
        }
    }

    function _min(uint256 a, uint256 b) private pure returns (uint256 least) {
        assembly ("memory-safe") {
            least := xor(b, and(xor(a, b), sub(0, lt(a, b))))
        }
    }

    function _max(uint256 a, uint256 b) private pure returns (uint256 greatest) {
        assembly ("memory-safe") {
            greatest := xor(b, and(xor(a, b), sub(0, gt(a, b))))
        }
    }
}
