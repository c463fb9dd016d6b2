// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";
import {TestToken} from "../../test/tokens/TestToken.sol";

interface ICentralizedArbitrator {
    function giveRuling(uint256 dispute, uint256 ruling) external;
}

interface IKlerosEscrow {
    function pay(uint256 id, uint256 amount) external;
    function reimburse(uint256 id, uint256 amount) external;
    function executeTransaction(uint256 id) external;
    function payArbitrationFeeBySender(uint256 id) external payable;
    function payArbitrationFeeByReceiver(uint256 id) external payable;
    function submitEvidence(uint256 id, string calldata evidence) external;
}

interface IKlerosCoinEscrow is IKlerosEscrow {
    function createTransaction(uint256 timeout, address receiver, string calldata metaEvidence)
        external
        payable
        returns (uint256);
}

interface IKlerosTokenEscrow is IKlerosEscrow {
    function createTransaction(
        uint256 amount,
        address token,
        uint256 timeout,
        address receiver,
        string calldata metaEvidence
    ) external returns (uint256);
}

interface IRequestEscrow {
    function approvePaymentProxyToSpend(address token) external;
    function payEscrow(
        address token,
        address to,
        uint256 amount,
        bytes calldata reference_,
        uint256 fee,
        address feeAddress
    ) external;
    function payRequestFromEscrow(bytes calldata reference_) external;
    function freezeRequest(bytes calldata reference_) external;
}

/// @notice What other escrows' transactions cost, from the code that their packages ship, measured as test/gas/ measures ours:
///         the third payment, so that no balance is zero before, an unlimited allowance given earlier, and the same token,
///         which the run of our own tests compiled just before.
contract PeersTest is Test {
    uint88 internal constant AMOUNT = 1_000_000_007;
    TestToken internal token;
    address internal buyer = makeAddr("buyer");
    address internal seller = makeAddr("seller");

    function setUp() public virtual {
        vm.warp(1_800_000_000);
        token = TestToken(vm.deployCode("out-gas/Dollar.sol/Dollar.json"));
        token.mint(buyer, 100 * uint256(AMOUNT));
        token.mint(seller, 1);
        vm.deal(buyer, 100 ether);
        vm.deal(seller, 100 ether);
    }

    function deploy(bytes memory code) internal returns (address made) {
        assembly ("memory-safe") {
            made := create(0, add(code, 0x20), mload(code))
        }
        require(made != address(0), "the peer's code does not deploy");
    }
}

/// @notice Kleros v1: MultipleArbitrableTransaction and its sister for tokens, ruled by one owner's call. The price of
///         arbitration is 1 gwei, paid by both sides.
/// @dev    The dispute is not the court's first, whose number is zero and which costs 2,800 gas less.
contract KlerosTest is PeersTest {
    string private constant FOLDER = "peers/node_modules/@kleros/kleros-interaction/build/contracts/";
    /// As long as the address of a file in IPFS by a version 0 content id.
    string private constant META = "/ipfs/QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPbdG";
    uint256 private constant PRICE = 1 gwei;
    uint256 private constant TIMEOUT = 3 days;
    uint256 private constant RECEIVER_WINS = 2;

    ICentralizedArbitrator private court;
    IKlerosCoinEscrow private coins;
    IKlerosTokenEscrow private tokens;
    uint256 private created;
    uint256 private disputes;

    function setUp() public override {
        super.setUp();
        court = ICentralizedArbitrator(_kleros("CentralizedArbitrator", abi.encode(PRICE)));
        bytes memory arguments = abi.encode(court, bytes(""), TIMEOUT);
        coins = IKlerosCoinEscrow(_kleros("MultipleArbitrableTransaction", arguments));
        tokens = IKlerosTokenEscrow(_kleros("MultipleArbitrableTokenTransaction", arguments));
        vm.prank(buyer);
        token.approve(address(tokens), type(uint256).max);
        vm.deal(address(this), 1 ether); // the court's owner is paid
    }

    receive() external payable {}

    function _kleros(string memory name, bytes memory arguments) private returns (address) {
        string memory artefact = vm.readFile(string.concat(FOLDER, name, ".json"));
        return deploy(bytes.concat(vm.parseJsonBytes(artefact, ".bytecode"), arguments));
    }

    function _fund(bool asToken) private returns (uint256 id, IKlerosEscrow escrow) {
        vm.startPrank(buyer);
        id = asToken
            ? tokens.createTransaction(AMOUNT, address(token), TIMEOUT, seller, META)
            : coins.createTransaction{value: AMOUNT}(TIMEOUT, seller, META);
        vm.stopPrank();
        escrow = asToken ? IKlerosEscrow(tokens) : IKlerosEscrow(coins);
    }

    /// The third payment; the two before stay in the escrow.
    function _third(bool asToken) private returns (uint256 id, IKlerosEscrow escrow) {
        _fund(asToken);
        _fund(asToken);
        return _fund(asToken);
    }

    function _name(bool asToken, string memory action) private pure returns (string memory) {
        return string.concat(asToken ? "token: " : "coin: ", action);
    }

    function _fundAndRelease(bool asToken) private {
        (uint256 id, IKlerosEscrow escrow) = _third(asToken);
        vm.snapshotGasLastCall("kleros-v1", _name(asToken, "fund"));
        vm.prank(buyer);
        escrow.pay(id, AMOUNT);
        vm.snapshotGasLastCall("kleros-v1", _name(asToken, "release"));
    }

    function test_Coin() public {
        _fundAndRelease(false);
    }

    function test_Token() public {
        _fundAndRelease(true);
    }

    function test_RefundAndTimeOut() public {
        for (uint256 i; i < 2; ++i) {
            (uint256 id, IKlerosEscrow escrow) = _third(i == 1);
            vm.prank(seller);
            escrow.reimburse(id, AMOUNT);
            vm.snapshotGasLastCall("kleros-v1", _name(i == 1, "refund"));
            (id,) = _fund(i == 1);
            vm.warp(vm.getBlockTimestamp() + TIMEOUT);
            vm.prank(seller);
            escrow.executeTransaction(id);
            vm.snapshotGasLastCall("kleros-v1", _name(i == 1, "time out"));
        }
    }

    function _dispute(uint256 id, IKlerosEscrow escrow) private {
        vm.prank(buyer);
        escrow.payArbitrationFeeBySender{value: PRICE}(id);
    }

    function _answer(uint256 id, IKlerosEscrow escrow) private {
        vm.prank(seller);
        escrow.payArbitrationFeeByReceiver{value: PRICE}(id);
    }

    function _ruled(bool asToken) private {
        (uint256 id, IKlerosEscrow escrow) = _third(asToken);
        _dispute(id, escrow);
        _answer(id, escrow);
        court.giveRuling(disputes++, RECEIVER_WINS);
        (id,) = _fund(asToken);
        _dispute(id, escrow);
        vm.snapshotGasLastCall("kleros-v1", _name(asToken, "dispute, first transaction"));
        _answer(id, escrow);
        vm.snapshotGasLastCall("kleros-v1", _name(asToken, "dispute, second transaction"));
        vm.prank(buyer);
        escrow.submitEvidence(id, META);
        if (!asToken) vm.snapshotGasLastCall("kleros-v1", "evidence");
        court.giveRuling(disputes++, RECEIVER_WINS);
        vm.snapshotGasLastCall("kleros-v1", _name(asToken, "ruling"));
    }

    function test_RuledCoin() public {
        _ruled(false);
    }

    function test_RuledToken() public {
        _ruled(true);
    }
}

/// @notice Request Network's ERC20EscrowToPay behind its fee proxy. It refuses a fee of zero: the least is paid, to an
///         account that has some.
/// @dev    The first release of a token also allows the proxy to spend it, for about 24,000 gas: done before.
contract RequestTest is PeersTest {
    string private constant FOLDER =
        "peers/node_modules/@requestnetwork/smart-contracts/dist/src/types/factories/src/contracts/";

    IRequestEscrow private escrow;
    address private collector = makeAddr("collector");
    uint256 private references;

    function setUp() public override {
        super.setUp();
        address proxy = deploy(_code("ERC20FeeProxy"));
        escrow = IRequestEscrow(deploy(bytes.concat(_code("ERC20EscrowToPay"), abi.encode(proxy, address(this)))));
        vm.prank(buyer);
        token.approve(address(escrow), type(uint256).max);
        escrow.approvePaymentProxyToSpend(address(token));
        _fund();
        _fund();
    }

    /// The package has its code in JavaScript alone.
    function _code(string memory name) private view returns (bytes memory) {
        string memory source = vm.readFile(string.concat(FOLDER, name, "__factory.js"));
        return vm.parseBytes(vm.split(vm.split(source, '_bytecode = "')[1], '"')[0]);
    }

    /// A payment reference is eight bytes.
    function _fund() private returns (bytes memory paymentReference) {
        paymentReference = abi.encodePacked(bytes8(keccak256(abi.encode(++references))));
        vm.prank(buyer);
        escrow.payEscrow(address(token), seller, AMOUNT, paymentReference, 1, collector);
    }

    function test_Fund() public {
        _fund();
        vm.snapshotGasLastCall("request", "token: fund");
    }

    function test_Release() public {
        bytes memory paymentReference = _fund();
        vm.prank(buyer);
        escrow.payRequestFromEscrow(paymentReference);
        vm.snapshotGasLastCall("request", "token: release");
    }

    function test_Freeze() public {
        bytes memory paymentReference = _fund();
        vm.prank(buyer);
        escrow.freezeRequest(paymentReference);
        vm.snapshotGasLastCall("request", "token: dispute");
    }
}
