//! Disputes that no first jury ends: a second jury, an appeal to the parent pool, and the last word. Real services and a
//! real chain, whose clocks are moved together.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code"
)]

use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use alloy::providers::{DynProvider, Provider};
use end_to_end::{Folder, TRADES_WAIT, bundle::Kept, chain::connect, json};
use serde_json::{Value, json as value};

/// The longest wait for what the services do by themselves.
const WAIT: Duration = TRADES_WAIT;
/// Opening and voting of the pools here, in seconds.
const JURY: u64 = 60 + 600;

/// A market and the people who can sit on its juries.
struct Town {
    folder: Folder,
    chain: DynProvider,
    /// Names by wallet, in lower case.
    people: BTreeMap<String, String>,
    listing: String,
    clock: PathBuf,
    ahead: u64,
}

fn id(value: &Value) -> String {
    value["id"].as_str().expect("an id").to_owned()
}

fn number(value: &Value) -> u64 {
    value.as_str().expect("a decimal").parse().expect("a decimal")
}

impl Town {
    async fn of(folder: Folder, clock: PathBuf) -> Self {
        let names = ["steward".to_owned(), "buyer".to_owned(), "seller".to_owned()];
        let names = names.into_iter().chain((1..=8).map(|number| format!("juror-{number}")));
        let people = names.map(|name| {
            let wallet = folder.done(&name, &["account", "show"])["wallet"].clone();
            let wallet =
                wallet.as_str().expect("a wallet").rsplit(':').next().expect("an address").to_lowercase();
            (wallet, name)
        });
        let people = people.collect();
        let market = json(&std::fs::read(folder.data().join("market.json")).expect("market.json"));
        let listing = market["sides"][0]["listing"].as_str().expect("a listing").to_owned();
        let chain = connect(&folder.rpc()).await;
        Self { folder, chain, people, listing, clock, ahead: 0 }
    }

    /// A disputed purchase before this pool.
    fn disputed(&self, pool: &[&str]) -> String {
        let offer: Vec<&str> = ["purchase", "offer", &self.listing].iter().chain(pool).copied().collect();
        let purchase = id(&self.folder.done("buyer", &offer));
        self.folder.done("seller", &["purchase", "accept", &purchase]);
        self.folder.done("buyer", &["deal", "fund", &purchase]);
        self.folder.done("buyer", &["deal", "dispute", &purchase]);
        purchase
    }

    fn case(&self, purchase: &str) -> Option<Value> {
        let output = self.folder.verb(&["--as", "buyer", "--json", "dispute", "show", purchase]);
        (output.status.code() == Some(0)).then(|| json(&output.stdout))
    }

    /// Waits until the case looks like this.
    fn until(&self, purchase: &str, what: &str, looks: impl Fn(&Value) -> bool) -> Value {
        let started = Instant::now();
        loop {
            let case = self.case(purchase);
            if let Some(case) = case.as_ref().filter(|case| looks(case)) {
                return case.clone();
            }
            assert!(started.elapsed() < WAIT, "{what}: {case:?}");
        }
    }

    /// Waits until the jury with this number of all is drawn, and answers the names of its seats in order.
    fn drawn(&self, purchase: &str, jury: usize) -> Vec<String> {
        let case = self.until(purchase, "a drawn jury", |case| {
            case["juries"][jury]["seats"].as_array().is_some_and(|seats| !seats.is_empty())
        });
        let seats = case["juries"][jury]["seats"].as_array().expect("seats").clone();
        let name =
            |seat: &Value| self.people[&seat["juror"].as_str().expect("a wallet").to_lowercase()].clone();
        seats.iter().map(name).collect()
    }

    fn vote(&self, who: &str, purchase: &str, share: &str) {
        self.folder.done(who, &["ballot", "cast", purchase, "--share", share]);
    }

    /// Moves the clocks of the chain and of the services.
    async fn pass(&mut self, seconds: u64) {
        self.ahead += seconds;
        let _: Value =
            self.chain.raw_request("evm_increaseTime".into(), [seconds]).await.expect("anvil moves");
        let _: Value = self.chain.raw_request("evm_mine".into(), ()).await.expect("anvil mines");
        std::fs::write(&self.clock, self.ahead.to_string()).expect("the clock's file");
    }

    /// Waits until the hub knows that the escrow has closed the deal, and answers what the seller got.
    fn closed(&self, purchase: &str) -> (String, u64) {
        let started = Instant::now();
        loop {
            let view = self.folder.done("buyer", &["purchase", "show", purchase]);
            let status = view["status"].as_str().expect("a status");
            if status == "completed" || status == "refunded" {
                return (status.to_owned(), number(&view["details"]["released"]));
            }
            assert!(started.elapsed() < WAIT, "{view}");
        }
    }

    fn amount(&self, purchase: &str) -> u64 {
        let view = self.folder.done("buyer", &["purchase", "show", purchase]);
        number(&view["details"]["terms"]["amount"])
    }

    /// A pool of one seat whose rulings can be appealed for an hour to another of one seat.
    fn pool_with_a_parent(&self) -> String {
        let members: Vec<&str> = self.people.keys().map(String::as_str).collect();
        let pool = |more: &[&str]| {
            let create = ["pool", "create", "--jury", "1", "--opening", "60", "--voting", "600"];
            let create: Vec<&str> = create.iter().chain(more).copied().collect();
            let pool = self.folder.done("steward", &create)["pool"].as_str().expect("a pool").to_owned();
            let publish: Vec<&str> = ["pool", "publish", &pool].iter().chain(&members).copied().collect();
            self.folder.done("steward", &publish);
            pool
        };
        let parent = pool(&[]);
        let pool = pool(&["--parent", &parent, "--appeal", "3600"]);
        self.folder.done("steward", &["pool", "register", &pool]);
        pool
    }
}

#[tokio::test]
async fn disputes_that_no_first_jury_ends_are_ended() {
    let folder = Folder::new();
    let clock = folder.file("clock");
    let ahead = ("EARNEST_CLOCK_AHEAD", clock.to_str().expect("a path").to_owned());
    let mut up = folder.up(&[], &[ahead]);
    up.wait_for("Everything runs until", TRADES_WAIT);
    let mut town = Town::of(folder, clock).await;
    let pool = town.pool_with_a_parent();

    let (silent, torn) = (town.disputed(&[]), town.disputed(&[]));
    let appealed = town.disputed(&["--panel", &pool]);
    town.drawn(&silent, 0);
    let quarrelling = town.drawn(&torn, 0);
    for (who, share) in quarrelling.iter().zip(["2500", "3500"]) {
        town.vote(who, &torn, share);
    }

    let output = town.folder.verb(&["--as", "buyer", "dispute", "conclude", &torn]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && told.contains("TooEarly"), "{told}");

    // The ruling that is appealed gives the seller nothing; the parent's jury gives it everything.
    let jurors = town.drawn(&appealed, 0);
    town.vote(&jurors[0], &appealed, "0");
    let ruled = town.until(&appealed, "a ruling", |case| case["stage"] == "accepted");
    assert_eq!((&ruled["ruling"], &ruled["rulings"][0]["share"]), (&Value::from(0), &Value::from(0)));
    assert!(ruled["next"].as_array().expect("steps").iter().any(|next| next["what"] == "appeal"), "{ruled}");
    town.folder.done("seller", &["dispute", "appeal", &appealed, "--gasless"]);
    let parents = town.drawn(&appealed, 1);
    assert!(!parents.contains(&jurors[0]), "who sat before sits no more");
    town.vote(&parents[0], &appealed, "10000");
    assert_eq!(town.closed(&appealed), ("completed".to_owned(), town.amount(&appealed)));
    // The hub takes the payout first, and the ruling that stands behind it in the same transaction after that.
    town.until(&appealed, "both rulings", |case| {
        let rulings = case["rulings"].as_array().expect("rulings");
        rulings.iter().map(|one| &one["share"]).eq([0, 10_000])
    });

    // The voting of both first juries ends without a ruling; second ones are called and drawn.
    town.pass(JURY + 1).await;
    for (who, seat) in town.drawn(&silent, 1).iter().zip(["2500", "9000", "2500"]) {
        town.vote(who, &silent, seat);
    }
    assert_eq!(town.closed(&silent).1, town.amount(&silent) / 4);
    town.drawn(&torn, 1);
    // Nobody of the second jury votes. What the first one said moves the 5,000 of the terms to 3,500.
    town.pass(JURY + 1).await;
    assert_eq!(town.closed(&torn).1, town.amount(&torn) * 35 / 100);
    town.until(&torn, "the last word is executed", |case| {
        (&case["ruling"], &case["stage"]) == (&Value::from(3_500), &Value::from("executed"))
    });

    let executed = |case: &Value| case["stage"] == "executed";
    town.until(&silent, "the second jury's ruling", executed);
    let kept = [&appealed, &silent, &torn].map(|purchase| Kept::of(&town.folder, purchase));

    up.interrupt();
    let (code, said) = up.wait(Duration::from_secs(60));
    assert_eq!(code, Some(0), "{}", said.join("\n"));
    // An appeal, a second jury and the last word, by hand.
    for (kept, rulings) in kept.iter().zip([
        value!([{ "share": 0, "by": "ballots" }, { "share": 10_000, "by": "ballots" }]),
        value!([{ "share": 2_500, "by": "ballots" }]),
        value!([{ "share": 3_500, "by": "the last word, by the chain's count" }]),
    ]) {
        let found = kept.check(&town.folder);
        let of = |ruling: &Value| value!({ "share": ruling["share"], "by": ruling["by"] });
        let by_hand: Vec<Value> = found["rulings"].as_array().expect("rulings").iter().map(of).collect();
        assert_eq!(Value::from(by_hand), rulings, "{found}");
    }
}
