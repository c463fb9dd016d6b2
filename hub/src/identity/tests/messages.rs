//! The texts: what is read, and what is none.

use alloy::primitives::{Address, address};
use proptest::prelude::*;
use protocol::chain::{AccountId, ChainId};

use super::super::siwx::{Demands, SignIn};
use crate::{
    records::{Device, DeviceKey},
    testing::{
        account,
        noise::{edited_text, edits, text},
        trade::CHAIN,
    },
};

const WALLET: Address = address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
const NOW: i64 = crate::testing::START_MS;

fn device() -> Device {
    DeviceKey::from_seed([7; 32]).device()
}

fn full() -> String {
    format!(
        "https://hub.example:8443 wants you to sign in with your Ethereum account:\n\
         0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266\n\nLet this device speak for me.\n\n\
         URI: https://hub.example:8443\nVersion: 1\nChain ID: 31337\nNonce: 32891756abcdef\n\
         Issued At: 2026-11-21T10:00:00Z\nExpiration Time: 2026-11-21T11:10:00.500+01:00\n\
         Not Before: 2026-11-21T09:59:00Z\nRequest ID: some-request\nResources:\n- {}\n- https://example.com/terms",
        device()
    )
}

fn least() -> String {
    "hub.example wants you to sign in with your Ethereum account:\n\
     0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266\n\n\n\
     URI: https://hub.example\nVersion: 1\nChain ID: 1\nNonce: 32891756\nIssued At: 2026-11-21T10:00:00Z"
        .to_owned()
}

#[test]
fn every_field_is_read_and_written_back() {
    let message: SignIn = full().parse().unwrap();
    assert_eq!(message.to_string(), full());
    assert_eq!(message.scheme.as_deref(), Some("https"));
    assert_eq!(message.domain, "hub.example:8443");
    assert_eq!(message.wallet, account(WALLET.into()));
    assert_eq!(message.statement.as_deref(), Some("Let this device speak for me."));
    assert_eq!(message.uri, "https://hub.example:8443");
    assert_eq!(message.nonce, "32891756abcdef");
    assert_eq!(message.not_before.as_deref(), Some("2026-11-21T09:59:00Z"));
    assert_eq!(message.request_id.as_deref(), Some("some-request"));
    assert_eq!(message.device().unwrap(), device());
    let least_message: SignIn = least().parse().unwrap();
    assert_eq!(least_message.to_string(), least());
    assert_eq!((least_message.statement, least_message.resources.len()), (None, 0));
}

/// As wallets write it that offer `solana:signIn`, by the specification's maximal template.
fn solana() -> String {
    full()
        .replace("Ethereum", "Solana")
        .replace("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "GwAF45zjfyGzUbd3i3hXxzGeuchzEZXwpRYHZM5912F1")
        .replace("31337", "mainnet")
}

#[test]
fn a_message_of_solana_names_its_cluster_as_wallets_do() {
    let message: SignIn = solana().parse().unwrap();
    assert_eq!(message.to_string(), solana());
    let wallet: AccountId =
        "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp:GwAF45zjfyGzUbd3i3hXxzGeuchzEZXwpRYHZM5912F1"
            .parse()
            .unwrap();
    assert_eq!(message.wallet, wallet);
    assert_eq!(message.device().unwrap(), device());
    for (text, chain) in [
        ("testnet", "solana:4uhcVJyU9pJkvQyS88uRDiswHXSCkY3z"),
        ("devnet", "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1"),
        ("localnet", "solana:EarnestLoca1Net11111111111111111"),
        ("11111111111111111111111111111111", "solana:11111111111111111111111111111111"),
    ] {
        let text = solana().replace("mainnet", text);
        let message: SignIn = text.parse().unwrap();
        assert_eq!((message.wallet.chain.to_string().as_str(), message.to_string()), (chain, text));
    }
    // Without a statement there is one empty line, where EIP-4361 has two.
    let without = solana().replace("Let this device speak for me.\n\n", "");
    let message: SignIn = without.parse().unwrap();
    assert_eq!((message.statement.clone(), message.to_string()), (None, without));
}

#[test]
fn what_is_not_in_the_grammar_of_solana_is_no_message() {
    let full = solana();
    let changed = |from: &str, to: &str| {
        assert!(full.contains(from), "{from}");
        full.replacen(from, to, 1)
    };
    for (field, bad) in [
        ("domain", changed("Solana", "solana")),
        ("domain", changed("Solana", "Bitcoin")),
        ("address", changed("Solana", "Ethereum")),
        ("address", changed("GwAF45", "0xAF45")),
        ("address", changed("M5912F1\n", "\n")),
        ("address", changed("2F1\n", "2F11\n")),
        ("address", changed("GwAF45zjfyGzUbd3i3hXxzGeuchzEZXwpRYHZM5912F1", &WALLET.to_string())),
        ("Chain ID", changed("mainnet", "mainnet-beta")),
        ("Chain ID", changed("mainnet", "Mainnet")),
        ("Chain ID", changed("mainnet", "solana:mainnet")),
        ("Chain ID", changed("mainnet", "1")),
        // One text for each cluster.
        ("Chain ID", changed("mainnet", "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp")),
        ("Chain ID", changed("mainnet", "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d")),
        ("Chain ID", changed("mainnet", "")),
        ("statement", changed("Let this device speak for me.\n\n", "\n")),
        ("Version", changed("Version: 1\n", "")),
        ("Nonce", changed("Nonce: 32891756abcdef\n", "")),
        ("URI", changed("URI: https://hub.example:8443\n", "")),
    ] {
        let refused = bad.parse::<SignIn>().unwrap_err();
        assert_eq!((refused.rule, refused.field), ("message_form", field), "{bad}");
    }
}

#[test]
fn what_is_not_in_the_grammar_is_no_message() {
    let full = full();
    let changed = |from: &str, to: &str| {
        assert!(full.contains(from), "{from}");
        full.replacen(from, to, 1)
    };
    for bad in [
        String::new(),
        full.replace('\n', "\r\n"),
        format!("{full}\n"),
        format!("{full}\n- not a URI"),
        format!("{full}\nMore: 1"),
        format!(" {full}"),
        changed("Ethereum", "ethereum"),
        changed("https://hub.example:8443 wants", " wants"),
        changed("https://hub.example:8443 wants", "https://hub.example:8443/path wants"),
        changed("0xf39F", "0xF39F"),
        changed("0xf39Fd6", "0xf39fd6"),
        changed("0xf39F", "f39F"),
        changed("92266\n\nLet", "92266\nLet"),
        changed("for me.\n\n", "for me.\n"),
        changed("for me.", "for me.\nAnd more."),
        changed("for me.", "für mich."),
        changed("URI: https", "Uri: https"),
        changed("URI: https://hub.example:8443", "URI: hub"),
        changed("URI: https://hub.example:8443\n", ""),
        changed("Version: 1", "Version: 2"),
        changed("Version: 1", "Version:1"),
        changed("Chain ID: 31337", "Chain ID: 031337"),
        changed("Chain ID: 31337", "Chain ID: 0"),
        changed("Chain ID: 31337", "Chain ID: 0x1"),
        changed("Nonce: 32891756abcdef", "Nonce: 3289175"),
        changed("Nonce: 32891756abcdef", "Nonce: 32891756-bcdef"),
        changed("2026-11-21T10:00:00Z", "2026-11-21 10:00:00Z"),
        changed("2026-11-21T10:00:00Z", "2026-11-21T10:00:00"),
        changed("2026-11-21T10:00:00Z", "2026-02-30T10:00:00Z"),
        changed("2026-11-21T10:00:00Z", "2026-11-21T10:00Z"),
        changed("Expiration Time: 2026", "Expiration Time: soon 2026"),
        changed("Request ID: some-request\n", "Request ID: some request\n"),
        // Optional fields have an order too.
        changed(
            "Not Before: 2026-11-21T09:59:00Z\nRequest ID: some-request",
            "Request ID: some-request\nNot Before: 2026-11-21T09:59:00Z",
        ),
        changed("Resources:", "resources:"),
        changed("- https://example.com/terms", "https://example.com/terms"),
        changed("Let this device speak for me.", &"x".repeat(5000)),
        format!("{full}{}", "\n- https://example.com".repeat(15)),
    ] {
        assert!(bad.parse::<SignIn>().is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn what_is_read_is_all_there_is(at in any::<proptest::sample::Index>(), to in any::<char>(), sol: bool) {
        let mut letters: Vec<char> = if sol { solana() } else { full() }.chars().collect();
        let at = at.index(letters.len());
        letters[at] = to;
        let text: String = letters.into_iter().collect();
        if let Ok(message) = text.parse::<SignIn>() {
            prop_assert_eq!(message.to_string(), text);
        }
    }

    #[test]
    fn a_message_that_is_read_is_written_as_it_was(sol: bool, edits in edits(), other in text()) {
        for text in [edited_text(&if sol { solana() } else { full() }, &edits), other] {
            if let Ok(message) = text.parse::<SignIn>() {
                prop_assert_eq!(message.to_string(), text);
                let _ = message.device();
            }
        }
    }

    /// Whatever wallet on whatever chain: its message is read back as it was, and only as that.
    #[test]
    fn every_message_reads_back(
        key: [u8; 32], evm: bool, id in 1_u64.., named in 0_usize..5,
        statement in proptest::option::of("[a-zA-Z0-9 ,.']{1,80}".prop_filter("a line", |text| text.trim() == text)),
        request in proptest::option::of("[!-~]{0,20}"),
    ) {
        let wallet = if evm {
            AccountId { chain: ChainId::Eip155(id), address: Address::from_slice(&key[..20]).into() }
        } else {
            let clusters = [
                "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp", "4uhcVJyU9pJkvQyS88uRDiswHXSCkY3z",
                "EtWTRABZaYq6iMfeYKouRu166VU2xqa1", "EarnestLoca1Net11111111111111111", "Another1Net111111111111111111111",
            ];
            let chain = format!("solana:{}", clusters[named]).parse().unwrap();
            AccountId { chain, address: protocol::chain::Address::Solana(key) }
        };
        let message = SignIn { wallet, statement, request_id: request, ..full().parse().unwrap() };
        prop_assert_eq!(message.to_string().parse::<SignIn>(), Ok(message));
    }

    #[test]
    fn no_text_stops_the_parser(text in "(\\PC|\n){0,300}") {
        let _ = text.parse::<SignIn>();
        let _ = format!("{}{text}", least()).parse::<SignIn>();
    }
}

#[test]
fn a_message_authorises_one_device() {
    let with = |resources: &[&str]| {
        let message: SignIn =
            format!("{}\nResources:\n- {}", least(), resources.join("\n- ")).parse().unwrap();
        message.device()
    };
    let (one, other) = (device().to_string(), DeviceKey::from_seed([8; 32]).device().to_string());
    assert_eq!(with(&[&one]).unwrap(), device());
    assert_eq!(with(&["https://example.com", &one]).unwrap(), device());
    for bad in [vec!["https://example.com"], vec![one.as_str(), other.as_str()], vec!["did:key:z6Mk"]] {
        assert_eq!(with(&bad).unwrap_err().rule, "message_device", "{bad:?}");
    }
    assert_eq!(least().parse::<SignIn>().unwrap().device().unwrap_err().rule, "message_device");
}

#[test]
fn a_message_is_for_one_hub_and_one_time() {
    let message: SignIn = full().parse().unwrap();
    let demands = Demands {
        scheme: "https",
        domain: "hub.example:8443",
        uri: "https://hub.example:8443",
        chains: &[ChainId::Eip155(1), CHAIN],
        now: NOW,
    };
    let rule = |demands: Demands<'_>| message.meets(&demands).map_err(|error| error.rule);
    assert_eq!(rule(demands), Ok(()));
    assert_eq!(rule(Demands { scheme: "http", ..demands }), Err("message_domain"));
    assert_eq!(rule(Demands { domain: "hub.example", ..demands }), Err("message_domain"));
    assert_eq!(rule(Demands { uri: "https://hub.example:8443/", ..demands }), Err("message_uri"));
    assert_eq!(rule(Demands { chains: &[ChainId::Eip155(1)], ..demands }), Err("message_chain"));
    // It says 10:00 as issued, 9:59 as the earliest and 11:10:00.5 at one hour east as the end.
    let minutes = |count: i64| NOW + count * 60_000;
    assert_eq!(rule(Demands { now: minutes(10) + 499, ..demands }), Ok(()));
    assert_eq!(rule(Demands { now: minutes(10) + 500, ..demands }), Err("message_expired"));
    assert_eq!(rule(Demands { now: minutes(-1), ..demands }), Ok(()));
    assert_eq!(rule(Demands { now: minutes(-1) - 1, ..demands }), Err("message_early"));
    assert_eq!(rule(Demands { now: minutes(-6), ..demands }), Err("message_early"));
}
