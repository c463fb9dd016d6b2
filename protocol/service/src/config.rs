//! Configuration: one TOML file, every key overridable by environment.

use std::path::Path;

use figment::{
    Figment, Source,
    providers::{Env, Format, Serialized, Toml},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// The effective configuration of one service and where each value came from.
#[derive(Clone, Debug)]
pub struct Loaded<T> {
    /// The values.
    pub value: T,
    /// `key = value # source` lines, ascending by key. Secrets are hidden, and of URLs all but scheme, host and port, for
    /// providers put keys into paths and databases have passwords.
    pub explained: Vec<String>,
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("configuration [{section}]: {reason}")]
pub struct ConfigError {
    /// The section of the file.
    pub section: String,
    /// Names the key, the value and the source.
    pub reason: String,
}

/// Loads `section` of the TOML file over `T`'s defaults; `EARNEST_<SECTION>_<KEY>` overrides (`__` descends).
///
/// # Errors
/// A file that is not TOML, an unknown key, or a value of the wrong type.
pub fn load<T: Default + Serialize + DeserializeOwned>(
    section: &str,
    file: Option<&Path>,
) -> Result<Loaded<T>, ConfigError> {
    let refuse = |error: figment::Error| ConfigError { section: section.to_owned(), reason: reason(error) };
    let mut figment = Figment::from(Serialized::defaults(T::default()));
    if let Some(file) = file {
        let whole = Figment::from(Toml::file_exact(file));
        if whole.find_value(section).is_ok() {
            figment = figment.merge(whole.focus(section));
        } else if let Err(error) = whole.extract::<figment::value::Dict>() {
            return Err(refuse(error));
        }
    }
    let prefix = format!("EARNEST_{}_", section.to_uppercase());
    figment = figment.merge(Env::prefixed(&prefix).split("__"));
    let value = figment.extract::<T>().map_err(refuse)?;
    let mut explained = Vec::new();
    if let Ok(dict) = figment.extract::<figment::value::Dict>() {
        for (key, value) in dict {
            let source = figment.find_metadata(&key).map_or_else(
                || "default".to_owned(),
                |meta| match &meta.source {
                    Some(Source::Code(_)) => "default".to_owned(),
                    Some(source) => source.to_string(),
                    None => meta.name.to_string(),
                },
            );
            let value = serde_json::to_value(&value).unwrap_or_default();
            let shown = if is_secret(&key) { HIDDEN.to_owned() } else { disclose(value).to_string() };
            explained.push(format!("{section}.{key} = {shown} # {source}"));
        }
    }
    Ok(Loaded { value, explained })
}

const HIDDEN: &str = "(hidden)";

fn is_secret(key: &str) -> bool {
    ["key", "secret", "token", "password"].into_iter().any(|word| key.to_lowercase().contains(word))
}

/// A value as it may be shown.
fn disclose(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(disclose_url(&text)),
        Value::Array(values) => values.into_iter().map(disclose).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(key, value)| {
                let shown = if is_secret(&key) { Value::from(HIDDEN) } else { disclose(value) };
                (key, shown)
            })
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
    }
}

/// Scheme, host and port of a URL; any other text as it is.
fn disclose_url(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let hidden = rest.get(authority.len()..).unwrap_or_default();
    match (authority.rsplit_once('@'), hidden) {
        // A password may hold a slash: then the authority ends in the middle of it.
        (None, _) if hidden.contains('@') => format!("{scheme}://{HIDDEN}"),
        (None, "" | "/") => text.to_owned(),
        (None, _) => format!("{scheme}://{authority}/{HIDDEN}"),
        (Some((_, host)), "" | "/") => format!("{scheme}://{HIDDEN}@{host}"),
        (Some((_, host)), _) => format!("{scheme}://{HIDDEN}@{host}/{HIDDEN}"),
    }
}

/// What is wrong, with no value that [`Loaded::explained`] would hide.
fn reason(error: figment::Error) -> String {
    let words = error.into_iter().map(|error| {
        let path = error.path.join(".");
        if is_secret(&path) {
            return format!(
                "{path} cannot be read (digits alone must stand in double quotes); it is not shown"
            );
        }
        // The value stands in double quotes.
        error.to_string().split('"').map(disclose_url).collect::<Vec<_>>().join("\"")
    });
    words.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, Serialize, Deserialize)]
    #[serde(default)]
    struct Sample {
        count: u64,
        database: String,
        hub_key: String,
        rpc_urls: Vec<String>,
        mail: BTreeMap<String, String>,
    }

    fn loaded(text: &str) -> Result<Vec<String>, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("earnest.toml");
        std::fs::write(&file, text).unwrap();
        load::<Sample>("sample", Some(&file)).map(|loaded| loaded.explained)
    }

    #[test]
    fn explanations_say_where_a_value_comes_from() {
        let lines = loaded("[sample]\ncount = 7").unwrap();
        let count = lines.iter().find(|line| line.starts_with("sample.count")).unwrap();
        assert!(count.starts_with("sample.count = 7 # ") && count.ends_with("earnest.toml"), "{count}");
        assert!(lines.contains(&"sample.database = \"\" # default".to_owned()), "{lines:?}");
    }

    #[test]
    fn explanations_hide_keys_wherever_they_stand() {
        let lines = loaded(
            r#"[sample]
            count = 7
            database = "postgres://earnest:pw1S3CRET@db:5432/earnest?sslpassword=pw2S3CRET"
            hub_key = "S3CRET"
            rpc_urls = ["https://chain.example/v2/S3CRET", "https://chain.example?key=S3CRET", "http://127.0.0.1:8545"]
            mail = { url = "smtp://u:p/S3CRET@mail", password = "S3CRET", from = "hub" }
            "#,
        )
        .unwrap()
        .join("\n");
        assert!(!lines.contains("S3CRET"), "{lines}");
        for shown in [
            "sample.count = 7 #",
            r#"sample.database = "postgres://(hidden)@db:5432/(hidden)" #"#,
            "sample.hub_key = (hidden) #",
            r#"["https://chain.example/(hidden)","https://chain.example/(hidden)","http://127.0.0.1:8545"]"#,
            r#"{"from":"hub","password":"(hidden)","url":"smtp://(hidden)"}"#,
        ] {
            assert!(lines.contains(shown), "{shown} in {lines}");
        }
        assert_eq!(disclose_url("sqlite:hub.sqlite"), "sqlite:hub.sqlite");
        assert_eq!(disclose_url("https://hub.example/"), "https://hub.example/");
    }

    #[test]
    fn refusals_hide_them_too() {
        let refused =
            loaded("[sample]\nrpc_urls = \"https://chain.example/v2/S3CRET\"").unwrap_err().to_string();
        assert!(
            refused.contains("rpc_urls") && refused.contains("https://chain.example/(hidden)"),
            "{refused}"
        );
        assert!(!refused.contains("S3CRET"), "{refused}");
        let refused = loaded("[sample]\nhub_key = 1234567").unwrap_err().to_string();
        assert!(refused.contains("hub_key") && !refused.contains("1234567"), "{refused}");
    }
}
