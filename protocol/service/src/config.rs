//! Configuration: one TOML file, every key overridable by environment.

use std::path::Path;

use figment::{
    Figment,
    providers::{Env, Format, Serialized, Toml},
};
use serde::{Serialize, de::DeserializeOwned};

/// The effective configuration of one service and where each value came from.
#[derive(Clone, Debug)]
pub struct Loaded<T> {
    /// The values.
    pub value: T,
    /// `key = value # source` lines, ascending by key.
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
    let refuse =
        |error: figment::Error| ConfigError { section: section.to_owned(), reason: error.to_string() };
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
                    Some(source) => source.to_string(),
                    None => meta.name.to_string(),
                },
            );
            let shown = if key.contains("key") || key.contains("secret") || key.contains("token") {
                "(hidden)".to_owned()
            } else {
                serde_json::to_string(&value).unwrap_or_default()
            };
            explained.push(format!("{section}.{key} = {shown} # {source}"));
        }
    }
    Ok(Loaded { value, explained })
}
