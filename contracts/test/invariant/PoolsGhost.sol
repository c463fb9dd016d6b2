// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {RuleBook} from "../../src/interfaces/IArbitrationPools.sol";
import {Terms} from "../../src/interfaces/IEscrow.sol";
import {Wallet} from "../accounts/Wallets.sol";
import {CaseFixture} from "../pools/CaseFixture.sol";

/// @notice What cases must be by their own account: who sits, what was said, what that comes to and until when, from the
///         dispute, the hashes and the ballots alone. Nothing here is read from the pools.
abstract contract PoolsGhost is CaseFixture {
    enum Kind {
        /// A pool with a parent.
        Court,
        /// A pool without one.
        Alone,
        /// A pool without a list, so its parent hears the case.
        Bare
    }

    struct Sitting {
        uint8 instance;
        uint8 jury;
        uint256 target;
        bool drawn;
        bytes32 seed;
        address[] seats;
        uint16[] said;
        /// Cast on chain.
        bool[] isFinal;
    }

    struct Ruling {
        uint16 share;
        uint256 time;
        /// The last second of an appeal, or zero.
        uint256 until;
    }

    struct Ghost {
        Terms terms;
        bytes32 id;
        Kind kind;
        uint256 disputedAt;
        Sitting[] sittings;
        Ruling[] rulings;
        /// Whether the escrow took a ruling, and whether the deal is closed, by that or otherwise.
        bool executed;
        bool closed;
    }

    Ghost[] internal _ghosts;
    bytes32 internal bare;

    function setUp() public override {
        super.setUp();
        RuleBook memory rules = courtBook();
        rules.salt = "bare";
        bare = pools.createPool(rules);
        // Contracts, which have no key, are members too: a third of the court's.
        for (uint256 i; i < 6; ++i) {
            address wallet = address(new Wallet(stranger));
            members = _with(members, wallet);
            elders = _with(elders, wallet);
        }
        _publish(court, members);
        _publish(pool, members);
        _publish(parent, elders);
        vm.warp(START + DELAY);
    }

    /// The ascending list with one more.
    function _with(address[] memory list, address who) private pure returns (address[] memory longer) {
        longer = new address[](list.length + 1);
        uint256 at_;
        for (; at_ < list.length && list[at_] < who; ++at_) {
            longer[at_] = list[at_];
        }
        longer[at_] = who;
        for (; at_ < list.length; ++at_) {
            longer[at_ + 1] = list[at_];
        }
    }

    /* TIMES */

    function _deadline(Ghost storage g) internal view returns (uint256) {
        return g.disputedAt + g.terms.ruling;
    }

    /// Whether the case is, or was last, before the parent on appeal.
    function _onAppeal(Ghost storage g) internal view returns (bool) {
        return g.sittings.length != 0 && g.kind == Kind.Court && _last(g).instance == 1;
    }

    function _half(Ghost storage g) internal view returns (uint256) {
        return g.kind == Kind.Bare || _onAppeal(g) ? PARENT_HALF : HALF;
    }

    /// The last second of the present instance.
    function _end(Ghost storage g) internal view returns (uint256 end) {
        if (_onAppeal(g)) return g.rulings[0].until + PARENT_SPAN;
        end = g.disputedAt + 2 * _half(g);
        if (end > _deadline(g)) end = _deadline(g);
    }

    /* WHERE A CASE STANDS */

    function _last(Ghost storage g) internal view returns (Sitting storage) {
        return g.sittings[g.sittings.length - 1];
    }

    /// The present instance has ruled.
    function _isRuled(Ghost storage g) internal view returns (bool) {
        return g.rulings.length == (_onAppeal(g) ? 2 : 1);
    }

    /// Whether jury 0 or 1 of the present instance sits, and its place among all.
    function _sits(Ghost storage g, uint8 jury) internal view returns (bool, uint256 number) {
        if (g.sittings.length == 0 || jury > _last(g).jury) return (false, 0);
        number = g.sittings.length - 1 - (_last(g).jury - jury);
        return (g.sittings[number].drawn, number);
    }

    /// Whether ballots of jury 0 or 1 of the present instance count now.
    function _counts(Ghost storage g, uint8 jury) internal view returns (bool ok, uint256 number) {
        (ok, number) = _sits(g, jury);
        ok = ok && !_isRuled(g) && vm.getBlockTimestamp() <= _end(g);
    }

    /* MOVING IT */

    function _open(Ghost storage g, uint8 instance, uint8 jury) internal {
        Sitting storage sitting = g.sittings.push();
        (sitting.instance, sitting.jury, sitting.target) = (instance, jury, vm.getBlockNumber() + 2);
    }

    function _draw(Ghost storage g) internal {
        Sitting storage sitting = _last(g);
        if (g.kind == Kind.Bare) sitting.instance = 1;
        bytes32 hash = blockhash(sitting.target);
        sitting.seed = seedOf(hash, g.id, sitting.instance, sitting.jury);
        address[] memory struck = new address[](2);
        (struck[0], struck[1]) = (g.terms.buyer, g.terms.seller);
        for (uint256 n; n + 1 < g.sittings.length; ++n) {
            struck = concat(struck, g.sittings[n].seats);
        }
        address[] memory list = sitting.instance == 1 ? elders : members;
        sitting.seats = firstOf(shuffled(list, sitting.seed), struck, sitting.instance == 1 ? 5 : 3);
        sitting.said = new uint16[](sitting.seats.length);
        sitting.isFinal = new bool[](sitting.seats.length);
        for (uint256 i; i < sitting.said.length; ++i) {
            sitting.said[i] = NONE;
        }
        sitting.drawn = true;
    }

    /// The pool whose jury it is.
    function _poolOf(Ghost storage g, uint8 instance) private view returns (bytes32) {
        return instance == 1 ? parent : g.terms.annex.panel;
    }

    function _caseId(Ghost storage g, uint256 number) internal view returns (bytes32) {
        Sitting storage sitting = g.sittings[number];
        return keccak256(
            abi.encode(
                _poolOf(g, sitting.instance), address(escrow), g.id, sitting.instance, sitting.jury, sitting.seed
            )
        );
    }

    /* RULING */

    /// What the seat says after `share`, and whether that is anything new.
    function _after(Sitting storage sitting, uint8 seat, uint16 share, bool asCast)
        internal
        view
        returns (uint16 said, bool isNew)
    {
        said = sitting.said[seat];
        if (asCast) return (share, said != VOID && !sitting.isFinal[seat]);
        if (sitting.isFinal[seat] || said == VOID || said == share) return (said, false);
        return (said == NONE ? share : VOID, true);
    }

    /// Whether the jury rules with `share` of `seat` in place of what it said, and at what.
    function _rulesWith(Sitting storage sitting, uint8 seat, uint16 said)
        internal
        view
        returns (bool rules, uint16 share)
    {
        uint16[] memory all = sitting.said;
        all[seat] = said;
        uint16 hi;
        (share, hi) = boundsOf(all);
        return (share == hi, share);
    }

    function _isHeard(Sitting storage sitting) private view returns (bool) {
        for (uint256 i; i < sitting.said.length; ++i) {
            if (sitting.said[i] != NONE) return true;
        }
        return false;
    }

    /// The last word of the present instance, where there is one.
    function _lastWord(Ghost storage g) internal view returns (bool ok, uint16 share) {
        ok = _onAppeal(g);
        share = ok ? g.rulings[0].share : g.terms.lapseShare;
        for (uint8 jury; jury < 2; ++jury) {
            (bool sits, uint256 number) = _sits(g, jury);
            if (!sits || !_isHeard(g.sittings[number])) continue;
            ok = true;
            (uint16 lo, uint16 hi) = boundsOf(g.sittings[number].said);
            share = share < lo ? lo : share > hi ? hi : share;
        }
    }

    /// Whether a ruling of the present instance might be appealed at all, time aside.
    function _mayBeAppealed(Ghost storage g) internal view returns (bool) {
        return g.kind == Kind.Court && !_onAppeal(g);
    }

    function _accept(Ghost storage g, uint16 share, uint256 time) internal {
        bool enough = time + APPEAL + PARENT_SPAN + SPARE <= _deadline(g);
        uint256 until = _mayBeAppealed(g) && enough ? time + APPEAL : 0;
        g.rulings.push(Ruling(share, time, until));
        if (vm.getBlockTimestamp() > until && !g.closed) (g.executed, g.closed) = (true, true);
    }
}
