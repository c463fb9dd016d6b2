// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IArbiterRefusals} from "./IArbiterRefusals.sol";
import {IArbiter, Terms} from "./IEscrow.sol";
import {IArbitrable, IArbitrator, IEvidence} from "./IERC792.sol";

/// A court and its settings. The hash of its ABI encoding is the panel of the terms, so the parties agree on all of it
/// before the deal is funded, and nothing of it can change afterwards.
struct Court {
    /// An arbitrator that speaks ERC-792.
    IArbitrator arbitrator;
    /// Handed to the arbitrator as it is: for Kleros the subcourt and the number of jurors.
    bytes extraData;
    /// URI of the ERC-1497 meta-evidence, which tells the jurors what their choices mean.
    string metaEvidence;
}

enum CaseStage {
    None,
    /// The court has the dispute.
    Opened,
    /// The court has ruled, or refused to.
    Ruled
}

struct CourtCase {
    CaseStage stage;
    /// As the court gave it: 0 is a refusal to arbitrate, 1 to 21 the seller's share.
    uint8 ruling;
    IArbitrator arbitrator;
    /// The arbitrator's number for the dispute.
    uint256 dispute;
}

/// @title  ICourtArbiter
/// @notice Puts disputed deals before a court that speaks ERC-792, with evidence by ERC-1497, and carries its ruling to
///         the escrow. Nobody owns it, and it never holds coin: what the court asks is paid by the caller, exactly.
/// @dev    The court has 21 choices: ruling r from 1 to 21 gives the seller (r - 1) × 5 % of the whole amount. Ruling 0,
///         the court's refusal to arbitrate, is no ruling here: the escrow's `lapse` decides then, as it does when the
///         court is not done by the escrow's deadline. Terms should therefore give the court as much time for `ruling` as
///         it can take with all its appeals.
///         The meta-evidence's id is the panel; the group of the evidence is the case: keccak256(abi.encode(escrow, deal)).
///         A case belongs to the escrow that it was opened at: an escrow that lies deceives its own cases alone, and so
///         does an arbitrator. The refusals of court and escrow come through as they are.
interface ICourtArbiter is IArbiter, IArbitrable, IEvidence, IArbiterRefusals {
    event CaseOpened(bytes32 indexed deal, address indexed escrow, IArbitrator indexed arbitrator, uint256 dispute);

    /* REFUSALS, terms: NotMyDeal, then these */

    /// The hash of the court is not the panel of the terms.
    error WrongCourt();
    /// There is no code where the arbitrator should be.
    error NoCourt();

    /* REFUSALS, state; NotDisputed comes last */

    error CaseExists();
    error UnknownCase();
    /// The caller is not the arbitrator of such a dispute.
    error UnknownDispute(uint256 dispute);
    /// The arbitrator says the number of a dispute that it gave to another case.
    error DisputeExists(uint256 dispute);
    error NotRuled();
    error AlreadyRuled();
    /// The court refused to arbitrate.
    error CourtRefused();

    /* REFUSALS, authority */

    error NotParty();

    /* REFUSALS, amount */

    /// Above the number of choices.
    error BadRuling(uint256 ruling);
    error UriTooLong(uint256 length);

    /* REFUSALS, intake */

    /// `needed` is what the court asks now, in the smallest unit of the chain's coin.
    error WrongValue(uint256 sent, uint256 needed);

    /* CASES: permissionless and retryable */

    /// Creates the court's dispute on a disputed deal. The caller pays `arbitrationCost`, exactly: more would change how
    /// some courts seat their jurors, and nobody pays it back. Where the court refuses, nothing has happened.
    function open(address escrow, Terms calldata terms, Court calldata court) external payable returns (uint256 dispute);
    /// Hands an appeal and all of its value to the court, because some courts (Kleros' first) take it only from where the
    /// dispute came from. Whether there is an appeal, when, and for how much (ERC-792 `appealCost`), the court says; where
    /// it takes appeals from anybody, they are made there.
    function appeal(address escrow, Terms calldata terms, Court calldata court) external payable;
    /// A party shows the court evidence: a URI of at most 256 bytes, by ERC-1497 of a JSON file.
    function submitEvidence(address escrow, Terms calldata terms, string calldata uri) external;
    /// Carries the court's ruling to the escrow, until the escrow's deadline.
    function execute(address escrow, Terms calldata terms) external;

    /// ERC-792: the arbitrator rules on its dispute, once. Never calls the escrow, so that nothing there can hold the court
    /// up; `execute` follows.
    function rule(uint256 dispute, uint256 ruling) external;

    /* READING */

    function panelOf(Court calldata court) external pure returns (bytes32);
    function caseOf(address escrow, bytes32 deal) external view returns (CourtCase memory);
    /// One as soon as the court has ruled other than by refusing, executed or not.
    function rulings(address escrow, bytes32 deal) external view returns (uint8);
}
