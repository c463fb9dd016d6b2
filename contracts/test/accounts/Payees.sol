// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IEscrow} from "../../src/interfaces/IEscrow.sol";

/// @notice Takes no coin until it is told to.
contract Refuser {
    bool public willing;

    function relent() external {
        willing = true;
    }

    receive() external payable {
        require(willing, "no");
    }
}

/// @notice Spends all the gas it gets on receiving coin.
contract Burner {
    uint256 public burnt;

    receive() external payable {
        for (;;) {
            ++burnt;
        }
    }
}

/// @notice Takes coin, and spends 51,000 gas on it: all but what it gets, the call's stipend included.
contract Hungry {
    receive() external payable {
        uint256 start = gasleft();
        while (start - gasleft() < 51_000) {}
    }
}

/// @notice Answers coin with a megabyte of revert data.
contract Bomber {
    receive() external payable {
        assembly {
            revert(0, 1000000)
        }
    }
}

/// @notice On receiving coin or a token makes the calls it was given, and keeps how they ended.
contract Caller {
    address public target;
    /// Coin that goes with each call.
    uint96 public value;
    /// Instead of keeping how the calls ended, refuse what is received where one did not end with `Reentered`.
    bool public confessing;
    bytes[] public calls;
    bytes[] public answers;
    bool[] public outcomes;

    function plan(address target_, bytes[] calldata calls_) external {
        target = target_;
        for (uint256 i; i < calls_.length; ++i) {
            calls.push(calls_[i]);
        }
    }

    function bring(uint96 value_) external {
        value = value_;
    }

    function confess() external {
        confessing = true;
    }

    function count() external view returns (uint256) {
        return outcomes.length;
    }

    receive() external payable {
        received();
    }

    function received() public {
        for (uint256 i; i < calls.length; ++i) {
            (bool ok, bytes memory answer) = target.call{value: value}(calls[i]);
            if (confessing) {
                require(!ok && bytes4(answer) == IEscrow.Reentered.selector, "got through");
                continue;
            }
            outcomes.push(ok);
            answers.push(answer);
        }
    }

    /// Anyone may act through it.
    function act(address to, bytes calldata data) external payable returns (bytes memory) {
        (bool ok, bytes memory answer) = to.call{value: msg.value}(data);
        if (!ok) {
            assembly {
                revert(add(answer, 0x20), mload(answer))
            }
        }
        return answer;
    }
}
