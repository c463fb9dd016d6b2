//! Listings: what somebody offers, and at what price. A `listing@1` about nothing begins a listing; one about that first
//! record revises it whole. What may follow what is a table in `model.rs`.

pub(crate) mod api;
mod model;
mod room;
mod store;
#[cfg(test)]
mod tests;

pub use api::ListingView;
pub use model::{
    Fiat, ListingBody, ListingKind, ListingStatus, LocationPref, PanelRef, Price, PriceAsset, PriceType,
    Visibility, audience_for, step,
};
pub(crate) use room::{TABLES, apply, check};
pub(crate) use store::listing;
