//! What verbs print: tables for people, JSON for scripts (`--json`).

use std::io::Write;

use anyhow::{Context, Result};
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

/// How to print.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// JSON instead of tables.
    pub json: bool,
}

impl Output {
    /// One thing, as lines of a name and a value.
    pub fn one(self, value: &impl Serialize, lines: &[(&str, String)]) -> Result<()> {
        if self.json {
            return print_json(value);
        }
        let mut table = blank();
        for (name, text) in lines {
            table.add_row([(*name).to_owned(), text.clone()]);
        }
        print_table(table)
    }

    /// Many things, as a table with a heading, or the words for none.
    pub fn many(self, value: &impl Serialize, heading: &[&str], rows: Vec<Vec<String>>) -> Result<()> {
        if self.json {
            return print_json(value);
        }
        if rows.is_empty() {
            return print("none");
        }
        let mut table = blank();
        table.set_header(heading.iter().map(|name| name.to_uppercase()));
        for row in rows {
            table.add_row(row);
        }
        print_table(table)
    }

    /// After a page for people: how to come to the next one, where there is one.
    pub fn more(self, next: Option<&str>) -> Result<()> {
        match next {
            Some(next) if !self.json => print(&format!("more: --after '{next}'")),
            _ => Ok(()),
        }
    }
}

fn blank() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table
}

fn print_json(value: &impl Serialize) -> Result<()> {
    print(&serde_json::to_string(value)?)
}

fn print_table(mut table: Table) -> Result<()> {
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    print(&table.trim_fmt())
}

/// A chain's time, in Unix seconds, for people: RFC 3339 in UTC, or the seconds where that calendar ends.
pub fn time(seconds: u64) -> String {
    let moment = i64::try_from(seconds).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    moment.map_or_else(|| seconds.to_string(), |moment| moment.to_string())
}

/// Prints a line. A reader that went away is an error, not a panic.
pub fn print(line: &str) -> Result<()> {
    writeln!(std::io::stdout().lock(), "{line}").context("standard output")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_by_people() {
        assert_eq!(time(1_795_266_807), "2026-11-21T13:13:27Z");
        assert_eq!(time(u64::MAX), "18446744073709551615");
    }
}
