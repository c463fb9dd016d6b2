// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Deal, IEscrow, Status, Terms} from "../src/interfaces/IEscrow.sol";
import {vm} from "./Cheats.sol";
import {Ground} from "./Ground.sol";

/// @notice A deal that is Closed, or gone, is refused by every function that takes a deal or terms, whoever calls it and
///         whenever: its word stays.
/// @dev    `batch` runs these same functions. `uri` of evidence is empty, signatures are of 65 bytes.
contract ClosedProof is Ground {
    /// What the prover chooses beside the deal. `word` is Closed with any other fields, or zero.
    struct Choice {
        uint256 word;
        uint40 time;
        address caller;
        address party;
        bytes32 hash;
        uint88 total;
        uint16 share;
        uint40 until;
        bytes32 r;
        bytes32 s;
    }

    /// release, refund, deliver, dispute and evidence
    function check_PartiesMoveNothing(Deal memory deal, Choice memory choice) public {
        _prepare(choice);
        bytes32 id = _put(deal, choice.word);
        _refused(choice, id, abi.encodeCall(IEscrow.release, (deal, choice.total)));
        _refused(choice, id, abi.encodeCall(IEscrow.refund, (deal, choice.total)));
        _refused(choice, id, abi.encodeCall(IEscrow.deliver, (deal, choice.hash)));
        _refused(choice, id, abi.encodeCall(IEscrow.dispute, (deal, choice.hash)));
        _refused(choice, id, abi.encodeCall(IEscrow.evidence, (deal, choice.hash, "")));
    }

    /// reclaim, claim, lapse, rule and settle
    function check_NothingClosesTwice(Deal memory deal, Choice memory choice) public {
        _prepare(choice);
        bytes32 id = _put(deal, choice.word);
        bytes memory sig = _signature(choice.r, choice.s, 27);
        _refused(choice, id, abi.encodeCall(IEscrow.reclaim, (deal)));
        _refused(choice, id, abi.encodeCall(IEscrow.claim, (deal)));
        _refused(choice, id, abi.encodeCall(IEscrow.lapse, (deal)));
        _refused(choice, id, abi.encodeCall(IEscrow.rule, (deal, choice.share)));
        _refused(choice, id, abi.encodeCall(IEscrow.settle, (deal, choice.total, 0, choice.until, sig, sig)));
    }

    /// The five forms by signature.
    function check_SignaturesMoveNothing(Deal memory deal, Choice memory choice) public {
        _prepare(choice);
        bytes32 id = _put(deal, choice.word);
        (bytes memory sig, address party) = (_signature(choice.r, choice.s, 27), choice.party);
        (bytes32 hash, uint40 until) = (choice.hash, choice.until);
        _refused(choice, id, abi.encodeCall(IEscrow.releaseBySig, (deal, choice.total, sig)));
        _refused(choice, id, abi.encodeCall(IEscrow.refundBySig, (deal, choice.total, sig)));
        _refused(choice, id, abi.encodeCall(IEscrow.deliverBySig, (deal, hash, until, sig)));
        _refused(choice, id, abi.encodeCall(IEscrow.disputeBySig, (deal, party, hash, until, sig)));
        _refused(choice, id, abi.encodeCall(IEscrow.evidenceBySig, (deal, party, hash, "", until, sig)));
    }

    /// fund and fundBySig, with any coin; a deal that is gone is one whose fundBy has passed.
    function check_NothingIsFundedTwice(Terms memory terms, Choice memory choice, uint96 value) public {
        bytes32 id = _gone(terms, choice);
        bytes memory sig = _signature(choice.r, choice.s, 27);
        vm.deal(choice.caller, value);
        _refusedWith(value, choice, id, abi.encodeCall(IEscrow.fund, (terms, sig)));
        _refusedWith(value, choice, id, abi.encodeCall(IEscrow.fundBySig, (terms, sig, choice.until, sig)));
    }

    /// fundByAuthorization, fundByPermit2 and retract, in the same states
    function check_NorInOtherForms(Terms memory terms, Choice memory choice, uint256[2] memory numbers) public {
        bytes32 id = _gone(terms, choice);
        bytes memory sig = _signature(choice.r, choice.s, 27);
        (uint256 a, uint256 b) = (numbers[0], numbers[1]);
        _refused(choice, id, abi.encodeCall(IEscrow.fundByAuthorization, (terms, sig, a, b, sig)));
        _refused(choice, id, abi.encodeCall(IEscrow.fundByPermit2, (terms, sig, a, b, sig)));
        _refused(choice, id, abi.encodeCall(IEscrow.retract, (terms)));
    }

    function _gone(Terms memory terms, Choice memory choice) private returns (bytes32 id) {
        _prepare(choice);
        vm.assume(choice.word != 0 || choice.time > terms.fundBy);
        id = escrow.idOf(terms);
        escrow.set(id, choice.word);
    }

    function _prepare(Choice memory choice) private {
        vm.assume(choice.word == 0 || choice.word & 0xf == uint256(Status.Closed));
        vm.warp(choice.time);
    }

    function _refused(Choice memory choice, bytes32 id, bytes memory data) private {
        _refusedWith(0, choice, id, data);
    }

    function _refusedWith(uint256 value, Choice memory choice, bytes32 id, bytes memory data) private {
        vm.prank(choice.caller);
        (bool ok,) = address(escrow).call{value: value}(data);
        assert(!ok);
        assert(escrow.wordOf(id) == choice.word);
    }
}
