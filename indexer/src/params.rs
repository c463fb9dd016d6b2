//! Parameters of requests: every refusal names the parameter, its value and the rule.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
};

use alloy::primitives::B256;
use axum::{
    extract::{FromRequestParts, Query},
    http::request::Parts,
};
use serde::de::{DeserializeOwned, IntoDeserializer};
use service::http::Problem;

/// The query of a request, each parameter at most once.
#[derive(Debug)]
pub(crate) struct Params(BTreeMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|rejection| Problem::malformed(rejection.body_text()))?;
        let mut params = BTreeMap::new();
        for (name, value) in pairs {
            let shown: String = name.chars().take(60).collect();
            if params.insert(name, value).is_some() {
                return Err(Problem::invalid(format!("{shown} is given twice")).at(shown));
            }
        }
        Ok(Self(params))
    }
}

impl Params {
    /// A word of the wire types, as their JSON writes it.
    pub fn word<T: DeserializeOwned>(&self, name: &'static str, rule: &str) -> Result<Option<T>, Problem> {
        let word = |text: &String| {
            T::deserialize(text.as_str().into_deserializer())
                .map_err(|_: serde::de::value::Error| refused(name, text, rule))
        };
        self.0.get(name).map(word).transpose()
    }

    /// `after` of a list whose cursors are subjects of a room.
    pub fn cursor(&self, room: &str) -> Result<Option<String>, Problem> {
        const LONGEST: usize = 400;
        let Some(after) = self.0.get("after") else { return Ok(None) };
        if after.starts_with(room) && after.len() <= LONGEST && !after.contains('\0') {
            Ok(Some(after.clone()))
        } else {
            Err(refused("after", after, "the `cursor` of the page before"))
        }
    }

    /// Words with commas between them, each of which is one of these.
    pub fn words(&self, name: &'static str, known: &[&str]) -> Result<BTreeSet<String>, Problem> {
        let Some(text) = self.0.get(name) else { return Ok(BTreeSet::new()) };
        let words: BTreeSet<String> = text.split(',').map(str::to_owned).collect();
        match words.iter().find(|word| !known.contains(&word.as_str())) {
            Some(word) => Err(refused(name, word, &format!("of {}", known.join(", ")))),
            None => Ok(words),
        }
    }

    /// Refuses every parameter that is not among the known ones.
    pub fn only(self, known: &[&str]) -> Result<Self, Problem> {
        match self.0.keys().find(|name| !known.contains(&name.as_str())) {
            None => Ok(self),
            Some(name) => {
                let name: String = name.chars().take(60).collect();
                Err(Problem::invalid(format!(
                    "{name} is not a parameter here; there are: {}",
                    known.join(", ")
                ))
                .at(name))
            }
        }
    }

    pub fn parsed<T: FromStr>(&self, name: &'static str, rule: &str) -> Result<Option<T>, Problem> {
        self.0.get(name).map(|text| parsed(name, text, rule)).transpose()
    }

    /// A number in a range; `default` where the parameter is missing.
    pub fn number(&self, name: &'static str, (min, max): (u64, u64), default: u64) -> Result<u64, Problem> {
        let rule = format!("a whole number from {min} to {max}");
        let number = self.parsed(name, &rule)?.unwrap_or(default);
        if (min..=max).contains(&number) {
            Ok(number)
        } else {
            Err(refused(name, &number.to_string(), &rule))
        }
    }
}

pub(crate) fn refused(name: &'static str, value: &str, rule: &str) -> Problem {
    Problem::invalid(format!("{name} is `{value:.100}`, but must be {rule}")).at(name)
}

pub(crate) fn parsed<T: FromStr>(name: &'static str, text: &str, rule: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| refused(name, text, rule))
}

/// A 32-byte id from a path or a query.
pub(crate) fn id(name: &'static str, text: &str) -> Result<B256, Problem> {
    let rule = "0x and 64 hexadecimal digits";
    if text.len() == 66 && text.starts_with("0x") {
        parsed(name, text, rule)
    } else {
        Err(refused(name, text, rule))
    }
}
