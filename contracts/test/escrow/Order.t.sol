// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Deal, IEscrow, Status, Terms} from "../../src/interfaces/IEscrow.sol";
import {Fixture} from "../Fixture.sol";
import {DenylistToken} from "../tokens/OddToken.sol";

/// @notice Which refusal is given when several apply: terms, state, time, authority, amount, intake (docs/protocol.md,
///         section 4). Each test starts with all that can be wrong and puts it right, one thing after the other. That of the
///         forms of funding is beside them.
contract OrderTest is Fixture {
    /// `data` by `who` is refused with `expected`.
    function _no(address who, bytes memory data, bytes memory expected) private {
        vm.prank(who);
        (bool ok, bytes memory answer) = address(escrow).call(data);
        assertFalse(ok);
        assertEq(answer, expected);
    }

    function _yes(address who, bytes memory data) private {
        vm.prank(who);
        (bool ok,) = address(escrow).call(data);
        assertTrue(ok);
    }

    function _named(bytes4 selector) private pure returns (bytes memory) {
        return abi.encodePacked(selector);
    }

    function test_Release() public {
        Terms memory terms = coinTerms();
        Deal memory deal = dealOf(terms);
        bytes memory order = abi.encodeCall(IEscrow.release, (deal, AMOUNT + 1));
        _no(stranger, order, _named(IEscrow.UnknownDeal.selector));
        fund(terms);
        _no(stranger, order, _named(IEscrow.NotBuyer.selector));
        _no(buyer, order, refusal(IEscrow.TotalTooHigh.selector, uint256(AMOUNT) + 1, AMOUNT));
        _no(buyer, abi.encodeCall(IEscrow.release, (deal, 0)), _named(IEscrow.NothingMoves.selector));
        _yes(buyer, abi.encodeCall(IEscrow.release, (deal, AMOUNT)));
        _no(stranger, order, _named(IEscrow.DealClosed.selector));
    }

    function test_ReleaseAndRefundBySignature() public {
        Terms memory terms = coinTerms();
        Deal memory deal = dealOf(terms);
        bytes32 id = idOf(terms);
        _no(
            stranger, abi.encodeCall(IEscrow.releaseBySig, (deal, AMOUNT + 1, "")), _named(IEscrow.UnknownDeal.selector)
        );
        _no(stranger, abi.encodeCall(IEscrow.refundBySig, (deal, AMOUNT + 1, "")), _named(IEscrow.UnknownDeal.selector));
        fund(terms);
        (bytes32 a, bytes32 b) = (releaseDigest(id, AMOUNT + 1), refundDigest(id, AMOUNT + 1));
        vm.prank(buyer);
        escrow.revoke(a);
        vm.prank(seller);
        escrow.revoke(b);
        _no(
            stranger,
            abi.encodeCall(IEscrow.releaseBySig, (deal, AMOUNT + 1, "")),
            refusal(IEscrow.InvalidSignature.selector, buyer)
        );
        _no(
            stranger,
            abi.encodeCall(IEscrow.refundBySig, (deal, AMOUNT + 1, "")),
            refusal(IEscrow.InvalidSignature.selector, seller)
        );
        _no(
            stranger,
            abi.encodeCall(IEscrow.releaseBySig, (deal, AMOUNT + 1, sign(buyerKey, a))),
            refusal(IEscrow.SignatureRevoked.selector, a)
        );
        _no(
            stranger,
            abi.encodeCall(IEscrow.refundBySig, (deal, AMOUNT + 1, sign(sellerKey, b))),
            refusal(IEscrow.SignatureRevoked.selector, b)
        );
        bytes memory high = refusal(IEscrow.TotalTooHigh.selector, uint256(AMOUNT) + 2, AMOUNT);
        a = releaseDigest(id, AMOUNT + 2);
        b = refundDigest(id, AMOUNT + 2);
        _no(stranger, abi.encodeCall(IEscrow.releaseBySig, (deal, AMOUNT + 2, sign(buyerKey, a))), high);
        _no(stranger, abi.encodeCall(IEscrow.refundBySig, (deal, AMOUNT + 2, sign(sellerKey, b))), high);
    }

    function test_Refund() public {
        Terms memory terms = coinTerms();
        Deal memory deal = dealOf(terms);
        bytes memory order = abi.encodeCall(IEscrow.refund, (deal, AMOUNT + 1));
        _no(stranger, order, _named(IEscrow.UnknownDeal.selector));
        fund(terms);
        _no(stranger, order, _named(IEscrow.NotSeller.selector));
        _no(seller, order, refusal(IEscrow.TotalTooHigh.selector, uint256(AMOUNT) + 1, AMOUNT));
        _no(seller, abi.encodeCall(IEscrow.refund, (deal, 0)), _named(IEscrow.NothingMoves.selector));
    }

    function test_Deliver() public {
        Terms memory terms = meteredTerms();
        bytes memory order = abi.encodeCall(IEscrow.deliver, (dealOf(terms), 0));
        _no(stranger, order, _named(IEscrow.UnknownDeal.selector));
        fund(terms);
        vm.prank(buyer);
        escrow.dispute(dealOf(terms), 0);
        vm.warp(DELIVER_BY + 1);
        _no(stranger, order, _named(IEscrow.MeteredDeal.selector));
        vm.warp(NOW);
        terms = coinTerms();
        order = abi.encodeCall(IEscrow.deliver, (dealOf(terms), 0));
        disputed(terms);
        vm.warp(DELIVER_BY + 1);
        _no(stranger, order, _named(IEscrow.DealDisputed.selector));
        vm.warp(NOW);
        terms.annex.salt = "calm";
        order = abi.encodeCall(IEscrow.deliver, (dealOf(terms), 0));
        fund(terms);
        vm.warp(DELIVER_BY + 1);
        _no(stranger, order, refusal(IEscrow.TooLate.selector, DELIVER_BY));
        vm.warp(DELIVER_BY);
        _no(stranger, order, _named(IEscrow.NotSeller.selector));
        bytes memory signed = abi.encodeCall(IEscrow.deliverBySig, (dealOf(terms), 0, NOW, ""));
        _no(stranger, signed, refusal(IEscrow.SignatureExpired.selector, NOW));
        signed = abi.encodeCall(IEscrow.deliverBySig, (dealOf(terms), 0, ALWAYS, ""));
        _no(stranger, signed, refusal(IEscrow.InvalidSignature.selector, seller));
    }

    function test_Dispute() public {
        Terms memory terms = coinTerms();
        Deal memory deal = dealOf(terms);
        bytes memory order = abi.encodeCall(IEscrow.dispute, (deal, 0));
        bytes memory expired = abi.encodeCall(IEscrow.disputeBySig, (deal, stranger, 0, NOW, ""));
        _no(stranger, order, _named(IEscrow.UnknownDeal.selector));
        _no(stranger, expired, _named(IEscrow.UnknownDeal.selector));
        fund(terms);
        vm.warp(DELIVER_BY + 1);
        _no(stranger, order, refusal(IEscrow.TooLate.selector, DELIVER_BY));
        _no(stranger, expired, refusal(IEscrow.TooLate.selector, DELIVER_BY));
        vm.warp(DELIVER_BY);
        _no(stranger, order, _named(IEscrow.NotParty.selector));
        _no(stranger, expired, refusal(IEscrow.SignatureExpired.selector, NOW));
        _no(
            stranger,
            abi.encodeCall(IEscrow.disputeBySig, (deal, stranger, 0, ALWAYS, "")),
            _named(IEscrow.NotParty.selector)
        );
        _no(
            stranger,
            abi.encodeCall(IEscrow.disputeBySig, (deal, seller, 0, ALWAYS, "")),
            refusal(IEscrow.InvalidSignature.selector, seller)
        );
        _yes(buyer, order);
        vm.warp(DELIVER_BY + 1);
        _no(stranger, order, _named(IEscrow.DealDisputed.selector));
        _no(stranger, expired, _named(IEscrow.DealDisputed.selector));
    }

    function test_Evidence() public {
        Terms memory terms = coinTerms();
        Deal memory deal = dealOf(terms);
        string memory long = string(new bytes(257));
        bytes memory order = abi.encodeCall(IEscrow.evidence, (deal, 0, long));
        bytes memory expired = abi.encodeCall(IEscrow.evidenceBySig, (deal, stranger, 0, long, NOW, ""));
        fund(terms);
        _no(stranger, order, _named(IEscrow.NotDisputed.selector));
        vm.prank(buyer);
        escrow.dispute(deal, 0);
        vm.warp(NOW + 1);
        _no(stranger, order, _named(IEscrow.NotParty.selector));
        _no(stranger, expired, refusal(IEscrow.SignatureExpired.selector, NOW));
        _no(
            stranger,
            abi.encodeCall(IEscrow.evidenceBySig, (deal, stranger, 0, long, ALWAYS, "")),
            _named(IEscrow.NotParty.selector)
        );
        _no(
            stranger,
            abi.encodeCall(IEscrow.evidenceBySig, (deal, buyer, 0, long, ALWAYS, "")),
            refusal(IEscrow.InvalidSignature.selector, buyer)
        );
        bytes memory signature = sign(buyerKey, evidenceDigest(idOf(terms), 0, long, ALWAYS));
        bytes memory tooLong = refusal(IEscrow.UriTooLong.selector, uint256(257));
        _no(stranger, abi.encodeCall(IEscrow.evidenceBySig, (deal, buyer, 0, long, ALWAYS, signature)), tooLong);
        _no(buyer, order, tooLong);
    }

    function test_Silence() public {
        Terms memory terms = coinTerms();
        delivered(terms);
        _no(stranger, abi.encodeCall(IEscrow.reclaim, (dealOf(terms))), _named(IEscrow.AlreadyDelivered.selector));
        _no(stranger, abi.encodeCall(IEscrow.lapse, (dealOf(terms))), _named(IEscrow.NotDisputed.selector));
        terms = meteredTerms();
        fund(terms);
        _no(stranger, abi.encodeCall(IEscrow.claim, (dealOf(terms))), _named(IEscrow.MeteredDeal.selector));
        terms = coinTerms();
        terms.annex.salt = "funded";
        fund(terms);
        _no(stranger, abi.encodeCall(IEscrow.claim, (dealOf(terms))), _named(IEscrow.NotDelivered.selector));
    }

    function test_Rule() public {
        Terms memory terms = coinTerms();
        Deal memory deal = dealOf(terms);
        _no(stranger, abi.encodeCall(IEscrow.rule, (deal, 10_001)), _named(IEscrow.ShareOutOfRange.selector));
        bytes memory order = abi.encodeCall(IEscrow.rule, (deal, 10_000));
        _no(stranger, order, _named(IEscrow.UnknownDeal.selector));
        fund(terms);
        _no(stranger, order, _named(IEscrow.NotDisputed.selector));
        vm.prank(buyer);
        escrow.dispute(deal, 0);
        vm.warp(NOW + RULING + 1);
        _no(stranger, order, refusal(IEscrow.TooLate.selector, uint256(NOW) + RULING));
        vm.warp(NOW + RULING);
        _no(stranger, order, _named(IEscrow.NotArbiter.selector));
    }

    function test_Settle() public {
        Terms memory terms = coinTerms();
        (Deal memory deal, bytes32 id) = (dealOf(terms), idOf(terms));
        uint88 high = AMOUNT + 1;
        bytes memory order = abi.encodeCall(IEscrow.settle, (deal, high, 1, NOW - 1, "", ""));
        _no(stranger, order, _named(IEscrow.UnknownDeal.selector));
        fund(terms);
        _no(stranger, order, _named(IEscrow.StateChanged.selector));
        _no(
            stranger,
            abi.encodeCall(IEscrow.settle, (deal, high, 0, NOW - 1, "", "")),
            refusal(IEscrow.SignatureExpired.selector, NOW - 1)
        );
        _no(
            stranger,
            abi.encodeCall(IEscrow.settle, (deal, high, 0, NOW, "", "")),
            refusal(IEscrow.InvalidSignature.selector, buyer)
        );
        bytes32 digest = settleDigest(id, high, Status.Funded, 0, NOW);
        _no(
            stranger,
            abi.encodeCall(IEscrow.settle, (deal, high, 0, NOW, sign(buyerKey, digest), "")),
            refusal(IEscrow.InvalidSignature.selector, seller)
        );
        order = abi.encodeCall(IEscrow.settle, (deal, high, 0, NOW, sign(buyerKey, digest), sign(sellerKey, digest)));
        _no(stranger, order, refusal(IEscrow.TotalTooHigh.selector, high, AMOUNT));
        vm.prank(seller);
        escrow.revoke(digest);
        _no(stranger, order, refusal(IEscrow.SignatureRevoked.selector, digest));
    }

    function test_Retract() public {
        Terms memory terms = coinTerms();
        bytes memory order = abi.encodeCall(IEscrow.retract, (terms));
        vm.warp(FUND_BY + 1);
        _no(stranger, order, _named(IEscrow.DealClosed.selector));
        vm.warp(FUND_BY);
        _no(stranger, order, _named(IEscrow.NotParty.selector));
        fund(terms);
        _no(stranger, order, _named(IEscrow.AlreadyFunded.selector));
    }

    function test_Withdraw() public {
        DenylistToken asset = new DenylistToken();
        bytes memory order = abi.encodeCall(IEscrow.withdraw, (address(0), address(0)));
        _no(seller, order, _named(IEscrow.ZeroParty.selector));
        _no(
            seller,
            abi.encodeCall(IEscrow.withdraw, (address(asset), address(asset))),
            _named(IEscrow.SameParty.selector)
        );
        _no(
            seller,
            abi.encodeCall(IEscrow.withdraw, (address(asset), seller)),
            _named(IEscrow.NothingToWithdraw.selector)
        );
        bytes32 digest = withdrawDigest(seller, address(asset), 5, stranger, 0, NOW);
        bytes memory signature = sign(sellerKey, digest);
        bytes memory signed =
            abi.encodeCall(IEscrow.withdrawBySig, (seller, address(asset), 5, address(asset), NOW - 1, ""));
        _no(stranger, signed, _named(IEscrow.SameParty.selector));
        signed = abi.encodeCall(IEscrow.withdrawBySig, (seller, address(asset), 5, stranger, NOW - 1, ""));
        _no(stranger, signed, refusal(IEscrow.SignatureExpired.selector, NOW - 1));
        signed = abi.encodeCall(IEscrow.withdrawBySig, (seller, address(asset), 5, stranger, NOW, ""));
        _no(stranger, signed, refusal(IEscrow.InvalidSignature.selector, seller));
        signed = abi.encodeCall(IEscrow.withdrawBySig, (seller, address(asset), 5, stranger, NOW, signature));
        _no(stranger, signed, refusal(IEscrow.TotalTooHigh.selector, 5, 0));
    }
}
