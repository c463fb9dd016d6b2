// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {CaseStage, Court, CourtCase, ICourtArbiter} from "../../src/interfaces/ICourtArbiter.sol";
import {IArbiterRefusals} from "../../src/interfaces/IArbiterRefusals.sol";
import {IArbitrable, IArbitrator, IEvidence} from "../../src/interfaces/IERC792.sol";
import {Deal, IEscrow, Status, Terms} from "../../src/interfaces/IEscrow.sol";
import {CourtFixture} from "./CourtFixture.sol";
import {FalseEscrow} from "./FalseEscrow.sol";
import {OddCourt} from "./OddCourt.sol";

contract CourtOpenTest is CourtFixture {
    function test_TheCourtGetsWhatTheTermsName() public {
        bytes32 id = opened(oddTerms());
        assertEq(odd.choices(), 21);
        assertEq(odd.settings(), abi.encode(uint256(3), uint256(7)));
        assertEq(address(odd).balance, FEE);
        CourtCase memory entry = adapter.caseOf(address(escrow), id);
        assertEq(uint8(entry.stage), uint8(CaseStage.Opened));
        assertEq(entry.ruling, 0);
        assertEq(address(entry.arbitrator), address(odd));
        assertEq(entry.dispute, NUMBER);
        assertEq(adapter.rulings(address(escrow), id), 0);
    }

    /// So that whoever follows the court finds the case, and whoever follows the deal the dispute.
    function test_TheEventsLinkDealDisputeAndEvidence() public {
        Terms memory terms = oddTerms();
        (bytes32 id,) = disputed(terms);
        IArbitrator court = IArbitrator(address(odd));
        vm.expectEmit(address(adapter));
        emit ICourtArbiter.CaseOpened(id, address(escrow), court, NUMBER);
        vm.expectEmit(address(adapter));
        emit IEvidence.MetaEvidence(uint256(terms.annex.panel), "ipfs://meta");
        vm.expectEmit(address(adapter));
        emit IEvidence.Dispute(court, NUMBER, uint256(terms.annex.panel), groupOf(id));
        open(terms);
        vm.expectEmit(address(adapter));
        emit IArbitrable.Ruling(court, NUMBER, 21);
        odd.give(adapter, NUMBER, 21);
    }

    function test_OnlyItsOwnDeals() public {
        arbiter = stranger;
        Terms memory terms = oddTerms();
        disputed(terms);
        expect(IArbiterRefusals.NotMyDeal.selector);
        open(terms);
    }

    /// The panel pins the arbitrator, its settings and what the jurors are told.
    function test_AnotherCourtIsRefused() public {
        Terms memory terms = oddTerms();
        disputed(terms);
        for (uint256 i; i < 3; ++i) {
            Court memory other = courtOf(address(odd));
            if (i == 0) other.arbitrator = IArbitrator(address(new OddCourt()));
            if (i == 1) other.extraData = abi.encode(uint256(3), uint256(8));
            if (i == 2) other.metaEvidence = "ipfs://metb";
            assertNotEq(adapter.panelOf(other), terms.annex.panel);
            expect(ICourtArbiter.WrongCourt.selector);
            adapter.open(address(escrow), terms, other);
        }
        assertEq(adapter.panelOf(courtOf(address(odd))), terms.annex.panel);
    }

    function test_WithoutCodeThereIsNoCourt() public {
        Terms memory terms = courtTerms(stranger);
        disputed(terms);
        expect(ICourtArbiter.NoCourt.selector);
        adapter.open(address(escrow), terms, courtOf(stranger));
    }

    function test_OnlyDisputed() public {
        Terms memory terms = oddTerms();
        expect(IArbiterRefusals.NotDisputed.selector);
        open(terms);
        (, Deal memory deal) = delivered(terms);
        expect(IArbiterRefusals.NotDisputed.selector);
        open(terms);
        vm.startPrank(seller);
        escrow.dispute(deal, "");
        escrow.refund(deal, AMOUNT);
        vm.stopPrank();
        expect(IArbiterRefusals.NotDisputed.selector);
        open(terms);
    }

    function test_UntilTheLastSecond() public {
        Terms memory terms = oddTerms();
        disputed(terms);
        vm.warp(NOW + RULING + 1);
        expect(refusal(IArbiterRefusals.TooLate.selector, uint256(NOW) + RULING));
        open(terms);
        vm.warp(NOW + RULING);
        assertEq(open(terms), NUMBER);
    }

    /// More would be kept, or change how the court seats its jurors.
    function test_ThePriceIsPaidExactly() public {
        Terms memory terms = oddTerms();
        disputed(terms);
        odd.set(FEE + 1, NUMBER);
        expect(refusal(ICourtArbiter.WrongValue.selector, FEE, FEE + 1));
        open(terms);
        odd.set(FEE - 1, NUMBER);
        expect(refusal(ICourtArbiter.WrongValue.selector, FEE, FEE - 1));
        open(terms);
        odd.set(type(uint256).max, NUMBER);
        expect(refusal(ICourtArbiter.WrongValue.selector, FEE, type(uint256).max));
        open(terms);
        odd.set(FEE, NUMBER);
        open(terms);
        assertEq(stranger.balance, 1 ether - FEE);
    }

    function test_ACourtMayBeFree() public {
        Terms memory terms = oddTerms();
        disputed(terms);
        odd.set(0, 0);
        assertEq(adapter.open(address(escrow), terms, courtOf(address(odd))), 0);
        odd.give(adapter, 0, 21);
        adapter.execute(address(escrow), terms);
        assertEq(seller.balance, AMOUNT);
    }

    function test_NotTwice() public {
        Terms memory terms = oddTerms();
        opened(terms);
        odd.set(FEE, NUMBER + 1);
        expect(ICourtArbiter.CaseExists.selector);
        open(terms);
        odd.give(adapter, NUMBER, 0);
        expect(ICourtArbiter.CaseExists.selector);
        open(terms);
    }

    function test_AgainAfterTheCourtRefusedTheDispute() public {
        Terms memory terms = oddTerms();
        (bytes32 id,) = disputed(terms);
        odd.setShut(true);
        expect(OddCourt.Shut.selector);
        open(terms);
        assertEq(uint8(adapter.caseOf(address(escrow), id).stage), uint8(CaseStage.None));
        odd.setShut(false);
        open(terms);
        assertEq(stranger.balance, 1 ether - FEE);
    }

    function test_TheFirstRefusalByClassIsGiven() public {
        Court memory other = courtOf(stranger);
        Terms memory terms = courtTerms(stranger);
        terms.arbiter = stranger;
        vm.deal(address(this), 1 ether);
        expect(IArbiterRefusals.NotMyDeal.selector);
        adapter.open{value: 5}(address(escrow), terms, courtOf(address(odd)));
        terms.arbiter = address(adapter);
        expect(ICourtArbiter.WrongCourt.selector);
        adapter.open{value: 5}(address(escrow), terms, courtOf(address(odd)));
        expect(ICourtArbiter.NoCourt.selector);
        adapter.open{value: 5}(address(escrow), terms, other);
        terms = oddTerms();
        expect(IArbiterRefusals.NotDisputed.selector);
        adapter.open{value: 5}(address(escrow), terms, courtOf(address(odd)));
        disputed(terms);
        vm.warp(NOW + RULING + 1);
        expect(refusal(IArbiterRefusals.TooLate.selector, uint256(NOW) + RULING));
        adapter.open{value: 5}(address(escrow), terms, courtOf(address(odd)));
        vm.warp(NOW + RULING);
        open(terms);
        vm.warp(NOW + RULING + 1);
        escrow.lapse(dealOf(terms));
        expect(ICourtArbiter.CaseExists.selector);
        adapter.open{value: 5}(address(escrow), terms, courtOf(address(odd)));
    }

    /* COURTS THAT LIE */

    /// While it creates the dispute: the case is there and cannot be opened twice, but has neither number nor ruling.
    function test_ACourtThatComesBackFindsTheCaseOpen() public {
        Terms memory terms = oddTerms();
        (bytes32 id,) = disputed(terms);
        bytes[] memory calls = new bytes[](3);
        calls[0] = abi.encodeCall(ICourtArbiter.open, (address(escrow), terms, courtOf(address(odd))));
        calls[1] = abi.encodeCall(ICourtArbiter.rule, (NUMBER, 21));
        calls[2] = abi.encodeCall(ICourtArbiter.execute, (address(escrow), terms));
        odd.plan(address(adapter), calls);
        open(terms);
        assertEq(odd.count(), 3);
        assertEq(odd.answers(0), abi.encodePacked(ICourtArbiter.CaseExists.selector));
        assertEq(odd.answers(1), refusal(ICourtArbiter.UnknownDispute.selector, NUMBER));
        assertEq(odd.answers(2), abi.encodePacked(ICourtArbiter.NotRuled.selector));
        assertState(id, Status.Disputed, 2, NOW, NOW, 0, 0);
        assertEq(adapter.caseOf(address(escrow), id).dispute, NUMBER);
    }

    function test_ANumberIsGivenOnce() public {
        Terms memory first = oddTerms();
        bytes32 id = opened(first);
        Terms memory second = oddTerms();
        second.annex.salt = "second";
        (bytes32 otherId,) = disputed(second);
        expect(refusal(ICourtArbiter.DisputeExists.selector, NUMBER));
        open(second);
        assertEq(uint8(adapter.caseOf(address(escrow), otherId).stage), uint8(CaseStage.None));
        odd.give(adapter, NUMBER, 21);
        assertEq(adapter.rulings(address(escrow), id), 1);
        // Nor after it has ruled.
        expect(refusal(ICourtArbiter.DisputeExists.selector, NUMBER));
        open(second);
        odd.set(FEE, NUMBER + 1);
        open(second);
        odd.give(adapter, NUMBER + 1, 1);
        adapter.execute(address(escrow), second);
        adapter.execute(address(escrow), first);
        assertEq(seller.balance, AMOUNT);
    }

    /// Numbers are each arbitrator's own.
    function test_TwoCourtsWithOneNumber() public {
        bytes32 id = opened(oddTerms());
        OddCourt other = new OddCourt();
        other.set(FEE, NUMBER);
        expect(refusal(ICourtArbiter.UnknownDispute.selector, NUMBER));
        other.give(adapter, NUMBER, 21);
        Terms memory terms = courtTerms(address(other));
        (bytes32 otherId,) = disputed(terms);
        adapter.open{value: FEE}(address(escrow), terms, courtOf(address(other)));
        other.give(adapter, NUMBER, 21);
        assertEq(adapter.rulings(address(escrow), id), 0);
        assertEq(adapter.rulings(address(escrow), otherId), 1);
    }

    function test_NoCoinIsTakenBack() public {
        odd.setGenerous(true);
        opened(oddTerms());
        assertFalse(odd.outcomes(0));
        assertEq(address(adapter).balance, 0);
        assertEq(address(odd).balance, FEE);
    }

    /* ESCROWS THAT LIE */

    /// One that claims another's deal has a case of its own, and does not stand in the way of the true one.
    function test_AnEscrowThatLiesDeceivesItselfAlone() public {
        Terms memory terms = oddTerms();
        (bytes32 id,) = disputed(terms);
        FalseEscrow other = new FalseEscrow(id, NOW);
        odd.set(0, NUMBER);
        adapter.open(address(other), terms, courtOf(address(odd)));
        odd.give(adapter, NUMBER, 21);
        adapter.execute(address(other), terms);
        assertEq(other.ruled(), 1);
        assertEq(adapter.rulings(address(escrow), id), 0);
        assertState(id, Status.Disputed, 2, NOW, NOW, 0, 0);
        expect(ICourtArbiter.UnknownCase.selector);
        adapter.execute(address(escrow), terms);
        odd.set(FEE, NUMBER + 1);
        assertEq(open(terms), NUMBER + 1);
    }
}

contract CourtRuleTest is CourtFixture {
    function test_ACaseThatNeverWasIsEmpty() public view {
        CourtCase memory entry = adapter.caseOf(address(escrow), "never");
        assertEq(uint8(entry.stage), uint8(CaseStage.None));
        assertEq(address(entry.arbitrator), address(0));
        assertEq(adapter.rulings(address(escrow), "never"), 0);
    }

    function test_EveryRulingIsItsShare() public {
        Terms memory terms = oddTerms();
        for (uint256 ruling = 1; ruling < 22; ++ruling) {
            terms.annex.salt = bytes32(ruling);
            odd.set(FEE, ruling);
            bytes32 id = opened(terms);
            odd.give(adapter, ruling, ruling);
            uint256 before = seller.balance;
            adapter.execute(address(escrow), terms);
            assertEq(seller.balance - before, uint256(AMOUNT) * (5 * (ruling - 1)) / 100);
            assertEq(uint8(escrow.stateOf(id).status), uint8(Status.Closed));
        }
    }

    function testFuzz_OnlyTheArbitratorRules(address who, uint256 dispute) public {
        vm.assume(who != address(odd) || dispute != NUMBER);
        opened(oddTerms());
        expect(refusal(ICourtArbiter.UnknownDispute.selector, dispute));
        vm.prank(who);
        adapter.rule(dispute, 21);
    }

    function test_Once() public {
        Terms memory terms = oddTerms();
        ruled(terms, 2);
        expect(ICourtArbiter.AlreadyRuled.selector);
        odd.give(adapter, NUMBER, 21);
        // What it would have been makes no difference.
        expect(ICourtArbiter.AlreadyRuled.selector);
        odd.give(adapter, NUMBER, 22);
        adapter.execute(address(escrow), terms);
        assertEq(seller.balance, AMOUNT / 20);
    }

    function testFuzz_AboveTheChoicesIsRefused(uint256 ruling) public {
        ruling = bound(ruling, 22, type(uint256).max);
        bytes32 id = opened(oddTerms());
        expect(refusal(ICourtArbiter.BadRuling.selector, ruling));
        odd.give(adapter, NUMBER, ruling);
        odd.give(adapter, NUMBER, 21);
        assertEq(adapter.caseOf(address(escrow), id).ruling, 21);
    }

    /// The court's refusal is no ruling: silence decides, and offers to settle stand.
    function test_WhereTheCourtRefusesTheTermsDecide() public {
        Terms memory terms = oddTerms();
        bytes32 id = ruled(terms, 0);
        assertEq(adapter.rulings(address(escrow), id), 0);
        expect(ICourtArbiter.CourtRefused.selector);
        adapter.execute(address(escrow), terms);
        expect(ICourtArbiter.AlreadyRuled.selector);
        odd.give(adapter, NUMBER, 21);
        uint256 snapshot = vm.snapshotState();
        bytes32 digest = settleDigest(id, 77, Status.Disputed, 0, ALWAYS);
        escrow.settle(dealOf(terms), 77, 0, ALWAYS, sign(buyerKey, digest), sign(sellerKey, digest));
        assertEq(seller.balance, 77);
        vm.revertToState(snapshot);
        vm.warp(NOW + RULING + 1);
        escrow.lapse(dealOf(terms));
        assertEq(seller.balance, LAPSE_TOTAL);
    }

    function test_ARulingKillsOffersToSettle() public {
        Terms memory terms = oddTerms();
        bytes32 id = opened(terms);
        bytes32 digest = settleDigest(id, 77, Status.Disputed, 0, ALWAYS);
        (bytes memory a, bytes memory b) = (sign(buyerKey, digest), sign(sellerKey, digest));
        odd.give(adapter, NUMBER, 21);
        expect(IEscrow.StateChanged.selector);
        escrow.settle(dealOf(terms), 77, 0, ALWAYS, a, b);
        digest = settleDigest(id, 78, Status.Disputed, 1, ALWAYS);
        escrow.settle(dealOf(terms), 78, 1, ALWAYS, sign(buyerKey, digest), sign(sellerKey, digest));
        assertEq(seller.balance, 78);
    }

    function test_ExecuteNeedsARuling() public {
        Terms memory terms = oddTerms();
        expect(ICourtArbiter.UnknownCase.selector);
        adapter.execute(address(escrow), terms);
        opened(terms);
        expect(ICourtArbiter.NotRuled.selector);
        adapter.execute(address(escrow), terms);
    }

    function test_ARulingOutlivesAFailedExecution() public {
        Terms memory terms = oddTerms();
        bytes32 id = ruled(terms, 21);
        vm.mockCallRevert(
            address(escrow), abi.encodePacked(IEscrow.rule.selector), abi.encodePacked(IEscrow.NotEnoughGas.selector)
        );
        expect(IEscrow.NotEnoughGas.selector);
        adapter.execute(address(escrow), terms);
        vm.clearMockedCalls();
        assertEq(adapter.rulings(address(escrow), id), 1);
        adapter.execute(address(escrow), terms);
        assertEq(seller.balance, AMOUNT);
        expect(IEscrow.DealClosed.selector);
        adapter.execute(address(escrow), terms);
    }

    /// Whatever became of the deal, the court gets rid of its ruling.
    function test_TheEscrowNeverHoldsTheCourtUp() public {
        Terms memory terms = oddTerms();
        bytes32 id = opened(terms);
        vm.warp(NOW + RULING + 1);
        escrow.lapse(dealOf(terms));
        vm.mockCallRevert(address(escrow), "", "gone");
        odd.give(adapter, NUMBER, 21);
        assertEq(adapter.caseOf(address(escrow), id).ruling, 21);
        vm.clearMockedCalls();
        expect(IEscrow.DealClosed.selector);
        adapter.execute(address(escrow), terms);
    }

    function test_AfterTheDeadlineTheEscrowTakesNoRuling() public {
        Terms memory terms = oddTerms();
        ruled(terms, 21);
        vm.warp(NOW + RULING + 1);
        expect(refusal(IEscrow.TooLate.selector, uint256(NOW) + RULING));
        adapter.execute(address(escrow), terms);
        vm.warp(NOW + RULING);
        adapter.execute(address(escrow), terms);
        assertEq(seller.balance, AMOUNT);
    }
}

contract CourtEvidenceTest is CourtFixture {
    function _submit(address who, string memory uri) private {
        vm.prank(who);
        adapter.submitEvidence(address(escrow), oddTerms(), uri);
    }

    function test_BothPartiesAreHeard() public {
        bytes32 id = opened(oddTerms());
        address[2] memory parties = [buyer, seller];
        for (uint256 i; i < 2; ++i) {
            vm.expectEmit(address(adapter));
            emit IEvidence.Evidence(IArbitrator(address(odd)), groupOf(id), parties[i], "ipfs://e");
            _submit(parties[i], "ipfs://e");
        }
    }

    function test_NobodyElse() public {
        opened(oddTerms());
        expect(ICourtArbiter.NotParty.selector);
        _submit(stranger, "ipfs://e");
    }

    function test_WhileTheCourtHasTheCase() public {
        disputed(oddTerms());
        expect(ICourtArbiter.UnknownCase.selector);
        _submit(stranger, "ipfs://e");
        open(oddTerms());
        odd.give(adapter, NUMBER, 0);
        expect(ICourtArbiter.AlreadyRuled.selector);
        _submit(stranger, "ipfs://e");
    }

    function test_ALongUriIsRefused() public {
        opened(oddTerms());
        string memory most = string(new bytes(256));
        _submit(buyer, most);
        expect(refusal(ICourtArbiter.UriTooLong.selector, uint256(257)));
        _submit(buyer, string.concat(most, "x"));
        expect(ICourtArbiter.NotParty.selector);
        _submit(stranger, string.concat(most, "x"));
    }
}

contract CourtAppealTest is CourtFixture {
    function _appeal(Terms memory terms, Court memory court) private {
        vm.prank(stranger);
        adapter.appeal{value: 5}(address(escrow), terms, court);
    }

    function test_AnyoneAppealsAndTheCourtGetsAll() public {
        Terms memory terms = oddTerms();
        opened(terms);
        _appeal(terms, courtOf(address(odd)));
        assertEq(odd.appealed(), NUMBER);
        assertEq(odd.settings(), abi.encode(uint256(3), uint256(7)));
        assertEq(address(odd).balance, FEE + 5);
        assertEq(address(adapter).balance, 0);
    }

    function test_WhatTheCourtRefusesIsRefused() public {
        Terms memory terms = oddTerms();
        opened(terms);
        odd.setShut(true);
        expect(OddCourt.Shut.selector);
        _appeal(terms, courtOf(address(odd)));
        assertEq(stranger.balance, 1 ether - FEE);
    }

    function test_OnlyWhileTheCourtOfTheTermsHasTheCase() public {
        Terms memory terms = oddTerms();
        Court memory other = courtOf(address(odd));
        other.extraData = "";
        expect(ICourtArbiter.WrongCourt.selector);
        _appeal(terms, other);
        expect(ICourtArbiter.UnknownCase.selector);
        _appeal(terms, courtOf(address(odd)));
        ruled(terms, 3);
        expect(ICourtArbiter.AlreadyRuled.selector);
        _appeal(terms, courtOf(address(odd)));
    }
}
