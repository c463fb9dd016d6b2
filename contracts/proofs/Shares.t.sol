// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Shares} from "../src/libraries/Shares.sol";
import {vm} from "./Cheats.sol";

/// @notice What a share comes to, in any open deal: released + refunded <= amount.
/// @custom:halmos --solver-command z3
contract SharesProof {
    /// Any total is moved into [released, amount - refunded], and no farther than it must be.
    function check_Clamp(uint256 total, uint88 amount, uint88 released, uint88 refunded) public pure {
        _assumeOpen(amount, released, refunded);
        uint256 clamped = Shares.clamp(total, amount, released, refunded);
        uint256 most = amount - refunded;
        assert(clamped >= released && clamped <= most);
        assert(clamped == total || (total < released && clamped == released) || (total > most && clamped == most));
    }

    /// A greater total is never clamped to less.
    function check_ClampIsMonotone(uint256 total, uint256 more, uint88 amount, uint88 released, uint88 refunded)
        public
        pure
    {
        _assumeOpen(amount, released, refunded);
        vm.assume(total <= more);
        assert(Shares.clamp(total, amount, released, refunded) <= Shares.clamp(more, amount, released, refunded));
    }

    /// At any share of 16 bits the seller's total is in [released, amount - refunded]: no overflow, no other refusal.
    function check_SellerTotalIsWithin(uint16 share, uint88 amount, uint88 released, uint88 refunded) public pure {
        _assumeOpen(amount, released, refunded);
        uint256 total = Shares.sellerTotal(share, amount, released, refunded);
        assert(total >= released && total <= amount - refunded);
    }

    /// At no share the seller keeps what it has.
    function check_NoShare(uint88 amount, uint88 released, uint88 refunded) public pure {
        _assumeOpen(amount, released, refunded);
        assert(Shares.sellerTotal(0, amount, released, refunded) == released);
    }

    function _assumeOpen(uint88 amount, uint88 released, uint88 refunded) private pure {
        vm.assume(uint256(released) + refunded <= amount);
    }
}
