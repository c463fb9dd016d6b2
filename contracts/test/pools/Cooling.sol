// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @notice A cheatcode that this forge-std does not name yet.
interface Cooling {
    /// Makes the account and its slots cold, as at the start of a transaction.
    function cool(address target) external;
}
