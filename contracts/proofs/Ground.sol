// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Escrow} from "../src/Escrow.sol";
import {Deal, State, Status} from "../src/interfaces/IEscrow.sol";
import {DealState} from "../src/libraries/DealState.sol";
import {vm} from "./Cheats.sol";

/// The escrow, with a deal's word for the prover to choose.
contract AnyEscrow is Escrow {
    function set(bytes32 id, uint256 word) external {
        _deals[id] = word;
    }

    function wordOf(bytes32 id) external view returns (uint256) {
        return _deals[id];
    }
}

/// How a payee or a token answers a payment. Coin is refused by `Revert` alone.
enum Answer {
    True,
    Nothing,
    False,
    FalseYetMoves,
    Revert
}

/// A party with code that takes coin or does not.
contract Payee {
    bool private immutable TAKES;

    constructor(bool takes) {
        TAKES = takes;
    }

    receive() external payable {
        if (!TAKES) revert();
    }
}

/// @notice What every proof of the escrow starts from: any deal in any open state at any time.
abstract contract Ground {
    using DealState for uint256;

    AnyEscrow internal escrow;

    function setUp() public virtual {
        escrow = new AnyEscrow();
    }

    /// Puts the deal into the state of this word.
    function _put(Deal memory deal, uint256 word) internal returns (bytes32 id) {
        id = escrow.idOf(deal);
        escrow.set(id, word);
    }

    /// Puts the deal into any state that is open: Funded, Delivered or Disputed, with something left to pay.
    function _putOpen(Deal memory deal, uint256 word) internal returns (bytes32 id, State memory state) {
        vm.assume(word & 0xf >= uint256(Status.Funded) && word & 0xf <= uint256(Status.Disputed));
        state = word.unpack();
        vm.assume(uint256(state.released) + state.refunded < deal.amount);
        id = _put(deal, word);
    }

    /// Calls the escrow as somebody; whether it succeeded.
    function _as(address caller, bytes memory data) internal returns (bool ok) {
        vm.prank(caller);
        (ok,) = address(escrow).call(data);
    }

    function _signature(bytes32 r, bytes32 s, uint8 v) internal pure returns (bytes memory) {
        return abi.encodePacked(r, s, v);
    }
}
