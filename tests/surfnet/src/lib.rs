//! A Solana node in this process, with JSON-RPC and WebSocket as a validator has them, and the committed program on it.
//!
//! It produces a block every slot; a slot is confirmed one slot later and final 31 slots later. It keeps nothing: every
//! start is a new chain, with a genesis hash of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs,
    reason = "test code"
)]

mod node;
mod tokens;

use std::time::{Duration, Instant};

use anyhow::Context as _;
use protocol::solana::{self, Instruction, Pubkey};
use serde_json::{Value, json};
use solana_rpc_client::nonblocking::rpc_client::RpcClient;
use solana_rpc_client_types::{config::RpcSendTransactionConfig, request::RpcRequest};
use solana_sdk::{
    message::Message,
    signature::{Keypair, Signature, Signer},
    transaction::{Transaction, TransactionError},
};

pub use node::{Ports, SLOT_MS};
pub use solana_commitment_config::CommitmentConfig;
pub use solana_sdk;
pub use tokens::TOKEN;

/// The longest that anything may take to come true.
const DEADLINE: Duration = Duration::from_secs(60);
/// Between two looks at something that has to come true.
const LOOK: Duration = Duration::from_millis(10);
/// Milliseconds of a slot in tests: a transaction is confirmed in 0.1 s and final in 1.6 s.
const TEST_SLOT_MS: u64 = 50;
/// What two thirds of the cluster voted for: here, every slot but the newest.
pub const CONFIRMED: CommitmentConfig = CommitmentConfig::confirmed();
/// Lamports that keys have in tests: enough for anything, far from the largest number.
pub const ENDOWMENT: u64 = 1_000_000_000_000;

/// A running node; stopped when dropped.
pub struct Surfnet {
    node: node::Node,
    rpc: RpcClient,
}

/// The key of a number: the same in every run.
pub fn keypair(number: u64) -> Keypair {
    Keypair::new_from_array(alloy::primitives::keccak256(number.to_be_bytes()).0)
}

/// A key as the program has it.
pub fn key(of: &Keypair) -> Pubkey {
    Pubkey::new_from_array(of.pubkey().to_bytes())
}

impl Surfnet {
    /// For tests: at free ports, with short slots and the program.
    pub async fn start() -> Self {
        Self::launch(Ports::free(), TEST_SLOT_MS).await.expect("a node")
    }

    /// At these ports, with slots of `slot_ms` milliseconds and the committed program.
    ///
    /// # Errors
    /// A port is taken, or the program's file cannot be read.
    pub async fn launch(ports: Ports, slot_ms: u64) -> anyhow::Result<Self> {
        let node = tokio::task::spawn_blocking(move || node::Node::start(ports, slot_ms)).await??;
        let rpc = RpcClient::new_with_commitment(node.ports.rpc_url(), CommitmentConfig::confirmed());
        let this = Self { node, rpc };
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../programs/artefacts/earnest.so");
        let program = std::fs::read(file).with_context(|| format!("the program in {file}"))?;
        let id = solana::program().to_string();
        this.ask("surfnet_writeProgram", json!([id, alloy::hex::encode(program), 0])).await?;
        Ok(this)
    }

    /// JSON-RPC over HTTP.
    pub fn rpc_url(&self) -> String {
        self.node.ports.rpc_url()
    }

    /// WebSocket.
    pub fn ws_url(&self) -> String {
        self.node.ports.ws_url()
    }

    /// A client of it, at commitment `confirmed`.
    pub const fn rpc(&self) -> &RpcClient {
        &self.rpc
    }

    /// Any method, those of the node's own that change it at will among them.
    ///
    /// # Errors
    /// The node refuses it.
    pub async fn ask(&self, method: &'static str, params: Value) -> anyhow::Result<Value> {
        Ok(self.rpc.send(RpcRequest::Custom { method }, params).await?)
    }

    /// The newest slot of a commitment.
    pub async fn slot(&self, commitment: CommitmentConfig) -> u64 {
        self.rpc.get_slot_with_commitment(commitment).await.expect("a slot")
    }

    /// Unix seconds as programs see them.
    pub async fn now(&self) -> u64 {
        let clock = "SysvarC1ock11111111111111111111111111111111".parse().expect("an address");
        let data = self.rpc.get_account_data(&clock).await.expect("the clock");
        u64::from_le_bytes(data[32..40].try_into().expect("8 bytes"))
    }

    /// Moves the clock forward. Slots pass with it, at their pace.
    pub async fn pass_time(&self, seconds: u64) {
        let until = self.now().await + seconds;
        let travel = json!([{ "absoluteTimestamp": until * 1_000 }]);
        self.ask("surfnet_timeTravel", travel).await.expect("the clock moves");
        self.until("the clock", || async { self.now().await >= until }).await;
    }

    /// Gives an account that many lamports.
    pub async fn endow(&self, account: &Pubkey, lamports: u64) {
        let params = json!([account.to_string(), { "lamports": lamports }]);
        self.ask("surfnet_setAccount", params).await.expect("an endowment");
    }

    /// Sends a transaction, whatever will come of it, and waits until it is confirmed. The first of the signers pays; others
    /// sign where they have to.
    ///
    /// # Errors
    /// It failed on chain.
    pub async fn send(
        &self,
        instructions: &[Instruction],
        signers: &[&Keypair],
    ) -> Result<Signature, TransactionError> {
        let (signature, outcome) = self.put(instructions, signers).await;
        outcome.map(|()| signature)
    }

    /// As [`Self::send`], but answers the signature of what failed too.
    pub async fn put(
        &self,
        instructions: &[Instruction],
        signers: &[&Keypair],
    ) -> (Signature, Result<(), TransactionError>) {
        let blockhash = self.rpc.get_latest_blockhash().await.expect("a blockhash");
        let message = Message::new(instructions, Some(&signers[0].pubkey()));
        let needed = message.signer_keys();
        let signers: Vec<&Keypair> =
            signers.iter().copied().filter(|signer| needed.contains(&&signer.pubkey())).collect();
        let transaction = Transaction::new(&signers, message.clone(), blockhash);
        let config = RpcSendTransactionConfig { skip_preflight: true, ..RpcSendTransactionConfig::default() };
        let sent = self.rpc.send_transaction_with_config(&transaction, config).await;
        let signature = sent.expect("the node takes the transaction");
        let started = Instant::now();
        loop {
            let statuses = self.rpc.get_signature_statuses(&[signature]).await.expect("an answer").value;
            if let Some(status) = statuses.into_iter().flatten().next()
                && status.satisfies_commitment(CommitmentConfig::confirmed())
            {
                return (signature, status.status);
            }
            assert!(started.elapsed() < DEADLINE, "{signature} is not confirmed");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until something is so.
    pub async fn until<F: Future<Output = bool>>(&self, what: &str, holds: impl Fn() -> F) {
        let started = Instant::now();
        while !holds().await {
            assert!(started.elapsed() < DEADLINE, "{what} did not come true");
            tokio::time::sleep(LOOK).await;
        }
    }
}
