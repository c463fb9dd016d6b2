// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IArbitrationPools, RuleBook} from "./interfaces/IArbitrationPools.sol";
import {MemberPages} from "./libraries/MemberPages.sol";

/// @title  Pools
/// @notice Rule books, and the member lists that their keepers publish.
abstract contract Pools is IArbitrationPools {
    /// A rule book in the words in which cases need it.
    struct Pool {
        address keeper;
        uint8 jurySize;
        uint32 lists;
        /// When the newest list takes effect.
        uint40 newest;
        uint32 delay;
        uint32 opening;
        uint32 voting;
        uint32 appeal;
        bytes32 parent;
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

    uint256 private constant LARGEST_JURY = 31;
    uint256 private constant MOST_PAGES = 64;
    uint256 private constant LONGEST_DELAY = 366 days;
    uint256 private constant SHORTEST_OPENING = 60 seconds;
    uint256 private constant LONGEST_OPENING = 30 days;
    uint256 private constant LONGEST_VOTING = 90 days;
    uint256 private constant LONGEST_APPEAL = 90 days;
    /// For executing a ruling, as part of the worst case.
    uint256 internal constant EXECUTION = 1 days;
    /// What must be left when an appeal has taken its worst case.
    uint256 internal constant MARGIN = 1 days;

    mapping(bytes32 pool => Pool) private _pools;
    mapping(bytes32 pool => mapping(uint256 list => List)) private _lists;

    /* RULE BOOKS */

    /// @inheritdoc IArbitrationPools
    function createPool(RuleBook calldata book) external returns (bytes32 pool) {
        if (book.jurySize % 2 == 0 || book.jurySize > LARGEST_JURY) revert BadJurySize(book.jurySize);
        if (
            book.delay > LONGEST_DELAY || book.opening < SHORTEST_OPENING || book.opening > LONGEST_OPENING
                || book.voting == 0 || book.voting > LONGEST_VOTING || book.appeal > LONGEST_APPEAL
        ) revert BadPeriod();
        if ((book.parent == 0) != (book.appeal == 0)) revert BadParent();
        if (book.parent != 0 && _pools[book.parent].jurySize == 0) revert BadParent();
        pool = poolId(book);
        Pool storage entry = _pools[pool];
        if (entry.jurySize != 0) revert PoolExists();
        entry.keeper = book.keeper;
        entry.jurySize = book.jurySize;
        entry.delay = book.delay;
        entry.opening = book.opening;
        entry.voting = book.voting;
        entry.appeal = book.appeal;
        if (book.parent != 0) entry.parent = book.parent;
        entry.salt = book.salt;
        emit PoolCreated(pool, book);
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
            parent: entry.parent,
            jurySize: entry.jurySize,
            delay: entry.delay,
            opening: entry.opening,
            voting: entry.voting,
            appeal: entry.appeal,
            salt: entry.salt
        });
    }

    /// @inheritdoc IArbitrationPools
    function worstCase(bytes32 pool) external view returns (uint256 longest) {
        Pool storage entry = _pool(pool);
        longest = _span(entry) + EXECUTION;
        if (entry.parent != 0) longest += _appealTime(entry);
    }

    function _pool(bytes32 pool) internal view returns (Pool storage entry) {
        entry = _pools[pool];
        if (entry.jurySize == 0) revert UnknownPool();
    }

    /// The time of both juries of an instance.
    function _span(Pool storage entry) internal view returns (uint256) {
        return 2 * (uint256(entry.opening) + entry.voting);
    }

    /// From an accepted ruling to the end of the appeal from it, with what must be left then.
    function _appealTime(Pool storage entry) internal view returns (uint256) {
        return entry.appeal + _span(_pools[entry.parent]) + EXECUTION + MARGIN;
    }

    /* LISTS */

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

    /// @inheritdoc IArbitrationPools
    function listCount(bytes32 pool) external view returns (uint32) {
        return _pool(pool).lists;
    }

    /// @inheritdoc IArbitrationPools
    function listAt(bytes32 pool, uint40 time) external view returns (uint32) {
        (bool found, uint32 list) = _listAt(pool, time);
        if (!found) revert NoList();
        return list;
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

    function _listAt(bytes32 pool, uint256 time) internal view returns (bool found, uint32 list) {
        Pool storage entry = _pools[pool];
        uint32 high = entry.lists;
        if (high == 0) return (false, 0);
        if (entry.newest <= time) return (true, high - 1);
        // Lists take effect in the order in which they were published.
        uint32 low;
        while (low < high) {
            uint32 middle = (low + high) / 2;
            if (_lists[pool][middle].effectiveAt <= time) low = middle + 1;
            else high = middle;
        }
        return low == 0 ? (false, 0) : (true, low - 1);
    }

    function _list(bytes32 pool, uint256 list) internal view returns (List storage) {
        return _lists[pool][list];
    }

    /// The member at `index`, from the second page on; the first has members up to `start`.
    function _memberBeyond(List storage list, uint256 start, uint256 index) internal view returns (address member) {
        for (uint256 number = 1;; ++number) {
            Page memory page = list.pages[number];
            if (index < page.end) return MemberPages.memberAt(page.location, index - start);
            start = page.end;
        }
    }
}
