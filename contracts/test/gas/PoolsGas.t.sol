// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {RuleBook} from "../../src/interfaces/IArbitrationPools.sol";
import {Terms} from "../../src/interfaces/IEscrow.sol";
import {CaseFixture} from "../pools/CaseFixture.sol";

/// @notice What lists cost, and a case beyond its first ruling, in the manner of Gas.t.sol. Juries of three, the parent's of
///         five; deals in coin, closed after `fundBy`.
contract PoolsGasTest is CaseFixture {
    uint256 private _salt;

    function setUp() public override {
        super.setUp();
        vm.deal(seller, 1 ether);
        _fund();
    }

    function _terms() private returns (Terms memory terms) {
        terms = caseTerms();
        terms.annex.salt = keccak256(abi.encode(++_salt));
    }

    function _fund() private returns (Terms memory terms) {
        terms = _terms();
        fund(terms);
    }

    function _note(string memory name) private {
        vm.snapshotGasLastCall("pools", name);
    }

    /* LISTS */

    function test_CreatePool() public {
        RuleBook memory rules = book(3);
        rules.salt = "another";
        pools.createPool(rules);
        _note("create a pool");
    }

    /// The second list of a pool. The members are none that stand there yet.
    function test_PublishAHundred() public {
        _list(100);
        _note("publish a list of 100 members");
    }

    function test_PublishTwelveHundred() public {
        _list(1200);
        _note("publish a list of 1,200 members");
    }

    function _list(uint256 size) private {
        address[] memory list = new address[](size);
        for (uint256 i; i < size; ++i) {
            // Ascending, with as few zero bytes as addresses have.
            list[i] = address(uint160(uint256(keccak256("member")) >> 97) + uint160(i << 140));
        }
        address[] memory pages = new address[](1);
        pages[0] = pools.storePage(list);
        _note(size == 100 ? "store a page of 100 members" : "store a page of 1,200 members");
        vm.prank(keeper);
        pools.publish(pool, pages);
    }

    /* CASES */

    function test_OneBallot() public {
        Terms memory terms = _terms();
        heard(terms);
        vote(terms, 0, shares(5000, NONE, NONE));
        _note("submit one ballot that decides nothing");
        address juror = pools.juryOf(address(escrow), terms, 0)[1];
        vm.prank(juror);
        pools.cast(address(escrow), terms, 0, 1, 4000, keccak256("because"));
        _note("cast one ballot that decides nothing");
    }

    function test_SecondJury() public {
        Terms memory terms = _terms();
        bytes32 id = heard(terms);
        vm.warp(lastOf(id).endsAt - HALF + 1);
        pools.openSecondJury(address(escrow), terms);
        _note("open a second jury");
        drawLast(terms);
        _note("draw a second jury of three");
        vote(terms, 1, shares(5000, NONE, NONE));
        vm.warp(lastOf(id).endsAt + 1);
        pools.conclude(address(escrow), terms);
        _note("conclude after one ballot, appealable");
    }

    function test_ExecuteAfterAppealTime() public {
        Terms memory terms = _terms();
        bytes32 id = ruled(terms, 10_000);
        _note("ruling of two ballots, appealable");
        vm.warp(appealUntil(id) + 1);
        pools.execute(address(escrow), terms);
        _note("coin: execute a ruling, one payee");
    }

    function test_Appeal() public {
        Terms memory terms = _terms();
        ruled(terms, 10_000);
        vm.prank(buyer);
        pools.appeal(address(escrow), terms);
        _note("appeal");
        drawLast(terms);
        _note("draw a jury of five after an appeal");
        vm.warp(FUND_BY + 1);
        vote(terms, 0, shares(10_000, 10_000, 10_000, NONE, NONE));
        _note("coin: ruling of three ballots of five after an appeal, one payee");
    }

    function test_AppealBySig() public {
        Terms memory terms = _terms();
        bytes32 id = ruled(terms, 10_000);
        bytes32 content = keccak256(abi.encode(keccak256("Appeal(bytes32 deal,uint40 validUntil)"), id, ALWAYS));
        bytes32 domain = domainOf("Earnest Arbitration Pools", address(pools));
        bytes memory order = sign(buyerKey, keccak256(abi.encodePacked(hex"1901", domain, content)));
        pools.appealBySig(address(escrow), terms, buyer, ALWAYS, order);
        _note("appeal by signature");
    }
}
