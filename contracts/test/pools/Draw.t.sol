// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IArbitrationPools, Jury, RuleBook, Stage} from "../../src/interfaces/IArbitrationPools.sol";
import {Terms} from "../../src/interfaces/IEscrow.sol";
import {Sortition} from "../../src/libraries/Sortition.sol";
import {Cooling} from "./Cooling.sol";
import {PoolsFixture} from "./PoolsFixture.sol";

contract DrawTest is PoolsFixture {
    address private constant HISTORY = 0x0000F90827F1C53a10cb7A02335B175320002935;

    function _opened() private returns (bytes32 id, Terms memory terms, uint40 target) {
        terms = poolTerms();
        (id,) = disputed(terms);
        pools.open(address(escrow), idOf(terms));
        target = lastOf(id).targetBlock;
    }

    function test_SeedAndSeats() public {
        (bytes32 id, Terms memory terms, uint40 target) = _opened();
        vm.roll(target + 1);
        bytes32 hash = keccak256("the block");
        vm.setBlockhash(target, hash);
        bytes32 seed = seedOf(hash, id, 0, 0);
        address[] memory seats = expectedJury(members, seed, 3, buyer, seller);
        vm.expectEmit(address(pools));
        emit IArbitrationPools.JuryDrawn(id, address(escrow), pool, 0, 0, 0, uint40(NOW + DELAY + SPAN), seed, seats);
        vm.prank(stranger);
        pools.draw(address(escrow), terms);
        Jury memory c = lastOf(id);
        assertEq(uint8(c.stage), uint8(Stage.Drawn));
        assertEq(c.seed, seed);
        assertEq(pools.juryOf(address(escrow), terms, 0), seats);
        assertEq(pools.caseId(address(escrow), terms, 0), caseIdOf(terms, seed));
    }

    function test_NotBeforeTheTargetIsPast() public {
        (, Terms memory terms, uint40 target) = _opened();
        for (uint256 i; i < 3; ++i) {
            vm.roll(target - 2 + i);
            expect(refusal(IArbitrationPools.TooEarly.selector, uint256(target) + 1));
            pools.draw(address(escrow), terms);
        }
    }

    function test_Refusals() public {
        Terms memory terms = poolTerms();
        disputed(terms);
        expect(IArbitrationPools.UnknownCase.selector);
        pools.draw(address(escrow), terms);
        expect(IArbitrationPools.UnknownCase.selector);
        pools.juryOf(address(escrow), terms, 0);
        pools.open(address(escrow), idOf(terms));
        expect(IArbitrationPools.NotDrawn.selector);
        pools.juryOf(address(escrow), terms, 0);
        expect(IArbitrationPools.NotDrawn.selector);
        pools.caseId(address(escrow), terms, 0);
        vm.roll(vm.getBlockNumber() + 3);
        uint256 last = vm.getBlockTimestamp() + SPAN;
        vm.warp(last + 1);
        expect(refusal(IArbitrationPools.TooLate.selector, last));
        pools.draw(address(escrow), terms);
        vm.warp(last);
        pools.draw(address(escrow), terms);
        expect(IArbitrationPools.AlreadyDrawn.selector);
        pools.draw(address(escrow), terms);
    }

    function test_ForAsLongAsTheHashIsKnown() public {
        (bytes32 id, Terms memory terms, uint40 target) = _opened();
        vm.roll(target + 256);
        pools.draw(address(escrow), terms);
        assertEq(uint8(lastOf(id).stage), uint8(Stage.Drawn));
    }

    /// The new target depends on the old one and on how many strides have passed, not on the block of the call.
    function testFuzz_MissedTargetMovesByStrides(uint32 late, uint32 other) public {
        (bytes32 id, Terms memory terms, uint40 target) = _opened();
        uint256 height = target + bound(late, 257, 1_000_000);
        vm.roll(height);
        uint40 moved = _missed(id, terms);
        assertEq((moved - target) % 256, 0);
        assertGt(moved, height + 1);
        assertLe(moved, height + 257);
        // Whoever calls within the same stride moves it to the same block.
        vm.roll(bound(other, height, moved - 2));
        expect(refusal(IArbitrationPools.TooEarly.selector, uint256(moved) + 1));
        pools.draw(address(escrow), terms);
        vm.roll(moved + 1);
        pools.draw(address(escrow), terms);
        bytes32 seed = seedOf(blockhash(moved), id, 0, 0);
        assertEq(lastOf(id).seed, seed);
    }

    function _missed(bytes32 id, Terms memory terms) private returns (uint40 moved) {
        pools.draw(address(escrow), terms);
        Jury memory c = lastOf(id);
        assertEq(uint8(c.stage), uint8(Stage.Opened));
        assertEq(c.seed, 0);
        return c.targetBlock;
    }

    function test_MissedTargetIsSaid() public {
        (bytes32 id, Terms memory terms, uint40 target) = _opened();
        vm.roll(target + 257);
        vm.expectEmit(address(pools));
        emit IArbitrationPools.TargetMoved(id, address(escrow), target + 512);
        pools.draw(address(escrow), terms);
    }

    /// Where the history contract answers (EIP-2935), a target is missed much later.
    function test_HistoryContract() public {
        (bytes32 id, Terms memory terms, uint40 target) = _opened();
        // Answers any question with its own words: the block's number, hashed.
        vm.etch(HISTORY, hex"60003560005260205f20" hex"5f5260205ff3");
        vm.roll(target + 5000);
        vm.setBlockhash(target + 4999, keccak256(abi.encode(uint256(target) + 4999)));
        pools.draw(address(escrow), terms);
        bytes32 hash = keccak256(abi.encode(uint256(target)));
        assertEq(lastOf(id).seed, seedOf(hash, id, 0, 0));
    }

    /// On some chains `block.number` is another chain's, and the history is of their own blocks: these were known before the
    /// case was opened.
    function test_AHistoryThatCountsOtherwiseTellsNothing() public {
        (bytes32 id, Terms memory terms, uint40 target) = _opened();
        vm.etch(HISTORY, hex"60003560005260205f20" hex"5f5260205ff3");
        vm.roll(target + 300);
        _missed(id, terms);
    }

    /// It says no for what it no longer knows.
    function test_HistoryContractThatRefuses() public {
        (bytes32 id, Terms memory terms, uint40 target) = _opened();
        vm.etch(HISTORY, hex"5f5ffd");
        vm.roll(target + 9000);
        _missed(id, terms);
    }

    /// The history contract's own code (EIP-2935), with a target that only it still knows.
    function test_NoAmountOfGasMovesATargetThatIsKnown() public {
        (bytes32 id, Terms memory terms, uint40 target) = _opened();
        vm.etch(
            HISTORY,
            hex"3373fffffffffffffffffffffffffffffffffffffffe14604657602036036042575f35600143038111604257611fff81430311604257611fff9006545f5260205ff35b5f5ffd5b5f35611fff60014303065500"
        );
        bytes32 hash = keccak256("an old block");
        vm.store(HISTORY, bytes32(uint256(target) % 8191), hash);
        vm.roll(target + 8191);
        vm.store(HISTORY, bytes32((uint256(target) + 8190) % 8191), blockhash(target + 8190));
        bytes memory data = abi.encodeCall(IArbitrationPools.draw, (address(escrow), terms));
        bytes32 before = keccak256(abi.encode(lastOf(id)));
        uint256 went;
        for (uint256 gas_ = 20_000; gas_ < 220_000; gas_ += 250) {
            uint256 snapshot = vm.snapshotState();
            Cooling(address(vm)).cool(HISTORY);
            (bool ok,) = address(pools).call{gas: gas_}(data);
            if (ok) ++went;
            if (ok) assertEq(lastOf(id).seed, seedOf(hash, id, 0, 0));
            else assertEq(keccak256(abi.encode(lastOf(id))), before);
            vm.revertToState(snapshot);
        }
        assertGt(went, 0);
        // A block later nobody knows it.
        vm.roll(target + 8192);
        _missed(id, terms);
    }

    /* THE DRAW ITSELF */

    /// Distinct members, none of them a party, in the order of the full shuffle: for every size of jury and list.
    function testFuzz_JuryIsTheShuffledDeck(uint256 noise) public {
        uint8 size = uint8(noise % 8) * 2 + 1;
        address[] memory list = _people("juror", 2 * uint256(size) + 2 + (noise >> 8) % 6);
        _makeParties(list[(noise >> 16) % list.length], list[(noise >> 24) % list.length]);
        vm.warp(NOW);
        RuleBook memory other = book(size);
        other.salt = "other";
        pool = pools.createPool(other);
        _publishInTwo(list, 1 + (noise >> 32) % (list.length - 1));
        vm.warp(NOW + DELAY);
        (bytes32 id, Terms memory terms, uint40 target) = _opened();
        vm.roll(target + 1);
        vm.setBlockhash(target, keccak256(abi.encode(noise)));
        pools.draw(address(escrow), terms);
        address[] memory seats = pools.juryOf(address(escrow), terms, 0);
        assertEq(seats, expectedJury(list, lastOf(id).seed, size, buyer, seller));
        for (uint256 i; i < size; ++i) {
            assertTrue(seats[i] != buyer && seats[i] != seller);
            for (uint256 j; j < i; ++j) {
                assertTrue(seats[i] != seats[j]);
            }
        }
    }

    /// The parties are members too.
    function _makeParties(address a, address b) private {
        vm.assume(a != b);
        (buyer, seller, sellerKey) = (a, b, keys[b]);
        vm.deal(buyer, AMOUNT);
    }

    function _publishInTwo(address[] memory list, uint256 first) private {
        address[] memory pages = new address[](2);
        pages[0] = pools.storePage(_part(list, 0, first));
        pages[1] = pools.storePage(_part(list, first, list.length));
        vm.prank(keeper);
        pools.publish(pool, pages);
    }

    function _part(address[] memory list, uint256 from, uint256 to) private pure returns (address[] memory part) {
        part = new address[](to - from);
        for (uint256 i = from; i < to; ++i) {
            part[i - from] = list[i];
        }
    }

    /// Drawn to the end, the deck is a permutation.
    function testFuzz_TheDeckIsAPermutation(bytes32 seed, uint8 size) public pure {
        uint256 n = bound(size, 1, 60);
        Sortition.Deck memory deck = Sortition.deck(seed, n, n);
        uint256 seen;
        for (uint256 i; i < n; ++i) {
            seen |= 1 << Sortition.next(deck);
        }
        assertEq(seen, (1 << n) - 1);
    }
}
