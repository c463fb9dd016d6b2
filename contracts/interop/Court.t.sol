// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IArbitrable as TheirArbitrable} from "@kleros/erc-792/contracts/IArbitrable.sol";
import {IArbitrator as TheirArbitrator} from "@kleros/erc-792/contracts/IArbitrator.sol";
import {IEvidence as TheirEvidence} from "@kleros/erc-792/contracts/erc-1497/IEvidence.sol";
import {CentralizedArbitratorWithAppeal} from "@kleros/erc-792/contracts/examples/CentralizedArbitratorWithAppeal.sol";
import {CaseStage, Court, CourtCase, ICourtArbiter} from "../src/interfaces/ICourtArbiter.sol";
import {IArbitrable, IArbitrator, IEvidence} from "../src/interfaces/IERC792.sol";
import {IEscrow, Terms} from "../src/interfaces/IEscrow.sol";
import {CourtFixture} from "../test/arbiters/CourtFixture.sol";

/// @notice Before an arbitrator that others wrote: one account that rules, and appeals for three minutes after.
contract CourtTest is CourtFixture {
    uint256 private constant PRICE = 1e15;
    uint256 private constant WINDOW = 3 minutes;

    CentralizedArbitratorWithAppeal private court;

    function setUp() public override {
        super.setUp();
        court = new CentralizedArbitratorWithAppeal();
        // So that no number is zero by accident.
        court.createDispute{value: PRICE}(2, "");
    }

    function test_OurInterfacesAreTheStandards() public pure {
        assertEq(IArbitrator.createDispute.selector, TheirArbitrator.createDispute.selector);
        assertEq(IArbitrator.arbitrationCost.selector, TheirArbitrator.arbitrationCost.selector);
        assertEq(IArbitrator.appeal.selector, TheirArbitrator.appeal.selector);
        assertEq(IArbitrable.rule.selector, TheirArbitrable.rule.selector);
        assertEq(IArbitrable.Ruling.selector, TheirArbitrable.Ruling.selector);
        assertEq(IEvidence.MetaEvidence.selector, TheirEvidence.MetaEvidence.selector);
        assertEq(IEvidence.Evidence.selector, TheirEvidence.Evidence.selector);
        assertEq(IEvidence.Dispute.selector, TheirEvidence.Dispute.selector);
    }

    function test_FromDisputeToPayout() public {
        Terms memory terms = courtTerms(address(court));
        (bytes32 id,) = disputed(terms);
        uint256 group = groupOf(id);
        uint256 panel = uint256(terms.annex.panel);
        Court memory settings = courtOf(address(court));

        vm.expectEmit(address(adapter));
        emit ICourtArbiter.CaseOpened(id, address(escrow), settings.arbitrator, 1);
        vm.expectEmit(address(adapter));
        emit IEvidence.MetaEvidence(panel, "ipfs://meta");
        vm.expectEmit(address(adapter));
        emit IEvidence.Dispute(settings.arbitrator, 1, panel, group);
        vm.prank(stranger);
        assertEq(adapter.open{value: PRICE}(address(escrow), terms, settings), 1);
        assertEq(stranger.balance, 1 ether - PRICE);
        assertEq(address(court).balance, 2 * PRICE);
        (TheirArbitrable brought, uint256 choices,,,,,) = court.disputes(1);
        assertEq(address(brought), address(adapter));
        assertEq(choices, 21);

        vm.expectEmit(address(adapter));
        emit IEvidence.Evidence(settings.arbitrator, group, seller, "ipfs://receipt");
        vm.prank(seller);
        adapter.submitEvidence(address(escrow), terms, "ipfs://receipt");

        // All for the buyer, appealed; then 15 % for the seller.
        court.giveRuling(1, 1);
        assertEq(uint256(court.disputeStatus(1)), uint256(TheirArbitrator.DisputeStatus.Appealable));
        vm.prank(stranger);
        adapter.appeal{value: 2 * PRICE}(address(escrow), terms, settings);
        assertEq(uint256(court.disputeStatus(1)), uint256(TheirArbitrator.DisputeStatus.Waiting));
        assertEq(address(court).balance, 4 * PRICE);
        court.giveRuling(1, 4);
        expect(ICourtArbiter.NotRuled.selector);
        adapter.execute(address(escrow), terms);
        vm.warp(NOW + WINDOW + 1);
        vm.expectEmit(address(adapter));
        emit IArbitrable.Ruling(settings.arbitrator, 1, 4);
        court.executeRuling(1);

        vm.expectEmit(address(escrow));
        emit IEscrow.Ruled(id, 1500, 150_000_001, 850_000_006, 3);
        adapter.execute(address(escrow), terms);
        assertEq(seller.balance, 150_000_001);
        assertEq(address(adapter).balance, 0);
        CourtCase memory entry = adapter.caseOf(address(escrow), id);
        assertEq(uint8(entry.stage), uint8(CaseStage.Ruled));
        assertEq(entry.ruling, 4);
        assertEq(address(entry.arbitrator), address(court));
        assertEq(entry.dispute, 1);
    }

    /// The court says no in its own name, and keeps the dispute.
    function test_TheCourtDecidesWhetherThereIsAnAppeal() public {
        Terms memory terms = courtTerms(address(court));
        disputed(terms);
        Court memory settings = courtOf(address(court));
        vm.startPrank(stranger);
        adapter.open{value: PRICE}(address(escrow), terms, settings);
        expect(
            abi.encodeWithSelector(
                CentralizedArbitratorWithAppeal.InvalidStatus.selector,
                TheirArbitrator.DisputeStatus.Waiting,
                TheirArbitrator.DisputeStatus.Appealable
            )
        );
        adapter.appeal{value: 2 * PRICE}(address(escrow), terms, settings);
        vm.stopPrank();
        court.giveRuling(1, 1);
        expect(refusal(CentralizedArbitratorWithAppeal.InsufficientPayment.selector, PRICE, 2 * PRICE));
        vm.prank(stranger);
        adapter.appeal{value: PRICE}(address(escrow), terms, settings);
        vm.warp(NOW + WINDOW + 1);
        expect(refusal(CentralizedArbitratorWithAppeal.AfterAppealPeriodEnd.selector, NOW + WINDOW + 1, NOW + WINDOW));
        vm.prank(stranger);
        adapter.appeal{value: 2 * PRICE}(address(escrow), terms, settings);
        assertEq(stranger.balance, 1 ether - PRICE);
    }
}
