// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Deal, State, Status} from "../../src/interfaces/IEscrow.sol";

/// @notice An attacker's escrow: it says of every deal what the attacker wants, and takes any ruling.
contract LyingEscrow {
    State private _state;
    uint256 public ruled;

    constructor(uint40 since, uint40 fundedAt) {
        set(Status.Disputed, since, fundedAt);
    }

    function set(Status status, uint40 since, uint40 fundedAt) public {
        _state = State(status, 2, since, fundedAt, 0, 0);
    }

    function stateOf(bytes32) external view returns (State memory) {
        return _state;
    }

    function rule(Deal calldata, uint16) external {
        ++ruled;
    }
}
