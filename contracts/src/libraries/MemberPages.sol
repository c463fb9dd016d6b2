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

    /// Checks that `page` is one that `store` made here, and that its members follow `previous`. `start` is how many came
    /// before, for the message.
    /// @return count How many members it has.
    /// @return last  The greatest of them.
    /// @dev    Its shape alone is not enough: whoever creates an account can have it destroyed at the end of the same
    ///         transaction (EIP-6780) and create other members at its address later. What `store` made stays as it is, and
    ///         its members ascend.
    function check(address page, uint256 start, address previous) internal view returns (uint32 count, address last) {
        uint256 size = page.code.length;
        if (size < 1 + WIDTH || size > 1 + LARGEST * WIDTH) revert IArbitrationPools.BadPage(page);
        uint256 free;
        assembly ("memory-safe") {
            free := mload(0x40)
        }
        bytes memory packed = SSTORE2.read(page);
        if (SSTORE2.predictCounterfactualAddress(packed, bytes32(0)) != page) revert IArbitrationPools.BadPage(page);
        // At most LARGEST.
        // forge-lint: disable-next-line(unsafe-typecast)
        count = uint32(packed.length / WIDTH);
        address first;
        assembly ("memory-safe") {
            first := shr(96, mload(add(packed, 0x20)))
            last := shr(96, mload(add(add(packed, 0x0c), mload(packed))))
            // Nothing is kept of it.
            mstore(0x40, free)
        }
        if (first <= previous) revert IArbitrationPools.ListNotAscending(start);
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
