// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IArbiter, Terms} from "./IEscrow.sol";

/// The immutable rules of a pool. Their hash is the pool's id, which terms name as their panel.
struct RuleBook {
    /// Who may publish member lists.
    address keeper;
    /// The pool that hears appeals, or zero. It exists already, so that no chain of parents closes.
    bytes32 parent;
    /// Seats of a jury: odd, 1 to 31.
    uint8 jurySize;
    /// Seconds before a published list takes effect; at most 366 days. Zero counts as one, so that no list applies to a
    /// deal funded in the list's own block.
    uint32 delay;
    /// Seconds for opening a jury's hearing and drawing it; 60 seconds to 30 days.
    uint32 opening;
    /// Seconds of voting after that; 1 second to 90 days.
    uint32 voting;
    /// Seconds in which an accepted ruling may be appealed: 1 second to 90 days with a parent, zero without.
    uint32 appeal;
    /// Tells equal rule books apart.
    bytes32 salt;
}

/// One juror's word on one case. Signed as EIP-712 `Ballot(bytes32 caseId,uint16 share,bytes32 reason)` under the
/// domain of the pools contract, by the key of the seat; a juror without a key casts on chain instead.
struct Ballot {
    /// Index of the juror's seat in the drawn jury.
    uint8 seat;
    /// The seller's share of the whole amount in basis points, a multiple of 500.
    uint16 share;
    /// SHA-256 of the juror's written reason, or zero.
    bytes32 reason;
    /// The signature's r.
    bytes32 r;
    /// The signature's s with its parity in the highest bit (EIP-2098); s in the lower half of the order.
    bytes32 vs;
}

enum Stage {
    None,
    /// The target block is fixed.
    Opened,
    /// Seats are known; ballots count.
    Drawn,
    /// A ruling is accepted.
    Accepted,
    /// The escrow has been told.
    Executed
}

/// One jury of a case. A case has up to four: a first and a second one of the pool, and the same of its parent. The case
/// stands where its last jury stands.
struct Jury {
    /// Where a ruling is accepted it stands in the last jury's entry, whichever jury's ballots determined it.
    Stage stage;
    /// 0 is the pool of the terms, 1 its parent.
    uint8 instance;
    /// 0 is the first jury of the instance, 1 the second.
    uint8 jury;
    /// Seats of the jury; zero until it is drawn, for the first one.
    uint8 seats;
    /// Whether its ruling can still be appealed, or could be once there is one.
    bool appealable;
    /// Index and size of the member list pinned at funding; zero until drawn, for the first one.
    uint32 list;
    uint32 members;
    /// When the instance's last word falls, and the last second in which ballots count; Unix seconds. Zero until drawn,
    /// for the first jury.
    uint40 endsAt;
    /// The block whose hash decides the draw, until it is drawn; else zero.
    uint40 targetBlock;
    /// When the ruling was accepted; else zero.
    uint40 acceptedAt;
    /// The accepted ruling, the seller's share in basis points; else zero.
    uint16 share;
    /// What the draw follows from, in its first 12 bytes; zero until drawn.
    bytes32 seed;
    /// The ballots counted so far. One 5-bit field a seat, seat 0 lowest: 0 none, 1 to 21 is share/500 + 1, 31 void. From
    /// bit 155 one bit a seat: cast on chain, therefore final. The ballots that determine a ruling are in
    /// RulingAccepted alone.
    uint256 ballots;
}

/// @title  ArbitrationPools
/// @notice Juries drawn from published member lists rule on disputed deals. Nobody owns it.
interface IArbitrationPools is IArbiter {
    event PoolCreated(bytes32 indexed pool, RuleBook book);
    event ListPublished(bytes32 indexed pool, uint32 list, uint32 size, uint40 effectiveAt, address[] pages);
    /// A jury can be drawn by the hash of `targetBlock`. `instance` of a case's first jury is 0 here; where the pool had no
    /// list, JuryDrawn says 1.
    event CaseOpened(bytes32 indexed deal, address indexed escrow, uint8 instance, uint8 jury, uint40 targetBlock);
    /// Nobody called in time; the target moved by the fixed stride.
    event TargetMoved(bytes32 indexed deal, address indexed escrow, uint40 targetBlock);
    event JuryDrawn(
        bytes32 indexed deal,
        address indexed escrow,
        bytes32 indexed pool,
        uint8 instance,
        uint8 jury,
        uint32 list,
        uint40 endsAt,
        bytes32 seed,
        address[] seats
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
    /// Ballots that do not determine a ruling yet. `ballots` is the jury's word after counting; see Jury.
    event BallotsCounted(
        bytes32 indexed deal, address indexed escrow, uint8 instance, uint8 jury, uint256 ballots, uint16 lo, uint16 hi
    );
    /// The one event of a call by which a ruling is accepted. `jury` is the one whose ballots determined it, the last one of
    /// the instance where none did; `ballots` is that jury's word. Zero as `executableAt` says that the escrow has been told
    /// in the same call; else the second from which it can be: until then the ruling can be appealed.
    event RulingAccepted(
        bytes32 indexed deal,
        address indexed escrow,
        uint8 instance,
        uint8 jury,
        uint256 ballots,
        uint16 share,
        uint40 executableAt
    );
    event Appealed(bytes32 indexed deal, address indexed escrow, address by);
    /// The escrow has been told a ruling that was accepted before.
    event RulingExecuted(bytes32 indexed deal, address indexed escrow, uint16 share);

    /* REFUSALS, terms */

    error BadJurySize(uint256 size);
    error BadPeriod();
    /// The rule book's parent does not exist, or it names an appeal period without a parent, or a parent without one.
    error BadParent();
    error NotMyDeal();

    /* REFUSALS, state */

    error PoolExists();
    error UnknownPool();
    error UnknownCase();
    error CaseExists();
    error NotDrawn();
    error AlreadyDrawn();
    error NotAccepted();
    error AlreadyAccepted();
    error AlreadyExecuted();
    /// The instance has its second jury already.
    error NoFurtherJury();
    /// The pool has no parent, its parent could not seat two juries, the terms leave too little time, or the ruling is an
    /// appeal's own.
    error NotAppealable();
    /// Neither the pool nor its parent had a list in effect when the deal was funded.
    error NoList();
    error NotDisputed();

    /* REFUSALS, time */

    /// `opensAt` is a block number in `draw`, else Unix seconds.
    error TooEarly(uint256 opensAt);
    /// `closedAt` in Unix seconds.
    error TooLate(uint256 closedAt);
    error SignatureExpired(uint256 validUntil);

    /* REFUSALS, authority */

    error NotKeeper();
    error NotParty();
    error BadSeat(uint256 seat);
    error NotJuror(uint256 seat);
    error InvalidBallot(uint256 seat);
    error InvalidSignature(address signer);

    /* REFUSALS, amount */

    error BadShare(uint256 share);
    error SeatVoid(uint256 seat);
    /// A seat's ballot cast on chain is final.
    error SeatFinal(uint256 seat);
    error ListNotAscending(uint256 index);
    /// Not a page that `storePage` made here, more pages than a list may have (64), or, with address zero, not 1 to 1,200 members.
    error BadPage(address page);
    error TooFewMembers(uint256 eligible, uint256 needed);
    /// Nothing in the submission changes the count; in `conclude`, no jury of the case has said anything.
    error NoBallots();

    /* REFUSALS, intake */

    /// Too little gas for the escrow to pay out by the ruling that is accepted.
    error NotEnoughGas();
    /// From within a call of the escrow, which takes no ruling then.
    error Reentered();

    /* POOLS AND LISTS */

    function createPool(RuleBook calldata book) external returns (bytes32 pool);
    /// Stores up to 1,200 strictly ascending addresses as a data contract (a zero byte, then 20 bytes each).
    /// Its address depends on the members alone; storing them again returns the same page.
    function storePage(address[] calldata members) external returns (address page);
    /// The keeper publishes the next list, made of pages whose addresses ascend throughout. At least 2N + 2 members.
    function publish(bytes32 pool, address[] calldata pages) external returns (uint32 list);

    /* CASES: permissionless and retryable, but for the appeal, which is a party's */

    /// Fixes the target block of the first jury, two after this one. The terms come with the draw.
    function open(address escrow, bytes32 deal) external;
    /// Seats the last jury by the target block's hash; where that is no longer known, the target moves instead.
    function draw(address escrow, Terms calldata terms) external;
    /// Opens the instance's second jury, once the first one's voting is over: `opening` + `voting` before `endsAt`. The
    /// first may still rule until the second has.
    function openSecondJury(address escrow, Terms calldata terms) external;
    /// The caller is the juror of `seat` in jury 0 or 1 of the present instance; final, and overrides a signature.
    function cast(address escrow, Terms calldata terms, uint8 jury, uint8 seat, uint16 share, bytes32 reason) external;
    /// Counts signed ballots of jury 0 or 1 of the present instance; those of a seat that is void or final change nothing,
    /// a second share of one seat voids it. Executes at once where the ruling is determined and no appeal is possible.
    function submit(address escrow, Terms calldata terms, uint8 jury, Ballot[] calldata ballots) external;
    /// The last word of an instance whose juries did not rule by `endsAt`: the share that stands without them (the ruling
    /// appealed from, or lapseShare), moved into the bounds of the first jury's ballots, then into those of the second's.
    function conclude(address escrow, Terms calldata terms) external;
    /// The caller, buyer or seller, brings the accepted ruling before the parent pool. Once a case.
    function appeal(address escrow, Terms calldata terms) external;
    /// The same by the party's EIP-712 `Appeal(bytes32 deal,uint40 validUntil)` under the domain of the pools contract.
    function appealBySig(
        address escrow,
        Terms calldata terms,
        address party,
        uint40 validUntil,
        bytes calldata signature
    ) external;
    /// Tells the escrow an accepted ruling whose time for appeal is over, or that it could not take when it was accepted.
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
    /// The case's juries in the order in which they were opened, empty where there is no case.
    function caseOf(address escrow, bytes32 deal) external view returns (Jury[] memory);
    /// The seats in order of jury 0 or 1 of the present instance.
    function juryOf(address escrow, Terms calldata terms, uint8 jury) external view returns (address[] memory);
    /// What a ballot of jury 0 or 1 of the present instance is bound to.
    function caseId(address escrow, Terms calldata terms, uint8 jury) external view returns (bytes32);
    function DOMAIN_SEPARATOR() external view returns (bytes32);
}
