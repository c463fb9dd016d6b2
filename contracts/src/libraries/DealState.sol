// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {State, Status} from "../interfaces/IEscrow.sol";

/// @title  DealState
/// @notice A deal's state in one word: status 4, count 8, since 34, fundedAt 34, released 88, refunded 88 bits, from the
///         lowest. 34 bits of seconds last until the year 2514.
library DealState {
    uint256 private constant TIME = (1 << 34) - 1;

    /// The word of a deal that was funded at `time`: its first event.
    function funded(uint256 time) internal pure returns (uint256) {
        return uint256(Status.Funded) | 1 << 4 | (time & TIME) << 46;
    }

    function status(uint256 word) internal pure returns (Status) {
        return Status(word & 0xf);
    }

    function pack(State memory state) internal pure returns (uint256 word) {
        word = uint256(state.status) | uint256(state.count) << 4 | (state.since & TIME) << 12 | (state.fundedAt & TIME)
            << 46 | uint256(state.released) << 80 | uint256(state.refunded) << 168;
    }

    // forge-lint: disable-start(unsafe-typecast)
    function unpack(uint256 word) internal pure returns (State memory state) {
        state.status = Status(word & 0xf);
        state.count = uint8(word >> 4);
        state.since = uint40((word >> 12) & TIME);
        state.fundedAt = uint40((word >> 46) & TIME);
        state.released = uint88(word >> 80);
        state.refunded = uint88(word >> 168);
    }
    // forge-lint: disable-end(unsafe-typecast)
}
