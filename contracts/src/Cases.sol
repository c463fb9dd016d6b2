// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {EIP712} from "solady/utils/EIP712.sol";
import {Pools} from "./Pools.sol";
import {IArbitrationPools, Jury, Stage} from "./interfaces/IArbitrationPools.sol";
import {IArbiter, IEscrow, State, Status, Terms} from "./interfaces/IEscrow.sol";
import {DealId} from "./libraries/DealId.sol";
import {Docket} from "./libraries/Docket.sol";
import {MemberPages} from "./libraries/MemberPages.sol";
import {Sortition} from "./libraries/Sortition.sol";

/// @title  Cases
/// @notice The cases, their juries, and who sits on them.
/// @dev    A case belongs to the escrow that it was opened at: an escrow that lies deceives its own cases alone.
abstract contract Cases is Pools, EIP712 {
    using DealId for Terms;
    using Sortition for Sortition.Deck;

    struct Record {
        /// A case has at most two juries in each of two instances.
        Docket[4] dockets;
        uint256[4] ballots;
    }

    /// A case in hand.
    struct Hearing {
        address escrow;
        bytes32 deal;
        /// The number of its last jury, and where that stands.
        uint256 number;
        Docket docket;
    }

    mapping(address escrow => mapping(bytes32 deal => Record)) internal _records;

    /* LOADING */

    /// A case that was opened, by the terms that name this contract.
    function _hearing(address escrow, Terms calldata terms) internal view returns (Hearing memory hearing) {
        if (terms.arbiter != address(this)) revert NotMyDeal();
        bytes32 deal = terms.idAt(escrow);
        Record storage record = _records[escrow][deal];
        Docket docket = record.dockets[0];
        if (docket.stage() == Stage.None) revert UnknownCase();
        uint256 number = docket.last();
        if (number != 0) docket = record.dockets[number];
        (hearing.escrow, hearing.deal, hearing.number, hearing.docket) = (escrow, deal, number, docket);
    }

    function _undecided(address escrow, Terms calldata terms) internal view returns (Hearing memory hearing) {
        hearing = _hearing(escrow, terms);
        if (hearing.docket.stage() >= Stage.Accepted) revert AlreadyAccepted();
    }

    function _accepted(address escrow, Terms calldata terms) internal view returns (Hearing memory hearing) {
        hearing = _hearing(escrow, terms);
        if (hearing.docket.stage() == Stage.Executed) revert AlreadyExecuted();
        if (hearing.docket.stage() != Stage.Accepted) revert NotAccepted();
    }

    /// Jury 0 or 1 of the present instance, where it is drawn.
    function _drawn(Hearing memory hearing, uint256 jury) internal view returns (uint256 number, Docket docket) {
        (number, docket) = (hearing.number, hearing.docket);
        if (jury > docket.jury()) revert NotDrawn();
        if (jury < docket.jury()) docket = _records[hearing.escrow][hearing.deal].dockets[--number];
        if (docket.stage() < Stage.Drawn || docket.seed() == 0) revert NotDrawn();
    }

    /// What the escrow says of a deal that is disputed there.
    function _disputed(address escrow, bytes32 deal) internal view returns (State memory state) {
        state = IEscrow(escrow).stateOf(deal);
        if (state.status != Status.Disputed) revert NotDisputed();
    }

    function _set(Hearing memory hearing, Docket docket) internal {
        _records[hearing.escrow][hearing.deal].dockets[hearing.number] = docket;
    }

    /* WHO SITS */

    /// The pool that a jury belongs to.
    function _poolOf(Docket docket, Terms calldata terms) internal view returns (bytes32 pool) {
        pool = terms.annex.panel;
        if (docket.instance() != 0) pool = _pool(pool).parent;
    }

    /// The seats of a jury in the order drawn: the parties and everyone seated earlier in the case are passed over.
    function _seatsOf(Hearing memory hearing, Terms calldata terms, uint256 number, Docket docket)
        internal
        view
        returns (address[] memory seats)
    {
        address[] memory passed = _earlier(hearing, terms, number);
        return _seat(docket, _poolOf(docket, terms), passed);
    }

    /// The parties, then the seats of the juries before `number`.
    function _earlier(Hearing memory hearing, Terms calldata terms, uint256 number)
        private
        view
        returns (address[] memory passed)
    {
        passed = new address[](2);
        (passed[0], passed[1]) = (terms.buyer, terms.seller);
        for (uint256 n; n < number; ++n) {
            Docket docket = _records[hearing.escrow][hearing.deal].dockets[n];
            if (docket.seed() != 0) passed = _joined(passed, _seat(docket, _poolOf(docket, terms), passed));
        }
    }

    function _seat(Docket docket, bytes32 pool, address[] memory passed) private view returns (address[] memory seats) {
        List storage list = _list(pool, docket.list());
        seats = new address[](docket.seats());
        Page storage page = list.pages[0];
        (address first, uint256 end) = (page.location, page.end);
        Sortition.Deck memory deck = Sortition.deck(docket.seed(), docket.members(), seats.length + passed.length);
        uint256 size = seats.length;
        for (uint256 taken; taken < size;) {
            uint256 index = deck.next();
            address member = index < end ? MemberPages.memberAt(first, index) : _memberBeyond(list, end, index);
            if (_contains(passed, member)) continue;
            seats[taken] = member;
            unchecked {
                ++taken;
            }
        }
    }

    function _contains(address[] memory people, address who) private pure returns (bool found) {
        assembly ("memory-safe") {
            let person := add(people, 0x20)
            let end := add(person, shl(5, mload(people)))
            for {} lt(person, end) { person := add(person, 0x20) } { found := or(found, eq(mload(person), who)) }
        }
    }

    function _joined(address[] memory some, address[] memory others) private pure returns (address[] memory all) {
        all = new address[](some.length + others.length);
        for (uint256 i; i < all.length; ++i) {
            all[i] = i < some.length ? some[i] : others[i - some.length];
        }
    }

    function _caseId(Hearing memory hearing, Docket docket, bytes32 pool) internal pure returns (bytes32) {
        return
            keccak256(abi.encode(pool, hearing.escrow, hearing.deal, docket.instance(), docket.jury(), docket.seed()));
    }

    /* READING */

    /// @inheritdoc IArbiter
    function rulings(address escrow, bytes32 deal) external view returns (uint8 accepted) {
        Record storage record = _records[escrow][deal];
        Docket first = record.dockets[0];
        Docket docket = record.dockets[first.last()];
        if (docket.stage() >= Stage.Accepted) accepted = 1;
        // A second instance after a first one that heard the case: there was a ruling to appeal from.
        if (docket.instance() > first.instance()) ++accepted;
    }

    /// @inheritdoc IArbitrationPools
    function caseOf(address escrow, bytes32 deal) external view returns (Jury[] memory juries) {
        Record storage record = _records[escrow][deal];
        Docket first = record.dockets[0];
        if (first.stage() == Stage.None) return juries;
        juries = new Jury[](first.last() + 1);
        for (uint256 n; n < juries.length; ++n) {
            juries[n] = _juryAt(record, n);
        }
    }

    // forge-lint: disable-start(unsafe-typecast)
    function _juryAt(Record storage record, uint256 number) private view returns (Jury memory jury) {
        Docket docket = record.dockets[number];
        jury.stage = docket.stage();
        jury.instance = docket.instance();
        jury.jury = docket.jury();
        jury.seats = uint8(docket.seats());
        jury.appealable = docket.appealable();
        jury.list = docket.list();
        jury.members = uint32(docket.members());
        jury.endsAt = uint40(docket.endsAt());
        if (jury.stage == Stage.Opened) jury.targetBlock = uint40(docket.moment());
        else jury.seed = docket.seed();
        if (jury.stage >= Stage.Accepted) {
            jury.acceptedAt = uint40(docket.moment());
            jury.share = docket.share();
        }
        jury.ballots = record.ballots[number];
    }

    // forge-lint: disable-end(unsafe-typecast)

    /// @inheritdoc IArbitrationPools
    function juryOf(address escrow, Terms calldata terms, uint8 jury) external view returns (address[] memory) {
        Hearing memory hearing = _hearing(escrow, terms);
        (uint256 number, Docket docket) = _drawn(hearing, jury);
        return _seatsOf(hearing, terms, number, docket);
    }

    /// @inheritdoc IArbitrationPools
    function caseId(address escrow, Terms calldata terms, uint8 jury) external view returns (bytes32) {
        Hearing memory hearing = _hearing(escrow, terms);
        (, Docket docket) = _drawn(hearing, jury);
        return _caseId(hearing, docket, _poolOf(docket, terms));
    }

    /// @inheritdoc IArbitrationPools
    function DOMAIN_SEPARATOR() external view returns (bytes32) {
        return _domainSeparator();
    }

    function _domainNameAndVersion() internal pure override returns (string memory name, string memory version) {
        return ("Earnest Arbitration Pools", "1");
    }
}
