// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Deal} from "../src/interfaces/IEscrow.sol";
import {ConservationProof} from "./Conservation.t.sol";
import {Answer} from "./Ground.sol";

/// A token that keeps its books, whatever it answers: the prover chooses the answer to each transfer by its payee.
contract AnsweringToken {
    mapping(address who => uint256) public balanceOf;
    mapping(address payee => Answer) private _answers;

    function set(address who, uint256 balance, Answer answer) external {
        balanceOf[who] = balance;
        _answers[who] = answer;
    }

    function transfer(address to, uint256 amount) external {
        Answer answer = _answers[to];
        if (answer == Answer.Revert) revert();
        if (answer != Answer.False) {
            balanceOf[msg.sender] -= amount;
            balanceOf[to] += amount;
        }
        if (answer == Answer.Nothing) return;
        bool clean = answer == Answer.True;
        assembly ("memory-safe") {
            mstore(0x00, clean)
            return(0x00, 0x20)
        }
    }
}

/// @notice Everything that ConservationProof says, of a token in place of coin.
/// @dev    The token moves what it is asked to or nothing, and says the truth about it, something else, nothing, or
///         reverts. The parties have none of it before.
contract ConservationOfTokensProof is ConservationProof {
    AnsweringToken private _token;

    function setUp() public override {
        super.setUp();
        _token = new AnsweringToken();
    }

    function _endow(Deal memory deal, Choice memory choice) internal override returns (address asset) {
        _token.set(address(escrow), choice.funds, Answer.Revert);
        _token.set(deal.buyer, 0, choice.toBuyer);
        _token.set(deal.seller, 0, choice.toSeller);
        return address(_token);
    }

    function _balance(address who) internal view override returns (uint256) {
        return _token.balanceOf(who);
    }
}
