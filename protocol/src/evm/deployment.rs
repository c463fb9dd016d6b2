//! Where the contracts are: at one address on every chain, which proves their code.
//!
//! Every contract is deployed by CREATE2 (EIP-1014) through the deterministic deployment proxy, a contract that itself has
//! one address everywhere (<https://github.com/Arachnid/deterministic-deployment-proxy>). So an address is a hash of the
//! proxy's address, [`SALT`] and the code that runs once at the deployment: nobody can place anything else there, and
//! anybody can place this. The constructors take no arguments. The code that stays behind differs from chain to chain all
//! the same, because the contracts keep their EIP-712 domain in it.
//!
//! `abi/manifest.json` is written by `contracts/artefacts.mjs`.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256, Bytes, address, b256, bytes, keccak256};
use serde::{Deserialize, Serialize};

use super::{court::CourtArbiter, escrow::Escrow, mediator::Mediator, pools::ArbitrationPools};

/// The deterministic deployment proxy.
pub const PROXY: Address = address!("4e59b44847b379578588920cA78FbF26c0B4956C");

/// The proxy's code: CREATE2 of what follows the first 32 bytes of its input, with these as the salt.
pub const PROXY_CODE: Bytes = bytes!(
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
);

/// The one transaction that creates the proxy, signed with a made-up signature so that nobody has the key. It names no
/// chain, so every chain takes it, except where nodes insist on EIP-155.
pub const PROXY_CREATION: Bytes = bytes!(
    "f8a58085174876e800830186a08080b853604580600e600039806000f350fe7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf31ba02222222222222222222222222222222222222222222222222222222222222222a02222222222222222222222222222222222222222222222222222222222222222"
);

/// Who signed [`PROXY_CREATION`] and pays for it.
pub const PROXY_CREATOR: Address = address!("3fAB184622Dc19b6109349B94811493BF2a45362");

/// What [`PROXY_CREATION`] may cost, in wei: 100,000 gas at 100 gwei.
pub const PROXY_COST: u128 = 100_000 * 100_000_000_000;

/// The salt of all contracts: `earnest 1` in ASCII, then zeros.
pub const SALT: B256 = b256!("6561726e65737420310000000000000000000000000000000000000000000000");

/// The escrow's name in the manifest.
pub const ESCROW: &str = "Escrow";
/// The name of the arbitration pools in the manifest.
pub const POOLS: &str = "ArbitrationPools";
/// The mediator's name in the manifest.
pub const MEDIATOR: &str = "Mediator";
/// The court arbiter's name in the manifest.
pub const COURT: &str = "CourtArbiter";

/// A contract and the settings by which its code came about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// As in the sources.
    pub name: String,
    /// On every chain.
    pub address: Address,
    /// Who creates it: [`PROXY`].
    pub factory: Address,
    /// [`SALT`].
    pub salt: B256,
    /// Keccak-256 of the code that runs at the deployment.
    pub init_code_hash: B256,
    /// By what the code was made.
    pub compiler: Compiler,
    /// The code that runs at the deployment.
    #[serde(skip)]
    pub init_code: Bytes,
}

/// Settings of the Solidity compiler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compiler {
    /// With its commit.
    pub version: String,
    /// The oldest EVM that runs the code.
    pub evm_version: String,
    /// Whether by the intermediate representation.
    pub via_ir: bool,
    /// How often the optimizer thinks the code runs.
    pub optimizer_runs: u64,
}

/// Why the manifest in this program is not that of its contracts. No released program has this.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not the JSON that it must be.
    #[error("protocol/abi/manifest.json: {0}")]
    Json(#[from] serde_json::Error),
    /// A contract without code here.
    #[error("protocol/abi/manifest.json: no code of {0} is known")]
    Unknown(String),
    /// No such contract.
    #[error("protocol/abi/manifest.json: {0} is missing")]
    Missing(&'static str),
    /// Hash or address is not that of the code.
    #[error("protocol/abi/manifest.json: the entry of {0} is not that of its code: run artefacts.mjs")]
    Other(String),
}

/// The contracts that are deployed, in the order of their deployment.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// Each with its place.
    pub contracts: Vec<Contract>,
}

impl Manifest {
    /// The contract of this name.
    ///
    /// # Errors
    /// There is none.
    pub fn get(&self, name: &'static str) -> Result<&Contract, ManifestError> {
        self.contracts.iter().find(|one| one.name == name).ok_or(ManifestError::Missing(name))
    }
}

impl Contract {
    /// What [`PROXY`] is sent to create the contract.
    pub fn creation(&self) -> Bytes {
        [self.salt.as_slice(), &self.init_code].concat().into()
    }

    fn is_of(&self, code: &Bytes) -> bool {
        self.factory == PROXY
            && self.salt == SALT
            && self.init_code_hash == keccak256(code)
            && self.address == address_of(code)
    }
}

/// Where the code that runs at a deployment lands, on every chain.
pub fn address_of(init_code: &[u8]) -> Address {
    PROXY.create2_from_code(SALT, init_code)
}

/// The manifest in this program, checked against its code.
///
/// # Errors
/// They do not belong together.
pub fn manifest() -> Result<Manifest, ManifestError> {
    let mut listed: BTreeMap<String, Vec<Contract>> =
        serde_json::from_str(include_str!("../../abi/manifest.json"))?;
    let mut contracts = listed.remove("contracts").unwrap_or_default();
    for contract in &mut contracts {
        let code = init_code(&contract.name).ok_or_else(|| ManifestError::Unknown(contract.name.clone()))?;
        if !contract.is_of(code) {
            return Err(ManifestError::Other(contract.name.clone()));
        }
        contract.init_code = code.clone();
    }
    Ok(Manifest { contracts })
}

fn init_code(name: &str) -> Option<&'static Bytes> {
    match name {
        ESCROW => Some(&Escrow::BYTECODE),
        POOLS => Some(&ArbitrationPools::BYTECODE),
        MEDIATOR => Some(&Mediator::BYTECODE),
        COURT => Some(&CourtArbiter::BYTECODE),
        _ => None,
    }
}

/// An instruction by which a contract could become another or vanish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} at byte {at}")]
pub struct Unsteady {
    /// Its mnemonic.
    pub name: &'static str,
    /// Its place in the code.
    pub at: usize,
}

/// The first instruction by which this code could run other code in its own name (DELEGATECALL, CALLCODE) or vanish
/// (SELFDESTRUCT). A DELEGATECALL directly after ADDRESS and GAS takes itself as its target, and nothing else.
///
/// It reads as the EVM does when it looks for places to jump to: from the first byte on, leaping over what PUSH carries.
/// Execution never leaves that grid, and neither GAS nor DELEGATECALL can be jumped to; so what is not found cannot run.
/// What is found may be data.
pub fn unsteady(code: &[u8]) -> Option<Unsteady> {
    const ADDRESS: u8 = 0x30;
    const GAS: u8 = 0x5a;
    let mut skip = 0_u8;
    let (mut last_but_one, mut last) = (0, 0);
    for (at, byte) in code.iter().enumerate() {
        if skip > 0 {
            skip = skip.saturating_sub(1);
            continue;
        }
        let name = match byte {
            0xf2 => Some("CALLCODE"),
            0xf4 if (last_but_one, last) != (ADDRESS, GAS) => Some("DELEGATECALL"),
            0xff => Some("SELFDESTRUCT"),
            _ => None,
        };
        if let Some(name) = name {
            return Some(Unsteady { name, at });
        }
        if (0x60..=0x7f).contains(byte) {
            skip = byte.saturating_sub(0x5f);
        }
        (last_but_one, last) = (last, *byte);
    }
    None
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Signature, U256, hex};

    use super::*;
    use crate::evm::{
        court::CourtArbiter::CourtArbiterCalls, escrow::Escrow::EscrowCalls,
        mediator::Mediator::MediatorCalls, pools::ArbitrationPools::ArbitrationPoolsCalls,
    };

    /// The examples of EIP-1014, so that the rule itself is not ours.
    #[test]
    fn addresses_are_those_of_eip_1014() {
        let zero = Address::ZERO.create2_from_code(B256::ZERO, hex!("00"));
        assert_eq!(zero, address!("4D1A2e2bB4F88F0250f26Ffff098B0b30B26BF38"));
        let salt = b256!("00000000000000000000000000000000000000000000000000000000cafebabe");
        let some =
            address!("00000000000000000000000000000000deadbeef").create2_from_code(salt, hex!("deadbeef"));
        assert_eq!(some, address!("60f3f640a8508fC6a86d45DF051962668E1e8AC7"));
    }

    #[test]
    fn the_manifest_is_that_of_the_committed_code() {
        let manifest = manifest().unwrap();
        let names: Vec<&str> = manifest.contracts.iter().map(|one| one.name.as_str()).collect();
        let mut files: Vec<String> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/abi"))
            .unwrap()
            .map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .filter(|name| name != "manifest" && name != "TestToken")
            .collect();
        files.sort_unstable();
        let mut listed = names.clone();
        listed.sort_unstable();
        assert_eq!(listed, files, "every contract that is deployed is in the manifest, and nothing else");
        for contract in &manifest.contracts {
            assert_eq!(contract.address, address_of(&contract.init_code));
            let creation = contract.creation();
            assert_eq!((&creation[..32], &creation[32..]), (SALT.as_slice(), &contract.init_code[..]));
        }
        let mut other = manifest.get(ESCROW).unwrap().clone();
        other.address = Address::ZERO;
        assert!(!other.is_of(&other.init_code));
    }

    #[test]
    fn the_salt_says_what_it_is() {
        assert_eq!(SALT.as_slice().split(|byte| *byte == 0).next(), Some(b"earnest 1".as_slice()));
    }

    /// The transaction says itself who signed it, what it costs and what comes of it.
    #[test]
    fn the_proxys_transaction_is_what_the_constants_say() {
        let raw = PROXY_CREATION;
        let signature = &raw[raw.len() - 67..];
        assert_eq!((signature[0], signature[1], signature[34]), (27, 0xa0, 0xa0));
        let number = U256::from_be_slice(&[0x22; 32]);
        assert_eq!(U256::from_be_slice(&signature[2..34]), number);
        assert_eq!(U256::from_be_slice(&signature[35..]), number);
        // What is signed is the list without the signature: 0xf8 and one byte of length come first.
        let body = &raw[2..raw.len() - 67];
        let length = u8::try_from(body.len()).unwrap();
        let digest = keccak256([&[0xf8, length], body].concat());
        let signer = Signature::new(number, number, false).recover_address_from_prehash(&digest).unwrap();
        assert_eq!(signer, PROXY_CREATOR);
        // Keccak-256 of the RLP list of creator and nonce 0.
        let created = keccak256([&hex!("d694")[..], PROXY_CREATOR.as_slice(), &hex!("80")].concat());
        assert_eq!(Address::from_word(created), PROXY);
        let (price, gas) = (hex!("85174876e800"), hex!("830186a0"));
        assert_eq!((&body[1..7], &body[7..11]), (&price[..], &gas[..]));
        let price = U256::from_be_slice(&price[1..]);
        assert_eq!(U256::from_be_slice(&gas[1..]).checked_mul(price), Some(U256::from(PROXY_COST)));
        assert!(body.ends_with(&PROXY_CODE));
    }

    #[test]
    fn code_is_read_as_the_evm_reads_it() {
        assert_eq!(unsteady(&hex!("60f4 5b 00")), None);
        assert_eq!(unsteady(&hex!("5f f4")), Some(Unsteady { name: "DELEGATECALL", at: 1 }));
        assert_eq!(unsteady(&hex!("60f4 ff")), Some(Unsteady { name: "SELFDESTRUCT", at: 2 }));
        let push32 = [&[0x7f_u8][..], &[0xf2; 32], &[0xf2]].concat();
        assert_eq!(unsteady(&push32), Some(Unsteady { name: "CALLCODE", at: 33 }));
        assert_eq!(unsteady(&hex!("61")), None);
        assert_eq!(unsteady(&hex!("305af4")), None);
        assert_eq!(unsteady(&hex!("305b5af4")), Some(Unsteady { name: "DELEGATECALL", at: 3 }));
        assert_eq!(unsteady(&hex!("61305af4")), Some(Unsteady { name: "DELEGATECALL", at: 3 }));
    }

    /// What `unsteady` cannot see: a function that serves an owner. The list is what such functions are called.
    #[test]
    fn no_function_serves_an_owner() {
        const WORDS: [&str; 15] = [
            "owner",
            "admin",
            "govern",
            "guardian",
            "role",
            "pause",
            "upgrade",
            "implementation",
            "initialize",
            "migrate",
            "sweep",
            "rescue",
            "fee",
            "set",
            "kill",
        ];
        let contracts = [
            EscrowCalls::VARIANT_NAMES,
            ArbitrationPoolsCalls::VARIANT_NAMES,
            MediatorCalls::VARIANT_NAMES,
            CourtArbiterCalls::VARIANT_NAMES,
        ];
        assert_eq!(contracts.len(), manifest().unwrap().contracts.len());
        for name in contracts.concat() {
            let name = name.to_lowercase().replace("settle", "");
            assert!(!WORDS.iter().any(|word| name.contains(word)), "{name}");
        }
    }
}
