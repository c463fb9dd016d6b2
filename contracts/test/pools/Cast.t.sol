// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Ballot, IArbitrationPools, Stage} from "../../src/interfaces/IArbitrationPools.sol";
import {Terms} from "../../src/interfaces/IEscrow.sol";
import {Wallet} from "../accounts/Wallets.sol";
import {PoolsFixture} from "./PoolsFixture.sol";

contract CastTest is PoolsFixture {
    function test_OnChainIsFinalAndOverridesASignature() public {
        Terms memory terms = poolTerms();
        (bytes32 id, address[] memory seats) = drawn(terms);
        pools.submit(address(escrow), terms, 0, one(ballot(terms, 0, 5000)));
        vm.expectEmit(address(pools));
        emit IArbitrationPools.BallotCast(id, address(escrow), 0, 0, 0, 8000, keccak256("reason"));
        vm.expectEmit(address(pools));
        emit IArbitrationPools.BallotsCounted(id, address(escrow), 0, 0, 17 | 1 << 155, 0, 10_000);
        vm.prank(seats[0]);
        pools.cast(address(escrow), terms, 0, 0, 8000, keccak256("reason"));
        // Neither another signature nor another cast changes it, and two signatures do not void it.
        Ballot[] memory both = two(ballot(terms, 0, 5000), ballot(terms, 0, 6000));
        expect(IArbitrationPools.NoBallots.selector);
        pools.submit(address(escrow), terms, 0, both);
        expect(refusal(IArbitrationPools.SeatFinal.selector, uint256(0)));
        vm.prank(seats[0]);
        pools.cast(address(escrow), terms, 0, 0, 5000, 0);
        pools.submit(address(escrow), terms, 0, one(ballot(terms, 1, 8000)));
        assertEq(seller.balance, uint256(AMOUNT) * 8000 / 10_000);
    }

    function test_TheLastCastRules() public {
        Terms memory terms = poolTerms();
        (bytes32 id, address[] memory seats) = drawn(terms);
        vm.prank(seats[1]);
        pools.cast(address(escrow), terms, 0, 1, 1000, 0);
        vm.prank(seats[2]);
        pools.cast(address(escrow), terms, 0, 2, 1000, 0);
        assertEq(seller.balance, AMOUNT / 10);
        assertEq(uint8(lastOf(id).stage), uint8(Stage.Executed));
        expect(IArbitrationPools.AlreadyAccepted.selector);
        vm.prank(seats[0]);
        pools.cast(address(escrow), terms, 0, 0, 1000, 0);
    }

    function test_Refusals() public {
        Terms memory terms = poolTerms();
        (, address[] memory seats) = drawn(terms);
        expect(refusal(IArbitrationPools.BadSeat.selector, uint256(3)));
        vm.prank(seats[0]);
        pools.cast(address(escrow), terms, 0, 3, 0, 0);
        expect(refusal(IArbitrationPools.NotJuror.selector, uint256(1)));
        vm.prank(seats[0]);
        pools.cast(address(escrow), terms, 0, 1, 0, 0);
        expect(refusal(IArbitrationPools.NotJuror.selector, uint256(0)));
        vm.prank(stranger);
        pools.cast(address(escrow), terms, 0, 0, 0, 0);
        expect(refusal(IArbitrationPools.BadShare.selector, uint256(499)));
        vm.prank(seats[0]);
        pools.cast(address(escrow), terms, 0, 0, 499, 0);
        pools.submit(address(escrow), terms, 0, two(ballot(terms, 0, 0), ballot(terms, 0, 500)));
        expect(refusal(IArbitrationPools.SeatVoid.selector, uint256(0)));
        vm.prank(seats[0]);
        pools.cast(address(escrow), terms, 0, 0, 500, 0);
    }

    /// A contract among the members has no key to sign with, so it casts.
    function test_AContractMemberCasts() public {
        Wallet wallet = new Wallet(stranger);
        address[] memory list = new address[](8);
        for (uint256 i; i < 8; ++i) {
            list[i] = address(new Wallet(stranger));
        }
        list[0] = address(wallet);
        for (uint256 i; i < 8; ++i) {
            for (uint256 j = i; j > 0 && list[j - 1] > list[j]; --j) {
                (list[j - 1], list[j]) = (list[j], list[j - 1]);
            }
        }
        _publish(pool, list);
        vm.warp(vm.getBlockTimestamp() + DELAY);
        Terms memory terms = poolTerms();
        (, address[] memory seats) = drawn(terms);
        bytes32 id = pools.caseId(address(escrow), terms, 0);
        (bytes32 r, bytes32 vs) = vm.signCompact(strangerKey, ballotDigest(id, 500, 0));
        Ballot memory signed = Ballot(0, 500, 0, r, vs);
        expect(refusal(IArbitrationPools.InvalidBallot.selector, uint256(0)));
        pools.submit(address(escrow), terms, 0, one(signed));
        for (uint8 seat; seat < 2; ++seat) {
            Wallet(payable(seats[seat]))
                .act(
                    address(pools),
                    abi.encodeCall(IArbitrationPools.cast, (address(escrow), terms, 0, seat, 500, "")),
                    0
                );
        }
        assertEq(seller.balance, uint256(AMOUNT) * 500 / 10_000);
    }
}
