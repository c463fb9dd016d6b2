//! `earnest identity`: who controls an account, who may recover it, and that somebody is a person.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use hub::{
    access::Audience,
    identity::{
        AccountView, Claim, Passkey, PasskeyBody, PersonhoodView, RecoveriesView, RecoveryRuleBody,
        RecoveryStepBody, RecoveryVetoBody, WalletAuthorisation, WalletBody, revoke_passkey_statement,
        revoke_statement, rule_statement, veto_statement,
    },
    page::Page,
    records::RecordId,
};
use protocol::chain::AccountId;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Session,
    account::{Key, chain_of},
    query, record_id,
};
use crate::client::profile::Profile;

/// Who controls an account.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Show what controls an account, and whether it is a person: yours, or the one with this id
    Show {
        /// Another account
        #[arg(value_parser = record_id)]
        id: Option<RecordId>,
    },
    /// Show the DID document of an account, as everybody finds it under its did:web: the devices that speak for it, and its wallets
    #[command(after_help = "Examples:\n  earnest --as ida identity did\n  \
        earnest --json identity did zQmIda… --hub https://hub.example > did.json")]
    Did {
        /// Another account
        #[arg(value_parser = record_id)]
        id: Option<RecordId>,
    },
    /// Take a wallet away from your account, by the word of one that stays; devices that stand by its word are silent then
    RevokeWallet {
        /// The wallet, CAIP-10
        wallet: AccountId,
    },
    /// Take a passkey away from your account, by the word of a wallet; devices that stand by its word are silent then
    RevokePasskey {
        /// The passkey, did:key
        passkey: Passkey,
    },
    /// Show for what this hub wants proof of a person (`required`: taking part in the market, and giving more than one has;
    /// `everything`: nearly all that is said; `open`: nothing), and whom it believes
    #[command(after_help = "Example:\n  earnest identity personhood --hub https://hub.example")]
    Personhood,
    /// Show the hub that you are a person
    #[command(after_help = "Examples:\n  earnest --as ida identity person --brightid\n  \
        earnest --as ida identity person --registry eip155:1:0x… --wallet eip155:1:0x…")]
    Person {
        /// BrightID has linked you to your account's id
        #[arg(long, conflicts_with_all = ["registry", "wallet"])]
        brightid: bool,
        /// The Proof of Humanity registry in which a wallet of yours stands, CAIP-10
        #[arg(long, requires = "wallet")]
        registry: Option<AccountId>,
        /// That wallet, CAIP-10
        #[arg(long, requires = "registry")]
        wallet: Option<AccountId>,
    },
    /// Say who may give your account to another wallet when you have lost yours; without guardians nobody may
    #[command(
        after_help = "Example:\n  earnest --as ida identity guard zQmBen… zQmCarl… zQmDora… --threshold 2 --delay-hours 168"
    )]
    Guard {
        /// Accounts that you trust, at most 8
        #[arg(value_parser = record_id)]
        guardians: Vec<RecordId>,
        /// How many of them have to agree
        #[arg(long, default_value_t = 0)]
        threshold: u8,
        /// How long you may veto then, 24 to 2160
        #[arg(long, default_value_t = 0)]
        delay_hours: u32,
    },
    /// Print the hub's credential that you are a person: about the first wallet of your account, good for a day, and without the name
    /// under which the provider knows you
    #[command(after_help = "Example:\n  earnest --as ida identity credential > person.json\n  \
        earnest verify credential person.json --hub https://hub.example")]
    Credential,
    /// List all accounts that you guard, in the order of their ids
    #[command(after_help = "Example:\n  earnest --as ben identity guards")]
    Guards {
        /// `next` of the page before
        #[arg(long)]
        after: Option<String>,
    },
    /// Show your recovery rule, the accounts that you guard, and recoveries: your own and theirs, or those of one account
    Recoveries {
        /// Yours, or one that you guard
        #[arg(value_parser = record_id)]
        account: Option<RecordId>,
        /// `next` of the page before
        #[arg(long)]
        after: Option<String>,
    },
    /// As who has lost everything: write down what a new wallet says, for a guardian to hand in within ten minutes
    #[command(after_help = "Example:\n  earnest --as ida-again identity ask > word.json")]
    Ask {
        #[command(flatten)]
        key: Key,
    },
    /// As a guardian: hand in what the new wallet of somebody who lost an account said
    #[command(after_help = "Example:\n  earnest --as ben identity recover zQmIda… word.json")]
    Recover {
        /// The account
        #[arg(value_parser = record_id)]
        account: RecordId,
        /// What `identity ask` wrote
        word: PathBuf,
    },
    /// As another guardian: agree to a recovery
    Approve {
        /// The recovery
        #[arg(value_parser = record_id)]
        recovery: RecordId,
    },
    /// Say no to a recovery of your account, with a wallet of it
    Veto {
        /// The recovery
        #[arg(value_parser = record_id)]
        recovery: RecordId,
    },
    /// After a recovery: take the account over on this machine
    TakeOver {
        /// The account
        #[arg(value_parser = record_id)]
        account: RecordId,
        /// The recovery
        #[arg(value_parser = record_id)]
        recovery: RecordId,
    },
}

/// Does it.
pub async fn run(session: &Session, verb: Verb) -> Result<()> {
    match verb {
        Verb::Show { id } => {
            let id = id.map_or_else(|| session.profile()?.account(), Ok)?;
            let view: AccountView = session.hub()?.http.get(&format!("/v1/accounts/{id}")).await?;
            let proofs = view.personhood.iter().map(|one| format!("{} until {}", one.provider, one.until));
            let proofs: Vec<String> = proofs.collect();
            session.output.one(
                &view,
                &[
                    ("account", id.to_string()),
                    ("controllers", view.controllers.join("\n")),
                    ("person", if proofs.is_empty() { "not shown".to_owned() } else { proofs.join("\n") }),
                ],
            )
        }
        Verb::Did { id } => {
            let id = id.map_or_else(|| session.profile()?.account(), Ok)?;
            tell_document(session, &format!("/accounts/{id}/did.json")).await
        }
        Verb::RevokeWallet { wallet } => {
            let (hub, profile) = (session.hub()?, session.profile()?);
            let by = hub.controller(&profile, Some(wallet)).await?;
            let by = hub.word(&profile, by, revoke_statement(&profile.account()?, &wallet)).await?;
            say(session, "wallet@1", &WalletBody::Revoke { wallet, by }, None).await
        }
        Verb::RevokePasskey { passkey } => {
            let (hub, profile) = (session.hub()?, session.profile()?);
            let by = hub.controller(&profile, None).await?;
            let statement = revoke_passkey_statement(&profile.account()?, &passkey);
            let by = hub.word(&profile, by, statement).await?;
            say(session, "passkey@1", &PasskeyBody::Revoke { passkey, by }, None).await
        }
        Verb::Personhood => personhood(session).await,
        Verb::Person { brightid: true, .. } => say(session, "personhood@1", &Claim::BrightId {}, None).await,
        Verb::Person { registry: Some(registry), wallet: Some(wallet), .. } => {
            say(session, "personhood@1", &Claim::ProofOfHumanity { registry, wallet }, None).await
        }
        Verb::Person { .. } => bail!("name who can say so: --brightid, or --registry and --wallet"),
        Verb::Guard { mut guardians, threshold, delay_hours } => {
            let (hub, profile) = (session.hub()?, session.profile()?);
            guardians.sort();
            let statement = rule_statement(&profile.account()?, &guardians, threshold, delay_hours);
            let by = hub.controller(&profile, None).await?;
            let by = hub.word(&profile, by, statement).await?;
            let body = RecoveryRuleBody { guardians: guardians.clone(), threshold, delay_hours, by };
            say(session, "recovery-rule@1", &body, Some((None, guardians))).await
        }
        Verb::Credential => {
            let credential: Value = session.member().await?.get("/v1/personhood/credential").await?;
            crate::output::print(&credential.to_string())
        }
        Verb::Guards { after } => {
            let path = query("/v1/recovery/guards", &[("after", after)]);
            let page: Page<RecordId> = session.member().await?.get(&path).await?;
            let rows = page.items.iter().map(|account| vec![account.to_string()]).collect();
            session.output.many(&page, &["account"], rows)?;
            session.output.more(page.next.as_deref())
        }
        Verb::Recoveries { account, after } => {
            let account = account.map(|account| account.to_string());
            let path = query("/v1/recovery", &[("account", account), ("after", after)]);
            let view: RecoveriesView = session.member().await?.get(&path).await?;
            let rows = view
                .recoveries
                .iter()
                .map(|one| {
                    let agreed = one.approvals.len().to_string();
                    let (id, account) = (one.id.to_string(), one.account.to_string());
                    vec![id, account, one.wallet.to_string(), one.stage.clone(), agreed, one.ends.to_string()]
                })
                .collect();
            let heading = ["recovery", "account", "new wallet", "stage", "agreed", "ends"];
            session.output.many(&view, &heading, rows)?;
            session.output.more(view.next.as_deref())
        }
        Verb::Ask { key } => {
            let folder = session.folder()?;
            let solana = key.is_of_solana();
            let profile = match Profile::open(&folder) {
                Ok(profile) if profile.account.is_none() => profile,
                Ok(_) => bail!("--as: this person has an account; name one that is new"),
                Err(_) => Profile::create(&folder, &session.called()?, key.first()?)?,
            };
            let solana = solana || profile.wallet.evm.is_none();
            let wallet = profile.wallet.account(chain_of(session, solana).await?)?;
            let word = session.hub()?.word_for(&profile, wallet, profile.device.device()).await?;
            crate::output::print(&serde_json::to_string(&word)?)
        }
        Verb::Recover { account, word } => {
            let text = std::fs::read_to_string(&word).with_context(|| word.display().to_string())?;
            let body: WalletAuthorisation =
                serde_json::from_str(&text).with_context(|| word.display().to_string())?;
            say(session, "recovery@1", &body, Some((Some(account), vec![account]))).await
        }
        Verb::Approve { recovery } => {
            let readers = vec![session.profile()?.account()?];
            say(session, "recovery-approval@1", &RecoveryStepBody {}, Some((Some(recovery), readers))).await
        }
        Verb::Veto { recovery } => {
            let (hub, profile) = (session.hub()?, session.profile()?);
            let account = profile.account()?;
            let by = hub.controller(&profile, None).await?;
            let by = hub.word(&profile, by, veto_statement(&account, &recovery)).await?;
            let about = Some((Some(recovery), vec![account]));
            say(session, "recovery-veto@1", &RecoveryVetoBody { by }, about).await
        }
        Verb::TakeOver { account, recovery } => {
            let mut profile = session.profile()?;
            let view: AccountView = session.hub()?.http.get(&format!("/v1/accounts/{account}")).await?;
            let device = profile.device.device();
            if !view.devices.iter().any(|one| one.authorised && one.device == device) {
                bail!(
                    "{account} is not this person's: its recovery has not ended, or went to another wallet"
                );
            }
            for wallet in &view.wallets {
                if profile.wallet.account(wallet.chain).is_ok_and(|own| own == *wallet) {
                    profile.words.insert(wallet.to_string(), recovery);
                }
            }
            profile.account = Some(account);
            profile.save()?;
            session.output.one(&view, &[("account", account.to_string()), ("name", view.name.clone())])
        }
    }
}

/// What the hub asks about persons.
async fn personhood(session: &Session) -> Result<()> {
    let view: PersonhoodView = session.hub()?.http.get("/v1/personhood").await?;
    let setting = json!(view.setting);
    let registries: Vec<String> = view.proof_of_humanity.iter().map(ToString::to_string).collect();
    session.output.one(
        &view,
        &[
            ("proof", setting.as_str().unwrap_or_default().to_owned()),
            ("brightid", view.brightid.clone().unwrap_or_else(|| "not asked".to_owned())),
            ("registries", if registries.is_empty() { "none".to_owned() } else { registries.join("\n") }),
            ("own word", if view.stand_in { "believed" } else { "not believed" }.to_owned()),
        ],
    )
}

/// Shows the DID document at this path of the hub, asked for by nobody in particular.
pub async fn tell_document(session: &Session, path: &str) -> Result<()> {
    let document: Value = session.hub()?.http.get(path).await?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let all = |member: &str, of: &dyn Fn(&Value) -> Option<String>| {
        let values = document.get(member).and_then(Value::as_array).into_iter().flatten();
        values.filter_map(of).collect::<Vec<_>>().join("\n")
    };
    let key = |method: &Value| Some(format!("did:key:{}", method.get("publicKeyMultibase")?.as_str()?));
    let lines = [
        ("did", document.get("id").and_then(text).unwrap_or_default()),
        ("also", all("alsoKnownAs", &text)),
        ("controllers", all("controller", &text)),
        ("keys", all("verificationMethod", &key)),
    ];
    let lines: Vec<(&str, String)> = lines.into_iter().filter(|(_, text)| !text.is_empty()).collect();
    session.output.one(&document, &lines)
}

/// Says something of the account; of recoveries, what they are about and who may read it besides the author.
async fn say(
    session: &Session,
    kind: &str,
    body: &impl Serialize,
    between: Option<(Option<RecordId>, Vec<RecordId>)>,
) -> Result<()> {
    let member = session.member().await?;
    let mut draft = member.draft(kind, body)?;
    if let Some((about, readers)) = between {
        let mut readers: Vec<Audience> = readers.into_iter().map(Audience::Account).collect();
        if readers.is_empty() {
            readers.push(Audience::Account(member.account));
        }
        draft = draft.only_for(readers);
        draft.about = about;
    }
    session.accepted("record", &member.say(&draft).await?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::testing::noise::{edited, edits, grafted, grafts, text};

    proptest! {
        /// The file that `identity ask` writes and a guardian hands in.
        #[test]
        fn a_word_in_a_file_is_the_one_that_was_written(
            message in text(), signature in text(), edits in edits(), grafts in grafts(),
        ) {
            let word = WalletAuthorisation { message, signature };
            let written = serde_json::to_vec(&word).unwrap();
            prop_assert_eq!(&serde_json::from_slice::<WalletAuthorisation>(&written).unwrap(), &word);
            let grafted = serde_json::to_vec(&grafted(&json!(word), &grafts)).unwrap();
            for changed in [edited(&written, &edits), grafted] {
                if let Ok(read) = serde_json::from_slice::<WalletAuthorisation>(&changed) {
                    // Both members and no other, also as a list: nothing of the file is passed over.
                    let whole: Value = serde_json::from_slice(&changed).unwrap();
                    let listed = json!([read.message, read.signature]);
                    prop_assert!(whole == json!(read) || whole == listed, "{whole}");
                }
            }
        }
    }
}
