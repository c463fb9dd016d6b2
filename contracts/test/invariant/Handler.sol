// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Deal, IEscrow, State, Status, Terms} from "../../src/interfaces/IEscrow.sol";
import {Fixture} from "../Fixture.sol";
import {DenylistToken} from "../tokens/OddToken.sol";

/// @notice Takes actions at random, allowed and refused, and keeps an account of its own: what each deal paid, by its
///         own arithmetic, and what each party must therefore hold. A refusal is a result here, never a revert.
contract Handler is Fixture {
    struct Ghost {
        Terms terms;
        bytes32 id;
        Status status;
        uint256 released;
        uint256 refunded;
        uint40 since;
        uint40 fundedAt;
        uint8 events;
    }

    Ghost[] private _ghosts;
    DenylistToken public denylist;
    /// What the escrow must hold and owe, by asset.
    mapping(address asset => uint256) public held;
    mapping(address asset => uint256) public owed;
    mapping(address who => mapping(address asset => uint256)) public credit;
    mapping(address who => mapping(address asset => uint256)) public paid;
    /// How often each action went through, so that a run that tried nothing is seen.
    mapping(bytes32 action => uint256) public done;
    uint256 public refusals;

    constructor() {
        setUp();
    }

    function setUp() public override {
        super.setUp();
        denylist = new DenylistToken();
        denylist.mint(buyer, type(uint96).max);
        vm.prank(buyer);
        denylist.approve(address(escrow), type(uint256).max);
        vm.deal(buyer, type(uint96).max);
    }

    function contractUnderTest() external view returns (IEscrow) {
        return escrow;
    }

    function count() external view returns (uint256) {
        return _ghosts.length;
    }

    function ghost(uint256 i) external view returns (Ghost memory) {
        return _ghosts[i];
    }

    function parties() external view returns (address, address) {
        return (buyer, seller);
    }

    /* TIME AND WEATHER */

    function wait(uint256 howLong) external {
        vm.warp(vm.getBlockTimestamp() + bound(howLong, 1, 4 days));
    }

    /// The token refuses one of the parties, or takes it back.
    function deny(bool theBuyer, bool yes) external {
        denylist.deny(theBuyer ? buyer : seller, yes);
    }

    /* ACTIONS */

    function open(uint88 amount, uint16 lapseShare, bool asToken, bool metered, bool bySignature) external {
        if (_ghosts.length == 60) return;
        Terms memory terms = coinTerms();
        terms.amount = uint88(bound(amount, 1, type(uint88).max / 16));
        terms.lapseShare = uint16(bound(lapseShare, 0, 10_000));
        terms.metered = metered;
        if (asToken) terms.asset = address(denylist);
        uint40 now_ = uint40(vm.getBlockTimestamp());
        (terms.fundBy, terms.deliverBy) = (now_ + 1 days, now_ + 5 days);
        (terms.inspection, terms.ruling) = (2 days, 3 days);
        terms.annex.salt = bytes32(_ghosts.length);
        bytes32 id = idOf(terms);
        bytes memory order = sign(buyerKey, fundDigest(id, now_));
        bytes memory consent = sign(sellerKey, id);
        if (!bySignature) vm.prank(buyer);
        uint256 value = asToken ? 0 : terms.amount;
        if (bySignature && !asToken) vm.deal(address(this), value);
        (bool ok,) = address(escrow).call{value: value}(
            bySignature
                ? abi.encodeCall(IEscrow.fundBySig, (terms, consent, now_, order))
                : abi.encodeCall(IEscrow.fund, (terms, consent))
        );
        if (!_went("fund", ok)) return;
        held[terms.asset] += terms.amount;
        _ghosts.push(Ghost(terms, id, Status.Funded, 0, 0, 0, now_, 1));
    }

    function fundAgain(uint256 which) external {
        if (_ghosts.length == 0) return;
        Ghost storage g = _ghosts[which % _ghosts.length];
        vm.prank(buyer);
        (bool ok,) = address(escrow).call{value: g.terms.asset == address(0) ? g.terms.amount : 0}(
            abi.encodeCall(IEscrow.fund, (g.terms, sign(sellerKey, g.id)))
        );
        assertFalse(ok, "funded twice");
        ++refusals;
    }

    function deliver(uint256 which, uint256 who) external {
        (Ghost storage g, Deal memory deal) = _pick(which);
        if (g.id == 0) return;
        address by = _who(who);
        if (!_try("deliver", by, abi.encodeCall(IEscrow.deliver, (deal, bytes32(0))))) return;
        assertEq(by, seller, "only the seller delivers");
        _enter(g, Status.Delivered);
    }

    function dispute(uint256 which, uint256 who) external {
        (Ghost storage g, Deal memory deal) = _pick(which);
        if (g.id == 0) return;
        address by = _who(who);
        if (!_try("dispute", by, abi.encodeCall(IEscrow.dispute, (deal, bytes32(0))))) return;
        assertTrue(by == buyer || by == seller, "only parties dispute");
        _enter(g, Status.Disputed);
    }

    function evidence(uint256 which, uint256 who) external {
        (Ghost storage g, Deal memory deal) = _pick(which);
        if (g.id == 0) return;
        address by = _who(who);
        if (!_try("evidence", by, abi.encodeCall(IEscrow.evidence, (deal, bytes32(0), "")))) return;
        assertTrue(by == buyer || by == seller, "only parties give evidence");
        assertEq(uint8(g.status), uint8(Status.Disputed));
        unchecked {
            ++g.events;
        }
    }

    function release(uint256 which, uint256 who, uint88 total, bool bySignature) external {
        (Ghost storage g, Deal memory deal) = _pick(which);
        if (g.id == 0) return;
        address by = _who(who);
        total = uint88(bound(total, 0, uint256(deal.amount) + 1));
        bytes memory data = bySignature
            ? abi.encodeCall(IEscrow.releaseBySig, (deal, total, sign(_keyOf(by), releaseDigest(g.id, total))))
            : abi.encodeCall(IEscrow.release, (deal, total));
        if (!_try("release", by, data)) return;
        assertEq(by, buyer, "only the buyer releases");
        _pay(g, _least(total, deal.amount - g.refunded), g.refunded);
    }

    function refund(uint256 which, uint256 who, uint88 total, bool bySignature) external {
        (Ghost storage g, Deal memory deal) = _pick(which);
        if (g.id == 0) return;
        address by = _who(who);
        total = uint88(bound(total, 0, uint256(deal.amount) + 1));
        bytes memory data = bySignature
            ? abi.encodeCall(IEscrow.refundBySig, (deal, total, sign(_keyOf(by), refundDigest(g.id, total))))
            : abi.encodeCall(IEscrow.refund, (deal, total));
        if (!_try("refund", by, data)) return;
        assertEq(by, seller, "only the seller refunds");
        _pay(g, g.released, _least(total, deal.amount - g.released));
    }

    function settle(uint256 which, uint88 total, uint256 who) external {
        (Ghost storage g, Deal memory deal) = _pick(which);
        if (g.id == 0) return;
        total = uint88(bound(total, 0, deal.amount));
        bytes32 digest = settleDigest(g.id, total, g.status, 0, ALWAYS);
        address signer = _who(who);
        bytes memory data = abi.encodeCall(
            IEscrow.settle, (deal, total, 0, ALWAYS, sign(_keyOf(signer), digest), sign(sellerKey, digest))
        );
        if (!_try("settle", stranger, data)) return;
        assertEq(signer, buyer, "both settle");
        _close(g, total);
    }

    function rule(uint256 which, uint256 who, uint16 share) external {
        (Ghost storage g, Deal memory deal) = _pick(which);
        if (g.id == 0) return;
        address by = _who(who);
        share = uint16(bound(share, 0, 10_001));
        if (!_try("rule", by, abi.encodeCall(IEscrow.rule, (deal, share)))) return;
        assertEq(by, arbiter, "only the arbiter rules");
        assertEq(uint8(g.status), uint8(Status.Disputed));
        _close(g, uint256(deal.amount) * share / 10_000);
    }

    function silence(uint256 which, uint256 who, uint8 kind) external {
        (Ghost storage g, Deal memory deal) = _pick(which);
        if (g.id == 0) return;
        uint256 now_ = vm.getBlockTimestamp();
        if (kind % 3 == 0) {
            if (!_try("reclaim", _who(who), abi.encodeCall(IEscrow.reclaim, (deal)))) return;
            assertEq(uint8(g.status), uint8(Status.Funded));
            assertGt(now_, deal.deliverBy + (deal.metered ? deal.inspection : 0));
            _close(g, g.released);
        } else if (kind % 3 == 1) {
            if (!_try("claim", _who(who), abi.encodeCall(IEscrow.claim, (deal)))) return;
            assertEq(uint8(g.status), uint8(Status.Delivered));
            assertGt(now_, uint256(g.since) + deal.inspection);
            _close(g, deal.amount - g.refunded);
        } else {
            if (!_try("lapse", _who(who), abi.encodeCall(IEscrow.lapse, (deal)))) return;
            assertEq(uint8(g.status), uint8(Status.Disputed));
            assertGt(now_, uint256(g.since) + deal.ruling);
            _close(g, uint256(deal.amount) * deal.lapseShare / 10_000);
        }
    }

    function withdraw(uint256 who, bool asToken) external {
        address by = _who(who);
        address asset = asToken ? address(denylist) : address(0);
        uint256 sum = credit[by][asset];
        bool wasDenied = asToken && denylist.denied(by);
        if (!_try("withdraw", by, abi.encodeCall(IEscrow.withdraw, (asset, by)))) return;
        assertGt(sum, 0, "nothing was owed");
        assertFalse(wasDenied);
        credit[by][asset] = 0;
        owed[asset] -= sum;
        paid[by][asset] += sum;
    }

    /* THE ACCOUNT */

    function _close(Ghost storage g, uint256 total) private {
        uint256 most = g.terms.amount - g.refunded;
        if (total > most) total = most;
        if (total < g.released) total = g.released;
        _pay(g, total, g.terms.amount - total);
    }

    function _pay(Ghost storage g, uint256 released, uint256 refunded) private {
        assertTrue(g.status != Status.Closed, "a closed deal moved");
        assertGt(released + refunded, g.released + g.refunded, "nothing moved");
        _give(seller, g.terms.asset, released - g.released);
        _give(buyer, g.terms.asset, refunded - g.refunded);
        (g.released, g.refunded) = (released, refunded);
        unchecked {
            ++g.events;
        }
        if (released + refunded == g.terms.amount) (g.status, g.since) = (Status.Closed, 0);
    }

    function _give(address who, address asset, uint256 sum) private {
        held[asset] -= sum;
        if (asset != address(0) && denylist.denied(who)) {
            credit[who][asset] += sum;
            owed[asset] += sum;
        } else {
            paid[who][asset] += sum;
        }
    }

    function _enter(Ghost storage g, Status status) private {
        assertTrue(g.status == Status.Funded || (g.status == Status.Delivered && status == Status.Disputed));
        (g.status, g.since) = (status, uint40(vm.getBlockTimestamp()));
        unchecked {
            ++g.events;
        }
    }

    /* CHOOSING AND CALLING */

    function _pick(uint256 which) private view returns (Ghost storage g, Deal memory deal) {
        g = _none;
        if (_ghosts.length != 0) g = _ghosts[which % _ghosts.length];
        if (g.id != 0) deal = dealOf(g.terms);
    }

    Ghost private _none;

    function _who(uint256 who) private view returns (address) {
        return [buyer, seller, arbiter, stranger][who % 4];
    }

    function _keyOf(address who) private view returns (uint256) {
        return who == buyer ? buyerKey : who == seller ? sellerKey : strangerKey;
    }

    function _least(uint256 a, uint256 b) private pure returns (uint256) {
        return a < b ? a : b;
    }

    function _try(bytes32 action, address by, bytes memory data) private returns (bool) {
        vm.prank(by);
        (bool ok,) = address(escrow).call(data);
        return _went(action, ok);
    }

    function _went(bytes32 action, bool ok) private returns (bool) {
        if (ok) ++done[action];
        else ++refusals;
        return ok;
    }

    /// Whether the state on chain is what the ghost says, storage deleted or not.
    function agrees(uint256 i) external view returns (bool) {
        Ghost storage g = _ghosts[i];
        State memory state = escrow.stateOf(g.id);
        if (g.status == Status.Closed && state.status == Status.None) return state.fundedAt == 0;
        return state.status == g.status && state.count == g.events && state.since == g.since
            && state.fundedAt == g.fundedAt && state.released == g.released && state.refunded == g.refunded;
    }
}
