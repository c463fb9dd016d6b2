//! Hub, indexer and relayer die as by `kill -9` before and after every commit and every request that they make; indexer and
//! relayer on PostgreSQL as well. A boundary is told by its name and by how many commits its service had made before
//! (`service::failpoint`): so they are enumerated by a run of the market in which nobody dies.
//!
//! A few by default; with `EARNEST_CHAOS=each` one of every name, with `EARNEST_CHAOS=all` every one, which takes hours, and
//! `EARNEST_CHAOS=<n>` makes n markets of them. `EARNEST_CHAOS_AT_ONCE` says how many markets there are at the same time: they mostly
//! wait for blocks.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use end_to_end::{Folder, operator::Operator, oracle::check, postgres::Database, receiver::Receiver};

/// A kind of market, and its services that die.
#[derive(Clone, Copy)]
struct Kind {
    arguments: &'static [&'static str],
    services: &'static [&'static str],
    /// The variables that say where services keep what they know, for those that keep it on a PostgreSQL server.
    on_postgres: &'static [&'static str],
    /// Whether somebody is told of the feed by webhooks, and somebody paged.
    told: bool,
    /// Markets by default.
    markets: usize,
}

const EVM: Kind = Kind {
    arguments: &[],
    services: &["hub", "indexer", "relayer"],
    on_postgres: &[],
    told: false,
    markets: 2,
};
/// Both chains at one time; the services of the first live.
const SOLANA: Kind = Kind {
    arguments: &["--solana"],
    services: &["hub", "solana-indexer", "solana-relayer"],
    on_postgres: &[],
    told: false,
    markets: 2,
};
/// Whoever dies leaves sessions to a server, with locks and transactions that last until it sees to them. The hub stays on
/// SQLite, and lives.
const POSTGRES: Kind = Kind {
    arguments: &[],
    services: &["indexer", "relayer"],
    on_postgres: &["EARNEST_INDEXER_DATABASE", "EARNEST_RELAYER_DATABASE"],
    told: true,
    markets: 1,
};
/// How often one service dies in one market: a supervisor gives up what dies more often within a minute.
const DEATHS: usize = 4;
/// For the two trades, with every death and start in between.
const WAIT: Duration = Duration::from_secs(600);
/// Markets at the same time, where `EARNEST_CHAOS_AT_ONCE` does not say it.
const AT_ONCE: usize = 2;

/// Points by service, in the order in which they were passed.
type Points = BTreeMap<&'static str, Vec<String>>;

/// Runs a market whose services die at these points; answers the points that were passed. Those of the plan among them are
/// those at which somebody died.
async fn market(kind: Kind, plan: &Points) -> Points {
    let folder = Folder::new();
    let points = folder.file("points");
    std::fs::create_dir(&points).expect("a folder");
    for (service, plan) in plan {
        std::fs::write(points.join(format!("{service}.plan")), plan.join("\n")).expect("a file");
    }
    let mut environment = vec![("EARNEST_FAILPOINTS", points.display().to_string())];
    let mut databases = Vec::new();
    for variable in kind.on_postgres {
        let database = Database::create().await;
        environment.push((*variable, database.url()));
        databases.push(database);
    }
    let receiver = if kind.told { Some(Receiver::start().await) } else { None };
    environment.extend(receiver.iter().map(|told| ("EARNEST_INDEXER_WEBHOOKS", told.webhooks())));
    let operator = if kind.told { Some(Operator::start(folder.rpc()).await) } else { None };
    environment.extend(operator.iter().flat_map(Operator::environment));
    let mut up = folder.up(kind.arguments, &environment);
    let up = tokio::task::spawn_blocking(move || {
        up.wait_for("Everything runs until", WAIT);
        up
    });
    let up = up.await.expect("the market runs");
    check(&folder).await;
    if let Some(receiver) = receiver {
        receiver.check(&folder).await;
    }
    if let Some(operator) = operator {
        operator.check();
    }
    up.interrupt();
    let (code, said) =
        tokio::task::spawn_blocking(move || up.wait(Duration::from_secs(60))).await.expect("it ends");
    assert_eq!(code, Some(0), "{}", said.join("\n"));
    for database in databases {
        database.remove().await;
    }
    let passed: Points = kind
        .services
        .iter()
        .map(|service| {
            let passes = std::fs::read_to_string(points.join(format!("{service}.passes")));
            (*service, passes.expect("it passed points").lines().map(str::to_owned).collect())
        })
        .collect();
    for service in kind.services {
        let died = died(plan, &passed, service).len();
        let told =
            said.iter().filter(|line| line.contains(&format!("{service} ended unexpectedly (signal 6)")));
        assert_eq!(told.count(), died, "{service}: {plan:?}\n{}", said.join("\n"));
    }
    passed
}

/// The planned points of a service at which it died.
fn died<'a>(plan: &'a Points, passed: &Points, service: &str) -> Vec<&'a str> {
    let planned = plan.get(service).into_iter().flatten();
    let is = |point: &String, planned: &String| point == planned || *planned == first(point);
    let was_passed = |planned: &String| passed[service].iter().any(|point| is(point, planned));
    planned.filter(|point| was_passed(point)).map(String::as_str).collect()
}

/// Deals points out to markets: those of one lie far apart, so that its service gets somewhere between two deaths.
fn dealt(points: &Points) -> Vec<Points> {
    let markets = points.values().map(|points| points.len().div_ceil(DEATHS)).max().unwrap_or(0);
    (0..markets)
        .map(|market| {
            let of = |points: &Vec<String>| points.iter().skip(market).step_by(markets).cloned().collect();
            points.iter().map(|(service, points)| (*service, of(points))).collect()
        })
        .collect()
}

fn name(point: &str) -> &str {
    point.rsplit_once('@').expect("a name and how many commits were made before").0
}

/// The first point of that name that is passed at all, wherever it is.
fn first(point: &str) -> String {
    format!("{}@first", name(point))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_dies_at_any_commit_and_any_request_the_market_ends_the_same() {
    everywhere(EVM).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_solana_too() {
    everywhere(SOLANA).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres_too() {
    everywhere(POSTGRES).await;
}

/// Which points are to be died at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// Those of so many markets.
    Markets(usize),
    /// One of every name that a service has.
    Each,
    All,
}

impl Wanted {
    fn read(markets: usize) -> Self {
        match std::env::var("EARNEST_CHAOS").as_deref() {
            Err(_) => Self::Markets(markets),
            Ok("each") => Self::Each,
            Ok("all") => Self::All,
            Ok(count) => Self::Markets(count.parse().expect("EARNEST_CHAOS is `each`, `all` or a number")),
        }
    }

    /// Rounds: what is not passed again, because a death before it changed the course, is dealt out once more, and of a name
    /// another point is tried.
    fn rounds(self) -> usize {
        match self {
            Self::Markets(_) => 1,
            // What an indexer asks when it compares deals comes in some markets and not in others.
            Self::Each => 12,
            Self::All => 2,
        }
    }

    /// What a round is about, of the points that are open.
    fn of_round(self, round: usize, open: &Points, names: &BTreeSet<String>) -> Points {
        if self != Self::Each {
            return open.clone();
        }
        let one_of_each = |service: &str, points: &Vec<String>| -> Vec<String> {
            let mut by_name: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
            for point in points.iter().filter(|point| !names.contains(&whose(service, point))) {
                by_name.entry(name(point)).or_default().push(point);
            }
            // The one in the middle first, for there is most before and behind it. Where it was not passed again, because as many
            // commits as then were not made before that name, the first of that name.
            let chosen: BTreeSet<&String> = by_name
                .values()
                .map(|points| points[if round == 0 { points.len() / 2 } else { 0 }])
                .collect();
            let chosen = points.iter().filter(|point| chosen.contains(point));
            chosen.map(|point| if round == 0 { point.clone() } else { first(point) }).collect()
        };
        open.iter().map(|(service, points)| (*service, one_of_each(service, points))).collect()
    }
}

fn at_once() -> usize {
    let wanted = std::env::var("EARNEST_CHAOS_AT_ONCE").ok();
    wanted.map_or(AT_ONCE, |count| {
        count.parse().ok().filter(|count| *count > 0).expect("EARNEST_CHAOS_AT_ONCE is a number from 1")
    })
}

/// A name of a point, and whose it is.
fn whose(service: &str, point: &str) -> String {
    format!("{service}: {}", name(point))
}

async fn everywhere(kind: Kind) {
    let wanted = Wanted::read(kind.markets);
    let all = market(kind, &Points::new()).await;
    let mut open = all.clone();
    let (mut done, mut planned, mut deaths, mut names) = (0, 0, 0, BTreeSet::new());
    for round in 0..wanted.rounds() {
        let plans = dealt(&wanted.of_round(round, &open, &names));
        let most = if let Wanted::Markets(most) = wanted { most } else { usize::MAX };
        let step = plans.len().div_ceil(most.min(plans.len().max(1)));
        let plans: Vec<Points> = plans.into_iter().step_by(step.max(1)).collect();
        for plans in plans.chunks(at_once()) {
            let runs: Vec<_> = plans
                .iter()
                .cloned()
                .map(|plan| tokio::spawn(async move { (market(kind, &plan).await, plan) }))
                .collect();
            for run in runs {
                let (passed, plan) = run.await.expect("a market that ends as it must");
                for service in kind.services {
                    let died = died(&plan, &passed, service);
                    planned += plan.get(service).map_or(0, Vec::len);
                    deaths += died.len();
                    names.extend(died.iter().map(|point| whose(service, point)));
                    open.get_mut(*service).expect("points").retain(|point| !died.contains(&point.as_str()));
                }
                done += 1;
            }
            let left: usize = open.values().map(Vec::len).sum();
            println!("{done} markets, {deaths} deaths at {} names, {left} points left", names.len());
        }
    }
    let left: usize = open.values().map(Vec::len).sum();
    println!("{deaths} deaths in {done} markets; {left} points were not passed again");
    assert!(
        deaths * 3 >= planned,
        "{deaths} deaths where {planned} were planned: the points are not where they were counted"
    );
    if !matches!(wanted, Wanted::Markets(_)) {
        let every: BTreeSet<String> = all
            .iter()
            .flat_map(|(service, points)| points.iter().map(|point| whose(service, point)))
            .collect();
        let never: Vec<&String> = every.difference(&names).collect();
        assert!(never.is_empty(), "points at which nobody died: {never:?}");
    }
}
