//! Many rows in one statement, and what differs between the engines in it: the rows go as one JSON text.

use serde::Serialize;
use sqlx::{Any, AnyConnection, any::AnyArguments, query::Query};

use crate::{Error, columns::json};

/// Rows of one statement: enough that statements cost little, few enough that their text stays within some megabytes.
pub(crate) const ROWS_MAX: usize = 1_000;

/// One statement in the words of each engine. `$1` is a JSON array.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Many {
    pub sqlite: &'static str,
    pub postgres: &'static str,
}

/// A statement that begins with `$head`, takes its rows from a JSON array of arrays whose elements are `value ->> 0` and so
/// on, and ends with `$tail`.
macro_rules! of_rows {
    ($head:expr, $tail:expr) => {
        $crate::bulk::Many {
            sqlite: concat!($head, " FROM json_each($1) ", $tail),
            postgres: concat!($head, " FROM json_array_elements(CAST($1 AS json)) ", $tail),
        }
    };
}

/// As [`of_rows`] for a JSON array of texts, each of which is `value`.
macro_rules! of_texts {
    ($head:expr, $tail:expr) => {
        $crate::bulk::Many {
            sqlite: concat!($head, " (SELECT value FROM json_each($1)) ", $tail),
            postgres: concat!(
                $head,
                " (SELECT value FROM json_array_elements_text(CAST($1 AS json))) ",
                $tail
            ),
        }
    };
}

pub(crate) use {of_rows, of_texts};

impl Many {
    /// The statement over these rows; further parameters are bound from `$2` on.
    pub fn over<T: Serialize>(
        self,
        on: &AnyConnection,
        rows: &[T],
    ) -> Result<Query<'static, Any, AnyArguments>, Error> {
        let text = if on.backend_name() == "PostgreSQL" { self.postgres } else { self.sqlite };
        Ok(sqlx::query(text).bind(json(&rows)?))
    }
}
