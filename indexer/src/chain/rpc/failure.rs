//! The kinds of failure of a node, and how each is read from what it says.

use alloy::{primitives::B256, rpc::json_rpc::RpcError as Json, transports::TransportError};

use crate::chain::refusals::{self, Hint, Refusal};

/// Why a node gave no usable answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RpcError {
    /// It did not answer in time, or not at all, or with an error of its own.
    #[error("{method} failed: {reason}")]
    Failed {
        /// The method.
        method: &'static str,
        /// In the node's or the transport's words, cut to 300 characters.
        reason: String,
    },
    /// It refuses to answer so much at once.
    #[error("{method} was refused as too large: {reason}")]
    TooLarge {
        /// The method.
        method: &'static str,
        /// In the node's words.
        reason: String,
        /// What it would answer instead, where it says so.
        hint: Option<Hint>,
    },
    /// It is asked too often.
    #[error("{method} was refused as too often: {reason}")]
    Busy {
        /// The method.
        method: &'static str,
        /// In the node's words.
        reason: String,
    },
    /// It does not know the block, the tag or the method.
    #[error("{method} is not answered: {reason}")]
    Unknown {
        /// The method.
        method: &'static str,
        /// In the node's words.
        reason: String,
    },
    /// Its answers contradict one another or the question.
    #[error("the node contradicts itself: {0}")]
    Inconsistent(String),
    /// It serves another chain.
    #[error("the node at {node} serves {served}, not {wanted}")]
    WrongChain {
        /// Host of the node.
        node: String,
        /// The chain it serves.
        served: String,
        /// The chain that is wanted.
        wanted: String,
    },
    /// It serves a chain of the same name that began anew, as local ones do.
    #[error(
        "the node at {node} serves a chain that begins with block {served}, but the database follows the one that began \
         with {stored}: that chain is gone; start this one fresh, with an empty database"
    )]
    OtherGenesis {
        /// Host of the node.
        node: String,
        /// Hash of the first block that it serves.
        served: B256,
        /// Hash of the first block that the database follows.
        stored: B256,
    },
}

impl RpcError {
    /// Whether the node answered, and another may answer better: this one lacks what it was asked for, refuses it, or
    /// contradicts itself.
    pub(crate) const fn another_may_know(&self) -> bool {
        matches!(self, Self::TooLarge { .. } | Self::Unknown { .. } | Self::Inconsistent(_))
    }
}

/// How a failure is to be met, from its code and words.
pub(crate) fn classify(method: &'static str, error: &TransportError) -> RpcError {
    let cut = |text: &str| text.chars().take(300).collect::<String>();
    match error {
        Json::ErrorResp(payload) => {
            let reason = cut(&format!("{} ({})", payload.message, payload.code));
            match refusals::read(payload.code, &payload.message) {
                Refusal::TooLarge(hint) => RpcError::TooLarge { method, reason, hint },
                Refusal::Busy => RpcError::Busy { method, reason },
                Refusal::Unknown => RpcError::Unknown { method, reason },
                Refusal::Failed => RpcError::Failed { method, reason },
            }
        }
        Json::NullResp => RpcError::Unknown { method, reason: "null".to_owned() },
        // The answer's text may be megabytes.
        Json::DeserError { err, .. } => {
            RpcError::Failed { method, reason: cut(&format!("the answer does not decode: {err}")) }
        }
        // Its words may hold the URL, and the URL a key.
        Json::Transport(kind) => {
            let status = kind.as_http_error().map(|http| http.status);
            let reason = status.map_or_else(|| "no connection".to_owned(), |s| format!("HTTP {s}"));
            match status {
                Some(413) => RpcError::TooLarge { method, reason, hint: None },
                Some(429) => RpcError::Busy { method, reason },
                _ => RpcError::Failed { method, reason },
            }
        }
        other => RpcError::Failed { method, reason: cut(&other.to_string()) },
    }
}
