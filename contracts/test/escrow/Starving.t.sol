// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Deal, IEscrow, Status, Terms} from "../../src/interfaces/IEscrow.sol";
import {Fixture} from "../Fixture.sol";
import {PickyArbiter, PickyBalance, PickyPayee, PickyToken} from "../accounts/Picky.sol";

/// @notice Whoever pays the gas chooses how much (EIP-150 passes on 63/64 of it), and there is no choice with which the
///         outcome is another: at every amount of gas the call is refused, or goes as with plenty. Those that are asked here
///         refuse cheaply when they get less than their bound, so that enough is left to go on without them.
contract StarvingTest is Fixture {
    uint256 private constant STEP = 500;

    /// `order` with growing gas, until it goes through; how often it was refused for want of gas by name.
    function _climb(bytes memory order, uint256 from, uint256 to) private returns (bool ok, uint256 refusals) {
        for (uint256 limit = from; !ok && limit < to; limit += STEP) {
            bytes memory answer;
            (ok, answer) = address(escrow).call{gas: limit}(order);
            if (!ok && bytes4(answer) == IEscrow.NotEnoughGas.selector) ++refusals;
        }
    }

    function _releaseOrder(Terms memory terms) private returns (bytes memory) {
        (bytes32 id, Deal memory deal) = fund(terms);
        return abi.encodeCall(IEscrow.releaseBySig, (deal, 5, sign(buyerKey, releaseDigest(id, 5))));
    }

    function test_APayeeOfCoinIsNeverStarved() public {
        vm.etch(seller, address(new PickyPayee()).code);
        (bool ok, uint256 refusals) = _climb(_releaseOrder(coinTerms()), 40_000, 400_000);
        assertTrue(ok);
        assertEq(seller.balance, 5);
        assertEq(escrow.creditOf(seller, address(0)), 0);
        assertGt(refusals, 50);
    }

    /// Both payees of one call, the second after the first has spent what it may.
    function test_NorIsTheSecondPayee() public {
        vm.etch(buyer, address(new PickyPayee()).code);
        vm.etch(seller, address(new PickyPayee()).code);
        (, Deal memory deal) = disputed(coinTerms());
        vm.warp(NOW + RULING + 1);
        (bool ok,) = _climb(abi.encodeCall(IEscrow.lapse, (deal)), 40_000, 500_000);
        assertTrue(ok);
        assertEq(escrow.creditOf(seller, address(0)) + escrow.creditOf(buyer, address(0)), 0);
        assertEq(address(escrow).balance, 0);
    }

    function test_ATokenIsNeverStarved() public {
        PickyToken asset = new PickyToken();
        asset.mint(buyer, AMOUNT);
        vm.prank(buyer);
        asset.approve(address(escrow), AMOUNT);
        Terms memory terms = coinTerms();
        terms.asset = address(asset);
        (bool ok, uint256 refusals) = _climb(_releaseOrder(terms), 40_000, 800_000);
        assertTrue(ok);
        assertEq(asset.balanceOf(seller), 5);
        assertEq(escrow.creditOf(seller, address(asset)), 0);
        assertGt(refusals, 50);
    }

    /// A balance that is not told counts as spent: starving either telling would make the debt disappear.
    function test_ABalanceIsNeverStarved() public {
        PickyBalance asset = new PickyBalance();
        asset.mint(buyer, AMOUNT);
        vm.prank(buyer);
        asset.approve(address(escrow), AMOUNT);
        Terms memory terms = coinTerms();
        terms.asset = address(asset);
        bytes memory order = _releaseOrder(terms);
        asset.keep();
        (bool ok, uint256 refusals) = _climb(order, 40_000, 1_000_000);
        assertTrue(ok);
        assertEq(escrow.creditOf(seller, address(asset)), 5);
        assertGt(refusals, 50);
    }

    /// An arbiter that is not heard counts as having accepted nothing: starving it would bring a dead offer back to life.
    function test_AnArbiterIsNeverStarved() public {
        arbiter = address(new PickyArbiter());
        (bytes32 id, Deal memory deal) = disputed(coinTerms());
        bytes32 digest = settleDigest(id, 5, Status.Disputed, 0, ALWAYS);
        bytes memory dead =
            abi.encodeCall(IEscrow.settle, (deal, 5, 0, ALWAYS, sign(buyerKey, digest), sign(sellerKey, digest)));
        (bool ok, uint256 refusals) = _climb(dead, 20_000, 400_000);
        assertFalse(ok);
        assertGt(refusals, 50);
        digest = settleDigest(id, 5, Status.Disputed, 1, ALWAYS);
        (ok,) = _climb(
            abi.encodeCall(IEscrow.settle, (deal, 5, 1, ALWAYS, sign(buyerKey, digest), sign(sellerKey, digest))),
            20_000,
            400_000
        );
        assertTrue(ok);
    }
}
