//! Intents: what the hub wants done on chain, fetched by a durable cursor and kept once each by business key, in the
//! transaction that moves the cursor. What becomes of them is the work of [`crate::transactions`].

mod fetch;
mod model;
mod store;
#[cfg(test)]
mod tests;

pub use fetch::{Fetcher, TASK};
pub use model::{State, admit};
pub use store::{Kept, get, get_all, list, open, receive, same_under_way};
