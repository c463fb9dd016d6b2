// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {DeployPermit2} from "permit2/test/utils/DeployPermit2.sol";
import {Terms} from "../../src/interfaces/IEscrow.sol";
import {IntakeFixture} from "./IntakeFixture.sol";

/// @notice Permit2 at its address, with the code that it has on every chain, and what is signed for it, written out a second
///         time.
abstract contract Permit2Fixture is IntakeFixture {
    address internal constant PERMIT2 = 0x000000000022D473030F116dDEE9F6B43aC78BA3;
    uint256 internal constant NONCE = 7;

    /// What is signed beside the witness.
    struct Order {
        address token;
        uint256 amount;
        address spender;
        uint256 nonce;
        uint256 deadline;
    }

    function setUp() public virtual override {
        // The code was taken from a local chain and keeps what it computed there; on any other it computes its domain anew.
        vm.chainId(1);
        super.setUp();
        new DeployPermit2().deployPermit2();
        vm.prank(buyer);
        dollar.approve(PERMIT2, type(uint256).max);
    }

    /// The amount of `terms`, to the escrow, until now.
    function orderOf(Terms memory terms) internal view returns (Order memory) {
        return Order(terms.asset, terms.amount, address(escrow), NONCE, NOW);
    }

    function permit2Domain() internal view returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,uint256 chainId,address verifyingContract)"),
                keccak256("Permit2"),
                block.chainid,
                PERMIT2
            )
        );
    }

    function permit2Digest(Order memory order, bytes32 id) internal view returns (bytes32) {
        bytes32 kind = keccak256(
            "PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,Fund witness)Fund(bytes32 deal)TokenPermissions(address token,uint256 amount)"
        );
        bytes32 permitted = keccak256(
            abi.encode(keccak256("TokenPermissions(address token,uint256 amount)"), order.token, order.amount)
        );
        bytes32 witness = keccak256(abi.encode(keccak256("Fund(bytes32 deal)"), id));
        bytes32 content = keccak256(abi.encode(kind, permitted, order.spender, order.nonce, order.deadline, witness));
        return keccak256(abi.encodePacked(hex"1901", permit2Domain(), content));
    }
}
