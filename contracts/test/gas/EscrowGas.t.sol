// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Deal, Status, Terms} from "../../src/interfaces/IEscrow.sol";
import {Fixture} from "../Fixture.sol";
import {Refuser} from "../accounts/Payees.sol";
import {TestToken} from "../tokens/TestToken.sol";

/// @notice What the escrow's rarer actions cost, in the manner of Gas.t.sol. Deals are in coin and are closed after
///         `fundBy`, so that nothing of them stays, unless the name says otherwise.
contract EscrowGasTest is Fixture {
    /// As long as the address of a file in IPFS by a version 0 content id.
    string private constant URI = "/ipfs/QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPbdG";
    bytes32 private constant HASH = keccak256("what is at the URI");
    uint256 private _salt;

    function setUp() public override {
        super.setUp();
        token = TestToken(vm.deployCode("Dollar.sol:Dollar"));
        token.mint(buyer, 100 * uint256(AMOUNT));
        vm.prank(buyer);
        token.approve(address(escrow), type(uint256).max);
        vm.deal(seller, 1 ether);
        token.mint(seller, 1);
        _fund(false);
        _fund(true);
    }

    function _terms(bool asToken) private returns (Terms memory terms) {
        terms = asToken ? tokenTerms() : coinTerms();
        terms.annex.salt = keccak256(abi.encode(++_salt));
    }

    function _fund(bool asToken) private returns (bytes32 id, Deal memory deal) {
        return fund(_terms(asToken));
    }

    function _note(string memory name) private {
        vm.snapshotGasLastCall("escrow", name);
    }

    function test_Refund() public {
        for (uint256 i; i < 2; ++i) {
            (, Deal memory deal) = _fund(i == 1);
            vm.warp(FUND_BY + 1);
            vm.prank(seller);
            escrow.refund(deal, AMOUNT);
            _note(i == 1 ? "token: refund" : "coin: refund");
            vm.warp(NOW);
        }
    }

    function test_ConcedeInPart() public {
        (, Deal memory deal) = _fund(false);
        vm.prank(buyer);
        escrow.release(deal, AMOUNT / 2);
        _note("coin: release, half");
        vm.prank(seller);
        escrow.refund(deal, AMOUNT / 4);
        _note("coin: refund, a quarter after half was released");
    }

    function test_ConcedeBySig() public {
        for (uint256 i; i < 2; ++i) {
            (bytes32 id, Deal memory deal) = _fund(i == 1);
            vm.warp(FUND_BY + 1);
            escrow.releaseBySig(deal, AMOUNT, sign(buyerKey, releaseDigest(id, AMOUNT)));
            _note(i == 1 ? "token: release by signature" : "coin: release by signature");
            vm.warp(NOW);
        }
        (bytes32 other, Deal memory second) = _fund(false);
        vm.warp(FUND_BY + 1);
        escrow.refundBySig(second, AMOUNT, sign(sellerKey, refundDigest(other, AMOUNT)));
        _note("coin: refund by signature");
    }

    function test_FundBySig() public {
        Terms memory terms = _terms(false);
        bytes memory consent = sign(sellerKey, idOf(terms));
        bytes memory order = sign(buyerKey, fundDigest(idOf(terms), ALWAYS));
        escrow.fundBySig{value: AMOUNT}(terms, consent, ALWAYS, order);
        _note("coin: fund by signature");
        terms = _terms(true);
        order = sign(buyerKey, fundDigest(idOf(terms), ALWAYS));
        vm.prank(seller);
        escrow.fundBySig(terms, "", ALWAYS, order);
        _note("token: fund by signature, submitted by the seller");
    }

    function test_DeliverBySig() public {
        (bytes32 id, Deal memory deal) = _fund(false);
        escrow.deliverBySig(deal, HASH, ALWAYS, sign(sellerKey, deliverDigest(id, HASH, ALWAYS)));
        _note("deliver by signature");
    }

    function test_Dispute() public {
        (, Deal memory tokens) = _fund(true);
        vm.prank(buyer);
        escrow.dispute(tokens, HASH);
        _note("token: dispute");
        (bytes32 id, Deal memory deal) = _fund(false);
        escrow.disputeBySig(deal, buyer, HASH, ALWAYS, sign(buyerKey, disputeDigest(id, HASH, ALWAYS)));
        _note("dispute by signature");
        vm.prank(seller);
        escrow.evidence(deal, HASH, URI);
        _note("evidence");
        bytes memory order = sign(sellerKey, evidenceDigest(id, HASH, URI, ALWAYS));
        escrow.evidenceBySig(deal, seller, HASH, URI, ALWAYS, order);
        _note("evidence by signature");
    }

    function test_Silence() public {
        (, Deal memory deal) = _fund(true);
        vm.prank(seller);
        escrow.deliver(deal, HASH);
        vm.warp(FUND_BY + INSPECTION);
        vm.prank(seller);
        escrow.claim(deal);
        _note("token: claim");
        for (uint256 i; i < 2; ++i) {
            vm.warp(NOW);
            (, deal) = _fund(i == 1);
            vm.warp(DELIVER_BY + 1);
            vm.prank(buyer);
            escrow.reclaim(deal);
            _note(i == 1 ? "token: reclaim" : "coin: reclaim");
            vm.warp(NOW);
            (, deal) = disputed(_terms(i == 1));
            vm.warp(NOW + RULING + 1);
            escrow.lapse(deal);
            _note(i == 1 ? "token: lapse, split" : "coin: lapse, split");
        }
    }

    function test_Rule() public {
        (, Deal memory deal) = disputed(_terms(false));
        vm.warp(FUND_BY + 1);
        vm.prank(arbiter);
        escrow.rule(deal, 10_000);
        _note("coin: rule by an account, one payee");
    }

    function test_Settle() public {
        for (uint256 i; i < 2; ++i) {
            (bytes32 id, Deal memory deal) = _fund(i == 1);
            bytes32 digest = settleDigest(id, AMOUNT / 2, Status.Funded, 0, ALWAYS);
            vm.warp(FUND_BY + 1);
            vm.prank(seller);
            escrow.settle(deal, AMOUNT / 2, 0, ALWAYS, sign(buyerKey, digest), "");
            _note(i == 1 ? "token: settle, split" : "coin: settle, split");
            vm.warp(NOW);
        }
        (bytes32 other, Deal memory second) = _fund(false);
        bytes32 both = settleDigest(other, AMOUNT / 2, Status.Funded, 0, ALWAYS);
        vm.warp(FUND_BY + 1);
        escrow.settle(second, AMOUNT / 2, 0, ALWAYS, sign(buyerKey, both), sign(sellerKey, both));
        _note("coin: settle, split, submitted by another");
    }

    /// The whole credit each time; the nonce of the withdrawal by signature was used before.
    function test_Withdraw() public {
        vm.etch(seller, address(new Refuser()).code);
        vm.deal(stranger, 1 ether);
        _credit();
        _note("coin: release to a payee that refuses, tombstone");
        vm.prank(seller);
        escrow.withdraw(address(0), stranger);
        _note("coin: withdraw");
        for (uint256 nonce; nonce < 2; ++nonce) {
            _credit();
            bytes32 digest = withdrawDigest(seller, address(0), AMOUNT, stranger, nonce, ALWAYS);
            escrow.withdrawBySig(seller, address(0), AMOUNT, stranger, ALWAYS, sign(sellerKey, digest));
        }
        _note("coin: withdraw by signature");
    }

    /// To one that has some of the token already.
    function test_WithdrawToken() public {
        token.mint(stranger, 1);
        for (uint256 i; i < 3; ++i) {
            (, Deal memory deal) = _fund(true);
            vm.mockCallRevert(address(token), abi.encodeCall(TestToken.transfer, (seller, AMOUNT)), "");
            vm.prank(buyer);
            escrow.release(deal, AMOUNT);
            vm.clearMockedCalls();
            if (i == 0) {
                vm.prank(seller);
                escrow.withdraw(address(token), stranger);
                _note("token: withdraw");
                continue;
            }
            bytes32 digest = withdrawDigest(seller, address(token), AMOUNT, stranger, i - 1, ALWAYS);
            escrow.withdrawBySig(seller, address(token), AMOUNT, stranger, ALWAYS, sign(sellerKey, digest));
        }
        _note("token: withdraw by signature");
    }

    function _credit() private {
        (, Deal memory deal) = _fund(false);
        vm.prank(buyer);
        escrow.release(deal, AMOUNT);
    }

    function test_Revoke() public {
        vm.prank(buyer);
        escrow.revoke(HASH);
        _note("revoke");
    }
}
