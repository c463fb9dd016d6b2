// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Deal, IEscrow, Status, Terms} from "../../src/interfaces/IEscrow.sol";
import {Fixture} from "../Fixture.sol";
import {Counter} from "../accounts/Wallets.sol";

contract RuleTest is Fixture {
    function test_SplitsTheWholeAmount() public {
        uint256 before = buyer.balance;
        (bytes32 id, Deal memory deal) = disputed(coinTerms());
        vm.expectEmit(address(escrow));
        emit IEscrow.Ruled(id, 2500, 250_000_001, 750_000_006, 3);
        vm.prank(arbiter);
        escrow.rule(deal, 2500);
        assertEq(seller.balance, 250_000_001);
        assertEq(buyer.balance, before - 250_000_001);
        assertState(id, Status.Closed, 3, 0, NOW, 250_000_001, 750_000_006);
    }

    function test_UntilTheLastSecond() public {
        (bytes32 id, Deal memory deal) = disputed(tokenTerms());
        vm.warp(NOW + RULING);
        vm.prank(arbiter);
        escrow.rule(deal, 10_000);
        assertEq(token.balanceOf(seller), AMOUNT);
        assertGone(id);
    }

    function test_ASecondLaterIsRefused() public {
        (, Deal memory deal) = disputed(coinTerms());
        vm.warp(NOW + RULING + 1);
        expect(refusal(IEscrow.TooLate.selector, uint256(NOW) + RULING));
        vm.prank(arbiter);
        escrow.rule(deal, 10_000);
    }

    function test_OnlyTheArbiter() public {
        (, Deal memory deal) = disputed(coinTerms());
        address[3] memory others = [buyer, seller, stranger];
        for (uint256 i; i < 3; ++i) {
            expect(IEscrow.NotArbiter.selector);
            vm.prank(others[i]);
            escrow.rule(deal, 1);
        }
    }

    function test_OnlyDisputed() public {
        (, Deal memory deal) = delivered(coinTerms());
        expect(IEscrow.NotDisputed.selector);
        vm.prank(arbiter);
        escrow.rule(deal, 1);
        expect(IEscrow.ShareOutOfRange.selector);
        vm.prank(arbiter);
        escrow.rule(deal, 10_001);
    }

    /// The whole amount is what is shared; what was conceded before stays conceded.
    function testFuzz_Share(uint16 share, uint88 released, uint88 refunded, uint88 amount) public {
        share = uint16(bound(share, 0, 10_000));
        Terms memory terms = coinTerms();
        terms.amount = uint88(bound(amount, 3, type(uint88).max));
        released = uint88(bound(released, 1, terms.amount - 2));
        refunded = uint88(bound(refunded, 1, terms.amount - 1 - released));
        vm.deal(buyer, terms.amount);
        (, Deal memory deal) = disputed(terms);
        vm.prank(buyer);
        escrow.release(deal, released);
        vm.prank(seller);
        escrow.refund(deal, refunded);
        vm.prank(arbiter);
        escrow.rule(deal, share);
        uint256 expected = uint256(terms.amount) * share / 10_000;
        if (expected < released) expected = released;
        if (expected > terms.amount - refunded) expected = terms.amount - refunded;
        assertEq(seller.balance, expected);
        assertEq(buyer.balance, terms.amount - expected);
        assertEq(address(escrow).balance, 0);
    }
}

contract SettleTest is Fixture {
    Counter private counter;

    function setUp() public override {
        super.setUp();
        counter = new Counter();
        arbiter = address(counter);
    }

    function _both(bytes32 id, uint88 total, Status status, uint8 rulings, uint40 validUntil)
        private
        view
        returns (bytes memory, bytes memory)
    {
        bytes32 digest = settleDigest(id, total, status, rulings, validUntil);
        return (sign(buyerKey, digest), sign(sellerKey, digest));
    }

    function test_FromEveryOpenState() public {
        Terms memory terms = coinTerms();
        for (uint256 i = 1; i < 4; ++i) {
            terms.annex.salt = bytes32(i);
            (bytes32 id, Deal memory deal) = i == 1 ? fund(terms) : i == 2 ? delivered(terms) : disputed(terms);
            (bytes memory a, bytes memory b) = _both(id, 77, Status(i), 0, NOW);
            vm.expectEmit(address(escrow));
            emit IEscrow.Settled(id, 77, AMOUNT - 77, i == 1 ? 2 : 3);
            vm.prank(stranger);
            escrow.settle(deal, 77, 0, NOW, a, b);
            assertEq(seller.balance, 77 * i);
        }
    }

    function test_ACallerNeedsNoSignature() public {
        Terms memory terms = coinTerms();
        (bytes32 id, Deal memory deal) = fund(terms);
        (bytes memory a, bytes memory b) = _both(id, 5, Status.Funded, 0, NOW);
        vm.prank(buyer);
        escrow.settle(deal, 5, 0, NOW, "", b);
        terms.annex.salt = "2";
        (id, deal) = fund(terms);
        (a, b) = _both(id, 5, Status.Funded, 0, NOW);
        vm.prank(seller);
        escrow.settle(deal, 5, 0, NOW, a, "");
        assertEq(seller.balance, 10);
    }

    function test_NeedsBoth() public {
        (bytes32 id, Deal memory deal) = fund(coinTerms());
        (bytes memory a, bytes memory b) = _both(id, 5, Status.Funded, 0, NOW);
        expect(refusal(IEscrow.InvalidSignature.selector, seller));
        escrow.settle(deal, 5, 0, NOW, a, a);
        expect(refusal(IEscrow.InvalidSignature.selector, buyer));
        escrow.settle(deal, 5, 0, NOW, b, b);
        expect(refusal(IEscrow.InvalidSignature.selector, seller));
        vm.prank(buyer);
        escrow.settle(deal, 5, 0, NOW, a, "");
        expect(refusal(IEscrow.InvalidSignature.selector, buyer));
        vm.prank(arbiter);
        escrow.settle(deal, 5, 0, NOW, "", "");
    }

    function test_BindsTotalAndTime() public {
        (bytes32 id, Deal memory deal) = fund(coinTerms());
        (bytes memory a, bytes memory b) = _both(id, 5, Status.Funded, 0, NOW);
        expect(refusal(IEscrow.InvalidSignature.selector, buyer));
        escrow.settle(deal, 6, 0, NOW, a, b);
        expect(refusal(IEscrow.InvalidSignature.selector, buyer));
        escrow.settle(deal, 5, 0, NOW + 1, a, b);
        vm.warp(NOW + 1);
        expect(refusal(IEscrow.SignatureExpired.selector, NOW));
        escrow.settle(deal, 5, 0, NOW, a, b);
    }

    function test_DiesWithTheState() public {
        (bytes32 id, Deal memory deal) = fund(coinTerms());
        (bytes memory a, bytes memory b) = _both(id, 5, Status.Funded, 0, ALWAYS);
        vm.prank(seller);
        escrow.deliver(deal, "");
        expect(refusal(IEscrow.InvalidSignature.selector, buyer));
        escrow.settle(deal, 5, 0, ALWAYS, a, b);
        (a, b) = _both(id, 5, Status.Delivered, 0, ALWAYS);
        vm.prank(buyer);
        escrow.dispute(deal, "");
        expect(refusal(IEscrow.InvalidSignature.selector, buyer));
        escrow.settle(deal, 5, 0, ALWAYS, a, b);
    }

    function test_DiesWhenARulingIsAccepted() public {
        (bytes32 id, Deal memory deal) = disputed(coinTerms());
        (bytes memory a, bytes memory b) = _both(id, 5, Status.Disputed, 0, ALWAYS);
        counter.set(1, Counter.Mode.Says);
        expect(IEscrow.StateChanged.selector);
        escrow.settle(deal, 5, 0, ALWAYS, a, b);
        expect(refusal(IEscrow.InvalidSignature.selector, buyer));
        escrow.settle(deal, 5, 1, ALWAYS, a, b);
        (a, b) = _both(id, 5, Status.Disputed, 1, ALWAYS);
        escrow.settle(deal, 5, 1, ALWAYS, a, b);
        assertEq(seller.balance, 5);
    }

    function test_RulingsCountOnlyInADispute() public {
        (bytes32 id, Deal memory deal) = fund(coinTerms());
        counter.set(1, Counter.Mode.Says);
        (bytes memory a, bytes memory b) = _both(id, 5, Status.Funded, 1, ALWAYS);
        expect(IEscrow.StateChanged.selector);
        escrow.settle(deal, 5, 1, ALWAYS, a, b);
        (a, b) = _both(id, 5, Status.Funded, 0, ALWAYS);
        escrow.settle(deal, 5, 0, ALWAYS, a, b);
    }

    function test_AnArbiterThatFailsCountsAsZero() public {
        Terms memory terms = coinTerms();
        for (uint256 i = 1; i < 6; ++i) {
            terms.annex.salt = bytes32(i);
            // Mode 5 stands for an arbiter without code.
            if (i == 5) terms.arbiter = makeAddr("no code");
            else counter.set(1, Counter.Mode(i));
            (bytes32 id, Deal memory deal) = disputed(terms);
            (bytes memory a, bytes memory b) = _both(id, 5, Status.Disputed, 0, ALWAYS);
            escrow.settle{gas: 1_000_000}(deal, 5, 0, ALWAYS, a, b);
            assertEq(seller.balance, 5 * i);
        }
    }

    /// Nobody can bring an offer back to life by leaving the arbiter no gas to answer.
    function test_StarvingTheArbiterIsRefused() public {
        (bytes32 id, Deal memory deal) = disputed(coinTerms());
        (bytes memory a, bytes memory b) = _both(id, 5, Status.Disputed, 0, ALWAYS);
        counter.set(1, Counter.Mode.Says);
        for (uint256 gas_ = 10_000; gas_ < 400_000; gas_ += 2_000) {
            (bool ok,) = address(escrow).call{gas: gas_}(abi.encodeCall(IEscrow.settle, (deal, 5, 0, ALWAYS, a, b)));
            assertFalse(ok);
        }
    }

    /// Without its whole bound of gas the arbiter is not even asked.
    function test_TheArbiterIsAskedWithItsWholeBound() public {
        (, Deal memory deal) = disputed(coinTerms());
        expect(IEscrow.NotEnoughGas.selector);
        escrow.settle{gas: 110_000}(deal, 5, 0, ALWAYS, "", "");
        expect(refusal(IEscrow.InvalidSignature.selector, buyer));
        escrow.settle{gas: 140_000}(deal, 5, 0, ALWAYS, "", "");
    }

    function test_IsClamped() public {
        (bytes32 id, Deal memory deal) = fund(coinTerms());
        vm.prank(buyer);
        escrow.release(deal, 50);
        (bytes memory a, bytes memory b) = _both(id, 5, Status.Funded, 0, NOW);
        vm.expectEmit(address(escrow));
        emit IEscrow.Settled(id, 50, AMOUNT - 50, 3);
        escrow.settle(deal, 5, 0, NOW, a, b);
        assertEq(seller.balance, 50);
    }

    function test_AboveTheAmountIsRefused() public {
        (bytes32 id, Deal memory deal) = fund(coinTerms());
        (bytes memory a, bytes memory b) = _both(id, AMOUNT + 1, Status.Funded, 0, NOW);
        expect(refusal(IEscrow.TotalTooHigh.selector, uint256(AMOUNT) + 1, AMOUNT));
        escrow.settle(deal, AMOUNT + 1, 0, NOW, a, b);
    }

    function test_RevokedIsRefused() public {
        (bytes32 id, Deal memory deal) = fund(coinTerms());
        bytes32 digest = settleDigest(id, 5, Status.Funded, 0, NOW);
        (bytes memory a, bytes memory b) = _both(id, 5, Status.Funded, 0, NOW);
        vm.prank(seller);
        escrow.revoke(digest);
        expect(refusal(IEscrow.SignatureRevoked.selector, digest));
        escrow.settle(deal, 5, 0, NOW, a, b);
    }
}
