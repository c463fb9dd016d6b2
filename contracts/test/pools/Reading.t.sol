// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";
import {IArbitrationPools, Jury, Stage} from "../../src/interfaces/IArbitrationPools.sol";
import {Terms} from "../../src/interfaces/IEscrow.sol";
import {CaseFixture} from "./CaseFixture.sol";

/// @notice What the pools tell, and that terms name a case only as they were signed.
contract ReadingTest is CaseFixture {
    function test_DomainOfThePools() public {
        assertEq(pools.DOMAIN_SEPARATOR(), domainOf("Earnest Arbitration Pools", address(pools)));
        // On a fork of the chain what was signed before is worthless.
        vm.chainId(block.chainid + 1);
        assertEq(pools.DOMAIN_SEPARATOR(), domainOf("Earnest Arbitration Pools", address(pools)));
    }

    function test_DomainAsErc5267TellsIt() public view {
        (
            bytes1 fields,
            string memory name,
            string memory version,
            uint256 chainId,
            address verifier,
            bytes32 salt,
            uint256[] memory extensions
        ) = IERC5267(address(pools)).eip712Domain();
        assertEq(fields, hex"0f");
        assertEq(name, "Earnest Arbitration Pools");
        assertEq(version, "1");
        assertEq(chainId, block.chainid);
        assertEq(verifier, address(pools));
        assertEq(salt, 0);
        assertEq(extensions.length, 0);
    }

    function test_WhereThereIsNoCase() public {
        Terms memory terms = caseTerms();
        assertEq(pools.caseOf(address(escrow), idOf(terms)).length, 0);
        assertEq(pools.rulings(address(escrow), idOf(terms)), 0);
        expect(IArbitrationPools.UnknownCase.selector);
        pools.juryOf(address(escrow), terms, 0);
        expect(IArbitrationPools.UnknownCase.selector);
        pools.caseId(address(escrow), terms, 0);
    }

    function test_WhereThereIsNoPoolOrList() public {
        expect(IArbitrationPools.UnknownPool.selector);
        pools.listCount("other");
        assertEq(pools.membersOf("other", 0).length, 0);
        assertEq(pools.membersOf(court, 1).length, 0);
        assertEq(pools.listCount(court), 1);
    }

    /// The record of a case with all its juries, at its end.
    function test_ACasesWholeRecord() public {
        Terms memory terms = caseTerms();
        bytes32 id = heard(terms);
        vote(terms, 0, shares(500, NONE, NONE));
        seatSecond(terms);
        vote(terms, 1, shares(2000, 2000, NONE));
        appealAs(buyer, terms);
        drawLast(terms);
        vote(terms, 0, shares(0, 0, NONE, NONE, NONE));
        seatSecond(terms);
        vote(terms, 1, shares(8000, 8000, 8000, NONE, NONE));
        Jury[] memory juries = pools.caseOf(address(escrow), id);
        assertEq(juries.length, 4);
        for (uint8 i; i < 4; ++i) {
            assertEq(juries[i].instance, i / 2);
            assertEq(juries[i].jury, i % 2);
            assertEq(juries[i].seats, i < 2 ? 3 : 5);
            assertEq(juries[i].members, i < 2 ? 12 : 20);
            assertNotEq(juries[i].seed, 0);
            assertEq(juries[i].targetBlock, 0);
        }
        assertEq(uint8(juries[0].stage), uint8(Stage.Drawn));
        assertEq(uint8(juries[1].stage), uint8(Stage.Accepted));
        assertEq(uint8(juries[2].stage), uint8(Stage.Drawn));
        assertEq(uint8(juries[3].stage), uint8(Stage.Executed));
        assertEq(juries[0].ballots, 2);
        assertEq(juries[1].share, 2000);
        assertEq(juries[1].acceptedAt, START + HALF + 1);
        assertEq(juries[2].ballots, 1 | 1 << 5);
        assertEq(juries[3].share, 8000);
        assertEq(juries[3].acceptedAt, START + HALF + 1 + APPEAL + PARENT_HALF + 1);
        // The present instance is the parent's; the seats of the first one are no longer told.
        assertEq(pools.juryOf(address(escrow), terms, 0).length, 5);
    }

    /// Terms whose words have bits above their types hash to other terms, or are refused as they are read.
    function test_PaddedTermsNameNoCase() public {
        Terms memory terms = caseTerms();
        bytes32 id = heard(terms);
        bytes memory data = abi.encodeCall(IArbitrationPools.juryOf, (address(escrow), terms, 0));
        (bool ok,) = address(pools).staticcall(data);
        assertTrue(ok);
        vm.warp(START + SPAN + 1);
        bytes4[3] memory selectors = [
            IArbitrationPools.juryOf.selector, IArbitrationPools.conclude.selector, IArbitrationPools.execute.selector
        ];
        for (uint256 s; s < selectors.length; ++s) {
            for (uint256 word; word < 11; ++word) {
                bytes memory dirty = bytes.concat(selectors[s], _from(data, 4));
                dirty[4 + 32 + 32 * word] = hex"80";
                bytes memory answer;
                (ok, answer) = address(pools).call(dirty);
                assertFalse(ok);
                if (answer.length != 0) assertEq(answer, abi.encodePacked(IArbitrationPools.UnknownCase.selector));
            }
        }
        assertEq(pools.caseOf(address(escrow), id).length, 1);
    }

    function _from(bytes memory data, uint256 start) private pure returns (bytes memory rest) {
        rest = new bytes(data.length - start);
        for (uint256 i; i < rest.length; ++i) {
            rest[i] = data[start + i];
        }
    }
}
