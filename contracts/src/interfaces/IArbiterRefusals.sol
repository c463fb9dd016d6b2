// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @title  IArbiterRefusals
/// @notice What every arbiter that looks at the deal itself refuses, whoever asks.
interface IArbiterRefusals {
    /* terms */

    /// The terms name another arbiter.
    error NotMyDeal();

    /* state */

    /// The escrow says that the deal is not disputed: not yet, or no more.
    error NotDisputed();

    /* time */

    /// Past the escrow's deadline for a ruling, `closedAt` in Unix seconds.
    error TooLate(uint256 closedAt);
}
