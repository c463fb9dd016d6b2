//! What a hub lets only persons do: take part in its market, and spend what they do not have; or nearly everything.

use serde_json::Value;
use sqlx::AnyConnection;

use crate::{
    Hub,
    config::Personhood,
    error::{Error, Refusal},
    identity, ledger,
    records::{Record, RecordId},
    rooms::Room,
};

/// Whether a record of this type takes part in the market. What ends or contests a deal that stands is never among them.
fn takes_part(kind: &str) -> bool {
    matches!(kind, "listing@1" | "purchase@1" | "acceptance@1")
}

/// Whether a record ends or contests something that stands, or goes on with a deal that does: nobody is kept from that.
fn ends_or_contests(kind: &str, body: &Value) -> bool {
    match kind {
        "erasure@1" | "capture@1" | "release@1" | "withdrawal@1" | "act@1" | "standing@1" | "evidence@1"
        | "appeal@1" | "recusal@1" | "grievance@1" | "grievance-step@1" | "revocation@1" => true,
        "membership@1" => body.get("role").is_some_and(Value::is_null),
        "candidacy@1" => body.get("stands").is_some_and(|stands| stands == false),
        _ => false,
    }
}

/// What a record does for which a setting asks its author to be a person, in words; none where it does not ask. Whether it needs credit
/// is another question.
pub(super) fn asked_for(setting: Personhood, kind: &str, body: &Value) -> Option<&'static str> {
    let own = Room::is_the_hubs(kind) || Room::of(kind) == Some(Room::Identity);
    match setting {
        Personhood::Open => None,
        _ if takes_part(kind) => Some("takes part in the market"),
        Personhood::Everything if !own && !ends_or_contests(kind, body) => Some("speaks here"),
        Personhood::Required | Personhood::Everything => None,
    }
}

/// Part of the access step: refuses what only a person may do where the author has not shown to be one.
pub(crate) async fn persons_only(
    on: &mut AnyConnection,
    hub: &Hub,
    record: &Record,
    author: &RecordId,
    now: i64,
) -> Result<(), Error> {
    let setting = hub.config.personhood;
    if setting == Personhood::Open || *author == hub.account {
        return Ok(());
    }
    let what = if let Some(what) = asked_for(setting, &record.kind, &record.body) {
        what
    } else if ledger::needs_credit(on, record).await? {
        "gives more than it has"
    } else {
        return Ok(());
    };
    if identity::is_person(on, author, now).await? {
        return Ok(());
    }
    let told = format!("{author} {what} and has to show that it is a person first: personhood@1");
    Err(Refusal::access("personhood", "/author", told).into())
}
