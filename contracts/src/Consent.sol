// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {EIP712} from "solady/utils/EIP712.sol";
import {IEscrow} from "./interfaces/IEscrow.sol";
import {DealId} from "./libraries/DealId.sol";
import {Signatures} from "./libraries/Signatures.sol";

/// @title  Consent
/// @notice Whose word counts in the escrow: typed signatures under its domain, their time, and their revocation.
abstract contract Consent is IEscrow, EIP712 {
    mapping(address signer => mapping(bytes32 digest => bool)) private _revoked;

    /// @inheritdoc IEscrow
    function revoke(bytes32 digest) external {
        _revoked[msg.sender][digest] = true;
        emit Revoked(msg.sender, digest);
    }

    /// @inheritdoc IEscrow
    function revoked(address signer, bytes32 digest) external view returns (bool) {
        return _revoked[signer][digest];
    }

    /// @inheritdoc IEscrow
    function DOMAIN_SEPARATOR() external view returns (bytes32) {
        return _domainSeparator();
    }

    function _domainNameAndVersion() internal pure override returns (string memory name, string memory version) {
        return (DealId.NAME, DealId.VERSION);
    }

    function _digest(bytes32 typehash, bytes32 id, uint256 value) internal view returns (bytes32) {
        return _hashTypedData(keccak256(abi.encode(typehash, id, value)));
    }

    function _digest(bytes32 typehash, bytes32 id, bytes32 hash, uint40 validUntil) internal view returns (bytes32) {
        return _hashTypedData(keccak256(abi.encode(typehash, id, hash, validUntil)));
    }

    /// A party that is the caller needs no signature.
    function _requireConsent(address party, bytes32 digest, bytes calldata signature) internal view {
        if (msg.sender != party) _requireSigned(party, digest, signature);
    }

    function _requireSigned(address signer, bytes32 digest, bytes calldata signature) internal view {
        _requireSignature(signer, digest, signature);
        if (_revoked[signer][digest]) revert SignatureRevoked(digest);
    }

    /// Whether it was revoked or not.
    function _requireSignature(address signer, bytes32 digest, bytes calldata signature) internal view {
        if (!Signatures.isValid(signer, digest, signature)) revert InvalidSignature(signer);
    }

    function _requireFresh(uint40 validUntil) internal view {
        if (block.timestamp > validUntil) revert SignatureExpired(validUntil);
    }
}
