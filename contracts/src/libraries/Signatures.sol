// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @title  Signatures
/// @notice Whether an account signed a digest: strict ECDSA first, then the account's own code (ERC-1271). An account
///         with delegated code (EIP-7702) keeps its key and therefore passes the first check.
library Signatures {
    /// What a contract wallet may spend on one check.
    uint256 internal constant WALLET_GAS = 500_000;
    /// secp256k1's n / 2: a greater `s` is the malleable twin of a smaller one (EIP-2).
    uint256 private constant HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;
    uint256 private constant MAGIC = 0x1626ba7e << 224;

    function isValid(address signer, bytes32 digest, bytes calldata signature) internal view returns (bool) {
        return isSignedByKey(signer, digest, signature)
            || (signer.code.length != 0 && _walletAccepts(signer, digest, signature));
    }

    /// 65 bytes r, s, v with v 27 or 28 and s in the lower half, by the key of `signer`.
    function isSignedByKey(address signer, bytes32 digest, bytes calldata signature) internal pure returns (bool) {
        if (signature.length != 65) return false;
        return
            _recovers(
                signer, digest, uint8(signature[64]), bytes32(signature[0:32]), uint256(bytes32(signature[32:64]))
            );
    }

    /// The same with the parity of v in the highest bit of s (EIP-2098).
    function isSignedByKey(address signer, bytes32 digest, bytes32 r, bytes32 vs) internal pure returns (bool) {
        return _recovers(signer, digest, uint8(uint256(vs) >> 255) + 27, r, uint256(vs) << 1 >> 1);
    }

    function _recovers(address signer, bytes32 digest, uint8 v, bytes32 r, uint256 s) private pure returns (bool) {
        if (s > HALF_ORDER) return false;
        address recovered = ecrecover(digest, v, r, bytes32(s));
        return recovered != address(0) && recovered == signer;
    }

    /// At most one word of the answer is read, whatever its length.
    function _walletAccepts(address wallet, bytes32 digest, bytes calldata signature) private view returns (bool ok) {
        uint256 bound = WALLET_GAS;
        uint256 magic = MAGIC;
        assembly ("memory-safe") {
            let m := mload(0x40)
            mstore(m, magic)
            mstore(add(m, 0x04), digest)
            mstore(add(m, 0x24), 0x40)
            mstore(add(m, 0x44), signature.length)
            calldatacopy(add(m, 0x64), signature.offset, signature.length)
            ok := staticcall(bound, wallet, m, add(0x64, signature.length), 0x00, 0x20)
            ok := and(ok, and(gt(returndatasize(), 0x1f), eq(mload(0x00), magic)))
        }
    }
}
