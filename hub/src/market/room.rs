//! What `submit` asks of this room.

use serde_json::json;
use service::db::Write;

use super::{
    model::{ListingBody, audience_for, step},
    store::{self, Listing},
};
use crate::{
    access::Audience,
    error::{Error, Refusal},
    identity, outbox,
    records::{Accepted, Draft, Record},
};

/// See [`crate::rooms::Room::tables`].
pub(crate) const TABLES: &[&str] = &["listings", "listing_tags"];

pub(crate) fn check(record: &Record) -> Result<(), Refusal> {
    let body: ListingBody = record.body_as()?;
    body.check()?;
    audience_for(body.status, body.visibility, &record.account(), &record.audience)
}

pub(crate) async fn apply(write: &mut Write, accepted: &Accepted) -> Result<Vec<Draft>, Error> {
    let Accepted { record, received_at: now, seq, .. } = accepted;
    let on = write.on();
    let seller = record.account();
    let body: ListingBody = record.body_as()?;
    if let Some(wallet) = &body.pay_to
        && identity::account_of_wallet(on, wallet).await? != Some(seller)
    {
        return Err(Refusal::rule(
            "foreign_wallet",
            "/body/pay_to",
            format!("{wallet} is no wallet of the author: link it with wallet@1"),
        )
        .into());
    }
    let mut audience = record.audience.clone();
    audience.push(Audience::Account(seller));
    let new = Listing {
        id: record.id,
        seq: *seq,
        revision: record.id,
        seller,
        audience,
        body,
        created_at: *now,
        updated_at: *now,
    };
    let listing = match &record.about {
        None => {
            step(None, new.body.status)?;
            new
        }
        Some(id) => {
            let before = store::listing(on, id).await?.ok_or_else(|| {
                Refusal::rule("unknown_listing", "/about", format!("there is no listing {id}"))
            })?;
            if before.seller != seller {
                return Err(Refusal::access(
                    "not_yours",
                    "/about",
                    format!("listing {id} is another account's"),
                )
                .into());
            }
            if before.body.kind != new.body.kind {
                let kept = before.body.kind.name();
                return Err(
                    Refusal::rule("kind_kept", "/body/kind", format!("a revision keeps {kept}")).into()
                );
            }
            step(Some(before.body.status), new.body.status)?;
            Listing { id: before.id, seq: before.seq, created_at: before.created_at, ..new }
        }
    };
    store::put(on, &listing).await?;
    let told = json!({ "listing": listing.id, "status": listing.body.status });
    outbox::append(on, "listing", &listing.audience, &told).await?;
    Ok(Vec::new())
}
