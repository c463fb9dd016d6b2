// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {EIP712} from "solady/utils/EIP712.sol";
import {Ballot, Case, IArbitrationPools, RuleBook, Stage} from "./interfaces/IArbitrationPools.sol";
import {IArbiter, IEscrow, State, Status, Terms} from "./interfaces/IEscrow.sol";
import {Ballots} from "./libraries/Ballots.sol";
import {DealId} from "./libraries/DealId.sol";
import {Docket, Dockets} from "./libraries/Docket.sol";
import {MemberPages} from "./libraries/MemberPages.sol";
import {PastBlock} from "./libraries/PastBlock.sol";
import {Signatures} from "./libraries/Signatures.sol";
import {Sortition} from "./libraries/Sortition.sol";

/// @title  ArbitrationPools
/// @notice See IArbitrationPools. Instance and jury are always 0: this contract hears no appeals and seats no second
///         jury, and therefore counts ballots until the escrow's own deadline, past the end of `voting`.
/// @dev    A case belongs to the escrow that it was opened at: an escrow that lies deceives its own cases alone. Every
///         function finds the deal by the terms, so the pool is the one that the parties signed.
contract ArbitrationPools is IArbitrationPools, EIP712 {
    using Ballots for uint256;
    using DealId for Terms;
    using Dockets for Docket;
    using Dockets for uint256;
    using Sortition for Sortition.Deck;

    struct Pool {
        address keeper;
        uint8 jurySize;
        uint32 lists;
        /// When the newest list takes effect.
        uint40 newest;
        uint32 delay;
        uint32 opening;
        uint32 voting;
        bytes32 salt;
    }

    struct Page {
        address location;
        /// How many members this page and those before it have.
        uint32 end;
    }

    struct List {
        uint40 effectiveAt;
        uint32 size;
        mapping(uint256 number => Page) pages;
    }

    struct Record {
        uint256 docket;
        bytes32 seed;
        /// Zero again once a ruling is accepted; BallotsCounted has the last word.
        uint256 ballots;
    }

    /// A case in hand.
    struct Hearing {
        address escrow;
        bytes32 deal;
        Docket docket;
    }

    uint256 private constant LARGEST_JURY = 31;
    uint256 private constant MOST_PAGES = 64;
    uint256 private constant LONGEST_DELAY = 366 days;
    uint256 private constant SHORTEST_OPENING = 60 seconds;
    uint256 private constant LONGEST_OPENING = 30 days;
    uint256 private constant LONGEST_VOTING = 90 days;
    /// For executing a ruling, as part of the worst case.
    uint256 private constant EXECUTION = 1 days;
    /// The target lies this many blocks after the opening, so that its hash is not known to who opens.
    uint40 private constant TARGET_AHEAD = 2;
    /// A missed target moves by a multiple of this many blocks.
    uint256 private constant STRIDE = 256;

    bytes32 private constant BALLOT_TYPEHASH = keccak256("Ballot(bytes32 caseId,uint16 share,bytes32 reason)");

    mapping(bytes32 pool => Pool) private _pools;
    mapping(bytes32 pool => mapping(uint256 list => List)) private _lists;
    mapping(address escrow => mapping(bytes32 deal => Record)) private _records;

    /* POOLS AND LISTS */

    /// @inheritdoc IArbitrationPools
    function createPool(RuleBook calldata book) external returns (bytes32 pool) {
        if (book.jurySize % 2 == 0 || book.jurySize > LARGEST_JURY) revert BadJurySize(book.jurySize);
        if (
            book.delay > LONGEST_DELAY || book.opening < SHORTEST_OPENING || book.opening > LONGEST_OPENING
                || book.voting == 0 || book.voting > LONGEST_VOTING
        ) revert BadPeriod();
        if (book.parent != 0 || book.appeal != 0) revert BadParent();
        pool = poolId(book);
        Pool storage entry = _pools[pool];
        if (entry.jurySize != 0) revert PoolExists();
        entry.keeper = book.keeper;
        entry.jurySize = book.jurySize;
        entry.delay = book.delay;
        entry.opening = book.opening;
        entry.voting = book.voting;
        entry.salt = book.salt;
        emit PoolCreated(pool, book);
    }

    /// @inheritdoc IArbitrationPools
    function storePage(address[] calldata members) external returns (address page) {
        return MemberPages.store(members);
    }

    /// @inheritdoc IArbitrationPools
    function publish(bytes32 pool, address[] calldata pages) external returns (uint32 list) {
        Pool storage entry = _pool(pool);
        if (msg.sender != entry.keeper) revert NotKeeper();
        if (pages.length > MOST_PAGES) revert BadPage(pages[MOST_PAGES]);
        list = entry.lists;
        List storage target = _lists[pool][list];
        uint32 size;
        address last;
        for (uint256 i; i < pages.length; ++i) {
            uint32 count;
            (count, last) = MemberPages.check(pages[i], size, last);
            size += count;
            target.pages[i] = Page(pages[i], size);
        }
        uint256 needed = 2 * uint256(entry.jurySize) + 2;
        if (size < needed) revert TooFewMembers(size, needed);
        // At least a second, so that no list applies to a deal funded in the list's own block.
        uint40 effectiveAt = uint40(block.timestamp) + (entry.delay == 0 ? 1 : entry.delay);
        target.effectiveAt = effectiveAt;
        target.size = size;
        entry.lists = list + 1;
        entry.newest = effectiveAt;
        emit ListPublished(pool, list, size, effectiveAt, pages);
    }

    /* CASES */

    /// @inheritdoc IArbitrationPools
    function open(address escrow, Terms calldata terms) external {
        if (terms.arbiter != address(this)) revert NotMyDeal();
        bytes32 pool = terms.annex.panel;
        uint8 jurySize = _pool(pool).jurySize;
        bytes32 deal = IEscrow(escrow).idOf(terms);
        Record storage record = _records[escrow][deal];
        if (record.docket != 0) revert CaseExists();
        State memory state = IEscrow(escrow).stateOf(deal);
        if (state.status != Status.Disputed) revert NotDisputed();
        Docket memory docket;
        docket.list = listAt(pool, state.fundedAt);
        _requireInTime(state.since, terms.ruling);
        docket.stage = Stage.Opened;
        docket.jurySize = jurySize;
        docket.disputedAt = state.since;
        docket.targetBlock = uint40(block.number) + TARGET_AHEAD;
        docket.hi = Ballots.WHOLE;
        record.docket = docket.pack();
        emit CaseOpened(deal, escrow, pool, 0, 0, docket.list, docket.disputedAt, docket.targetBlock);
    }

    /// @inheritdoc IArbitrationPools
    function draw(address escrow, Terms calldata terms) external {
        Hearing memory hearing = _hearing(escrow, terms);
        Docket memory docket = hearing.docket;
        if (docket.stage != Stage.Opened) revert AlreadyDrawn();
        _requireInTime(docket.disputedAt, terms.ruling);
        uint40 target = docket.targetBlock;
        if (block.number <= target) revert TooEarly(target + 1);
        Record storage record = _records[escrow][hearing.deal];
        bytes32 hash = PastBlock.hashOf(target);
        if (hash == 0) {
            // The first multiple of the stride whose hash nobody knows yet.
            uint256 strides = (block.number + 1 - target) / STRIDE + 1;
            // forge-lint: disable-next-line(unsafe-typecast)
            docket.targetBlock = target + uint40(strides * STRIDE);
            record.docket = docket.pack();
            emit TargetMoved(hearing.deal, escrow, docket.targetBlock);
            return;
        }
        bytes32 seed = keccak256(abi.encode(hash, hearing.deal, docket.instance, docket.jury));
        docket.stage = Stage.Drawn;
        docket.size = _lists[terms.annex.panel][docket.list].size;
        record.docket = docket.pack();
        record.seed = seed;
        address[] memory seats = _seats(docket, seed, terms);
        emit JuryDrawn(hearing.deal, escrow, docket.instance, docket.jury, seed, seats);
    }

    /// @inheritdoc IArbitrationPools
    function cast(address escrow, Terms calldata terms, uint8 seat, uint16 share, bytes32 reason) external {
        Hearing memory hearing = _voting(escrow, terms);
        Record storage record = _records[escrow][hearing.deal];
        address[] memory seats = _seats(hearing.docket, record.seed, terms);
        if (seat >= seats.length) revert BadSeat(seat);
        if (msg.sender != seats[seat]) revert NotJuror(seat);
        if (!Ballots.isShare(share)) revert BadShare(share);
        uint256 ballots = record.ballots;
        if (ballots.isVoid(seat)) revert SeatVoid(seat);
        if (ballots.isFinal(seat)) revert SeatFinal(seat);
        emit BallotCast(hearing.deal, escrow, hearing.docket.instance, hearing.docket.jury, seat, share, reason);
        _count(hearing, terms, ballots, ballots.withCast(seat, share));
    }

    /// @inheritdoc IArbitrationPools
    function submit(address escrow, Terms calldata terms, Ballot[] calldata ballots) external {
        Hearing memory hearing = _voting(escrow, terms);
        Record storage record = _records[escrow][hearing.deal];
        bytes32 seed = record.seed;
        bytes32 id = _caseId(hearing, terms.annex.panel, seed);
        address[] memory seats = _seats(hearing.docket, seed, terms);
        uint256 before = record.ballots;
        uint256 counted = before;
        for (uint256 i; i < ballots.length; ++i) {
            Ballot calldata ballot = ballots[i];
            _checkBallot(ballot, id, seats);
            counted = counted.withSigned(ballot.seat, ballot.share);
        }
        if (counted == before) revert NoBallots();
        _count(hearing, terms, before, counted);
    }

    /// @inheritdoc IArbitrationPools
    function execute(address escrow, Terms calldata terms) external {
        Hearing memory hearing = _hearing(escrow, terms);
        if (hearing.docket.stage == Stage.Executed) revert AlreadyExecuted();
        if (hearing.docket.stage != Stage.Accepted) revert NotAccepted();
        _setStage(hearing, Stage.Executed);
        IEscrow(escrow).rule(terms.fold(), hearing.docket.lo);
        emit RulingExecuted(hearing.deal, escrow, hearing.docket.lo);
    }

    /* READING */

    /// @inheritdoc IArbiter
    function rulings(address escrow, bytes32 deal) external view returns (uint8) {
        return _records[escrow][deal].docket.unpack().stage >= Stage.Accepted ? 1 : 0;
    }

    /// @inheritdoc IArbitrationPools
    function poolId(RuleBook calldata book) public pure returns (bytes32) {
        return keccak256(abi.encode(book));
    }

    /// @inheritdoc IArbitrationPools
    function bookOf(bytes32 pool) external view returns (RuleBook memory) {
        Pool storage entry = _pool(pool);
        return RuleBook({
            keeper: entry.keeper,
            parent: 0,
            jurySize: entry.jurySize,
            delay: entry.delay,
            opening: entry.opening,
            voting: entry.voting,
            appeal: 0,
            salt: entry.salt
        });
    }

    /// @inheritdoc IArbitrationPools
    function worstCase(bytes32 pool) external view returns (uint256) {
        Pool storage entry = _pool(pool);
        return uint256(entry.opening) + entry.voting + EXECUTION;
    }

    /// @inheritdoc IArbitrationPools
    function listCount(bytes32 pool) external view returns (uint32) {
        return _pool(pool).lists;
    }

    /// @inheritdoc IArbitrationPools
    function listAt(bytes32 pool, uint40 time) public view returns (uint32) {
        Pool storage entry = _pools[pool];
        uint32 high = entry.lists;
        if (high == 0) revert NoList();
        if (entry.newest <= time) return high - 1;
        // Lists take effect in the order in which they were published.
        uint32 low;
        while (low < high) {
            uint32 middle = (low + high) / 2;
            if (_lists[pool][middle].effectiveAt <= time) low = middle + 1;
            else high = middle;
        }
        if (low == 0) revert NoList();
        return low - 1;
    }

    /// @inheritdoc IArbitrationPools
    function membersOf(bytes32 pool, uint32 list) external view returns (address[] memory members) {
        List storage source = _lists[pool][list];
        members = new address[](source.size);
        uint256 i;
        for (uint256 number; i < members.length; ++number) {
            Page memory page = source.pages[number];
            for (uint256 start = i; i < page.end; ++i) {
                members[i] = MemberPages.memberAt(page.location, i - start);
            }
        }
    }

    /// @inheritdoc IArbitrationPools
    function caseOf(address escrow, bytes32 deal) external view returns (Case memory) {
        Record storage record = _records[escrow][deal];
        Docket memory docket = record.docket.unpack();
        return Case({
            stage: docket.stage,
            instance: docket.instance,
            jury: docket.jury,
            list: docket.list,
            disputedAt: docket.disputedAt,
            targetBlock: docket.targetBlock,
            acceptedAt: docket.acceptedAt,
            lo: docket.lo,
            hi: docket.hi,
            seed: record.seed,
            ballots: record.ballots
        });
    }

    /// @inheritdoc IArbitrationPools
    function juryOf(address escrow, Terms calldata terms) external view returns (address[] memory) {
        Hearing memory hearing = _drawn(escrow, terms);
        return _seats(hearing.docket, _records[escrow][hearing.deal].seed, terms);
    }

    /// @inheritdoc IArbitrationPools
    function caseId(address escrow, Terms calldata terms) external view returns (bytes32) {
        Hearing memory hearing = _drawn(escrow, terms);
        return _caseId(hearing, terms.annex.panel, _records[escrow][hearing.deal].seed);
    }

    /// @inheritdoc IArbitrationPools
    function DOMAIN_SEPARATOR() external view returns (bytes32) {
        return _domainSeparator();
    }

    function _domainNameAndVersion() internal pure override returns (string memory name, string memory version) {
        return ("Earnest Arbitration Pools", "1");
    }

    /* LOADING */

    function _pool(bytes32 pool) private view returns (Pool storage entry) {
        entry = _pools[pool];
        if (entry.jurySize == 0) revert UnknownPool();
    }

    function _hearing(address escrow, Terms calldata terms) private view returns (Hearing memory hearing) {
        hearing.escrow = escrow;
        hearing.deal = IEscrow(escrow).idOf(terms);
        hearing.docket = _records[escrow][hearing.deal].docket.unpack();
        if (hearing.docket.stage == Stage.None) revert UnknownCase();
    }

    function _drawn(address escrow, Terms calldata terms) private view returns (Hearing memory hearing) {
        hearing = _hearing(escrow, terms);
        if (hearing.docket.stage == Stage.Opened) revert NotDrawn();
    }

    /// A case whose ballots still count.
    function _voting(address escrow, Terms calldata terms) private view returns (Hearing memory hearing) {
        hearing = _drawn(escrow, terms);
        if (hearing.docket.stage != Stage.Drawn) revert AlreadyAccepted();
        _requireInTime(hearing.docket.disputedAt, terms.ruling);
    }

    /// The escrow takes no ruling later.
    function _requireInTime(uint256 disputedAt, uint256 ruling) private view {
        if (block.timestamp > disputedAt + ruling) revert TooLate(disputedAt + ruling);
    }

    /* JURY AND BALLOTS */

    /// The jury that the seed seats: members in the order drawn, the deal's parties passed over.
    function _seats(Docket memory docket, bytes32 seed, Terms calldata terms)
        private
        view
        returns (address[] memory seats)
    {
        List storage list = _lists[terms.annex.panel][docket.list];
        address buyer = terms.buyer;
        address seller = terms.seller;
        seats = new address[](docket.jurySize);
        Sortition.Deck memory deck = Sortition.deck(seed, docket.size, seats.length + 2);
        for (uint256 taken; taken < seats.length;) {
            address member = _memberAt(list, deck.next());
            if (member != buyer && member != seller) seats[taken++] = member;
        }
    }

    function _memberAt(List storage list, uint256 index) private view returns (address member) {
        uint256 start;
        for (uint256 number;; ++number) {
            Page storage page = list.pages[number];
            (address location, uint256 end) = (page.location, page.end);
            if (index < end) return MemberPages.memberAt(location, index - start);
            start = end;
        }
    }

    function _caseId(Hearing memory hearing, bytes32 pool, bytes32 seed) private pure returns (bytes32) {
        Docket memory docket = hearing.docket;
        return keccak256(abi.encode(pool, hearing.escrow, hearing.deal, docket.instance, docket.jury, seed));
    }

    function _checkBallot(Ballot calldata ballot, bytes32 id, address[] memory seats) private view {
        uint256 seat = ballot.seat;
        if (seat >= seats.length) revert BadSeat(seat);
        bytes32 digest = _hashTypedData(keccak256(abi.encode(BALLOT_TYPEHASH, id, ballot.share, ballot.reason)));
        if (!Signatures.isSignedByKey(seats[seat], digest, ballot.signature)) revert InvalidBallot(seat);
        if (!Ballots.isShare(ballot.share)) revert BadShare(ballot.share);
    }

    /// Takes the ballots' new word, and rules when it determines one share.
    function _count(Hearing memory hearing, Terms calldata terms, uint256 before, uint256 ballots) private {
        Docket memory docket = hearing.docket;
        Record storage record = _records[hearing.escrow][hearing.deal];
        (docket.lo, docket.hi) = ballots.bounds(docket.jurySize);
        emit BallotsCounted(hearing.deal, hearing.escrow, docket.instance, docket.jury, ballots, docket.lo, docket.hi);
        if (docket.lo != docket.hi) {
            record.docket = docket.pack();
            record.ballots = ballots;
            return;
        }
        docket.acceptedAt = uint40(block.timestamp);
        if (before != 0) record.ballots = 0;
        _setStage(hearing, Stage.Accepted);
        emit RulingAccepted(hearing.deal, hearing.escrow, docket.instance, docket.jury, docket.lo);
        // A ruling that the escrow does not take now stays accepted, for `execute` to try again.
        try IEscrow(hearing.escrow).rule(terms.fold(), docket.lo) {
            _setStage(hearing, Stage.Executed);
            emit RulingExecuted(hearing.deal, hearing.escrow, docket.lo);
        } catch (bytes memory reason) {
            // For want of gas nothing is accepted either, so that an estimate finds what the whole needs.
            // The selector is all that is wanted of the reason.
            // forge-lint: disable-next-line(unsafe-typecast)
            if (reason.length == 0 || bytes4(reason) == NotEnoughGas.selector) revert NotEnoughGas();
        }
    }

    function _setStage(Hearing memory hearing, Stage stage) private {
        hearing.docket.stage = stage;
        _records[hearing.escrow][hearing.deal].docket = hearing.docket.pack();
    }
}
