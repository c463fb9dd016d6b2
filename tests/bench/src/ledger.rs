//! Both sides of `scripts/bench ledger`: transfers between members by the ledger's own posting function; the rows that it left
//! behind, written by prepared statements, which is SQLite's own ceiling; and a function in PostgreSQL that does the same.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use hub::{
    ledger::{
        bench::{Ledger, Took},
        model::{Asset, Key, OperationId},
        post::{Batch, Leg, Operation},
        rules::{Authority, Purpose},
    },
    records::RecordId,
};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

/// Post transfers.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// The database, empty but for a hub's own
    #[arg(long)]
    url: String,
    /// How many transfers
    #[arg(long)]
    operations: usize,
    /// Transfers of one transaction
    #[arg(long)]
    batch: usize,
    /// Sessions that post at once
    #[arg(long, default_value_t = 1)]
    clients: usize,
    /// Members among whom they go
    #[arg(long, default_value_t = 1_000)]
    accounts: usize,
    /// One of them, by the id of its account, where the database is that of a hub
    #[arg(long)]
    member: Option<RecordId>,
}

/// Write what a ledger left behind.
#[derive(clap::Args, Debug)]
pub struct CeilingArguments {
    /// The SQLite file of the ledger
    #[arg(long)]
    from: PathBuf,
    /// The file of the new one
    #[arg(long)]
    to: PathBuf,
    /// Transfers of one transaction
    #[arg(long)]
    batch: usize,
}

/// When everything happens, in Unix milliseconds.
const AT: i64 = 1_795_255_200_000;

struct Transfer {
    id: OperationId,
    from: RecordId,
    to: RecordId,
    amount: i64,
}

/// The same for every side: payer, payee and amount by a simple generator.
fn transfers(arguments: &Arguments) -> Result<Vec<Vec<Transfer>>> {
    let name = |what: &str, number: usize| RecordId::of(&json!({ what: number }));
    let mut people: Vec<RecordId> =
        (0..arguments.accounts).map(|number| name("account", number)).collect::<Result<_, _>>()?;
    if let (Some(member), Some(first)) = (arguments.member, people.first_mut()) {
        *first = member;
    }
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    let mut all = Vec::with_capacity(arguments.operations);
    for number in 0..arguments.operations {
        let from = next(people.len());
        let to = (from + 1 + next(people.len() - 1)) % people.len();
        let id = OperationId::first(name("transfer", number)?);
        all.push(Transfer { id, from: people[from], to: people[to], amount: 1 + next(1_000) as i64 });
    }
    let mut all = all.into_iter();
    let a_batch =
        || Some(all.by_ref().take(arguments.batch).collect()).filter(|batch: &Vec<_>| !batch.is_empty());
    Ok(std::iter::from_fn(a_batch).collect())
}

/// Every `clients`-th batch for each client.
fn shared<T>(batches: Vec<T>, clients: usize) -> Vec<Vec<T>> {
    let mut shares: Vec<Vec<T>> = (0..clients).map(|_| Vec::new()).collect();
    for (nth, batch) in batches.into_iter().enumerate() {
        shares[nth % clients].push(batch);
    }
    shares
}

fn answer(arguments: &Arguments, seconds: f64) -> Value {
    json!({
        "seconds": seconds,
        "operations": arguments.operations,
        "per_second": arguments.operations as f64 / seconds,
    })
}

/// Looks at what a side left behind, whichever it was.
async fn looked_at(ledger: &Ledger, arguments: &Arguments) -> Result<()> {
    let found = ledger.verify().await?;
    ensure!(found.faults == 0 && found.operations == arguments.operations as u64, "{found:?}");
    ensure!(found.entries == 2 * found.operations, "{found:?}");
    Ok(())
}

/// By the ledger.
pub async fn ours(arguments: &Arguments) -> Result<Value> {
    let batch = |transfers: &Vec<Transfer>| {
        let operation = |one: &Transfer| {
            let leg = |who, amount| Leg { account: Key::member(Asset::TimeCredit, who), amount };
            let legs = vec![leg(one.from, -i128::from(one.amount)), leg(one.to, one.amount.into())];
            Operation::Transfer { id: one.id, purpose: Purpose::Exchange, legs }
        };
        // What an authority may do is not what is measured: every purpose asks the holder's word, so all are one member's.
        let by = Authority::Account(transfers[0].from);
        Batch { by, operations: transfers.iter().map(operation).collect() }
    };
    // One payer in a batch, whose word it is.
    let mut batches = transfers(arguments)?;
    for batch in &mut batches {
        one_payer(batch);
    }
    let shares = shared(batches.iter().map(batch).collect(), arguments.clients);
    let ledger = match arguments.member {
        Some(_) => Ledger::of_hub(&arguments.url).await?,
        None => Ledger::open(&arguments.url).await?,
    };
    let mut sessions = Vec::new();
    if arguments.clients > 1 {
        for _ in 0..arguments.clients {
            sessions.push(ledger.session().await?);
        }
    }
    let began = Instant::now();
    let took = if sessions.is_empty() {
        let mut took = Vec::new();
        for batch in shares.iter().flatten() {
            took.push(ledger.post(batch, AT).await?);
        }
        took
    } else {
        let beside = sessions.iter_mut().zip(&shares).map(|(session, share)| async move {
            let mut took = Vec::new();
            for batch in share {
                took.push(session.post(batch, AT).await?);
            }
            Ok::<_, hub::Error>(took)
        });
        try_join_all(beside).await?.concat()
    };
    let seconds = began.elapsed().as_secs_f64();
    drop(sessions);
    looked_at(&ledger, arguments).await?;
    ledger.close().await;
    let mut answer = answer(arguments, seconds);
    answer["microseconds"] = parts(&took);
    Ok(answer)
}

/// What the parts of a transaction took in the mean, in microseconds: until it was begun, the posting, the commit.
fn parts(took: &[Took]) -> Value {
    let mean = |part: fn(&Took) -> Duration| {
        let sum: Duration = took.iter().map(part).sum();
        sum.as_secs_f64() * 1e6 / took.len() as f64
    };
    json!({
        "begin": mean(|one| one.begin),
        "post": mean(|one| one.posted - one.begin),
        "commit": mean(|one| one.committed - one.posted),
    })
}

/// Makes the first payer the payer of all.
fn one_payer(batch: &mut [Transfer]) {
    let Some(from) = batch.first().map(|first| first.from) else { return };
    for one in batch {
        if one.to == from {
            one.to = one.from;
        }
        one.from = from;
    }
}

/// The function's arguments for a batch.
struct Call {
    ids: Vec<String>,
    digests: Vec<String>,
    payers: Vec<String>,
    payees: Vec<String>,
    holders: Vec<String>,
    amounts: Vec<i64>,
}

/// By a function in PostgreSQL.
pub async fn function(arguments: &Arguments) -> Result<Value> {
    let ledger = Ledger::open(&arguments.url).await?;
    let mut calls = Vec::new();
    for mut batch in transfers(arguments)? {
        one_payer(&mut batch);
        let account = |who: &RecordId| Key::member(Asset::TimeCredit, *who).to_string();
        let holders = batch.iter().map(|one| one.from).chain(batch.iter().map(|one| one.to));
        calls.push(Call {
            ids: batch.iter().map(|one| one.id.to_string()).collect(),
            // As long as a SHA-256 in hexadecimal digits.
            digests: batch.iter().map(|one| format!("{:0>64}", one.amount)).collect(),
            payers: batch.iter().map(|one| account(&one.from)).collect(),
            payees: batch.iter().map(|one| account(&one.to)).collect(),
            holders: holders.map(|who| who.to_string()).collect(),
            amounts: batch.iter().map(|one| one.amount).collect(),
        });
    }
    let mut sessions = Vec::new();
    for _ in 0..arguments.clients {
        sessions.push(PgConnection::connect(&arguments.url).await?);
    }
    sqlx::raw_sql(include_str!("ledger_function.sql"))
        .execute(&mut sessions[0])
        .await
        .context("the function")?;
    let shares = shared(calls, arguments.clients);
    let began = Instant::now();
    try_join_all(sessions.iter_mut().zip(&shares).map(|(session, share)| async move {
        for call in share {
            let posted: i64 = sqlx::query_scalar("SELECT bench_post($1, $2, $3, $4, $5, $6, $7)")
                .bind(&call.ids)
                .bind(&call.digests)
                .bind(&call.payers)
                .bind(&call.payees)
                .bind(&call.holders)
                .bind(&call.amounts)
                .bind(AT)
                .fetch_one(&mut *session)
                .await?;
            ensure!(posted == call.ids.len() as i64, "{posted}");
        }
        Ok::<_, anyhow::Error>(())
    }))
    .await?;
    let seconds = began.elapsed().as_secs_f64();
    looked_at(&ledger, arguments).await?;
    ledger.close().await;
    Ok(answer(arguments, seconds))
}

type EntryRow = (String, i64, String, String, String, String, Option<String>, i64);

/// The very rows by prepared statements, with the same durability and in as many commits. Nothing is looked up or decided.
pub fn ceiling(arguments: &CeilingArguments) -> Result<Value> {
    let from = Connection::open_with_flags(&arguments.from, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let schema: Vec<String> = from
        .prepare(
            "SELECT sql FROM sqlite_master WHERE tbl_name LIKE 'ledger_%' AND sql IS NOT NULL ORDER BY rowid",
        )?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let operations: Vec<(String, String)> = from
        .prepare("SELECT id, digest FROM ledger_operations ORDER BY rowid")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let entries: Vec<EntryRow> = from
        .prepare(
            "SELECT account, version, operation, kind, amount, balance, other, at FROM ledger_entries ORDER BY rowid",
        )?
        .query_map([], |row| {
            Ok((
                row.get(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
                row.get(5)?,
                row.get(6)?,
                row.get(7)?,
            ))
        })?
        .collect::<Result<_, _>>()?;
    ensure!(entries.len() == 2 * operations.len(), "{} entries of {}", entries.len(), operations.len());
    let text = |amount: i64| format!("{amount:+039}");
    // What every commit leaves on the accounts that it changes.
    let mut earned: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    let mut stands = Vec::new();
    for commit in entries.chunks(2 * arguments.batch) {
        let mut changed: BTreeMap<&str, (i64, &str, String, String)> = BTreeMap::new();
        for (account, version, _, _, amount, balance, ..) in commit {
            let amount: i64 = amount.parse()?;
            let (up, down) = earned.entry(account).or_default();
            *up += amount.max(0);
            *down += (-amount).max(0);
            changed.insert(account, (*version, balance.as_str(), text(*up), text(*down)));
        }
        stands.push(changed);
    }
    let to = Connection::open(&arguments.to)?;
    to.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -8000; PRAGMA wal_autocheckpoint = 4000;",
    )?;
    to.execute_batch(&schema.join(";\n"))?;
    let zero = text(0);
    let began = Instant::now();
    for ((operations, entries), stands) in
        operations.chunks(arguments.batch).zip(entries.chunks(2 * arguments.batch)).zip(&stands)
    {
        to.execute_batch("BEGIN IMMEDIATE")?;
        let mut open = to.prepare_cached(
            "INSERT INTO ledger_accounts (id, asset, holder, version, balance, earned, spent, held, incoming)
             VALUES (?1, 'time_credit', ?2, 0, ?3, ?3, ?3, ?3, ?3) ON CONFLICT (id) DO NOTHING",
        )?;
        for account in stands.keys() {
            open.execute((account, account.rsplit('|').next(), &zero))?;
        }
        let mut insert = to.prepare_cached("INSERT INTO ledger_operations (id, digest) VALUES (?1, ?2)")?;
        for operation in operations {
            insert.execute(operation.clone())?;
        }
        let mut insert = to.prepare_cached(
            "INSERT INTO ledger_entries (account, version, operation, kind, amount, balance, other, at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?;
        for (account, version, operation, kind, amount, balance, other, at) in entries {
            insert.execute((account, version, operation, kind, amount, balance, other, at))?;
        }
        let mut update = to.prepare_cached(
            "UPDATE ledger_accounts SET version = ?2, balance = ?3, earned = ?4, spent = ?5, held = ?6, incoming = ?6
             WHERE id = ?1",
        )?;
        for (account, (version, balance, earned, spent)) in stands {
            update.execute((account, version, balance, earned, spent, &zero))?;
        }
        to.execute_batch("COMMIT")?;
    }
    let seconds = began.elapsed().as_secs_f64();
    to.execute("ATTACH ?1 AS ours", [arguments.from.to_str()])?;
    for table in ["ledger_operations", "ledger_entries", "ledger_accounts"] {
        let sql = format!(
            "SELECT (SELECT COUNT(*) FROM (SELECT * FROM ours.{table} EXCEPT SELECT * FROM main.{table}))
                  + (SELECT COUNT(*) FROM (SELECT * FROM main.{table} EXCEPT SELECT * FROM ours.{table}))"
        );
        let differ: i64 = to.query_row(&sql, [], |row| row.get(0))?;
        ensure!(differ == 0, "{table}: {differ} rows differ from the ledger's");
    }
    Ok(json!({
        "seconds": seconds,
        "operations": operations.len(),
        "per_second": operations.len() as f64 / seconds,
    }))
}
