//! What all lists have in common: how states are looked through in pages, the tag by which a client knows that nothing has
//! changed, and the description of the whole API.

mod etag;
pub(crate) mod list;
pub(crate) mod openapi;
pub(crate) mod scan;
#[cfg(test)]
mod tests;
