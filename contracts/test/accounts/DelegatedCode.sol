// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Answer} from "./Wallets.sol";

/// @notice The cheatcodes of EIP-7702, which the library's version does not list.
interface Delegating {
    function signAndAttachDelegation(address implementation, uint256 privateKey) external;
    function setEvmVersion(string calldata version) external;
}

/// @notice What keys delegate to: answers as a wallet in one chosen way, of each account for itself, and takes coin or not.
contract DelegatedCode {
    Answer public answer;
    bool public refusing;

    function set(Answer answer_) external {
        answer = answer_;
    }

    function refuse(bool yes) external {
        refusing = yes;
    }

    receive() external payable {
        require(!refusing, "no");
    }

    function isValidSignature(bytes32 digest, bytes calldata) external view returns (bytes4) {
        if (answer == Answer.Yes) return 0x1626ba7e;
        if (answer == Answer.Reverts) revert("no");
        if (answer == Answer.Burns) {
            for (uint256 i;; ++i) {
                digest = keccak256(abi.encode(digest, i));
            }
        }
        uint256 size = answer == Answer.Short ? 4 : answer == Answer.Bomb ? 1_000_000 : 0x20;
        uint256 word = answer == Answer.Lie ? 1 : answer == Answer.No ? 0 : 0x1626ba7e << 224;
        if (answer == Answer.Dirty) word |= 1;
        assembly {
            mstore(0x00, word)
            return(0x00, size)
        }
    }
}
