// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @notice A token that calls back from each of its functions that change anything: the one call that it was given, of which
///         it keeps the answer. Its forms by signature ask for none.
contract HookToken is ERC20("Hook", "HOOK") {
    address private _target;
    bytes private _call;
    uint256 public count;
    bool public ok;
    bytes public answer;

    function plan(address target, bytes calldata call_) external {
        (_target, _call) = (target, call_);
    }

    function mint(address to, uint256 value) external {
        _mint(to, value);
    }

    function transfer(address to, uint256 value) public override returns (bool) {
        _back();
        return super.transfer(to, value);
    }

    function transferFrom(address from, address to, uint256 value) public override returns (bool) {
        _back();
        return super.transferFrom(from, to, value);
    }

    function permit(address owner, address spender, uint256 value, uint256, uint8, bytes32, bytes32) external {
        _back();
        _approve(owner, spender, value);
    }

    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256,
        uint256,
        bytes32,
        bytes calldata
    ) external {
        _back();
        _transfer(from, to, value);
    }

    function _back() private {
        if (_target == address(0)) return;
        ++count;
        (ok, answer) = _target.call(_call);
    }
}
