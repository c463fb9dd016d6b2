//! `GET /v1/purchases/{id}/bundle` and `GET /v1/grievances/{id}/bundle`.

use std::collections::BTreeMap;

use alloy::primitives::B256;
use axum::extract::State;
use protocol::wire::feed::{FeedEntry, Finality};
use service::http::{Json, Path, Problem};
use sqlx::AnyConnection;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    bundle::{Bundle, Extract, LogProof, Place, RECORDS_MAX},
    heading, lists,
};
use crate::{
    Hub,
    access::{Caller, Reader, may_read},
    deals::store as purchases,
    error::Error,
    grievances::{self, model::Heard},
    records::{Accepted, Head, Record, RecordId, Stamp, log, nodes},
};

/// What stands in the bundle of a deal.
const KINDS: [&str; 7] =
    ["purchase@1", "acceptance@1", "evidence@1", "ballot@1", "chain-event@1", "credential@1", "revocation@1"];

pub(super) fn routes() -> OpenApiRouter<Hub> {
    OpenApiRouter::new().routes(routes!(bundle)).routes(routes!(grievance_bundle))
}

/// A closed deal in one file for its parties, which anybody can check without a server: `earnest verify bundle`.
#[utoipa::path(get, path = "/v1/purchases/{id}/bundle", tag = "reputation", params(("id" = String, Path)), responses(
    (status = 200, description = "The bundle", body = Bundle),
    (status = 404, description = "There is no such purchase of yours", content_type = "application/problem+json"),
    (status = 409, description = "The deal is not closed, or has more than 2,000 records", content_type = "application/problem+json"),
))]
async fn bundle(
    State(hub): State<Hub>,
    reader: Reader,
    Path(id): Path<RecordId>,
) -> Result<Json<Bundle>, Problem> {
    let proven = {
        let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
        let purchase = purchases::by_id(&mut on, &id).await?;
        let purchase =
            purchase.filter(|found| reader.account.is_some_and(|account| found.is_party(&account)));
        let purchase = purchase.ok_or_else(|| Problem::not_found("purchase of yours", id))?;
        // Before, ballots are hidden and nothing is settled.
        if purchase.position.closing.is_none() {
            return Err(Problem::conflict("the deal is not closed for good").by_rule("deal_not_closed"));
        }
        let records = told(&mut on, &reader, id).await?;
        Proven::of(&hub, &mut on, records).await?
    };
    Ok(Json(proven.packed(&hub, id, None).await?))
}

/// A grievance that a jury or its parties have decided, in one file for whoever may read it, which anybody can check without a server:
/// `earnest verify bundle`. Votes of juries that you may not read are not in it, nor is what it is about where you may not read that.
#[utoipa::path(get, path = "/v1/grievances/{id}/bundle", tag = "grievances", params(("id" = String, Path)), responses(
    (status = 200, description = "The bundle", body = Bundle),
    (status = 401, description = "Nobody is signed in", content_type = "application/problem+json"),
    (status = 404, description = "There is no such grievance, or you have no part in it", content_type = "application/problem+json"),
    (status = 409, description = "It is not decided, or of a deal, which has a bundle of its own, or has more than 2,000 records",
        content_type = "application/problem+json"),
))]
async fn grievance_bundle(
    State(hub): State<Hub>,
    // Before the path is read: who is nobody here is told so whatever is asked for.
    _: Caller,
    reader: Reader,
    Path(id): Path<RecordId>,
) -> Result<Json<Bundle>, Problem> {
    let (proven, heard) = {
        let mut on = hub.db.reader().acquire().await.map_err(Error::from)?;
        let (heard, records) = grievances::told(&mut on, &reader, id, (hub.account, limit())).await?;
        (Proven::of(&hub, &mut on, records).await?, heard)
    };
    Ok(Json(proven.packed(&hub, id, Some(heard)).await?))
}

/// How many records are looked for: one more than may be, which shows that there are more.
fn limit() -> i64 {
    i64::try_from(RECORDS_MAX).unwrap_or(i64::MAX).saturating_add(1)
}

/// Records, and that they stand in the log.
struct Proven {
    records: Vec<Accepted>,
    head: Head,
    paths: Vec<Vec<B256>>,
}

impl Proven {
    async fn of(hub: &Hub, on: &mut AnyConnection, records: Vec<Accepted>) -> Result<Self, Problem> {
        if records.len() > RECORDS_MAX {
            let told = format!("there are more than {RECORDS_MAX} records of it");
            return Err(Problem::conflict(told).by_rule("too_many_records"));
        }
        let head = Head::of(on, Stamp::from_ms(hub.clock.now_ms())).await?;
        let places: Vec<i64> = records.iter().map(|one| one.seq).collect();
        let paths = nodes::inclusion(on, &places, head.size).await?;
        Ok(Self { records, head, paths })
    }

    /// With the status lists of the credentials among them, and what the hub signs.
    async fn packed(self, hub: &Hub, about: RecordId, heard: Option<Heard>) -> Result<Bundle, Error> {
        let corrupt = |error: &dyn std::fmt::Display| Error::Corrupt(error.to_string());
        let Self { records, head, paths } = self;
        let mut urls = BTreeMap::new();
        for accepted in records.iter().filter(|accepted| accepted.record.kind == "credential@1") {
            let read = accepted.record.body.get("credential").and_then(|one| heading::read(one).ok());
            if let Some(entry) = read.and_then(|credential| credential.status)
                && let Some(number) = entry.number()
            {
                urls.insert(number, entry.purpose);
            }
        }
        let mut status_lists = Vec::new();
        for (number, purpose) in urls {
            status_lists.extend(lists::signed(hub, purpose, number).await?);
        }
        // The lists are of now, and not of when the head was read.
        let made = Stamp::from_ms(hub.clock.now_ms());
        let entries = records
            .iter()
            .map(|one| Place { seq: one.seq, id: one.record.id, received: Stamp::from_ms(one.received_at) })
            .collect();
        let log = Extract { about, made, entries, grievance: heard, proof: None };
        let log = log.sign(&hub.key).map_err(|error| corrupt(&error))?;
        let head = head.sign(&hub.key).map_err(|error| corrupt(&error))?;
        let records =
            records.into_iter().map(|one| serde_json::to_value(one.record)).collect::<Result<_, _>>();
        let records = records.map_err(|error| corrupt(&error))?;
        Ok(Bundle { records, status_lists, log, log_proof: LogProof { head, paths } })
    }
}

/// The records about a purchase that stand in a bundle, in the order of the log; one more than may be, where there are more.
async fn told(on: &mut AnyConnection, reader: &Reader, id: RecordId) -> Result<Vec<Accepted>, Error> {
    // An event is told up to three times: when it is seen, safe and final.
    let all = log::concerning(on, &id, &KINDS, limit().saturating_mul(3)).await?;
    let stands = |record: &Record| match record.kind.as_str() {
        "chain-event@1" => record.body_as::<FeedEntry>().is_ok_and(|entry| entry.finality == Finality::Final),
        "credential@1" | "revocation@1" => may_read(reader, &record.audience),
        _ => true,
    };
    Ok(all.into_iter().filter(|accepted| stands(&accepted.record)).collect())
}
