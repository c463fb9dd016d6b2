//! `GET /v1/log/head` and `GET /v1/log/consistency`: the hub's signed word on its log, and that a later one goes on from it.

use alloy::primitives::B256;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::http::{Json, Problem, Query};
use sqlx::AnyConnection;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    api::Receipt,
    device::{Device, DeviceKey},
    nodes,
    proof::{self, ProofError},
    stamp::Stamp,
    tree,
};
use crate::{Hub, error::Error};

/// The hub's word on its log: how many entries it has and the root of the Merkle tree over their receipts (RFC 9162, section 2.1),
/// signed by its device (`eddsa-jcs-2022`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// How many entries, a decimal string.
    #[serde(with = "protocol::wire::dec")]
    #[schema(value_type = String)]
    pub size: u64,
    /// SHA-256, `0x` and 64 hexadecimal digits.
    #[schema(value_type = String)]
    pub root: B256,
    /// When the hub said so.
    #[schema(value_type = String)]
    pub at: Stamp,
    /// The proof.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    pub proof: Option<Value>,
}

impl Head {
    /// Of the log as it stands.
    ///
    /// # Errors
    /// The database fails, or the tree is not whole.
    pub(crate) async fn of(on: &mut AnyConnection, at: Stamp) -> Result<Self, Error> {
        let size = nodes::size(on).await?;
        let root = nodes::root(on, size).await?;
        Ok(Self { size, root, at, proof: None })
    }

    /// Signs it.
    ///
    /// # Errors
    /// It has no canonical form.
    pub fn sign(mut self, key: &DeviceKey) -> Result<Value, ProofError> {
        self.proof = None;
        let at = self.at;
        let refuse = |error: serde_json::Error| ProofError::Malformed { field: "", rule: error.to_string() };
        proof::sign(serde_json::to_value(self).map_err(refuse)?, key, proof::ASSERTION, at)
    }

    /// Reads a signed head, and says whose device signed it.
    ///
    /// # Errors
    /// The form is wrong, or the signature does not hold.
    pub fn read(signed: &Value) -> Result<(Self, Device), ProofError> {
        let head = Self::deserialize(signed)
            .map_err(|error| ProofError::Malformed { field: "", rule: error.to_string() })?;
        Ok((head, proof::verify(signed, proof::ASSERTION)?))
    }

    /// Whether an entry stands at its place in this log, by its path in the tree, from the leaf up.
    pub fn has(&self, entry: &Receipt, path: &[B256]) -> bool {
        u64::try_from(entry.seq).is_ok_and(|seq| {
            let text = tree::receipt(seq, &entry.id, entry.received);
            tree::includes(self.root, self.size, seq, &text, path)
        })
    }

    /// Whether this log begins with all that an earlier one had, each at its place.
    pub fn continues(&self, earlier: &Self, path: &[B256]) -> bool {
        tree::consistent((earlier.root, earlier.size), (self.root, self.size), path)
    }
}

/// Which two sizes of the log.
#[derive(Clone, Copy, Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Sizes {
    /// The size in the earlier head, at least 1.
    #[param(minimum = 1, example = 1)]
    from: u64,
    /// The size in the later one.
    #[param(minimum = 1, example = 1)]
    to: u64,
}

/// Shows that the log of `to` entries begins with the one of `from` (RFC 9162, section 2.1.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Consistency {
    /// The earlier size, a decimal string.
    #[serde(with = "protocol::wire::dec")]
    #[schema(value_type = String)]
    pub from: u64,
    /// The later one.
    #[serde(with = "protocol::wire::dec")]
    #[schema(value_type = String)]
    pub to: u64,
    /// Hashes of nodes, `0x` and 64 hexadecimal digits each.
    #[schema(value_type = Vec<String>)]
    pub path: Vec<B256>,
}

pub(super) fn routes() -> OpenApiRouter<Hub> {
    OpenApiRouter::new().routes(routes!(log_head)).routes(routes!(log_consistency))
}

/// How many records the hub has taken, and the root of the tree over them, signed. Keep one, and ask later whether the log goes on from it.
#[utoipa::path(get, path = "/v1/log/head", tag = "records", responses(
    (status = 200, description = "The signed head", body = Head),
))]
async fn log_head(State(hub): State<Hub>) -> Result<Json<Value>, Problem> {
    let head = {
        let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
        Head::of(&mut on, Stamp::from_ms(hub.clock.now_ms())).await?
    };
    let signed = head.sign(&hub.key).map_err(|error| Error::Corrupt(error.to_string()))?;
    Ok(Json(signed))
}

/// Shows that nothing was changed, left out or moved between two heads.
#[utoipa::path(get, path = "/v1/log/consistency", tag = "records", params(Sizes), responses(
    (status = 200, description = "The proof", body = Consistency),
    (status = 400, description = "Not 1 ≤ from ≤ to", content_type = "application/problem+json"),
    (status = 404, description = "The log has fewer entries than `to`", content_type = "application/problem+json"),
))]
async fn log_consistency(
    State(hub): State<Hub>,
    Query(Sizes { from, to }): Query<Sizes>,
) -> Result<Json<Consistency>, Problem> {
    let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
    let size = nodes::size(&mut on).await?;
    if from == 0 || from > to {
        return Err(
            Problem::malformed(format!("from is {from}: it must be 1 to {to}, which is to")).at("from")
        );
    }
    if to > size {
        return Err(Problem::not_found("log of so many entries:", to).at("to"));
    }
    let proof =
        tree::consistency(from, to).ok_or_else(|| Problem::not_found("log of so many entries:", to))?;
    let path = nodes::paths(&mut on, &[proof]).await?.into_iter().next().unwrap_or_default();
    Ok(Json(Consistency { from, to, path }))
}
