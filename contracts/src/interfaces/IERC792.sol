// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// What is asked of a court: the part of ERC-792 that creates disputes and appeals. The cost is in the smallest unit of
/// the chain's coin.
interface IArbitrator {
    function createDispute(uint256 choices, bytes calldata extraData) external payable returns (uint256 dispute);
    function arbitrationCost(bytes calldata extraData) external view returns (uint256 cost);
    function appeal(uint256 dispute, bytes calldata extraData) external payable;
}

/// What a court asks of those that bring disputes before it (ERC-792).
interface IArbitrable {
    event Ruling(IArbitrator indexed arbitrator, uint256 indexed dispute, uint256 ruling);

    /// Called by the arbitrator. Ruling 0 means that it does not decide.
    function rule(uint256 dispute, uint256 ruling) external;
}

/// By what a court's jurors find what a dispute is about (ERC-1497). The strings are URIs of JSON files.
interface IEvidence {
    event MetaEvidence(uint256 indexed metaEvidence, string uri);
    event Dispute(IArbitrator indexed arbitrator, uint256 indexed dispute, uint256 metaEvidence, uint256 evidenceGroup);
    event Evidence(IArbitrator indexed arbitrator, uint256 indexed evidenceGroup, address indexed party, string uri);
}
