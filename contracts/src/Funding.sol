// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Credits} from "./Credits.sol";
import {Deal, IEscrow, State, Status, Terms} from "./interfaces/IEscrow.sol";
import {DealId} from "./libraries/DealId.sol";
import {DealState} from "./libraries/DealState.sol";
import {Intake} from "./libraries/Intake.sol";
import {Shares} from "./libraries/Shares.sol";

/// @title  Funding
/// @notice How a deal comes to be: its terms, the consent of both to them, and the money, in each of its forms.
abstract contract Funding is Credits {
    using DealId for Terms;
    using DealId for Deal;
    using DealState for State;
    using DealState for uint256;

    uint256 private constant LONGEST_WINDOW = 366 days;
    uint256 private constant FARTHEST_DEADLINE = 3650 days;

    bytes32 private constant FUND_TYPEHASH = keccak256("Fund(bytes32 deal,uint40 validUntil)");

    mapping(bytes32 deal => uint256 state) internal _deals;
    /// In a batch one more than the coin that came with it and is not spent yet; else zero.
    uint256 private transient _purse;

    /* FUND */

    /// @inheritdoc IEscrow
    function fund(Terms calldata terms, bytes calldata sellerSignature) external payable alone returns (bytes32 deal) {
        deal = _fundable(terms);
        if (msg.sender != terms.buyer) revert NotBuyer();
        _requireSignature(terms.seller, deal, sellerSignature);
        _record(terms, deal);
        _take(terms);
    }

    /// @inheritdoc IEscrow
    function fundBySig(
        Terms calldata terms,
        bytes calldata sellerSignature,
        uint40 validUntil,
        bytes calldata buyerSignature
    ) external payable alone returns (bytes32 deal) {
        deal = _fundable(terms);
        _requireFresh(validUntil);
        _requireSigned(terms.buyer, _digest(FUND_TYPEHASH, deal, validUntil), buyerSignature);
        _requireSeller(terms, deal, sellerSignature);
        _record(terms, deal);
        _take(terms);
    }

    /// @inheritdoc IEscrow
    function fundByAuthorization(
        Terms calldata terms,
        bytes calldata sellerSignature,
        uint256 validAfter,
        uint256 validBefore,
        bytes calldata authorization
    ) external alone returns (bytes32 deal) {
        deal = _fundable(terms);
        _requireSeller(terms, deal, sellerSignature);
        _record(terms, deal);
        Intake.byAuthorization(terms.asset, terms.buyer, terms.amount, deal, validAfter, validBefore, authorization);
    }

    /// @inheritdoc IEscrow
    function fundByPermit2(
        Terms calldata terms,
        bytes calldata sellerSignature,
        uint256 nonce,
        uint256 deadline,
        bytes calldata permit_
    ) external alone returns (bytes32 deal) {
        deal = _fundable(terms);
        _requireSeller(terms, deal, sellerSignature);
        _record(terms, deal);
        Intake.byPermit2(terms.asset, terms.buyer, terms.amount, deal, nonce, deadline, permit_);
    }

    /// @inheritdoc IEscrow
    function retract(Terms calldata terms) external {
        bytes32 deal = idOf(terms);
        _requireUnfunded(terms, deal);
        if (msg.sender != terms.seller && msg.sender != terms.buyer) revert NotParty();
        State memory state;
        state.status = Status.Closed;
        _deals[deal] = state.pack();
        emit Retracted(deal, msg.sender);
    }

    function _fundable(Terms calldata terms) private view returns (bytes32 deal) {
        _checkTerms(terms);
        deal = idOf(terms);
        _requireUnfunded(terms, deal);
    }

    function _requireUnfunded(Terms calldata terms, bytes32 deal) private view {
        uint256 word = _deals[deal];
        if (word == 0) {
            if (block.timestamp > terms.fundBy) revert DealClosed();
        } else if (word.status() == Status.Closed) {
            revert DealClosed();
        } else {
            revert AlreadyFunded();
        }
    }

    function _checkTerms(Terms calldata terms) private view {
        address buyer = terms.buyer;
        address seller = terms.seller;
        address arbiter = terms.arbiter;
        address asset = terms.asset;
        if (buyer == address(0) || seller == address(0)) revert ZeroParty();
        if (
            buyer == seller || buyer == arbiter || buyer == asset || seller == arbiter || seller == asset
                || arbiter == asset || buyer == address(this) || seller == address(this) || arbiter == address(this)
                || asset == address(this)
        ) revert SameParty();
        if (terms.amount == 0) revert AmountOutOfRange();
        _checkWindow(terms.inspection);
        _checkWindow(terms.ruling);
        if (terms.lapseShare > Shares.WHOLE) revert ShareOutOfRange();
        if (terms.fundBy >= terms.deliverBy) revert DeadlinesOutOfOrder();
        if (terms.deliverBy > block.timestamp + FARTHEST_DEADLINE) revert DeadlineTooFar();
    }

    function _checkWindow(uint256 window) private pure {
        if (window == 0 || window > LONGEST_WINDOW) revert WindowOutOfRange();
    }

    /// A seller that is the caller agrees by that. Terms are taken back by `retract` alone, which is found in the deal's own
    /// word: asking for a revocation as well would cost every funding 2,100 gas.
    function _requireSeller(Terms calldata terms, bytes32 deal, bytes calldata signature) private view {
        if (msg.sender != terms.seller) _requireSignature(terms.seller, deal, signature);
    }

    /// The word and the event come before any token is called: a deal that its token's hooks touch is already there.
    function _record(Terms calldata terms, bytes32 deal) private {
        _deals[deal] = DealState.funded(block.timestamp);
        bytes32 topic = Funded.selector;
        // The terms in calldata are what the event carries, word for word: `idOf` has found them clean.
        assembly ("memory-safe") {
            let m := mload(0x40)
            calldatacopy(m, terms, 0x1c0)
            log2(m, 0x1c0, topic, deal)
        }
    }

    /// By allowance, or the coin that came with the call.
    function _take(Terms calldata terms) private {
        uint256 amount = terms.amount;
        if (terms.asset == address(0)) {
            _spend(amount);
        } else {
            _spend(0);
            Intake.byAllowance(terms.asset, terms.buyer, amount);
        }
    }

    /* BATCH */

    /// @inheritdoc IEscrow
    function permit(address token, address owner, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
        payable
        alone
    {
        _spend(0);
        Intake.permit(token, owner, value, deadline, v, r, s);
    }

    /// @inheritdoc IEscrow
    function batch(bytes[] calldata calls) external payable returns (bytes[] memory results) {
        if (_purse != 0) revert Reentered();
        _requireAlone();
        _purse = msg.value + 1;
        results = new bytes[](calls.length);
        for (uint256 i; i < calls.length; ++i) {
            (bool ok, bytes memory result) = address(this).delegatecall(calls[i]);
            if (!ok) {
                assembly ("memory-safe") {
                    revert(add(result, 0x20), mload(result))
                }
            }
            results[i] = result;
        }
        uint256 left = _purse - 1;
        if (left != 0) revert WrongValue(msg.value, msg.value - left);
        _purse = 0;
    }

    /// The coin of a call is exactly what it needs; in a batch, what the calls need comes out of one purse.
    function _spend(uint256 needed) private {
        uint256 purse = _purse;
        if (purse == 0) {
            if (msg.value != needed) revert WrongValue(msg.value, needed);
        } else if (needed != 0) {
            if (purse <= needed) revert WrongValue(purse - 1, needed);
            unchecked {
                _purse = purse - needed;
            }
        }
    }

    /* READING */

    /// @inheritdoc IEscrow
    function idOf(Terms calldata terms) public view returns (bytes32) {
        terms.requireClean();
        return _hashTypedData(terms.hashTerms());
    }

    /// @inheritdoc IEscrow
    function idOf(Deal calldata deal) public view returns (bytes32) {
        return _hashTypedData(deal.hashDeal());
    }

    /// @inheritdoc IEscrow
    function stateOf(bytes32 deal) external view returns (State memory) {
        return _deals[deal].unpack();
    }
}
