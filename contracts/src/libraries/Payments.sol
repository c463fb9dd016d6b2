// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IEscrow} from "../interfaces/IEscrow.sol";

/// @title  Payments
/// @notice Coin and tokens out of the contract that uses this. Address zero stands for the native coin.
/// @dev    No answer is read beyond its first word, so that no callee can make the caller pay for copying.
library Payments {
    /// What a payee may spend on receiving coin.
    uint256 internal constant COIN_GAS = 50_000;
    /// What a token may spend on one transfer.
    uint256 internal constant TOKEN_GAS = 300_000;
    /// What a token may spend on telling a balance.
    uint256 internal constant BALANCE_GAS = 100_000;
    /// Left before a push, these let the bounded calls have their whole bound (63/64 of what is left is forwarded, EIP-150;
    /// a new account and the value cost 36,600) and leave enough to record the debt.
    uint256 internal constant COIN_RESERVE = 120_000;
    uint256 internal constant TOKEN_RESERVE = 450_000;
    /// The same for the balance that decides after an unclear answer: starved of gas it would count as spent.
    uint256 internal constant BALANCE_RESERVE = 130_000;

    /// Pays with bounded gas and says how much of `amount` the payee did not get. Reverts only for want of gas.
    function push(address asset, address to, uint256 amount) internal returns (uint256 unpaid) {
        if (asset == address(0)) {
            if (gasleft() < COIN_RESERVE) revert IEscrow.NotEnoughGas();
            return _sendCoin(to, amount, COIN_GAS);
        }
        if (gasleft() < TOKEN_RESERVE) revert IEscrow.NotEnoughGas();
        return _sendToken(asset, to, amount, TOKEN_GAS, BALANCE_GAS);
    }

    /// Pays with all the gas there is, or reverts.
    function send(address asset, address to, uint256 amount) internal {
        uint256 unpaid = asset == address(0)
            ? _sendCoin(to, amount, gasleft())
            : _sendToken(asset, to, amount, gasleft(), gasleft());
        if (unpaid != 0) revert IEscrow.TransferFailed();
    }

    function _sendCoin(address to, uint256 amount, uint256 bound) private returns (uint256 unpaid) {
        bool ok;
        assembly ("memory-safe") {
            ok := call(bound, to, amount, 0, 0, 0, 0)
        }
        return ok ? 0 : amount;
    }

    /// Paid on a clean `true`, or on an empty answer of a contract; not paid on a revert; else what left the balance counts.
    function _sendToken(address token, address to, uint256 amount, uint256 bound, uint256 balanceBound)
        private
        returns (uint256 unpaid)
    {
        (bool known, uint256 before) = balance(token, balanceBound);
        bytes4 selector = IERC20.transfer.selector;
        bool ok;
        uint256 size;
        uint256 answer;
        assembly ("memory-safe") {
            mstore(0x00, selector)
            mstore(0x04, to)
            let kept := mload(0x40)
            mstore(0x24, amount)
            ok := call(bound, token, 0, 0x00, 0x44, 0x00, 0x20)
            size := returndatasize()
            answer := mload(0x00)
            mstore(0x40, kept)
        }
        if (!ok) return amount;
        if (size == 0) return token.code.length == 0 ? amount : 0;
        if (size == 32 && answer == 1) return 0;
        if (gasleft() < BALANCE_RESERVE) revert IEscrow.NotEnoughGas();
        (bool still, uint256 later) = balance(token, balanceBound);
        // A balance that cannot be read counts as spent: nothing may be owed twice.
        if (!known || !still) return 0;
        uint256 left = before > later ? before - later : 0;
        return left < amount ? amount - left : 0;
    }

    /// What this contract has of `token`, where the token tells it within `bound` gas.
    function balance(address token, uint256 bound) internal view returns (bool known, uint256 amount) {
        bytes4 selector = IERC20.balanceOf.selector;
        assembly ("memory-safe") {
            mstore(0x00, selector)
            mstore(0x04, address())
            known := staticcall(bound, token, 0x00, 0x24, 0x00, 0x20)
            known := and(known, gt(returndatasize(), 0x1f))
            amount := mload(0x00)
        }
    }
}
