//! Earnest.
fn main() {}
