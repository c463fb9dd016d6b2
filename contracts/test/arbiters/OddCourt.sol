// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IArbitrable, IArbitrator} from "../../src/interfaces/IERC792.sol";
import {Caller} from "../accounts/Payees.sol";

/// @notice An arbitrator that does as it is told: refuses disputes, changes its price, says any number, and while it creates
///         a dispute makes the calls that it was given (see Caller) or sends the coin back. Anyone may act through it.
contract OddCourt is IArbitrator, Caller {
    error Shut();

    uint256 public arbitrationFee;
    uint256 public number;
    uint256 public choices;
    bytes public settings;
    uint256 public appealed;
    bool public shut;
    bool public generous;

    function set(uint256 fee, uint256 number_) external {
        (arbitrationFee, number) = (fee, number_);
    }

    function setShut(bool shut_) external {
        shut = shut_;
    }

    function setGenerous(bool generous_) external {
        generous = generous_;
    }

    function arbitrationCost(bytes calldata) external view returns (uint256) {
        return arbitrationFee;
    }

    function createDispute(uint256 choices_, bytes calldata extraData) external payable returns (uint256) {
        if (shut) revert Shut();
        choices = choices_;
        settings = extraData;
        received();
        if (generous) {
            (bool ok,) = msg.sender.call{value: msg.value}("");
            outcomes.push(ok);
        }
        return number;
    }

    function appeal(uint256 dispute, bytes calldata extraData) external payable {
        if (shut) revert Shut();
        appealed = dispute;
        settings = extraData;
    }

    function give(IArbitrable to, uint256 dispute, uint256 ruling) external {
        to.rule(dispute, ruling);
    }
}
