// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Deal, IEscrow, State, Status, Terms} from "../../src/interfaces/IEscrow.sol";
import {Burner, Caller, Refuser} from "../accounts/Payees.sol";
import {Counter} from "../accounts/Wallets.sol";
import {Permit2Fixture} from "../escrow/Permit2Fixture.sol";
import {DenylistToken, Odd, OddToken, owedAfter} from "../tokens/OddToken.sol";

/// @notice An account of the escrow by arithmetic of its own: where each deal stands, what was paid, and what must be held
///         and owed of each asset, whatever payees and tokens do.
abstract contract Books is Permit2Fixture {
    struct Ghost {
        Terms terms;
        bytes32 id;
        Status status;
        bool retracted;
        uint256 released;
        uint256 refunded;
        uint40 since;
        uint40 fundedAt;
        uint8 events;
    }

    /// How a party receives coin.
    enum Mood {
        Takes,
        Refuses,
        Burns,
        Reenters // takes it where its call back is refused as reentering
    }

    uint256 internal constant PLENTY = type(uint96).max;

    Ghost[] internal _ghosts;
    Ghost private _none;
    DenylistToken public denylist;
    OddToken public odd;
    Counter public counter;
    mapping(address party => Mood) public moods;
    /// What the escrow must hold and owe, by asset.
    mapping(address asset => uint256) public held;
    mapping(address asset => uint256) public owed;
    mapping(address who => mapping(address asset => uint256)) public credit;
    /// What the escrow gave, and what the buyer gave to it.
    mapping(address who => mapping(address asset => uint256)) public paid;
    mapping(address asset => uint256) public spent;
    /// How often each action went through, so that a run that tried nothing is seen.
    mapping(bytes32 action => uint256) public done;
    uint256 public refusals;

    function setUp() public virtual override {
        super.setUp();
        (denylist, odd, counter) = (new DenylistToken(), new OddToken(), new Counter());
        arbiter = address(counter);
        denylist.mint(buyer, PLENTY);
        odd.mint(buyer, PLENTY);
        dollar.mint(buyer, PLENTY - dollar.balanceOf(buyer));
        vm.deal(buyer, PLENTY);
        vm.startPrank(buyer);
        denylist.approve(address(escrow), type(uint256).max);
        odd.approve(address(escrow), type(uint256).max);
        vm.stopPrank();
        bytes[] memory back = new bytes[](1);
        back[0] = abi.encodeCall(IEscrow.withdraw, (address(0), stranger));
        bytes memory code = address(new Caller()).code;
        for (uint256 i; i < 2; ++i) {
            address party = i == 0 ? buyer : seller;
            vm.etch(party, code);
            Caller(payable(party)).plan(address(escrow), back);
            Caller(payable(party)).confess();
            vm.etch(party, "");
        }
    }

    function _feel(address party, Mood mood) internal {
        moods[party] = mood;
        if (mood == Mood.Takes) vm.etch(party, "");
        if (mood == Mood.Refuses) vm.etch(party, address(new Refuser()).code);
        if (mood == Mood.Burns) vm.etch(party, address(new Burner()).code);
        if (mood == Mood.Reenters) vm.etch(party, address(new Caller()).code);
    }

    /* READING */

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

    function assets() public view returns (address[4] memory) {
        return [address(0), address(denylist), address(dollar), address(odd)];
    }

    function balanceOf(address asset, address who) public view returns (uint256) {
        if (asset == address(0)) return who.balance;
        if (asset == address(odd)) return odd.held(who);
        return asset == address(denylist) ? denylist.balanceOf(who) : dollar.balanceOf(who);
    }

    /// Whether the state on chain is what the ghost says, storage deleted or not.
    function agrees(uint256 i) external view returns (bool) {
        Ghost storage g = _ghosts[i];
        State memory state = escrow.stateOf(g.id);
        if (g.status == Status.Closed && !g.retracted && state.status == Status.None) {
            return state.fundedAt == 0 && vm.getBlockTimestamp() > g.terms.fundBy;
        }
        return state.status == g.status && state.count == g.events && state.since == g.since
            && state.fundedAt == g.fundedAt && state.released == g.released && state.refunded == g.refunded;
    }

    /* ENTRIES */

    function _recordFunded(Terms memory terms, bool byBuyer) internal {
        held[terms.asset] += terms.amount;
        if (byBuyer) spent[terms.asset] += terms.amount;
        uint40 now_ = uint40(vm.getBlockTimestamp());
        _ghosts.push(Ghost(terms, idOf(terms), Status.Funded, false, 0, 0, 0, now_, 1));
    }

    function _recordRetracted(Terms memory terms) internal {
        _ghosts.push(Ghost(terms, idOf(terms), Status.Closed, true, 0, 0, 0, 0, 0));
    }

    function _enter(Ghost storage g, Status status) internal {
        assertTrue(g.status == Status.Funded || (g.status == Status.Delivered && status == Status.Disputed));
        assertFalse(g.terms.metered && status == Status.Delivered, "a metered deal was delivered");
        (g.status, g.since) = (status, uint40(vm.getBlockTimestamp()));
        _event(g);
    }

    function _event(Ghost storage g) internal {
        unchecked {
            ++g.events;
        }
    }

    /// At the seller's total, as far as what was conceded leaves it.
    function _close(Ghost storage g, uint256 total) internal {
        uint256 most = g.terms.amount - g.refunded;
        if (total > most) total = most;
        if (total < g.released) total = g.released;
        _pay(g, total, g.terms.amount - total);
    }

    function _pay(Ghost storage g, uint256 released, uint256 refunded) internal {
        assertTrue(g.status != Status.Closed, "a closed deal moved");
        assertGt(released + refunded, g.released + g.refunded, "nothing moved");
        _give(seller, g.terms.asset, released - g.released);
        _give(buyer, g.terms.asset, refunded - g.refunded);
        (g.released, g.refunded) = (released, refunded);
        _event(g);
        if (released + refunded == g.terms.amount) (g.status, g.since) = (Status.Closed, 0);
    }

    function _give(address who, address asset, uint256 sum) private {
        uint256 debt = _wouldOwe(who, asset, sum);
        held[asset] -= sum;
        credit[who][asset] += debt;
        owed[asset] += debt;
        paid[who][asset] += sum - debt;
    }

    function _withdrew(address creditor, address asset, uint256 sum, address to) internal {
        credit[creditor][asset] -= sum;
        owed[asset] -= sum;
        paid[to][asset] += sum;
    }

    /// What of `sum` would become a debt if it were paid now.
    function _wouldOwe(address who, address asset, uint256 sum) internal view returns (uint256) {
        if (asset == address(0)) {
            return moods[who] == Mood.Refuses || moods[who] == Mood.Burns ? sum : 0;
        }
        if (asset == address(denylist)) return denylist.denied(who) ? sum : 0;
        return asset == address(odd) ? owedAfter(odd.out(), sum) : 0;
    }

    /* CHOOSING AND CALLING */

    function _pick(uint256 which) internal view returns (Ghost storage g, Deal memory deal) {
        g = _none;
        if (_ghosts.length != 0) g = _ghosts[which % _ghosts.length];
        if (g.id != 0) deal = dealOf(g.terms);
    }

    function _who(uint256 who) internal view returns (address) {
        return [buyer, seller, arbiter, stranger][who % 4];
    }

    function _keyOf(address who) internal view returns (uint256) {
        return who == buyer ? buyerKey : who == seller ? sellerKey : strangerKey;
    }

    /// By whom it is, directly or in a batch.
    function _try(bytes32 action, address by, bytes memory data, bool batched) internal returns (bool ok) {
        if (batched) data = abi.encodeCall(IEscrow.batch, (_one(data)));
        vm.prank(by);
        (ok,) = address(escrow).call{gas: 4_000_000}(data);
        if (ok) ++done[action];
        else ++refusals;
    }

    function _one(bytes memory data) internal pure returns (bytes[] memory calls) {
        calls = new bytes[](1);
        calls[0] = data;
    }
}
