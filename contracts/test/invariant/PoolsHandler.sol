// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Vm} from "forge-std/Vm.sol";
import {Ballot, IArbitrationPools, Jury, Stage} from "../../src/interfaces/IArbitrationPools.sol";
import {IEscrow, Terms} from "../../src/interfaces/IEscrow.sol";
import {PoolsGhost} from "./PoolsGhost.sol";

/// @notice Leads several cases at once, each step by anybody, at any time, allowed or not. Of every step it is known before
///         whether it goes through; a refusal is a result here, never a revert.
contract PoolsHandler is PoolsGhost {
    uint256 private constant MOST = 20;
    /// Of deals that can still be ruled, so that others begin when those are over.
    uint256 private constant MOST_LIVE = 5;

    /// How often each action went through and was refused, so that a run that tried nothing is seen.
    mapping(bytes32 action => uint256) public done;
    mapping(bytes32 action => uint256) public refused;
    /// How often the escrow said of each deal that it was ruled.
    mapping(bytes32 id => uint256) public told;

    constructor() {
        setUp();
        vm.deal(buyer, MOST * uint256(AMOUNT));
    }

    function count() external view returns (uint256) {
        return _ghosts.length;
    }

    /* TIME AND BLOCKS */

    function wait(uint256 seconds_, uint256 blocks) external {
        vm.warp(vm.getBlockTimestamp() + bound(seconds_, 1, 16 hours));
        vm.roll(vm.getBlockNumber() + bound(blocks, 1, 300));
    }

    /// To just before, at or just after a moment on which something hangs, unless it is past.
    function approach(uint256 which, uint256 moment, uint256 side) external {
        (bool some, Ghost storage g) = _ruled(which);
        if (!some) return;
        uint256 time = _end(g);
        if (moment % 4 == 0) time -= _half(g);
        if (moment % 4 == 1) time = _deadline(g);
        if (moment % 2 == 0 && g.rulings.length == 1 && g.rulings[0].until != 0) time = g.rulings[0].until;
        time = time + side % 3 - 1;
        // Far moments seldom, or every case would be over before anybody votes.
        if (time > vm.getBlockTimestamp() + 3 days && moment % 4 != 0) return;
        if (time > vm.getBlockTimestamp()) vm.warp(time);
    }

    /* DEALS */

    function begin(uint256 kind, uint256 ruling, uint16 lapseShare) external {
        if (_ghosts.length == MOST || _live() == MOST_LIVE) return;
        Terms memory terms = caseTerms();
        uint40 now_ = uint40(vm.getBlockTimestamp());
        (terms.fundBy, terms.deliverBy) = (now_ + 1 days, now_ + 5 days);
        // Room for an appeal from a last word, for one from an early ruling, for none, and not even for both juries.
        terms.ruling = [uint32(RULING), RULING, RULING, 16 days, uint32(SPAN) + 1 days, 6 days][ruling % 6];
        terms.lapseShare = uint16(bound(lapseShare, 0, 10_000));
        terms.annex.salt = bytes32(_ghosts.length);
        terms.annex.panel = [court, court, pool, bare][kind % 4];
        disputed(terms);
        Ghost storage g = _ghosts.push();
        (g.terms, g.id, g.disputedAt) = (terms, idOf(terms), now_);
        g.kind = kind % 4 < 2 ? Kind.Court : kind % 4 == 2 ? Kind.Alone : Kind.Bare;
    }

    function _live() private view returns (uint256 live) {
        for (uint256 i; i < _ghosts.length; ++i) {
            if (!_ghosts[i].closed && vm.getBlockTimestamp() <= _deadline(_ghosts[i])) ++live;
        }
    }

    /// The buyer gives in.
    function concede(uint256 which) external {
        (bool some, Ghost storage g) = _pick(which);
        // Seldom, or there would be nothing left to hear.
        if (!some || which % 11 != 0) return;
        bytes memory data = abi.encodeCall(IEscrow.release, (dealOf(g.terms), AMOUNT));
        if (_try("concede", buyer, address(escrow), data, !g.closed)) g.closed = true;
    }

    function lapse(uint256 which, uint256 who) external {
        (bool some, Ghost storage g) = _pick(which);
        if (!some) return;
        bool due = !g.closed && vm.getBlockTimestamp() > _deadline(g);
        bytes memory data = abi.encodeCall(IEscrow.lapse, (dealOf(g.terms)));
        if (_try("lapse", _anyone(who), address(escrow), data, due)) g.closed = true;
    }

    /* JURIES */

    function open(uint256 which, uint256 who) public {
        (bool some, Ghost storage g) = _pick(which);
        if (!some) return;
        bool due = g.sittings.length == 0 && !g.closed;
        bytes memory data = abi.encodeCall(IArbitrationPools.open, (address(escrow), g.id));
        if (_pools("open", _anyone(who), data, due)) _open(g, 0, 0);
    }

    function draw(uint256 which, uint256 who) public {
        (bool some, Ghost storage g) = _pick(which);
        if (!some) return;
        bool due = g.sittings.length != 0 && !_last(g).drawn && !_isRuled(g) && vm.getBlockTimestamp() <= _end(g)
            && vm.getBlockNumber() > _last(g).target;
        bytes memory data = abi.encodeCall(IArbitrationPools.draw, (address(escrow), g.terms));
        if (!_pools("draw", _anyone(who), data, due)) return;
        if (blockhash(_last(g).target) != 0) return _draw(g);
        ++done["move"];
        // The first block a multiple of 256 further on whose hash nobody knows yet.
        while (_last(g).target < vm.getBlockNumber() + 2) {
            _last(g).target += 256;
        }
    }

    function openSecond(uint256 which, uint256 who) public {
        (bool some, Ghost storage g) = _pick(which);
        if (!some) return;
        uint256 now_ = vm.getBlockTimestamp();
        bool due = g.sittings.length != 0 && _last(g).jury == 0 && _last(g).drawn && !_isRuled(g);
        due = due && now_ > _end(g) - _half(g) && now_ <= _end(g);
        bytes memory data = abi.encodeCall(IArbitrationPools.openSecondJury, (address(escrow), g.terms));
        if (_pools("openSecond", _anyone(who), data, due)) _open(g, _last(g).instance, 1);
    }

    /// Goes on with a case as far as its jury: whoever draws at random would seldom meet the right blocks.
    function advance(uint256 which, uint256 who) external {
        (bool some, Ghost storage g) = _pick(which);
        if (!some) return;
        if (g.sittings.length == 0) return open(which, who);
        if (_last(g).drawn) return openSecond(which, who);
        if (vm.getBlockNumber() <= _last(g).target) vm.roll(_last(g).target + 1);
        draw(which, who);
    }

    /* BALLOTS */

    struct Vote {
        uint8 jury;
        uint8 seat;
        uint16 share;
        /// Which of the case's juries it is.
        uint256 number;
        address juror;
        /// What the seat says then, whether that is new, and whether its jury then rules and at what.
        uint16 said;
        bool isNew;
        bool rules;
        uint16 ruling;
    }

    function _vote(Ghost storage g, uint8 jury, uint8 seat, uint16 share, bool asCast)
        private
        view
        returns (bool counts, Vote memory vote)
    {
        // Most jurors are of one mind, so that juries rule.
        (vote.jury, vote.share) = (jury % 2, share % 4 < 2 ? 2500 : share % 21 * 500);
        (counts, vote.number) = _counts(g, vote.jury);
        if (!counts) return (false, vote);
        Sitting storage sitting = g.sittings[vote.number];
        vote.seat = uint8(seat % sitting.seats.length);
        vote.juror = sitting.seats[vote.seat];
        (vote.said, vote.isNew) = _after(sitting, vote.seat, vote.share, asCast);
        (vote.rules, vote.ruling) = _rulesWith(sitting, vote.seat, vote.said);
        // No ruling is accepted of a deal that is closed.
        if (vote.rules && g.closed) vote.isNew = false;
    }

    function _count(Ghost storage g, Vote memory vote, bool asCast) private {
        Sitting storage sitting = g.sittings[vote.number];
        if (vote.said == VOID) ++done["void"];
        sitting.said[vote.seat] = vote.said;
        if (asCast) sitting.isFinal[vote.seat] = true;
        if (vote.rules) _accept(g, vote.ruling, vm.getBlockTimestamp());
    }

    /// A ballot with the juror's signature, handed in by anybody. A juror that signs again voids its seat; one that is a
    /// contract cannot sign.
    function sign(uint256 which, uint8 jury, uint8 seat, uint16 share, uint256 who) external {
        (bool some, Ghost storage g) = _sitting(which, jury % 2);
        if (!some) return;
        (bool counts, Vote memory vote) = _vote(g, jury, seat, share, false);
        if (!counts) return _unheard(g, vote.jury, who);
        uint256 key = keys[vote.juror];
        bytes memory data = _submission(g, vote, key == 0 ? strangerKey : key);
        if (_pools("sign", _anyone(who), data, vote.isNew && key != 0)) _count(g, vote, false);
    }

    function cast(uint256 which, uint8 jury, uint8 seat, uint16 share) external {
        (bool some, Ghost storage g) = _sitting(which, jury % 2);
        if (!some) return;
        (bool counts, Vote memory vote) = _vote(g, jury, seat, share, true);
        if (!counts) return _unheard(g, vote.jury, seat);
        if (_pools("cast", vote.juror, _casting(g, vote), vote.isNew)) _count(g, vote, true);
    }

    /// By who does not hold the seat: another juror, a party, a stranger, over the very case.
    function forge(uint256 which, uint8 jury, uint8 seat, uint16 share, uint256 who) external {
        (bool some, Ghost storage g) = _sitting(which, jury % 2);
        if (!some) return;
        (bool counts, Vote memory vote) = _vote(g, jury, seat, share, false);
        address by = who % 4 == 3 ? elders[who % elders.length] : _anyone(who);
        if (!counts || by == vote.juror) return;
        _pools("forge", by, _casting(g, vote), false);
        _pools("forge", by, _submission(g, vote, keys[by] == 0 ? strangerKey : keys[by]), false);
    }

    function _casting(Ghost storage g, Vote memory vote) private view returns (bytes memory) {
        return abi.encodeCall(IArbitrationPools.cast, (address(escrow), g.terms, vote.jury, vote.seat, vote.share, ""));
    }

    function _submission(Ghost storage g, Vote memory vote, uint256 key) private view returns (bytes memory) {
        Ballot[] memory list = _ballot(g, vote.number, vote.seat, vote.share, key);
        return abi.encodeCall(IArbitrationPools.submit, (address(escrow), g.terms, vote.jury, list));
    }

    /// Where no ballot counts, one of a juror of whatever jury was drawn last does not either.
    function _unheard(Ghost storage g, uint8 jury, uint256 who) private {
        (bool sits, uint256 number) = _sits(g, jury);
        Ballot[] memory list = new Ballot[](0);
        if (sits) list = _ballot(g, number, 0, 500, keys[g.sittings[number].seats[0]] | 1);
        bytes memory data = abi.encodeCall(IArbitrationPools.submit, (address(escrow), g.terms, jury, list));
        _pools("unheard", _anyone(who), data, false);
    }

    function _ballot(Ghost storage g, uint256 number, uint8 seat, uint16 share, uint256 key)
        private
        view
        returns (Ballot[] memory)
    {
        (bytes32 r, bytes32 vs) = vm.signCompact(key, ballotDigest(_caseId(g, number), share, "why"));
        return one(Ballot(seat, share, "why", r, vs));
    }

    /* RULINGS */

    function conclude(uint256 which, uint256 who) external {
        (bool some, Ghost storage g) = _ended(which);
        if (!some) return;
        uint256 now_ = vm.getBlockTimestamp();
        (bool due, uint16 share) = _lastWord(g);
        due = due && !_isRuled(g) && !g.closed && now_ > _end(g) && now_ <= _deadline(g);
        bytes memory data = abi.encodeCall(IArbitrationPools.conclude, (address(escrow), g.terms));
        if (_pools("conclude", _anyone(who), data, due)) _accept(g, share, _end(g));
    }

    function execute(uint256 which, uint256 who) external {
        (bool some, Ghost storage g) = _ruled(which);
        if (!some) return;
        uint256 now_ = vm.getBlockTimestamp();
        bool due = g.sittings.length != 0 && _isRuled(g) && !g.closed && now_ <= _deadline(g)
            && now_ > g.rulings[g.rulings.length - 1].until;
        bytes memory data = abi.encodeCall(IArbitrationPools.execute, (address(escrow), g.terms));
        if (_pools("execute", _anyone(who), data, due)) (g.executed, g.closed) = (true, true);
    }

    function appeal(uint256 which, uint256 who, bool bySig) external {
        (bool some, Ghost storage g) = _ruled(which);
        if (!some) return;
        address by = _anyone(who);
        bool due = g.rulings.length == 1 && !_onAppeal(g) && !g.closed && (by == buyer || by == seller)
            && vm.getBlockTimestamp() <= g.rulings[0].until;
        bytes memory data = abi.encodeCall(IArbitrationPools.appeal, (address(escrow), g.terms));
        if (bySig) {
            bytes memory consent = _consent(g.id, by == stranger ? strangerKey : keys[by]);
            data = abi.encodeCall(IArbitrationPools.appealBySig, (address(escrow), g.terms, by, ALWAYS, consent));
        }
        if (_pools("appeal", bySig ? stranger : by, data, due)) _open(g, 1, 0);
    }

    function _consent(bytes32 id, uint256 key) private view returns (bytes memory) {
        bytes32 content = keccak256(abi.encode(keccak256("Appeal(bytes32 deal,uint40 validUntil)"), id, ALWAYS));
        bytes32 domain = domainOf("Earnest Arbitration Pools", address(pools));
        return sign(key, keccak256(abi.encodePacked(hex"1901", domain, content)));
    }

    /* CHOOSING AND CALLING */

    Ghost private _none;

    function _pick(uint256 which) private view returns (bool, Ghost storage) {
        if (_ghosts.length == 0) return (false, _none);
        return (true, _ghosts[which % _ghosts.length]);
    }

    /// One whose jury sits, where there is any.
    function _sitting(uint256 which, uint8 jury) private view returns (bool, Ghost storage) {
        for (uint256 i; i < _ghosts.length; ++i) {
            Ghost storage g = _ghosts[(which % _ghosts.length + i) % _ghosts.length];
            (bool counts,) = _counts(g, jury);
            if (counts) return (true, g);
        }
        return _pick(which);
    }

    /// One with a ruling, where there is any.
    function _ruled(uint256 which) private view returns (bool, Ghost storage) {
        for (uint256 i; i < _ghosts.length; ++i) {
            Ghost storage g = _ghosts[(which % _ghosts.length + i) % _ghosts.length];
            if (g.rulings.length == 1 && !g.closed && !_onAppeal(g)) return (true, g);
        }
        return _pick(which);
    }

    /// One that nothing but the last word can rule, where there is any.
    function _ended(uint256 which) private view returns (bool, Ghost storage) {
        for (uint256 i; i < _ghosts.length; ++i) {
            Ghost storage g = _ghosts[(which % _ghosts.length + i) % _ghosts.length];
            bool open_ = g.sittings.length != 0 && !_isRuled(g) && !g.closed;
            if (open_ && vm.getBlockTimestamp() > _end(g)) return (true, g);
        }
        return _pick(which);
    }

    function _anyone(uint256 who) private view returns (address) {
        return [buyer, seller, stranger][who % 3];
    }

    function _pools(bytes32 action, address by, bytes memory data, bool due) private returns (bool) {
        return _try(action, by, address(pools), data, due);
    }

    function _try(bytes32 action, address by, address to, bytes memory data, bool due) private returns (bool ok) {
        vm.recordLogs();
        vm.prank(by);
        (ok,) = to.call(data);
        assertEq(ok, due, string(abi.encodePacked(action)));
        if (ok) ++done[action];
        else ++refused[action];
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i; i < logs.length; ++i) {
            if (logs[i].emitter == address(escrow) && logs[i].topics[0] == IEscrow.Ruled.selector) {
                ++told[logs[i].topics[1]];
            }
        }
    }

    /* WHAT THE CHAIN MUST SAY */

    /// The rulings on record are those that the ballots, counted here, come to.
    function checkRulings() external view {
        for (uint256 i; i < _ghosts.length; ++i) {
            Ghost storage g = _ghosts[i];
            assertEq(pools.rulings(address(escrow), g.id), g.rulings.length, "rulings");
            if (g.rulings.length == 0) continue;
            Jury[] memory juries = pools.caseOf(address(escrow), g.id);
            // The first ruling stands with the last jury before the appeal, and nothing ever changes it.
            uint256 first = juries.length - 1;
            if (_onAppeal(g)) {
                for (first = 0; juries[first + 1].instance == 0;) {
                    ++first;
                }
            }
            _checkRuling(juries[first], g.rulings[0]);
            if (g.rulings.length == 2) _checkRuling(juries[juries.length - 1], g.rulings[1]);
            assertEq(juries[juries.length - 1].stage == Stage.Executed, g.executed, "executed");
        }
    }

    function _checkRuling(Jury memory jury, Ruling storage ruling) private view {
        assertGe(uint8(jury.stage), uint8(Stage.Accepted), "accepted");
        assertEq(jury.share, ruling.share, "share");
        assertEq(jury.acceptedAt, ruling.time, "acceptedAt");
        assertEq(jury.appealable, ruling.until != 0, "appealable");
    }

    /// Every boundary is where the dispute and the rulings put it.
    function checkTimes() external view {
        for (uint256 i; i < _ghosts.length; ++i) {
            Ghost storage g = _ghosts[i];
            if (g.sittings.length == 0) continue;
            Jury[] memory juries = pools.caseOf(address(escrow), g.id);
            assertEq(juries.length, g.sittings.length, "juries");
            Jury memory last = juries[juries.length - 1];
            bool unknown = juries.length == 1 && !g.sittings[0].drawn;
            assertEq(last.endsAt, unknown ? 0 : _end(g), "endsAt");
            assertEq(last.targetBlock, _last(g).drawn || _isRuled(g) ? 0 : _last(g).target, "targetBlock");
            assertEq(last.jury, _last(g).jury, "jury");
            assertEq(last.instance, _last(g).instance, "instance");
        }
    }

    /// Who sits is who must, and nobody sits who is a party or has sat before.
    function checkSeats() external view {
        for (uint256 i; i < _ghosts.length; ++i) {
            Ghost storage g = _ghosts[i];
            address[] memory taken = new address[](2);
            (taken[0], taken[1]) = (g.terms.buyer, g.terms.seller);
            for (uint8 jury; jury < 2; ++jury) {
                (bool sits, uint256 number) = _sits(g, jury);
                if (!sits) continue;
                address[] memory seats = pools.juryOf(address(escrow), g.terms, jury);
                assertEq(seats, g.sittings[number].seats, "seats");
                assertEq(pools.caseId(address(escrow), g.terms, jury), _caseId(g, number), "case");
            }
            for (uint256 n; n < g.sittings.length; ++n) {
                for (uint256 j; j < g.sittings[n].seats.length; ++j) {
                    assertFalse(among(taken, g.sittings[n].seats[j]), "sits twice");
                }
                taken = concat(taken, g.sittings[n].seats);
            }
        }
    }

    /// The escrow was told once where it was told, and holds what is in open deals.
    function checkMoney() external view {
        uint256 held;
        for (uint256 i; i < _ghosts.length; ++i) {
            if (!_ghosts[i].closed) held += AMOUNT;
            assertEq(told[_ghosts[i].id], _ghosts[i].executed ? 1 : 0, "told");
        }
        assertEq(address(escrow).balance, held, "held");
    }

    /// A second after the last deadline a stranger closes whatever is open.
    function closeAll() external {
        for (uint256 i; i < _ghosts.length; ++i) {
            Ghost storage g = _ghosts[i];
            if (g.closed) continue;
            if (vm.getBlockTimestamp() <= _deadline(g)) vm.warp(_deadline(g) + 1);
            vm.prank(stranger);
            escrow.lapse(dealOf(g.terms));
            g.closed = true;
        }
        assertEq(address(escrow).balance, 0, "left");
    }
}
