// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @notice Asked for its word as a wallet, for its number as an arbiter or for a balance as a token, it makes the call that
///         it was given, and answers well only when that fails.
contract Nosy is ERC20("Nosy", "NOSY") {
    address private _target;
    bytes private _call;

    function plan(address target, bytes calldata call_) external {
        (_target, _call) = (target, call_);
    }

    function mint(address to, uint256 value) external {
        _mint(to, value);
    }

    function act(address to, bytes calldata data) external payable {
        (bool ok,) = to.call{value: msg.value}(data);
        require(ok, "act");
    }

    receive() external payable {}

    function isValidSignature(bytes32, bytes calldata) external view returns (bytes4) {
        _try();
        return 0x1626ba7e;
    }

    function rulings(address, bytes32) external view returns (uint256) {
        _try();
        return 7;
    }

    function balanceOf(address holder) public view override returns (uint256) {
        _try();
        return super.balanceOf(holder);
    }

    /// Storing anything in such a call spends all its gas, hence the bound.
    function _try() private view {
        if (_target == address(0)) return;
        (bool ok,) = _target.staticcall{gas: 50_000}(_call);
        require(!ok, "got through");
    }
}
