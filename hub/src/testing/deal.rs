//! What an indexer would say of a deal, from what it has told.

use alloy::primitives::B256;
use protocol::wire::{
    feed::{EventBody, FeedEntry, Finality},
    view::{Deal, DealStatus, DealView},
};

use crate::deals::{position::fold, status::Status};

/// The deal as these tellings make it; none where no funding is among them.
pub(super) fn view<'a>(deal: B256, told: impl Iterator<Item = &'a FeedEntry>) -> Option<DealView> {
    let told: Vec<&FeedEntry> = told
        .filter(|entry| entry.finality != Finality::Retracted && entry.event.body.deal() == Some(deal))
        .collect();
    let terms = told.iter().find_map(|entry| match &entry.event.body {
        EventBody::Funded { terms, .. } => Some(terms.clone()),
        _ => None,
    })?;
    let (position, gap) = fold(Status::Created, &terms, told.iter().map(|entry| &entry.event));
    let status = match position.status {
        Status::Delivered => DealStatus::Delivered,
        Status::Disputed => DealStatus::Disputed,
        Status::Confirmed => DealStatus::Closed,
        _ => DealStatus::Funded,
    };
    let funded_at = position.funded_at.unwrap_or_default();
    Some(DealView {
        deal: Deal {
            deal,
            terms,
            status,
            closed_by: None,
            released: position.released,
            refunded: position.refunded,
            funded_at,
            since: funded_at,
            share: None,
            count: position.count,
            complete: gap.is_none(),
        },
        finality: told.iter().map(|entry| entry.finality).min()?,
    })
}
