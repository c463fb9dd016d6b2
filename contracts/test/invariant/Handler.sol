// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Deal, IEscrow, Status, Terms} from "../../src/interfaces/IEscrow.sol";
import {Counter} from "../accounts/Wallets.sol";
import {Odd} from "../tokens/OddToken.sol";
import {Books} from "./Books.sol";

/// @notice Takes actions at random, allowed and refused, directly, in batches and by signature, and enters in the books what
///         went through. A refusal is a result here, never a revert.
contract Handler is Books {
    uint256 private constant MOST = 60;

    constructor() {
        setUp();
    }

    /* TIME AND WEATHER */

    function wait(uint256 howLong) external {
        vm.warp(vm.getBlockTimestamp() + bound(howLong, 1, 4 days));
    }

    /// A token refuses one of the parties, or takes it back.
    function deny(bool theBuyer, bool yes) external {
        denylist.deny(theBuyer ? buyer : seller, yes);
    }

    function feel(bool theBuyer, uint8 mood) external {
        _feel(theBuyer ? buyer : seller, Mood(mood % 4));
    }

    function misbehave(uint8 kind) external {
        Odd[11] memory kinds = [
            Odd.Nothing,
            Odd.Silent,
            Odd.False,
            Odd.FalseMoves,
            Odd.Two,
            Odd.TwoHalf,
            Odd.TwoStill,
            Odd.Reverts,
            Odd.Burns,
            Odd.Bomb,
            Odd.NarrowStill
        ];
        odd.setOut(kinds[kind % kinds.length]);
    }

    /// The arbiter accepts a ruling; offers that name another number die.
    function accept(uint8 number) external {
        counter.set(number, Counter.Mode.Says);
    }

    /* FUNDING */

    function open(uint88 amount, uint16 lapseShare, uint8 asset, bool metered, uint8 form) external {
        if (_ghosts.length >= MOST) return;
        Terms memory terms = _newTerms(amount, lapseShare, asset, metered);
        if (terms.asset == address(dollar)) return _openDollar(terms, form);
        bytes memory consent = sign(sellerKey, idOf(terms));
        bytes memory order = sign(buyerKey, fundDigest(idOf(terms), terms.fundBy));
        uint256 value = terms.asset == address(0) ? terms.amount : 0;
        bool byBuyer = form % 2 == 0;
        bytes memory data = byBuyer
            ? abi.encodeCall(IEscrow.fund, (terms, consent))
            : abi.encodeCall(IEscrow.fundBySig, (terms, consent, terms.fundBy, order));
        bool ok = _fund(
            byBuyer ? bytes32("fund") : bytes32("fundBySig"), byBuyer ? buyer : stranger, data, value, form & 2 != 0
        );
        assertEq(ok, terms.asset != address(denylist) || !denylist.denied(buyer), "funding");
        if (ok) _recordFunded(terms, byBuyer || value == 0);
    }

    /// A coin deal and a token deal out of one purse.
    function openTwo(uint88 amount, uint88 second, uint96 change) external {
        if (_ghosts.length >= MOST - 1) return;
        Terms memory a = _newTerms(amount, 0, 0, false);
        Terms memory b = _newTerms(second, 10_000, change % 3 == 0 ? 0 : 3, true);
        b.annex.salt = keccak256(abi.encode(a.annex.salt));
        bytes[] memory calls = new bytes[](2);
        calls[0] = abi.encodeCall(IEscrow.fund, (a, sign(sellerKey, idOf(a))));
        calls[1] = abi.encodeCall(IEscrow.fund, (b, sign(sellerKey, idOf(b))));
        uint256 needed = a.amount + (b.asset == address(0) ? b.amount : 0);
        uint256 value = change % 4 == 0 ? bound(change, 0, 2 * needed) : needed;
        vm.prank(buyer);
        (bool ok,) = address(escrow).call{value: value}(abi.encodeCall(IEscrow.batch, (calls)));
        assertEq(ok, value == needed, "one purse");
        if (!ok) return;
        ++done["fundTwo"];
        _recordFunded(a, true);
        _recordFunded(b, true);
    }

    function _newTerms(uint88 amount, uint16 lapseShare, uint8 asset, bool metered)
        private
        view
        returns (Terms memory terms)
    {
        terms = coinTerms();
        terms.amount = uint88(bound(amount, 1, type(uint88).max / 16));
        terms.lapseShare = uint16(bound(lapseShare, 0, 10_000));
        terms.metered = metered;
        terms.asset = assets()[asset % 4];
        uint40 now_ = uint40(vm.getBlockTimestamp());
        (terms.fundBy, terms.deliverBy) = (now_ + 1 days, now_ + 5 days);
        (terms.inspection, terms.ruling) = (2 days, 3 days);
        terms.annex.salt = bytes32(_ghosts.length);
    }

    /// By authorization, by Permit2, or by a permit in a batch; the buyer has allowed the escrow nothing.
    function _openDollar(Terms memory terms, uint8 form) private {
        bool bySeller = form & 8 == 0;
        bytes memory consent = bySeller ? bytes("") : sign(sellerKey, idOf(terms));
        address by = bySeller ? seller : stranger;
        bytes32 name;
        bytes memory data;
        bool batched = form & 16 == 0;
        if (form % 3 == 0) {
            Authorization memory a = authorization(terms);
            (a.validAfter, a.validBefore) = (0, terms.fundBy);
            bytes memory signature = sign(buyerKey, authorizationDigest(a));
            data = abi.encodeCall(IEscrow.fundByAuthorization, (terms, consent, 0, terms.fundBy, signature));
            name = "fundByAuthorization";
        } else if (form % 3 == 1) {
            Order memory order = orderOf(terms);
            (order.nonce, order.deadline) = (_ghosts.length, terms.fundBy);
            bytes memory signature = sign(buyerKey, permit2Digest(order, idOf(terms)));
            data = abi.encodeCall(IEscrow.fundByPermit2, (terms, consent, order.nonce, terms.fundBy, signature));
            name = "fundByPermit2";
        } else {
            bytes memory order = sign(buyerKey, fundDigest(idOf(terms), terms.fundBy));
            bytes[] memory calls = new bytes[](2);
            calls[0] = permitCall(terms.amount, terms.fundBy);
            calls[1] = abi.encodeCall(IEscrow.fundBySig, (terms, consent, terms.fundBy, order));
            (data, batched) = (abi.encodeCall(IEscrow.batch, (calls)), false);
            name = "fundByPermit";
        }
        bool ok = _fund(name, by, data, 0, batched);
        // Permit2 asks the code of an account that has any, and this code does not answer.
        assertEq(ok, form % 3 != 1 || moods[buyer] == Mood.Takes, "funding dollars");
        if (ok) _recordFunded(terms, true);
    }

    function _fund(bytes32 name, address by, bytes memory data, uint256 value, bool batched) private returns (bool ok) {
        if (by == stranger) vm.deal(stranger, stranger.balance + value);
        if (batched) data = abi.encodeCall(IEscrow.batch, (_one(data)));
        vm.prank(by);
        (ok,) = address(escrow).call{value: value}(data);
        if (ok) ++done[name];
        else if (by == stranger) vm.deal(stranger, stranger.balance - value);
    }

    /// What was funded or retracted is not funded again, in no form and at no time.
    function fundAgain(uint256 which, uint8 form) external {
        if (_ghosts.length == 0) return;
        Ghost storage g = _ghosts[which % _ghosts.length];
        uint256 value = g.terms.asset == address(0) ? g.terms.amount : 0;
        bytes memory consent = sign(sellerKey, g.id);
        bytes memory data = form % 3 == 0
            ? abi.encodeCall(IEscrow.fund, (g.terms, consent))
            : form % 3 == 1
                ? abi.encodeCall(
                    IEscrow.fundBySig, (g.terms, consent, ALWAYS, sign(buyerKey, fundDigest(g.id, ALWAYS)))
                )
                : abi.encodeCall(IEscrow.retract, (g.terms));
        vm.prank(buyer);
        (bool ok, bytes memory answer) = address(escrow).call{value: form % 3 == 2 ? 0 : value}(data);
        assertFalse(ok, "funded or retracted twice");
        assertEq(
            bytes4(answer), g.status == Status.Closed ? IEscrow.DealClosed.selector : IEscrow.AlreadyFunded.selector
        );
        ++refusals;
    }

    function retract(uint256 who, uint8 asset, bool batched) external {
        if (_ghosts.length >= MOST) return;
        Terms memory terms = _newTerms(1000, 0, asset, false);
        address by = _who(who);
        bool ok = _try("retract", by, abi.encodeCall(IEscrow.retract, (terms)), batched);
        assertEq(ok, by == buyer || by == seller, "parties retract");
        if (ok) _recordRetracted(terms);
    }

    /* ACTIONS. `how` says whether directly, in a batch or by signature. */

    function deliver(uint256 which, uint256 who, uint8 how) external {
        (Ghost storage g, Deal memory deal) = _pick(which);
        if (g.id == 0) return;
        address by = _who(who);
        bytes memory data = how % 3 == 2
            ? abi.encodeCall(IEscrow.deliverBySig, (deal, 0, ALWAYS, sign(_keyOf(by), deliverDigest(g.id, 0, ALWAYS))))
            : abi.encodeCall(IEscrow.deliver, (deal, bytes32(0)));
        if (!_try("deliver", how % 3 == 2 ? stranger : by, data, how % 3 == 1)) return;
        assertEq(by, seller, "only the seller delivers");
        _enter(g, Status.Delivered);
    }

    function dispute(uint256 which, uint256 who, uint8 how) external {
        (Ghost storage g, Deal memory deal) = _pick(which);
        if (g.id == 0) return;
        address by = _who(who);
        bytes memory data = how % 3 == 2
            ? abi.encodeCall(
                IEscrow.disputeBySig, (deal, by, 0, ALWAYS, sign(_keyOf(by), disputeDigest(g.id, 0, ALWAYS)))
            )
            : abi.encodeCall(IEscrow.dispute, (deal, bytes32(0)));
        if (!_try("dispute", how % 3 == 2 ? stranger : by, data, how % 3 == 1)) return;
        assertTrue(by == buyer || by == seller, "only parties dispute");
        _enter(g, Status.Disputed);
    }

    function evidence(uint256 which, uint256 who, uint8 how) external {
        (Ghost storage g, Deal memory deal) = _pick(which);
        if (g.id == 0) return;
        address by = _who(who);
        bytes memory data = how % 3 == 2
            ? abi.encodeCall(
                IEscrow.evidenceBySig, (deal, by, 0, "", ALWAYS, sign(_keyOf(by), evidenceDigest(g.id, 0, "", ALWAYS)))
            )
            : abi.encodeCall(IEscrow.evidence, (deal, bytes32(0), ""));
        if (!_try("evidence", how % 3 == 2 ? stranger : by, data, how % 3 == 1)) return;
        assertTrue(by == buyer || by == seller, "only parties give evidence");
        assertEq(uint8(g.status), uint8(Status.Disputed));
        _event(g);
    }

    function release(uint256 which, uint256 who, uint88 total, uint8 how) external {
        (Ghost storage g, Deal memory deal) = _pick(which);
        if (g.id == 0) return;
        address by = _who(who);
        total = uint88(bound(total, 0, uint256(deal.amount) + 1));
        bytes memory data = how % 3 == 2
            ? abi.encodeCall(IEscrow.releaseBySig, (deal, total, sign(_keyOf(by), releaseDigest(g.id, total))))
            : abi.encodeCall(IEscrow.release, (deal, total));
        if (!_try("release", how % 3 == 2 ? stranger : by, data, how % 3 == 1)) return;
        assertEq(by, buyer, "only the buyer releases");
        _pay(g, _least(total, deal.amount - g.refunded), g.refunded);
    }

    function refund(uint256 which, uint256 who, uint88 total, uint8 how) external {
        (Ghost storage g, Deal memory deal) = _pick(which);
        if (g.id == 0) return;
        address by = _who(who);
        total = uint88(bound(total, 0, uint256(deal.amount) + 1));
        bytes memory data = how % 3 == 2
            ? abi.encodeCall(IEscrow.refundBySig, (deal, total, sign(_keyOf(by), refundDigest(g.id, total))))
            : abi.encodeCall(IEscrow.refund, (deal, total));
        if (!_try("refund", how % 3 == 2 ? stranger : by, data, how % 3 == 1)) return;
        assertEq(by, seller, "only the seller refunds");
        _pay(g, g.released, _least(total, deal.amount - g.released));
    }

    /// Sent by a party, who then signs nothing, or by a stranger; now and then with the wrong signer or number.
    function settle(uint256 which, uint88 total, uint256 who, uint256 sender, uint8 rulings) external {
        (Ghost storage g, Deal memory deal) = _pick(which);
        if (g.id == 0) return;
        total = uint88(bound(total, 0, deal.amount));
        uint8 accepted = g.status == Status.Disputed ? counter.number() : 0;
        if (rulings % 4 != 0) rulings = accepted;
        bytes32 digest = settleDigest(g.id, total, g.status, rulings, ALWAYS);
        address signer = _who(who);
        address by = _who(sender);
        bytes memory data = abi.encodeCall(
            IEscrow.settle,
            (
                deal,
                total,
                rulings,
                ALWAYS,
                by == buyer ? bytes("") : sign(_keyOf(signer), digest),
                by == seller ? bytes("") : sign(sellerKey, digest)
            )
        );
        if (!_try("settle", by, data, who & 4 == 0)) return;
        assertTrue(signer == buyer || by == buyer, "both settle");
        assertEq(rulings, accepted, "a dead offer");
        _close(g, total);
    }

    function rule(uint256 which, uint256 who, uint16 share) external {
        (Ghost storage g, Deal memory deal) = _pick(which);
        if (g.id == 0) return;
        address by = _who(who);
        share = uint16(bound(share, 0, 10_001));
        if (!_try("rule", by, abi.encodeCall(IEscrow.rule, (deal, share)), who & 4 == 0)) return;
        assertEq(by, arbiter, "only the arbiter rules");
        assertEq(uint8(g.status), uint8(Status.Disputed));
        assertLe(vm.getBlockTimestamp(), uint256(g.since) + deal.ruling);
        _close(g, uint256(deal.amount) * share / 10_000);
    }

    function silence(uint256 which, uint256 who, uint8 kind) public {
        (Ghost storage g, Deal memory deal) = _pick(which);
        if (g.id == 0) return;
        uint256 now_ = vm.getBlockTimestamp();
        address by = _who(who);
        bool batched = kind & 4 == 0;
        if (kind % 3 == 0) {
            if (!_try("reclaim", by, abi.encodeCall(IEscrow.reclaim, (deal)), batched)) return;
            assertEq(uint8(g.status), uint8(Status.Funded));
            assertGt(now_, deal.deliverBy + (deal.metered ? deal.inspection : 0));
            _close(g, g.released);
        } else if (kind % 3 == 1) {
            if (!_try("claim", by, abi.encodeCall(IEscrow.claim, (deal)), batched)) return;
            assertEq(uint8(g.status), uint8(Status.Delivered));
            assertGt(now_, uint256(g.since) + deal.inspection);
            _close(g, deal.amount - g.refunded);
        } else {
            if (!_try("lapse", by, abi.encodeCall(IEscrow.lapse, (deal)), batched)) return;
            assertEq(uint8(g.status), uint8(Status.Disputed));
            assertGt(now_, uint256(g.since) + deal.ruling);
            _close(g, uint256(deal.amount) * deal.lapseShare / 10_000);
        }
    }

    /// To oneself or to a stranger, in whole or by signature in part.
    function withdraw(uint256 who, uint8 asset_, uint256 part, uint8 how) external {
        address by = _who(who);
        address asset = assets()[asset_ % 4];
        address to = how & 4 == 0 ? by : stranger;
        uint256 sum = credit[by][asset];
        bytes memory data = abi.encodeCall(IEscrow.withdraw, (asset, to));
        if (how % 3 == 2) {
            sum = bound(part, 0, sum);
            bytes32 digest = withdrawDigest(by, asset, sum, to, escrow.withdrawalNonceOf(by), ALWAYS);
            data = abi.encodeCall(IEscrow.withdrawBySig, (by, asset, sum, to, ALWAYS, sign(_keyOf(by), digest)));
        }
        bool payable_ = sum != 0 && _wouldOwe(to, asset, sum) == 0;
        bool ok = _try("withdraw", how % 3 == 2 ? buyer : by, data, how % 3 == 1);
        assertEq(ok, payable_, "what is owed and can be paid is withdrawn");
        if (ok) _withdrew(by, asset, sum, to);
    }

    /* WHAT HOLDS AT ANY TIME */

    /// A closed deal, still in storage or gone, refuses whatever anybody has to say, by one name.
    function poke(uint256 which) external {
        (Ghost storage g, Deal memory deal) = _pick(which);
        if (g.id == 0 || g.status != Status.Closed) return;
        bytes[10] memory calls = [
            abi.encodeCall(IEscrow.deliver, (deal, 0)),
            abi.encodeCall(IEscrow.release, (deal, deal.amount)),
            abi.encodeCall(IEscrow.refund, (deal, deal.amount)),
            abi.encodeCall(IEscrow.dispute, (deal, 0)),
            abi.encodeCall(IEscrow.evidence, (deal, 0, "")),
            abi.encodeCall(IEscrow.reclaim, (deal)),
            abi.encodeCall(IEscrow.claim, (deal)),
            abi.encodeCall(IEscrow.lapse, (deal)),
            abi.encodeCall(IEscrow.rule, (deal, 0)),
            abi.encodeCall(IEscrow.settle, (deal, 0, 0, ALWAYS, "", ""))
        ];
        for (uint256 i; i < calls.length; ++i) {
            vm.prank(_who(i));
            (bool ok, bytes memory answer) = address(escrow).call(calls[i]);
            assertFalse(ok, "a closed deal moved");
            assertEq(bytes4(answer), IEscrow.DealClosed.selector);
        }
        ++done["poke"];
    }

    /// In an open deal either somebody may still speak or silence counts: never both, and in a deal that is not metered
    /// always one.
    function windows(uint256 which) external {
        (Ghost storage g, Deal memory deal) = _pick(which);
        if (g.id == 0 || g.status == Status.Closed) return;
        bool inDispute = g.status == Status.Disputed;
        uint256 snapshot = vm.snapshotState();
        bool spoke = _probe(
            snapshot,
            inDispute ? arbiter : buyer,
            inDispute ? abi.encodeCall(IEscrow.rule, (deal, 0)) : abi.encodeCall(IEscrow.dispute, (deal, 0))
        );
        uint256 ends;
        if (_probe(snapshot, stranger, abi.encodeCall(IEscrow.reclaim, (deal)))) ++ends;
        if (_probe(snapshot, stranger, abi.encodeCall(IEscrow.claim, (deal)))) ++ends;
        if (_probe(snapshot, stranger, abi.encodeCall(IEscrow.lapse, (deal)))) ++ends;
        assertLe(ends, 1);
        if (deal.metered) assertFalse(spoke && ends == 1);
        else assertEq(spoke, ends == 0);
        ++done["windows"];
    }

    function _probe(uint256 snapshot, address by, bytes memory data) private returns (bool ok) {
        vm.prank(by);
        (ok,) = address(escrow).call{gas: 4_000_000}(data);
        vm.revertToState(snapshot);
    }

    /// After the last window anybody closes every deal, and what is owed can be taken once it can be paid.
    function unwind() external {
        vm.warp(vm.getBlockTimestamp() + 10 days);
        for (uint256 i; i < _ghosts.length; ++i) {
            if (_ghosts[i].status == Status.Closed) continue;
            uint8 kind = _ghosts[i].status == Status.Funded ? 0 : _ghosts[i].status == Status.Delivered ? 1 : 2;
            silence(i, 3, kind);
            assertEq(uint8(_ghosts[i].status), uint8(Status.Closed), "no way out");
        }
        odd.setOut(Odd.Nothing);
        for (uint256 i; i < 8; ++i) {
            (address party, address asset) = (i < 4 ? buyer : seller, assets()[i % 4]);
            uint256 sum = credit[party][asset];
            if (sum == 0) continue;
            assertTrue(_try("withdraw", party, abi.encodeCall(IEscrow.withdraw, (asset, stranger)), false));
            _withdrew(party, asset, sum, stranger);
        }
    }

    function _least(uint256 a, uint256 b) private pure returns (uint256) {
        return a < b ? a : b;
    }
}
