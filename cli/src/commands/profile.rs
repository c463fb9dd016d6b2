//! `earnest profile`: what one says of oneself.

use std::path::PathBuf;

use alloy::primitives::B256;
use anyhow::{Context, Result};
use clap::Subcommand;
use hub::{
    identity::{AccountView, ProfileBody},
    records::{ErasureBody, RecordId},
};

use super::{Session, record_id};
use crate::client::dispute::hash_of;

/// Profiles.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Show your profile, or another account's
    Show {
        /// Another account
        #[arg(value_parser = record_id)]
        id: Option<RecordId>,
    },
    /// Say something else of yourself; what is not named stays as it is
    #[command(
        after_help = "Example:\n  earnest --as ida profile set --text 'I repair bicycles' --language en --language de"
    )]
    Set {
        /// What you are called
        #[arg(long)]
        name: Option<String>,
        /// Who you are, at most 2,000 characters
        #[arg(long)]
        text: Option<String>,
        /// A language that you speak, as BCP 47 writes it; the preferred one first
        #[arg(long = "language", value_name = "TAG")]
        languages: Vec<String>,
        /// A picture; only its SHA-256 is said
        #[arg(long, value_name = "FILE")]
        avatar: Option<PathBuf>,
    },
    /// Erase what you have said of yourself: that you said it stays, what it said goes
    ///
    /// Without RECORD it is the profile that stands, and you are called as you were when your account began. Each `profile set` is a
    /// record of its own, whose id it prints: name earlier ones to erase those, too. Nothing brings it back.
    ///
    /// The hub takes it out of what it keeps and shows. Others who have read or copied it may keep it, another hub that has it among
    /// them: to those it is a wish.
    #[command(after_help = "Example:\n  earnest --as ida profile erase")]
    Erase {
        /// The profile@1, where it is another than the one that stands
        #[arg(value_parser = record_id)]
        record: Option<RecordId>,
    },
}

/// Does it.
pub async fn run(session: &Session, verb: Verb) -> Result<()> {
    match verb {
        Verb::Show { id } => {
            let id = id.map_or_else(|| session.profile()?.account(), Ok)?;
            let view: AccountView = session.hub()?.http.get(&format!("/v1/accounts/{id}")).await?;
            let profile = view.profile.clone();
            let mut lines = vec![("account", id.to_string()), ("name", view.name.clone())];
            if let Some(profile) = &profile {
                lines.push(("text", profile.text.clone()));
                lines.push(("languages", profile.languages.join(" ")));
                lines.push((
                    "avatar",
                    profile.avatar.map_or_else(|| "none".to_owned(), |one| one.to_string()),
                ));
            }
            session.output.one(&serde_json::json!({ "name": view.name, "profile": profile }), &lines)
        }
        Verb::Set { name, text, languages, avatar } => {
            let member = session.member().await?;
            let view: AccountView = member.get(&format!("/v1/accounts/{}", member.account)).await?;
            let before = view.profile;
            let known = before.as_ref();
            let picture: Option<B256> = match avatar {
                Some(file) => {
                    let bytes = std::fs::read(&file).with_context(|| file.display().to_string())?;
                    Some(hash_of(&bytes))
                }
                None => known.and_then(|one| one.avatar),
            };
            let body = ProfileBody {
                name: name.unwrap_or(view.name),
                text: text.or_else(|| known.map(|one| one.text.clone())).unwrap_or_default(),
                languages: if languages.is_empty() {
                    known.map(|one| one.languages.clone()).unwrap_or_default()
                } else {
                    languages
                },
                avatar: picture,
            };
            session.accepted("profile", &member.say(&member.draft("profile@1", &body)?).await?)
        }
        Verb::Erase { record } => {
            let member = session.member().await?;
            let record = match record {
                Some(record) => record,
                None => {
                    let view: AccountView = member.get(&format!("/v1/accounts/{}", member.account)).await?;
                    view.profile.context("you say nothing of yourself that could be erased")?.record
                }
            };
            let draft = member.draft("erasure@1", &ErasureBody {})?.about(record);
            session.accepted("erasure", &member.say(&draft).await?)
        }
    }
}
