//! The verbs of the ledger, and those of grievances, candidacies, records, listings, names and sessions, as somebody uses them, and those that nobody in particular may: the built binary, a hub that runs, a chain to sign in on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code"
)]

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use free_ports::a_port;
use hub::{
    access::Audience,
    records::{DeviceKey, Draft, Stamp},
};
use serde_json::{Value, json};
use service::db::testing::{FreshDb, on_both, sqlite};
use sqlx::AnyPool;
use tempfile::TempDir;

fn until_it_listens(port: u16) {
    let started = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(started.elapsed() < Duration::from_secs(60), "nobody listens on {port}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A process that ends with this value.
struct Runs(Child);

impl Drop for Runs {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn runs(command: &mut Command) -> Runs {
    Runs(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

/// A hub with a chain to sign in on, and the people who use it.
struct Place {
    hub_port: u16,
    chain_port: u16,
    database: String,
    _hub: Runs,
    _chain: Runs,
    _db: FreshDb,
    folder: TempDir,
}

impl Place {
    fn start(db: FreshDb) -> Self {
        println!("hub on {:?}", db.engine);
        let folder = tempfile::tempdir().unwrap();
        let (hub_port, chain_port) = (a_port(), a_port());
        let mut anvil = Command::new(fixture::anvil_binary());
        let chain = runs(anvil.args(["--quiet", "--prune-history", "64", "--port", &chain_port.to_string()]));
        let data = folder.path().join("hub");
        // Nobody listens on port 1.
        let config = format!(
            "[hub]\nlisten = \"127.0.0.1:{hub_port}\"\npublic_url = \"http://127.0.0.1:{hub_port}\"\ndata = {data:?}\n\
             database = \"{}\"\nindexers = {{ \"eip155:31337\" = \"http://127.0.0.1:1\" }}\ntime_credit_limit = 1000\npersonhood = \"open\"\n",
            db.url
        );
        std::fs::write(folder.path().join("earnest.toml"), config).unwrap();
        let mut earnest = Command::new(env!("CARGO_BIN_EXE_earnest"));
        let hub = runs(earnest.args(["hub", "--config"]).arg(folder.path().join("earnest.toml")));
        until_it_listens(hub_port);
        until_it_listens(chain_port);
        Self { hub_port, chain_port, database: db.url.clone(), _hub: hub, _chain: chain, _db: db, folder }
    }

    fn config(&self) -> String {
        self.folder.path().join("earnest.toml").display().to_string()
    }

    fn profile(&self, who: &str) -> PathBuf {
        self.folder.path().join("data/profiles").join(who)
    }

    fn run_at(&self, port: u16, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_earnest"));
        command.arg("--data").arg(self.folder.path().join("data"));
        command.args(["--hub", &format!("http://127.0.0.1:{port}")]);
        command.args(["--rpc", &format!("http://127.0.0.1:{}", self.chain_port)]);
        command.args(arguments).output().unwrap()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.run_at(self.hub_port, arguments)
    }

    /// What a verb that must succeed prints.
    fn told(&self, who: &str, verb: &[&str]) -> String {
        let output = self.run(&[&["--as", who][..], verb].concat());
        assert!(output.status.success(), "{verb:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The path of a file with this value.
    fn file(&self, name: &str, value: &Value) -> String {
        let file = self.folder.path().join(name);
        std::fs::write(&file, value.to_string()).unwrap();
        file.display().to_string()
    }

    fn json(&self, who: &str, verb: &[&str]) -> Value {
        serde_json::from_str(&self.told(who, &[&["--json"][..], verb].concat())).unwrap()
    }

    /// The exit code of a verb that must fail, and what it says.
    fn fails(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.run(arguments);
        assert!(!output.status.success(), "{arguments:?}: {output:?}");
        (output.status.code().unwrap(), format!("{}{}", text(&output.stdout), text(&output.stderr)))
    }

    /// The account of somebody who comes now.
    fn arrives(&self, who: &str) -> String {
        self.json(who, &["account", "new"])["account"].as_str().unwrap().to_owned()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn id(receipt: &Value) -> String {
    receipt["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn every_verb_of_the_ledger_does_what_it_says() {
    sqlx::any::install_default_drivers();
    for db in on_both().await {
        let place = Place::start(db);
        let (anna, ben) = (place.arrives("anna"), place.arrives("ben"));
        assert_eq!(place.told("anna", &["ledger", "accounts"]).trim(), "none");
        let paid = id(&place.json("anna", &["ledger", "pay", &ben, "1.5", "--note", "weeding"]));
        let (code, told) = place.fails(&["--as", "anna", "ledger", "pay", &ben, "9"]);
        assert!(code == 1 && told.contains("below_floor") && told.contains("/body/amount"), "{told}");
        assert_eq!(place.json("ben", &["ledger", "accounts"])["items"][0]["balance"], "150");
        let table = place.told("anna", &["ledger", "accounts"]);
        assert!(table.contains("-1.5") && table.contains("-10") && !table.contains("more:"), "{table}");

        let page = place.told("anna", &["ledger", "statement", "--limit", "1"]);
        assert!(page.contains("exchange_debit") && page.contains("more: --after '1'"), "{page}");
        let rest = place.told("anna", &["ledger", "statement", "--after", "1"]);
        assert_eq!(rest.trim(), "none");
        let lines = place.told("ben", &["ledger", "export"]);
        let line: Vec<&str> = lines.lines().nth(1).unwrap().split(',').collect();
        assert_eq!(
            (line[0], &line[2..]),
            ("1", &["exchange_credit", "150", "150", anna.as_str(), paid.as_str()][..])
        );
        let list = place.json("ben", &["ledger", "export"]);
        assert_eq!((list.as_array().unwrap().len(), &list[0]["record"]), (1, &Value::from(paid)));
        assert_eq!(place.told("ben", &["ledger", "export", "--format", "json"]).trim(), {
            let text = place.told("ben", &["--json", "ledger", "export"]);
            text.trim().to_owned()
        });
        let (code, told) = place.fails(&["--as", "ben", "--json", "ledger", "export", "--format", "csv"]);
        assert!(code == 1 && told.contains("--format csv"), "{told}");

        let tomorrow = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second() + 24 * 60 * 60)
            .unwrap()
            .to_string();
        let set =
            |amount: &str| id(&place.json("anna", &["ledger", "hold", &ben, amount, "--expires", &tomorrow]));
        let (first, second) = (set("3"), set("2"));
        for (who, side, other) in [("anna", "payer", &ben), ("ben", "payee", &anna)] {
            let held = place.json(who, &["ledger", "holds"]);
            let mut seen: Vec<(String, i64)> = held["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| {
                    assert_eq!((&one["side"], &one["other"]), (&side.into(), &other.as_str().into()));
                    (
                        one["hold"].as_str().unwrap().to_owned(),
                        one["amount"].as_str().unwrap().parse().unwrap(),
                    )
                })
                .collect();
            seen.sort_by_key(|(_, amount)| *amount);
            assert_eq!(seen, [(second.clone(), 200), (first.clone(), 300)]);
        }
        assert!(place.told("ben", &["ledger", "holds"]).contains(&first));
        place.json("anna", &["ledger", "capture", &first, "2.5"]);
        place.json("ben", &["ledger", "release", &second]);
        assert_eq!(place.told("anna", &["ledger", "holds"]).trim(), "none");
        assert_eq!(place.json("ben", &["ledger", "accounts"])["items"][0]["balance"], "400");
        assert_eq!(place.profile("anna").join("unanswered").read_dir().unwrap().count(), 0);

        // The hub's own verbs, beside the hub.
        let path = place.config();
        let config = ["--config", path.as_str()];
        let verify = [&["ledger", "verify"][..], &config[..]].concat();
        let rebuild = [&["rebuild"][..], &config[..]].concat();
        let verified = place.json("anna", &verify);
        assert_eq!((&verified["entries"], &verified["faults"]), (&"4".into(), &"0".into()));
        let rebuilt = place.json("anna", &rebuild);
        assert_eq!((&rebuilt["differences"], &rebuilt["told"]), (&"0".into(), &Value::Array(Vec::new())));
        let eyes = AnyPool::connect(&place.database).await.unwrap();
        let harm = "UPDATE ledger_accounts SET earned = spent WHERE version = 2 AND earned < spent";
        sqlx::query(harm).execute(&eyes).await.unwrap();
        let (code, told) = place.fails(&verify);
        assert!(code == 3 && told.contains("the account has") && told.contains("1 faults"), "{told}");
        let (code, told) = place.fails(&rebuild);
        assert!(code == 3 && told.contains("ledger_accounts has, and the log does not say"), "{told}");
        let repaired = place.json("anna", &[&rebuild[..], &["--repair"]].concat());
        assert_eq!((&repaired["differences"], &repaired["repaired"]), (&"2".into(), &true.into()));
        assert_eq!(place.json("anna", &verify), verified);
        eyes.close().await;
    }
}

#[test]
fn a_grievance_is_filed_mediated_and_settled_by_its_verbs() {
    let place = Place::start(sqlite());
    place.arrives("steward");
    let (anna, ben) = (place.arrives("anna"), place.arrives("ben"));
    let community = id(&place.json("steward", &["community", "create", "Gardens"]));
    for (who, account) in [("anna", &anna), ("ben", &ben)] {
        place.json("steward", &["community", "add-member", &community, account]);
        place.json(who, &["community", "join", &community]);
    }
    let paid = id(&place.json("anna", &["ledger", "pay", &ben, "1.5"]));
    let filing = ["--about", &paid, "--against", &ben, "--remedy", "reversal"];
    let filed = [&["grievance", "file", &community, "trade", "Not weeded"][..], &filing[..]].concat();
    let grievance = id(&place.json("anna", &filed));
    let (code, told) = place.fails(&[&["--as", "anna"][..], &filed[..]].concat());
    assert!(code == 1 && told.contains("already_open") && told.contains("/body/subject"), "{told}");
    let list = place.told("steward", &["grievance", "list", "--state", "filed"]);
    assert!(list.contains(&grievance) && list.contains("Not weeded"), "{list}");
    let on = |verb: &'static str| ["grievance", verb, &grievance];
    place.json("steward", &on("take"));
    let picture = place.folder.path().join("bed.jpg");
    std::fs::write(&picture, "a bed").unwrap();
    let shows = ["Half of it.", "--uri", "https://example.org/bed.jpg", "--file", picture.to_str().unwrap()];
    place.json("ben", &[&on("evidence")[..], &shows[..]].concat());
    let (code, told) = place.fails(&[&["--as", "anna"][..], &on("accept")[..]].concat());
    assert!(code == 2 && told.contains("<PROPOSAL>"), "{told}");
    let (code, told) = place.fails(&[&["--as", "steward"][..], &on("propose")[..]].concat());
    assert!(code == 2 && told.contains("--give-back"), "{told}");
    let seen = id(&place.json("steward", &[&on("propose")[..], &["--give-back", "0.5"]].concat()));
    let half = [&on("propose")[..], &["--give-back", "0.75", "--reason", "Half."]].concat();
    let newest = id(&place.json("steward", &half));
    // Nobody accepts what they have not seen.
    let (code, told) =
        place.fails(&[&["--as", "anna"][..], &on("accept")[..], &[seen.as_str()][..]].concat());
    assert!(code == 1 && told.contains("other_proposal"), "{told}");
    assert_eq!(place.json("anna", &on("show"))["proposed"]["step"], newest);
    for who in ["anna", "ben"] {
        place.json(who, &[&on("accept")[..], &[newest.as_str()][..]].concat());
    }
    assert_eq!(place.json("ben", &["ledger", "accounts"])["items"][0]["balance"], "75");
    let shown = place.told("ben", &on("show"));
    assert!(shown.contains("resolved") && shown.contains("settled") && shown.contains("\"75\""), "{shown}");
    let steps = place.json("anna", &on("steps")).to_string();
    // SHA-256 of the file.
    let hash = "1c3e4841315ea957362f6c96b56aef3cb2518473bbe331c494560edecba8916d";
    assert!(steps.contains(hash) && steps.contains("partial_adjustment"), "{steps}");

    // In one file, by the word of the hub that signed it; with another amount it does not hold.
    let bundle = place.told("ben", &on("bundle"));
    let read: Value = serde_json::from_str(&bundle).unwrap();
    let (hub, _) = read["log"]["proof"]["verificationMethod"].as_str().unwrap().split_once('#').unwrap();
    let file = place.folder.path().join("bundle.json");
    std::fs::write(&file, &bundle).unwrap();
    let checks = ["verify", "bundle", file.to_str().unwrap(), "--trust", hub];
    assert_eq!(place.json("anna", &checks)["holds"], true);
    let table = place.told("anna", &checks);
    assert!(table.contains("resolution") && table.contains("payment"), "{table}");
    std::fs::write(&file, bundle.replace("\"75\"", "\"74\"")).unwrap();
    let (code, told) = place.fails(&checks);
    assert!(code == 3 && told.contains("log: "), "{told}");
}

/// Passes bytes on, and while `deaf` closes instead of passing on what the hub answers to a record.
fn lossy(to: u16, deaf: Arc<AtomicBool>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming() {
            let (mut client, mut hub) = (client.unwrap(), TcpStream::connect(("127.0.0.1", to)).unwrap());
            let (mut back_from, mut back_to) = (hub.try_clone().unwrap(), client.try_clone().unwrap());
            let lost = Arc::new(AtomicBool::new(false));
            let (deaf, losing) = (deaf.clone(), lost.clone());
            thread::spawn(move || {
                let mut bytes = [0; 65_536];
                while let Ok(read @ 1..) = client.read(&mut bytes) {
                    if deaf.load(Ordering::SeqCst) && bytes.starts_with(b"POST /v1/records") {
                        losing.store(true, Ordering::SeqCst);
                    }
                    if hub.write_all(&bytes[..read]).is_err() {
                        break;
                    }
                }
                let _ = hub.shutdown(Shutdown::Both);
            });
            thread::spawn(move || {
                let mut bytes = [0; 65_536];
                while let Ok(read @ 1..) = back_from.read(&mut bytes) {
                    if lost.load(Ordering::SeqCst) || back_to.write_all(&bytes[..read]).is_err() {
                        break;
                    }
                }
                let _ = back_to.shutdown(Shutdown::Both);
                let _ = back_from.shutdown(Shutdown::Both);
            });
        }
    });
    port
}

#[test]
fn what_was_signed_is_sent_again_until_it_is_answered_and_paid_once() {
    let place = Place::start(sqlite());
    let (_, ben) = (place.arrives("anna"), place.arrives("ben"));
    let deaf = Arc::new(AtomicBool::new(true));
    let far = lossy(place.hub_port, deaf.clone());
    let pay = ["--as", "anna", "--json", "ledger", "pay", &ben, "2"];
    let balance = || place.json("ben", &["ledger", "accounts"])["items"][0]["balance"].clone();
    let kept = || place.profile("anna").join("unanswered").read_dir().unwrap().count();

    // The hub takes it, and the answer never comes.
    let output = place.run_at(far, &pay);
    assert!(!output.status.success(), "{output:?}");
    assert_eq!((kept(), balance()), (1, "200".into()));
    deaf.store(false, Ordering::SeqCst);
    let output = place.run_at(far, &pay);
    let told = text(&output.stderr);
    assert!(output.status.success() && told.contains("sending again what was signed at 2"), "{output:?}");
    assert_eq!((kept(), balance()), (0, "200".into()));
    // Answered: the same again is another payment.
    assert!(place.run_at(far, &pay).status.success());
    assert_eq!((kept(), balance()), (0, "400".into()));
    // A refusal is an answer, too.
    let output = place.run_at(far, &["--as", "anna", "ledger", "pay", &ben, "100"]);
    assert!(text(&output.stderr).contains("below_floor"), "{output:?}");
    assert_eq!((kept(), balance()), (0, "400".into()));
}

#[test]
fn who_stands_in_a_community_says_so_and_takes_it_back_by_its_verbs() {
    let place = Place::start(sqlite());
    for who in ["anna", "ben"] {
        place.arrives(who);
    }
    let community = id(&place.json("anna", &["community", "create", "Gardens"]));
    let wallet = place.json("anna", &["account", "show"])["wallet"].as_str().unwrap().to_owned();
    let shown = |who: &str| place.told(who, &["community", "candidacies", &community]);
    assert_eq!(shown("anna").trim(), "none");
    place.json("anna", &["community", "stand", &community, &wallet]);
    // A table shows an address with its checksum.
    assert!(shown("anna").to_lowercase().contains(&wallet.to_lowercase()), "{wallet}");
    assert_eq!(shown("ben").trim(), "none");
    let (code, told) = place.fails(&["--as", "ben", "community", "stand", &community, &wallet]);
    assert!(code == 1 && told.contains("members_only"), "{told}");
    place.json("anna", &["community", "stand-down", &community, &wallet]);
    assert_eq!(shown("anna").trim(), "none");
}

#[test]
fn what_is_public_is_read_by_who_is_nobody() {
    let place = Place::start(sqlite());
    for read in [
        &["pool", "show"][..],
        &["listing", "list"],
        &["credential", "list"],
        &["proposal", "list"],
        &["community", "show"],
    ] {
        let output = place.run(read);
        assert!(output.status.success() && text(&output.stdout).trim() == "none", "{read:?}: {output:?}");
    }
    let pool = format!("0x{}", "11".repeat(32));
    let arbiter = format!("eip155:31337:0x{}", "22".repeat(20));
    let (code, told) = place.fails(&["pool", "show", &pool, "--arbiter", &arbiter]);
    assert!(code == 1 && told.contains("no pool 0x11"), "{told}");
}

#[test]
fn what_a_hub_was_told_is_kept_and_checked_without_it_by_its_verbs() {
    let place = Place::start(sqlite());
    let (anna, ben) = (place.arrives("anna"), place.arrives("ben"));
    let head = place.json("anna", &["log", "head"]);
    let kept = place.file("head.json", &head);
    let paid = id(&place.json("anna", &["ledger", "pay", &ben, "1.5"]));
    let thanks = id(&place.json("anna", &["credential", "issue", &paid, "--for", "skill"]));
    let gone_on = place.json("ben", &["verify", "log", &kept]);
    assert_eq!((&gone_on["holds"], &gone_on["from"]["size"]), (&true.into(), &head["size"]));
    let (hub, _) = head["proof"]["verificationMethod"].as_str().unwrap().split_once('#').unwrap();
    assert!(place.told("anna", &["log", "head"]).contains(hub));
    let device = place.json("anna", &["account", "show"])["device"].as_str().unwrap().to_owned();
    let (code, told) = place.fails(&["log", "head", "--trust", &device]);
    assert!(code == 3 && told.contains(hub) && told.contains("whose word you do not take"), "{told}");

    let held = place.json("ben", &["credential", "show", &thanks]);
    assert_eq!((&held["about"], &held["kind"]), (&paid.as_str().into(), &"SkillProviderCredential".into()));
    assert!(place.told("ben", &["credential", "show", &thanks]).contains("yes"));
    let thanks = place.file("thanks.json", &held["credential"]);
    let records = [&paid, &anna, &ben].map(|record| {
        let shown = place.json("anna", &["record", "show", record]);
        place.file(&format!("{record}.json"), &shown)
    });
    let mut verify = vec!["verify", "credential", &thanks];
    for record in &records {
        verify.extend(["--record", record]);
    }
    assert_eq!(place.json("ben", &verify)["payment"], paid.as_str());
    let table = place.told("ben", &["record", "show", &paid]);
    assert!(table.contains("transfer@1") && table.contains("\"amount\": \"150\""), "{table}");
    let (code, told) = place.fails(&["record", "show", &paid]);
    assert!(code == 1 && told.contains(&paid), "{told}");
}

#[test]
fn a_listing_that_was_signed_elsewhere_is_handed_in_and_revised_by_its_verbs() {
    let place = Place::start(sqlite());
    let (anna, _) = (place.arrives("anna"), place.arrives("ben"));
    let community = id(&place.json("anna", &["community", "create", "Gardens"]));
    let seed = std::fs::read_to_string(place.profile("anna").join("device.key")).unwrap();
    let key = DeviceKey::from_seed(hex::decode(seed.trim()).unwrap().try_into().unwrap());
    let wallet = place.json("anna", &["account", "show"])["wallet"].clone();
    let body = json!({
        "kind": "service", "title": "Weeding", "description": "", "price_type": "negotiable",
        "price": [
            { "asset": "time_credit", "amount": "100" }, { "asset": "eip155:31337/slip44:60", "amount": "5" },
        ],
        "tags": [], "location_pref": "local", "visibility": "followers", "status": "active", "pay_to": wallet,
    });
    let now = Stamp::from_ms(jiff::Timestamp::now().as_millisecond());
    let draft = Draft::new("listing@1", Some(anna.parse().unwrap()), now, body);
    let followers = vec![Audience::Community(community.parse().unwrap())];
    let mut signed = draft.only_for(followers).sign(&key).unwrap();
    let file = place.file("signed.json", &signed);
    let receipt = place.json("ben", &["record", "submit", &file]);
    assert_eq!(place.json("anna", &["record", "submit", &file]), receipt);
    signed["body"]["title"] = "Digging".into();
    let (code, told) = place.fails(&["record", "submit", &place.file("signed.json", &signed)]);
    assert!(code == 1 && told.contains("rule id, field /id"), "{told}");

    let listing = id(&receipt);
    let revise = ["listing", "revise", &listing];
    let (code, told) = place.fails(&[&["--as", "anna"][..], &revise[..]].concat());
    assert!(code == 2 && told.contains("--title"), "{told}");
    let (code, told) = place.fails(&[&["--as", "anna"][..], &revise[..], &["--price", "7"]].concat());
    assert!(code == 1 && told.contains("--asset is missing"), "{told}");
    let change = ["--price", "7", "--asset", "time_credit", "--tag", "garden"];
    place.json("anna", &[&revise[..], &change[..]].concat());
    place.json("anna", &["listing", "set-status", &listing, "paused"]);
    let shown = place.json("anna", &["listing", "show", &listing]);
    let said = &shown["body"];
    assert_eq!((&said["title"], &said["status"]), (&"Weeding".into(), &"paused".into()));
    assert_eq!(said["price"], json!([{ "asset": "time_credit", "amount": "7" }]));
    assert_eq!(said["tags"], json!(["garden"]));
    // Who may read it is who might before.
    let newest = place.json("anna", &["record", "show", shown["revision"].as_str().unwrap()]);
    assert_eq!(newest["audience"], json!([format!("community:{community}")]));
    let (code, told) = place.fails(&["--as", "ben", "listing", "show", &listing]);
    assert!(code == 1 && told.contains(&listing), "{told}");
}

#[test]
fn names_and_guards_are_shown_and_sessions_ended_by_their_verbs() {
    let place = Place::start(sqlite());
    let (anna, ben) = (place.arrives("anna"), place.arrives("ben"));
    let shown = place.json("anna", &["account", "show"]);
    let (did, device) = (shown["did"].as_str().unwrap(), shown["device"].as_str().unwrap());
    assert_eq!(place.json("anna", &["identity", "did"])["id"], did);
    let table = place.told("ben", &["identity", "did", &anna]);
    assert!(table.contains(did) && table.contains(device) && table.contains("did:pkh:"), "{table}");
    let community = id(&place.json("anna", &["community", "create", "Gardens"]));
    assert_eq!(place.json("ben", &["community", "did", &community])["controller"], json!([did]));
    assert!(place.told("ben", &["community", "did", &community]).contains(did));
    let asked = place.json("ben", &["identity", "personhood"]);
    assert_eq!((&asked["setting"], &asked["required"]), (&"open".into(), &false.into()));
    assert!(place.told("ben", &["identity", "personhood"]).contains("not believed"));
    assert_eq!(place.told("ben", &["identity", "guards"]).trim(), "none");
    place.json("anna", &["identity", "guard", &ben, "--threshold", "1", "--delay-hours", "24"]);
    assert_eq!(place.json("ben", &["identity", "guards"])["items"], json!([anna]));

    let token = id(&place.json("anna", &["token", "new", "books", "--scope", "read:ledger"]));
    let before = place.json("anna", &["token", "list"]);
    let ended = place.json("anna", &["token", "end"]);
    // All but the token, and the one that the verb itself opened.
    let count = |list: &Value| list.as_array().unwrap().len();
    assert_eq!(count(&ended["ended"]), count(&before), "{before}");
    let left = place.json("anna", &["token", "list"]);
    assert!(count(&left) == 2 && left.to_string().contains(&token), "{left}");
}
