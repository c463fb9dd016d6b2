//! What can go wrong in the hub, and the one place where it becomes problem details.

use axum::http::StatusCode;
use service::{db::DbError, http::Problem};

/// The steps of `submit`, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Size, depth, members, the form of the body.
    Schema,
    /// The id and the signature.
    Proof,
    /// Who may say this.
    Access,
    /// What the type's room demands.
    Rule,
}

impl Step {
    /// As refusals name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Schema => "schema",
            Self::Proof => "proof",
            Self::Access => "access",
            Self::Rule => "rule",
        }
    }
}

/// A record that is not accepted. Nothing of it is kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {rule}: {detail}", step.name())]
pub struct Refusal {
    /// Where it was refused.
    pub step: Step,
    /// The rule's name, e.g. `device_revoked`.
    pub rule: &'static str,
    /// The member at fault as a JSON pointer into the record, e.g. `/body/price/0/amount`.
    pub field: String,
    /// The value, the rule in words, and what to do.
    pub detail: String,
    /// The HTTP status that tells it.
    pub status: StatusCode,
}

impl Refusal {
    /// A refusal in a step; the status follows from the step.
    pub fn new(step: Step, rule: &'static str, field: impl Into<String>, detail: impl Into<String>) -> Self {
        let status = match step {
            Step::Access => StatusCode::FORBIDDEN,
            Step::Schema | Step::Proof | Step::Rule => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self { step, rule, field: field.into(), detail: detail.into(), status }
    }

    /// The form is wrong (422).
    pub fn schema(rule: &'static str, field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(Step::Schema, rule, field, detail)
    }

    /// The id or the signature is wrong (422).
    pub fn proof(rule: &'static str, field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(Step::Proof, rule, field, detail)
    }

    /// This author or device may not say it (403).
    pub fn access(rule: &'static str, field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(Step::Access, rule, field, detail)
    }

    /// A rule of the type forbids it (422).
    pub fn rule(rule: &'static str, field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(Step::Rule, rule, field, detail)
    }

    /// The state of what it is about does not allow it, though another state would (409).
    pub fn conflict(rule: &'static str, field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { status: StatusCode::CONFLICT, ..Self::new(Step::Rule, rule, field, detail) }
    }
}

/// Whatever can go wrong in the hub.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A record was refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A request was refused.
    #[error("{}", .0.detail)]
    Request(Box<Problem>),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The indexer cannot be asked.
    #[error(transparent)]
    Chain(#[from] crate::chain::ChainError),
    /// What the database holds cannot be read, which only damage or a newer program explains.
    #[error("the database holds what this program cannot read: {0}")]
    Corrupt(String),
    /// The configuration cannot be used.
    #[error("configuration: {0}")]
    Config(String),
    /// The data folder or the listener failed.
    #[error("{what}: {source}")]
    Io {
        /// What was tried, with the path.
        what: String,
        /// The system's words.
        source: std::io::Error,
    },
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Db(DbError::Sql(error))
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::Request(Box::new(problem))
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(refusal) => Self::new(
                refusal.status,
                "refused",
                "The record is refused and nothing of it is kept",
                refusal.detail,
            )
            .at(refusal.field)
            .in_step(refusal.step.name())
            .by_rule(refusal.rule),
            Error::Request(problem) => *problem,
            Error::Chain(error) => Self::unavailable(error.to_string()),
            other => Self::internal(&other),
        }
    }
}
