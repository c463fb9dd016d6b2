//! Proof of personhood: who shows that it is a person, by which provider, and until when.
//!
//! `brightid.rs` (a BrightID node's signed word), `humanity.rs` (a Proof of Humanity registry on an EVM chain), `store.rs`.
//! A provider answers with the one name under which it knows the person, so that nobody is a person twice.

pub(super) mod brightid;
mod humanity;
pub(in crate::identity) mod store;

use protocol::chain::AccountId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::AnyConnection;

use crate::{
    Hub,
    error::{Error, Refusal},
    identity::store::account_of_wallet,
    ledger,
    records::{Accepted, Record},
};

/// How long a proof is good, in milliseconds: 90 days. After that the provider is asked again.
const LIFE_MS: i64 = 90 * 24 * 60 * 60 * 1000;

/// `personhood@1`: its author is a person, as a provider can say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Claim {
    /// BrightID has linked a unique person to the account's id.
    #[serde(rename = "brightid")]
    BrightId {},
    /// A wallet of the account stands in a registry of humans on its chain.
    ProofOfHumanity {
        /// The registry, one of this hub's.
        registry: AccountId,
        /// The wallet.
        wallet: AccountId,
    },
    /// Everybody who says so is one: for a market on one machine.
    StandIn {},
}

impl Claim {
    /// The provider's name, as the database and JSON write it.
    const fn provider(&self) -> &'static str {
        match self {
            Self::BrightId {} => "brightid",
            Self::ProofOfHumanity { .. } => "proof_of_humanity",
            Self::StandIn {} => "stand_in",
        }
    }
}

/// What a provider said.
#[derive(Serialize, Deserialize)]
struct Shown {
    /// The provider's one name of the person.
    unique: String,
    /// Unix milliseconds.
    until: i64,
}

fn corrupt(error: impl std::fmt::Display) -> Error {
    Error::Corrupt(format!("personhood: {error}"))
}

fn not_here(what: &str) -> Refusal {
    Refusal::rule("unknown_provider", "/body", format!("this hub does not take {what}"))
}

/// Asks the provider, before the transaction.
pub(super) async fn prepare(hub: &Hub, record: &Record) -> Result<Value, Error> {
    let (account, now) = (record.account(), hub.clock.now_ms());
    let claim: Claim = record.body_as()?;
    let known = match &claim {
        Claim::BrightId {} => {
            let node = hub.brightid.as_ref().ok_or_else(|| not_here("the word of BrightID"))?;
            node.person(&account.to_string(), now).await?
        }
        Claim::ProofOfHumanity { registry, wallet } => {
            if !hub.config.humanity_registries.contains(registry) {
                return Err(not_here(&format!("the registry {registry}")).into());
            }
            if wallet.chain != registry.chain {
                let told = format!("{wallet} must be on the registry's chain, {}", registry.chain);
                return Err(Refusal::rule("wallet_chain", "/body/proof_of_humanity/wallet", told).into());
            }
            own(&mut *hub.db.reader().acquire().await?, record, wallet).await?;
            humanity::person(&hub.indexers, *registry, *wallet).await?
        }
        Claim::StandIn {} if hub.config.personhood_stand_in => Some(account.to_string()),
        Claim::StandIn {} => return Err(not_here("a word without a provider").into()),
    };
    let unique = known.ok_or_else(|| {
        let told = format!("{} knows no person behind account {account}", claim.provider());
        Refusal::rule("not_a_person", "/body", told)
    })?;
    Ok(json!(Shown { unique, until: now.saturating_add(LIFE_MS) }))
}

async fn own(on: &mut AnyConnection, record: &Record, wallet: &AccountId) -> Result<(), Error> {
    if account_of_wallet(on, wallet).await? == Some(record.account()) {
        return Ok(());
    }
    let told = format!("{wallet} is no wallet of the author: link it with wallet@1");
    Err(Refusal::rule("foreign_wallet", "/body/proof_of_humanity/wallet", told).into())
}

/// Keeps what the provider said, unless the person stands for another account, or stood for one and left a debt with it.
pub(super) async fn apply(on: &mut AnyConnection, accepted: &Accepted) -> Result<(), Error> {
    let Accepted { record, received_at: now, .. } = accepted;
    let claim: Claim = record.body_as()?;
    let Shown { unique, until } = Shown::deserialize(&accepted.facts).map_err(corrupt)?;
    if let Claim::ProofOfHumanity { wallet, .. } = &claim {
        own(on, record, wallet).await?;
    }
    let account = record.account();
    if let Some((other, ends)) = store::holder(on, claim.provider(), &unique).await?
        && other != account
    {
        if ends > *now {
            let told = "this person stands for another account of this hub";
            return Err(Refusal::conflict("person_known", "/body", told).into());
        }
        // Credit is given to a person: who leaves a debt behind with an account is not given another.
        if ledger::owes(on, &other).await? {
            let told = "this person stood for another account of this hub, which has less than nothing: settle that first";
            return Err(Refusal::conflict("person_owes", "/body", told).into());
        }
    }
    store::put(on, claim.provider(), &unique, &account, *now, until).await
}
