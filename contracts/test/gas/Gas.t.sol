// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Ballot} from "../../src/interfaces/IArbitrationPools.sol";
import {Deal, IEscrow, Terms} from "../../src/interfaces/IEscrow.sol";
import {PoolsFixture} from "../pools/PoolsFixture.sol";
import {TestToken} from "../tokens/TestToken.sol";

/// @notice What each transaction costs, as a wallet pays it, with everything that recurs already warm in storage: `npm run
///         gas` compares with snapshots/, `npm run gas:write` writes them.
contract GasTest is PoolsFixture {
    uint256 private _salt;

    function setUp() public override {
        super.setUp();
        token = TestToken(vm.deployCode("Dollar.sol:Dollar"));
        token.mint(buyer, 100 * uint256(AMOUNT));
        vm.prank(buyer);
        token.approve(address(escrow), type(uint256).max);
        // Balances that are not zero before: of the seller, the escrow and the token's holders.
        vm.deal(seller, 1 ether);
        token.mint(seller, 1);
        _fund(false);
        _fund(true);
    }

    function _terms(bool asToken) private returns (Terms memory terms) {
        terms = asToken ? tokenTerms() : coinTerms();
        terms.annex.panel = pool;
        terms.annex.salt = keccak256(abi.encode(++_salt));
    }

    function _fund(bool asToken) private returns (Terms memory terms, Deal memory deal) {
        terms = _terms(asToken);
        (, deal) = fund(terms);
    }

    function _ruled(bool asToken, uint16 share) private {
        Terms memory terms = _terms(asToken);
        drawn(terms);
        Ballot[] memory ballots = new Ballot[](3);
        for (uint8 i; i < 3; ++i) {
            ballots[i] = ballot(terms, i, share);
        }
        vm.warp(FUND_BY + 1);
        pools.submit(address(escrow), terms, 0, ballots);
    }

    function test_FundCoin() public {
        _fund(false);
        vm.snapshotGasLastCall("escrow", "coin: fund");
    }

    function test_FundToken() public {
        _fund(true);
        vm.snapshotGasLastCall("escrow", "token: fund by allowance");
    }

    function test_FundTokenBySig() public {
        Terms memory terms = _terms(true);
        bytes memory consent = sign(sellerKey, idOf(terms));
        bytes memory order = sign(buyerKey, fundDigest(idOf(terms), ALWAYS));
        escrow.fundBySig(terms, consent, ALWAYS, order);
        vm.snapshotGasLastCall("escrow", "token: fund by signature");
    }

    function test_Release() public {
        for (uint256 i; i < 2; ++i) {
            (, Deal memory deal) = _fund(i == 1);
            vm.prank(buyer);
            escrow.release(deal, AMOUNT);
            vm.snapshotGasLastCall("escrow", i == 1 ? "token: release, tombstone" : "coin: release, tombstone");
            (, deal) = _fund(i == 1);
            vm.warp(FUND_BY + 1);
            vm.prank(buyer);
            escrow.release(deal, AMOUNT);
            vm.snapshotGasLastCall("escrow", i == 1 ? "token: release, deleted" : "coin: release, deleted");
            vm.warp(NOW + DELAY);
        }
    }

    function test_DeliverDisputeClaim() public {
        (, Deal memory deal) = _fund(false);
        vm.prank(seller);
        escrow.deliver(deal, keccak256("delivery"));
        vm.snapshotGasLastCall("escrow", "deliver");
        vm.warp(NOW + DELAY + INSPECTION + 1);
        escrow.claim(deal);
        vm.snapshotGasLastCall("escrow", "coin: claim");
        vm.warp(NOW + DELAY);
        (, deal) = _fund(false);
        vm.prank(buyer);
        escrow.dispute(deal, keccak256("evidence"));
        vm.snapshotGasLastCall("escrow", "dispute");
    }

    function test_Case() public {
        Terms memory terms = _terms(false);
        (bytes32 id,) = disputed(terms);
        pools.open(address(escrow), id);
        vm.snapshotGasLastCall("pools", "open a case");
        vm.roll(vm.getBlockNumber() + 3);
        pools.draw(address(escrow), terms);
        vm.snapshotGasLastCall("pools", "draw a jury of three");
    }

    function test_Ruling() public {
        _ruled(false, 10_000);
        vm.snapshotGasLastCall("pools", "coin: ruling of three ballots, one payee");
        vm.warp(NOW + DELAY);
        _ruled(false, 5000);
        vm.snapshotGasLastCall("pools", "coin: ruling of three ballots, split");
        vm.warp(NOW + DELAY);
        _ruled(true, 10_000);
        vm.snapshotGasLastCall("pools", "token: ruling of three ballots, one payee");
    }
}
