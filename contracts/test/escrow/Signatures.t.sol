// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Deal, IEscrow, Status, Terms} from "../../src/interfaces/IEscrow.sol";
import {Fixture} from "../Fixture.sol";
import {Answer, Wallet} from "../accounts/Wallets.sol";

/// @notice Who counts as having signed: keys strictly, then contract wallets by their own word.
contract SignaturesTest is Fixture {
    uint256 private constant ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;

    function _release(bytes memory signature) private returns (bool ok) {
        (ok,) =
            address(escrow).call{gas: 2_000_000}(abi.encodeCall(IEscrow.releaseBySig, (dealOf(_terms), 5, signature)));
    }

    Terms private _terms;

    function _start(address who) private returns (bytes32 digest) {
        _terms = coinTerms();
        _terms.buyer = who;
        vm.deal(who, AMOUNT);
        (bytes32 id,) = fund(_terms);
        return releaseDigest(id, 5);
    }

    /* KEYS */

    function test_TheTwinWithHighSIsRefused() public {
        bytes32 digest = _start(buyer);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(buyerKey, digest);
        bytes32 high = bytes32(ORDER - uint256(s));
        uint8 other = v == 27 ? 28 : 27;
        assertEq(ecrecover(digest, other, r, high), buyer);
        assertFalse(_release(abi.encodePacked(r, high, other)));
        assertTrue(_release(abi.encodePacked(r, s, v)));
    }

    function test_OtherFormsAreRefused() public {
        bytes32 digest = _start(buyer);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(buyerKey, digest);
        assertFalse(_release(""));
        assertFalse(_release(abi.encodePacked(r, s)));
        assertFalse(_release(abi.encodePacked(r, s, v, uint8(0))));
        assertFalse(_release(abi.encodePacked(r, s, v - 27)));
        // Compact (EIP-2098).
        assertFalse(_release(abi.encodePacked(r, uint256(s) | (uint256(v - 27) << 255))));
        assertFalse(_release(abi.encodePacked(uint256(0), s, v)));
        assertFalse(_release(abi.encodePacked(r, uint256(0), v)));
    }

    function testFuzz_NoiseIsRefused(bytes32 r, bytes32 s, uint8 v) public {
        _start(buyer);
        assertFalse(_release(abi.encodePacked(r, s, v)));
    }

    /// An account with delegated code keeps its key, whatever the code says (EIP-7702).
    function test_DelegatedAccountSignsWithItsKey() public {
        bytes32 digest = _start(buyer);
        Wallet wallet = new Wallet(stranger);
        vm.etch(buyer, abi.encodePacked(hex"ef0100", address(wallet)));
        wallet.set(Answer.No);
        assertTrue(_release(sign(buyerKey, digest)));
        assertEq(seller.balance, 5);
    }

    /* CONTRACT WALLETS (ERC-1271) */

    function test_WalletSignsByItsOwner() public {
        Wallet wallet = new Wallet(stranger);
        vm.deal(address(wallet), AMOUNT);
        Terms memory terms = coinTerms();
        terms.buyer = address(wallet);
        bytes32 id = idOf(terms);
        bytes memory consent = sign(sellerKey, id);
        wallet.act(address(escrow), abi.encodeCall(IEscrow.fund, (terms, consent)), AMOUNT);
        escrow.releaseBySig(dealOf(terms), 5, sign(strangerKey, releaseDigest(id, 5)));
        assertEq(seller.balance, 5);
        expect(refusal(IEscrow.InvalidSignature.selector, address(wallet)));
        escrow.releaseBySig(dealOf(terms), 6, sign(buyerKey, releaseDigest(id, 6)));
        escrow.releaseBySig(dealOf(terms), AMOUNT, sign(strangerKey, releaseDigest(id, AMOUNT)));
        assertState(id, Status.Closed, 3, 0, NOW, AMOUNT, 0);
    }

    function test_WalletSellsToo() public {
        Wallet wallet = new Wallet(stranger);
        Terms memory terms = coinTerms();
        terms.seller = address(wallet);
        bytes memory consent = sign(strangerKey, idOf(terms));
        vm.prank(buyer);
        bytes32 id = escrow.fund{value: AMOUNT}(terms, consent);
        escrow.deliverBySig(dealOf(terms), "", NOW, sign(strangerKey, deliverDigest(id, "", NOW)));
        vm.warp(NOW + INSPECTION + 1);
        escrow.claim(dealOf(terms));
        assertEq(address(wallet).balance, AMOUNT);
    }

    /// Only the magic value as a whole word counts, and no answer can burn or bury the caller.
    function test_WalletsThatLie() public {
        Wallet wallet = new Wallet(stranger);
        _start(address(wallet));
        for (uint256 i; i < 9; ++i) {
            wallet.set(Answer(i));
            uint256 before = gasleft();
            bool ok = _release(new bytes(65));
            assertEq(ok, Answer(i) == Answer.Yes);
            assertLt(before - gasleft(), 900_000);
        }
        assertEq(seller.balance, 5);
    }

    function test_AddressZeroNeverSigns() public {
        Terms memory terms = coinTerms();
        terms.seller = address(0);
        expect(IEscrow.ZeroParty.selector);
        vm.prank(buyer);
        escrow.fund{value: AMOUNT}(terms, new bytes(65));
    }

    /* DOMAIN */

    function test_Domain() public view {
        assertEq(escrow.DOMAIN_SEPARATOR(), domainOf("Earnest Escrow", address(escrow)));
    }

    /// ERC-5267, from which wallets and tools take the domain.
    function test_DomainIsTold() public {
        vm.chainId(5);
        (bool ok, bytes memory answer) = address(escrow).staticcall(abi.encodeWithSignature("eip712Domain()"));
        assertTrue(ok);
        // Name, version, chain and contract are there (bits 0 to 3), salt and extensions are not.
        assertEq(
            answer,
            abi.encode(bytes1(0x0f), "Earnest Escrow", "1", uint256(5), address(escrow), bytes32(0), new uint256[](0))
        );
    }

    /// After a fork the other chain's signatures and ids are worthless here.
    function test_DomainFollowsTheChain() public {
        (bytes32 id, Deal memory deal) = fund(coinTerms());
        bytes memory signature = sign(buyerKey, releaseDigest(id, 5));
        vm.chainId(block.chainid + 1);
        assertEq(escrow.DOMAIN_SEPARATOR(), domainOf("Earnest Escrow", address(escrow)));
        assertNotEq(escrow.idOf(deal), id);
        expect(IEscrow.UnknownDeal.selector);
        escrow.releaseBySig(deal, 5, signature);
    }

    function test_AnotherEscrowHasOtherIds() public {
        (bytes32 id, Deal memory deal) = fund(coinTerms());
        IEscrow other = IEscrow(vm.deployCode("Escrow.sol:Escrow"));
        assertNotEq(other.idOf(deal), id);
    }
}

/// @notice The deal's id from both forms, against the hashing written out in the fixture.
contract IdTest is Fixture {
    function testFuzz_BothFormsGiveTheTypedDigest(Terms memory terms) public view {
        assertEq(escrow.idOf(terms), idOf(terms));
        assertEq(escrow.idOf(dealOf(terms)), idOf(terms));
    }

    /// A word with bits above its field names another deal, or none: never the same one, and never state.
    function testFuzz_DirtyDealNamesNoDeal(uint8 field, uint8 bit) public {
        Terms memory terms = coinTerms();
        (bytes32 id, Deal memory deal) = fund(terms);
        uint8[11] memory width = [160, 160, 160, 160, 88, 40, 40, 32, 32, 16, 1];
        field = uint8(bound(field, 0, 10));
        uint256 dirt = 1 << bound(bit, width[field], 255);
        bytes memory order = abi.encodeCall(IEscrow.release, (deal, 5));
        assembly {
            let word := add(order, add(0x24, mul(field, 0x20)))
            mstore(word, or(mload(word), dirt))
        }
        vm.prank(buyer);
        (bool ok,) = address(escrow).call(order);
        assertFalse(ok);
        assertState(id, Status.Funded, 1, 0, NOW, 0, 0);
        bytes memory question = abi.encodeWithSignature(
            "idOf((address,address,address,address,uint88,uint40,uint40,uint32,uint32,uint16,bool,(bytes32,bytes32,bytes32)))",
            terms
        );
        assembly {
            let word := add(question, add(0x24, mul(field, 0x20)))
            mstore(word, or(mload(word), dirt))
        }
        (ok,) = address(escrow).staticcall(question);
        assertFalse(ok);
    }
}
