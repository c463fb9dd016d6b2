//! Following a real node with the real program through what can happen there.

mod lies;
mod limits;
mod slots;
mod steps;
mod trouble;

use std::collections::HashSet;

use alloy::primitives::B256;
use protocol::{
    chain::{AccountId, AssetId, ChainId, TransactionId},
    solana::{
        self, Instruction, Pubkey,
        call::{self, Case, Deal, Funding, Hearing, InEffect, Voting},
        from_key,
    },
    terms::Terms,
    wire::{
        feed::{
            FeedEntry,
            Finality::{self, Final, Seen},
        },
        view::{CaseStage, CaseView, DealDetail, DealStatus, PoolMembers, PoolView},
    },
};
use serde_json::{Value, json};
use service::db::testing::{FreshDb, on_both, sqlite};
use surfnet::{ENDOWMENT, Surfnet, key, keypair, solana_sdk::signature::Keypair};

use super::read::Transaction;
use crate::{
    config::{ChainConfig, Config},
    testing::{Running, node::Node, of_chains, verified, with},
};

/// A node with a buyer and a seller, and the slot at which everything begins.
struct World {
    net: Surfnet,
    chain: ChainId,
    buyer: Keypair,
    seller: Keypair,
    start: u64,
}

impl World {
    async fn start() -> Self {
        Self::on(Surfnet::start().await).await
    }

    async fn on(net: Surfnet) -> Self {
        let (buyer, seller) = (keypair(1), keypair(2));
        for party in [&buyer, &seller] {
            net.endow(&key(party), ENDOWMENT).await;
        }
        let start = net.slot(surfnet::CONFIRMED).await;
        Self { net, chain: solana::chain().unwrap(), buyer, seller, start }
    }

    fn account(&self, key: &Pubkey) -> AccountId {
        AccountId { chain: self.chain, address: from_key(key) }
    }

    fn config(&self, db: &FreshDb) -> Config {
        let followed = ChainConfig {
            rpc_urls: vec![self.net.rpc_url()],
            contracts: vec![from_key(&solana::program()), from_key(&solana::arbiter())],
            start_block: self.start,
            poll_ms: 20,
            signatures_max: 3,
            ..ChainConfig::default()
        };
        of_chains(db, [(self.chain, followed)])
    }

    async fn deal(&self, panel: B256, salt: u8) -> Deal {
        let now = self.net.now().await;
        let terms = Terms {
            escrow: self.account(&solana::program()),
            buyer: self.account(&key(&self.buyer)),
            seller: self.account(&key(&self.seller)),
            arbiter: self.account(&solana::arbiter()),
            asset: AssetId { chain: self.chain, token: None },
            amount: 1_000_000,
            fund_by: now + 1_000,
            deliver_by: now + 10_000,
            inspection: 1_000,
            ruling: 1_000_000,
            lapse_share: 5_000,
            metered: false,
            panel,
            agreement: [8; 32].into(),
            salt: B256::repeat_byte(salt),
        };
        Deal::new(&terms, Pubkey::default()).unwrap()
    }

    /// Instructions by which both parties fund, with their own signatures.
    fn funding(&self, deal: &Deal) -> Vec<Instruction> {
        let payer = key(&self.buyer);
        deal.fund(&Funding { payer, buyer: None, seller: None, source: None }, 0)
    }

    /// Sends what both parties sign.
    async fn send(&self, instructions: &[Instruction]) -> TransactionId {
        let sent = self.net.send(instructions, &[&self.buyer, &self.seller]).await;
        TransactionId::Solana(sent.expect("it goes through").into())
    }

    /// As [`Self::send`], of what fails.
    async fn fail(&self, instructions: &[Instruction]) {
        let (_, outcome) = self.net.put(instructions, &[&self.buyer, &self.seller]).await;
        outcome.expect_err("it fails");
    }

    async fn funded(&self, salt: u8) -> Deal {
        let deal = self.deal(B256::ZERO, salt).await;
        self.send(&self.funding(&deal)).await;
        deal
    }
}

/// Waits until the feed is as it should be.
async fn until_told(indexer: &Running, what: &str, holds: impl Fn(&[FeedEntry]) -> bool) -> Vec<FeedEntry> {
    let started = std::time::Instant::now();
    loop {
        let feed = indexer.feed().await;
        if holds(&feed) {
            return feed;
        }
        let status = indexer.status().await;
        assert!(started.elapsed() < crate::testing::DEADLINE, "{what} was not told: {feed:?} {status:?}");
        tokio::time::sleep(crate::testing::LOOK).await;
    }
}

fn told_of(feed: &[FeedEntry], name: &str) -> Vec<Finality> {
    feed.iter().filter(|entry| entry.event.body.name() == name).map(|entry| entry.finality).collect()
}

/// Tells no slot above this one as final.
fn nothing_final_above(slot: u64) -> impl Fn(&Value, &mut Value) + Send + Sync + 'static {
    move |request, answer| {
        if request["method"] == "getSlot" && request["params"][0]["commitment"] == "finalized" {
            answer["result"] = json!(slot);
        }
    }
}

/// Each event where it is told for the first time, however settled it was by then.
fn first_told(feed: &[FeedEntry]) -> impl Iterator<Item = &FeedEntry> {
    let mut known = HashSet::new();
    feed.iter().filter(move |entry| known.insert(entry.event.id))
}

/// The names of the events, each once, in their order on the chain.
fn names(feed: &[FeedEntry]) -> Vec<&'static str> {
    first_told(feed).map(|entry| entry.event.body.name()).collect()
}

async fn agrees(indexer: Running) {
    let config = indexer.stop().await;
    let report = verified(&config).await;
    assert_eq!(report.differences, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deal_is_told_from_seen_to_final_and_a_restart_loses_and_repeats_nothing() {
    let world = World::start().await;
    let dbs = on_both().await;
    // Nothing is final before everybody has seen it, however slow this machine is.
    let node = Node::before(&world.net.rpc_url()).await;
    node.lies(nothing_final_above(world.start.saturating_sub(1)));
    let mut indexers = Vec::new();
    for db in &dbs {
        let config = with(world.config(db), |chain| chain.rpc_urls = vec![node.url.clone()]);
        indexers.push(Running::start(config).await);
    }
    let deal = world.deal(B256::ZERO, 1).await;
    let transaction = world.send(&world.funding(&deal)).await;
    for indexer in &indexers {
        let feed = until_told(indexer, "the funding", |feed| !feed.is_empty()).await;
        let event = &feed[0].event;
        assert_eq!((event.body.name(), feed[0].finality, event.transaction), ("Funded", Seen, transaction));
        assert_eq!(event.contract, world.account(&solana::program()));
        assert_eq!(event.id, solana::event_id(&transaction.solana().unwrap(), event.log_index));
    }
    let (buyer, seller) = (key(&world.buyer), key(&world.seller));
    let mut configs = Vec::new();
    for indexer in indexers {
        configs.push(indexer.kill().await);
    }
    node.is_honest();
    // Meanwhile: a transaction of two instructions, one that fails, and more than a page of others.
    let both = [deal.release(buyer, 100, None, 0), deal.deliver(seller, [3; 32].into(), None, 0)].concat();
    world.send(&both).await;
    world.fail(&deal.release(buyer, 2_000_000, None, 0)).await;
    for total in [200, 300, 400, 500, 600] {
        world.send(&deal.release(buyer, total, None, 0)).await;
    }
    world.send(&deal.release(buyer, 1_000_000, None, 0)).await;
    for (config, db) in configs.into_iter().zip(&dbs) {
        let indexer = Running::start(config).await;
        until_told(&indexer, "the end", |feed| told_of(feed, "Released").contains(&Final)).await;
        indexer.all_final().await;
        let feed = indexer.feed().await;
        let released = ["Released"; 6];
        assert_eq!(
            names(&feed),
            [&["Funded", "Released", "Delivered"][..], &released].concat(),
            "{:?}",
            db.engine
        );
        assert!(feed.iter().map(|entry| entry.seq).eq(1..=u64::try_from(feed.len()).unwrap()));
        let [first, second] = [1, 2].map(|at| first_told(&feed).nth(at).unwrap());
        assert_eq!(first.event.transaction, second.event.transaction);
        assert_eq!((first.event.log_index, second.event.log_index >> 16), (0, 1));
        let detail: DealDetail = indexer.get(&format!("/v1/deals/{}", deal.id)).await;
        assert_eq!((detail.view.deal.status, detail.view.deal.complete), (DealStatus::Closed, true));
        assert_eq!((detail.view.deal.released, detail.view.finality), (1_000_000, Final));
        let before = indexer.status().await.cursor;
        let indexer = Running::start(indexer.stop().await).await;
        indexer.until("going on", |status| status.caught_up && status.cursor.number > before.number).await;
        assert_eq!(indexer.feed().await, feed);
        agrees(indexer).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_with_an_appeal_is_told_and_the_lists_members_are_read() {
    let world = World::start().await;
    let db = sqlite();
    let indexer = Running::start(with(world.config(&db), |chain| chain.signatures_max = 1_000)).await;
    let keeper = key(&world.buyer);
    let mut jurors: Vec<Keypair> = (10..20).map(keypair).collect();
    jurors.sort_by_key(key);
    for juror in &jurors {
        world.net.endow(&key(juror), ENDOWMENT).await;
    }
    let members: Vec<Pubkey> = jurors.iter().map(key).collect();
    let book = |parent: B256, appeal| solana::state::RuleBook {
        keeper,
        parent: parent.0,
        jury_size: 1,
        delay: 0,
        opening: 60,
        voting: 600,
        appeal,
        salt: [1; 32],
    };
    let above = book(B256::ZERO, 0);
    let parent = B256::new(above.id());
    let own = book(parent, 600);
    let pool = B256::new(own.id());
    for (id, book) in [(parent, above), (pool, own)] {
        world.send(&[call::create_pool(keeper, book), call::create_list(keeper, id, 0)]).await;
        let members = members.clone();
        let publish = call::publish_list(keeper, id, 0);
        world.send(&[call::add_members(keeper, id, 0, 0, members), publish]).await;
    }
    let published: PoolView = {
        until_told(&indexer, "the lists", |feed| told_of(feed, "ListPublished").len() >= 2).await;
        indexer.get(&format!("/v1/pools/{pool}")).await
    };
    let list = &published.pool.lists[0];
    assert_eq!(list.pages, [from_key(&solana::list_address(pool, 0))]);
    let told: PoolMembers = indexer.get(&format!("/v1/pools/{pool}/members?list=0")).await;
    assert_eq!(told.members, members.iter().map(from_key).collect::<Vec<_>>());
    world.net.until("the lists' effect", || async { world.net.now().await > list.effective_at }).await;

    let deal = world.deal(pool, 1).await;
    world.send(&world.funding(&deal)).await;
    world.send(&deal.dispute(key(&world.buyer), [4; 32].into(), None, 0)).await;
    let case = Case(&deal);
    world.send(&[case.open(keeper)]).await;
    let in_effect = InEffect { list: Some(0), next: None };
    let jury = |ordinal: u8| {
        let (world, at) = (&world, solana::jury_address(deal.id, ordinal).to_bytes().into());
        async move {
            let data = world.net.rpc().get_account_data(&at).await.expect("the jury");
            solana::read_jury(&data).expect("a jury")
        }
    };
    let targeted = |slot: u64| {
        let net = &world.net;
        net.until("the target", move || async move { net.slot(surfnet::CONFIRMED).await > slot })
    };
    let vote = |ordinal: u8, seat: Pubkey, share: u16| {
        let (world, case) = (&world, &case);
        let juror = jurors.iter().find(|juror| key(juror) == seat).expect("a juror");
        async move {
            let voting = Voting { ordinal, last: ordinal };
            let cast = case.cast(voting, seat, 0, share, B256::ZERO);
            world.net.send(&[cast], &[juror]).await.expect("a ballot");
        }
    };
    targeted(jury(0).await.target_slot).await;
    world.send(&[case.draw(&Hearing { own: in_effect, parent: Some((parent, in_effect)) })]).await;
    vote(0, jury(0).await.seats[0], 7_000).await;
    world.send(&case.appeal(keeper, key(&world.buyer), 0, (parent, in_effect), None, 0)).await;
    targeted(jury(1).await.target_slot).await;
    world.send(&[case.draw_later(1, parent, 0)]).await;
    vote(1, jury(1).await.seats[0], 2_500).await;

    until_told(&indexer, "the ruling", |feed| told_of(feed, "Ruled").contains(&Final)).await;
    indexer.all_final().await;
    let view: CaseView = indexer.get(&format!("/v1/cases/{}", deal.id)).await;
    assert_eq!((view.case.ruling, view.finality), (Some(2_500), Final));
    assert!(matches!(view.case.stage, CaseStage::Accepted | CaseStage::Executed), "{:?}", view.case);
    assert_eq!(view.case.juries.iter().map(|jury| jury.instance).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(view.case.appealed_by, Some(from_key(&key(&world.buyer))));
    let detail: DealDetail = indexer.get(&format!("/v1/deals/{}", deal.id)).await;
    assert_eq!((detail.view.deal.status, detail.view.deal.share), (DealStatus::Closed, Some(2_500)));
    let feed = indexer.feed().await;
    for name in ["CaseOpened", "JuryDrawn", "BallotCast", "RulingAccepted"] {
        let told = first_told(&feed).filter(|entry| entry.event.body.name() == name);
        assert_eq!(told.count(), 2, "{name}");
    }
    let call = json!({"to": world.account(&solana::program()), "data": "0x"});
    let refused = indexer.http.post(format!("{}/v1/call", indexer.base)).json(&call).send().await.unwrap();
    assert_eq!(refused.status(), 422);
    let text = refused.text().await.unwrap();
    assert!(text.contains("/v1/pools"), "{text}");
    agrees(indexer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_looks_like_an_event_is_none_unless_the_program_called_itself_with_it() {
    let world = World::start().await;
    let db = sqlite();
    let indexer = Running::start(world.config(&db)).await;
    let deal = world.deal(B256::ZERO, 1).await;
    let TransactionId::Solana(signature) = world.send(&world.funding(&deal)).await else { unreachable!() };
    let config = json!([TransactionId::Solana(signature), {"encoding": "json", "commitment": "confirmed"}]);
    let answer = world.net.ask("getTransaction", config).await.unwrap();
    let told = |answer: &Value| serde_json::from_value::<Transaction>(answer.clone()).unwrap().told();
    let [event] = &told(&answer).unwrap()[..] else { panic!("{answer}") };

    // A stranger's: without the event authority's signature the program refuses it, and the transaction fails.
    for account in [solana::event_authority(), key(&world.seller)] {
        let accounts = vec![solana::AccountMeta::new_readonly(account, false)];
        let forged = Instruction { program_id: solana::program(), accounts, data: event.data.to_vec() };
        world.fail(&[forged]).await;
    }
    world.funded(2).await;
    let feed = until_told(&indexer, "the second deal", |feed| names(feed).len() >= 2).await;
    assert_eq!(names(&feed), ["Funded", "Funded"]);
    agrees(indexer).await;

    // The same where a program lets it through: by another caller, of another program, for another account, unsigned.
    let inner = answer["meta"]["innerInstructions"][0]["instructions"].as_array().unwrap();
    let at = inner.iter().position(|call| call["accounts"].as_array().unwrap().len() == 1).unwrap();
    let changed = |pointer: String, value: Value| {
        let mut changed = answer.clone();
        *changed.pointer_mut(&pointer).unwrap() = value;
        told(&changed)
    };
    let call = format!("/meta/innerInstructions/0/instructions/{at}");
    let outer = answer["meta"]["innerInstructions"][0]["index"].as_u64().unwrap();
    for (pointer, value) in [
        (format!("/transaction/message/instructions/{outer}/programIdIndex"), json!(0)),
        (format!("{call}/programIdIndex"), json!(0)),
        (format!("{call}/accounts/0"), json!(0)),
        (format!("{call}/accounts"), json!([])),
        ("/meta/err".to_owned(), json!({"InstructionError": [0, "Custom"]})),
        ("/meta/innerInstructions".to_owned(), json!([])),
    ] {
        assert_eq!(changed(pointer.clone(), value), Ok(vec![]), "{pointer}");
    }
    // A node that does not tell what was called must not pass for a transaction without events.
    for (pointer, value) in [
        ("/meta/innerInstructions".to_owned(), Value::Null),
        ("/meta".to_owned(), Value::Null),
        ("/meta/innerInstructions/0/index".to_owned(), json!(99)),
        (format!("{call}/data"), json!("0OIl")),
        (format!("{call}/stackHeight"), json!(9)),
    ] {
        assert!(changed(pointer.clone(), value).is_err(), "{pointer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_is_listed_at_one_time_is_told_in_order_all_the_same() {
    let world = World::start().await;
    let db = sqlite();
    // More than 50 pages of one.
    let deals: u8 = 120;
    for round in 0..4 {
        futures::future::join_all((0..30).map(|salt| world.funded(round * 30 + salt))).await;
    }
    let indexer = Running::start(with(world.config(&db), |chain| chain.signatures_max = 1)).await;
    until_told(&indexer, "every deal", |feed| {
        told_of(feed, "Funded").iter().filter(|told| **told == Final).count() == usize::from(deals)
    })
    .await;
    let feed = indexer.feed().await;
    assert_eq!(names(&feed), vec!["Funded"; deals.into()]);
    let slots = first_told(&feed).map(|entry| entry.event.block_number);
    assert!(slots.is_sorted_by(|one, next| one <= next));
    agrees(indexer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_shortens_the_wait() {
    let world = World::start().await;
    let db = sqlite();
    let config = with(world.config(&db), |chain| {
        chain.poll_ms = 600_000;
        chain.ws_url = Some(world.net.ws_url());
    });
    let indexer = Running::start(config).await;
    // The first look; the next by itself would come in ten minutes.
    indexer.until("the first look", |status| status.polled_at.is_some()).await;
    world.funded(1).await;
    let deals = std::cell::Cell::new(1);
    let started = std::time::Instant::now();
    while indexer.feed().await.is_empty() {
        assert!(started.elapsed() < crate::testing::DEADLINE, "{:?}", indexer.status().await);
        // The first may have come before the subscription.
        deals.set(deals.get() + 1);
        world.funded(deals.get()).await;
    }
    indexer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chains_of_both_kinds_are_followed_side_by_side_in_one_process() {
    for db in on_both().await {
        let world = World::start().await;
        let evm = fixture::Chain::start().await;
        let (solana_node, evm_node) =
            (Node::before(&world.net.rpc_url()).await, Node::before(&evm.rpc_url()).await);
        let behind = |config: Config, node: &Node| {
            with(config, |chain| chain.rpc_urls = vec![node.url.clone()]).chains
        };
        let chains = behind(world.config(&db), &solana_node)
            .into_iter()
            .chain(behind(crate::testing::config(&evm, &db), &evm_node));
        let indexer = Running::start(of_chains(&db, chains)).await;
        let funded = |feed: &[FeedEntry], chain: ChainId| {
            let of_it = feed.iter().filter(|entry| entry.event.chain() == chain);
            of_it.map(|entry| entry.event.id).collect::<HashSet<_>>().len()
        };
        let fund = async |salt: u8| {
            world.funded(salt).await;
            evm.fund(&evm.terms(1_000, B256::ZERO, salt.into()).await).await;
        };
        fund(1).await;
        fund(2).await;
        until_told(&indexer, "both", |feed| funded(feed, world.chain) == 2 && funded(feed, evm.chain) == 2)
            .await;

        // Trouble of one stops not the other, either way round.
        for (away, back, troubled, other, salt) in [
            (&solana_node, world.net.rpc_url(), world.chain, evm.chain, 3),
            (&evm_node, evm.rpc_url(), evm.chain, world.chain, 4),
        ] {
            away.becomes(None);
            indexer.until_on(troubled, "the trouble", |status| status.trouble.is_some()).await;
            let before = funded(&indexer.feed().await, troubled);
            fund(salt).await;
            let feed =
                until_told(&indexer, "the other", |feed| funded(feed, other) == usize::from(salt)).await;
            assert_eq!(funded(&feed, troubled), before, "{:?}", db.engine);
            assert_eq!(indexer.status_of(other).await.trouble, None);
            away.becomes(Some(&back));
            until_told(&indexer, "both", |feed| funded(feed, troubled) == usize::from(salt)).await;
        }
        evm.mine(3).await;
        indexer.all_final().await;
        let feed = indexer.feed().await;
        assert!(feed.iter().map(|entry| entry.seq).eq(1..=feed.len() as u64), "one seq over both");
        let config = indexer.stop().await;
        crate::testing::sound(&config).await;
        let done = crate::reindex(&config, &service::clock::SystemClock, |_| {}).await.unwrap();
        assert_eq!(done.states, 8, "{:?}", db.engine);
        crate::testing::sound(&config).await;
        let indexer = Running::start(config).await;
        assert_eq!(indexer.feed().await, feed);
        indexer.stop().await;
    }
}
