// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Stage} from "../interfaces/IArbitrationPools.sol";

/// What a case keeps in its first word of storage.
struct Docket {
    Stage stage;
    uint8 instance;
    uint8 jury;
    /// Seats of the jury, from the rule book.
    uint8 jurySize;
    /// The member list pinned at funding, and its size once drawn from.
    uint32 list;
    uint32 size;
    uint40 disputedAt;
    uint40 targetBlock;
    uint40 acceptedAt;
    uint16 lo;
    uint16 hi;
}

/// @title  Dockets
/// @notice A docket as one word, each field of its own width, the first lowest.
library Dockets {
    function pack(Docket memory docket) internal pure returns (uint256) {
        return uint256(docket.stage) | uint256(docket.instance) << 8 | uint256(docket.jury) << 16
            | uint256(docket.jurySize) << 24 | uint256(docket.list) << 32 | uint256(docket.size) << 64
            | uint256(docket.disputedAt) << 96 | uint256(docket.targetBlock) << 136 | uint256(docket.acceptedAt) << 176
            | uint256(docket.lo) << 216 | uint256(docket.hi) << 232;
    }

    // forge-lint: disable-start(unsafe-typecast)
    function unpack(uint256 word) internal pure returns (Docket memory docket) {
        docket.stage = Stage(uint8(word));
        docket.instance = uint8(word >> 8);
        docket.jury = uint8(word >> 16);
        docket.jurySize = uint8(word >> 24);
        docket.list = uint32(word >> 32);
        docket.size = uint32(word >> 64);
        docket.disputedAt = uint40(word >> 96);
        docket.targetBlock = uint40(word >> 136);
        docket.acceptedAt = uint40(word >> 176);
        docket.lo = uint16(word >> 216);
        docket.hi = uint16(word >> 232);
    }
    // forge-lint: disable-end(unsafe-typecast)
}
