// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {TestToken} from "./TestToken.sol";

/// What a token does when it is asked to transfer.
enum Odd {
    Nothing, // behaves
    Silent, // moves, answers nothing
    SilentStill, // moves nothing, answers nothing
    TrueStill, // moves nothing, answers true
    False, // moves nothing, answers false
    FalseMoves, // moves, answers false
    Two, // moves, answers 2
    TwoHalf, // moves half, answers 2
    TwoStill, // moves nothing, answers 2
    Reverts,
    Burns, // spends all the gas it gets
    Bomb, // reverts with a megabyte
    Fee, // a hundredth is lost on the way
    Extra, // more arrives than was sent
    Heavy, // behaves, and spends most of what a token gets on it
    Hook, // moves, then calls the holder who did not ask: the payer of a transferFrom, the payee of a transfer
    Blind, // moves, answers 2, and from then on tells no balance

    BlindBefore, // tells no balance
    Slow, // moves nothing, answers 2, and spends most of what a token gets on that and on telling a balance
    Long, // moves, answers 50,000 bytes that start with a clean true
    LongStill, // moves nothing, answers the same
    Narrow, // moves, answers 31 bytes
    NarrowStill, // moves nothing, answers the same
    Shy, // behaves, and tells no balance before it has moved anything
    Curt, // moves, answers 2, and before it does tells balances in 31 bytes of zeros
    CurtLater // moves, answers 2, and from then on tells balances in 31 bytes of ones
}

/// What is still owed of `due` after a transfer out went oddly. A token that lies is believed: nothing.
function owedAfter(Odd odd, uint256 due) pure returns (uint256) {
    if (odd == Odd.TwoHalf) return due - due / 2;
    bool still = odd == Odd.False || odd == Odd.TwoStill || odd == Odd.Reverts || odd == Odd.Burns || odd == Odd.Bomb
        || odd == Odd.Slow || odd == Odd.LongStill || odd == Odd.NarrowStill;
    return still ? due : 0;
}

/// @notice A token that misbehaves in one chosen way.
contract OddToken {
    mapping(address holder => uint256) private _balances;
    mapping(address holder => mapping(address spender => uint256)) public allowance;
    Odd public out;
    Odd public into;
    bool private _blind;
    bool private _moved;

    function setOut(Odd odd) external {
        out = odd;
    }

    function setInto(Odd odd) external {
        into = odd;
    }

    function mint(address to, uint256 value) external {
        _balances[to] += value;
    }

    function approve(address spender, uint256 value) external returns (bool) {
        allowance[msg.sender][spender] = value;
        return true;
    }

    function balanceOf(address holder) external view returns (uint256) {
        require(!_blind && into != Odd.BlindBefore && out != Odd.BlindBefore);
        require(into != Odd.Shy || _moved);
        if (!_moved && (into == Odd.Curt || out == Odd.Curt)) _curt(0);
        if (_moved && (into == Odd.CurtLater || out == Odd.CurtLater)) _curt(type(uint256).max);
        if (out == Odd.Slow) _spend(90_000);
        return _balances[holder];
    }

    /// What `balanceOf` would say if it always answered.
    function held(address holder) external view returns (uint256) {
        return _balances[holder];
    }

    function transfer(address to, uint256 value) external {
        _act(out, msg.sender, to, value);
    }

    function transferFrom(address from, address to, uint256 value) external {
        require(allowance[from][msg.sender] >= value);
        _act(into, from, to, value);
    }

    function _act(Odd odd, address from, address to, uint256 value) private {
        if (odd == Odd.Nothing) _answer(from, to, value, value, 1);
        if (odd == Odd.Silent) {
            _move(from, to, value, value);
            return;
        }
        if (odd == Odd.SilentStill) return;
        if (odd == Odd.TrueStill) _answer(from, to, 0, 0, 1);
        if (odd == Odd.False) _answer(from, to, 0, 0, 0);
        if (odd == Odd.FalseMoves) _answer(from, to, value, value, 0);
        if (odd == Odd.Two || odd == Odd.BlindBefore) _answer(from, to, value, value, 2);
        if (odd == Odd.TwoHalf) _answer(from, to, value / 2, value / 2, 2);
        if (odd == Odd.TwoStill) _answer(from, to, 0, 0, 2);
        if (odd == Odd.Reverts) revert("no");
        if (odd == Odd.Burns) {
            for (uint256 i;; ++i) {
                _balances[address(0)] = i;
            }
        }
        if (odd == Odd.Bomb) {
            assembly {
                revert(0, 1000000)
            }
        }
        if (odd == Odd.Fee) _answer(from, to, value, value - value / 100, 1);
        if (odd == Odd.Heavy) {
            _spend(265_000);
            _answer(from, to, value, value, 1);
        }
        if (odd == Odd.Slow) {
            _spend(265_000);
            _answer(from, to, 0, 0, 2);
        }
        if (odd == Odd.Extra) _answer(from, to, value, value + 1, 1);
        if (odd >= Odd.Shy) {
            _moved = true;
            _answer(from, to, value, value, odd == Odd.Shy ? 1 : 2);
        }
        if (odd >= Odd.Long) {
            if (odd == Odd.Long || odd == Odd.Narrow) _move(from, to, value, value);
            uint256 size = odd <= Odd.LongStill ? 50_000 : 31;
            assembly {
                mstore(0x00, 1)
                return(0x00, size)
            }
        }
        if (odd == Odd.Hook) {
            _move(from, to, value, value);
            (bool ok,) = (from == msg.sender ? to : from).call(abi.encodeWithSignature("received()"));
            _answer(from, to, 0, 0, ok ? 1 : 0);
        }
        _blind = true;
        _answer(from, to, value, value, 2);
    }

    function _curt(uint256 word) private pure {
        assembly {
            mstore(0x00, word)
            return(0x00, 31)
        }
    }

    function _spend(uint256 gas_) private view {
        uint256 start = gasleft();
        while (start - gasleft() < gas_) {}
    }

    function _answer(address from, address to, uint256 sent, uint256 arrived, uint256 word) private {
        _move(from, to, sent, arrived);
        assembly {
            mstore(0x00, word)
            return(0x00, 0x20)
        }
    }

    function _move(address from, address to, uint256 sent, uint256 arrived) private {
        _balances[from] -= sent;
        _balances[to] += arrived;
    }
}

/// @notice Ours, behaving until told to refuse one receiver, as issuers with a denylist do.
contract DenylistToken is TestToken {
    mapping(address => bool) public denied;

    function deny(address who, bool yes) external {
        denied[who] = yes;
    }

    function _move(address from, address to, uint256 value) internal override {
        require(!denied[to] && !denied[from], "denied");
        super._move(from, to, value);
    }
}
