//! Signatures of plain keys, as strictly as the contracts read them.

use alloy::primitives::{Address, B256, Signature, U256, uint};

/// Why 65 bytes are not a signature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Not 65 bytes.
    #[error("a signature has 65 bytes, not {0}")]
    Length(usize),
    /// The last byte.
    #[error("the signature's v must be 27 or 28, not {0}")]
    V(u8),
    /// The malleable twin of another signature (EIP-2).
    #[error("the signature's s is not in the lower half of the curve's order")]
    HighS,
    /// No key makes this signature.
    #[error("no key recovers from the signature")]
    Unrecoverable,
}

/// Half the order of secp256k1, rounded down.
const HALF_ORDER: U256 = uint!(0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0_U256);

/// The bit of `vs` that says v = 28.
const PARITY: U256 = uint!(0x8000000000000000000000000000000000000000000000000000000000000000_U256);

/// 65 bytes r, s, v with v 27 or 28 and s in the lower half of the order.
fn strict(signature: &[u8]) -> Result<Signature, SignatureError> {
    let bytes: &[u8; 65] = signature.try_into().map_err(|_| SignatureError::Length(signature.len()))?;
    let [.., v] = *bytes;
    if v != 27 && v != 28 {
        return Err(SignatureError::V(v));
    }
    let signature = Signature::from_raw_array(bytes).map_err(|_| SignatureError::Unrecoverable)?;
    if signature.s() > HALF_ORDER { Err(SignatureError::HighS) } else { Ok(signature) }
}

/// Whose key signed `digest`: 65 bytes r, s, v with v 27 or 28 and s in the lower half of the order.
///
/// # Errors
/// Anything else, compact signatures (ERC-2098) and the signatures of contract wallets included.
pub fn recover(digest: B256, signature: &[u8]) -> Result<Address, SignatureError> {
    let signature = strict(signature)?;
    signature.recover_address_from_prehash(&digest).map_err(|_| SignatureError::Unrecoverable)
}

/// The compact form (ERC-2098) of a signature of 65 bytes: r, and s with the parity of v in its highest bit.
///
/// # Errors
/// Bytes that are no such signature, so that none of another length or with another v or a high s is made to look valid.
pub fn compact(signature: &[u8]) -> Result<(B256, B256), SignatureError> {
    let signature = strict(signature)?;
    let vs = if signature.v() { signature.s() | PARITY } else { signature.s() };
    Ok((signature.r().into(), vs.into()))
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "fixed inputs")]
mod tests {
    use alloy::primitives::{address, b256, hex};

    use super::*;

    // Key 0x…01 over the digest of 32 bytes 0x11, as ethers.js signs it (tests/ethers/vectors.json has more).
    const DIGEST: B256 = b256!("1111111111111111111111111111111111111111111111111111111111111111");

    fn twin(signature: &[u8; 65]) -> [u8; 65] {
        let order = uint!(0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141_U256);
        let s = U256::try_from_be_slice(&signature[32..64]).unwrap();
        let mut twin = *signature;
        twin[32..64].copy_from_slice(&(order - s).to_be_bytes::<32>());
        twin[64] = 55 - signature[64];
        twin
    }

    #[test]
    fn only_the_strict_form_recovers() {
        let good = signed();
        let signer = address!("7E5F4552091A69125d5DfCb7b8C2659029395Bdf");
        assert_eq!(recover(DIGEST, &good), Ok(signer));
        assert_ne!(recover(B256::ZERO, &good), Ok(signer));
        assert_eq!(recover(DIGEST, &twin(&good)), Err(SignatureError::HighS));
        assert_eq!(recover(DIGEST, &good[..64]), Err(SignatureError::Length(64)));
        for v in [0, 1, 26, 29, 37, 255] {
            let mut other = good;
            other[64] = v;
            assert_eq!(recover(DIGEST, &other), Err(SignatureError::V(v)));
        }
        let mut zero = [0; 65];
        zero[64] = 27;
        assert_eq!(recover(DIGEST, &zero), Err(SignatureError::Unrecoverable));
    }

    /// The vectors of ERC-2098 itself.
    #[test]
    fn the_compact_form_is_that_of_the_standard() {
        let cases = [
            (
                hex!(
                    "68a020a209d3d56c46f38cc50a33f704f4a9a10a59377f8dd762ac66910e9b907e865ad05c4035ab5792787d4a0297a43617ae897930a6fe4d822b8faea520641b"
                ),
                b256!("68a020a209d3d56c46f38cc50a33f704f4a9a10a59377f8dd762ac66910e9b90"),
                b256!("7e865ad05c4035ab5792787d4a0297a43617ae897930a6fe4d822b8faea52064"),
            ),
            (
                hex!(
                    "9328da16089fcba9bececa81663203989f2df5fe1faa6291a45381c81bd17f76139c6d6b623b42da56557e5e734a43dc83345ddfadec52cbe24d0cc64f5507931c"
                ),
                b256!("9328da16089fcba9bececa81663203989f2df5fe1faa6291a45381c81bd17f76"),
                b256!("939c6d6b623b42da56557e5e734a43dc83345ddfadec52cbe24d0cc64f550793"),
            ),
        ];
        for (signature, r, vs) in cases {
            assert_eq!(compact(&signature), Ok((r, vs)));
        }
        let good = signed();
        assert_eq!(compact(&twin(&good)), Err(SignatureError::HighS));
        assert_eq!(compact(&good[..64]), Err(SignatureError::Length(64)));
        assert_eq!(compact(&[&good[..64], &[1]].concat()), Err(SignatureError::V(1)));
    }

    #[test]
    fn half_the_order_itself_is_low() {
        let mut edge = signed();
        edge[32..64].copy_from_slice(&HALF_ORDER.to_be_bytes::<32>());
        assert_ne!(recover(DIGEST, &edge), Err(SignatureError::HighS));
        edge[32..64].copy_from_slice(&(HALF_ORDER + U256::ONE).to_be_bytes::<32>());
        assert_eq!(recover(DIGEST, &edge), Err(SignatureError::HighS));
    }

    fn signed() -> [u8; 65] {
        hex!(
            "e7c93726a865578504442b1a6827f676e0ed74bdff2be3960d1e253bbcfc44626aa772b878bc912bdbb33a0014ec507c4b3896ea85aa914b74dee9b7ac3e56da1c"
        )
    }
}
