// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IEscrow, Terms} from "../../src/interfaces/IEscrow.sol";
import {Fixture} from "../Fixture.sol";
import {SignedToken} from "../tokens/SignedToken.sol";

/// @notice A token that moves by signature, of which the buyer has plenty and has allowed the escrow nothing.
abstract contract IntakeFixture is Fixture {
    SignedToken internal dollar;

    function setUp() public virtual override {
        super.setUp();
        dollar = new SignedToken();
        dollar.mint(buyer, 100 * uint256(AMOUNT));
    }

    function dollarTerms() internal view returns (Terms memory terms) {
        terms = coinTerms();
        terms.asset = address(dollar);
    }

    function salted(Terms memory terms, bytes32 salt) internal pure returns (Terms memory) {
        terms.annex.salt = salt;
        return terms;
    }

    function compact(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (bytes32 r, bytes32 vs) = vm.signCompact(key, digest);
        return abi.encodePacked(r, vs);
    }

    /* WHAT THE TOKEN'S HOLDER SIGNS, written out a second time */

    struct Authorization {
        address from;
        address to;
        uint256 value;
        uint256 validAfter;
        uint256 validBefore;
        bytes32 nonce;
    }

    function dollarDigest(bytes32 structHash) internal view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Signed Dollar"),
                keccak256("1"),
                block.chainid,
                address(dollar)
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, structHash));
    }

    /// From the buyer to the escrow, the amount, valid from now to fundBy, under the id of `terms`.
    function authorization(Terms memory terms) internal view returns (Authorization memory) {
        return Authorization(terms.buyer, address(escrow), terms.amount, NOW - 1, FUND_BY + 1, idOf(terms));
    }

    function authorizationDigest(Authorization memory a) internal view returns (bytes32) {
        bytes32 kind = keccak256(
            "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
        );
        return dollarDigest(keccak256(abi.encode(kind, a)));
    }

    function permitDigest(address owner, uint256 value, uint256 nonce, uint256 deadline)
        internal
        view
        returns (bytes32)
    {
        bytes32 kind = keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
        return dollarDigest(keccak256(abi.encode(kind, owner, address(escrow), value, nonce, deadline)));
    }

    /// The call of `permit` with the buyer's next nonce.
    function permitCall(uint256 value, uint256 deadline) internal view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(buyerKey, permitDigest(buyer, value, dollar.nonces(buyer), deadline));
        return abi.encodeCall(IEscrow.permit, (address(dollar), buyer, value, deadline, v, r, s));
    }
}
