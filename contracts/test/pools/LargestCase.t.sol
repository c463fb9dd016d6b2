// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Ballot, IArbitrationPools, Jury, RuleBook} from "../../src/interfaces/IArbitrationPools.sol";
import {IEscrow, Terms} from "../../src/interfaces/IEscrow.sol";
import {CaseFixture} from "./CaseFixture.sol";
import {Cooling} from "./Cooling.sol";

/// @notice The case that costs most: 31 seats, lists of 64 pages and only as many members as four juries and the parties
///         need, so that nearly everybody is drawn and most of them are passed over. Each call is measured as a transaction of its own, from cold storage.
contract LargestCaseTest is CaseFixture {
    uint256 private constant BLOCK = 30_000_000;
    /// What one transaction may use where EIP-7825 holds.
    uint256 private constant TRANSACTION = 16_777_216;
    uint256 private constant N = 31;
    /// Two juries and the parties, and two juries that may have sat before.
    uint256 private constant LEAST = 4 * N + 2;
    uint256 private constant PAGES = 64;

    address[] private _pages;

    function setUp() public override {
        super.setUp();
        address[] memory list = _people("juror", LEAST);
        (buyer, seller) = (list[7], list[100]);
        (buyerKey, sellerKey) = (keys[buyer], keys[seller]);
        vm.deal(buyer, 1 ether);
        // One member a page, and all others on the last one: nearly every seat is looked for through all the pages.
        for (uint256 i; i < PAGES; ++i) {
            uint256 end = i + 1 < PAGES ? i + 1 : LEAST;
            address[] memory part = new address[](end - i);
            for (uint256 j = i; j < end; ++j) {
                part[j - i] = list[j];
            }
            _pages.push(pools.storePage(part));
        }
        RuleBook memory rules = parentBook();
        (rules.jurySize, rules.salt) = (uint8(N), "large parent");
        parent = pools.createPool(rules);
        rules = courtBook();
        (rules.jurySize, rules.salt) = (uint8(N), "large court");
        court = pools.createPool(rules);
        vm.startPrank(keeper);
        pools.publish(parent, _pages);
        pools.publish(court, _pages);
        vm.stopPrank();
        vm.warp(START + DELAY);
        elders = list;
        members = list;
    }

    /// Every slot and account cold, as at the start of a transaction.
    function _cool() private {
        Cooling(address(vm)).cool(address(pools));
        Cooling(address(vm)).cool(address(escrow));
        for (uint256 i; i < PAGES; ++i) {
            Cooling(address(vm)).cool(_pages[i]);
        }
    }

    /// Calls as a transaction of its own would, and says what that uses: 21,000 and the calldata included.
    function _measured(string memory what, bytes memory data) private returns (uint256 used) {
        _cool();
        (bool ok,) = address(pools).call(data);
        used = vm.lastCallGas().gasTotalUsed + 21_000;
        assertTrue(ok, what);
        for (uint256 i; i < data.length; ++i) {
            used += data[i] == 0 ? 4 : 16;
        }
        emit log_named_uint(what, used);
        assertLt(used, BLOCK, what);
        assertLt(used, TRANSACTION, what);
    }

    function _draw(string memory what, Terms memory terms) private {
        vm.roll(lastOf(idOf(terms)).targetBlock + 1);
        _measured(what, abi.encodeCall(IArbitrationPools.draw, (address(escrow), terms)));
    }

    /// Fifteen ballots below the half, the others above: thirty leave the share open between the two, the last one rules.
    function _submit(string memory what, Terms memory terms, uint8 jury, uint256 count) private {
        uint16[] memory said = new uint16[](N);
        for (uint256 i; i < N; ++i) {
            said[i] = i < count ? uint16(i % 10) * 500 + (i < N / 2 ? 0 : 5500) : NONE;
        }
        Ballot[] memory list = ballotsOf(terms, jury, said);
        _measured(what, abi.encodeCall(IArbitrationPools.submit, (address(escrow), terms, jury, list)));
    }

    function _second(Terms memory terms, uint256 half) private {
        vm.warp(lastOf(idOf(terms)).endsAt - half + 1);
        _measured("open a second jury", abi.encodeCall(IArbitrationPools.openSecondJury, (address(escrow), terms)));
    }

    function test_FourJuriesOfThirtyOne() public {
        Terms memory terms = caseTerms();
        bytes32 id = opened(terms);
        _draw("draw jury 0", terms);
        _submit("submit 30 ballots to jury 0", terms, 0, N - 1);
        _second(terms, HALF);
        _draw("draw jury 1", terms);
        _submit("submit 30 ballots to jury 1", terms, 1, N - 1);
        vm.warp(lastOf(id).endsAt + 1);
        _measured("conclude", abi.encodeCall(IArbitrationPools.conclude, (address(escrow), terms)));
        appealAs(buyer, terms);
        _draw("draw jury 2", terms);
        _submit("submit 30 ballots to jury 2", terms, 0, N - 1);
        _second(terms, PARENT_HALF);
        _draw("draw jury 3", terms);
        _cast(terms);
        _submit("submit 31 ballots to jury 3", terms, 1, N);
        assertGe(lastOf(id).acceptedAt, lastOf(id).endsAt - PARENT_HALF);
        assertGt(seller.balance, 0);
        _everybodySatOnce(terms);
    }

    function _cast(Terms memory terms) private {
        address juror = pools.juryOf(address(escrow), terms, 1)[N - 1];
        uint256 snapshot = vm.snapshotState();
        vm.prank(juror);
        _cool();
        pools.cast(address(escrow), terms, 1, uint8(N - 1), 500, 0);
        emit log_named_uint("cast in jury 3, execution alone", vm.lastCallGas().gasTotalUsed);
        assertLt(vm.lastCallGas().gasTotalUsed, TRANSACTION);
        vm.revertToState(snapshot);
    }

    /// 124 seats of 126 members of whom two are the parties: everyone sat, nobody twice, and as a second implementation says.
    function _everybodySatOnce(Terms memory terms) private view {
        address[][] memory juries = expectedJuries(terms);
        assertEq(juries.length, 4);
        for (uint8 jury; jury < 2; ++jury) {
            assertEq(pools.juryOf(address(escrow), terms, jury), juries[2 + jury]);
        }
        address[] memory all = new address[](2);
        (all[0], all[1]) = (buyer, seller);
        for (uint256 n; n < 4; ++n) {
            for (uint256 i; i < N; ++i) {
                assertFalse(among(all, juries[n][i]));
            }
            all = concat(all, juries[n]);
        }
        assertEq(all.length, LEAST);
    }
}
