// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Deal, IEscrow, State, Status} from "../src/interfaces/IEscrow.sol";
import {vm} from "./Cheats.sol";
import {Ground} from "./Ground.sol";

/// @notice At every time exactly one answer is open: an objection, or the consequence of silence.
/// @dev    Each action is tried in the same state, one after the other; times are all below 2^64 seconds.
contract WindowsProof is Ground {
    /// A Funded deal that is not metered: its buyer can dispute or anyone can reclaim, never both and never neither, and
    /// nobody can claim.
    function check_FundedDisputeOrReclaim(Deal memory deal, uint256 word, uint64 time) public {
        bytes32 id = _at(deal, word, time, Status.Funded);
        vm.assume(!deal.metered);
        bool disputed = _alone(id, word, deal.buyer, abi.encodeCall(IEscrow.dispute, (deal, id)));
        bool reclaimed = _alone(id, word, deal.buyer, abi.encodeCall(IEscrow.reclaim, (deal)));
        assert(disputed != reclaimed);
        assert(!_alone(id, word, deal.buyer, abi.encodeCall(IEscrow.claim, (deal))));
    }

    /// A Funded deal that is metered: never both dispute and reclaim, and nobody can claim; between deliverBy and the end
    /// of the inspection the buyer waits for the seller to redeem.
    function check_MeteredDisputeOrReclaim(Deal memory deal, uint256 word, uint64 time) public {
        bytes32 id = _at(deal, word, time, Status.Funded);
        vm.assume(deal.metered);
        bool disputed = _alone(id, word, deal.buyer, abi.encodeCall(IEscrow.dispute, (deal, id)));
        bool reclaimed = _alone(id, word, deal.buyer, abi.encodeCall(IEscrow.reclaim, (deal)));
        assert(!disputed || !reclaimed);
        assert(disputed == (time <= deal.deliverBy));
        assert(reclaimed == (time > uint256(deal.deliverBy) + deal.inspection));
        assert(!_alone(id, word, deal.buyer, abi.encodeCall(IEscrow.claim, (deal))));
    }

    /// A Delivered deal (never a metered one): its buyer can dispute or anyone can claim, never both and never neither, and
    /// nobody can reclaim.
    function check_DeliveredDisputeOrClaim(Deal memory deal, uint256 word, uint64 time) public {
        bytes32 id = _at(deal, word, time, Status.Delivered);
        vm.assume(!deal.metered);
        bool disputed = _alone(id, word, deal.buyer, abi.encodeCall(IEscrow.dispute, (deal, id)));
        bool claimed = _alone(id, word, deal.buyer, abi.encodeCall(IEscrow.claim, (deal)));
        assert(disputed != claimed);
        assert(!_alone(id, word, deal.buyer, abi.encodeCall(IEscrow.reclaim, (deal))));
    }

    /// A Disputed deal: its arbiter can rule or anyone can let it lapse, never both and never neither; no other clock runs.
    function long_DisputedRuleOrLapse(Deal memory deal, uint256 word, uint64 time, uint16 share) public {
        vm.assume(share <= 10_000 && deal.lapseShare <= 10_000);
        bytes32 id = _at(deal, word, time, Status.Disputed);
        bool ruled = _alone(id, word, deal.arbiter, abi.encodeCall(IEscrow.rule, (deal, share)));
        bool lapsed = _alone(id, word, deal.buyer, abi.encodeCall(IEscrow.lapse, (deal)));
        assert(ruled != lapsed);
        assert(!_alone(id, word, deal.buyer, abi.encodeCall(IEscrow.claim, (deal))));
        assert(!_alone(id, word, deal.buyer, abi.encodeCall(IEscrow.reclaim, (deal))));
        assert(!_alone(id, word, deal.buyer, abi.encodeCall(IEscrow.dispute, (deal, id))));
        assert(!_alone(id, word, deal.seller, abi.encodeCall(IEscrow.deliver, (deal, id))));
    }

    /// A deal of native coin between two accounts without code, open and in this status.
    function _at(Deal memory deal, uint256 word, uint64 time, Status status) private returns (bytes32 id) {
        (deal.buyer, deal.seller, deal.asset) = (address(0xb0b), address(0x5e11e4), address(0));
        deal.arbiter = address(0xa4b);
        vm.warp(time);
        vm.deal(address(escrow), type(uint128).max);
        State memory state;
        (id, state) = _putOpen(deal, word);
        vm.assume(state.status == status);
    }

    /// Whether the call succeeds in the state of this word, given gas: what remains is the prover's choice.
    function _alone(bytes32 id, uint256 word, address caller, bytes memory data) private returns (bool) {
        escrow.set(id, word);
        vm.prank(caller);
        (bool ok, bytes memory reason) = address(escrow).call(data);
        return ok || (reason.length == 4 && bytes4(reason) == IEscrow.NotEnoughGas.selector);
    }
}
