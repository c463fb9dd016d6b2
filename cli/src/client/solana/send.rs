//! Transactions of a wallet: signed, sent, sent again while they can still be included, and waited for.

use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::SigningKey;
use protocol::{
    chain::{Address, TransactionId},
    solana::{Failed, Instruction, Pubkey, Transaction, decode_failure, from_key, key_of},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{
    key,
    rpc::{Chain, Objection},
};
use crate::client::chain::Sent;

/// Between two looks at a transaction.
const LOOK: Duration = Duration::from_millis(50);
/// Between two times that the same bytes are sent: a node drops what it cannot pass on at once.
const AGAIN: Duration = Duration::from_secs(2);
/// JSON-RPC's number for a transaction that would fail.
const WOULD_FAIL: i64 = -32_002;
/// Payments that fit a transaction.
const PAYMENTS: usize = 16;
/// The number of `Transfer` among the system program's instructions.
const TRANSFER: u32 = 2;

/// A wallet on a cluster.
#[derive(Clone, Debug)]
pub struct Wallet {
    /// The cluster.
    pub chain: Chain,
    key: SigningKey,
}

/// What a transaction came to.
#[derive(Deserialize)]
struct Landed {
    meta: Meta,
}

#[derive(Deserialize)]
struct Meta {
    fee: u64,
}

/// The deal that a transaction is about: its `fund_by`, which tells a deal that is over from one that never was.
pub type FundBy = Option<u64>;

impl Wallet {
    pub(super) const fn new(chain: Chain, key: SigningKey) -> Self {
        Self { chain, key }
    }

    /// Its key as the program has it.
    pub fn key(&self) -> Pubkey {
        key_of(&self.key)
    }

    /// Its address.
    pub fn address(&self) -> Address {
        from_key(&self.key())
    }

    /// Sends these instructions as one transaction and waits until it is confirmed. What would fail is not sent.
    pub async fn send(&self, what: &str, instructions: &[Instruction], fund_by: FundBy) -> Result<Sent> {
        let (blockhash, last_height) = self.chain.blockhash().await?;
        let signed = Transaction::sign(instructions, &[&self.key], blockhash)
            .map_err(|error| anyhow!("{what}: {error}"))?;
        if let Err(objection) = self.hand_in(&signed, false).await? {
            return Err(self.refused(what, &objection, fund_by).await);
        }
        let slot = self.included(what, &signed, last_height, fund_by).await?;
        Ok(Sent {
            what: what.to_owned(),
            transaction: TransactionId::Solana(signed.signature),
            block: slot,
            from: self.address(),
            fee_paid: self.fee(&signed.signature).await?.into(),
            rent_paid: 0,
        })
    }

    /// Pays lamports to each of them.
    pub async fn pay(&self, payments: &[(Address, u128)]) -> Result<()> {
        for some in payments.chunks(PAYMENTS) {
            let each = some.iter().map(|(to, value)| {
                let lamports =
                    u64::try_from(*value).map_err(|_| anyhow!("pay {value}: more lamports than fit"))?;
                Ok(transfer(self.key(), key("account", *to)?, lamports))
            });
            self.send("pay", &each.collect::<Result<Vec<_>>>()?, None).await?;
        }
        Ok(())
    }

    async fn hand_in(&self, signed: &Transaction, unseen: bool) -> Result<Result<Value, Objection>> {
        let config = json!({
            "encoding": "base64", "skipPreflight": unseen, "preflightCommitment": "confirmed", "maxRetries": 0,
        });
        self.chain.tried("sendTransaction", json!([STANDARD.encode(&signed.bytes), config])).await
    }

    /// Waits until a block holds it, for as long as one may, and answers its slot.
    async fn included(
        &self,
        what: &str,
        signed: &Transaction,
        last_height: u64,
        fund_by: FundBy,
    ) -> Result<u64> {
        let mut sent = Instant::now();
        loop {
            // Read first: what is not found after the last block that may hold it, is in none.
            let height = self.chain.block_height().await?;
            let status = self.chain.status(&signed.signature).await?;
            match status {
                Some(status) if status.is_confirmed() => {
                    return match status.err {
                        None => Ok(status.slot),
                        Some(error) => Err(self.failed(what, &error, fund_by).await),
                    };
                }
                None if height > last_height => bail!(
                    "{what}: no block took transaction {} in time, and none will: nothing has happened",
                    TransactionId::Solana(signed.signature)
                ),
                _ => {}
            }
            if sent.elapsed() > AGAIN {
                sent = Instant::now();
                // Whatever it says: the status is what counts.
                let _ = self.hand_in(signed, true).await;
            }
            sleep(LOOK).await;
        }
    }

    async fn fee(&self, signature: &[u8; 64]) -> Result<u64> {
        let name = bs58::encode(signature).into_string();
        let config =
            json!({ "commitment": "confirmed", "maxSupportedTransactionVersion": 0, "encoding": "json" });
        let landed: Option<Landed> = self.chain.ask("getTransaction", json!([name, config])).await?;
        Ok(landed.ok_or_else(|| anyhow!("getTransaction: the node forgot {name}"))?.meta.fee)
    }

    async fn refused(&self, what: &str, objection: &Objection, fund_by: FundBy) -> anyhow::Error {
        match objection.data.get("err") {
            Some(error) if objection.code == WOULD_FAIL => self.failed(what, error, fund_by).await,
            _ => anyhow!("{what}: {} ({})", objection.message, objection.code),
        }
    }

    /// A failure in the program's own words where it has some.
    async fn failed(&self, what: &str, error: &Value, fund_by: FundBy) -> anyhow::Error {
        let code = error.pointer("/InstructionError/1/Custom").and_then(Value::as_u64);
        let Some(code) = code.and_then(|code| u32::try_from(code).ok()) else {
            return anyhow!("{what}: the transaction fails: {error}");
        };
        let now = self.chain.now().await;
        let deal = fund_by.zip(now.ok());
        match decode_failure(code, deal) {
            Failed::Refused(name) => anyhow!("{what}: the program refuses: {name}"),
            Failed::Account(number) => {
                anyhow!("{what}: an account is not there or not what it should be (Anchor's error {number})")
            }
            Failed::Other(number) => anyhow!("{what}: the transaction fails: error {number} of a program"),
        }
    }
}

fn transfer(from: Pubkey, to: Pubkey, lamports: u64) -> Instruction {
    use protocol::solana::AccountMeta;
    let data = [TRANSFER.to_le_bytes().as_slice(), &lamports.to_le_bytes()].concat();
    let accounts = vec![AccountMeta::new(from, true), AccountMeta::new(to, false)];
    // The system program's address is all zeros.
    Instruction { program_id: Pubkey::default(), accounts, data }
}
