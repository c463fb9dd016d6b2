// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {SignedToken} from "../tokens/SignedToken.sol";

/// @notice The token that gas is measured with: the standard library's, optimised as a deployed one is. Nothing imports it;
///         it is deployed by name.
contract Dollar is SignedToken {}
