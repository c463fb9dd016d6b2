// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @notice Holders have shares of a supply that changes under them, as staked coin does. What a share is worth is `index`
///         in units of 10^18.
contract RebasingToken {
    uint256 public index = 1e18;
    mapping(address holder => uint256) public shares;
    mapping(address holder => mapping(address spender => uint256)) public allowance;

    function rebase(uint256 index_) external {
        index = index_;
    }

    function mint(address to, uint256 value) external {
        shares[to] += value * 1e18 / index;
    }

    function approve(address spender, uint256 value) external returns (bool) {
        allowance[msg.sender][spender] = value;
        return true;
    }

    function balanceOf(address holder) public view returns (uint256) {
        return shares[holder] * index / 1e18;
    }

    function transfer(address to, uint256 value) external returns (bool) {
        return _move(msg.sender, to, value);
    }

    function transferFrom(address from, address to, uint256 value) external returns (bool) {
        allowance[from][msg.sender] -= value;
        return _move(from, to, value);
    }

    /// Whole shares, rounded down.
    function _move(address from, address to, uint256 value) private returns (bool) {
        uint256 part = value * 1e18 / index;
        shares[from] -= part;
        shares[to] += part;
        return true;
    }
}
