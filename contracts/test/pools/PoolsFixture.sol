// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Ballot, IArbitrationPools, Jury, RuleBook} from "../../src/interfaces/IArbitrationPools.sol";
import {Deal, Terms} from "../../src/interfaces/IEscrow.sol";
import {Fixture} from "../Fixture.sol";

/// @notice The pools as deployed, a pool of three seats and twelve members, and the draw written out a second time.
abstract contract PoolsFixture is Fixture {
    uint32 internal constant DELAY = 1 hours;
    /// Opening and voting of both juries of `book`.
    uint256 internal constant SPAN = 2 * (1 days + 3 days);

    IArbitrationPools internal pools;
    address internal keeper = makeAddr("keeper");
    bytes32 internal pool;
    /// Ascending.
    address[] internal members;
    mapping(address member => uint256) internal keys;

    function setUp() public virtual override {
        super.setUp();
        pools = IArbitrationPools(vm.deployCode("ArbitrationPools.sol:ArbitrationPools"));
        arbiter = address(pools);
        members = _people("member", 12);
        pool = pools.createPool(book(3));
        _publish(pool, members);
        vm.warp(NOW + DELAY);
    }

    function book(uint8 jurySize) internal view returns (RuleBook memory) {
        return RuleBook({
            keeper: keeper,
            parent: 0,
            jurySize: jurySize,
            delay: DELAY,
            opening: 1 days,
            voting: 3 days,
            appeal: 0,
            salt: "book"
        });
    }

    function poolTerms() internal view returns (Terms memory terms) {
        terms = coinTerms();
        terms.annex.panel = pool;
    }

    /// People with keys, in ascending order of their addresses.
    function _people(string memory name, uint256 count) internal returns (address[] memory people) {
        people = new address[](count);
        for (uint256 i; i < count; ++i) {
            (address who, uint256 key) = makeAddrAndKey(string.concat(name, vm.toString(i)));
            keys[who] = key;
            uint256 j = i;
            for (; j > 0 && people[j - 1] > who; --j) {
                people[j] = people[j - 1];
            }
            people[j] = who;
        }
    }

    function _publish(bytes32 pool_, address[] memory list) internal returns (uint32) {
        address[] memory pages = new address[](1);
        pages[0] = pools.storePage(list);
        vm.prank(keeper);
        return pools.publish(pool_, pages);
    }

    /// Disputed, opened and drawn. The fixture rolls the blocks between.
    function drawn(Terms memory terms) internal returns (bytes32 id, address[] memory seats) {
        (id,) = disputed(terms);
        pools.open(address(escrow), id);
        vm.roll(vm.getBlockNumber() + 3);
        pools.draw(address(escrow), terms);
        seats = pools.juryOf(address(escrow), terms, 0);
    }

    function seedOf(bytes32 hash, bytes32 id, uint8 instance, uint8 jury) internal pure returns (bytes32) {
        return bytes32(bytes12(keccak256(abi.encode(hash, id, instance, jury))));
    }

    /// Where a case stands.
    function lastOf(bytes32 id) internal view returns (Jury memory) {
        Jury[] memory juries = pools.caseOf(address(escrow), id);
        return juries[juries.length - 1];
    }

    function caseIdOf(Terms memory terms, bytes32 seed) internal view returns (bytes32) {
        return keccak256(abi.encode(terms.annex.panel, address(escrow), idOf(terms), uint8(0), uint8(0), seed));
    }

    function ballotDigest(bytes32 caseId, uint16 share, bytes32 reason) internal view returns (bytes32) {
        bytes32 kind = keccak256("Ballot(bytes32 caseId,uint16 share,bytes32 reason)");
        return keccak256(
            abi.encodePacked(
                hex"1901",
                domainOf("Earnest Arbitration Pools", address(pools)),
                keccak256(abi.encode(kind, caseId, share, reason))
            )
        );
    }

    function ballot(Terms memory terms, uint8 seat, uint16 share) internal view returns (Ballot memory) {
        return ballotOf(terms, 0, seat, share);
    }

    /// Of jury 0 or 1 of the present instance.
    function ballotOf(Terms memory terms, uint8 jury, uint8 seat, uint16 share) internal view returns (Ballot memory) {
        bytes32 id = pools.caseId(address(escrow), terms, jury);
        address juror = pools.juryOf(address(escrow), terms, jury)[seat];
        bytes32 reason = keccak256(abi.encode("because", share));
        (bytes32 r, bytes32 vs) = vm.signCompact(keys[juror], ballotDigest(id, share, reason));
        return Ballot(seat, share, reason, r, vs);
    }

    function one(Ballot memory a) internal pure returns (Ballot[] memory list) {
        list = new Ballot[](1);
        list[0] = a;
    }

    function two(Ballot memory a, Ballot memory b) internal pure returns (Ballot[] memory list) {
        list = new Ballot[](2);
        (list[0], list[1]) = (a, b);
    }

    /// A whole deck shuffled from the front by the seed, the parties passed over: what a jury of `size` must be.
    function expectedJury(address[] memory list, bytes32 seed, uint256 size, address a, address b)
        internal
        pure
        returns (address[] memory seats)
    {
        address[] memory deck = new address[](list.length);
        for (uint256 i; i < list.length; ++i) {
            deck[i] = list[i];
        }
        seats = new address[](size);
        uint256 taken;
        for (uint256 i; taken < size; ++i) {
            uint256 j = i + uint256(keccak256(abi.encode(seed, i))) % (deck.length - i);
            (deck[i], deck[j]) = (deck[j], deck[i]);
            if (deck[i] != a && deck[i] != b) seats[taken++] = deck[i];
        }
    }
}
