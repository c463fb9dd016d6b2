//! Who may read: the audience of a record, the roles of a reader, and the one function that decides.
//!
//! Every read of the hub asks [`may_read`]; what a reader may not read is answered as if it were not there.

mod model;
#[cfg(test)]
mod tests;

pub use model::{Audience, Reader, Role, may_read};
