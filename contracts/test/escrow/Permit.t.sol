// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IEscrow, Status, Terms} from "../../src/interfaces/IEscrow.sol";
import {IntakeFixture} from "./IntakeFixture.sol";
import {OpenToken} from "../tokens/SignedToken.sol";

/// @notice EIP-2612 before a funding in one batch: the permit only sets an allowance, and its failure is none.
contract PermitTest is IntakeFixture {
    function _two(bytes memory a, bytes memory b) private pure returns (bytes[] memory calls) {
        calls = new bytes[](2);
        (calls[0], calls[1]) = (a, b);
    }

    function _fundCall(Terms memory terms) private view returns (bytes memory) {
        return abi.encodeCall(IEscrow.fund, (terms, sign(sellerKey, idOf(terms))));
    }

    function _funded(Terms memory terms) private view {
        assertState(idOf(terms), Status.Funded, 1, 0, NOW, 0, 0);
        assertEq(dollar.balanceOf(address(escrow)), terms.amount);
    }

    function test_SetsTheAllowance() public {
        bytes memory order = permitCall(AMOUNT, NOW);
        vm.prank(stranger);
        (bool ok,) = address(escrow).call(order);
        assertTrue(ok);
        assertEq(dollar.allowance(buyer, address(escrow)), AMOUNT);
        assertEq(dollar.nonces(buyer), 1);
    }

    function test_AndFundInOneTransaction() public {
        Terms memory terms = dollarTerms();
        bytes[] memory calls = _two(permitCall(AMOUNT, NOW), _fundCall(terms));
        vm.prank(buyer);
        bytes[] memory results = escrow.batch(calls);
        _funded(terms);
        assertEq(results.length, 2);
        assertEq(results[0].length, 0);
        assertEq(abi.decode(results[1], (bytes32)), idOf(terms));
        assertEq(dollar.allowance(buyer, address(escrow)), 0);
    }

    function test_AndFundBySignatureByARelayer() public {
        Terms memory terms = dollarTerms();
        bytes memory order = sign(buyerKey, fundDigest(idOf(terms), NOW));
        bytes[] memory calls = _two(
            permitCall(AMOUNT, NOW),
            abi.encodeCall(IEscrow.fundBySig, (terms, sign(sellerKey, idOf(terms)), NOW, order))
        );
        vm.prank(stranger);
        escrow.batch(calls);
        _funded(terms);
    }

    /// Whoever uses the permit first spoils nothing: the allowance stands.
    function test_UsedBySomebodyElseFirst() public {
        Terms memory terms = dollarTerms();
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(buyerKey, permitDigest(buyer, AMOUNT, 0, NOW));
        bytes[] memory calls = _two(permitCall(AMOUNT, NOW), _fundCall(terms));
        vm.prank(stranger);
        dollar.permit(buyer, address(escrow), AMOUNT, NOW, v, r, s);
        vm.prank(buyer);
        escrow.batch(calls);
        _funded(terms);
    }

    /// The first alone moves nothing: what is allowed is not what is agreed.
    function test_APermitFundsNothing() public {
        Terms memory terms = dollarTerms();
        bytes memory consent = sign(sellerKey, idOf(terms));
        bytes[] memory calls =
            _two(permitCall(AMOUNT, NOW), abi.encodeCall(IEscrow.fundBySig, (terms, consent, NOW, "")));
        expect(refusal(IEscrow.InvalidSignature.selector, buyer));
        vm.prank(seller);
        escrow.batch(calls);
    }

    function test_AnExpiredOneWithoutAllowanceFailsTheFunding() public {
        Terms memory terms = dollarTerms();
        bytes[] memory calls = _two(permitCall(AMOUNT, NOW - 1), _fundCall(terms));
        expect(IEscrow.TransferFailed.selector);
        vm.prank(buyer);
        escrow.batch(calls);
        assertGone(idOf(terms));
    }

    function test_AnExpiredOneWithAllowanceIsHarmless() public {
        Terms memory terms = dollarTerms();
        vm.prank(buyer);
        dollar.approve(address(escrow), AMOUNT);
        bytes[] memory calls = _two(permitCall(AMOUNT, NOW - 1), _fundCall(terms));
        vm.prank(buyer);
        escrow.batch(calls);
        _funded(terms);
    }

    function test_ForLessThanTheAmountFailsTheFunding() public {
        Terms memory terms = dollarTerms();
        bytes[] memory calls = _two(permitCall(AMOUNT - 1, NOW), _fundCall(terms));
        expect(IEscrow.TransferFailed.selector);
        vm.prank(buyer);
        escrow.batch(calls);
        assertEq(dollar.nonces(buyer), 0);
    }

    /// Ours has no permit, a wrapped coin takes it for a deposit, an account without code says nothing, and the escrow itself
    /// is busy: to none of them is it anything.
    function test_WhereThereIsNoneItIsHarmless() public {
        OpenToken open = new OpenToken();
        address[4] memory targets = [address(token), address(open), makeAddr("no code"), address(escrow)];
        for (uint256 i; i < targets.length; ++i) {
            Terms memory terms = salted(tokenTerms(), bytes32(i));
            bytes memory order = abi.encodeCall(
                IEscrow.permit, (targets[i], buyer, AMOUNT, NOW, 27, bytes32(uint256(1)), bytes32(uint256(2)))
            );
            bytes[] memory calls = _two(order, _fundCall(terms));
            vm.prank(buyer);
            escrow.batch(calls);
            assertState(idOf(terms), Status.Funded, 1, 0, NOW, 0, 0);
        }
    }

    function test_CoinWithItAloneIsRefused() public {
        bytes memory order = permitCall(AMOUNT, NOW);
        vm.deal(stranger, 1);
        vm.prank(stranger);
        (bool ok, bytes memory answer) = address(escrow).call{value: 1}(order);
        assertFalse(ok);
        assertEq(answer, refusal(IEscrow.WrongValue.selector, 1, 0));
        assertEq(dollar.nonces(buyer), 0);
    }

    /// A token deal and a coin deal in one batch: the coin is the coin deal's.
    function test_WithCoinForAnotherDealInTheBatch() public {
        Terms memory terms = dollarTerms();
        bytes[] memory calls = new bytes[](3);
        calls[0] = permitCall(AMOUNT, NOW);
        calls[1] = _fundCall(terms);
        calls[2] = _fundCall(coinTerms());
        vm.prank(buyer);
        escrow.batch{value: AMOUNT}(calls);
        _funded(terms);
        assertState(idOf(coinTerms()), Status.Funded, 1, 0, NOW, 0, 0);
        assertEq(address(escrow).balance, AMOUNT);
    }
}
