// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Deal, IEscrow, Status, Terms} from "../../src/interfaces/IEscrow.sol";
import {Fixture} from "../Fixture.sol";
import {Odd, OddToken} from "../tokens/OddToken.sol";

contract FundTest is Fixture {
    /* BY THE BUYER */

    function test_CoinIsHeld() public {
        Terms memory terms = coinTerms();
        bytes32 id = idOf(terms);
        vm.expectEmit(address(escrow));
        emit IEscrow.Funded(id, terms);
        fund(terms);
        assertState(id, Status.Funded, 1, 0, NOW, 0, 0);
        assertEq(address(escrow).balance, AMOUNT);
    }

    function test_TokenIsPulled() public {
        uint256 before = token.balanceOf(buyer);
        (bytes32 id,) = fund(tokenTerms());
        assertState(id, Status.Funded, 1, 0, NOW, 0, 0);
        assertEq(token.balanceOf(address(escrow)), AMOUNT);
        assertEq(token.balanceOf(buyer), before - AMOUNT);
    }

    function test_ReturnsTheId() public {
        Terms memory terms = coinTerms();
        bytes memory consent = sign(sellerKey, idOf(terms));
        vm.prank(buyer);
        assertEq(escrow.fund{value: AMOUNT}(terms, consent), idOf(terms));
    }

    function test_AtTheLastSecond() public {
        vm.warp(FUND_BY);
        (bytes32 id,) = fund(coinTerms());
        assertState(id, Status.Funded, 1, 0, FUND_BY, 0, 0);
    }

    function test_LargestAmount() public {
        Terms memory terms = coinTerms();
        terms.amount = type(uint88).max;
        vm.deal(buyer, type(uint88).max);
        (bytes32 id,) = fund(terms);
        assertState(id, Status.Funded, 1, 0, NOW, 0, 0);
    }

    /* REFUSED: TERMS */

    function _refused(Terms memory terms, bytes4 selector) private {
        bytes memory consent = sign(sellerKey, idOf(terms));
        expect(selector);
        vm.prank(terms.buyer);
        escrow.fund{value: terms.asset == address(0) ? terms.amount : 0}(terms, consent);
    }

    function test_ZeroPartiesAreRefused() public {
        Terms memory terms = tokenTerms();
        terms.seller = address(0);
        _refused(terms, IEscrow.ZeroParty.selector);
        terms = tokenTerms();
        terms.buyer = address(0);
        expect(IEscrow.ZeroParty.selector);
        escrow.fund(terms, "");
    }

    /// Each two of buyer, seller, arbiter, asset and the escrow itself.
    function test_SamePartiesAreRefused() public {
        for (uint256 i; i < 5; ++i) {
            for (uint256 j = i + 1; j < 5; ++j) {
                Terms memory terms = tokenTerms();
                address[5] memory who = [terms.buyer, terms.seller, terms.arbiter, terms.asset, address(escrow)];
                if (j == 4) who[i] = who[j];
                else who[j] = who[i];
                (terms.buyer, terms.seller, terms.arbiter, terms.asset) = (who[0], who[1], who[2], who[3]);
                expect(IEscrow.SameParty.selector);
                escrow.fund(terms, "");
            }
        }
    }

    function test_CoinWithoutArbiterIsRefused() public {
        Terms memory terms = coinTerms();
        terms.arbiter = address(0);
        _refused(terms, IEscrow.SameParty.selector);
    }

    function test_ZeroAmountIsRefused() public {
        Terms memory terms = coinTerms();
        terms.amount = 0;
        _refused(terms, IEscrow.AmountOutOfRange.selector);
    }

    function test_WindowsOutOfRangeAreRefused() public {
        uint32[2] memory wrong = [0, uint32(366 days) + 1];
        for (uint256 i; i < 2; ++i) {
            Terms memory terms = coinTerms();
            terms.inspection = wrong[i];
            _refused(terms, IEscrow.WindowOutOfRange.selector);
            terms = coinTerms();
            terms.ruling = wrong[i];
            _refused(terms, IEscrow.WindowOutOfRange.selector);
        }
    }

    function test_WindowsAtTheirBounds() public {
        Terms memory terms = coinTerms();
        (terms.inspection, terms.ruling) = (1, 366 days);
        fund(terms);
        (terms.inspection, terms.ruling) = (366 days, 1);
        fund(terms);
        assertEq(address(escrow).balance, 2 * uint256(AMOUNT));
    }

    function test_ShareOutOfRangeIsRefused() public {
        Terms memory terms = coinTerms();
        terms.lapseShare = 10_001;
        _refused(terms, IEscrow.ShareOutOfRange.selector);
        terms.lapseShare = 10_000;
        fund(terms);
    }

    function test_DeadlinesOutOfOrderAreRefused() public {
        Terms memory terms = coinTerms();
        terms.deliverBy = terms.fundBy;
        _refused(terms, IEscrow.DeadlinesOutOfOrder.selector);
        terms.deliverBy = terms.fundBy + 1;
        fund(terms);
    }

    function test_DeadlineTooFarIsRefused() public {
        Terms memory terms = coinTerms();
        terms.deliverBy = NOW + 3650 days + 1;
        _refused(terms, IEscrow.DeadlineTooFar.selector);
        terms.deliverBy = NOW + 3650 days;
        fund(terms);
    }

    /// A word with bits above its field's type would be a second name for the same terms.
    function test_DirtyWordsAreRefused() public {
        Terms memory terms = tokenTerms();
        bytes memory call = abi.encodeCall(IEscrow.fund, (terms, sign(sellerKey, idOf(terms))));
        uint8[11] memory width = [20, 20, 20, 20, 11, 5, 5, 4, 4, 2, 0];
        for (uint256 i; i < 11; ++i) {
            bytes memory dirty = bytes.concat(call);
            // The lowest bit above the field: of a bool, the second.
            uint256 position = 4 + 32 * i + 31 - width[i];
            dirty[position] = width[i] == 0 ? bytes1(0x02) : bytes1(0x01);
            vm.prank(buyer);
            (bool ok,) = address(escrow).call(dirty);
            assertFalse(ok);
        }
        vm.prank(buyer);
        (bool clean,) = address(escrow).call(call);
        assertTrue(clean);
    }

    /* REFUSED: STATE */

    function test_TwiceIsRefused() public {
        Terms memory terms = coinTerms();
        fund(terms);
        _refused(terms, IEscrow.AlreadyFunded.selector);
    }

    function test_AfterClosingIsRefused() public {
        Terms memory terms = coinTerms();
        (bytes32 id, Deal memory deal) = fund(terms);
        vm.prank(buyer);
        escrow.release(deal, AMOUNT);
        assertState(id, Status.Closed, 2, 0, NOW, AMOUNT, 0);
        _refused(terms, IEscrow.DealClosed.selector);
        vm.warp(FUND_BY + 1);
        _refused(terms, IEscrow.DealClosed.selector);
    }

    /// Closed in the last second in which its terms could be funded: the tombstone has to stand.
    function test_AfterClosingInTheLastSecondIsRefused() public {
        Terms memory terms = coinTerms();
        (bytes32 id, Deal memory deal) = fund(terms);
        vm.warp(FUND_BY);
        vm.prank(buyer);
        escrow.release(deal, AMOUNT);
        assertState(id, Status.Closed, 2, 0, NOW, AMOUNT, 0);
        _refused(terms, IEscrow.DealClosed.selector);
    }

    function test_TooLateIsClosed() public {
        vm.warp(FUND_BY + 1);
        _refused(coinTerms(), IEscrow.DealClosed.selector);
    }

    function test_DeletedDealIsClosed() public {
        Terms memory terms = coinTerms();
        (bytes32 id, Deal memory deal) = fund(terms);
        vm.warp(FUND_BY + 1);
        vm.prank(buyer);
        escrow.release(deal, AMOUNT);
        assertGone(id);
        _refused(terms, IEscrow.DealClosed.selector);
    }

    /* REFUSED: AUTHORITY */

    function test_OnlyTheBuyerFunds() public {
        Terms memory terms = coinTerms();
        bytes memory consent = sign(sellerKey, idOf(terms));
        vm.deal(stranger, 1 ether);
        expect(IEscrow.NotBuyer.selector);
        vm.prank(stranger);
        escrow.fund{value: AMOUNT}(terms, consent);
    }

    function test_OnlyWithTheSellersSignature() public {
        Terms memory terms = coinTerms();
        bytes32 id = idOf(terms);
        bytes[3] memory wrong = [bytes(""), sign(buyerKey, id), sign(sellerKey, keccak256("other"))];
        for (uint256 i; i < 3; ++i) {
            expect(refusal(IEscrow.InvalidSignature.selector, seller));
            vm.prank(buyer);
            escrow.fund{value: AMOUNT}(terms, wrong[i]);
        }
    }

    /// The signature is over every field: any other terms are other terms.
    function test_SignatureBindsEveryField() public {
        bytes memory consent = sign(sellerKey, idOf(coinTerms()));
        for (uint256 i; i < 11; ++i) {
            Terms memory terms = coinTerms();
            if (i == 0) terms.arbiter = stranger;
            if (i == 1) terms.asset = address(token);
            if (i == 2) terms.amount += 1;
            if (i == 3) terms.fundBy += 1;
            if (i == 4) terms.deliverBy += 1;
            if (i == 5) terms.inspection += 1;
            if (i == 6) terms.ruling += 1;
            if (i == 7) terms.lapseShare += 1;
            if (i == 8) terms.metered = true;
            if (i == 9) terms.annex.panel = 0;
            if (i == 10) terms.annex.agreement = 0;
            expect(refusal(IEscrow.InvalidSignature.selector, seller));
            vm.prank(buyer);
            escrow.fund{value: terms.asset == address(0) ? terms.amount : 0}(terms, consent);
        }
    }

    function test_RetractedTermsAreClosed() public {
        for (uint256 i; i < 2; ++i) {
            Terms memory terms = coinTerms();
            terms.annex.salt = bytes32(i);
            bytes32 id = idOf(terms);
            address party = i == 0 ? seller : buyer;
            vm.expectEmit(address(escrow));
            emit IEscrow.Retracted(id, party);
            vm.prank(party);
            escrow.retract(terms);
            assertEq(uint8(escrow.stateOf(id).status), uint8(Status.Closed));
            bytes memory consent = sign(sellerKey, id);
            expect(IEscrow.DealClosed.selector);
            vm.prank(buyer);
            escrow.fund{value: AMOUNT}(terms, consent);
            expect(IEscrow.DealClosed.selector);
            vm.prank(buyer);
            escrow.release(dealOf(terms), 1);
        }
    }

    function test_RetractIsThePartiesAndOnlyBeforeFunding() public {
        Terms memory terms = coinTerms();
        expect(IEscrow.NotParty.selector);
        vm.prank(stranger);
        escrow.retract(terms);
        fund(terms);
        expect(IEscrow.AlreadyFunded.selector);
        vm.prank(seller);
        escrow.retract(terms);
        vm.prank(buyer);
        escrow.release(dealOf(terms), AMOUNT);
        expect(IEscrow.DealClosed.selector);
        vm.prank(seller);
        escrow.retract(terms);
        terms.annex.salt = "late";
        vm.warp(uint256(terms.fundBy) + 1);
        expect(IEscrow.DealClosed.selector);
        vm.prank(seller);
        escrow.retract(terms);
    }

    /// The id of terms is not among what `revoke` takes back.
    function test_RevokingTheIdIsNotRetracting() public {
        Terms memory terms = coinTerms();
        bytes32 id = idOf(terms);
        vm.prank(seller);
        escrow.revoke(id);
        fund(terms);
    }

    /* REFUSED: INTAKE */

    function test_WrongValueIsRefused() public {
        Terms memory terms = coinTerms();
        bytes memory consent = sign(sellerKey, idOf(terms));
        uint256[3] memory values = [uint256(0), AMOUNT - 1, AMOUNT + 1];
        for (uint256 i; i < 3; ++i) {
            expect(refusal(IEscrow.WrongValue.selector, values[i], AMOUNT));
            vm.prank(buyer);
            escrow.fund{value: values[i]}(terms, consent);
        }
    }

    function test_CoinForATokenDealIsRefused() public {
        Terms memory terms = tokenTerms();
        bytes memory consent = sign(sellerKey, idOf(terms));
        expect(refusal(IEscrow.WrongValue.selector, 1, 0));
        vm.prank(buyer);
        escrow.fund{value: 1}(terms, consent);
    }

    function test_WithoutAllowanceIsRefused() public {
        Terms memory terms = tokenTerms();
        vm.prank(buyer);
        token.approve(address(escrow), AMOUNT - 1);
        _refused(terms, IEscrow.TransferFailed.selector);
        assertGone(idOf(terms));
    }

    function test_AssetWithoutCodeIsRefused() public {
        Terms memory terms = coinTerms();
        terms.asset = makeAddr("nobody");
        _refused(terms, IEscrow.TransferFailed.selector);
    }

    function _odd(Odd odd) private returns (OddToken asset, Terms memory terms) {
        asset = new OddToken();
        asset.mint(buyer, 10 * uint256(AMOUNT));
        asset.setInto(odd);
        vm.prank(buyer);
        asset.approve(address(escrow), type(uint256).max);
        terms = coinTerms();
        terms.asset = address(asset);
    }

    /// What arrived decides, whatever the token answers.
    function test_TokensThatMoveTheAmountAreTaken() public {
        Odd[5] memory odd = [Odd.Nothing, Odd.Silent, Odd.FalseMoves, Odd.Two, Odd.Hook];
        for (uint256 i; i < odd.length; ++i) {
            (OddToken asset, Terms memory terms) = _odd(odd[i]);
            (bytes32 id,) = fund(terms);
            assertState(id, Status.Funded, 1, 0, NOW, 0, 0);
            assertEq(asset.balanceOf(address(escrow)), AMOUNT);
        }
    }

    function test_TokensThatMoveAnotherSumAreRefused() public {
        Odd[6] memory odd = [Odd.SilentStill, Odd.False, Odd.TwoStill, Odd.TwoHalf, Odd.Fee, Odd.Extra];
        uint256[6] memory received = [uint256(0), 0, 0, AMOUNT / 2, AMOUNT - AMOUNT / 100, uint256(AMOUNT) + 1];
        for (uint256 i; i < odd.length; ++i) {
            (, Terms memory terms) = _odd(odd[i]);
            bytes memory consent = sign(sellerKey, idOf(terms));
            expect(refusal(IEscrow.IntakeMismatch.selector, received[i], AMOUNT));
            vm.prank(buyer);
            escrow.fund(terms, consent);
        }
    }

    function test_TokensThatFailAreRefused() public {
        Odd[8] memory odd =
            [Odd.Reverts, Odd.Burns, Odd.Bomb, Odd.Blind, Odd.BlindBefore, Odd.Shy, Odd.Curt, Odd.CurtLater];
        for (uint256 i; i < odd.length; ++i) {
            (, Terms memory terms) = _odd(odd[i]);
            bytes memory consent = sign(sellerKey, idOf(terms));
            expect(IEscrow.TransferFailed.selector);
            vm.prank(buyer);
            escrow.fund{gas: 3_000_000}(terms, consent);
        }
    }

    /* BY SIGNATURE */

    function test_ByTheBuyersSignature() public {
        Terms memory terms = tokenTerms();
        bytes32 id = idOf(terms);
        bytes memory consent = sign(sellerKey, id);
        bytes memory order = sign(buyerKey, fundDigest(id, NOW));
        vm.expectEmit(address(escrow));
        emit IEscrow.Funded(id, terms);
        vm.prank(stranger);
        assertEq(escrow.fundBySig(terms, consent, NOW, order), id);
        assertState(id, Status.Funded, 1, 0, NOW, 0, 0);
        assertEq(token.balanceOf(address(escrow)), AMOUNT);
    }

    function test_BySellerNeedsNoSignatureOfTheSeller() public {
        Terms memory terms = tokenTerms();
        bytes memory order = sign(buyerKey, fundDigest(idOf(terms), NOW));
        vm.prank(seller);
        bytes32 id = escrow.fundBySig(terms, "", NOW, order);
        assertState(id, Status.Funded, 1, 0, NOW, 0, 0);
    }

    function test_CallerBringsTheCoin() public {
        Terms memory terms = coinTerms();
        bytes memory consent = sign(sellerKey, idOf(terms));
        bytes memory order = sign(buyerKey, fundDigest(idOf(terms), NOW));
        vm.deal(stranger, AMOUNT);
        vm.prank(stranger);
        bytes32 id = escrow.fundBySig{value: AMOUNT}(terms, consent, NOW, order);
        assertState(id, Status.Funded, 1, 0, NOW, 0, 0);
        assertEq(stranger.balance, 0);
    }

    /// The approval alone is no consent.
    function test_AllowanceFundsNothing() public {
        Terms memory terms = tokenTerms();
        bytes32 id = idOf(terms);
        bytes memory consent = sign(sellerKey, id);
        expect(refusal(IEscrow.InvalidSignature.selector, buyer));
        vm.prank(seller);
        escrow.fundBySig(terms, consent, NOW, "");
        expect(refusal(IEscrow.InvalidSignature.selector, buyer));
        vm.prank(seller);
        escrow.fundBySig(terms, consent, NOW, sign(sellerKey, fundDigest(id, NOW)));
    }

    function test_OrderBindsItsTime() public {
        Terms memory terms = tokenTerms();
        bytes32 id = idOf(terms);
        bytes memory consent = sign(sellerKey, id);
        bytes memory order = sign(buyerKey, fundDigest(id, NOW));
        expect(refusal(IEscrow.InvalidSignature.selector, buyer));
        escrow.fundBySig(terms, consent, NOW + 1, order);
        vm.warp(NOW + 1);
        expect(refusal(IEscrow.SignatureExpired.selector, NOW));
        escrow.fundBySig(terms, consent, NOW, order);
    }

    function test_RevokedOrderIsRefused() public {
        Terms memory terms = tokenTerms();
        bytes32 digest = fundDigest(idOf(terms), NOW);
        vm.prank(buyer);
        escrow.revoke(digest);
        bytes memory consent = sign(sellerKey, idOf(terms));
        bytes memory order = sign(buyerKey, digest);
        expect(refusal(IEscrow.SignatureRevoked.selector, digest));
        escrow.fundBySig(terms, consent, NOW, order);
    }

    function test_OrderWithoutTheSellerIsRefused() public {
        Terms memory terms = tokenTerms();
        bytes memory order = sign(buyerKey, fundDigest(idOf(terms), NOW));
        expect(refusal(IEscrow.InvalidSignature.selector, seller));
        vm.prank(stranger);
        escrow.fundBySig(terms, "", NOW, order);
    }

    /* ORDER OF REFUSALS */

    function test_TermsBeforeStateBeforeTimeBeforeAuthorityBeforeIntake() public {
        Terms memory terms = coinTerms();
        terms.lapseShare = 10_001;
        vm.warp(FUND_BY + 1);
        expect(IEscrow.ShareOutOfRange.selector);
        vm.prank(stranger);
        escrow.fundBySig(terms, "", NOW, "");

        terms.lapseShare = 0;
        expect(IEscrow.DealClosed.selector);
        vm.prank(stranger);
        escrow.fundBySig(terms, "", NOW, "");

        vm.warp(FUND_BY);
        expect(refusal(IEscrow.SignatureExpired.selector, NOW));
        vm.prank(stranger);
        escrow.fundBySig(terms, "", NOW, "");

        expect(refusal(IEscrow.InvalidSignature.selector, buyer));
        vm.prank(stranger);
        escrow.fundBySig(terms, "", ALWAYS, "");

        bytes memory order = sign(buyerKey, fundDigest(idOf(terms), ALWAYS));
        bytes memory consent = sign(sellerKey, idOf(terms));
        expect(refusal(IEscrow.WrongValue.selector, 0, AMOUNT));
        vm.prank(stranger);
        escrow.fundBySig(terms, consent, ALWAYS, order);
    }
}
