// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Ballot, IArbitrationPools, Jury, RuleBook, Stage} from "../../src/interfaces/IArbitrationPools.sol";
import {Terms} from "../../src/interfaces/IEscrow.sol";
import {PoolsFixture} from "./PoolsFixture.sol";

/// @notice A court of three seats with a parent of five, and cases led through their four juries. The parties and all
///         members of the court are members of the parent, so that whoever must be passed over is there to be drawn.
abstract contract CaseFixture is PoolsFixture {
    uint32 internal constant APPEAL = 2 days;
    uint256 internal constant HALF = SPAN / 2;
    uint256 internal constant PARENT_HALF = 12 hours + 2 days;
    uint256 internal constant PARENT_SPAN = 2 * PARENT_HALF;
    /// For executing an appeal's ruling, and what must be left then.
    uint256 internal constant SPARE = 2 days;
    /// When lists are in effect and deals are funded and disputed.
    uint40 internal constant START = NOW + 2 * DELAY;
    /// A ballot that is not there, and one that its juror contradicted.
    uint16 internal constant NONE = type(uint16).max;
    uint16 internal constant VOID = type(uint16).max - 1;

    bytes32 internal court;
    bytes32 internal parent;
    /// Ascending, with all of `members` among them.
    address[] internal elders;

    function setUp() public virtual override {
        super.setUp();
        elders = _people("member", 20);
        (buyer, seller) = (members[2], members[9]);
        (buyerKey, sellerKey) = (keys[buyer], keys[seller]);
        vm.deal(buyer, 100 ether);
        parent = pools.createPool(parentBook());
        court = pools.createPool(courtBook());
        _publish(parent, elders);
        _publish(court, members);
        vm.warp(START);
    }

    function parentBook() internal view returns (RuleBook memory rules) {
        rules = book(5);
        (rules.opening, rules.voting, rules.salt) = (12 hours, 2 days, "parent");
    }

    function courtBook() internal view returns (RuleBook memory rules) {
        rules = book(3);
        (rules.parent, rules.appeal, rules.salt) = (parent, APPEAL, "court");
    }

    function caseTerms() internal view returns (Terms memory terms) {
        terms = coinTerms();
        terms.annex.panel = court;
    }

    /* LEADING A CASE */

    /// Disputed now, and brought before the pools.
    function opened(Terms memory terms) internal returns (bytes32 id) {
        (id,) = disputed(terms);
        pools.open(address(escrow), id);
    }

    function heard(Terms memory terms) internal returns (bytes32 id) {
        id = opened(terms);
        drawLast(terms);
    }

    /// Draws the jury that was opened last.
    function drawLast(Terms memory terms) internal {
        vm.roll(lastOf(idOf(terms)).targetBlock + 1);
        pools.draw(address(escrow), terms);
    }

    /// Opens and draws the second jury of the present instance, at the first second in which that is possible.
    function seatSecond(Terms memory terms) internal {
        Jury memory first = lastOf(idOf(terms));
        vm.warp(first.endsAt - (first.instance == 0 ? HALF : PARENT_HALF) + 1);
        pools.openSecondJury(address(escrow), terms);
        drawLast(terms);
    }

    /// A ruling of the first jury.
    function ruled(Terms memory terms, uint16 share) internal returns (bytes32 id) {
        id = heard(terms);
        vote(terms, 0, shares(share, share, NONE));
    }

    /// Appealed by the buyer at once.
    function appealed(Terms memory terms, uint16 share) internal returns (bytes32 id) {
        id = ruled(terms, share);
        appealAs(buyer, terms);
    }

    function appealAs(address who, Terms memory terms) internal {
        vm.prank(who);
        pools.appeal(address(escrow), terms);
    }

    /// Until when the accepted ruling can be appealed.
    function appealUntil(bytes32 id) internal view returns (uint256) {
        return lastOf(id).acceptedAt + APPEAL;
    }

    /* VOTING */

    function shares(uint16 a, uint16 b, uint16 c) internal pure returns (uint16[] memory list) {
        list = new uint16[](3);
        (list[0], list[1], list[2]) = (a, b, c);
    }

    function shares(uint16 a, uint16 b, uint16 c, uint16 d, uint16 e) internal pure returns (uint16[] memory list) {
        list = new uint16[](5);
        (list[0], list[1], list[2], list[3], list[4]) = (a, b, c, d, e);
    }

    /// Hands in at once what the seats say, in their order.
    function vote(Terms memory terms, uint8 jury, uint16[] memory said) internal {
        Ballot[] memory list = ballotsOf(terms, jury, said);
        pools.submit(address(escrow), terms, jury, list);
    }

    function ballotsOf(Terms memory terms, uint8 jury, uint16[] memory said)
        internal
        view
        returns (Ballot[] memory list)
    {
        Ballot[] memory all = new Ballot[](2 * said.length);
        uint256 count;
        for (uint8 seat; seat < said.length; ++seat) {
            if (said[seat] == NONE) continue;
            if (said[seat] == VOID) all[count++] = ballotOf(terms, jury, seat, 500);
            all[count++] = ballotOf(terms, jury, seat, said[seat] == VOID ? 1000 : said[seat]);
        }
        list = new Ballot[](count);
        for (uint256 i; i < count; ++i) {
            list[i] = all[i];
        }
    }

    /// What signed ballots of the seats come to in one word.
    function wordOf(uint16[] memory said) internal pure returns (uint256 word) {
        for (uint256 seat; seat < said.length; ++seat) {
            if (said[seat] == NONE) continue;
            uint256 field = said[seat] == VOID ? 31 : uint256(said[seat]) / 500 + 1;
            word |= field << (5 * seat);
        }
    }

    /// The least and the greatest median that the full jury can have, by sorting.
    function boundsOf(uint16[] memory said) internal pure returns (uint16 lo, uint16 hi) {
        return (_median(said, 0), _median(said, 10_000));
    }

    function _median(uint16[] memory said, uint16 missing) private pure returns (uint16) {
        uint16[] memory sorted = new uint16[](said.length);
        for (uint256 i; i < said.length; ++i) {
            uint16 share = said[i] >= VOID ? missing : said[i];
            uint256 j = i;
            for (; j > 0 && sorted[j - 1] > share; --j) {
                sorted[j] = sorted[j - 1];
            }
            sorted[j] = share;
        }
        return sorted[said.length / 2];
    }

    /* WHO MUST SIT */

    /// The seats of every jury drawn so far, from the seeds and lists alone: the whole deck is shuffled, then everybody
    /// who must not sit is struck out, and the first ones left sit.
    function expectedJuries(Terms memory terms) internal view returns (address[][] memory juries) {
        Jury[] memory record = pools.caseOf(address(escrow), idOf(terms));
        juries = new address[][](record.length);
        address[] memory struck = new address[](2);
        (struck[0], struck[1]) = (terms.buyer, terms.seller);
        for (uint256 n; n < record.length; ++n) {
            if (record[n].stage == Stage.Opened || record[n].seed == 0) continue;
            juries[n] = firstOf(shuffled(_listOf(terms, record[n].instance), record[n].seed), struck, record[n].seats);
            struck = concat(struck, juries[n]);
        }
    }

    function _listOf(Terms memory terms, uint8 instance) private view returns (address[] memory) {
        if (instance == 1) return elders;
        return terms.annex.panel == court ? members : pools.membersOf(terms.annex.panel, 0);
    }

    function shuffled(address[] memory list, bytes32 seed) internal pure returns (address[] memory deck) {
        deck = new address[](list.length);
        for (uint256 i; i < list.length; ++i) {
            deck[i] = list[i];
        }
        for (uint256 i; i < list.length; ++i) {
            uint256 j = i + uint256(keccak256(abi.encode(seed, i))) % (list.length - i);
            (deck[i], deck[j]) = (deck[j], deck[i]);
        }
    }

    function firstOf(address[] memory deck, address[] memory struck, uint256 count)
        internal
        pure
        returns (address[] memory first)
    {
        first = new address[](count);
        uint256 taken;
        for (uint256 i; taken < count; ++i) {
            if (!among(struck, deck[i])) first[taken++] = deck[i];
        }
    }

    function among(address[] memory people, address who) internal pure returns (bool) {
        for (uint256 i; i < people.length; ++i) {
            if (people[i] == who) return true;
        }
        return false;
    }

    function concat(address[] memory a, address[] memory b) internal pure returns (address[] memory all) {
        all = new address[](a.length + b.length);
        for (uint256 i; i < all.length; ++i) {
            all[i] = i < a.length ? a[i] : b[i - a.length];
        }
    }

    /* CHECKS */

    function assertStage(bytes32 id, Stage stage) internal view {
        assertEq(uint8(lastOf(id).stage), uint8(stage), "stage");
    }

    function assertAccepted(bytes32 id, uint256 time, uint16 share) internal view {
        Jury memory last = lastOf(id);
        assertGe(uint8(last.stage), uint8(Stage.Accepted), "stage");
        assertEq(last.acceptedAt, time, "acceptedAt");
        assertEq(last.share, share, "share");
    }

    /// Closed at `share`, and the seller has what that comes to.
    function assertPaid(bytes32 id, uint16 share) internal view {
        assertStage(id, Stage.Executed);
        assertEq(seller.balance, uint256(AMOUNT) * share / 10_000, "paid");
    }

    function expectTooEarly(uint256 opensAt) internal {
        expect(refusal(IArbitrationPools.TooEarly.selector, opensAt));
    }

    function expectTooLate(uint256 closedAt) internal {
        expect(refusal(IArbitrationPools.TooLate.selector, closedAt));
    }
}
