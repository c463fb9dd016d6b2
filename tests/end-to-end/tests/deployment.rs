//! The contracts at their published addresses: on any chain, once, and checked by anybody; and what a deal of theirs is.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code"
)]

use alloy::{
    primitives::{Address, B256, Bytes, U256},
    providers::Provider,
};
use end_to_end::{Folder, json};
use fixture::Chain;
use protocol::{
    chain::AccountId,
    evm::{
        call, deal_id,
        deployment::{ESCROW, POOLS, PROXY, PROXY_CODE, PROXY_COST, PROXY_CREATION, PROXY_CREATOR, manifest},
    },
    terms::Terms,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Runs a verb on the chain, paid for by its wallet 0 where it is a deployment, and answers its exit code, what it prints
/// as JSON and what it says.
fn run(chain: &Chain, verb: &[&str], input: &str) -> (i32, Value, String) {
    run_at(&chain.rpc_url(), chain, verb, input)
}

/// The same, by another way to the chain.
fn run_at(rpc: &str, chain: &Chain, verb: &[&str], input: &str) -> (i32, Value, String) {
    let folder = Folder::new();
    let arguments: Vec<&str> = ["--json", "--rpc", rpc].iter().chain(verb).copied().collect();
    let key = chain.wallets[0].to_bytes().to_string();
    let output = folder.verb_with(&arguments, &[("EARNEST_WALLET_KEY", &key)], input);
    let told = String::from_utf8(output.stderr).expect("text");
    let value = if output.stdout.is_empty() { Value::Null } else { json(&output.stdout) };
    (output.status.code().expect("an exit code"), value, told)
}

fn done(chain: &Chain, verb: &[&str]) -> Value {
    let (code, value, told) = run(chain, verb, "");
    assert_eq!(code, 0, "{verb:?}: {told}");
    value
}

fn published(name: &'static str) -> Address {
    manifest().expect("a manifest").get(name).expect("a contract").address
}

/// What is deployed, by the address without its chain.
fn addresses(value: &Value) -> Vec<(String, Address)> {
    let contracts = value["contracts"].as_array().expect("contracts");
    contracts
        .iter()
        .map(|one| {
            let account: AccountId = one["address"].as_str().expect("text").parse().expect("CAIP-10");
            (one["name"].as_str().expect("a name").to_owned(), fixture::evm(account.address))
        })
        .collect()
}

#[tokio::test]
async fn the_addresses_are_the_same_on_every_chain_and_a_second_deployment_changes_nothing() {
    let one = Chain::start_with(&["--chain-id", "31338"]).await;
    let other = Chain::start_with(&["--chain-id", "31339", "--disable-default-create2-deployer"]).await;
    assert!(other.provider().get_code_at(PROXY).await.expect("an answer").is_empty());

    let (code, value, told) = run(&one, &["verify", "contracts"], "");
    assert!(code == 3 && value.is_null() && told.contains("there is no contract"), "{told}");

    let first = done(&one, &["deploy"]);
    let second = done(&other, &["deploy"]);
    assert_eq!(addresses(&first), addresses(&second));
    let expected: Vec<_> =
        manifest().expect("a manifest").contracts.into_iter().map(|one| (one.name, one.address)).collect();
    assert_eq!(addresses(&first), expected);
    // The proxy was there, and was not: one transaction more.
    let sent = |value: &Value| value["transactions"].as_array().expect("transactions").len();
    assert_eq!((sent(&first), sent(&second)), (expected.len(), expected.len() + 1));
    assert_eq!(other.provider().get_code_at(PROXY).await.expect("an answer"), PROXY_CODE);
    assert!(other.balance(PROXY_CREATOR).await < U256::from(PROXY_COST));

    for (chain, id) in [(&one, 31_338), (&other, 31_339)] {
        let (height, before) = (chain.height().await, chain.balance(chain.address(0)).await);
        let again = done(chain, &["deploy"]);
        assert_eq!((sent(&again), &again["start_block"]), (0, &Value::Null));
        assert_eq!(addresses(&again), expected);
        assert_eq!((chain.height().await, chain.balance(chain.address(0)).await), (height, before));
        let checked = done(chain, &["verify", "contracts"]);
        assert_eq!(addresses(&checked), expected);
        // The fixture's own escrow is the same code somewhere else.
        let own = format!("eip155:{id}:{}", chain.escrow.address);
        let checked = done(chain, &["verify", "contracts", "--escrow", &own]);
        assert_eq!(checked["contracts"][0]["published"], false);
        assert_eq!(checked["contracts"][1]["published"], true);
        let pools = format!("eip155:{id}:{}", chain.pools.address);
        let (code, _, told) = run(chain, &["verify", "contracts", "--escrow", &pools], "");
        assert!(code == 3 && told.contains("is not the code in this binary"), "{told}");
    }
}

#[tokio::test]
async fn a_chain_whose_proxy_is_another_contract_is_refused() {
    let chain = Chain::start_with(&["--disable-default-create2-deployer"]).await;
    let _: () =
        chain.provider().raw_request("anvil_setCode".into(), (PROXY, "0x00")).await.expect("anvil sets code");
    let (code, _, told) = run(&chain, &["deploy"], "");
    assert!(code == 3 && told.contains("another contract than the deterministic"), "{told}");
}

/// A node before the chain's own that takes no transaction without a chain id, as many do; answers where it listens.
async fn strict_node(upstream: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(answer(client, upstream.clone()));
        }
    });
    url
}

/// Answers the one request of a connection.
async fn answer(mut client: TcpStream, upstream: String) {
    let mut request = Vec::new();
    let body = loop {
        let read = client.read_buf(&mut request).await.expect("a request");
        let text = String::from_utf8_lossy(&request).into_owned();
        // A JSON-RPC body is whole when it is JSON.
        match text.split_once("\r\n\r\n") {
            Some((_, body)) if serde_json::from_str::<Value>(body).is_ok() => break body.to_owned(),
            _ => assert!(read > 0, "the request breaks off: {text}"),
        }
    };
    let answer = if body.contains(&PROXY_CREATION.to_string()) {
        let error = json!({ "code": -32000, "message": "only replay-protected (EIP-155) transactions allowed over RPC" });
        json!({ "jsonrpc": "2.0", "id": json(body.as_bytes())["id"], "error": error }).to_string()
    } else {
        let post =
            reqwest::Client::new().post(upstream).header("content-type", "application/json").body(body);
        post.send().await.expect("anvil answers").text().await.expect("text")
    };
    let length = answer.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    client.write_all(format!("{head}{answer}").as_bytes()).await.expect("it reads");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_proxy_cannot_be_created_nothing_is_paid() {
    let chain = Chain::start_with(&["--disable-default-create2-deployer"]).await;
    let node = strict_node(chain.rpc_url()).await;
    let before = chain.balance(chain.address(0)).await;
    let (code, _, told) = run_at(&node, &chain, &["deploy"], "");
    assert!(
        code == 1 && told.contains("does not take the transaction") && told.contains("EIP-155"),
        "{told}"
    );
    assert_eq!(
        (chain.balance(PROXY_CREATOR).await, chain.balance(chain.address(0)).await),
        (U256::ZERO, before)
    );
}

/// A deal at the published escrow.
async fn terms(chain: &Chain) -> Terms {
    let at = |address: Address| AccountId { chain: chain.chain, address: address.into() };
    Terms {
        escrow: at(published(ESCROW)),
        arbiter: at(published(POOLS)),
        ..chain.terms(5_000, B256::ZERO, 7).await
    }
}

fn check<'a>(value: &'a Value, name: &str) -> &'a Value {
    let checks = value["checks"].as_array().expect("checks");
    checks.iter().find(|one| one["check"] == name).unwrap_or_else(|| panic!("no {name} in {value}"))
}

/// What may be done.
fn actions(value: &Value) -> Vec<&str> {
    let next = value["next"].as_array().expect("a list");
    next.iter().map(|one| one["action"].as_str().expect("text")).collect()
}

#[tokio::test]
async fn a_deal_is_checked_offline_and_on_its_chain() {
    let chain = Chain::start().await;
    done(&chain, &["deploy"]);
    let terms = terms(&chain).await;
    let id = deal_id(&terms).expect("an id");
    let text = serde_json::to_string(&terms).expect("JSON");
    let signature = chain.sign(2, id).to_string();
    let given = ["verify", "deal", "-", "--deal", &id.to_string(), "--seller-signature", &signature];
    let by_deal = ["deal", "verify"].iter().chain(&given[2..]).copied().collect::<Vec<_>>();

    let offline: Vec<&str> = given.iter().chain(&["--offline"]).copied().collect();
    let (code, value, told) = run(&chain, &offline, &text);
    assert_eq!((code, &value["holds"], value.get("status")), (0, &json!(true), None), "{told}");

    let (code, value, told) = run(&chain, &given, &text);
    assert_eq!((code, &value["status"]), (0, &json!("none")), "{told}");
    assert_eq!(value["next"][0]["action"], "fund");
    assert_eq!(value["next"][0]["until"], terms.fund_by.to_string());

    // Somebody else's signature, and a contract's.
    let forged = chain.sign(3, id).to_string();
    let (code, value, _) = run(&chain, &["verify", "deal", "-", "--seller-signature", &forged], &text);
    assert_eq!((code, &check(&value, "seller's signature")["holds"]), (3, &json!(false)));
    let (code, _, told) =
        run(&chain, &["verify", "deal", "-", "--seller-signature", &forged, "--offline"], &text);
    assert!(code == 3 && told.contains("contract wallet"), "{told}");
    // A contract that holds every signature good (ERC-1271): PUSH4 0x1626ba7e, moved to the left of a word, returned.
    let code: Bytes = "0x631626ba7e60e01b60005260206000f3".parse().expect("code");
    let at = Address::repeat_byte(0x1a);
    let wallet = AccountId { chain: chain.chain, address: at.into() };
    let _: () =
        chain.provider().raw_request("anvil_setCode".into(), (at, code)).await.expect("anvil sets code");
    let sold = serde_json::to_string(&Terms { seller: wallet, ..terms.clone() }).expect("JSON");
    let (code, value, told) = run(&chain, &["verify", "deal", "-", "--seller-signature", "0x12"], &sold);
    assert_eq!((code, &check(&value, "seller's signature")["holds"]), (0, &json!(true)), "{told}");

    // Terms that a party retracted.
    let gone = Terms { salt: B256::repeat_byte(9), ..terms.clone() };
    chain.send(2, gone.escrow.address, call::retract(&gone).expect("terms"), U256::ZERO).await;
    let gone = serde_json::to_string(&gone).expect("JSON");
    let (code, value, told) = run(&chain, &["verify", "deal", "-"], &gone);
    assert_eq!((code, &value["status"], &value["next"]), (0, &json!("closed"), &json!([])), "{told}");
    assert!(check(&value, "state")["detail"].as_str().expect("text").starts_with("retracted"));

    // Funded, it may be delivered, conceded, disputed, settled, and later reclaimed.
    let terms = Terms { salt: B256::repeat_byte(8), ..terms };
    let id = deal_id(&terms).expect("an id");
    let fund = call::fund(&terms, chain.sign(2, id)).expect("terms");
    chain.send(1, terms.escrow.address, fund, U256::from(5_000)).await;
    let text = serde_json::to_string(&terms).expect("JSON");
    let (code, value, told) = run(&chain, &["verify", "deal", "-", "--deal", &id.to_string()], &text);
    assert_eq!((code, &value["status"], &value["released"]), (0, &json!("funded"), &json!("0")), "{told}");
    assert_eq!(actions(&value), ["deliver", "release", "refund", "dispute", "reclaim", "settle"]);
    let (code, _, told) = run(&chain, &by_deal, &text);
    assert!(code == 3 && told.contains("is not the id of these terms"), "{told}");

    // Gone is Closed: after fund_by the escrow keeps nothing of a closed deal.
    chain.pass_time(3_601).await;
    chain.send(1, terms.escrow.address, call::release(&terms, 5_000, None).expect("terms"), U256::ZERO).await;
    let (code, value, told) = run(&chain, &["verify", "deal", "-"], &text);
    assert_eq!((code, &value["status"], &value["released"]), (0, &json!("closed"), &Value::Null), "{told}");
    assert_eq!(value["next"], json!([]));
}

#[tokio::test]
async fn every_broken_rule_of_a_deal_has_its_name() {
    let chain = Chain::start().await;
    let good = terms(&chain).await;
    let mut bad = Terms { amount: 0, lapse_share: 10_001, inspection: 0, ..good.clone() };
    (bad.seller, bad.fund_by) = (bad.buyer, bad.deliver_by);
    let text = serde_json::to_string(&bad).expect("JSON");
    let (code, value, told) = run(&chain, &["verify", "deal", "-", "--offline"], &text);
    assert_eq!((code, &value["holds"]), (3, &json!(false)));
    for rule in
        ["SameParty", "AmountOutOfRange", "WindowOutOfRange", "ShareOutOfRange", "DeadlinesOutOfOrder"]
    {
        assert!(check(&value, rule)["holds"] == false && told.contains(rule), "{rule}: {told}");
    }

    done(&chain, &["deploy"]);
    let (code, value, _) = run(&chain, &["verify", "deal", "-"], &text);
    assert_eq!((code, actions(&value)), (3, vec!["retract"]), "what cannot be funded is not offered");

    // An escrow that is not the published one holds only by the reader's own word.
    let own = Terms { escrow: chain.escrow, ..good };
    let text = serde_json::to_string(&own).expect("JSON");
    let (code, _, told) = run(&chain, &["verify", "deal", "-", "--offline"], &text);
    assert!(code == 3 && told.contains("is not the published contract"), "{told}");
    let escrow = chain.escrow.to_string();
    let (code, value, told) = run(&chain, &["verify", "deal", "-", "--escrow", &escrow], &text);
    assert_eq!((code, &value["status"]), (0, &json!("none")), "{told}");
    // Nothing is deployed at the published address here.
    let empty = Chain::start().await;
    let text = serde_json::to_string(&terms(&empty).await).expect("JSON");
    let (code, value, _) = run(&empty, &["verify", "deal", "-"], &text);
    assert_eq!((code, &check(&value, "code")["holds"]), (3, &json!(false)));

    let agreement = json!({ "b": 1, "a": "x" });
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("agreement.json");
    std::fs::write(&file, agreement.to_string()).expect("a file");
    // printf '{"a":"x","b":1}' | sha256sum
    let hash = "0xcdab067e9f3beb32d1252cfd63e492592fecbf591b0d08cadb24bb17f3864246".to_owned();
    let agreed = Terms { agreement: hash.parse().expect("a hash"), ..terms(&chain).await };
    let verb = ["verify", "deal", "-", "--offline", "--agreement", file.to_str().expect("a path")];
    let (code, _, told) = run(&chain, &verb, &serde_json::to_string(&agreed).expect("JSON"));
    assert_eq!(code, 0, "{told}");
    let (code, _, told) = run(&chain, &verb, &text);
    assert!(code == 3 && told.contains(&hash), "{told}");
    let (code, _, told) = run(&chain, &["verify", "deal", "-"], "{\"escrow\": 1}");
    assert!(code == 3 && told.starts_with("earnest: -: "), "{told}");
}
