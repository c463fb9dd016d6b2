// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {
    ERC20TransferAuthorization
} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20TransferAuthorization.sol";
import {ERC3009} from "@openzeppelin/contracts/token/ERC20/extensions/draft-ERC3009.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/// @notice A token that moves by its holder's signature: EIP-2612, and ERC-3009 in both its forms, as the later dollars of
///         issuers have them (the standard library has no form with bytes and free nonces).
contract SignedToken is ERC20Permit, ERC3009 {
    constructor() ERC20("Signed Dollar", "SIGD") ERC20Permit("Signed Dollar") {}

    function mint(address to, uint256 value) external {
        _mint(to, value);
    }

    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes calldata signature
    ) external {
        bytes32 content = keccak256(
            abi.encode(RECEIVE_WITH_AUTHORIZATION_TYPEHASH, from, to, value, validAfter, validBefore, nonce)
        );
        require(
            SignatureChecker.isValidSignatureNowCalldata(from, _hashTypedDataV4(content), signature),
            ERC3009InvalidSignature()
        );
        require(to == msg.sender, ERC20InvalidReceiver(to));
        _transferWithAuthorization(from, to, value, validAfter, validBefore, nonce);
    }
}

/// @notice The standard library's variant whose nonces count up in 64 bits: a deal's id is never the next one.
contract CountingToken is ERC20TransferAuthorization {
    constructor() ERC20("Signed Dollar", "SIGD") EIP712("Signed Dollar", "1") {}

    function mint(address to, uint256 value) external {
        _mint(to, value);
    }
}

/// @notice Takes any call that it does not know for a deposit, as the first wrapped coins do.
contract OpenToken is ERC20 {
    constructor() ERC20("Wrapped Coin", "WCOIN") {}

    function mint(address to, uint256 value) external {
        _mint(to, value);
    }

    fallback() external payable {
        _mint(msg.sender, msg.value);
    }

    receive() external payable {
        _mint(msg.sender, msg.value);
    }
}
