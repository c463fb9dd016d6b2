//! A deal: what may happen to it, when, by whom, and what that pays.

mod refusal;

pub use refusal::Refusal;
