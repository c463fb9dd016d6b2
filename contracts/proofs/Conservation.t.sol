// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Deal, IEscrow, State, Status} from "../src/interfaces/IEscrow.sol";
import {DealState} from "../src/libraries/DealState.sol";
import {vm} from "./Cheats.sol";
import {Answer, Ground, Payee} from "./Ground.sol";

/// @notice Whatever succeeds in an open deal pays each side, or owes it, exactly what its total grew by, and nobody else.
/// @dev    Any deal, any open state, any caller, any time, any signatures (recovery is uninterpreted), any gas; each payee
///         takes coin or refuses it. ConservationOfTokensProof says the same of a token.
contract ConservationProof is Ground {
    using DealState for uint256;

    /// What the prover chooses beside the deal.
    struct Choice {
        uint256 word;
        uint40 time;
        address caller;
        address stranger;
        uint128 funds;
        Answer toBuyer;
        Answer toSeller;
    }

    struct Purse {
        uint256 balance;
        uint256 credit;
    }

    /// release
    function check_Release(Deal memory deal, Choice memory choice, uint88 total) public {
        _prepare(deal, choice);
        _conserves(deal, choice, abi.encodeCall(IEscrow.release, (deal, total)));
    }

    /// releaseBySig
    function check_ReleaseBySig(Deal memory deal, Choice memory choice, uint88 total, bytes32 r, bytes32 s) public {
        _prepare(deal, choice);
        _conserves(deal, choice, abi.encodeCall(IEscrow.releaseBySig, (deal, total, _signature(r, s, 27))));
    }

    /// refund
    function check_Refund(Deal memory deal, Choice memory choice, uint88 total) public {
        _prepare(deal, choice);
        _conserves(deal, choice, abi.encodeCall(IEscrow.refund, (deal, total)));
    }

    /// refundBySig
    function check_RefundBySig(Deal memory deal, Choice memory choice, uint88 total, bytes32 r, bytes32 s) public {
        _prepare(deal, choice);
        _conserves(deal, choice, abi.encodeCall(IEscrow.refundBySig, (deal, total, _signature(r, s, 27))));
    }

    /// reclaim
    function check_Reclaim(Deal memory deal, Choice memory choice) public {
        _prepare(deal, choice);
        _conserves(deal, choice, abi.encodeCall(IEscrow.reclaim, (deal)));
    }

    /// claim
    function check_Claim(Deal memory deal, Choice memory choice) public {
        _prepare(deal, choice);
        _conserves(deal, choice, abi.encodeCall(IEscrow.claim, (deal)));
    }

    /// lapse
    function long_Lapse(Deal memory deal, Choice memory choice) public {
        _prepare(deal, choice);
        _conserves(deal, choice, abi.encodeCall(IEscrow.lapse, (deal)));
    }

    /// rule
    function long_Rule(Deal memory deal, Choice memory choice, uint16 share) public {
        _prepare(deal, choice);
        _conserves(deal, choice, abi.encodeCall(IEscrow.rule, (deal, share)));
    }

    /// settle, by either party or anybody with both signatures; the arbiter has no code.
    function long_Settle(
        Deal memory deal,
        Choice memory choice,
        uint88 total,
        uint8 rulings,
        bytes32[2] memory r,
        bytes32[2] memory s
    ) public {
        _prepare(deal, choice);
        (bytes memory ofBuyer, bytes memory ofSeller) = (_signature(r[0], s[0], 27), _signature(r[1], s[1], 28));
        uint40 until = type(uint40).max;
        _conserves(deal, choice, abi.encodeCall(IEscrow.settle, (deal, total, rulings, until, ofBuyer, ofSeller)));
    }

    function _prepare(Deal memory deal, Choice memory choice) private {
        deal.buyer = address(new Payee(choice.toBuyer != Answer.Revert));
        deal.seller = address(new Payee(choice.toSeller != Answer.Revert));
        deal.asset = _endow(deal, choice);
        address stranger = choice.stranger;
        vm.assume(stranger != deal.buyer && stranger != deal.seller && stranger != address(escrow));
        vm.warp(choice.time);
    }

    function _conserves(Deal memory deal, Choice memory choice, bytes memory data) private {
        (bytes32 id, State memory was) = _putOpen(deal, choice.word);
        Purse[4] memory before = _purses(deal, choice.stranger);
        vm.assume(before[0].balance >= deal.amount - was.released - was.refunded);
        vm.assume(before[1].balance < 1 << 128 && before[2].balance < 1 << 128);

        if (!_as(choice.caller, data)) return;

        Purse[4] memory later = _purses(deal, choice.stranger);
        uint256 toSeller = later[2].balance - before[2].balance;
        uint256 toBuyer = later[1].balance - before[1].balance;
        uint256 owedToSeller = later[2].credit - before[2].credit;
        uint256 owedToBuyer = later[1].credit - before[1].credit;
        assert(before[0].balance - later[0].balance == toSeller + toBuyer);
        assert(later[3].balance == before[3].balance && later[3].credit == before[3].credit);

        uint256 word = escrow.wordOf(id);
        if (word == 0) {
            // Gone: everything left was paid or is owed.
            assert(block.timestamp > deal.fundBy);
            assert(toSeller + toBuyer + owedToSeller + owedToBuyer == deal.amount - was.released - was.refunded);
            return;
        }
        State memory state = word.unpack();
        assert(state.released - was.released == toSeller + owedToSeller);
        assert(state.refunded - was.refunded == toBuyer + owedToBuyer);
        uint256 moved = uint256(state.released) + state.refunded;
        assert(moved <= deal.amount);
        assert((state.status == Status.Closed) == (moved == deal.amount));
    }

    /// Of the escrow, the buyer, the seller and a stranger.
    function _purses(Deal memory deal, address stranger) private view returns (Purse[4] memory purses) {
        address[4] memory people = [address(escrow), deal.buyer, deal.seller, stranger];
        for (uint256 i; i < 4; ++i) {
            purses[i] = Purse(_balance(people[i]), escrow.creditOf(people[i], deal.asset));
        }
    }

    /// Gives the escrow its funds, and says of which asset.
    function _endow(Deal memory, Choice memory choice) internal virtual returns (address asset) {
        vm.deal(address(escrow), choice.funds);
        return address(0);
    }

    function _balance(address who) internal view virtual returns (uint256) {
        return who.balance;
    }
}
