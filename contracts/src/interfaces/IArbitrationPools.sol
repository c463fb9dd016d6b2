// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IArbiter, Terms} from "./IEscrow.sol";

/// The immutable rules of a pool. Their hash is the pool's id, which terms name as their panel.
struct RuleBook {
    /// Who may publish member lists.
    address keeper;
    /// The pool that hears appeals, or zero.
    bytes32 parent;
    /// Seats of a jury: odd, 1 to 31.
    uint8 jurySize;
    /// Seconds before a published list takes effect; at most 366 days. Zero counts as one, so that no list applies to a
    /// deal funded in the list's own block.
    uint32 delay;
    /// Seconds after the dispute for opening the case and drawing the jury; 60 seconds to 30 days.
    uint32 opening;
    /// Seconds of voting after that; 1 second to 90 days. Where no second jury follows, ballots still count until the
    /// escrow's own deadline.
    uint32 voting;
    /// Seconds in which an accepted ruling may be appealed; zero exactly when there is no parent.
    uint32 appeal;
    /// Tells equal rule books apart.
    bytes32 salt;
}

/// One juror's word on one case. Signed as EIP-712 `Ballot(bytes32 caseId,uint16 share,bytes32 reason)` under the
/// domain of the pools contract.
struct Ballot {
    /// Index of the juror's seat in the drawn jury.
    uint8 seat;
    /// The seller's share of the whole amount in basis points, a multiple of 500.
    uint16 share;
    /// SHA-256 of the juror's written reason, or zero.
    bytes32 reason;
    bytes signature;
}

enum Stage {
    None,
    /// Opened; the target block is fixed.
    Opened,
    /// Seats are known; ballots count.
    Drawn,
    /// The jury's ballots determine one share.
    Accepted,
    /// The escrow has been told.
    Executed
}

struct Case {
    Stage stage;
    /// 0 is the pool of the terms, 1 its parent.
    uint8 instance;
    /// 0 is the first jury of the instance, 1 the second.
    uint8 jury;
    /// Index of the member list pinned at funding.
    uint32 list;
    uint40 disputedAt;
    uint40 targetBlock;
    /// When the ruling was accepted, else zero.
    uint40 acceptedAt;
    /// The bounds of the ruling, in basis points.
    uint16 lo;
    uint16 hi;
    bytes32 seed;
    /// The ballots while they are counted; zero again once a ruling is accepted (the last BallotsCounted has them).
    /// One 5-bit field a seat, seat 0 lowest: 0 none, 1 to 21 is share/500 + 1, 31 void. From bit 155 one bit a seat:
    /// cast on chain, therefore final.
    uint256 ballots;
}

/// @title  ArbitrationPools
/// @notice Juries drawn from published member lists rule on disputed deals. Nobody owns it.
interface IArbitrationPools is IArbiter {
    event PoolCreated(bytes32 indexed pool, RuleBook book);
    event ListPublished(bytes32 indexed pool, uint32 list, uint32 size, uint40 effectiveAt, address[] pages);
    event CaseOpened(
        bytes32 indexed deal,
        address indexed escrow,
        bytes32 indexed pool,
        uint8 instance,
        uint8 jury,
        uint32 list,
        uint40 disputedAt,
        uint40 targetBlock
    );
    /// Nobody called in time; the target moved by the fixed stride.
    event TargetMoved(bytes32 indexed deal, address indexed escrow, uint40 targetBlock);
    event JuryDrawn(
        bytes32 indexed deal, address indexed escrow, uint8 instance, uint8 jury, bytes32 seed, address[] seats
    );
    event BallotCast(
        bytes32 indexed deal,
        address indexed escrow,
        uint8 instance,
        uint8 jury,
        uint8 seat,
        uint16 share,
        bytes32 reason
    );
    /// `ballots` is the case's word after counting; see Case.
    event BallotsCounted(
        bytes32 indexed deal, address indexed escrow, uint8 instance, uint8 jury, uint256 ballots, uint16 lo, uint16 hi
    );
    event RulingAccepted(bytes32 indexed deal, address indexed escrow, uint8 instance, uint8 jury, uint16 share);
    event RulingExecuted(bytes32 indexed deal, address indexed escrow, uint16 share);

    /* REFUSALS, terms */

    error BadJurySize(uint256 size);
    error BadPeriod();
    /// The rule book names a parent and this contract hears no appeals, or names an appeal period without a parent.
    error BadParent();
    error NotMyDeal();

    /* REFUSALS, state */

    error PoolExists();
    error UnknownPool();
    error UnknownCase();
    error CaseExists();
    error NotDisputed();
    error NotDrawn();
    error AlreadyDrawn();
    error NotAccepted();
    error AlreadyAccepted();
    error AlreadyExecuted();
    /// No list was in effect when the deal was funded.
    error NoList();
    error TooFewMembers(uint256 eligible, uint256 needed);

    /* REFUSALS, time */

    /// `opensAt` is a block number in `draw`.
    error TooEarly(uint256 opensAt);
    /// Past the escrow's deadline for a ruling, `closedAt` in Unix seconds.
    error TooLate(uint256 closedAt);

    /* REFUSALS, authority */

    error NotKeeper();
    error NotJuror(uint256 seat);
    error InvalidBallot(uint256 seat);

    /* REFUSALS, amount */

    error BadShare(uint256 share);
    error BadSeat(uint256 seat);
    error SeatVoid(uint256 seat);
    /// A seat's ballot cast on chain is final.
    error SeatFinal(uint256 seat);
    error ListNotAscending(uint256 index);
    /// Not a page, more pages than a list may have (64), or, with address zero, not 1 to 1,200 members.
    error BadPage(address page);
    /// Nothing in the submission changes the count.
    error NoBallots();

    /* REFUSALS, intake */

    /// Too little gas for the escrow to pay out by the ruling that these ballots determine.
    error NotEnoughGas();

    /* POOLS AND LISTS */

    function createPool(RuleBook calldata book) external returns (bytes32 pool);
    /// Stores up to 1,200 strictly ascending addresses as a data contract (a zero byte, then 20 bytes each).
    /// Its address depends on the members alone; storing them again returns the same page.
    function storePage(address[] calldata members) external returns (address page);
    /// The keeper publishes the next list, made of pages whose addresses ascend throughout. At least 2N + 2 members.
    function publish(bytes32 pool, address[] calldata pages) external returns (uint32 list);

    /* CASES: permissionless and retryable */

    /// Fixes the target block, two after this one.
    function open(address escrow, Terms calldata terms) external;
    /// Seats the jury by the target block's hash; where that is no longer known, the target moves instead.
    function draw(address escrow, Terms calldata terms) external;
    /// The caller is the juror of `seat`; final, and overrides a signature.
    function cast(address escrow, Terms calldata terms, uint8 seat, uint16 share, bytes32 reason) external;
    /// Counts signed ballots; those of a seat that is void or final change nothing, a second share of one seat voids it.
    /// Executes at once where no appeal is possible and the ruling is determined.
    function submit(address escrow, Terms calldata terms, Ballot[] calldata ballots) external;
    /// Tells the escrow a ruling that it could not take when it was accepted.
    function execute(address escrow, Terms calldata terms) external;

    /* READING */

    function poolId(RuleBook calldata book) external pure returns (bytes32);
    function bookOf(bytes32 pool) external view returns (RuleBook memory);
    /// Seconds from a dispute to the latest execution of a ruling.
    function worstCase(bytes32 pool) external view returns (uint256);
    function listCount(bytes32 pool) external view returns (uint32);
    /// The newest list in effect at `time`; reverts with NoList.
    function listAt(bytes32 pool, uint40 time) external view returns (uint32);
    function membersOf(bytes32 pool, uint32 list) external view returns (address[] memory);
    function caseOf(address escrow, bytes32 deal) external view returns (Case memory);
    /// The drawn seats in order.
    function juryOf(address escrow, Terms calldata terms) external view returns (address[] memory);
    function caseId(address escrow, Terms calldata terms) external view returns (bytes32);
    function DOMAIN_SEPARATOR() external view returns (bytes32);
}
