//! `earnest pool`: arbitration pools on the chain and at the hub.

mod list;

use std::time::{Duration, Instant};

use alloy::primitives::B256;
use anyhow::{Error, Result};
use clap::{Args, Subcommand};
use hub::{
    communities::{DecisionView, PoolBody, PoolView},
    page::Page,
    records::{Draft, Receipt, RecordId},
};
use protocol::{
    chain::{AccountId, Address},
    wire::feed::RuleBook,
};
use serde_json::json;
use tokio::time::sleep;

use super::{Session, record_id};
use crate::client::{acts, http::Refused, hub::Member};

/// How long the hub's indexer may take to see a pool that was created a moment ago, and between two tries.
const NEWS_WAIT: Duration = Duration::from_secs(5);
const NEWS_PERIOD: Duration = Duration::from_millis(250);

/// Arbitration pools.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Create a pool on the chain (--on says which); you keep its member lists
    #[command(
        after_help = "A pool with a parent lets the loser of a ruling appeal to it, once. Terms that name the pool \
        leave time\nfor all of it: 2 * (opening + voting) + 1 day, and with a parent --appeal, the parent's \
        2 * (opening + voting)\nand 2 days more (`pool show` tells the sum as the worst case).\nExamples:\n  \
        earnest --as ida pool create --jury 3 --opening 3600 --voting 86400\n  \
        earnest --as ida pool create --jury 3 --parent 0xPool… --appeal 172800"
    )]
    Create(Rules),
    /// Publish the pool's next member list on the chain: the one that a community's vote has decided
    #[command(
        after_help = "Where a community to which you belong has decided who is on the list, that list is published, \
        held to the\ntally that decided it, and another one is refused. A list needs at least 2 * jury + 2 members.\n\
        Examples:\n  earnest --as ida pool publish 0xPool…                            # as decided\n  \
        earnest --as ida pool publish 0xPool… 0xMember1… 0xMember2… …    # where nothing is decided"
    )]
    Publish {
        /// The pool's id
        pool: B256,
        /// Wallets; those of the decision when missing
        members: Vec<Address>,
        /// Whose decision, where the pool serves several communities of yours
        #[arg(long, value_parser = record_id)]
        community: Option<RecordId>,
        /// Publish these members, whatever a vote has decided
        #[arg(long, requires = "members", conflicts_with = "community")]
        against_the_vote: bool,
        /// The pools contract [default: as `earnest up` deployed it]
        #[arg(long, value_name = "CAIP-10")]
        arbiter: Option<AccountId>,
    },
    /// Compare the newest list on the chain with the one that a community's vote has decided; ends with 3 where they differ, or
    /// where another list is still to count before it
    Check {
        /// The pool's id
        pool: B256,
        /// Whose decision, where it is not that of the only community of yours that has decided
        #[arg(long, value_parser = record_id)]
        community: Option<RecordId>,
        /// The pools contract [default: as `earnest up` deployed it]
        #[arg(long, value_name = "CAIP-10")]
        arbiter: Option<AccountId>,
    },
    /// Tell the hub that a pool serves a community, or everyone
    Register {
        /// The pool's id
        pool: B256,
        /// The community of which you are a steward; without it the pool is public, which only its keeper may say
        #[arg(long, value_parser = record_id)]
        community: Option<RecordId>,
        /// The pools contract [default: as `earnest up` deployed it]
        #[arg(long, value_name = "CAIP-10")]
        arbiter: Option<AccountId>,
    },
    /// Show a pool as the hub knows it, or list those that serve you; without --as those that serve everyone
    Show {
        /// The pool's id
        pool: Option<B256>,
        /// The pools contract [default: as `earnest up` deployed it]
        #[arg(long, value_name = "CAIP-10")]
        arbiter: Option<AccountId>,
    },
}

/// A rule book. Its hash is the pool's id and it never changes.
#[derive(Args, Debug)]
pub struct Rules {
    /// Seats of a jury: odd, 1 to 31
    #[arg(long, default_value_t = 3)]
    jury: u8,
    /// Seconds before a published list takes effect; at most 366 days
    #[arg(long, default_value_t = 0)]
    delay: u32,
    /// Seconds for opening a jury's hearing and drawing it; 60 to 30 days
    #[arg(long, default_value_t = 3_600)]
    opening: u32,
    /// Seconds of voting after that; 1 to 90 days
    #[arg(long, default_value_t = 259_200)]
    voting: u32,
    /// The pool that hears appeals; it exists already
    #[arg(long, value_name = "POOL", requires = "appeal")]
    parent: Option<B256>,
    /// Seconds in which a ruling may be appealed; 1 to 90 days
    #[arg(long, value_name = "SECONDS", requires = "parent")]
    appeal: Option<u32>,
    /// Tells equal rule books apart
    #[arg(long, default_value_t = B256::ZERO)]
    salt: B256,
    /// The pools contract [default: as `earnest up` deployed it]
    #[arg(long, value_name = "CAIP-10")]
    arbiter: Option<AccountId>,
}

/// Does it.
pub async fn run(session: &Session, verb: Verb) -> Result<()> {
    let arbiter = |given| session.contract("--arbiter", given, |side| side.arbiter);
    match verb {
        Verb::Create(rules) => {
            let arbiter = arbiter(rules.arbiter)?;
            let purse = session.purse_on(arbiter.chain).await?;
            let book = RuleBook {
                keeper: purse.address(),
                parent: rules.parent.unwrap_or_default(),
                jury_size: rules.jury,
                delay: rules.delay,
                opening: rules.opening,
                voting: rules.voting,
                appeal: rules.appeal.unwrap_or_default(),
                salt: rules.salt,
            };
            let (pool, sent) = acts::create_pool(&purse, arbiter, &book).await?;
            let transaction = sent.map(|sent| sent.transaction);
            let value = json!({ "pool": pool, "arbiter": arbiter, "transaction": transaction });
            let done =
                transaction.map_or_else(|| "none: it exists already".to_owned(), |hash| hash.to_string());
            session.output.one(&value, &[("pool", pool.to_string()), ("transaction", done)])
        }
        Verb::Publish { pool, members, community, against_the_vote, arbiter: given } => {
            let arbiter = arbiter(given)?;
            let purse = session.purse_on(arbiter.chain).await?;
            let members = if against_the_vote {
                members
            } else {
                list::to_publish(session, (arbiter, pool), community, members).await?
            };
            let (list, sent) = acts::publish(&purse, arbiter, pool, &members).await?;
            let value = json!({ "pool": pool, "list": list, "transactions": sent });
            session.output.one(&value, &[("pool", pool.to_string()), ("list", list.to_string())])
        }
        Verb::Check { pool, community, arbiter: given } => {
            list::check(session, (arbiter(given)?, pool), community).await
        }
        Verb::Register { pool, community, arbiter: given } => {
            let member = session.member().await?;
            let draft = member.draft("pool@1", &PoolBody { arbiter: arbiter(given)?, panel: pool })?;
            let receipt = match community {
                Some(community) => member.say(&draft.about(community)).await?,
                None => say_as_keeper(&member, &draft).await?,
            };
            session.accepted("record", &receipt)
        }
        Verb::Show { pool: None, .. } => {
            let page: Page<PoolView> = session.reader().await?.get("/v1/pools?limit=100").await?;
            let rows = page
                .items
                .iter()
                .map(|one| vec![one.panel.to_string(), one.book.jury_size.to_string(), one.size.to_string()])
                .collect();
            session.output.many(&page, &["pool", "jury", "members"], rows)
        }
        Verb::Show { pool: Some(pool), arbiter: given } => {
            let path = format!("/v1/pools/{}/{pool}", arbiter(given)?);
            let view: PoolView = session.reader().await?.get(&path).await?;
            let members: Vec<String> = view.members.iter().flatten().map(ToString::to_string).collect();
            session.output.one(
                &view,
                &[
                    ("pool", view.panel.to_string()),
                    ("arbiter", view.arbiter.to_string()),
                    ("keeper", view.book.keeper.to_string()),
                    ("jury", view.book.jury_size.to_string()),
                    ("opening", format!("{} s", view.book.opening)),
                    ("voting", format!("{} s", view.book.voting)),
                    ("appeals", appeals(&view.book)),
                    ("worst case", format!("{} s", view.worst_case)),
                    (
                        "serves",
                        if view.public { "everyone".to_owned() } else { format!("{:?}", view.communities) },
                    ),
                    ("decided", decisions(&view)),
                    ("members", members.join("\n")),
                ],
            )
        }
    }
}

/// Says that a pool serves everyone, again while the hub has not heard of it: the hub itself waits for a steward alone.
async fn say_as_keeper(member: &Member, draft: &Draft) -> Result<Receipt> {
    let started = Instant::now();
    loop {
        match member.say(draft).await {
            Err(error) if is_unknown(&error) && started.elapsed() < NEWS_WAIT => sleep(NEWS_PERIOD).await,
            answer => return answer,
        }
    }
}

fn is_unknown(error: &Error) -> bool {
    let refused = error.downcast_ref::<Refused>();
    refused.is_some_and(|refused| refused.rule.as_deref() == Some("unknown_pool"))
}

fn appeals(book: &RuleBook) -> String {
    if book.parent.is_zero() {
        "none".to_owned()
    } else {
        format!("within {} s, to {}", book.appeal, book.parent)
    }
}

/// What votes have decided of the next list, a line each.
fn decisions(view: &PoolView) -> String {
    let told = |one: &DecisionView| {
        format!("{} members by {} (tally {}), {}", one.size, one.community, one.tally, one.digest)
    };
    let lines: Vec<String> = view.decided.iter().flatten().map(told).collect();
    if lines.is_empty() { "nothing".to_owned() } else { lines.join("\n") }
}
