//! What a hub lets only persons do: take part in its market, and spend what they do not have.

use sqlx::AnyConnection;

use crate::{
    Hub,
    config::Personhood,
    error::{Error, Refusal},
    identity, ledger,
    records::{Record, RecordId},
};

/// Whether a record of this type takes part in the market. What ends or contests a deal that stands is never among them.
fn takes_part(kind: &str) -> bool {
    matches!(kind, "listing@1" | "purchase@1" | "acceptance@1")
}

/// Part of the access step: refuses what only a person may do where the author has not shown to be one.
pub(crate) async fn persons_only(
    on: &mut AnyConnection,
    hub: &Hub,
    record: &Record,
    author: &RecordId,
    now: i64,
) -> Result<(), Error> {
    if hub.config.personhood == Personhood::Open {
        return Ok(());
    }
    let what = if takes_part(&record.kind) {
        "takes part in the market"
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
