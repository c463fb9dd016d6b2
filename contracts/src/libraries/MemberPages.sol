// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {SSTORE2} from "solady/utils/SSTORE2.sol";
import {IArbitrationPools} from "../interfaces/IArbitrationPools.sol";

/// @title  MemberPages
/// @notice Strictly ascending addresses kept as the code of a contract: a zero byte (so that it can never run, and so
///         never change), then 20 bytes each.
library MemberPages {
    /// As many as fit the largest contract (EIP-170), rounded.
    uint256 internal constant LARGEST = 1200;
    uint256 private constant WIDTH = 20;

    /// The page's address depends on its members alone, so storing it again finds what is there.
    function store(address[] calldata members) internal returns (address page) {
        uint256 count = members.length;
        if (count == 0 || count > LARGEST) revert IArbitrationPools.BadPage(address(0));
        bytes memory packed = new bytes(count * WIDTH);
        address previous;
        for (uint256 i; i < count; ++i) {
            address member = members[i];
            if (member <= previous) revert IArbitrationPools.ListNotAscending(i);
            previous = member;
            assembly ("memory-safe") {
                // A word whose tail the next one overwrites; the last one's lies in memory that is still free.
                mstore(add(add(packed, 0x20), mul(i, 20)), shl(96, member))
            }
        }
        page = SSTORE2.predictCounterfactualAddress(packed, bytes32(0));
        if (page.code.length == 0) page = SSTORE2.writeCounterfactual(packed, bytes32(0));
    }

    /// Checks that `page` is one and that its members follow `previous`. `start` is how many came before, for the message.
    /// @return count How many members it has.
    /// @return last  The greatest of them.
    function check(address page, uint256 start, address previous) internal view returns (uint32 count, address last) {
        uint256 size = page.code.length;
        if (size < 1 + WIDTH || size > 1 + LARGEST * WIDTH || (size - 1) % WIDTH != 0) {
            revert IArbitrationPools.BadPage(page);
        }
        // At most LARGEST.
        // forge-lint: disable-next-line(unsafe-typecast)
        count = uint32((size - 1) / WIDTH);
        uint256 first;
        uint256 wrong = type(uint256).max;
        assembly ("memory-safe") {
            // Read into free memory and left there: nothing is kept of it.
            let m := mload(0x40)
            extcodecopy(page, m, 0, size)
            first := byte(0, mload(m))
            last := previous
            let word := add(m, 1)
            for { let i := 0 } lt(i, count) { i := add(i, 1) } {
                let member := shr(96, mload(word))
                if iszero(gt(member, last)) {
                    wrong := i
                    break
                }
                last := member
                word := add(word, 20)
            }
        }
        if (first != 0) revert IArbitrationPools.BadPage(page);
        if (wrong != type(uint256).max) revert IArbitrationPools.ListNotAscending(start + wrong);
    }

    /// The member at `index` of a page that has it.
    function memberAt(address page, uint256 index) internal view returns (address member) {
        assembly ("memory-safe") {
            mstore(0x00, 0)
            extcodecopy(page, 0x0c, add(1, mul(index, 20)), 20)
            member := mload(0x00)
        }
    }
}
