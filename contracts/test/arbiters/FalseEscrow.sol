// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Deal, State, Status, Terms} from "../../src/interfaces/IEscrow.sol";

/// @notice An escrow that holds nothing and says that whatever it is asked about is one given deal, and disputed.
contract FalseEscrow {
    bytes32 private immutable _deal;
    uint40 private immutable _since;
    uint256 public ruled;

    constructor(bytes32 deal, uint40 since) {
        _deal = deal;
        _since = since;
    }

    function idOf(Terms calldata) external view returns (bytes32) {
        return _deal;
    }

    function stateOf(bytes32) external view returns (State memory state) {
        state.status = Status.Disputed;
        state.since = _since;
    }

    function rule(Deal calldata, uint16) external {
        ++ruled;
    }
}
