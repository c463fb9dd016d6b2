//! Earnest.
