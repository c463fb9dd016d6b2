// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @title  Shares
/// @notice What a share of a deal comes to. A share is always of the whole amount.
library Shares {
    /// Basis points of a whole.
    uint256 internal constant WHOLE = 10_000;

    /// The seller's total at `share` basis points, rounded down, never below what it has nor above what the buyer left.
    function sellerTotal(uint16 share, uint88 amount, uint88 released, uint88 refunded) internal pure returns (uint88) {
        return clamp(uint256(amount) * share / WHOLE, amount, released, refunded);
    }

    /// `total` moved into [released, amount - refunded].
    function clamp(uint256 total, uint88 amount, uint88 released, uint88 refunded) internal pure returns (uint88) {
        uint88 most = amount - refunded;
        if (total >= most) return most;
        // forge-lint: disable-next-line(unsafe-typecast)
        return total <= released ? released : uint88(total);
    }
}
