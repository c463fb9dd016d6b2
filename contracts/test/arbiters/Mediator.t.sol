// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";
import {IArbiterRefusals} from "../../src/interfaces/IArbiterRefusals.sol";
import {Deal, IEscrow, Status, Terms} from "../../src/interfaces/IEscrow.sol";
import {IMediator} from "../../src/interfaces/IMediator.sol";
import {Fixture} from "../Fixture.sol";
import {Caller} from "../accounts/Payees.sol";
import {Answer, Wallet} from "../accounts/Wallets.sol";
import {Odd, OddToken} from "../tokens/OddToken.sol";
import {FalseEscrow} from "./FalseEscrow.sol";

abstract contract MediatorFixture is Fixture {
    IMediator internal mediation;
    address internal mediator;
    uint256 internal mediatorKey;

    function setUp() public override {
        super.setUp();
        mediation = IMediator(vm.deployCode("Mediator.sol:Mediator"));
        arbiter = address(mediation);
        (mediator, mediatorKey) = makeAddrAndKey("mediator");
    }

    function mediatedTerms() internal view returns (Terms memory terms) {
        terms = coinTerms();
        terms.annex.panel = bytes32(uint256(uint160(mediator)));
    }

    function rulingDigest(address verifier, bytes32 deal, uint16 share, uint40 validUntil)
        internal
        view
        returns (bytes32)
    {
        bytes32 kind = keccak256("Ruling(bytes32 deal,uint16 share,uint40 validUntil)");
        return keccak256(
            abi.encodePacked(
                hex"1901", domainOf("Earnest Mediator", verifier), keccak256(abi.encode(kind, deal, share, validUntil))
            )
        );
    }

    function ruling(bytes32 deal, uint16 share, uint40 validUntil) internal view returns (bytes memory) {
        return sign(mediatorKey, rulingDigest(address(mediation), deal, share, validUntil));
    }

    function rule(Terms memory terms, uint16 share) internal {
        vm.prank(mediator);
        mediation.rule(address(escrow), terms, share);
    }

    function ruleBySig(Terms memory terms, uint16 share, uint40 validUntil, bytes memory signature) internal {
        vm.prank(stranger);
        mediation.ruleBySig(address(escrow), terms, share, validUntil, signature);
    }
}

contract MediatorRuleTest is MediatorFixture {
    function test_TheMediatorRules() public {
        uint256 before = buyer.balance;
        Terms memory terms = mediatedTerms();
        (bytes32 id,) = disputed(terms);
        vm.expectEmit(address(escrow));
        emit IEscrow.Ruled(id, 2501, 250_100_001, 749_900_006, 3);
        rule(terms, 2501);
        assertEq(seller.balance, 250_100_001);
        assertEq(buyer.balance, before - 250_100_001);
    }

    function testFuzz_AnyShare(uint16 share) public {
        share = uint16(bound(share, 0, 10_000));
        Terms memory terms = mediatedTerms();
        disputed(terms);
        rule(terms, share);
        assertEq(seller.balance, uint256(AMOUNT) * share / 10_000);
        assertEq(address(escrow).balance, 0);
    }

    function testFuzz_NobodyElse(address who) public {
        vm.assume(who != mediator);
        Terms memory terms = mediatedTerms();
        disputed(terms);
        expect(IMediator.NotMediator.selector);
        vm.prank(who);
        mediation.rule(address(escrow), terms, 5000);
    }

    /// The panel is in the deal's id: other terms are another deal, which was never funded.
    function test_AnotherMediatorsTermsAreAnotherDeal() public {
        Terms memory terms = mediatedTerms();
        disputed(terms);
        terms.annex.panel = bytes32(uint256(uint160(stranger)));
        expect(IArbiterRefusals.NotDisputed.selector);
        vm.prank(stranger);
        mediation.rule(address(escrow), terms, 5000);
    }

    function test_OnlyItsOwnDeals() public {
        arbiter = stranger;
        Terms memory terms = mediatedTerms();
        disputed(terms);
        expect(IArbiterRefusals.NotMyDeal.selector);
        rule(terms, 5000);
    }

    function test_APanelThatIsNoAccountIsRefused() public {
        Terms memory terms = mediatedTerms();
        bytes32[2] memory panels = [bytes32(0), bytes32(uint256(uint160(mediator)) | 1 << 160)];
        for (uint256 i; i < 2; ++i) {
            terms.annex.panel = panels[i];
            disputed(terms);
            expect(IMediator.BadPanel.selector);
            rule(terms, 5000);
        }
    }

    function test_APartyDoesNotMediate() public {
        Terms memory terms = mediatedTerms();
        address[2] memory parties = [buyer, seller];
        for (uint256 i; i < 2; ++i) {
            terms.annex.panel = bytes32(uint256(uint160(parties[i])));
            disputed(terms);
            expect(IMediator.SameParty.selector);
            vm.prank(parties[i]);
            mediation.rule(address(escrow), terms, 5000);
        }
    }

    function test_OnlyDisputed() public {
        Terms memory terms = mediatedTerms();
        expect(IArbiterRefusals.NotDisputed.selector);
        rule(terms, 5000);
        (, Deal memory deal) = delivered(terms);
        expect(IArbiterRefusals.NotDisputed.selector);
        rule(terms, 5000);
        vm.prank(seller);
        escrow.dispute(deal, "");
        rule(terms, 5000);
        expect(IArbiterRefusals.NotDisputed.selector);
        rule(terms, 5000);
    }

    function test_UntilTheLastSecond() public {
        Terms memory terms = mediatedTerms();
        disputed(terms);
        vm.warp(NOW + RULING);
        rule(terms, 10_000);
        assertEq(seller.balance, AMOUNT);
    }

    function test_ASecondLaterIsRefused() public {
        Terms memory terms = mediatedTerms();
        disputed(terms);
        vm.warp(NOW + RULING + 1);
        expect(refusal(IArbiterRefusals.TooLate.selector, uint256(NOW) + RULING));
        rule(terms, 10_000);
    }

    function test_AShareAboveTheWholeIsRefused() public {
        Terms memory terms = mediatedTerms();
        disputed(terms);
        expect(refusal(IMediator.BadShare.selector, uint256(10_001)));
        rule(terms, 10_001);
    }

    /// Terms, state, time, authority, amount: whoever cures one fault hears of the next.
    function test_TheFirstRefusalByClassIsGiven() public {
        Terms memory terms = mediatedTerms();
        arbiter = stranger;
        Terms memory foreign = coinTerms();
        foreign.annex.panel = 0;
        expect(IArbiterRefusals.NotMyDeal.selector);
        mediation.rule(address(escrow), foreign, 10_001);
        expect(IArbiterRefusals.NotDisputed.selector);
        mediation.rule(address(escrow), terms, 10_001);
        disputed(terms);
        vm.warp(NOW + RULING + 1);
        expect(refusal(IArbiterRefusals.TooLate.selector, uint256(NOW) + RULING));
        mediation.rule(address(escrow), terms, 10_001);
        expect(refusal(IArbiterRefusals.TooLate.selector, uint256(NOW) + RULING));
        mediation.ruleBySig(address(escrow), terms, 10_001, NOW, "");
        vm.warp(NOW + RULING);
        expect(IMediator.NotMediator.selector);
        mediation.rule(address(escrow), terms, 10_001);
        expect(refusal(IMediator.SignatureExpired.selector, uint256(NOW)));
        mediation.ruleBySig(address(escrow), terms, 10_001, NOW, "");
        expect(refusal(IMediator.InvalidSignature.selector, mediator));
        mediation.ruleBySig(address(escrow), terms, 10_001, ALWAYS, "");
    }

    /// What the escrow does not take was never given, and may be given again.
    function test_ARulingThatTheEscrowRefusesLeavesNothing() public {
        Terms memory terms = mediatedTerms();
        (bytes32 id,) = disputed(terms);
        vm.mockCallRevert(
            address(escrow), abi.encodePacked(IEscrow.rule.selector), abi.encodePacked(IEscrow.NotEnoughGas.selector)
        );
        vm.record();
        expect(IEscrow.NotEnoughGas.selector);
        rule(terms, 5000);
        (, bytes32[] memory writes) = vm.accesses(address(mediation));
        assertEq(writes.length, 0);
        assertEq(mediation.rulings(address(escrow), id), 0);
        vm.clearMockedCalls();
        rule(terms, 700);
        assertEq(seller.balance, 70_000_000);
    }

    function test_AnOfferToSettleStandsUntilTheRuling() public {
        Terms memory terms = mediatedTerms();
        (bytes32 id, Deal memory deal) = disputed(terms);
        bytes32 digest = settleDigest(id, 77, Status.Disputed, 0, ALWAYS);
        escrow.settle(deal, 77, 0, ALWAYS, sign(buyerKey, digest), sign(sellerKey, digest));
        assertEq(seller.balance, 77);
        assertEq(mediation.rulings(address(escrow), id), 0);
    }

    /// From the payee's hook, with a token's gas: the deal itself is closed by then, and no other may be ruled on.
    function test_APayeeThatComesBackMovesNothing() public {
        Terms memory terms = mediatedTerms();
        (bytes32 otherId,) = disputed(terms);
        OddToken asset = new OddToken();
        asset.mint(buyer, AMOUNT);
        vm.prank(buyer);
        asset.approve(address(escrow), AMOUNT);
        terms.asset = address(asset);
        (bytes32 id,) = disputed(terms);
        asset.setOut(Odd.Hook);
        bytes[] memory calls = new bytes[](2);
        calls[0] = abi.encodeCall(IMediator.ruleBySig, (address(escrow), terms, 1, ALWAYS, ruling(id, 1, ALWAYS)));
        calls[1] = abi.encodeCall(
            IMediator.ruleBySig, (address(escrow), mediatedTerms(), 1, ALWAYS, ruling(otherId, 1, ALWAYS))
        );
        bytes4[2] memory refusals = [IArbiterRefusals.NotDisputed.selector, IEscrow.Reentered.selector];
        vm.etch(buyer, address(new Caller()).code);
        for (uint256 i; i < 2; ++i) {
            uint256 snapshot = vm.snapshotState();
            bytes[] memory one = new bytes[](1);
            one[0] = calls[i];
            Caller(payable(buyer)).plan(address(mediation), one);
            rule(terms, 0);
            assertEq(bytes4(Caller(payable(buyer)).answers(0)), refusals[i]);
            assertEq(asset.held(buyer), AMOUNT);
            assertState(otherId, Status.Disputed, 2, NOW, NOW, 0, 0);
            vm.revertToState(snapshot);
        }
    }
}

contract MediatorSignatureTest is MediatorFixture {
    function test_AnyoneHandsInTheMediatorsRuling() public {
        Terms memory terms = mediatedTerms();
        (bytes32 id,) = disputed(terms);
        vm.expectEmit(address(escrow));
        emit IEscrow.Ruled(id, 10_000, AMOUNT, 0, 3);
        ruleBySig(terms, 10_000, NOW, ruling(id, 10_000, NOW));
        assertEq(seller.balance, AMOUNT);
    }

    function test_Domain() public view {
        assertEq(mediation.DOMAIN_SEPARATOR(), domainOf("Earnest Mediator", address(mediation)));
        (, string memory name, string memory version, uint256 chain, address verifier,,) =
            IERC5267(address(mediation)).eip712Domain();
        assertEq(name, "Earnest Mediator");
        assertEq(version, "1");
        assertEq(chain, block.chainid);
        assertEq(verifier, address(mediation));
    }

    function test_DomainFollowsTheChain() public {
        Terms memory terms = mediatedTerms();
        (bytes32 id,) = disputed(terms);
        bytes memory signature = ruling(id, 5000, ALWAYS);
        vm.chainId(block.chainid + 1);
        assertEq(mediation.DOMAIN_SEPARATOR(), domainOf("Earnest Mediator", address(mediation)));
        // There the deal has another id, and was never funded.
        expect(IArbiterRefusals.NotDisputed.selector);
        ruleBySig(terms, 5000, ALWAYS, signature);
    }

    function test_SignatureBindsEverything() public {
        Terms memory terms = mediatedTerms();
        (bytes32 id,) = disputed(terms);
        bytes32 other = keccak256("other");
        bytes[5] memory signatures = [
            ruling(other, 5000, ALWAYS),
            ruling(id, 5001, ALWAYS),
            ruling(id, 5000, ALWAYS - 1),
            sign(mediatorKey, rulingDigest(address(escrow), id, 5000, ALWAYS)),
            sign(strangerKey, rulingDigest(address(mediation), id, 5000, ALWAYS))
        ];
        for (uint256 i; i < 5; ++i) {
            expect(refusal(IMediator.InvalidSignature.selector, mediator));
            ruleBySig(terms, 5000, ALWAYS, signatures[i]);
        }
        ruleBySig(terms, 5000, ALWAYS, ruling(id, 5000, ALWAYS));
    }

    function test_ASignatureEnds() public {
        Terms memory terms = mediatedTerms();
        (bytes32 id,) = disputed(terms);
        bytes memory signature = ruling(id, 5000, NOW + 5);
        vm.warp(NOW + 6);
        expect(refusal(IMediator.SignatureExpired.selector, uint256(NOW) + 5));
        ruleBySig(terms, 5000, NOW + 5, signature);
        vm.warp(NOW + 5);
        ruleBySig(terms, 5000, NOW + 5, signature);
        assertEq(seller.balance, AMOUNT / 2);
    }

    function test_TheFirstOfTwoRulingsCounts() public {
        Terms memory terms = mediatedTerms();
        (bytes32 id,) = disputed(terms);
        (bytes memory a, bytes memory b) = (ruling(id, 0, ALWAYS), ruling(id, 10_000, ALWAYS));
        ruleBySig(terms, 10_000, ALWAYS, b);
        expect(IArbiterRefusals.NotDisputed.selector);
        ruleBySig(terms, 0, ALWAYS, a);
        assertEq(seller.balance, AMOUNT);
    }

    function test_AShareAboveTheWholeIsRefused() public {
        Terms memory terms = mediatedTerms();
        (bytes32 id,) = disputed(terms);
        expect(refusal(IMediator.BadShare.selector, uint256(10_001)));
        ruleBySig(terms, 10_001, ALWAYS, ruling(id, 10_001, ALWAYS));
    }

    function test_AWalletMediates() public {
        Wallet wallet = new Wallet(mediator);
        Terms memory terms = mediatedTerms();
        terms.annex.panel = bytes32(uint256(uint160(address(wallet))));
        (bytes32 id,) = disputed(terms);
        wallet.set(Answer.No);
        expect(refusal(IMediator.InvalidSignature.selector, address(wallet)));
        ruleBySig(terms, 5000, ALWAYS, ruling(id, 5000, ALWAYS));
        wallet.set(Answer.Owner);
        ruleBySig(terms, 5000, ALWAYS, ruling(id, 5000, ALWAYS));
        assertEq(seller.balance, AMOUNT / 2);
        terms.annex.salt = "2";
        disputed(terms);
        vm.prank(mediator);
        wallet.act(address(mediation), abi.encodeCall(IMediator.rule, (address(escrow), terms, 0)), 0);
        assertEq(seller.balance, AMOUNT / 2);
        assertEq(address(escrow).balance, 0);
    }

    /// The contract's own account signs nothing, and nobody speaks for it.
    function test_TheContractIsNoMediator() public {
        Terms memory terms = mediatedTerms();
        terms.annex.panel = bytes32(uint256(uint160(address(mediation))));
        (bytes32 id,) = disputed(terms);
        expect(refusal(IMediator.InvalidSignature.selector, address(mediation)));
        ruleBySig(terms, 5000, ALWAYS, ruling(id, 5000, ALWAYS));
    }

    /// An escrow that says whatever it likes takes rulings on its own account alone.
    function test_AnEscrowThatLiesMovesNothingElsewhere() public {
        Terms memory terms = mediatedTerms();
        (bytes32 id,) = disputed(terms);
        FalseEscrow other = new FalseEscrow(id, NOW);
        mediation.ruleBySig(address(other), terms, 5000, ALWAYS, ruling(id, 5000, ALWAYS));
        assertEq(other.ruled(), 1);
        assertState(id, Status.Disputed, 2, NOW, NOW, 0, 0);
    }
}
