// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// How a contract wallet answers whether it signed.
enum Answer {
    Owner, // the truth: its owner's key
    Yes,
    No,
    Lie, // `true` as a word, not the magic value
    Short, // the four magic bytes alone
    Dirty, // the magic value with other bits behind it
    Reverts,
    Burns,
    Bomb // a megabyte of answer, starting with the magic value
}

/// @notice An ERC-1271 wallet that answers in one chosen way.
contract Wallet {
    address public immutable owner;
    Answer public answer;

    constructor(address owner_) payable {
        owner = owner_;
    }

    receive() external payable {}

    function set(Answer answer_) external {
        answer = answer_;
    }

    function act(address to, bytes calldata data, uint256 value) external returns (bytes memory) {
        (bool ok, bytes memory result) = to.call{value: value}(data);
        if (!ok) {
            assembly {
                revert(add(result, 0x20), mload(result))
            }
        }
        return result;
    }

    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        if (answer == Answer.Yes) return 0x1626ba7e;
        if (answer == Answer.No) return 0xffffffff;
        if (answer == Answer.Reverts) revert("no");
        if (answer == Answer.Burns) {
            for (uint256 i;; ++i) {
                digest = keccak256(abi.encode(digest, i));
            }
        }
        if (answer == Answer.Owner) {
            address signer =
                ecrecover(digest, uint8(signature[64]), bytes32(signature[0:32]), bytes32(signature[32:64]));
            return signer == owner ? bytes4(0x1626ba7e) : bytes4(0xffffffff);
        }
        uint256 kind = uint256(answer);
        assembly {
            mstore(0x00, shl(224, 0x1626ba7e))
            switch kind
            case 3 {
                mstore(0x00, 1)
                return(0x00, 0x20)
            }
            case 4 { return(0x00, 0x04) }
            case 5 {
                mstore(0x00, or(shl(224, 0x1626ba7e), 1))
                return(0x00, 0x20)
            }
            default { return(0x00, 1000000) }
        }
    }
}

/// @notice An arbiter that says how many rulings it accepted, in one chosen way.
contract Counter {
    enum Mode {
        Says,
        Reverts,
        Burns,
        Short,
        Large
    }

    uint8 public number;
    Mode public mode;

    function set(uint8 number_, Mode mode_) external {
        number = number_;
        mode = mode_;
    }

    function rulings(address, bytes32 deal) external view returns (uint256) {
        if (mode == Mode.Reverts) revert("no");
        if (mode == Mode.Burns) {
            for (uint256 i;; ++i) {
                deal = keccak256(abi.encode(deal, i));
            }
        }
        if (mode == Mode.Large) return 256 + uint256(number);
        if (mode == Mode.Short) {
            assembly {
                mstore(0x00, shl(248, 1))
                return(0x00, 0x1f)
            }
        }
        return number;
    }
}
