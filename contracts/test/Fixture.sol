// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";
import {Annex, Deal, IEscrow, State, Status, Terms} from "../src/interfaces/IEscrow.sol";
import {TestToken} from "./tokens/TestToken.sol";

/// @notice An escrow as deployed, its parties, and the typed data that they sign, written out here a second time so that
///         the contract's own hashing is checked against it.
abstract contract Fixture is Test {
    uint40 internal constant NOW = 1_800_000_000;
    uint40 internal constant FUND_BY = NOW + 1 days;
    uint40 internal constant DELIVER_BY = NOW + 10 days;
    uint32 internal constant INSPECTION = 3 days;
    uint32 internal constant RULING = 30 days;
    uint16 internal constant LAPSE_SHARE = 3333;
    /// Odd, so that shares have to round.
    uint88 internal constant AMOUNT = 1_000_000_007;
    uint40 internal constant ALWAYS = type(uint40).max;
    /// The seller's total at LAPSE_SHARE, rounded down.
    uint88 internal constant LAPSE_TOTAL = 333_300_002;

    bytes32 internal constant TERMS = keccak256(
        "Terms(address buyer,address seller,address arbiter,address asset,uint88 amount,uint40 fundBy,uint40 deliverBy,uint32 inspection,uint32 ruling,uint16 lapseShare,bool metered,Annex annex)Annex(bytes32 panel,bytes32 agreement,bytes32 salt)"
    );

    IEscrow internal escrow;
    TestToken internal token;
    address internal buyer;
    address internal seller;
    address internal arbiter = makeAddr("arbiter");
    address internal stranger = makeAddr("stranger");
    uint256 internal buyerKey;
    uint256 internal sellerKey;
    uint256 internal strangerKey;

    function setUp() public virtual {
        vm.warp(NOW);
        vm.roll(1000);
        escrow = IEscrow(vm.deployCode("Escrow.sol:Escrow"));
        token = new TestToken();
        (buyer, buyerKey) = makeAddrAndKey("buyer");
        (seller, sellerKey) = makeAddrAndKey("seller");
        (stranger, strangerKey) = makeAddrAndKey("stranger");
        vm.deal(buyer, 100 ether);
        token.mint(buyer, 100 * uint256(AMOUNT));
        vm.prank(buyer);
        token.approve(address(escrow), type(uint256).max);
    }

    /* TERMS */

    function coinTerms() internal view returns (Terms memory) {
        return Terms({
            buyer: buyer,
            seller: seller,
            arbiter: arbiter,
            asset: address(0),
            amount: AMOUNT,
            fundBy: FUND_BY,
            deliverBy: DELIVER_BY,
            inspection: INSPECTION,
            ruling: RULING,
            lapseShare: LAPSE_SHARE,
            metered: false,
            annex: Annex({panel: keccak256("panel"), agreement: keccak256("agreement"), salt: keccak256("salt")})
        });
    }

    function tokenTerms() internal view returns (Terms memory terms) {
        terms = coinTerms();
        terms.asset = address(token);
    }

    function meteredTerms() internal view returns (Terms memory terms) {
        terms = coinTerms();
        terms.metered = true;
    }

    function dealOf(Terms memory terms) internal pure returns (Deal memory) {
        return Deal({
            buyer: terms.buyer,
            seller: terms.seller,
            arbiter: terms.arbiter,
            asset: terms.asset,
            amount: terms.amount,
            fundBy: terms.fundBy,
            deliverBy: terms.deliverBy,
            inspection: terms.inspection,
            ruling: terms.ruling,
            lapseShare: terms.lapseShare,
            metered: terms.metered,
            annex: keccak256(abi.encode(keccak256("Annex(bytes32 panel,bytes32 agreement,bytes32 salt)"), terms.annex))
        });
    }

    function idOf(Terms memory terms) internal view returns (bytes32) {
        return typed(keccak256(abi.encode(TERMS, dealOf(terms))));
    }

    /* TYPED DATA */

    function domainOf(string memory name, address verifier) internal view returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256(bytes(name)),
                keccak256("1"),
                block.chainid,
                verifier
            )
        );
    }

    function typed(bytes32 structHash) internal view returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", domainOf("Earnest Escrow", address(escrow)), structHash));
    }

    function fundDigest(bytes32 id, uint40 validUntil) internal view returns (bytes32) {
        return typed(keccak256(abi.encode(keccak256("Fund(bytes32 deal,uint40 validUntil)"), id, validUntil)));
    }

    function deliverDigest(bytes32 id, bytes32 hash, uint40 validUntil) internal view returns (bytes32) {
        bytes32 kind = keccak256("Deliver(bytes32 deal,bytes32 delivery,uint40 validUntil)");
        return typed(keccak256(abi.encode(kind, id, hash, validUntil)));
    }

    function releaseDigest(bytes32 id, uint88 total) internal view returns (bytes32) {
        return typed(keccak256(abi.encode(keccak256("Release(bytes32 deal,uint88 total)"), id, total)));
    }

    function refundDigest(bytes32 id, uint88 total) internal view returns (bytes32) {
        return typed(keccak256(abi.encode(keccak256("Refund(bytes32 deal,uint88 total)"), id, total)));
    }

    function disputeDigest(bytes32 id, bytes32 hash, uint40 validUntil) internal view returns (bytes32) {
        bytes32 kind = keccak256("Dispute(bytes32 deal,bytes32 evidence,uint40 validUntil)");
        return typed(keccak256(abi.encode(kind, id, hash, validUntil)));
    }

    function evidenceDigest(bytes32 id, bytes32 hash, string memory uri, uint40 validUntil)
        internal
        view
        returns (bytes32)
    {
        bytes32 kind = keccak256("Evidence(bytes32 deal,bytes32 evidence,string uri,uint40 validUntil)");
        return typed(keccak256(abi.encode(kind, id, hash, keccak256(bytes(uri)), validUntil)));
    }

    function settleDigest(bytes32 id, uint88 total, Status status, uint8 rulings, uint40 validUntil)
        internal
        view
        returns (bytes32)
    {
        bytes32 kind = keccak256("Settle(bytes32 deal,uint88 sellerTotal,uint8 status,uint8 rulings,uint40 validUntil)");
        return typed(keccak256(abi.encode(kind, id, total, status, rulings, validUntil)));
    }

    function withdrawDigest(
        address creditor,
        address asset,
        uint256 amount,
        address to,
        uint256 nonce,
        uint40 validUntil
    ) internal view returns (bytes32) {
        bytes32 kind = keccak256(
            "Withdraw(address creditor,address asset,uint256 amount,address to,uint256 nonce,uint40 validUntil)"
        );
        return typed(keccak256(abi.encode(kind, creditor, asset, amount, to, nonce, validUntil)));
    }

    function sign(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    /* DEALS IN A STATE */

    /// The buyer funds by itself, with the seller's signature.
    function fund(Terms memory terms) internal returns (bytes32 id, Deal memory deal) {
        id = idOf(terms);
        deal = dealOf(terms);
        bytes memory consent = sign(sellerKey, id);
        vm.prank(terms.buyer);
        escrow.fund{value: terms.asset == address(0) ? terms.amount : 0}(terms, consent);
    }

    function delivered(Terms memory terms) internal returns (bytes32 id, Deal memory deal) {
        (id, deal) = fund(terms);
        vm.prank(terms.seller);
        escrow.deliver(deal, keccak256("delivery"));
    }

    function disputed(Terms memory terms) internal returns (bytes32 id, Deal memory deal) {
        (id, deal) = fund(terms);
        vm.prank(terms.buyer);
        escrow.dispute(deal, keccak256("evidence"));
    }

    /* CHECKS */

    function assertState(
        bytes32 id,
        Status status,
        uint8 count,
        uint40 since,
        uint40 fundedAt,
        uint88 released,
        uint88 refunded
    ) internal view {
        State memory state = escrow.stateOf(id);
        assertEq(uint8(state.status), uint8(status), "status");
        assertEq(state.count, count, "count");
        assertEq(state.since, since, "since");
        assertEq(state.fundedAt, fundedAt, "fundedAt");
        assertEq(state.released, released, "released");
        assertEq(state.refunded, refunded, "refunded");
    }

    /// Nothing of the deal is left in storage.
    function assertGone(bytes32 id) internal view {
        assertState(id, Status.None, 0, 0, 0, 0, 0);
    }

    function refusal(bytes4 selector, uint256 a) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(selector, a);
    }

    function refusal(bytes4 selector, uint256 a, uint256 b) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(selector, a, b);
    }

    function refusal(bytes4 selector, address a) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(selector, a);
    }

    function refusal(bytes4 selector, bytes32 a) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(selector, a);
    }

    function expect(bytes4 selector) internal {
        vm.expectRevert(selector);
    }

    function expect(bytes memory data) internal {
        vm.expectRevert(data);
    }
}
