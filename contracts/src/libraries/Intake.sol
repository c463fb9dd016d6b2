// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {IEscrow} from "../interfaces/IEscrow.sol";
import {Payments} from "./Payments.sol";

/// @title  Intake
/// @notice Tokens into the contract that uses this, by every form of the owner's consent. What counts is what arrives: a
///         token that delivers another sum is refused.
library Intake {
    /// Permit2, at the same address on every chain that has it.
    address internal constant PERMIT2 = 0x000000000022D473030F116dDEE9F6B43aC78BA3;
    bytes32 private constant WITNESS_TYPEHASH = keccak256("Fund(bytes32 deal)");
    string private constant WITNESS_TYPE =
        "Fund witness)Fund(bytes32 deal)TokenPermissions(address token,uint256 amount)";

    /// By the owner's allowance.
    function byAllowance(address token, address owner, uint256 amount) internal {
        _take(token, token, amount, abi.encodeCall(IERC20.transferFrom, (owner, address(this), amount)));
    }

    /// By the owner's ERC-3009 authorization with `deal` as its nonce.
    function byAuthorization(
        address token,
        address owner,
        uint256 amount,
        bytes32 deal,
        uint256 validAfter,
        uint256 validBefore,
        bytes calldata signature
    ) internal {
        bytes memory message;
        if (signature.length == 65) {
            (bytes32 r, bytes32 s) = (bytes32(signature[0:32]), bytes32(signature[32:64]));
            message = abi.encodeCall(
                IERC3009.receiveWithAuthorization,
                (owner, address(this), amount, validAfter, validBefore, deal, uint8(signature[64]), r, s)
            );
        } else {
            message = abi.encodeCall(
                IERC3009Bytes.receiveWithAuthorization,
                (owner, address(this), amount, validAfter, validBefore, deal, signature)
            );
        }
        _take(token, token, amount, message);
    }

    /// By the owner's Permit2 signature with `deal` as its witness.
    function byPermit2(
        address token,
        address owner,
        uint256 amount,
        bytes32 deal,
        uint256 nonce,
        uint256 deadline,
        bytes calldata signature
    ) internal {
        IPermit2.Permit memory permitted = IPermit2.Permit(IPermit2.TokenPermissions(token, amount), nonce, deadline);
        bytes32 witness = keccak256(abi.encode(WITNESS_TYPEHASH, deal));
        bytes memory message = abi.encodeCall(
            IPermit2.permitWitnessTransferFrom,
            (permitted, IPermit2.Transfer(address(this), amount), owner, witness, WITNESS_TYPE, signature)
        );
        _take(PERMIT2, token, amount, message);
    }

    /// An EIP-2612 permit for this contract, whose failure changes nothing.
    function permit(address token, address owner, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        internal
    {
        bytes memory message = abi.encodeCall(IERC20Permit.permit, (owner, address(this), value, deadline, v, r, s));
        assembly ("memory-safe") {
            pop(call(gas(), token, 0, add(message, 0x20), mload(message), 0, 0))
        }
    }

    /// Coin has no such forms: its address has no balance to tell.
    function _take(address target, address token, uint256 amount, bytes memory message) private {
        (bool known, uint256 before) = Payments.balance(token, gasleft());
        bool ok;
        assembly ("memory-safe") {
            ok := call(gas(), target, 0, add(message, 0x20), mload(message), 0, 0)
        }
        if (!known || !ok) revert IEscrow.TransferFailed();
        uint256 later;
        (known, later) = Payments.balance(token, gasleft());
        if (!known) revert IEscrow.TransferFailed();
        uint256 received = later > before ? later - before : 0;
        if (received != amount) revert IEscrow.IntakeMismatch(received, amount);
    }
}

/// ERC-3009, the form with v, r and s.
interface IERC3009 {
    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external;
}

/// The later form of ERC-3009 tokens, which contract wallets can sign too.
interface IERC3009Bytes {
    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes calldata signature
    ) external;
}

/// What Permit2 (ISignatureTransfer) offers to those who bind a signature to a purpose.
interface IPermit2 {
    struct TokenPermissions {
        address token;
        uint256 amount;
    }

    struct Permit {
        TokenPermissions permitted;
        uint256 nonce;
        uint256 deadline;
    }

    struct Transfer {
        address to;
        uint256 requestedAmount;
    }

    function permitWitnessTransferFrom(
        Permit calldata permit,
        Transfer calldata transfer,
        address owner,
        bytes32 witness,
        string calldata witnessTypeString,
        bytes calldata signature
    ) external;
}
