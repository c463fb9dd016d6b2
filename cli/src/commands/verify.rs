//! `earnest verify`: what anyone can check without trusting a hub. A check that does not hold ends with exit code 3.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use hub::{
    records::{Consistency, Device, Record},
    reputation::{
        PROOF_OF_PERSONHOOD,
        bundle::{self, Bundle, Verdict},
        exchange::{self, Exchange},
        heading::{self, Basis},
        model::{self, Kind},
        presentation::{self, Asked},
    },
};
use protocol::{
    chain::AccountId,
    evm::{
        address_of,
        deployment::{ESCROW, POOLS, manifest},
    },
    solana::from_key,
};
use serde_json::{Value, json};

use super::{
    Session,
    log::{head_of, newest, trusted},
    verify_deal::{self, DealArgs, read},
    verify_loss,
};
use crate::{
    client::{
        chain::Chain,
        credential::{check, device_of, records_of, standing},
        evm::{self, deployment},
        hub::now,
        personhood::{self, Trusted},
        solana,
    },
    exit::Failure,
};

const HUBS_WORD: &str = "a DisputeLostCredential is a hub's word, and no --trust names the hub's key";

const CONTRACTS: &str = "\
Checks the contracts on a chain, at their published addresses or at those that you name. What holds then:

- The code there is, to the last byte, what the code in this binary leaves there: the node runs the deployment again, in a \
call that changes nothing, and the two are compared.
- That code has no CALLCODE, no SELFDESTRUCT, and no DELEGATECALL to anything but itself, so it is no proxy, runs nobody \
else's code in its own name, cannot be replaced and cannot vanish.
- A published address is a hash of that code, so nothing else can be there on any chain.

On Solana there is one program. Its code must be, to the last byte, the code in this binary, and nobody may hold its \
upgrade authority; who does is named. Its address is a key and no hash, so the address alone says nothing.

That no function of it serves an owner (no admin, pause, upgrade, fee or sweep) cannot be seen from outside: read the \
sources, and `npm run artefacts:check` in contracts shows that this code is what they compile to.";

/// Checks.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Check a credential: its form and signature, that its issuer may speak for the party's wallet, that the deal's id is
    /// the hash of its terms, that the chain says of the deal what the credential says, and, where a hub is named whose word
    /// you take, that it was not revoked. Of one about a payment in hours: that the payer's device signed both, by the records.
    /// Of a DisputeLostCredential about a grievance, without any chain: that the hub whose word you take says so.
    /// Of a ProofOfPersonhoodCredential, without any chain: that the hub whose word you take signed it as its did:web, and that
    /// its day is not over
    #[command(
        after_help = "Examples:\n  earnest verify credential credential.json --rpc http://127.0.0.1:8545\n  \
            earnest verify credential thanks.json --record transfer.json --record payer.json --record payee.json\n  \
            earnest verify credential person.json --hub https://hub.example"
    )]
    Credential(CredentialArgs),
    /// Check a presentation: that whoever has the key of its credentials signed it for you and this occasion, that each
    /// credential is its issuer's and in its time, and, where a hub is named whose word you take, that none was revoked
    #[command(
        after_help = "Example:\n  earnest verify presentation shown.json --challenge 7fQ2 --domain https://shop.example --hub https://hub.example"
    )]
    Presentation(PresentationArgs),
    /// Check a deal in one file, without any server: signatures, terms, agreement, ballots counted again, credentials and their
    /// status when the file was made. What only a chain or a hub can say is told as unknown. A grievance: each step in its turn, each
    /// draw of jurors by its lots, ballots counted again and what they come to
    #[command(
        after_help = "Examples:\n  earnest --as buyer credential bundle zQmPurchase… > bundle.json\n  \
        earnest --as ida grievance bundle zQmGrievance… > bundle.json\n  \
        earnest verify bundle bundle.json --trust did:key:z6Mk…"
    )]
    Bundle(BundleArgs),
    /// Check a hub's log: that it goes on from a head that the hub signed before, with nothing changed, left out or moved
    #[command(after_help = "Examples:\n  earnest --json log head --hub https://hub.example > head.json\n  \
        earnest verify log head.json --hub https://hub.example\n  earnest verify log bundle.json --hub https://hub.example --trust did:key:z6Mk…")]
    Log(LogArgs),
    /// Check contracts: that they are the ones in this binary, and cannot change
    #[command(long_about = CONTRACTS, after_help = "Examples:\n  earnest verify contracts --rpc http://127.0.0.1:8545\n  \
        earnest verify contracts --rpc http://127.0.0.1:8545 --escrow eip155:31337:0x…")]
    Contracts(ContractsArgs),
    /// Check a deal: its terms, its id, its escrow, and what can be done with it
    #[command(long_about = verify_deal::ABOUT, after_help = verify_deal::EXAMPLES)]
    Deal(DealArgs),
}

/// Which credential, and whose word counts.
#[derive(Args, Debug)]
pub struct CredentialArgs {
    /// A file with the credential (JSON: an object, or a token as a string)
    file: PathBuf,
    /// The hub whose word on lost disputes, revocations and persons you take, by its did:key [default: that of --hub]
    #[arg(long, value_name = "DID")]
    trust: Option<Device>,
    /// The escrow whose events you take for the truth [default: any with the code in this binary]
    #[arg(long, value_name = "CAIP-10")]
    escrow: Option<AccountId>,
    /// Of one about a payment in hours: a file with a signed record, which are the payment, the hold@1 of a capture@1, the
    /// identity@1 of payer and payee, and the device@1 of a device that joined later [default: those of --hub]
    #[arg(long = "record", value_name = "FILE")]
    records: Vec<PathBuf>,
}

/// Which presentation, and what was asked for.
#[derive(Args, Debug)]
pub struct PresentationArgs {
    /// A file with the presentation (JSON: an object, or a token as a string)
    file: PathBuf,
    /// What you drew for this occasion
    #[arg(long)]
    challenge: String,
    /// Yourself, as you named yourself to the holder
    #[arg(long)]
    domain: String,
    /// The hub whose credentials and revocations you believe, by its did:key [default: that of --hub]
    #[arg(long, value_name = "DID")]
    trust: Option<Device>,
}

/// Which bundle, and whose word counts.
#[derive(Args, Debug)]
pub struct BundleArgs {
    /// A file with the bundle (JSON)
    file: PathBuf,
    /// The hub whose word you take on events, order and revocations, by its did:key
    #[arg(long, value_name = "DID")]
    trust: Device,
}

/// Which log, and whose word counts.
#[derive(Args, Debug)]
pub struct LogArgs {
    /// A file with an earlier head (JSON), or with a bundle, which has one
    file: PathBuf,
    /// The hub whose log it is, by its did:key [default: that of --hub]
    #[arg(long, value_name = "DID")]
    trust: Option<Device>,
}

/// Which contracts.
#[derive(Args, Debug)]
pub struct ContractsArgs {
    /// The escrow [default: at its published address]
    #[arg(long, value_name = "CAIP-10")]
    escrow: Option<AccountId>,
    /// The pools contract [default: at its published address]
    #[arg(long, value_name = "CAIP-10")]
    arbiter: Option<AccountId>,
}

/// Does it.
pub async fn run(session: &Session, verb: Verb) -> Result<()> {
    match verb {
        Verb::Credential(arguments) => credential(session, arguments).await,
        Verb::Presentation(arguments) => presented(session, arguments).await,
        Verb::Bundle(arguments) => bundle(session, &arguments),
        Verb::Log(arguments) => log(session, arguments).await,
        Verb::Contracts(arguments) => contracts(session, arguments).await,
        Verb::Deal(arguments) => verify_deal::run(session, arguments).await,
    }
}

async fn credential(session: &Session, arguments: CredentialArgs) -> Result<()> {
    let secured: Value = read(&arguments.file)?;
    if personhood::is_one(&secured) {
        return person(session, arguments.trust, &secured).await;
    }
    let basis = heading::read(&secured).ok().map(|heading| heading.rests_on.0);
    if basis == Some(Basis::Exchange) {
        return paid_for(session, &arguments, &secured).await;
    }
    let hub = match arguments.trust {
        Some(device) => Ok(device),
        None => asked_hub(session).await,
    };
    if basis == Some(Basis::Grievance) {
        return verify_loss::run(session, hub.context(HUBS_WORD)?, &secured).await;
    }
    // Only the hub's own credentials need it: for others a hub that does not answer is no failure.
    let read = model::read(&secured).ok();
    let own = read.as_ref().is_some_and(|(_, kind)| *kind == Kind::DisputeLost);
    let hub = match hub {
        Ok(device) => Some(device),
        Err(error) if own => return Err(error.context(HUBS_WORD)),
        Err(_) => None,
    };
    let escrow = read.map(|(credential, _)| credential.subject.terms.escrow);
    let chain = chain_of(session, escrow).await?;
    let held = check(&chain, hub, arguments.escrow, &secured).await?;
    let known = standing(held.status.as_ref(), hub).await;
    if known.is_revoked() {
        return Err(Failure::does_not_hold(format!("the credential is revoked: {}", known.words())));
    }
    let party = held.party.map(|party| party.to_string());
    let value = json!({
        "holds": true, "kind": held.kind.name(), "issuer": held.issuer, "party": party, "subject": held.subject,
        "deal": held.deal, "outcome": held.outcome, "seller_share_bps": held.seller_share_bps, "status": known,
    });
    session.output.one(
        &value,
        &[
            ("holds", "yes".to_owned()),
            ("kind", held.kind.name().to_owned()),
            ("issuer", held.issuer.to_string()),
            ("for", party.unwrap_or_else(|| "the hub".to_owned())),
            ("about", held.subject.to_string()),
            ("deal", held.deal.to_string()),
            ("outcome", held.outcome.as_str().to_owned()),
            ("status", known.words()),
        ],
    )
}

/// A credential about a payment in hours, by the signed records alone.
async fn paid_for(session: &Session, arguments: &CredentialArgs, secured: &Value) -> Result<()> {
    let does_not_hold = |refusal: model::Refusal| {
        Failure::does_not_hold(format!("the credential does not hold: {} ({refusal})", refusal.rule()))
    };
    let mut records = Vec::with_capacity(arguments.records.len());
    for file in &arguments.records {
        let record: Value = read(file)?;
        records.push(Record::read(&record).with_context(|| format!("--record {}", file.display()))?);
    }
    if records.is_empty() {
        let said = exchange::read(secured).map_err(does_not_hold)?;
        records = records_of(&session.reader().await?, &said.subject.exchange).await?;
    }
    let said = exchange::verify(secured, &records).map_err(does_not_hold)?;
    let hub = match arguments.trust {
        Some(device) => Some(device),
        None => asked_hub(session).await.ok(),
    };
    let known = standing(said.status.as_ref(), hub).await;
    if known.is_revoked() {
        return Err(Failure::does_not_hold(format!("the credential is revoked: {}", known.words())));
    }
    let Exchange { payment, payer, payee } = said.subject.exchange;
    let value = json!({
        "holds": true, "kind": said.kind.name(), "issuer": said.issuer, "subject": said.subject.id,
        "payment": payment, "payer": payer, "payee": payee, "status": known,
    });
    session.output.one(
        &value,
        &[
            ("holds", "yes".to_owned()),
            ("kind", said.kind.name().to_owned()),
            ("issuer", said.issuer.to_string()),
            ("for", payer.to_string()),
            ("about", said.subject.id.to_string()),
            ("payment", payment.to_string()),
            ("status", known.words()),
        ],
    )
}

/// A hub's word on a person.
async fn person(session: &Session, trust: Option<Device>, secured: &Value) -> Result<()> {
    let hub = match trust {
        Some(device) => Trusted { did: None, device },
        None => asked_trusted(session).await.with_context(|| {
            format!("a {PROOF_OF_PERSONHOOD} is a hub's word, and no --trust names the hub's key")
        })?,
    };
    let held = personhood::check(secured, &hub, now())
        .map_err(|rule| Failure::does_not_hold(format!("the credential does not hold: {rule}")))?;
    let value = json!({
        "holds": true, "kind": PROOF_OF_PERSONHOOD, "issuer": held.issuer, "subject": held.person.id,
        "account": held.person.account, "provider": held.person.provider, "until": held.until,
    });
    session.output.one(
        &value,
        &[
            ("holds", "yes".to_owned()),
            ("kind", PROOF_OF_PERSONHOOD.to_owned()),
            ("issuer", held.issuer),
            ("about", held.person.id.to_string()),
            ("account", held.person.account.to_string()),
            ("by", held.person.provider),
            ("until", held.until.to_string()),
        ],
    )
}

async fn asked_trusted(session: &Session) -> Result<Trusted> {
    personhood::trusted(&session.hub()?).await
}

async fn presented(session: &Session, arguments: PresentationArgs) -> Result<()> {
    let shown: Value = read(&arguments.file)?;
    let asked = Asked { challenge: &arguments.challenge, domain: &arguments.domain };
    let held = presentation::verify(&shown, asked, now()).map_err(|refusal| {
        Failure::does_not_hold(format!("the presentation does not hold: {} ({refusal})", refusal.rule()))
    })?;
    let hub = match arguments.trust {
        Some(device) => device,
        None => asked_hub(session).await.context("no --trust names whose credentials you believe")?,
    };
    let (mut rows, mut values) = (Vec::new(), Vec::new());
    for document in held.credentials {
        if document.issuer != hub {
            let told = format!("a {} is of {}, whom you do not believe", document.kind(), document.issuer);
            return Err(Failure::does_not_hold(told));
        }
        let known = standing(document.status.as_ref(), Some(hub)).await;
        if known.is_revoked() {
            return Err(Failure::does_not_hold(format!(
                "a {} is revoked: {}",
                document.kind(),
                known.words()
            )));
        }
        let wallet = document.subject.get("wallet").and_then(Value::as_str).unwrap_or_default().to_owned();
        rows.push(vec![document.kind().to_owned(), wallet, known.words()]);
        values.push(json!({ "kind": document.kind(), "subject": document.subject, "status": known }));
    }
    let value = json!({ "holds": true, "holder": held.holder.did, "credentials": values });
    session.output.many(&value, &["credential", "wallet", "status"], rows)
}

fn bundle(session: &Session, arguments: &BundleArgs) -> Result<()> {
    let bundle: Bundle = read(&arguments.file)?;
    let checks = bundle::check(&bundle, arguments.trust);
    let failed: Vec<String> = checks
        .iter()
        .filter(|one| one.verdict == Verdict::Fails)
        .map(|one| format!("{}: {}", one.check, one.detail))
        .collect();
    let rows = checks
        .iter()
        .map(|one| {
            let verdict = match one.verdict {
                Verdict::Holds => "yes",
                Verdict::Fails => "NO",
                Verdict::Unknown => "unknown",
            };
            vec![one.check.clone(), verdict.to_owned(), one.detail.clone()]
        })
        .collect();
    let value = json!({ "holds": failed.is_empty(), "checks": checks });
    session.output.many(&value, &["check", "holds", "found"], rows)?;
    if failed.is_empty() { Ok(()) } else { Err(Failure::does_not_hold(failed.join("; "))) }
}

async fn log(session: &Session, arguments: LogArgs) -> Result<()> {
    let file: Value = read(&arguments.file)?;
    let hub = session.hub()?;
    let trust = trusted(&hub, arguments.trust).await?;
    let earlier = head_of(file.pointer("/log_proof/head").unwrap_or(&file), trust)?;
    let (signed, later) = newest(&hub, trust).await?;
    // Nothing that the hub could show makes a log that has become shorter go on.
    if later.size < earlier.size {
        let told = format!("the log had {} entries and has {}", earlier.size, later.size);
        return Err(Failure::does_not_hold(told));
    }
    let path = format!("/v1/log/consistency?from={}&to={}", earlier.size, later.size);
    let shown: Consistency = hub.http.get(&path).await?;
    if !later.continues(&earlier, &shown.path) {
        return Err(Failure::does_not_hold(format!(
            "the log of {} entries does not go on from the one of {}: its hub has changed it, and both heads are signed",
            later.size, earlier.size
        )));
    }
    let value = json!({ "holds": true, "from": earlier, "head": signed, "path": shown.path });
    session.output.one(
        &value,
        &[
            ("holds", "yes".to_owned()),
            ("entries then", format!("{} at {}", earlier.size, earlier.at)),
            ("entries now", format!("{} at {}", later.size, later.at)),
            ("root now", later.root.to_string()),
        ],
    )
}

/// The node to ask about a credential: that of the chain which its terms name, where it names one and a node is known.
async fn chain_of(session: &Session, escrow: Option<AccountId>) -> Result<Chain> {
    if let Some(escrow) = escrow
        && let Some(chain) = session.chain_of(escrow.chain).await?
    {
        return Ok(chain);
    }
    session.chain().await
}

async fn asked_hub(session: &Session) -> Result<Device> {
    device_of(&session.hub()?).await
}

async fn contracts(session: &Session, arguments: ContractsArgs) -> Result<()> {
    match session.chain().await? {
        Chain::Evm(chain) => on_evm(session, &chain, arguments).await,
        Chain::Solana(chain) => on_solana(session, &chain, arguments).await,
    }
}

/// One program is escrow and pools at once.
async fn on_solana(session: &Session, chain: &solana::Chain, arguments: ContractsArgs) -> Result<()> {
    let published = AccountId { chain: chain.id, address: from_key(&protocol::solana::program()) };
    let account = arguments.escrow.unwrap_or(published);
    if account.chain != chain.id {
        bail!("--escrow {account}: --rpc {} is {}", chain.url(), chain.id);
    }
    if arguments.arbiter.is_some() {
        bail!("--arbiter: on Solana the pools are those of the escrow's program");
    }
    solana::program::look(chain, &solana::key("--escrow", account.address)?).await?.check(account)?;
    let is_published = account == published;
    let value = json!({
        "holds": true,
        "contracts": [{ "name": "program", "address": account, "published": is_published, "upgrade_authority": null }],
    });
    let row = ["program", &account.to_string(), if is_published { "yes" } else { "no" }, "nobody"];
    let row = row.iter().map(|one| (*one).to_owned()).collect();
    session.output.many(&value, &["contract", "address", "published", "can be upgraded by"], vec![row])
}

async fn on_evm(session: &Session, chain: &evm::Chain, arguments: ContractsArgs) -> Result<()> {
    let (mut rows, mut values) = (Vec::new(), Vec::new());
    for contract in manifest()?.contracts {
        let given = match contract.name.as_str() {
            ESCROW => arguments.escrow,
            POOLS => arguments.arbiter,
            _ => None,
        };
        let name = &contract.name;
        let account = given.unwrap_or_else(|| chain.account(contract.address));
        if account.chain != chain.id {
            bail!("{name} {account}: --rpc {} is {}", chain.url(), chain.id);
        }
        deployment::check(chain, address_of("contract", account)?, &contract).await?;
        let published = account.address == contract.address.into();
        rows.push(vec![
            name.clone(),
            account.to_string(),
            if published { "yes" } else { "no" }.to_owned(),
            contract.compiler.version.clone(),
        ]);
        values.push(json!({
            "name": name, "address": account, "published": published, "init_code_hash": contract.init_code_hash,
            "compiler": contract.compiler,
        }));
    }
    let value = json!({ "holds": true, "contracts": values });
    session.output.many(&value, &["contract", "address", "published", "compiler"], rows)
}

#[cfg(test)]
mod tests;
