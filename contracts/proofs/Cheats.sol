// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Vm} from "forge-std/Vm.sol";

// The cheat codes; Halmos knows them under forge's address.
Vm constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
