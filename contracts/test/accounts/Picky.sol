// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {TestToken} from "../tokens/TestToken.sol";

/// @notice Takes coin only with all the gas that a payee may spend, the stipend of the call included, and refuses at once
///         with less: what it leaves over is enough to write the refusal down as a debt.
contract PickyPayee {
    receive() external payable {
        require(gasleft() > 52_000, "more gas");
    }
}

/// @notice Transfers only with all the gas that a token may spend, and refuses at once with less.
contract PickyToken is TestToken {
    function _move(address from, address to, uint256 value) internal override {
        require(gasleft() > 298_000, "more gas");
        super._move(from, to, value);
    }
}

/// @notice Once told to keep what it has it moves nothing and answers 2, so that its balances decide, and tells them only
///         with all the gas that it may spend on that; what it may spend it mostly does.
contract PickyBalance is ERC20("Picky", "PICK") {
    bool public keeping;

    function mint(address to, uint256 value) external {
        _mint(to, value);
    }

    function keep() external {
        keeping = true;
    }

    function transfer(address to, uint256 value) public override returns (bool) {
        if (!keeping) return super.transfer(to, value);
        _spend(270_000);
        assembly {
            mstore(0x00, 2)
            return(0x00, 0x20)
        }
    }

    function balanceOf(address holder) public view override returns (uint256) {
        if (keeping) {
            require(gasleft() > 98_500, "more gas");
            _spend(80_000);
        }
        return super.balanceOf(holder);
    }

    function _spend(uint256 gas_) private view {
        uint256 start = gasleft();
        while (start - gasleft() < gas_) {}
    }
}

/// @notice An arbiter that has accepted a ruling, and says so only with all the gas that it may spend.
contract PickyArbiter {
    function rulings(address, bytes32) external view returns (uint256) {
        require(gasleft() > 98_500, "more gas");
        return 1;
    }
}
