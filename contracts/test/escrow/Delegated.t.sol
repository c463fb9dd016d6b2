// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IEscrow, Status} from "../../src/interfaces/IEscrow.sol";
import {Answer} from "../accounts/Wallets.sol";
import {DelegatedCode, Delegating} from "../accounts/DelegatedCode.sol";
import {SignedFixture} from "./SignedFixture.sol";

/// @notice Buyers and sellers that are keys with code (EIP-7702), delegated by a transaction as on a chain: the key counts
///         first, the code where the key did not sign.
contract DelegatedTest is SignedFixture {
    DelegatedCode private _code;

    function setUp() public override {
        Delegating(address(vm)).setEvmVersion("prague");
        super.setUp();
        _code = new DelegatedCode();
        _delegate(buyerKey);
        _delegate(sellerKey);
        assertEq(buyer.code, abi.encodePacked(hex"ef0100", address(_code)));
        assertEq(seller.code, buyer.code);
        _answer(Answer.No);
    }

    function _delegate(uint256 key) private {
        Delegating(address(vm)).signAndAttachDelegation(address(_code), key);
        // The authorization goes with the next call.
        (bool ok,) = makeAddr("nobody").call("");
        assertTrue(ok);
    }

    function _answer(Answer answer) private {
        DelegatedCode(payable(buyer)).set(answer);
        DelegatedCode(payable(seller)).set(answer);
    }

    /// Whatever the code says.
    function test_TheKeySigns() public {
        _each(_theKeySigns);
    }

    function _theKeySigns(Kind kind) private {
        _arrive(kind);
        _taken(kind, _signature(kind));
    }

    function test_TheCodeSignsToo() public {
        _each(_theCodeSigns);
    }

    function _theCodeSigns(Kind kind) private {
        _arrive(kind);
        _refused(kind, sign(strangerKey, _digest(kind)), _invalid(kind));
        _answer(Answer.Yes);
        _taken(kind, sign(strangerKey, _digest(kind)));
    }

    function test_CodeThatAnswersOddlyHasNotSigned() public {
        _each(_oddCode);
    }

    function _oddCode(Kind kind) private {
        _arrive(kind);
        for (uint256 i = uint256(Answer.No); i <= uint256(Answer.Bomb); ++i) {
            _answer(Answer(i));
            _refused(kind, new bytes(65), _invalid(kind));
        }
        _taken(kind, _signature(kind));
    }

    /// By itself a key with code acts as any account.
    function test_DirectActions() public {
        (bytes32 id,) = delivered(subject);
        vm.prank(buyer);
        escrow.release(dealOf(subject), 5);
        vm.prank(seller);
        escrow.refund(dealOf(subject), 7);
        assertState(id, Status.Delivered, 4, NOW, NOW, 5, 7);
        vm.prank(buyer);
        escrow.dispute(dealOf(subject), "");
        vm.warp(NOW + RULING + 1);
        escrow.lapse(dealOf(subject));
        assertGone(id);
        assertEq(address(escrow).balance, 0);
    }

    /// The code may refuse coin or take what gas there is: then it is owed, and the key takes it elsewhere.
    function test_CodeThatTakesNoCoinIsOwed() public {
        fund(subject);
        DelegatedCode(payable(seller)).refuse(true);
        vm.prank(buyer);
        escrow.release(dealOf(subject), AMOUNT);
        assertEq(escrow.creditOf(seller, address(0)), AMOUNT);
        bytes32 digest = withdrawDigest(seller, address(0), AMOUNT, stranger, 0, UNTIL);
        escrow.withdrawBySig(seller, address(0), AMOUNT, stranger, UNTIL, sign(sellerKey, digest));
        assertEq(stranger.balance, AMOUNT);
    }
}
