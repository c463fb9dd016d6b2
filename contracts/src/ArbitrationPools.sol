// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Cases} from "./Cases.sol";
import {Ballot, IArbitrationPools, Stage} from "./interfaces/IArbitrationPools.sol";
import {IEscrow, State, Terms} from "./interfaces/IEscrow.sol";
import {Ballots} from "./libraries/Ballots.sol";
import {DealId} from "./libraries/DealId.sol";
import {Docket, Dockets, Panel} from "./libraries/Docket.sol";
import {PastBlock} from "./libraries/PastBlock.sol";
import {Signatures} from "./libraries/Signatures.sol";
import {TypedData} from "./libraries/TypedData.sol";

/// @title  ArbitrationPools
/// @notice See IArbitrationPools.
/// @dev    Every function but `open` finds the deal by the terms, so the pool is the one that the parties signed. What was
///         opened for a deal with another arbiter can never be drawn.
contract ArbitrationPools is Cases {
    using Ballots for uint256;
    using DealId for Terms;

    /// The target lies this many blocks after the opening, so that its hash is not known to who opens.
    uint256 private constant TARGET_AHEAD = 2;
    /// A missed target moves by a multiple of this many blocks.
    uint256 private constant STRIDE = 256;

    bytes32 private constant BALLOT_TYPEHASH = keccak256("Ballot(bytes32 caseId,uint16 share,bytes32 reason)");
    bytes32 private constant APPEAL_TYPEHASH = keccak256("Appeal(bytes32 deal,uint40 validUntil)");

    /* OPENING AND DRAWING */

    /// @inheritdoc IArbitrationPools
    function open(address escrow, bytes32 deal) external {
        Record storage record = _records[escrow][deal];
        if (record.dockets[0].stage() != Stage.None) revert CaseExists();
        State memory state = _disputed(escrow, deal);
        uint256 target = block.number + TARGET_AHEAD;
        record.dockets[0] = Dockets.opened(0, 0, target).withTimes(state.fundedAt, state.since);
        // A block's number.
        // forge-lint: disable-next-line(unsafe-typecast)
        emit CaseOpened(deal, escrow, 0, 0, uint40(target));
    }

    /// @inheritdoc IArbitrationPools
    function draw(address escrow, Terms calldata terms) external {
        Hearing memory hearing = _hearing(escrow, terms);
        Docket docket = hearing.docket;
        if (docket.stage() != Stage.Opened) revert AlreadyDrawn();
        if (docket.seats() == 0) docket = _withPanel(docket, terms);
        uint256 target = docket.moment();
        if (block.number <= target) revert TooEarly(target + 1);
        if (block.timestamp > docket.endsAt()) revert TooLate(docket.endsAt());
        bytes32 hash = PastBlock.hashOf(target);
        if (hash == 0) {
            // The first multiple of the stride whose hash nobody knows yet.
            target += ((block.number + 1 - target) / STRIDE + 1) * STRIDE;
            _set(hearing, hearing.docket.withMoment(target));
            // forge-lint: disable-next-line(unsafe-typecast)
            emit TargetMoved(hearing.deal, escrow, uint40(target));
            return;
        }
        docket = docket.drawn(keccak256(abi.encode(hash, hearing.deal, docket.instance(), docket.jury())));
        _set(hearing, docket);
        emit JuryDrawn(
            hearing.deal,
            escrow,
            _poolOf(docket, terms),
            docket.instance(),
            docket.jury(),
            docket.list(),
            uint40(docket.endsAt()),
            docket.seed(),
            _seatsOf(hearing, terms, hearing.number, docket)
        );
    }

    /// @inheritdoc IArbitrationPools
    function openSecondJury(address escrow, Terms calldata terms) external {
        Hearing memory hearing = _undecided(escrow, terms);
        Docket docket = hearing.docket;
        if (docket.jury() != 0) revert NoFurtherJury();
        if (docket.stage() != Stage.Drawn) revert NotDrawn();
        uint256 end = docket.endsAt();
        uint256 first = end - _span(_pool(_poolOf(docket, terms))) / 2;
        if (block.timestamp <= first) revert TooEarly(first + 1);
        if (block.timestamp > end) revert TooLate(end);
        _openAnother(hearing, Dockets.opened(docket.instance(), 1, block.number + TARGET_AHEAD).withPanelOf(docket));
    }

    /// The pool of the terms or, where that had no list, its parent; and the list in effect when the deal was funded.
    function _withPanel(Docket docket, Terms calldata terms) private view returns (Docket) {
        bytes32 pool = terms.annex.panel;
        Pool storage entry = _pool(pool);
        uint40 fundedAt = docket.fundedAt();
        (bool found, uint32 list) = _listAt(pool, fundedAt);
        Panel memory panel;
        panel.appealable = entry.appeal != 0;
        if (!found && panel.appealable) {
            (pool, panel.instance, panel.appealable) = (entry.parent, 1, false);
            entry = _pool(pool);
            (found, list) = _listAt(pool, fundedAt);
        }
        if (!found) revert NoList();
        panel.seats = entry.jurySize;
        panel.list = list;
        panel.members = _list(pool, list).size;
        uint256 span = _span(entry);
        panel.endsAt = docket.beganAt() + (span < terms.ruling ? span : terms.ruling);
        if (panel.appealable) panel.appealable = _couldSeat(entry.parent, fundedAt, 2 * panel.seats);
        return docket.withPanel(panel);
    }

    /// Whether two juries of `pool` can be seated whomever `seated` earlier jurors and the parties leave.
    function _couldSeat(bytes32 pool, uint40 fundedAt, uint256 seated) private view returns (bool) {
        (bool found, uint32 list) = _listAt(pool, fundedAt);
        return found && _list(pool, list).size >= 2 * uint256(_pool(pool).jurySize) + 2 + seated;
    }

    function _openAnother(Hearing memory hearing, Docket docket) private {
        Record storage record = _records[hearing.escrow][hearing.deal];
        uint256 number = hearing.number + 1;
        record.dockets[number] = docket;
        record.dockets[0] = record.dockets[0].withLast(number);
        emit CaseOpened(hearing.deal, hearing.escrow, docket.instance(), docket.jury(), uint40(docket.moment()));
    }

    /* BALLOTS */

    /// @inheritdoc IArbitrationPools
    function cast(address escrow, Terms calldata terms, uint8 jury, uint8 seat, uint16 share, bytes32 reason) external {
        Hearing memory hearing = _undecided(escrow, terms);
        Record storage record = _records[escrow][hearing.deal];
        (uint256 number, Docket docket) = _drawn(hearing, jury);
        if (block.timestamp > docket.endsAt()) revert TooLate(docket.endsAt());
        address[] memory seats = _seatsOf(hearing, terms, number, docket);
        if (seat >= seats.length) revert BadSeat(seat);
        if (msg.sender != seats[seat]) revert NotJuror(seat);
        if (!Ballots.isShare(share)) revert BadShare(share);
        uint256 ballots = docket.voted() ? record.ballots[number] : 0;
        if (ballots.isVoid(seat)) revert SeatVoid(seat);
        if (ballots.isFinal(seat)) revert SeatFinal(seat);
        emit BallotCast(hearing.deal, escrow, docket.instance(), jury, seat, share, reason);
        _count(hearing, terms, number, docket, ballots.withCast(seat, share));
    }

    /// @inheritdoc IArbitrationPools
    function submit(address escrow, Terms calldata terms, uint8 jury, Ballot[] calldata ballots) external {
        Hearing memory hearing = _undecided(escrow, terms);
        Record storage record = _records[escrow][hearing.deal];
        (uint256 number, Docket docket) = _drawn(hearing, jury);
        if (block.timestamp > docket.endsAt()) revert TooLate(docket.endsAt());
        bytes32 id = _caseId(hearing, docket, _poolOf(docket, terms));
        address[] memory seats = _seatsOf(hearing, terms, number, docket);
        uint256 before = docket.voted() ? record.ballots[number] : 0;
        uint256 counted = before;
        bytes32 domain = _domainSeparator();
        for (uint256 i; i < ballots.length; ++i) {
            counted = _counted(counted, ballots[i], id, domain, seats);
        }
        if (counted == before) revert NoBallots();
        _count(hearing, terms, number, docket, counted);
    }

    function _counted(uint256 word, Ballot calldata ballot, bytes32 id, bytes32 domain, address[] memory seats)
        private
        pure
        returns (uint256)
    {
        (uint256 seat, uint256 share) = (ballot.seat, ballot.share);
        if (seat >= seats.length) revert BadSeat(seat);
        bytes32 digest = TypedData.digest(domain, TypedData.hash3(BALLOT_TYPEHASH, id, share, ballot.reason));
        if (!Signatures.isSignedByKey(seats[seat], digest, ballot.r, ballot.vs)) revert InvalidBallot(seat);
        if (!Ballots.isShare(share)) revert BadShare(share);
        return word.withSigned(seat, share);
    }

    /// Takes a jury's new word of ballots, and rules when it determines one share.
    function _count(Hearing memory hearing, Terms calldata terms, uint256 number, Docket docket, uint256 ballots)
        private
    {
        (uint16 lo, uint16 hi) = ballots.bounds(docket.seats());
        if (lo == hi) return _accept(hearing, terms, docket.jury(), ballots, lo, block.timestamp);
        Record storage record = _records[hearing.escrow][hearing.deal];
        record.ballots[number] = ballots;
        if (!docket.voted()) record.dockets[number] = docket.withVoted();
        emit BallotsCounted(hearing.deal, hearing.escrow, docket.instance(), docket.jury(), ballots, lo, hi);
    }

    /* RULINGS */

    /// @inheritdoc IArbitrationPools
    function conclude(address escrow, Terms calldata terms) external {
        Hearing memory hearing = _undecided(escrow, terms);
        Docket docket = hearing.docket;
        if (docket.seats() == 0) revert NotDrawn();
        uint256 deadline = uint256(_disputed(escrow, hearing.deal).since) + terms.ruling;
        uint256 end = docket.endsAt();
        if (block.timestamp <= end) revert TooEarly(end + 1);
        if (block.timestamp > deadline) revert TooLate(deadline);
        Record storage record = _records[escrow][hearing.deal];
        uint16 share = _lastWord(record, hearing.number, docket, terms.lapseShare);
        uint256 ballots = docket.voted() ? record.ballots[hearing.number] : 0;
        _accept(hearing, terms, docket.jury(), ballots, share, end);
    }

    /// What the ballots of the instance leave of the share that stands without them. Each jury's word is clamped in turn,
    /// so that a second jury which says nothing does not undo what the first one said.
    function _lastWord(Record storage record, uint256 number, Docket docket, uint16 lapseShare)
        private
        view
        returns (uint16 share)
    {
        uint256 first = number - docket.jury();
        bool appealed = first != 0;
        share = appealed ? record.dockets[first - 1].share() : lapseShare;
        bool silent = true;
        for (uint256 n = first; n <= number; ++n) {
            Docket heard = record.dockets[n];
            if (!heard.voted()) continue;
            silent = false;
            (uint16 lo, uint16 hi) = record.ballots[n].bounds(heard.seats());
            if (share < lo) share = lo;
            if (share > hi) share = hi;
        }
        if (silent && !appealed) revert NoBallots();
    }

    /// @inheritdoc IArbitrationPools
    function execute(address escrow, Terms calldata terms) external {
        Hearing memory hearing = _accepted(escrow, terms);
        Docket docket = hearing.docket;
        if (docket.appealable()) {
            uint256 until = docket.moment() + _pool(terms.annex.panel).appeal;
            if (block.timestamp <= until) revert TooEarly(until + 1);
        }
        _set(hearing, docket.withStage(Stage.Executed));
        (bool ok, bytes memory reason) = escrow.call(terms.ruleCall(docket.share()));
        if (!ok) {
            assembly ("memory-safe") {
                revert(add(reason, 0x20), mload(reason))
            }
        }
        emit RulingExecuted(hearing.deal, escrow, docket.share());
    }

    /// The phases that follow are counted from `time`, whenever somebody called.
    function _accept(
        Hearing memory hearing,
        Terms calldata terms,
        uint8 jury,
        uint256 ballots,
        uint16 share,
        uint256 time
    ) private {
        uint256 until = hearing.docket.appealable() ? _appealUntil(hearing, terms, time) : 0;
        Docket docket = hearing.docket.accepted(share, time, until != 0);
        uint256 executableAt = until + 1;
        if (block.timestamp < executableAt) {
            _set(hearing, docket);
        } else {
            _set(hearing, docket.withStage(Stage.Executed));
            executableAt = 0;
            if (!_tell(hearing, terms, share)) {
                executableAt = block.timestamp;
                _set(hearing, docket);
            }
        }
        // Unix seconds.
        // forge-lint: disable-next-line(unsafe-typecast)
        emit RulingAccepted(hearing.deal, hearing.escrow, docket.instance(), jury, ballots, share, uint40(executableAt));
    }

    /// Whether the escrow took the ruling. One that it does not take now stays accepted, for `execute` to try again. But
    /// nothing is accepted for want of gas, so that an estimate finds what the whole needs; nor from within a call of the
    /// escrow, where a stranger could choose the last moment to make it fail; nor where the deal is closed already.
    function _tell(Hearing memory hearing, Terms calldata terms, uint16 share) private returns (bool ok) {
        bytes memory reason;
        (ok, reason) = hearing.escrow.call(terms.ruleCall(share));
        if (ok) return true;
        // The selector is all that is wanted of the reason.
        // forge-lint: disable-next-line(unsafe-typecast)
        bytes4 why = bytes4(reason);
        if (reason.length == 0 || why == NotEnoughGas.selector) revert NotEnoughGas();
        if (why == Reentered.selector) revert Reentered();
        if (why == IEscrow.DealClosed.selector) revert NotDisputed();
    }

    /* APPEAL */

    /// @inheritdoc IArbitrationPools
    function appeal(address escrow, Terms calldata terms) external {
        Hearing memory hearing = _appealed(escrow, terms);
        _requireParty(terms, msg.sender);
        _appeal(hearing, terms, msg.sender);
    }

    /// @inheritdoc IArbitrationPools
    function appealBySig(
        address escrow,
        Terms calldata terms,
        address party,
        uint40 validUntil,
        bytes calldata signature
    ) external {
        Hearing memory hearing = _appealed(escrow, terms);
        if (block.timestamp > validUntil) revert SignatureExpired(validUntil);
        _requireParty(terms, party);
        bytes32 digest = _hashTypedData(keccak256(abi.encode(APPEAL_TYPEHASH, hearing.deal, validUntil)));
        if (!Signatures.isValid(party, digest, signature)) revert InvalidSignature(party);
        _appeal(hearing, terms, party);
    }

    function _requireParty(Terms calldata terms, address party) private pure {
        if (party != terms.buyer && party != terms.seller) revert NotParty();
    }

    /// A case whose ruling can be appealed now.
    function _appealed(address escrow, Terms calldata terms) private view returns (Hearing memory hearing) {
        hearing = _accepted(escrow, terms);
        if (!hearing.docket.appealable()) revert NotAppealable();
        _disputed(escrow, hearing.deal);
        uint256 until = hearing.docket.moment() + _pool(terms.annex.panel).appeal;
        if (block.timestamp > until) revert TooLate(until);
    }

    function _appeal(Hearing memory hearing, Terms calldata terms, address party) private {
        Pool storage entry = _pool(terms.annex.panel);
        bytes32 parent = entry.parent;
        (, uint32 list) = _listAt(parent, _disputed(hearing.escrow, hearing.deal).fundedAt);
        Panel memory panel;
        panel.instance = 1;
        panel.seats = _pool(parent).jurySize;
        panel.list = list;
        panel.members = _list(parent, list).size;
        panel.endsAt = hearing.docket.moment() + entry.appeal + _span(_pool(parent));
        Docket docket = Dockets.opened(1, 0, block.number + TARGET_AHEAD).withPanel(panel);
        emit Appealed(hearing.deal, hearing.escrow, party);
        _openAnother(hearing, docket);
    }

    /// Until when a ruling accepted at `time` can be appealed; zero where the terms leave too little time for an appeal.
    function _appealUntil(Hearing memory hearing, Terms calldata terms, uint256 time) private view returns (uint256) {
        Pool storage entry = _pool(terms.annex.panel);
        uint256 deadline = uint256(_disputed(hearing.escrow, hearing.deal).since) + terms.ruling;
        return time + _appealTime(entry) <= deadline ? time + entry.appeal : 0;
    }
}
