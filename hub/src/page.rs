//! Lists come in pages: `after` is the cursor that the page before gave, `limit` how many at most.

use serde::{Deserialize, Serialize};
use service::http::Problem;

/// Entries of a page when the request does not say.
pub(crate) const LIMIT_DEFAULT: u32 = 50;
/// The most entries of a page.
pub(crate) const LIMIT_MAX: u32 = 100;

/// Where a page begins and how long it is.
#[derive(Clone, Copy, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Cursor {
    /// `next` of the page before.
    pub after: Option<u64>,
    /// 1 to 100; 50 when missing.
    pub limit: Option<u32>,
}

impl Cursor {
    /// As the database counts; none for the first page.
    pub(crate) fn after(&self) -> Option<i64> {
        self.after.map(|after| i64::try_from(after).unwrap_or(i64::MAX))
    }

    /// As the database counts.
    ///
    /// # Errors
    /// 400: out of range.
    pub(crate) fn limit(&self) -> Result<i64, Problem> {
        match self.limit.unwrap_or(LIMIT_DEFAULT) {
            limit @ 1..=LIMIT_MAX => Ok(i64::from(limit)),
            limit => Err(Problem::malformed(format!("limit {limit} must be 1 to {LIMIT_MAX}")).at("limit")),
        }
    }
}

/// A page of a list. A page may be empty and still have a next one: what you may not read is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// `after` of the next page, a decimal string; null at the end.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// `next`: the cursor of the last entry that was looked at; none when there is nothing more.
    pub(crate) fn new(items: Vec<T>, next: Option<i64>) -> Self {
        Self { items, next: next.map(|seq| seq.to_string()) }
    }
}

/// The cursor after a page of `found` entries: none when the page was not full.
pub(crate) fn next(found: usize, limit: i64, last: Option<i64>) -> Option<i64> {
    last.filter(|_| i64::try_from(found).is_ok_and(|found| found >= limit))
}
