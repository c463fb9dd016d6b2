//! `POST /v1/presentations/verify`.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::http::{Json, Problem};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    presentation::{self, Asked},
    status::{self, Standing},
    store,
};
use crate::{
    Hub,
    error::Error,
    records::{Device, Stamp},
};

/// A presentation, and what was asked of whoever presents.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PresentationRequest {
    /// An object with a proof, or a token (`vp+jwt`) as a string.
    pub presentation: Value,
    /// What you drew for this occasion; take it once.
    pub challenge: String,
    /// Yourself, as you named yourself to the holder.
    pub domain: String,
}

/// A presentation that holds.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PresentationView {
    /// Who presents: did:key or did:jwk.
    pub holder: String,
    /// What is shown, all of it bound to the holder.
    pub credentials: Vec<ShownView>,
}

/// A credential of a presentation.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ShownView {
    /// Its type besides `VerifiableCredential`.
    pub kind: String,
    /// Whose word it is.
    #[schema(value_type = String)]
    pub issuer: Device,
    /// Whether the issuer is this hub; whether you believe another one is yours to decide.
    pub is_of_this_hub: bool,
    /// What its list says; null where this hub does not keep the list.
    pub status: Option<Standing>,
    /// What it says.
    #[schema(value_type = Object)]
    pub subject: Value,
}

pub(super) fn routes() -> OpenApiRouter<Hub> {
    OpenApiRouter::new().routes(routes!(verify))
}

/// Verifies a presentation: that the holder signed it for this challenge and domain, and that each credential in it is its
/// issuer's, in its time, bound to the holder, and, where it names an entry of a list of this hub, that the entry is its own and
/// not revoked. Nothing is kept.
#[utoipa::path(post, path = "/v1/presentations/verify", tag = "reputation", request_body = PresentationRequest, responses(
    (status = 200, description = "It holds", body = PresentationView),
    (status = 422, description = "It does not; `rule` and `field` say why", content_type = "application/problem+json"),
))]
async fn verify(
    State(hub): State<Hub>,
    Json(asked): Json<PresentationRequest>,
) -> Result<Json<PresentationView>, Problem> {
    let now = Stamp::from_ms(hub.clock.now_ms());
    let wanted = Asked { challenge: &asked.challenge, domain: &asked.domain };
    let presented = presentation::verify(&asked.presentation, wanted, now).map_err(|refusal| {
        Problem::invalid(refusal.to_string()).by_rule(refusal.rule()).at(refusal.field())
    })?;
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    let mut credentials = Vec::new();
    for (at, document) in presented.credentials.into_iter().enumerate() {
        let ours = document.issuer == hub.key.device();
        let place = document.status.as_ref().and_then(|entry| Some((entry, entry.number()?)));
        let place =
            place.filter(|(entry, list)| entry.list == status::url(&hub.public.url, entry.purpose, *list));
        let status = match place {
            None => None,
            Some((entry, list)) => {
                let refuse = |told: String, rule: &'static str| {
                    Problem::invalid(told).by_rule(rule).at(format!("/verifiableCredential/{at}"))
                };
                // What the hub issues to wallets has the entry of the credential that it is bound to.
                let record = document.subject.get("record").and_then(Value::as_str);
                let taken = store::entry(&mut on, entry.purpose, list, entry.index).await?;
                let taken = taken.filter(|(by, _)| ours && record == Some(by.to_string().as_str()));
                match taken {
                    None => {
                        let told = format!("credential {at} has not the entry that it names: {}", entry.id);
                        return Err(refuse(told, "credential_status"));
                    }
                    Some((_, true)) => {
                        let told = format!("credential {at} is revoked: {}", entry.id);
                        return Err(refuse(told, "credential_revoked"));
                    }
                    Some((_, false)) => Some(Standing::Good),
                }
            }
        };
        credentials.push(ShownView {
            kind: document.kind().to_owned(),
            issuer: document.issuer,
            is_of_this_hub: ours,
            status,
            subject: Value::Object(document.subject),
        });
    }
    Ok(Json(PresentationView { holder: presented.holder.did, credentials }))
}
