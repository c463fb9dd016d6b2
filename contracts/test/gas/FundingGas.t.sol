// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IEscrow, Terms} from "../../src/interfaces/IEscrow.sol";
import {Permit2Fixture} from "../escrow/Permit2Fixture.sol";
import {SignedToken} from "../tokens/SignedToken.sol";

/// @notice What the forms of funding by a signature of the token cost, in the manner of Gas.t.sol: the third payment, whose
///         buyer has permitted and has used a nonce of Permit2 before.
contract FundingGasTest is Permit2Fixture {
    /// The word of Permit2's bitmap is not zero after the first.
    uint256 private _nonce;
    uint256 private _salt;

    function setUp() public override {
        super.setUp();
        dollar = SignedToken(vm.deployCode("Dollar.sol:Dollar"));
        dollar.mint(buyer, 100 * uint256(AMOUNT));
        vm.prank(buyer);
        dollar.approve(PERMIT2, type(uint256).max);
        _byAuthorization(seller);
        _byPermit2(seller);
        _byPermit(seller);
    }

    function _terms() private returns (Terms memory) {
        return salted(dollarTerms(), keccak256(abi.encode(++_salt)));
    }

    /// Empty where the seller itself submits.
    function _consent(address by, Terms memory terms) private view returns (bytes memory) {
        return by == seller ? bytes("") : sign(sellerKey, idOf(terms));
    }

    function _byAuthorization(address by) private {
        Terms memory terms = _terms();
        bytes memory consent = _consent(by, terms);
        Authorization memory a = authorization(terms);
        bytes memory signature = sign(buyerKey, authorizationDigest(a));
        vm.prank(by);
        escrow.fundByAuthorization(terms, consent, a.validAfter, a.validBefore, signature);
    }

    function _byPermit2(address by) private {
        Terms memory terms = _terms();
        bytes memory consent = _consent(by, terms);
        Order memory order = orderOf(terms);
        order.nonce = ++_nonce;
        bytes memory signature = sign(buyerKey, permit2Digest(order, idOf(terms)));
        vm.prank(by);
        escrow.fundByPermit2(terms, consent, _nonce, NOW, signature);
    }

    /// A permit of exactly the amount and the order that uses it, in one batch.
    function _byPermit(address by) private {
        Terms memory terms = _terms();
        bytes[] memory calls = new bytes[](2);
        calls[0] = permitCall(AMOUNT, NOW);
        bytes memory order = sign(buyerKey, fundDigest(idOf(terms), ALWAYS));
        calls[1] = abi.encodeCall(IEscrow.fundBySig, (terms, _consent(by, terms), ALWAYS, order));
        vm.prank(by);
        escrow.batch(calls);
    }

    function test_Authorization() public {
        _byAuthorization(seller);
        vm.snapshotGasLastCall("escrow", "token: fund by ERC-3009, submitted by the seller");
        _byAuthorization(stranger);
        vm.snapshotGasLastCall("escrow", "token: fund by ERC-3009, submitted by another");
    }

    function test_Permit2() public {
        _byPermit2(seller);
        vm.snapshotGasLastCall("escrow", "token: fund by Permit2, submitted by the seller");
        _byPermit2(stranger);
        vm.snapshotGasLastCall("escrow", "token: fund by Permit2, submitted by another");
    }

    function test_Permit() public {
        _byPermit(seller);
        vm.snapshotGasLastCall("escrow", "token: fund by permit in a batch, submitted by the seller");
        _byPermit(stranger);
        vm.snapshotGasLastCall("escrow", "token: fund by permit in a batch, submitted by another");
    }

    function test_Batch() public {
        bytes[] memory calls = new bytes[](3);
        for (uint256 i; i < 3; ++i) {
            Terms memory terms = salted(coinTerms(), keccak256(abi.encode(++_salt)));
            calls[i] = abi.encodeCall(IEscrow.fund, (terms, sign(sellerKey, idOf(terms))));
        }
        vm.prank(buyer);
        escrow.batch{value: 3 * uint256(AMOUNT)}(calls);
        vm.snapshotGasLastCall("escrow", "coin: fund three in a batch");
    }

    function test_Retract() public {
        Terms memory terms = _terms();
        vm.prank(seller);
        escrow.retract(terms);
        vm.snapshotGasLastCall("escrow", "retract");
    }
}
