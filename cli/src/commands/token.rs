//! `earnest token`: sessions and API tokens.

use anyhow::{Error, Result};
use clap::Subcommand;
use hub::{
    access::Scope,
    identity::{SessionToken, SignInFields, TokenRequest, TokenView, token_request},
};
use serde_json::json;

use super::Session;
use crate::client::http::Refused;

/// Sessions and API tokens.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// List your sessions and tokens
    List,
    /// Make a token for a program of yours; it is shown once
    #[command(
        after_help = "Example:\n  earnest --as ida token new bookkeeper --scope read:ledger --scope read:deals --days 90"
    )]
    New {
        /// What it is called
        label: String,
        /// read:<room> or write:<room>, of identity, records, ledger, communities, governance, market, deals, disputes,
        /// reputation, events, or all
        #[arg(long = "scope", required = true, value_name = "SCOPE")]
        scopes: Vec<Scope>,
        /// How many days it lasts, 1 to 366
        #[arg(long, default_value_t = 30)]
        days: u16,
    },
    /// End all sessions of this device, that of this verb too: each verb that signs in opens one, which lasts twelve hours. Tokens
    /// stay, and sessions of your other devices
    #[command(after_help = "Example:\n  earnest --as ida token end")]
    End,
    /// End a session or a token
    Revoke {
        /// Its id
        id: String,
    },
}

/// Does it.
pub async fn run(session: &Session, verb: Verb) -> Result<()> {
    let member = session.member().await?;
    let http = &member.hub.http;
    match verb {
        Verb::List => {
            let all: Vec<TokenView> = http.get("/v1/tokens").await?;
            let scopes = |one: &TokenView| {
                one.scopes.as_ref().map_or_else(
                    || "everything".to_owned(),
                    |scopes| scopes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
                )
            };
            let rows = all
                .iter()
                .map(|one| {
                    let label = one.label.clone().unwrap_or_else(|| "session".to_owned());
                    vec![one.id.clone(), label, scopes(one), one.expires.to_string()]
                })
                .collect();
            session.output.many(&all, &["id", "label", "scopes", "ends"], rows)
        }
        Verb::New { label, scopes, days } => {
            let asked = TokenRequest { label, scopes: scopes.into_iter().collect(), days };
            let fields: SignInFields = http.get("/v1/sign-in/nonce").await?;
            let (account, key) = (&member.account, &member.profile.device);
            let (domain, nonce) = (&fields.domain, &fields.nonce);
            let asked = token_request(account, domain, nonce, &asked, key, fields.issued_at)?;
            let made: SessionToken = http.post("/v1/tokens", &asked).await?;
            let (id, token, expires) = (made.id.clone(), made.token.clone(), made.expires.to_string());
            session.output.one(&made, &[("id", id), ("token", token), ("ends", expires)])
        }
        Verb::End => {
            let all: Vec<TokenView> = http.get("/v1/tokens").await?;
            let device = member.profile.device.device();
            let sessions = all.into_iter().filter(|one| one.label.is_none() && one.device == device);
            let (own, others): (Vec<TokenView>, Vec<TokenView>) = sessions.partition(|one| one.current);
            for one in &others {
                match http.delete(&format!("/v1/tokens/{}", one.id)).await {
                    // The device has opened another one in its place meanwhile.
                    Err(error) if is_missing(&error) => {}
                    ended => ended?,
                }
            }
            http.delete("/v1/sessions/current").await?;
            let ended: Vec<&str> = others.iter().chain(&own).map(|one| one.id.as_str()).collect();
            session.output.one(&json!({ "ended": ended }), &[("ended", ended.join("\n"))])
        }
        Verb::Revoke { id } => {
            http.delete(&format!("/v1/tokens/{id}")).await?;
            session.output.one(&json!({ "ended": id }), &[("ended", id.clone())])
        }
    }
}

fn is_missing(error: &Error) -> bool {
    error.downcast_ref::<Refused>().is_some_and(|refused| refused.is_missing)
}
