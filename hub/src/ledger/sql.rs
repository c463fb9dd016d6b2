//! What differs between the engines, and many rows in one statement: `$1` is JSON, a list of objects or of texts.

use service::db::Db;
use sqlx::{Any, AnyConnection, Transaction};

use crate::error::Error;

/// The two types of column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Text(&'static str),
    Number(&'static str),
}

/// Whether it is PostgreSQL, and not SQLite.
pub(crate) fn postgres(on: &AnyConnection) -> bool {
    on.backend_name() == "PostgreSQL"
}

/// The objects of `$1` as rows `r`, in their order.
pub(super) fn rows(on: &AnyConnection, columns: &[Column]) -> String {
    let one = |column: &Column| match (postgres(on), *column) {
        (true, Column::Text(name)) => format!("{name} TEXT"),
        (true, Column::Number(name)) => format!("{name} BIGINT"),
        (false, Column::Text(name) | Column::Number(name)) => format!("value ->> '{name}' AS {name}"),
    };
    let columns = columns.iter().map(one).collect::<Vec<_>>().join(", ");
    if postgres(on) {
        format!("json_to_recordset(CAST($1 AS json)) AS r({columns})")
    } else {
        format!("(SELECT {columns} FROM json_each($1)) AS r")
    }
}

/// The texts of `$1`, for `IN`, or as rows with the column `value`.
pub(crate) fn texts(on: &AnyConnection) -> &'static str {
    if postgres(on) {
        "(SELECT value FROM json_array_elements_text(CAST($1 AS json)))"
    } else {
        "(SELECT value FROM json_each($1))"
    }
}

/// A transaction for reading that sees one state of the database throughout, as SQLite's always do.
pub(super) async fn view(db: &Db) -> Result<Transaction<'static, Any>, Error> {
    let mut view = db.reader().begin().await?;
    if postgres(&view) {
        let sql = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY";
        sqlx::query(sql).execute(&mut *view).await?;
    }
    Ok(view)
}
