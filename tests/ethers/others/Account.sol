// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @notice A contract wallet of one key (ERC-1271), which takes no coin while it is told to refuse.
contract Account {
    address private immutable OWNER;
    bool public refusing;

    constructor(address owner) payable {
        OWNER = owner;
    }

    receive() external payable {
        require(!refusing, "refused");
    }

    function refuse(bool yes) external {
        refusing = yes;
    }

    /// Anyone may act through it: who may is no question of these tests.
    function act(address to, uint256 value, bytes calldata data) external {
        (bool ok, bytes memory answer) = to.call{value: value}(data);
        if (!ok) {
            assembly {
                revert(add(answer, 0x20), mload(answer))
            }
        }
    }

    /// What follows the key's 65 bytes is passed over.
    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        address signer = ecrecover(digest, uint8(signature[64]), bytes32(signature[0:32]), bytes32(signature[32:64]));
        return signer == OWNER ? this.isValidSignature.selector : bytes4(0xffffffff);
    }
}
