//! The parts of `scripts/bench api` that are not the hub: a member of it with a session, a bare handler that answers the same page
//! of a statement by the same statements of SQL, and the clients that ask either.

use std::{
    path::PathBuf,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use alloy::{
    primitives::{B256, Bytes},
    signers::{SignerSync, local::PrivateKeySigner},
};
use anyhow::{Context, Result, ensure};
use axum::{
    Json, Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    routing::get,
};
use futures::future::try_join_all;
use hub::{
    identity::{SignIn, SignInFields, session_request},
    records::{DeviceKey, Draft, RecordId, Stamp},
};
use protocol::chain::AccountId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::{
    AnyPool, Row as _,
    any::{AnyPoolOptions, AnyRow},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// Sign in to a hub.
#[derive(clap::Args, Debug)]
pub struct MemberArguments {
    /// The hub's URL
    #[arg(long)]
    hub: String,
    /// The account, where it is there already
    #[arg(long)]
    account: Option<RecordId>,
}

/// Answer pages of a statement without a hub.
#[derive(clap::Args, Debug)]
pub struct BareArguments {
    /// `sqlite:PATH`, a copy of the hub's
    #[arg(long)]
    database: String,
    /// Address and port
    #[arg(long)]
    listen: String,
}

/// Ask for one page again and again.
#[derive(clap::Args, Debug)]
pub struct LoadArguments {
    /// Address and port
    #[arg(long)]
    server: String,
    /// Path and query
    #[arg(long)]
    path: String,
    /// The session's token
    #[arg(long)]
    token: String,
    /// What every answer must be, to the byte
    #[arg(long)]
    answer: PathBuf,
    /// Connections, each of which asks anew when it was answered
    #[arg(long)]
    clients: usize,
    /// For how long
    #[arg(long)]
    seconds: u64,
}

/// The member's wallet and device are made of this.
const SEED: u8 = 7;
/// The chain that the member signs in by; nobody asks a node of it.
const CHAIN: &str = "eip155:31337";
/// As many connections as the hub reads by.
const READERS: u32 = 8;
/// Room for the longest answer, so that it is read by few calls.
const ANSWER_MAX: usize = 64 * 1024;

/// Signs in, as a member that is there or as a new one; answers its account and the session's token.
pub async fn member(arguments: &MemberArguments) -> Result<Value> {
    let client = reqwest::Client::new();
    let (hub, device) = (arguments.hub.as_str(), DeviceKey::from_seed([SEED; 32]));
    let account = match arguments.account {
        Some(account) => account,
        None => arrive(&client, hub, &device).await?,
    };
    let fields = fields(&client, hub).await?;
    let request = session_request(&account, &fields.domain, &fields.nonce, &device, fields.issued_at)?;
    let opened = post(&client, &format!("{hub}/v1/sessions"), &request).await?;
    let token = opened["token"].as_str().context("a session without a token")?;
    Ok(json!({ "account": account, "token": token }))
}

async fn arrive(client: &reqwest::Client, hub: &str, device: &DeviceKey) -> Result<RecordId> {
    let wallet = PrivateKeySigner::from_bytes(&B256::repeat_byte(SEED))?;
    let fields = fields(client, hub).await?;
    let message = SignIn::for_device(
        &fields.domain,
        &fields.uri,
        AccountId { chain: CHAIN.parse()?, address: wallet.address().into() },
        &fields.nonce,
        &device.device(),
        fields.issued_at,
        fields.expiration_time,
    )
    .to_string();
    let signature = Bytes::from(wallet.sign_message_sync(message.as_bytes())?.as_bytes().to_vec());
    let body = json!({ "message": message, "signature": signature.to_string(), "name": "Somebody" });
    let record = Draft::new("identity@1", None, fields.issued_at, body).sign(device)?;
    let receipt = post(client, &format!("{hub}/v1/records"), &record).await?;
    Ok(receipt["id"].as_str().context("a receipt without an id")?.parse()?)
}

async fn fields(client: &reqwest::Client, hub: &str) -> Result<SignInFields> {
    let answer = client.get(format!("{hub}/v1/sign-in/nonce")).send().await?;
    Ok(answer.error_for_status()?.json().await?)
}

async fn post(client: &reqwest::Client, url: &str, body: &Value) -> Result<Value> {
    let answer = client.post(url).json(body).send().await?;
    let status = answer.status();
    let told: Value = answer.json().await?;
    ensure!(status.is_success(), "{url}: {status} {told}");
    Ok(told)
}

/// The page as the hub writes it.
#[derive(Serialize)]
struct Statement {
    account: Standing,
    items: Vec<Line>,
    next: Option<String>,
}

#[derive(Serialize)]
struct Standing {
    asset: &'static str,
    unit: String,
    scale: u8,
    balance: String,
    available: String,
    floor: String,
    held: String,
    incoming: String,
    earned: String,
    spent: String,
    entries: String,
}

#[derive(Serialize)]
struct Line {
    number: String,
    at: Stamp,
    #[serde(rename = "type")]
    kind: String,
    amount: String,
    balance: String,
    other: Option<String>,
    record: String,
}

/// What holds for an asset, of which the page needs this.
#[derive(Deserialize)]
struct Rules {
    unit: String,
    scale: u8,
    credit_limit: String,
}

#[derive(Deserialize)]
struct Asked {
    after: i64,
    limit: i64,
}

const SESSION: &str =
    "SELECT s.id, s.account, s.device, s.secret_hash, s.label, s.scopes, s.created_at, s.expires_at
     FROM sessions s JOIN devices d ON d.account = s.account AND d.device = s.device
     WHERE s.id = $1 AND s.expires_at > $2 AND d.revoked_at IS NULL";
const ROLES: &str = "SELECT community, role FROM members WHERE account = $1";
const ASSET: &str = "SELECT rules, record FROM ledger_assets WHERE asset = $1";
const ACCOUNT: &str =
    "SELECT a.id, a.floor, a.ceiling, a.version, a.balance, a.earned, a.spent, a.held, a.incoming, s.rules
     FROM ledger_accounts a JOIN ledger_assets s ON s.asset = a.asset WHERE a.id = $1";
const ENTRIES: &str = "SELECT version, operation, kind, amount, balance, other, at FROM ledger_entries
     WHERE account = $1 AND version > $2 ORDER BY version LIMIT $3";

/// Serves until it is killed.
pub async fn bare(arguments: &BareArguments) -> Result<Value> {
    let options = AnyPoolOptions::new().max_connections(READERS).test_before_acquire(false);
    let pool = options.connect(&arguments.database).await?;
    let app = Router::new().route("/v1/ledger/statement", get(statement)).with_state(pool);
    axum::serve(TcpListener::bind(&arguments.listen).await?, app).await?;
    Ok(json!({}))
}

async fn statement(
    State(pool): State<AnyPool>,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Result<Json<Statement>, (StatusCode, String)> {
    let told = |error: anyhow::Error| (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}"));
    page(&pool, &headers, &asked).await.map(Json).map_err(told)
}

async fn page(pool: &AnyPool, headers: &HeaderMap, asked: &Asked) -> Result<Statement> {
    let token = headers.get(header::AUTHORIZATION).context("no token")?.to_str()?;
    let (session, _) = token.trim_start_matches("Bearer ").split_once('.').context("not a token")?;
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let mut on = pool.begin().await?;
    let session = sqlx::query(SESSION).bind(session).bind(now).fetch_one(&mut *on).await?;
    let holder: String = session.try_get("account")?;
    sqlx::query(ROLES).bind(&holder).fetch_all(&mut *on).await?;
    let asset = sqlx::query(ASSET).bind("time_credit").fetch_one(&mut *on).await?;
    let rules: Rules = serde_json::from_str(&asset.try_get::<String, _>("rules")?)?;
    let id = format!("time_credit|member|{holder}");
    let account = sqlx::query(ACCOUNT).bind(&id).fetch_one(&mut *on).await?;
    let found =
        sqlx::query(ENTRIES).bind(&id).bind(asked.after).bind(asked.limit).fetch_all(&mut *on).await?;
    let next = match found.last() {
        Some(last) if i64::try_from(found.len())? >= asked.limit => {
            Some(last.try_get::<i64, _>("version")?.to_string())
        }
        _ => None,
    };
    let items = found.iter().map(line).collect::<Result<_>>()?;
    Ok(Statement { account: standing(&account, rules)?, items, next })
}

/// The columns have a sign and 38 digits.
fn amount(row: &AnyRow, column: &str) -> Result<i128> {
    Ok(row.try_get::<String, _>(column)?.parse()?)
}

fn standing(row: &AnyRow, rules: Rules) -> Result<Standing> {
    let (balance, held) = (amount(row, "balance")?, amount(row, "held")?);
    let floor = match row.try_get::<Option<String>, _>("floor")? {
        Some(own) => own.parse::<i128>()?,
        None => -rules.credit_limit.parse::<i128>()?,
    };
    Ok(Standing {
        asset: "time_credit",
        unit: rules.unit,
        scale: rules.scale,
        balance: balance.to_string(),
        available: (balance - held).to_string(),
        floor: floor.to_string(),
        held: held.to_string(),
        incoming: amount(row, "incoming")?.to_string(),
        earned: amount(row, "earned")?.to_string(),
        spent: amount(row, "spent")?.to_string(),
        entries: row.try_get::<i64, _>("version")?.to_string(),
    })
}

fn line(row: &AnyRow) -> Result<Line> {
    let operation: String = row.try_get("operation")?;
    let (record, _) = operation.split_once('/').context("not an operation")?;
    let other: Option<String> = row.try_get("other")?;
    Ok(Line {
        number: row.try_get::<i64, _>("version")?.to_string(),
        at: Stamp::from_ms(row.try_get("at")?),
        kind: row.try_get("kind")?,
        amount: amount(row, "amount")?.to_string(),
        balance: amount(row, "balance")?.to_string(),
        other: other.and_then(|key| key.rsplit('|').next().map(str::to_owned)),
        record: record.to_owned(),
    })
}

/// Asks by as many connections as are wanted, all of them in one thread; answers how many answers came a second, and how long they
/// took.
pub async fn load(arguments: &LoadArguments) -> Result<Value> {
    let LoadArguments { server, path, token, .. } = arguments;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {server}\r\nauthorization: Bearer {token}\r\n\r\n")
        .into_bytes();
    let answer = std::fs::read(&arguments.answer)?;
    let began = Instant::now();
    let until = began + Duration::from_secs(arguments.seconds);
    let clients = (0..arguments.clients).map(|_| client(server, &request, &answer, until));
    let mut took: Vec<Duration> = try_join_all(clients).await?.into_iter().flatten().collect();
    let seconds = began.elapsed().as_secs_f64();
    ensure!(!took.is_empty(), "nothing was asked");
    took.sort_unstable();
    let micros = |percent: usize| took[(took.len() - 1) * percent / 100].as_micros();
    Ok(json!({
        "requests": took.len(),
        "seconds": seconds,
        "per_second": took.len() as f64 / seconds,
        "p50_us": u64::try_from(micros(50))?,
        "p99_us": u64::try_from(micros(99))?,
    }))
}

/// One connection, until the time is over; how long each answer took.
async fn client(server: &str, request: &[u8], answer: &[u8], until: Instant) -> Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    let mut read = Vec::with_capacity(ANSWER_MAX);
    let mut took = Vec::new();
    while Instant::now() < until {
        let asked = Instant::now();
        stream.write_all(request).await?;
        let begins = answered(&mut stream, &mut read).await?;
        took.push(asked.elapsed());
        ensure!(read[begins..] == *answer, "an answer is not what it was before");
    }
    Ok(took)
}

/// Reads an answer; where its body begins.
async fn answered(stream: &mut TcpStream, read: &mut Vec<u8>) -> Result<usize> {
    read.clear();
    let head = loop {
        ensure!(stream.read_buf(read).await? > 0, "the server hung up");
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
    };
    let told = std::str::from_utf8(&read[..head])?;
    ensure!(told.starts_with("HTTP/1.1 200 "), "{told}");
    let named = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    };
    let length = told.lines().find_map(named).context("an answer that does not say how long it is")?;
    let begins = head + 4;
    while read.len() < begins + length {
        ensure!(stream.read_buf(read).await? > 0, "the server hung up");
    }
    Ok(begins)
}
