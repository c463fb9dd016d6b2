//! `earnest ledger`: what you have, paying, setting aside; statements and their export; a look at a hub's whole ledger.

use std::io::{self, BufWriter, Write};

use anyhow::{Context, Result, anyhow, bail};
use clap::{Subcommand, ValueEnum};
use hub::{
    access::Audience,
    ledger::{
        CaptureBody, EntryView, HoldBody, HoldView, ReleaseBody, StandingView, StatementView, TransferBody,
        model::{Asset, NotOfTheLedger},
    },
    page::Page,
    records::{Record, RecordId, Stamp, StampError},
};
use protocol::wire::dec;
use serde::Serialize;

use super::{Session, query, record_id};
use crate::{
    amount,
    client::hub::Member,
    exit::Failure,
    services::{self, ServiceArgs},
};

/// The ledger.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Show your accounts, one for each asset
    Accounts {
        /// `next` of the page before
        #[arg(long)]
        after: Option<String>,
    },
    /// Show your account entry by entry, oldest first
    #[command(after_help = "Example:\n  earnest --as ida ledger statement --after 50")]
    Statement {
        /// time_credit, a CAIP-19 id, or the id of the record that issued it
        #[arg(long, default_value = "time_credit", value_parser = asset)]
        asset: Asset,
        /// `next` of the page before
        #[arg(long)]
        after: Option<u64>,
        /// Entries of the page, 1 to 100
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Show what is set aside on your accounts, and for you
    Holds {
        /// `next` of the page before
        #[arg(long)]
        after: Option<String>,
    },
    /// Write all entries of your account to standard output, in the smallest unit
    #[command(after_help = "Example:\n  earnest --as ida ledger export --format csv > hours.csv")]
    Export {
        /// As for `statement`
        #[arg(long, default_value = "time_credit", value_parser = asset)]
        asset: Asset,
        /// CSV with a line of names, or a JSON list [default: csv, with --json: json]
        #[arg(long, value_enum)]
        format: Option<Format>,
    },
    /// Pay. After an answer that was lost, the same again pays once
    #[command(
        after_help = "Example:\n  earnest --as ida ledger pay zQmAccount… 1.5 --note 'an hour and a half of weeding'"
    )]
    Pay {
        /// Whom
        #[arg(value_parser = record_id)]
        to: RecordId,
        /// How much, in hours or what the asset's unit is
        amount: String,
        /// As for `statement`
        #[arg(long, default_value = "time_credit", value_parser = asset)]
        asset: Asset,
        /// What for, at most 280 characters
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Set an amount aside for somebody
    #[command(
        after_help = "Example:\n  earnest --as ida ledger hold zQmAccount… 3 --expires 2026-12-01T00:00:00Z"
    )]
    Hold {
        /// For whom
        #[arg(value_parser = record_id)]
        to: RecordId,
        /// How much at most
        amount: String,
        /// From when on it can only expire
        #[arg(long, value_parser = stamp)]
        expires: Stamp,
        /// As for `statement`
        #[arg(long, default_value = "time_credit", value_parser = asset)]
        asset: Asset,
        /// What for, at most 280 characters
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Pay out of what you set aside; the rest is yours again
    Capture {
        /// The hold
        #[arg(value_parser = record_id)]
        hold: RecordId,
        /// How much
        amount: String,
    },
    /// Give up what was set aside for you
    Release {
        /// The hold
        #[arg(value_parser = record_id)]
        hold: RecordId,
    },
    /// Read a hub's whole ledger and check it: sums, continuity, holds, what deals hold. The hub may be running
    #[command(
        after_help = "It ends with 3 where something does not hold, or where with --chain an indexer does not answer. \
        Open deals of a chain\nof which the hub has no indexer are named and not compared, which is no fault.\nExample:\n  \
        earnest ledger verify --config data/earnest.toml --chain"
    )]
    Verify {
        #[command(flatten)]
        service: ServiceArgs,
        /// Also ask the hub's indexers what each open deal holds on chain
        #[arg(long)]
        chain: bool,
    },
}

/// How an export is written.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Format {
    /// RFC 4180
    Csv,
    /// A list of entries
    Json,
}

/// An asset on the command line.
pub fn asset(text: &str) -> Result<Asset, String> {
    text.parse().map_err(|error: NotOfTheLedger| error.to_string())
}

fn stamp(text: &str) -> Result<Stamp, String> {
    text.parse().map_err(|error: StampError| error.to_string())
}

/// Smallest units with the asset's decimals, as people write it.
fn shown(units: i128, scale: u8) -> String {
    let sign = if units < 0 { "-" } else { "" };
    format!("{sign}{}", amount::decimal(usize::from(scale), units.unsigned_abs()))
}

/// What people write, in smallest units.
pub fn units(text: &str, scale: u8) -> Result<i128> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let scale = usize::from(scale);
    if !digits(whole) || !digits(part) || part.trim_end_matches('0').len() > scale {
        bail!("amount `{text:.60}` must be a number such as 1.5, with at most {scale} decimals");
    }
    let part = part.trim_end_matches('0');
    let all = format!("{whole}{part:0<scale$}");
    all.parse().map_err(|_| anyhow!("amount `{text:.60}` has too many digits"))
}

/// A page of the statement in an asset.
pub fn path(asset: Asset, after: Option<u64>, limit: u32) -> String {
    let after = after.map(|after| after.to_string());
    query(
        "/v1/ledger/statement",
        &[("asset", Some(asset.to_string())), ("after", after), ("limit", Some(limit.to_string()))],
    )
}

/// An amount as its asset counts it.
pub async fn read(member: &Member, asset: Asset, amount: &str) -> Result<i128> {
    let statement: StatementView = member.get(&path(asset, None, 1)).await?;
    units(amount, statement.account.scale)
}

/// Does it.
pub async fn run(session: &Session, verb: Verb) -> Result<()> {
    match verb {
        Verb::Accounts { after } => accounts(session, after).await,
        Verb::Statement { asset, after, limit } => statement(session, asset, after, limit).await,
        Verb::Holds { after } => holds(session, after).await,
        Verb::Export { asset, format } => {
            let format = match (format, session.output.json) {
                (Some(Format::Csv), true) => bail!("--format csv: --json asks for JSON: give one of the two"),
                (Some(format), _) => format,
                (None, true) => Format::Json,
                (None, false) => Format::Csv,
            };
            export(&session.member().await?, asset, format).await
        }
        Verb::Pay { to, amount, asset, note } => {
            let member = session.member().await?;
            let amount = read(&member, asset, &amount).await?;
            let body = TransferBody { asset, to, amount, note };
            say(session, &member, "transfer@1", &body, None, to).await
        }
        Verb::Hold { to, amount, expires, asset, note } => {
            let member = session.member().await?;
            let amount = read(&member, asset, &amount).await?;
            let body = HoldBody { asset, to, amount, expires, note };
            say(session, &member, "hold@1", &body, None, to).await
        }
        Verb::Capture { hold, amount } => {
            let member = session.member().await?;
            let (_, HoldBody { asset, to, .. }) = of(&member, hold).await?;
            let amount = read(&member, asset, &amount).await?;
            say(session, &member, "capture@1", &CaptureBody { amount }, Some(hold), to).await
        }
        Verb::Release { hold } => {
            let member = session.member().await?;
            let (record, _) = of(&member, hold).await?;
            say(session, &member, "release@1", &ReleaseBody {}, Some(hold), record.account()).await
        }
        Verb::Verify { service, chain } => verify(session, &service, chain).await,
    }
}

/// The record of a hold, and what it says.
async fn of(member: &Member, hold: RecordId) -> Result<(Record, HoldBody)> {
    let record: Record = member.get(&format!("/v1/records/{hold}")).await?;
    let body = record.body_as().with_context(|| format!("{hold} is a {}, not a hold", record.kind))?;
    Ok((record, body))
}

/// Says something that the other party can read, once.
async fn say(
    session: &Session,
    member: &Member,
    kind: &str,
    body: &impl Serialize,
    hold: Option<RecordId>,
    other: RecordId,
) -> Result<()> {
    let draft = member.draft(kind, body)?.only_for(vec![Audience::Account(other)]);
    let draft = match hold {
        Some(hold) => draft.about(hold),
        None => draft,
    };
    let name = kind.split('@').next().unwrap_or(kind);
    let (receipt, kept) = member.say_once(&draft).await?;
    session.accepted(name, &receipt)?;
    kept.forget()
}

async fn accounts(session: &Session, after: Option<String>) -> Result<()> {
    let page: Page<StandingView> =
        session.member().await?.get(&query("/v1/ledger/accounts", &[("after", after)])).await?;
    tell_accounts(session, &page)
}

/// Accounts, one for each asset.
pub fn tell_accounts(session: &Session, page: &Page<StandingView>) -> Result<()> {
    let rows = page
        .items
        .iter()
        .map(|one| {
            let scaled = |units| shown(units, one.scale);
            vec![
                one.asset.to_string(),
                one.unit.clone(),
                scaled(one.balance),
                scaled(one.available),
                scaled(one.floor),
            ]
        })
        .collect();
    session.output.many(page, &["asset", "unit", "balance", "available", "floor"], rows)?;
    session.output.more(page.next.as_deref())
}

async fn holds(session: &Session, after: Option<String>) -> Result<()> {
    let page: Page<HoldView> =
        session.member().await?.get(&query("/v1/ledger/holds", &[("after", after)])).await?;
    let rows = page
        .items
        .iter()
        .map(|one| {
            vec![
                one.hold.to_string(),
                one.side.name().to_owned(),
                one.other.map(|other| other.to_string()).unwrap_or_default(),
                shown(one.amount, one.scale),
                one.unit.clone(),
                one.expires.to_string(),
            ]
        })
        .collect();
    session.output.many(&page, &["hold", "you are", "other", "amount", "unit", "expires"], rows)?;
    session.output.more(page.next.as_deref())
}

async fn statement(session: &Session, asset: Asset, after: Option<u64>, limit: u32) -> Result<()> {
    let page: StatementView = session.member().await?.get(&path(asset, after, limit)).await?;
    let scaled = |units| shown(units, page.account.scale);
    let rows = page
        .items
        .iter()
        .map(|one| {
            vec![
                one.number.to_string(),
                one.at.to_string(),
                one.kind.name().to_owned(),
                scaled(one.amount),
                scaled(one.balance),
                one.other.map(|other| other.to_string()).unwrap_or_default(),
            ]
        })
        .collect();
    session.output.many(&page, &["entry", "at", "type", "amount", "balance", "other"], rows)?;
    session.output.more(page.next.as_deref())
}

/// A line of the CSV. None of its fields can hold a comma, a quote or a line's end.
fn line(entry: &EntryView) -> String {
    let other = entry.other.map(|other| other.to_string()).unwrap_or_default();
    let EntryView { number, at, kind, amount, balance, record, .. } = entry;
    format!("{number},{at},{},{amount},{balance},{other},{record}\r\n", kind.name())
}

/// Page after page, so that an account of any length needs the memory of one.
async fn export(member: &Member, asset: Asset, format: Format) -> Result<()> {
    let mut out = BufWriter::new(io::stdout());
    let stopped = "standard output";
    let open = match format {
        Format::Csv => "entry,at,type,amount,balance,other,record\r\n",
        Format::Json => "[",
    };
    out.write_all(open.as_bytes()).context(stopped)?;
    let (mut after, mut first) = (None, true);
    loop {
        let page: StatementView = member.get(&path(asset, after, 100)).await?;
        for entry in &page.items {
            match format {
                Format::Csv => out.write_all(line(entry).as_bytes()),
                Format::Json => {
                    let comma = if first { "\n" } else { ",\n" };
                    out.write_all(format!("{comma}{}", serde_json::to_string(entry)?).as_bytes())
                }
            }
            .context(stopped)?;
            first = false;
        }
        match page.next {
            Some(next) => after = Some(next.parse().with_context(|| format!("the hub's `next` {next:.40}"))?),
            None => break,
        }
    }
    if matches!(format, Format::Json) {
        out.write_all(b"\n]\n").context(stopped)?;
    }
    out.flush().context(stopped)
}

/// What a look at the whole ledger found, as JSON and tables show it.
#[derive(Serialize)]
struct Found {
    #[serde(with = "dec")]
    accounts: u64,
    #[serde(with = "dec")]
    entries: u64,
    #[serde(with = "dec")]
    operations: u64,
    #[serde(with = "dec")]
    holds: u64,
    #[serde(with = "dec")]
    deals: u64,
    #[serde(with = "dec")]
    asked: u64,
    #[serde(with = "dec")]
    unsettled: u64,
    #[serde(with = "dec")]
    unasked: u64,
    #[serde(with = "dec")]
    faults: u64,
    told: Vec<String>,
}

async fn verify(session: &Session, arguments: &ServiceArgs, chain: bool) -> Result<()> {
    let config = services::hub_config(arguments)?;
    let found = if chain {
        hub::verify_ledger_on_chain(&config).await.context("the hub's database")?
    } else {
        hub::verify_ledger(&config).await.context("the hub's database")?
    };
    let found = Found {
        accounts: found.accounts,
        entries: found.entries,
        operations: found.operations,
        holds: found.holds,
        deals: found.deals,
        asked: found.asked,
        unsettled: found.unsettled,
        unasked: found.unasked,
        faults: found.faults,
        told: found.told,
    };
    session.output.one(
        &found,
        &[
            ("accounts", found.accounts.to_string()),
            ("entries", found.entries.to_string()),
            ("operations", found.operations.to_string()),
            ("holds", found.holds.to_string()),
            ("deals", found.deals.to_string()),
            ("asked of the chain", found.asked.to_string()),
            ("not settled", found.unsettled.to_string()),
            ("not compared", found.unasked.to_string()),
            ("faults", found.faults.to_string()),
            ("", found.told.join("\n")),
        ],
    )?;
    if found.faults == 0 {
        return Ok(());
    }
    Err(Failure::does_not_hold(format!("the ledger does not hold: {} faults", found.faults)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::noise::{edited_text, edits, text};

    proptest! {
        #[test]
        fn an_amount_that_is_read_reads_back(
            number in 0..=i128::MAX, scale in 0..=40_u8, edits in edits(), other in text(),
        ) {
            prop_assert_eq!(units(&shown(number, scale), scale).unwrap(), number);
            for text in [edited_text("1234.5600", &edits), other] {
                match units(&text, scale) {
                    Ok(read) => prop_assert_eq!(units(&shown(read, scale), scale).unwrap(), read),
                    Err(error) => prop_assert!(error.to_string().starts_with("amount"), "{error}"),
                }
            }
        }
    }

    #[test]
    fn amounts_are_exact_both_ways() {
        for (text, scale, number) in
            [("1.5", 2, 150), ("0.01", 2, 1), ("12", 2, 1_200), ("1.50000", 2, 150), ("7", 0, 7), ("0", 2, 0)]
        {
            assert_eq!(units(text, scale).unwrap(), number, "{text}");
        }
        for (number, scale, text) in
            [(-150, 2, "-1.5"), (1, 2, "0.01"), (0, 2, "0"), (-7, 0, "-7"), (1_200, 2, "12")]
        {
            assert_eq!(shown(number, scale), text);
        }
        for bad in ["", "1.", ".5", "-1", "1.234", "1e3", "1,5", "½", "1.5.0"] {
            assert!(units(bad, 2).unwrap_err().to_string().contains("2 decimals"), "{bad}");
        }
        assert!(units(&"9".repeat(40), 2).unwrap_err().to_string().contains("digits"));
    }

    #[test]
    fn a_line_has_a_field_for_each_name() {
        let record: RecordId = "zQmQYMe2qvdf3NhsTQcqeozqv57FsBQXTMjsy5TXnBMkJPr".parse().unwrap();
        let entry = EntryView {
            number: 3,
            at: Stamp::from_ms(0),
            kind: hub::ledger::rules::EntryKind::ExchangeDebit,
            amount: -150,
            balance: -50,
            other: None,
            record,
        };
        assert_eq!(line(&entry), format!("3,1970-01-01T00:00:00Z,exchange_debit,-150,-50,,{record}\r\n"));
    }
}
