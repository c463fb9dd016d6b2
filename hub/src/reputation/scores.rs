//! `GET /v1/reputation/{subject}` and `GET /v1/accounts/{id}/reputation`.

use axum::{extract::State, http::HeaderMap, response::Response};
use serde::{Deserialize, Serialize};
use service::http::{Path, Problem};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    model::WalletDid,
    score::{Said, Score, of_account, score},
    store,
};
use crate::{Hub, error::Error, etag::tagged, identity, records::RecordId};

/// How many credentials a score takes into account: the first so many of the log, of an account's wallets in their order.
pub const SAID_MAX: u32 = 10_000;

/// What public credentials come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReputationView {
    /// About whom: did:pkh.
    #[schema(value_type = String)]
    pub subject: WalletDid,
    /// The score and its terms.
    pub score: Score,
}

/// What a wallet brings to the score of its account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BroughtView {
    /// The wallet: did:pkh.
    #[schema(value_type = String)]
    pub subject: WalletDid,
    /// What it brings beside the wallets before it, and its terms. Of a counterparty that has spoken of those the first counts no more.
    pub brings: Score,
}

/// What public credentials about all wallets of an account come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AccountReputationView {
    /// The account.
    #[schema(value_type = String)]
    pub account: RecordId,
    /// The score and its terms.
    pub score: Score,
    /// What each wallet that it has now brings, in the order of `GET /v1/accounts/{id}`; the points come to those of the score.
    pub wallets: Vec<BroughtView>,
}

impl AccountReputationView {
    /// By what is said of the account's wallets, in their order.
    pub fn new(account: RecordId, wallets: &[(WalletDid, Vec<Said>)]) -> Self {
        let said: Vec<Vec<Said>> = wallets.iter().map(|(_, said)| said.clone()).collect();
        let (score, brought) = of_account(account, &said);
        let wallets = wallets
            .iter()
            .zip(brought)
            .map(|((subject, _), brings)| BroughtView { subject: *subject, brings })
            .collect();
        Self { account, score, wallets }
    }
}

pub(super) fn routes() -> OpenApiRouter<Hub> {
    OpenApiRouter::new().routes(routes!(reputation)).routes(routes!(account_reputation))
}

/// The explained score of a wallet, from the public credentials about it alone. `GET /v1/credentials?subject=` gives all that it is
/// computed from, the first 10,000 of them; docs/credentials.md has the rule.
#[utoipa::path(get, path = "/v1/reputation/{subject}", tag = "reputation", params(("subject" = String, Path)), responses(
    (status = 200, description = "The score, 0 where there is nothing", body = ReputationView),
    (status = 400, description = "Not a did:pkh", content_type = "application/problem+json"),
))]
async fn reputation(
    State(hub): State<Hub>,
    Path(subject): Path<WalletDid>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    let said = store::said_in_public(&mut on, subject.0, i64::from(SAID_MAX)).await?;
    Ok(tagged(&headers, &ReputationView { subject, score: score(&said) })?)
}

/// The explained score of an account over the wallets that it has now, from the public credentials about them alone, with what each
/// wallet brings. What one counterparty says counts once, whichever of them it is about, and what the account itself has issued counts
/// nothing; docs/credentials.md has the rule.
#[utoipa::path(get, path = "/v1/accounts/{id}/reputation", tag = "reputation", params(("id" = String, Path)), responses(
    (status = 200, description = "The score, 0 where there is nothing", body = AccountReputationView),
    (status = 404, description = "There is no such account", content_type = "application/problem+json"),
))]
async fn account_reputation(
    State(hub): State<Hub>,
    Path(id): Path<RecordId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    let (mut wallets, mut left) = (Vec::new(), i64::from(SAID_MAX));
    for wallet in identity::wallets_or_not_found(&mut on, &id).await? {
        let said = store::said_in_public(&mut on, wallet, left).await?;
        left = left.saturating_sub(i64::try_from(said.len()).unwrap_or(i64::MAX)).max(0);
        wallets.push((WalletDid(wallet), said));
    }
    Ok(tagged(&headers, &AccountReputationView::new(id, &wallets))?)
}
