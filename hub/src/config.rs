//! The section `[hub]` of the configuration file.

use std::{collections::BTreeMap, path::PathBuf};

use protocol::chain::{AccountId, ChainId};
use serde::{Deserialize, Serialize};

use crate::{identity::brightid_signer, limits, records::RecordId};

/// Everything that a hub can be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address and port to serve HTTP at. Whoever calls [`crate::run`] binds it.
    pub listen: String,
    /// `sqlite:PATH` or `postgres://…`.
    pub database: String,
    /// The folder for the hub's own key; created when missing.
    pub data: PathBuf,
    /// Where people reach this hub, without a slash at the end. Its host (and port) is the domain of sign-in messages
    /// and the name of the hub's did:web.
    pub public_url: String,
    /// The hub's indexers, one URL by the CAIP-2 id of each chain that it follows; at most 32. Wallets of these chains may
    /// sign in.
    pub indexers: BTreeMap<ChainId, String>,
    /// What this hub shows its indexers, for places of its own there: their `call_key`. Empty: nothing.
    pub indexer_key: String,
    /// What the relayer must show to hand in chain events; at least 16 characters. Empty: nobody may.
    pub relayer_key: String,
    /// The escrow contracts whose deals this hub takes, by CAIP-10; at most 32. Those of its indexers.
    pub escrows: Vec<AccountId>,
    /// The contracts whose pools and rulings this hub believes, by CAIP-10; at most 32. Those of its indexers.
    pub arbiters: Vec<AccountId>,
    /// How far below zero a member's time credits may go, in hundredths of an hour.
    pub time_credit_limit: u64,
    /// The community whose votes adjust members' time credits and give them limits of their own, by its id. None: nobody.
    pub time_credit_community: Option<RecordId>,
    /// `required`: only who has shown to be a person offers, buys and accepts. `everything`: only such a one says anything but what
    /// belongs to its own account and what ends or contests something. `open`: everyone does.
    pub personhood: Personhood,
    /// The base of a BrightID node's API v6, such as `https://app.brightid.org/node/v6`. Empty: BrightID is not asked.
    pub brightid_url: String,
    /// The name under which BrightID knows this hub: letters, digits, `-` and `_`.
    pub brightid_app: String,
    /// The nodes whose signature is believed: their Ed25519 public keys in base64; at most 8.
    pub brightid_signers: Vec<String>,
    /// Proof of Humanity registries, by CAIP-10, on chains of its indexers; at most 8.
    pub humanity_registries: Vec<AccountId>,
    /// How many requests a minute an account may make by its sessions and tokens; as many at once. 0: no limit.
    pub requests_per_account: u32,
    /// How many requests a minute may come without a session or token from one address of version 4, or one network of 64 bits of
    /// version 6; as many at once. 0: no limit.
    pub requests_per_address: u32,
    /// How many streams of events an account, or an address as above, may have open at once. 0: no limit but that of all, 256.
    pub streams_per_reader: u32,
    /// Addresses or networks of the proxies before this hub, whose `X-Forwarded-For` is believed; at most 16. Empty: who connects
    /// is who asks.
    pub trusted_proxies: Vec<String>,
    /// Whether everybody who says so is a person. For a market on one machine: `public_url` must be 127.0.0.1 or localhost.
    pub personhood_stand_in: bool,
}

/// What asks for a proof of personhood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Personhood {
    /// Taking part in the market, and giving more than one has.
    #[default]
    Required,
    /// Every record but those of one's own account and those that end or contest something.
    Everything,
    /// Nothing.
    Open,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:7401".to_owned(),
            database: "sqlite:data/hub.sqlite".to_owned(),
            data: PathBuf::from("data"),
            public_url: "http://127.0.0.1:7401".to_owned(),
            indexers: BTreeMap::new(),
            indexer_key: String::new(),
            relayer_key: String::new(),
            escrows: Vec::new(),
            arbiters: Vec::new(),
            time_credit_limit: 0,
            time_credit_community: None,
            personhood: Personhood::Required,
            brightid_url: String::new(),
            brightid_app: String::new(),
            brightid_signers: Vec::new(),
            humanity_registries: Vec::new(),
            requests_per_account: 1_200,
            requests_per_address: 600,
            streams_per_reader: 8,
            trusted_proxies: Vec::new(),
            personhood_stand_in: false,
        }
    }
}

/// The parts of [`Config::public_url`] that names are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    /// As configured.
    pub url: String,
    /// Host, and port where one is written: the domain of sign-in messages.
    pub domain: String,
    /// The hub's DID: `did:web:<host>[%3A<port>]`.
    pub did: String,
}

impl Config {
    /// The chains that the hub follows: those that a sign-in message may name.
    pub(crate) fn chains(&self) -> Vec<ChainId> {
        self.indexers.keys().copied().collect()
    }

    /// Checks the values that have rules of their own.
    ///
    /// # Errors
    /// Names the key, the value and the rule.
    pub fn public(&self) -> Result<PublicUrl, String> {
        if !self.relayer_key.is_empty() && self.relayer_key.len() < 16 {
            return Err("relayer_key must have at least 16 characters, or be empty".to_owned());
        }
        for (key, count) in [
            ("indexers", self.indexers.len()),
            ("escrows", self.escrows.len()),
            ("arbiters", self.arbiters.len()),
        ] {
            if count > 32 {
                return Err(format!("{key} has {count} entries and may have 32"));
            }
        }
        for (chain, url) in &self.indexers {
            // Not the URL itself, which may hold a key.
            if !url.starts_with("https://") && !url.starts_with("http://") {
                return Err(format!("indexers.\"{chain}\" must begin with https:// or http://"));
            }
        }
        for (key, contracts) in [
            ("escrows", &self.escrows),
            ("arbiters", &self.arbiters),
            ("humanity_registries", &self.humanity_registries),
        ] {
            if let Some(lost) = contracts.iter().find(|one| !self.indexers.contains_key(&one.chain)) {
                return Err(format!("{key} has {lost}, and indexers has none of the chain {}", lost.chain));
            }
        }
        let refuse = |rule| format!("public_url `{:.100}` {rule}", self.public_url);
        let domain = self
            .public_url
            .strip_prefix("https://")
            .or_else(|| self.public_url.strip_prefix("http://"))
            .ok_or_else(|| refuse("must begin with https:// or http://"))?;
        if domain.is_empty()
            || !domain.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':'))
        {
            return Err(refuse("must be a scheme, a host and perhaps a port, with nothing after it"));
        }
        self.persons(domain)?;
        limits::proxies(&self.trusted_proxies)?;
        Ok(PublicUrl {
            url: self.public_url.clone(),
            domain: domain.to_owned(),
            did: format!("did:web:{}", domain.replace(':', "%3A")),
        })
    }
}

impl Config {
    /// Whether a hub can be begun with it: one that lets only persons take part has somebody who says who is one.
    ///
    /// # Errors
    /// Names the keys and the rule.
    pub(crate) fn can_serve(&self) -> Result<(), String> {
        let provider =
            self.personhood_stand_in || !self.brightid_url.is_empty() || !self.humanity_registries.is_empty();
        if self.personhood == Personhood::Open || provider {
            return Ok(());
        }
        Err("personhood is asked for and nobody says who is a person: set brightid_url, humanity_registries or, on this \
             machine alone, personhood_stand_in; or personhood = \"open\""
            .to_owned())
    }

    /// Checks who may say that somebody is a person.
    fn persons(&self, domain: &str) -> Result<(), String> {
        let host = domain.split(':').next().unwrap_or_default();
        if self.personhood_stand_in && !matches!(host, "127.0.0.1" | "localhost") {
            return Err(format!(
                "personhood_stand_in is for this machine alone, and public_url is at {host:.100}"
            ));
        }
        if self.humanity_registries.len() > 8 {
            let count = self.humanity_registries.len();
            return Err(format!("humanity_registries has {count} entries and may have 8"));
        }
        if self.brightid_url.is_empty() {
            return Ok(());
        }
        if !self.brightid_url.starts_with("https://") && !self.brightid_url.starts_with("http://") {
            return Err("brightid_url must begin with https:// or http://".to_owned());
        }
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if self.brightid_app.is_empty() || !self.brightid_app.bytes().all(fits) {
            let app = &self.brightid_app;
            return Err(format!("brightid_app `{app:.60}` must be letters, digits, - and _"));
        }
        if !(1..=8).contains(&self.brightid_signers.len()) {
            return Err("brightid_signers must have 1 to 8 keys: nobody else's word is believed".to_owned());
        }
        for text in &self.brightid_signers {
            brightid_signer(text).map_err(|told| format!("brightid_signers: {told}"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Config;
    use crate::testing::noise::{edited, edits};

    /// A file with every kind of value.
    const FILE: &str = r#"
[hub]
listen = "127.0.0.1:7401"
database = "sqlite:data/hub.sqlite"
data = "data"
public_url = "https://hub.example:8443"
indexers = { "eip155:1" = "http://a", "solana:EarnestLoca1Net11111111111111111" = "https://b" }
relayer_key = "0123456789abcdef"
escrows = ["eip155:1:0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"]
arbiters = []
time_credit_limit = 1000
personhood = "open"
requests_per_account = 0
requests_per_address = 4294967295
streams_per_reader = 1
trusted_proxies = ["10.0.0.0/8", "::1"]
personhood_stand_in = false
"#;

    fn load(file: &[u8]) -> Option<Config> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("earnest.toml");
        std::fs::write(&path, file).unwrap();
        service::config::load::<Config>("hub", Some(&path)).ok().map(|loaded| loaded.value)
    }

    proptest! {
        /// What a changed file still says is what it says when it is written down; whether it can be used is said in words.
        #[test]
        fn a_file_that_is_read_reads_back(edits in edits(), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(load(FILE.as_bytes()).unwrap().public().is_ok());
            for file in [edited(FILE.as_bytes(), &edits), bytes] {
                if let Some(config) = load(&file) {
                    let written = serde_json::to_value(&config).unwrap();
                    prop_assert_eq!(&serde_json::from_value::<Config>(written).unwrap(), &config);
                    let _ = (config.public(), config.can_serve());
                }
            }
        }
    }

    #[test]
    fn a_public_url_is_a_scheme_a_host_and_perhaps_a_port() {
        let public = |url: &str| Config { public_url: url.to_owned(), ..Config::default() }.public();
        let good = public("https://hub.example:8443").unwrap();
        assert_eq!(
            (good.domain.as_str(), good.did.as_str()),
            ("hub.example:8443", "did:web:hub.example%3A8443")
        );
        assert_eq!(public("https://hub.example").unwrap().did, "did:web:hub.example");
        for bad in [
            "",
            "hub.example",
            "ftp://hub.example",
            "https://",
            "https://hub.example/",
            "https://a@hub.example",
        ] {
            assert!(public(bad).unwrap_err().contains("public_url"), "{bad}");
        }
    }

    #[test]
    fn every_contract_has_the_indexer_of_its_chain() {
        let contract = |text: &str| vec![text.parse().unwrap()];
        let indexers = |urls: &[(&str, &str)]| {
            urls.iter().map(|(chain, url)| (chain.parse().unwrap(), (*url).to_owned())).collect()
        };
        let escrow = "solana:EarnestLoca1Net11111111111111111:Earnest111111111111111111111111111111111111";
        let of = |urls: &[(&str, &str)]| {
            let (indexers, escrows) = (indexers(urls), contract(escrow));
            Config { indexers, escrows, ..Config::default() }.public()
        };
        let (evm, solana) = ("eip155:1", "solana:EarnestLoca1Net11111111111111111");
        assert!(of(&[(evm, "http://a"), (solana, "https://b")]).is_ok());
        let error = of(&[(evm, "http://a")]).unwrap_err();
        assert!(error.contains(escrow) && error.contains("indexers"), "{error}");
        let error = of(&[(evm, "http://a"), (solana, "b?key=secret")]).unwrap_err();
        assert!(error.contains(solana) && error.contains("https://") && !error.contains("secret"), "{error}");
        let many: Vec<_> = (1..=33).map(|id| (format!("eip155:{id}"), "http://a")).collect();
        let many: Vec<_> = many.iter().map(|(chain, url)| (chain.as_str(), *url)).collect();
        let config = Config { indexers: indexers(&many), ..Config::default() };
        assert_eq!(config.public().unwrap_err(), "indexers has 33 entries and may have 32");
    }

    #[test]
    fn indexers_are_named_by_their_chain() {
        let text = r#"{"indexers": {"eip155:1": "http://a", "solana:EarnestLoca1Net11111111111111111": "http://b"}}"#;
        let config: Config = serde_json::from_str(text).unwrap();
        assert_eq!(config.chains().len(), 2);
        assert_eq!(serde_json::to_value(&config).unwrap()["indexers"]["eip155:1"], "http://a");
        assert!(serde_json::from_str::<Config>(r#"{"indexers": {"eip155": "http://a"}}"#).is_err());
        assert!(serde_json::from_str::<Config>(r#"{"indexer_url": "http://a"}"#).is_err());
    }

    #[test]
    fn a_short_relayer_key_is_refused_without_being_shown() {
        let error = Config { relayer_key: "hunter2".to_owned(), ..Config::default() }.public().unwrap_err();
        assert!(error.contains("relayer_key") && !error.contains("hunter2"), "{error}");
    }
}
