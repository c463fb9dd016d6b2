// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {CaseStage, Court, CourtCase, ICourtArbiter} from "../interfaces/ICourtArbiter.sol";
import {IArbitrator} from "../interfaces/IERC792.sol";
import {IEscrow, Terms} from "../interfaces/IEscrow.sol";
import {DealId} from "../libraries/DealId.sol";
import {Disputes} from "../libraries/Disputes.sol";

/// @title  CourtArbiter
/// @notice See ICourtArbiter.
/// @dev    Whether a ruling was executed is not kept here: the escrow takes one ruling and then is closed.
contract CourtArbiter is ICourtArbiter {
    using DealId for Terms;

    /// Shares from 0 to 10,000 in steps of 500.
    uint8 private constant CHOICES = 21;
    uint16 private constant STEP = 500;
    uint256 private constant LONGEST_URI = 256;

    mapping(bytes32 id => CourtCase) private _cases;
    mapping(IArbitrator arbitrator => mapping(uint256 dispute => bytes32 id)) private _ids;

    /// @inheritdoc ICourtArbiter
    function open(address escrow, Terms calldata terms, Court calldata court)
        external
        payable
        returns (uint256 dispute)
    {
        if (terms.arbiter != address(this)) revert NotMyDeal();
        _requireCourt(terms, court);
        IArbitrator arbitrator = court.arbitrator;
        if (address(arbitrator).code.length == 0) revert NoCourt();
        bytes32 deal = IEscrow(escrow).idOf(terms);
        bytes32 id = _idOf(escrow, deal);
        CourtCase storage entry = _cases[id];
        if (entry.stage != CaseStage.None) revert CaseExists();
        Disputes.requireOpen(escrow, deal, terms.ruling);
        uint256 cost = arbitrator.arbitrationCost(court.extraData);
        if (msg.value != cost) revert WrongValue(msg.value, cost);
        // Before the court is called, so that it cannot come back and open the case a second time.
        entry.stage = CaseStage.Opened;
        entry.arbitrator = arbitrator;
        dispute = arbitrator.createDispute{value: msg.value}(CHOICES, court.extraData);
        if (_ids[arbitrator][dispute] != 0) revert DisputeExists(dispute);
        _ids[arbitrator][dispute] = id;
        entry.dispute = dispute;
        emit CaseOpened(deal, escrow, arbitrator, dispute);
        emit MetaEvidence(uint256(terms.annex.panel), court.metaEvidence);
        emit Dispute(arbitrator, dispute, uint256(terms.annex.panel), uint256(id));
    }

    /// @inheritdoc ICourtArbiter
    function appeal(address escrow, Terms calldata terms, Court calldata court) external payable {
        _requireCourt(terms, court);
        (, CourtCase memory entry) = _pending(escrow, terms);
        entry.arbitrator.appeal{value: msg.value}(entry.dispute, court.extraData);
    }

    /// @inheritdoc ICourtArbiter
    function submitEvidence(address escrow, Terms calldata terms, string calldata uri) external {
        (bytes32 id, CourtCase memory entry) = _pending(escrow, terms);
        if (msg.sender != terms.buyer && msg.sender != terms.seller) revert NotParty();
        uint256 length = bytes(uri).length;
        if (length > LONGEST_URI) revert UriTooLong(length);
        emit Evidence(entry.arbitrator, uint256(id), msg.sender, uri);
    }

    /// @inheritdoc ICourtArbiter
    function rule(uint256 dispute, uint256 ruling) external {
        IArbitrator arbitrator = IArbitrator(msg.sender);
        bytes32 id = _ids[arbitrator][dispute];
        if (id == 0) revert UnknownDispute(dispute);
        CourtCase storage entry = _cases[id];
        if (entry.stage == CaseStage.Ruled) revert AlreadyRuled();
        if (ruling > CHOICES) revert BadRuling(ruling);
        entry.stage = CaseStage.Ruled;
        // forge-lint: disable-next-line(unsafe-typecast)
        entry.ruling = uint8(ruling);
        emit Ruling(arbitrator, dispute, ruling);
    }

    /// @inheritdoc ICourtArbiter
    function execute(address escrow, Terms calldata terms) external {
        (, CourtCase memory entry) = _case(escrow, terms);
        if (entry.stage == CaseStage.Opened) revert NotRuled();
        if (entry.ruling == 0) revert CourtRefused();
        IEscrow(escrow).rule(terms.fold(), (uint16(entry.ruling) - 1) * STEP);
    }

    /* READING */

    /// @inheritdoc ICourtArbiter
    function panelOf(Court calldata court) public pure returns (bytes32) {
        return keccak256(abi.encode(court));
    }

    /// @inheritdoc ICourtArbiter
    function caseOf(address escrow, bytes32 deal) external view returns (CourtCase memory) {
        return _cases[_idOf(escrow, deal)];
    }

    /// @inheritdoc ICourtArbiter
    function rulings(address escrow, bytes32 deal) external view returns (uint8) {
        // Nothing but Ruled comes with a ruling above zero.
        return _cases[_idOf(escrow, deal)].ruling == 0 ? 0 : 1;
    }

    /* LOADING */

    /// With the escrow in it, so that one escrow cannot speak of another's deals.
    function _idOf(address escrow, bytes32 deal) private pure returns (bytes32) {
        return keccak256(abi.encode(escrow, deal));
    }

    /// The terms need no other check than that their case exists: it was opened by them.
    function _case(address escrow, Terms calldata terms) private view returns (bytes32 id, CourtCase memory entry) {
        id = _idOf(escrow, IEscrow(escrow).idOf(terms));
        entry = _cases[id];
        if (entry.stage == CaseStage.None) revert UnknownCase();
    }

    /// A case that the court still has.
    function _pending(address escrow, Terms calldata terms) private view returns (bytes32 id, CourtCase memory entry) {
        (id, entry) = _case(escrow, terms);
        if (entry.stage == CaseStage.Ruled) revert AlreadyRuled();
    }

    function _requireCourt(Terms calldata terms, Court calldata court) private pure {
        if (panelOf(court) != terms.annex.panel) revert WrongCourt();
    }
}
