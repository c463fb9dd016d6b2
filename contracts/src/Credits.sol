// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Consent} from "./Consent.sol";
import {IEscrow} from "./interfaces/IEscrow.sol";
import {Payments} from "./libraries/Payments.sol";

/// @title  Credits
/// @notice Pays out, and keeps what could not be paid for its creditor to withdraw, so that a party that cannot receive
///         never blocks the other.
abstract contract Credits is Consent {
    bytes32 private constant WITHDRAW_TYPEHASH =
        keccak256("Withdraw(address creditor,address asset,uint256 amount,address to,uint256 nonce,uint40 validUntil)");

    mapping(address creditor => mapping(address asset => uint256 amount)) private _credits;
    mapping(address creditor => uint256 nonce) private _withdrawalNonces;
    /// 1 while money moves.
    uint256 private transient _entered;

    /// Whatever moves money runs alone.
    modifier alone() {
        _requireAlone();
        _entered = 1;
        _;
        _entered = 0;
    }

    function _requireAlone() internal view {
        if (_entered != 0) revert Reentered();
    }

    function _push(bytes32 id, address asset, address to, uint256 amount) internal {
        if (amount == 0) return;
        uint256 unpaid = Payments.push(asset, to, amount);
        if (unpaid == 0) return;
        _credits[to][asset] += unpaid;
        emit Credited(id, to, asset, unpaid);
    }

    /// @inheritdoc IEscrow
    function withdraw(address asset, address to) external alone returns (uint256 amount) {
        _checkDestination(asset, to);
        amount = _credits[msg.sender][asset];
        if (amount == 0) revert NothingToWithdraw();
        _withdraw(msg.sender, asset, amount, 0, to);
    }

    /// @inheritdoc IEscrow
    function withdrawBySig(
        address creditor,
        address asset,
        uint256 amount,
        address to,
        uint40 validUntil,
        bytes calldata signature
    ) external alone {
        _checkDestination(asset, to);
        _requireFresh(validUntil);
        uint256 nonce = _withdrawalNonces[creditor];
        bytes32 digest =
            _hashTypedData(keccak256(abi.encode(WITHDRAW_TYPEHASH, creditor, asset, amount, to, nonce, validUntil)));
        _requireSigned(creditor, digest, signature);
        uint256 credit = _credits[creditor][asset];
        if (amount > credit) revert TotalTooHigh(amount, credit);
        if (amount == 0) revert NothingToWithdraw();
        _withdrawalNonces[creditor] = nonce + 1;
        _withdraw(creditor, asset, amount, credit - amount, to);
    }

    function _checkDestination(address asset, address to) private view {
        if (to == address(0)) revert ZeroParty();
        if (to == address(this) || to == asset) revert SameParty();
    }

    function _withdraw(address creditor, address asset, uint256 amount, uint256 rest, address to) private {
        _credits[creditor][asset] = rest;
        emit Withdrawn(creditor, asset, amount, to);
        Payments.send(asset, to, amount);
    }

    /// @inheritdoc IEscrow
    function creditOf(address creditor, address asset) external view returns (uint256) {
        return _credits[creditor][asset];
    }

    /// @inheritdoc IEscrow
    function withdrawalNonceOf(address creditor) external view returns (uint256) {
        return _withdrawalNonces[creditor];
    }
}
