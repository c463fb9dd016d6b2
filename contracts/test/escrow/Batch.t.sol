// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Deal, IEscrow, State, Status, Terms} from "../../src/interfaces/IEscrow.sol";
import {IntakeFixture} from "./IntakeFixture.sol";
import {Caller, Refuser} from "../accounts/Payees.sol";
import {Odd, OddToken} from "../tokens/OddToken.sol";

/// @notice Several calls in one: all or none, as the caller of each, and each unit of coin spent once.
contract BatchTest is IntakeFixture {
    function _fundCall(Terms memory terms) private view returns (bytes memory) {
        return abi.encodeCall(IEscrow.fund, (terms, sign(sellerKey, idOf(terms))));
    }

    function _fundBySigCall(Terms memory terms) private view returns (bytes memory) {
        bytes32 id = idOf(terms);
        bytes memory order = sign(buyerKey, fundDigest(id, ALWAYS));
        return abi.encodeCall(IEscrow.fundBySig, (terms, sign(sellerKey, id), ALWAYS, order));
    }

    function _one(bytes memory a) private pure returns (bytes[] memory calls) {
        calls = new bytes[](1);
        calls[0] = a;
    }

    function _two(bytes memory a, bytes memory b) private pure returns (bytes[] memory calls) {
        calls = new bytes[](2);
        (calls[0], calls[1]) = (a, b);
    }

    function _batch(bytes[] memory calls, uint256 value) private returns (bytes[] memory) {
        vm.prank(buyer);
        return escrow.batch{value: value}(calls);
    }

    function _isFunded(Terms memory terms) private view {
        assertState(idOf(terms), Status.Funded, 1, 0, NOW, 0, 0);
    }

    /* ONE PURSE */

    function test_SeveralCoinDealsFromOnePurse() public {
        bytes[] memory calls = new bytes[](3);
        uint256 sum;
        Terms memory terms = coinTerms();
        for (uint256 i; i < 3; ++i) {
            (terms.annex.salt, terms.amount) = (bytes32(i), uint88(AMOUNT + i));
            calls[i] = _fundCall(terms);
            sum += terms.amount;
        }
        bytes[] memory results = _batch(calls, sum);
        for (uint256 i; i < 3; ++i) {
            (terms.annex.salt, terms.amount) = (bytes32(i), uint88(AMOUNT + i));
            _isFunded(terms);
            assertEq(abi.decode(results[i], (bytes32)), idOf(terms));
        }
        assertEq(address(escrow).balance, sum);
    }

    function test_TooLittleIsRefused() public {
        bytes[] memory calls = _two(_fundCall(salted(coinTerms(), "1")), _fundCall(salted(coinTerms(), "2")));
        expect(refusal(IEscrow.WrongValue.selector, uint256(AMOUNT) - 1, AMOUNT));
        _batch(calls, 2 * uint256(AMOUNT) - 1);
        assertEq(address(escrow).balance, 0);
    }

    function test_TooMuchIsRefused() public {
        bytes[] memory calls = _two(_fundCall(salted(coinTerms(), "1")), _fundCall(salted(coinTerms(), "2")));
        expect(refusal(IEscrow.WrongValue.selector, 2 * uint256(AMOUNT) + 1, 2 * uint256(AMOUNT)));
        _batch(calls, 2 * uint256(AMOUNT) + 1);
        assertEq(address(escrow).balance, 0);
    }

    function test_CoinForNothingIsRefused() public {
        expect(refusal(IEscrow.WrongValue.selector, 1, 0));
        _batch(new bytes[](0), 1);
        bytes[] memory calls = _one(_fundBySigCall(tokenTerms()));
        expect(refusal(IEscrow.WrongValue.selector, 1, 0));
        _batch(calls, 1);
    }

    function test_EmptyBatchDoesNothing() public {
        assertEq(_batch(new bytes[](0), 0).length, 0);
    }

    function testFuzz_ThePurseIsTheSum(uint88[4] memory amounts, uint8 mask, uint256 value) public {
        bytes[] memory calls = new bytes[](4);
        uint256 sum;
        for (uint256 i; i < 4; ++i) {
            bool coin = mask >> i & 1 == 0;
            Terms memory terms = salted(coin ? coinTerms() : tokenTerms(), bytes32(i));
            terms.amount = uint88(bound(amounts[i], 1, AMOUNT));
            calls[i] = mask >> (i + 4) & 1 == 0 ? _fundCall(terms) : _fundBySigCall(terms);
            if (coin) sum += terms.amount;
        }
        if (value % 3 != 0) value = bound(value, 0, 4 * uint256(AMOUNT));
        else value = sum;
        vm.prank(buyer);
        (bool ok,) = address(escrow).call{value: value}(abi.encodeCall(IEscrow.batch, (calls)));
        assertEq(ok, value == sum);
        assertEq(address(escrow).balance, ok ? sum : 0);
    }

    function test_ARelayerFundsForSeveralBuyers() public {
        bytes[] memory calls = _two(_fundBySigCall(salted(coinTerms(), "1")), _fundBySigCall(salted(coinTerms(), "2")));
        vm.deal(stranger, 2 * uint256(AMOUNT));
        vm.prank(stranger);
        escrow.batch{value: 2 * uint256(AMOUNT)}(calls);
        assertEq(address(escrow).balance, 2 * uint256(AMOUNT));
        assertEq(stranger.balance, 0);
    }

    /* NO UNIT TWICE */

    function test_OneValueFundsOneDeal() public {
        bytes[] memory calls = _two(_fundCall(salted(coinTerms(), "1")), _fundBySigCall(salted(coinTerms(), "2")));
        expect(refusal(IEscrow.WrongValue.selector, 0, AMOUNT));
        _batch(calls, AMOUNT);
    }

    function test_TheSameDealTwiceIsRefused() public {
        bytes[] memory calls = _two(_fundCall(coinTerms()), _fundCall(coinTerms()));
        expect(IEscrow.AlreadyFunded.selector);
        _batch(calls, 2 * uint256(AMOUNT));
    }

    /// The coin that the escrow holds for others is nobody's purse.
    function test_WithoutCoinNothingIsFunded() public {
        fund(salted(coinTerms(), "another's"));
        bytes[] memory calls = _one(_fundCall(coinTerms()));
        expect(refusal(IEscrow.WrongValue.selector, 0, AMOUNT));
        _batch(calls, 0);
    }

    /// Neither at once nor after the first has spent: a batch has no second purse.
    function test_ABatchInABatchIsRefused() public {
        bytes memory inner = abi.encodeCall(IEscrow.batch, (_one(_fundCall(salted(coinTerms(), "1")))));
        bytes memory deeper = abi.encodeCall(IEscrow.batch, (_one(inner)));
        bytes[] memory plain = _one(inner);
        expect(IEscrow.Reentered.selector);
        _batch(plain, AMOUNT);
        plain = _one(deeper);
        expect(IEscrow.Reentered.selector);
        _batch(plain, 0);
        plain = _two(_fundCall(salted(coinTerms(), "2")), inner);
        expect(IEscrow.Reentered.selector);
        _batch(plain, AMOUNT);
        assertEq(address(escrow).balance, 0);
    }

    /// From the hook of a token that is being taken in, with coin of its own: nothing that counts coin runs.
    function test_ReenteredFromATokensHook() public {
        OddToken asset = new OddToken();
        asset.mint(buyer, AMOUNT);
        vm.prank(buyer);
        asset.approve(address(escrow), AMOUNT);
        asset.setInto(Odd.Hook);
        Terms memory hooked = coinTerms();
        hooked.asset = address(asset);
        Terms memory third = salted(coinTerms(), "third");
        bytes[] memory calls = _two(_fundCall(hooked), _fundCall(coinTerms()));
        bytes[] memory tries = new bytes[](4);
        tries[0] = _fundCall(third);
        tries[1] = _fundBySigCall(third);
        tries[2] = abi.encodeCall(IEscrow.batch, (_one(_fundCall(third))));
        tries[3] = permitCall(AMOUNT, NOW);
        vm.etch(buyer, address(new Caller()).code);
        Caller caller = Caller(payable(buyer));
        caller.plan(address(escrow), tries);
        caller.bring(AMOUNT);
        _batch(calls, AMOUNT);
        assertEq(caller.count(), 4);
        for (uint256 i; i < 4; ++i) {
            assertFalse(caller.outcomes(i));
            assertEq(bytes4(caller.answers(i)), IEscrow.Reentered.selector);
        }
        _isFunded(hooked);
        _isFunded(coinTerms());
        assertGone(idOf(third));
        assertEq(address(escrow).balance, AMOUNT);
    }

    /// From a payee, in the middle of a batch of releases and of a single one.
    function test_ReenteredFromAPayee() public {
        (, Deal memory deal) = fund(coinTerms());
        bytes[] memory tries = new bytes[](2);
        tries[0] = abi.encodeCall(IEscrow.batch, (new bytes[](0)));
        tries[1] = abi.encodeCall(IEscrow.batch, (_one(abi.encodeCall(IEscrow.releaseBySig, (deal, 9, "")))));
        for (uint256 i; i < 4; ++i) {
            uint256 snapshot = vm.snapshotState();
            Caller caller = new Caller();
            vm.etch(seller, address(caller).code);
            caller = Caller(payable(seller));
            caller.plan(address(escrow), _one(tries[i % 2]));
            // What a payee may spend on receiving coin is too little to keep an account of it: it calls and tells by
            // refusing the coin where it got through.
            caller.confess();
            vm.prank(buyer);
            if (i < 2) escrow.release(deal, 5);
            else escrow.batch(_one(abi.encodeCall(IEscrow.release, (deal, 5))));
            assertEq(seller.balance, 5, "got through");
            vm.revertToState(snapshot);
        }
    }

    /// The purse ends with its batch, also where that fails.
    function test_ThePurseEndsWithTheBatch() public {
        bytes[] memory calls = _one(_fundCall(salted(coinTerms(), "1")));
        Terms memory next = salted(coinTerms(), "2");
        bytes memory consent = sign(sellerKey, idOf(next));
        _batch(calls, AMOUNT);
        expect(refusal(IEscrow.WrongValue.selector, 0, AMOUNT));
        vm.prank(buyer);
        escrow.fund(next, consent);
        calls = _two(_fundCall(next), _fundCall(next));
        expect(IEscrow.AlreadyFunded.selector);
        _batch(calls, 2 * uint256(AMOUNT));
        expect(refusal(IEscrow.WrongValue.selector, 0, AMOUNT));
        vm.prank(buyer);
        escrow.fund(next, consent);
        calls = _one(_fundCall(next));
        _batch(calls, AMOUNT);
        assertEq(address(escrow).balance, 2 * uint256(AMOUNT));
    }

    /* COIN IS FOR FUNDING */

    /// Each of the others, valid by itself, in a batch with coin.
    function test_OtherCallsWithCoinAreRefused() public {
        (bytes32 id, Deal memory deal) = fund(salted(coinTerms(), "other"));
        bytes[] memory calls = new bytes[](26);
        calls[0] = abi.encodeCall(IEscrow.release, (deal, 5));
        calls[1] = abi.encodeCall(IEscrow.releaseBySig, (deal, 5, sign(buyerKey, releaseDigest(id, 5))));
        calls[2] = abi.encodeCall(IEscrow.refund, (deal, 5));
        calls[3] = abi.encodeCall(IEscrow.refundBySig, (deal, 5, sign(sellerKey, refundDigest(id, 5))));
        calls[4] = abi.encodeCall(IEscrow.deliver, (deal, ""));
        calls[5] = abi.encodeCall(IEscrow.deliverBySig, (deal, "", NOW, sign(sellerKey, deliverDigest(id, "", NOW))));
        calls[6] = abi.encodeCall(IEscrow.dispute, (deal, ""));
        calls[7] =
            abi.encodeCall(IEscrow.disputeBySig, (deal, buyer, "", NOW, sign(buyerKey, disputeDigest(id, "", NOW))));
        calls[8] = abi.encodeCall(IEscrow.evidence, (deal, "", ""));
        calls[9] = abi.encodeCall(IEscrow.evidenceBySig, (deal, buyer, "", "", NOW, ""));
        calls[10] = abi.encodeCall(IEscrow.reclaim, (deal));
        calls[11] = abi.encodeCall(IEscrow.claim, (deal));
        calls[12] = abi.encodeCall(IEscrow.lapse, (deal));
        calls[13] = abi.encodeCall(IEscrow.rule, (deal, 5));
        calls[14] = abi.encodeCall(
            IEscrow.settle, (deal, 5, 0, NOW, "", sign(sellerKey, settleDigest(id, 5, Status.Funded, 0, NOW)))
        );
        calls[15] = abi.encodeCall(IEscrow.revoke, (id));
        calls[16] = abi.encodeCall(IEscrow.withdraw, (address(0), buyer));
        calls[17] = abi.encodeCall(IEscrow.withdrawBySig, (buyer, address(0), 5, buyer, NOW, ""));
        calls[18] = abi.encodeCall(IEscrow.retract, (coinTerms()));
        calls[19] = abi.encodeCall(IEscrow.fundByAuthorization, (dollarTerms(), "", 0, 0, ""));
        calls[20] = abi.encodeCall(IEscrow.fundByPermit2, (dollarTerms(), "", 0, 0, ""));
        calls[21] = abi.encodeCall(IEscrow.stateOf, (id));
        calls[22] = abi.encodeCall(IEscrow.creditOf, (buyer, address(0)));
        calls[23] = abi.encodeCall(IEscrow.withdrawalNonceOf, (buyer));
        calls[24] = abi.encodeCall(IEscrow.revoked, (buyer, id));
        calls[25] = abi.encodeCall(IEscrow.DOMAIN_SEPARATOR, ());
        bytes memory paid = _fundCall(coinTerms());
        for (uint256 i; i < calls.length; ++i) {
            bytes[] memory both = i % 2 == 0 ? _two(paid, calls[i]) : _two(calls[i], paid);
            vm.prank(buyer);
            (bool ok, bytes memory answer) = address(escrow).call{value: AMOUNT}(abi.encodeCall(IEscrow.batch, (both)));
            assertFalse(ok, vm.toString(i));
            assertEq(answer.length, 0, vm.toString(i));
        }
        assertState(id, Status.Funded, 1, 0, NOW, 0, 0);
        assertGone(idOf(coinTerms()));
    }

    /* AS THE CALLER, ALL OR NONE */

    function test_EachCallIsTheCallersOwn() public {
        (, Deal memory deal) = fund(coinTerms());
        bytes[] memory calls = _one(abi.encodeCall(IEscrow.release, (deal, 5)));
        expect(IEscrow.NotBuyer.selector);
        vm.prank(stranger);
        escrow.batch(calls);
        _batch(calls, 0);
        assertEq(seller.balance, 5);
    }

    /// The refusal is the inner call's, with what it says.
    function test_TheInnerRefusalIsTold() public {
        (, Deal memory deal) = fund(coinTerms());
        bytes[] memory calls =
            _two(abi.encodeCall(IEscrow.release, (deal, 5)), abi.encodeCall(IEscrow.release, (deal, AMOUNT + 1)));
        expect(refusal(IEscrow.TotalTooHigh.selector, uint256(AMOUNT) + 1, AMOUNT));
        _batch(calls, 0);
        calls[1] = abi.encodeCall(IEscrow.releaseBySig, (deal, 6, ""));
        expect(refusal(IEscrow.InvalidSignature.selector, buyer));
        _batch(calls, 0);
        calls[1] = abi.encodeCall(IEscrow.reclaim, (deal));
        expect(refusal(IEscrow.TooEarly.selector, uint256(DELIVER_BY) + 1));
        _batch(calls, 0);
        assertEq(seller.balance, 0, "the first was undone");
    }

    function test_WhatIsNoCallIsRefused() public {
        bytes[3] memory odd = [bytes(""), hex"010203", hex"deadbeef"];
        for (uint256 i; i < 3; ++i) {
            bytes[] memory calls = _one(odd[i]);
            vm.expectRevert(bytes(""));
            _batch(calls, 0);
        }
    }

    function test_AFailureUndoesAll() public {
        bytes[] memory calls = new bytes[](3);
        calls[0] = _fundCall(salted(coinTerms(), "1"));
        calls[1] = _fundCall(tokenTerms());
        calls[2] = _fundCall(dollarTerms());
        uint256 before = token.balanceOf(buyer);
        expect(IEscrow.TransferFailed.selector);
        _batch(calls, AMOUNT);
        assertGone(idOf(salted(coinTerms(), "1")));
        assertGone(idOf(tokenTerms()));
        assertEq(token.balanceOf(buyer), before);
    }

    function test_SeveralReleases() public {
        (, Deal memory a) = fund(salted(coinTerms(), "1"));
        (, Deal memory b) = fund(salted(tokenTerms(), "2"));
        _batch(_two(abi.encodeCall(IEscrow.release, (a, 5)), abi.encodeCall(IEscrow.release, (b, AMOUNT))), 0);
        assertEq(seller.balance, 5);
        assertEq(token.balanceOf(seller), AMOUNT);
    }

    function test_SeveralClaims() public {
        (, Deal memory a) = delivered(salted(coinTerms(), "1"));
        (, Deal memory b) = delivered(salted(coinTerms(), "2"));
        vm.warp(NOW + INSPECTION + 1);
        vm.prank(stranger);
        escrow.batch(_two(abi.encodeCall(IEscrow.claim, (a)), abi.encodeCall(IEscrow.claim, (b))));
        assertEq(seller.balance, 2 * uint256(AMOUNT));
    }

    function test_SeveralWithdrawals() public {
        vm.etch(seller, address(new Refuser()).code);
        (, Deal memory a) = fund(coinTerms());
        vm.prank(buyer);
        escrow.release(a, 7);
        (, Deal memory b) = fund(tokenTerms());
        vm.mockCallRevert(address(token), abi.encodeCall(token.transfer, (seller, 9)), "");
        vm.prank(buyer);
        escrow.release(b, 9);
        bytes[] memory calls = _two(
            abi.encodeCall(IEscrow.withdraw, (address(0), stranger)),
            abi.encodeCall(IEscrow.withdraw, (address(token), stranger))
        );
        vm.prank(seller);
        bytes[] memory results = escrow.batch(calls);
        assertEq(abi.decode(results[0], (uint256)), 7);
        assertEq(abi.decode(results[1], (uint256)), 9);
        assertEq(stranger.balance, 7);
        assertEq(token.balanceOf(stranger), 9);
    }

    /// Acting and reading what came of it, in one call.
    function test_ResultsAreTheCalls() public {
        (bytes32 id, Deal memory deal) = fund(coinTerms());
        bytes[] memory calls = new bytes[](4);
        calls[0] = abi.encodeCall(IEscrow.release, (deal, 5));
        calls[1] = abi.encodeCall(IEscrow.stateOf, (id));
        calls[2] = abi.encodeCall(IEscrow.dispute, (deal, ""));
        calls[3] = abi.encodeCall(IEscrow.stateOf, (id));
        bytes[] memory results = _batch(calls, 0);
        assertEq(results[0].length, 0);
        assertEq(abi.decode(results[1], (State)).released, 5);
        assertEq(uint8(abi.decode(results[1], (State)).status), uint8(Status.Funded));
        assertEq(uint8(abi.decode(results[3], (State)).status), uint8(Status.Disputed));
    }
}
