//! The hub's credential that an account is a person (VC 2.0, `eddsa-jcs-2022` by the key of its did:web), made anew for
//! whoever asks from the proof that stands.

use axum::extract::State;
use serde_json::{Value, json};
use service::http::{Json, Problem};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{model::WalletDid, vc::CONTEXTS};
use crate::{
    Hub,
    access::Caller,
    error::Error,
    identity,
    records::{
        Stamp,
        proof::{self, ASSERTION},
    },
};

/// The type that the credential carries besides `VerifiableCredential`.
pub const NAME: &str = "ProofOfPersonhoodCredential";

pub(crate) fn routes() -> OpenApiRouter<Hub> {
    OpenApiRouter::new().routes(routes!(credential))
}

/// How long a credential is good at most, in milliseconds: a day. It has no entry in a status list: it falls by itself, and whoever
/// is still a person gets another one.
const LIFE_MS: i64 = 24 * 60 * 60 * 1000;

/// Your ProofOfPersonhoodCredential, about the first wallet of your account, good for a day and no longer than your proof. It does
/// not say under which name the provider knows you.
#[utoipa::path(get, path = "/v1/personhood/credential", tag = "reputation", responses(
    (status = 200, description = "The credential, signed by the hub's did:web", body = Object),
    (status = 401, description = "Sign in first", content_type = "application/problem+json"),
    (status = 404, description = "You have not shown to be a person", content_type = "application/problem+json"),
))]
async fn credential(State(hub): State<Hub>, caller: Caller) -> Result<Json<Value>, Problem> {
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    let now = hub.clock.now_ms();
    let proofs = identity::proofs(&mut on, &caller.account, now).await?;
    let proof = proofs.into_iter().max_by_key(|proof| proof.until);
    let wallets = identity::wallets_of(&mut on, &caller.account).await?;
    let (Some(proof), Some(wallet)) = (proof, wallets.first()) else {
        return Err(Problem::not_found("proof of personhood of", caller.account));
    };
    let from = Stamp::from_ms(now);
    let until = Stamp::from_ms(proof.until.min(now.saturating_add(LIFE_MS)));
    let document = json!({
        "@context": CONTEXTS,
        "type": ["VerifiableCredential", NAME],
        "issuer": hub.public.did,
        "validFrom": from,
        "validUntil": until,
        "credentialSubject": {
            "id": WalletDid(*wallet),
            "account": caller.account,
            "provider": proof.provider,
        },
    });
    let signed = proof::sign_as(document, &hub.key, &hub.verification_method(), ASSERTION, from)
        .map_err(|error| Error::Corrupt(error.to_string()))?;
    Ok(Json(signed))
}
