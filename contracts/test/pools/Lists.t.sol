// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IArbitrationPools, RuleBook} from "../../src/interfaces/IArbitrationPools.sol";
import {PoolsFixture} from "./PoolsFixture.sol";

contract PoolTest is PoolsFixture {
    function test_IdIsTheHashOfTheBook() public view {
        assertEq(pool, keccak256(abi.encode(book(3))));
        assertEq(pools.poolId(book(3)), pool);
        assertEq(keccak256(abi.encode(pools.bookOf(pool))), pool);
    }

    function test_WorstCase() public view {
        assertEq(pools.worstCase(pool), SPAN + 1 days);
    }

    function test_Created() public {
        RuleBook memory other = book(31);
        vm.expectEmit(address(pools));
        emit IArbitrationPools.PoolCreated(keccak256(abi.encode(other)), other);
        vm.prank(stranger);
        pools.createPool(other);
    }

    function test_TwiceIsRefused() public {
        expect(IArbitrationPools.PoolExists.selector);
        pools.createPool(book(3));
    }

    function test_JurySizes() public {
        for (uint256 size; size < 256; ++size) {
            RuleBook memory other = book(uint8(size));
            other.salt = bytes32(size);
            if (size % 2 == 0 || size > 31) expect(refusal(IArbitrationPools.BadJurySize.selector, size));
            pools.createPool(other);
        }
    }

    function test_Periods() public {
        uint32[8] memory wrong = [uint32(366 days) + 1, 0, 59, uint32(30 days) + 1, 0, uint32(90 days) + 1, 0, 0];
        uint32[8] memory right = [uint32(366 days), 0, 60, 30 days, 1, 90 days, 0, 0];
        for (uint256 i; i < 6; ++i) {
            RuleBook memory other = book(3);
            _set(other, i, wrong[i]);
            // A delay of zero is the one that has no wrong value.
            if (i != 1) {
                expect(IArbitrationPools.BadPeriod.selector);
                pools.createPool(other);
            }
            _set(other, i, right[i]);
            pools.createPool(other);
        }
    }

    function _set(RuleBook memory other, uint256 i, uint32 value) private pure {
        if (i < 2) other.delay = value;
        else if (i < 4) other.opening = value;
        else other.voting = value;
    }

    function test_AParentExistsAndHasItsPeriod() public {
        RuleBook memory other = book(3);
        other.parent = pool;
        expect(IArbitrationPools.BadParent.selector);
        pools.createPool(other);
        (other.parent, other.appeal) = (0, 1 days);
        expect(IArbitrationPools.BadParent.selector);
        pools.createPool(other);
        other.parent = "nobody";
        expect(IArbitrationPools.BadParent.selector);
        pools.createPool(other);
        (other.parent, other.appeal) = (pool, 90 days + 1);
        expect(IArbitrationPools.BadPeriod.selector);
        pools.createPool(other);
        other.appeal = 2 days;
        bytes32 child = pools.createPool(other);
        assertEq(keccak256(abi.encode(pools.bookOf(child))), child);
        assertEq(pools.worstCase(child), SPAN + 2 days + SPAN + 1 days + 1 days + 1 days);
    }

    function test_UnknownPools() public {
        expect(IArbitrationPools.UnknownPool.selector);
        pools.bookOf("other");
        expect(IArbitrationPools.UnknownPool.selector);
        pools.worstCase("other");
        expect(IArbitrationPools.UnknownPool.selector);
        pools.publish("other", new address[](0));
    }
}

/// @notice A keeper whose pages have one init code, whatever they hold.
contract ShiftingKeeper {
    bytes public content;

    function make(bytes calldata code) external returns (address) {
        content = code;
        return address(new ShiftingPage{salt: 0}());
    }

    function publish(IArbitrationPools pools, bytes32 pool, address[] calldata pages) external returns (uint32) {
        return pools.publish(pool, pages);
    }
}

contract ShiftingPage {
    constructor() {
        bytes memory code = ShiftingKeeper(msg.sender).content();
        assembly {
            return(add(code, 0x20), mload(code))
        }
    }
}

contract ListTest is PoolsFixture {
    function test_PageIsItsMembers() public {
        address page = pools.storePage(members);
        bytes memory expected = hex"00";
        for (uint256 i; i < members.length; ++i) {
            expected = abi.encodePacked(expected, members[i]);
        }
        assertEq(page.code, expected);
        // Whoever stores the same members finds the same page.
        vm.prank(stranger);
        assertEq(pools.storePage(members), page);
        (bool ok, bytes memory answer) = page.call("anything");
        assertTrue(ok);
        assertEq(answer.length, 0);
    }

    function test_LargestPage() public {
        address[] memory many = new address[](1200);
        for (uint256 i; i < 1200; ++i) {
            many[i] = address(uint160(1000 + i));
        }
        assertEq(pools.storePage(many).code.length, 24_001);
        many = new address[](1201);
        expect(refusal(IArbitrationPools.BadPage.selector, address(0)));
        pools.storePage(many);
        expect(refusal(IArbitrationPools.BadPage.selector, address(0)));
        pools.storePage(new address[](0));
    }

    function test_PagesAscend() public {
        address[] memory list = new address[](3);
        expect(refusal(IArbitrationPools.ListNotAscending.selector, uint256(0)));
        pools.storePage(list);
        (list[0], list[1], list[2]) = (address(1), address(5), address(5));
        expect(refusal(IArbitrationPools.ListNotAscending.selector, 2));
        pools.storePage(list);
        list[2] = address(4);
        expect(refusal(IArbitrationPools.ListNotAscending.selector, 2));
        pools.storePage(list);
    }

    /// The last of one page is not the first of the next.
    function test_NobodyIsOnTwoPages() public {
        address[] memory pages = new address[](2);
        pages[0] = pools.storePage(_slice(0, 6));
        pages[1] = pools.storePage(_slice(5, members.length));
        expect(refusal(IArbitrationPools.ListNotAscending.selector, 6));
        vm.prank(keeper);
        pools.publish(pool, pages);
    }

    /// Split in pages anyhow, the list is the same.
    function testFuzz_PagesJoin(uint8 first, uint8 second) public {
        first = uint8(bound(first, 1, members.length - 2));
        second = uint8(bound(second, first + 1, members.length - 1));
        address[] memory pages = new address[](3);
        pages[0] = pools.storePage(_slice(0, first));
        pages[1] = pools.storePage(_slice(first, second));
        pages[2] = pools.storePage(_slice(second, members.length));
        uint40 effectiveAt = uint40(vm.getBlockTimestamp()) + DELAY;
        vm.expectEmit(address(pools));
        emit IArbitrationPools.ListPublished(pool, 1, uint32(members.length), effectiveAt, pages);
        vm.prank(keeper);
        assertEq(pools.publish(pool, pages), 1);
        assertEq(pools.membersOf(pool, 1), members);
        assertEq(pools.membersOf(pool, 0), members);
        (pages[0], pages[1]) = (pages[1], pages[0]);
        expect(refusal(IArbitrationPools.ListNotAscending.selector, uint256(second) - first));
        vm.prank(keeper);
        pools.publish(pool, pages);
    }

    function _slice(uint256 from, uint256 to) private view returns (address[] memory part) {
        part = new address[](to - from);
        for (uint256 i = from; i < to; ++i) {
            part[i - from] = members[i];
        }
    }

    function test_OnlyTheKeeperPublishes() public {
        expect(IArbitrationPools.NotKeeper.selector);
        vm.prank(stranger);
        pools.publish(pool, new address[](0));
    }

    function test_AtLeastTwiceTheJuryAndTwo() public {
        address[] memory pages = new address[](1);
        pages[0] = pools.storePage(_slice(0, 7));
        expect(refusal(IArbitrationPools.TooFewMembers.selector, 7, 8));
        vm.prank(keeper);
        pools.publish(pool, pages);
        expect(refusal(IArbitrationPools.TooFewMembers.selector, 0, 8));
        vm.prank(keeper);
        pools.publish(pool, new address[](0));
        pages[0] = pools.storePage(_slice(0, 8));
        vm.prank(keeper);
        pools.publish(pool, pages);
    }

    /// Only code that can never run, and so never change, counts as a page.
    function test_WhatIsNoPage() public {
        bytes[6] memory codes = [
            bytes(""),
            hex"00",
            abi.encodePacked(hex"00", members[0], hex"00"),
            abi.encodePacked(hex"01", members[0], members[1]),
            abi.encodePacked(hex"ef0100", members[0]),
            new bytes(24_021)
        ];
        address[] memory pages = new address[](1);
        pages[0] = makeAddr("page");
        for (uint256 i; i < codes.length; ++i) {
            vm.etch(pages[0], codes[i]);
            expect(refusal(IArbitrationPools.BadPage.selector, pages[0]));
            vm.prank(keeper);
            pools.publish(pool, pages);
        }
        pages = new address[](65);
        for (uint256 i; i < 65; ++i) {
            pages[i] = address(uint160(i + 1));
        }
        expect(refusal(IArbitrationPools.BadPage.selector, address(65)));
        vm.prank(keeper);
        pools.publish(pool, pages);
    }

    /// The right shape is not enough: this page could be made again with other members.
    function test_AKeeperCannotPublishAPageThatChanges() public {
        ShiftingKeeper shifting = new ShiftingKeeper();
        RuleBook memory other = book(3);
        other.keeper = address(shifting);
        bytes32 its = pools.createPool(other);
        address[] memory pages = new address[](1);
        pages[0] = shifting.make(pools.storePage(members).code);
        assertEq(pages[0].code, pools.storePage(members).code);
        expect(refusal(IArbitrationPools.BadPage.selector, pages[0]));
        shifting.publish(pools, its, pages);
        pages[0] = pools.storePage(members);
        assertEq(shifting.publish(pools, its, pages), 0);
    }

    /* WHICH LIST IS IN EFFECT */

    function test_FirstListTakesEffectAfterTheDelay() public {
        assertEq(pools.listAt(pool, NOW + DELAY), 0);
        expect(IArbitrationPools.NoList.selector);
        pools.listAt(pool, NOW + DELAY - 1);
        expect(IArbitrationPools.NoList.selector);
        pools.listAt("other", NOW);
    }

    function test_NewestInEffect() public {
        // Lists 1 to 6, an hour apart; list i takes effect at start + i hours.
        uint40 start = NOW + DELAY;
        for (uint256 i = 1; i < 7; ++i) {
            vm.warp(start + (i - 1) * 1 hours);
            assertEq(_publish(pool, members), i);
        }
        assertEq(pools.listCount(pool), 7);
        for (uint32 i; i < 7; ++i) {
            assertEq(pools.listAt(pool, start + i * 1 hours), i);
            assertEq(pools.listAt(pool, start + i * 1 hours + 1 hours - 1), i);
        }
        assertEq(pools.listAt(pool, type(uint40).max), 6);
    }

    function test_OfOneSecondTheLaterOne() public {
        _publish(pool, members);
        _publish(pool, members);
        assertEq(pools.listAt(pool, NOW + 2 * DELAY), 2);
        assertEq(pools.listAt(pool, NOW + 2 * DELAY - 1), 0);
    }

    /// Without a delay a list still comes too late for the deals of its own block.
    function test_NoDelayCountsAsASecond() public {
        RuleBook memory other = book(3);
        other.delay = 0;
        bytes32 quick = pools.createPool(other);
        _publish(quick, members);
        uint40 now_ = uint40(vm.getBlockTimestamp());
        expect(IArbitrationPools.NoList.selector);
        pools.listAt(quick, now_);
        assertEq(pools.listAt(quick, now_ + 1), 0);
    }
}
