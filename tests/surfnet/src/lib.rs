//! A local Solana node for tests.
