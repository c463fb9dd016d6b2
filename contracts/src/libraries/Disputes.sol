// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IArbiterRefusals} from "../interfaces/IArbiterRefusals.sol";
import {IEscrow, State, Status} from "../interfaces/IEscrow.sol";

/// @title  Disputes
/// @notice Whether an escrow still takes a ruling on a deal.
library Disputes {
    /// `ruling` is that of the terms, in seconds.
    function requireOpen(address escrow, bytes32 deal, uint32 ruling) internal view {
        State memory state = IEscrow(escrow).stateOf(deal);
        if (state.status != Status.Disputed) revert IArbiterRefusals.NotDisputed();
        uint256 last = uint256(state.since) + ruling;
        if (block.timestamp > last) revert IArbiterRefusals.TooLate(last);
    }
}
