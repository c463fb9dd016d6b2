// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Ballot, IArbitrationPools, Jury, Stage} from "../../src/interfaces/IArbitrationPools.sol";
import {IEscrow, Terms} from "../../src/interfaces/IEscrow.sol";
import {Answer, Wallet} from "../accounts/Wallets.sol";
import {CaseFixture} from "./CaseFixture.sol";

/// @notice Who brings a ruling before the parent, and when.
contract AppealTest is CaseFixture {
    function test_BuyerOrSeller() public {
        for (uint256 i; i < 2; ++i) {
            uint256 snapshot = vm.snapshotState();
            Terms memory terms = caseTerms();
            bytes32 id = ruled(terms, 7000);
            address party = i == 0 ? buyer : seller;
            uint40 target = uint40(vm.getBlockNumber()) + 2;
            vm.expectEmit(address(pools));
            emit IArbitrationPools.Appealed(id, address(escrow), party);
            vm.expectEmit(address(pools));
            emit IArbitrationPools.CaseOpened(id, address(escrow), 1, 0, target);
            appealAs(party, terms);
            Jury memory last = lastOf(id);
            assertEq(uint8(last.stage), uint8(Stage.Opened));
            assertEq(last.instance, 1);
            assertEq(last.jury, 0);
            assertEq(last.seats, 5);
            assertEq(last.members, 20);
            assertEq(last.list, 0);
            assertEq(last.targetBlock, target);
            assertFalse(last.appealable);
            assertEq(pools.caseOf(address(escrow), id)[0].share, 7000);
            vm.revertToState(snapshot);
        }
    }

    function test_NobodyElse() public {
        Terms memory terms = caseTerms();
        ruled(terms, 7000);
        address[4] memory others = [stranger, keeper, address(escrow), pools.juryOf(address(escrow), terms, 0)[2]];
        for (uint256 i; i < others.length; ++i) {
            expect(IArbitrationPools.NotParty.selector);
            appealAs(others[i], terms);
        }
    }

    function test_UntilTheWindowsLastSecond() public {
        Terms memory terms = caseTerms();
        bytes32 id = ruled(terms, 7000);
        assertEq(appealUntil(id), START + APPEAL);
        vm.warp(START + APPEAL + 1);
        expectTooLate(START + APPEAL);
        appealAs(buyer, terms);
        vm.warp(START + APPEAL);
        appealAs(buyer, terms);
        assertEq(lastOf(id).endsAt, START + APPEAL + PARENT_SPAN);
    }

    /// However early somebody appeals, the appeal ends when it would have.
    function testFuzz_ItsEndIsCountedFromTheWindowsEnd(uint256 after_) public {
        Terms memory terms = caseTerms();
        bytes32 id = ruled(terms, 7000);
        vm.warp(START + bound(after_, 0, APPEAL));
        appealAs(seller, terms);
        assertEq(lastOf(id).endsAt, START + APPEAL + PARENT_SPAN);
    }

    function test_NotBeforeARuling() public {
        Terms memory terms = caseTerms();
        expect(IArbitrationPools.UnknownCase.selector);
        appealAs(buyer, terms);
        bytes32 id = opened(terms);
        expect(IArbitrationPools.NotAccepted.selector);
        appealAs(buyer, terms);
        drawLast(terms);
        expect(IArbitrationPools.NotAccepted.selector);
        appealAs(buyer, terms);
        vote(terms, 0, shares(1000, 9000, NONE));
        vm.warp(START + SPAN + 1);
        expect(IArbitrationPools.NotAccepted.selector);
        appealAs(buyer, terms);
        assertEq(pools.caseOf(address(escrow), id).length, 1);
    }

    function test_OnceACase() public {
        Terms memory terms = caseTerms();
        bytes32 id = appealed(terms, 7000);
        for (uint256 i; i < 2; ++i) {
            expect(IArbitrationPools.NotAccepted.selector);
            appealAs(i == 0 ? buyer : seller, terms);
        }
        drawLast(terms);
        expect(IArbitrationPools.NotAccepted.selector);
        appealAs(seller, terms);
        uint256 snapshot = vm.snapshotState();
        vote(terms, 0, shares(500, 500, 500, NONE, NONE));
        expect(IArbitrationPools.AlreadyExecuted.selector);
        appealAs(seller, terms);
        // Nor where the escrow did not take the appeal's ruling at once.
        vm.revertToState(snapshot);
        vm.mockCallRevert(address(escrow), abi.encodePacked(IEscrow.rule.selector), "no");
        vote(terms, 0, shares(500, 500, 500, NONE, NONE));
        vm.clearMockedCalls();
        assertStage(id, Stage.Accepted);
        expect(IArbitrationPools.NotAppealable.selector);
        appealAs(seller, terms);
        pools.execute(address(escrow), terms);
        assertPaid(id, 500);
    }

    function test_NotOfAClosedDeal() public {
        Terms memory terms = caseTerms();
        ruled(terms, 7000);
        vm.prank(buyer);
        escrow.release(dealOf(terms), AMOUNT);
        expect(IArbitrationPools.NotDisputed.selector);
        appealAs(buyer, terms);
    }

    function test_NotOnceItIsExecuted() public {
        Terms memory terms = caseTerms();
        ruled(terms, 7000);
        vm.warp(START + APPEAL + 1);
        pools.execute(address(escrow), terms);
        vm.warp(START + APPEAL);
        expect(IArbitrationPools.AlreadyExecuted.selector);
        appealAs(buyer, terms);
    }

    /// The parent's jury has the last word, and what it says takes the place of the first ruling.
    function test_TheParentsRulingIsFinal() public {
        Terms memory terms = caseTerms();
        bytes32 id = appealed(terms, 7000);
        drawLast(terms);
        assertEq(lastOf(id).seats, 5);
        Ballot[] memory list = ballotsOf(terms, 0, shares(2000, 2000, 2000, NONE, NONE));
        vm.expectEmit(address(pools));
        emit IArbitrationPools.RulingAccepted(id, address(escrow), 1, 0, 5 | 5 << 5 | 5 << 10, 2000, 0);
        pools.submit(address(escrow), terms, 0, list);
        assertPaid(id, 2000);
        // What was appealed from stays on record as it was.
        assertEq(pools.caseOf(address(escrow), id)[0].share, 7000);
        assertEq(pools.caseOf(address(escrow), id)[0].acceptedAt, START);
    }

    /// Ballots of the instance appealed from count no more, though their jurors still hold their seats of it.
    function test_TheFirstInstancesBallotsCountNoMore() public {
        Terms memory terms = caseTerms();
        heard(terms);
        Ballot[] memory late = ballotsOf(terms, 0, shares(NONE, NONE, 10_000));
        address juror = pools.juryOf(address(escrow), terms, 0)[2];
        vote(terms, 0, shares(7000, 7000, NONE));
        appealAs(buyer, terms);
        expect(IArbitrationPools.NotDrawn.selector);
        pools.submit(address(escrow), terms, 0, late);
        drawLast(terms);
        expect(refusal(IArbitrationPools.InvalidBallot.selector, uint256(2)));
        pools.submit(address(escrow), terms, 0, late);
        expect(refusal(IArbitrationPools.NotJuror.selector, uint256(2)));
        vm.prank(juror);
        pools.cast(address(escrow), terms, 0, 2, 10_000, 0);
    }

    function test_ItsSecondJuryRules() public {
        Terms memory terms = caseTerms();
        bytes32 id = appealed(terms, 7000);
        drawLast(terms);
        vote(terms, 0, shares(0, 1000, NONE, NONE, NONE));
        seatSecond(terms);
        vm.warp(START + APPEAL + PARENT_SPAN);
        Ballot[] memory list = ballotsOf(terms, 1, shares(NONE, 3000, 3000, NONE, 3000));
        vm.expectEmit(address(pools));
        emit IArbitrationPools.RulingAccepted(id, address(escrow), 1, 1, 7 << 5 | 7 << 10 | 7 << 20, 3000, 0);
        pools.submit(address(escrow), terms, 1, list);
        assertPaid(id, 3000);
        Jury[] memory juries = pools.caseOf(address(escrow), id);
        assertEq(juries.length, 3);
        assertEq(juries[1].ballots, 1 | 3 << 5);
    }
}

/// @notice The signed form, which anybody may hand in.
contract AppealBySigTest is CaseFixture {
    function _digest(bytes32 id, uint40 validUntil) private view returns (bytes32) {
        bytes32 kind = keccak256("Appeal(bytes32 deal,uint40 validUntil)");
        return keccak256(
            abi.encodePacked(
                hex"1901",
                domainOf("Earnest Arbitration Pools", address(pools)),
                keccak256(abi.encode(kind, id, validUntil))
            )
        );
    }

    function _appeal(Terms memory terms, address party, uint40 validUntil, bytes memory signature) private {
        vm.prank(stranger);
        pools.appealBySig(address(escrow), terms, party, validUntil, signature);
    }

    function test_OfEitherParty() public {
        for (uint256 i; i < 2; ++i) {
            uint256 snapshot = vm.snapshotState();
            Terms memory terms = caseTerms();
            bytes32 id = ruled(terms, 7000);
            (address party, uint256 key) = i == 0 ? (buyer, buyerKey) : (seller, sellerKey);
            bytes memory signature = sign(key, _digest(id, START));
            vm.expectEmit(address(pools));
            emit IArbitrationPools.Appealed(id, address(escrow), party);
            _appeal(terms, party, START, signature);
            assertEq(lastOf(id).instance, 1);
            vm.revertToState(snapshot);
        }
    }

    function test_UntilItExpires() public {
        Terms memory terms = caseTerms();
        bytes32 id = ruled(terms, 7000);
        bytes memory signature = sign(buyerKey, _digest(id, START + 1 hours));
        vm.warp(START + 1 hours + 1);
        expect(refusal(IArbitrationPools.SignatureExpired.selector, START + 1 hours));
        _appeal(terms, buyer, START + 1 hours, signature);
        vm.warp(START + 1 hours);
        _appeal(terms, buyer, START + 1 hours, signature);
    }

    /// A signature that is good for longer does not make the window longer.
    function test_UntilTheWindowsLastSecond() public {
        Terms memory terms = caseTerms();
        bytes32 id = ruled(terms, 7000);
        bytes memory signature = sign(buyerKey, _digest(id, ALWAYS));
        vm.warp(START + APPEAL + 1);
        expectTooLate(START + APPEAL);
        _appeal(terms, buyer, ALWAYS, signature);
        vm.warp(START + APPEAL);
        _appeal(terms, buyer, ALWAYS, signature);
    }

    function _refused(Terms memory terms, bytes memory signature) private {
        expect(refusal(IArbitrationPools.InvalidSignature.selector, buyer));
        _appeal(terms, buyer, ALWAYS, signature);
    }

    function test_WhatIsNotTheirs() public {
        Terms memory terms = caseTerms();
        bytes32 id = ruled(terms, 7000);
        bytes32 digest = _digest(id, ALWAYS);
        // Nobody's, a stranger's, the other party's.
        _refused(terms, "");
        _refused(terms, new bytes(65));
        _refused(terms, sign(strangerKey, digest));
        _refused(terms, sign(sellerKey, digest));
        // For another deal, until another time, for the escrow.
        _refused(terms, sign(buyerKey, _digest(keccak256("other"), ALWAYS)));
        _refused(terms, sign(buyerKey, _digest(id, START)));
        bytes32 kind = keccak256("Appeal(bytes32 deal,uint40 validUntil)");
        _refused(terms, sign(buyerKey, typed(keccak256(abi.encode(kind, id, ALWAYS)))));
        // In the malleable and in the compact form.
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(buyerKey, digest);
        uint256 order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
        _refused(terms, abi.encodePacked(r, bytes32(order - uint256(s)), v == 27 ? 28 : 27));
        (bytes32 cr, bytes32 vs) = vm.signCompact(buyerKey, digest);
        _refused(terms, abi.encodePacked(cr, vs));
        // It was good, had it come whole.
        _appeal(terms, buyer, ALWAYS, abi.encodePacked(r, s, v));
    }

    function test_OnlyOfParties() public {
        Terms memory terms = caseTerms();
        bytes32 id = ruled(terms, 7000);
        bytes memory signature = sign(strangerKey, _digest(id, ALWAYS));
        expect(IArbitrationPools.NotParty.selector);
        _appeal(terms, stranger, ALWAYS, signature);
        // Nor of nobody, whom a signature that recovers nothing might be taken for.
        expect(IArbitrationPools.NotParty.selector);
        _appeal(terms, address(0), ALWAYS, new bytes(65));
    }

    /// Handed in again, it meets a case that was appealed.
    function test_OnceACase() public {
        Terms memory terms = caseTerms();
        bytes32 id = ruled(terms, 7000);
        bytes memory signature = sign(buyerKey, _digest(id, ALWAYS));
        _appeal(terms, buyer, ALWAYS, signature);
        expect(IArbitrationPools.NotAccepted.selector);
        _appeal(terms, buyer, ALWAYS, signature);
    }

    /// State comes before time, time before authority.
    function test_OrderOfRefusals() public {
        Terms memory terms = caseTerms();
        heard(terms);
        expect(IArbitrationPools.NotAccepted.selector);
        _appeal(terms, stranger, 0, "");
        vote(terms, 0, shares(500, 500, NONE));
        vm.warp(START + APPEAL + 1);
        expectTooLate(START + APPEAL);
        _appeal(terms, stranger, 0, "");
        vm.warp(START + APPEAL);
        expect(refusal(IArbitrationPools.SignatureExpired.selector, uint256(0)));
        _appeal(terms, stranger, 0, "");
        expect(IArbitrationPools.NotParty.selector);
        _appeal(terms, stranger, ALWAYS, "");
        expect(refusal(IArbitrationPools.InvalidSignature.selector, seller));
        _appeal(terms, seller, ALWAYS, "");
    }

    /* A PARTY THAT IS A CONTRACT */

    function _walletsCase() private returns (Terms memory terms, Wallet wallet, bytes32 id) {
        wallet = new Wallet{value: AMOUNT}(stranger);
        terms = caseTerms();
        terms.buyer = address(wallet);
        id = idOf(terms);
        wallet.act(address(escrow), abi.encodeCall(IEscrow.fund, (terms, sign(sellerKey, id))), AMOUNT);
        wallet.act(address(escrow), abi.encodeCall(IEscrow.dispute, (dealOf(terms), 0)), 0);
        pools.open(address(escrow), id);
        drawLast(terms);
        vote(terms, 0, shares(7000, 7000, NONE));
    }

    function test_OfAWallet() public {
        (Terms memory terms, Wallet wallet, bytes32 id) = _walletsCase();
        bytes memory signature = sign(strangerKey, _digest(id, ALWAYS));
        _appeal(terms, address(wallet), ALWAYS, signature);
        assertEq(lastOf(id).instance, 1);
    }

    function test_OfWalletsThatLie() public {
        (Terms memory terms, Wallet wallet, bytes32 id) = _walletsCase();
        bytes memory signature = sign(strangerKey, _digest(id, ALWAYS));
        bytes memory refused = refusal(IArbitrationPools.InvalidSignature.selector, address(wallet));
        for (uint8 i = uint8(Answer.No); i <= uint8(Answer.Burns); ++i) {
            wallet.set(Answer(i));
            expect(refused);
            _appeal(terms, address(wallet), ALWAYS, signature);
        }
        wallet.set(Answer.Owner);
        expect(refused);
        _appeal(terms, address(wallet), ALWAYS, sign(buyerKey, _digest(id, ALWAYS)));
        assertStage(id, Stage.Accepted);
    }

    function test_AWalletAppealsByItself() public {
        (Terms memory terms, Wallet wallet, bytes32 id) = _walletsCase();
        wallet.act(address(pools), abi.encodeCall(IArbitrationPools.appeal, (address(escrow), terms)), 0);
        assertEq(lastOf(id).instance, 1);
    }
}
