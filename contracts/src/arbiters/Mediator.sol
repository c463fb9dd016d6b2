// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {EIP712} from "solady/utils/EIP712.sol";
import {IEscrow, Terms} from "../interfaces/IEscrow.sol";
import {IMediator} from "../interfaces/IMediator.sol";
import {DealId} from "../libraries/DealId.sol";
import {Disputes} from "../libraries/Disputes.sol";
import {Shares} from "../libraries/Shares.sol";
import {Signatures} from "../libraries/Signatures.sol";

/// @title  Mediator
/// @notice See IMediator. No storage: who may rule stands in the terms, and what was ruled stands in the escrow.
contract Mediator is IMediator, EIP712 {
    using DealId for Terms;

    bytes32 private constant RULING_TYPEHASH = keccak256("Ruling(bytes32 deal,uint16 share,uint40 validUntil)");

    /// @inheritdoc IMediator
    function rule(address escrow, Terms calldata terms, uint16 share) external {
        (address mediator,) = _dispute(escrow, terms);
        if (msg.sender != mediator) revert NotMediator();
        _rule(escrow, terms, share);
    }

    /// @inheritdoc IMediator
    function ruleBySig(address escrow, Terms calldata terms, uint16 share, uint40 validUntil, bytes calldata signature)
        external
    {
        (address mediator, bytes32 deal) = _dispute(escrow, terms);
        if (block.timestamp > validUntil) revert SignatureExpired(validUntil);
        bytes32 digest = _hashTypedData(keccak256(abi.encode(RULING_TYPEHASH, deal, share, validUntil)));
        if (!Signatures.isValid(mediator, digest, signature)) revert InvalidSignature(mediator);
        _rule(escrow, terms, share);
    }

    /// @inheritdoc IMediator
    function rulings(address, bytes32) external pure returns (uint8) {
        return 0;
    }

    /// @inheritdoc IMediator
    function DOMAIN_SEPARATOR() external view returns (bytes32) {
        return _domainSeparator();
    }

    function _domainNameAndVersion() internal pure override returns (string memory name, string memory version) {
        return ("Earnest Mediator", "1");
    }

    /// A deal that its mediator may rule on now.
    function _dispute(address escrow, Terms calldata terms) private view returns (address mediator, bytes32 deal) {
        if (terms.arbiter != address(this)) revert NotMyDeal();
        uint256 panel = uint256(terms.annex.panel);
        if (panel == 0 || panel > type(uint160).max) revert BadPanel();
        // forge-lint: disable-next-line(unsafe-typecast)
        mediator = address(uint160(panel));
        if (mediator == terms.buyer || mediator == terms.seller) revert SameParty();
        deal = IEscrow(escrow).idOf(terms);
        Disputes.requireOpen(escrow, deal, terms.ruling);
    }

    function _rule(address escrow, Terms calldata terms, uint16 share) private {
        if (share > Shares.WHOLE) revert BadShare(share);
        IEscrow(escrow).rule(terms.fold(), share);
    }
}
