// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Court, ICourtArbiter} from "../../src/interfaces/ICourtArbiter.sol";
import {IArbitrator} from "../../src/interfaces/IERC792.sol";
import {Terms} from "../../src/interfaces/IEscrow.sol";
import {Fixture} from "../Fixture.sol";
import {OddCourt} from "./OddCourt.sol";

/// @notice The adapter as deployed, before an arbitrator that does as it is told.
abstract contract CourtFixture is Fixture {
    uint256 internal constant FEE = 0.01 ether;
    uint256 internal constant NUMBER = 41;

    ICourtArbiter internal adapter;
    OddCourt internal odd;

    function setUp() public virtual override {
        super.setUp();
        adapter = ICourtArbiter(vm.deployCode("CourtArbiter.sol:CourtArbiter"));
        arbiter = address(adapter);
        odd = new OddCourt();
        odd.set(FEE, NUMBER);
        vm.deal(stranger, 1 ether);
    }

    function courtOf(address arbitrator) internal pure returns (Court memory) {
        return Court({
            arbitrator: IArbitrator(arbitrator),
            extraData: abi.encode(uint256(3), uint256(7)),
            metaEvidence: "ipfs://meta"
        });
    }

    function courtTerms(address arbitrator) internal view returns (Terms memory terms) {
        terms = coinTerms();
        terms.annex.panel = keccak256(abi.encode(courtOf(arbitrator)));
    }

    function oddTerms() internal view returns (Terms memory) {
        return courtTerms(address(odd));
    }

    function groupOf(bytes32 deal) internal view returns (uint256) {
        return uint256(keccak256(abi.encode(address(escrow), deal)));
    }

    function open(Terms memory terms) internal returns (uint256) {
        vm.prank(stranger);
        return adapter.open{value: FEE}(address(escrow), terms, courtOf(address(odd)));
    }

    /// Disputed and before the court.
    function opened(Terms memory terms) internal returns (bytes32 id) {
        (id,) = disputed(terms);
        open(terms);
    }

    /// And ruled on.
    function ruled(Terms memory terms, uint256 ruling) internal returns (bytes32 id) {
        id = opened(terms);
        odd.give(adapter, NUMBER, ruling);
    }
}
