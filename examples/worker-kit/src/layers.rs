//! A configuration from its layers: the file below, environment and flags above.

use std::path::Path;

use anyhow::{Context, Result, bail};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What the file at `path` says, with what `above` says put over it, value by value.
///
/// # Errors
/// The file cannot be read, is not TOML, or has a key that is none; the error names the one that may be meant.
pub fn load<C: Serialize + DeserializeOwned + JsonSchema>(path: &Path, above: &C) -> Result<C> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    lay(&text, above).with_context(|| format!("cannot use {}", path.display()))
}

fn lay<C: Serialize + DeserializeOwned + JsonSchema>(text: &str, above: &C) -> Result<C> {
    let mut table: toml::Table = text.parse()?;
    let keys = keys::<C>();
    for key in table.keys() {
        if !keys.iter().any(|known| known == key) {
            let neighbour = keys.iter().max_by(|a, b| strsim::jaro(a, key).total_cmp(&strsim::jaro(b, key)));
            bail!("there is no key {key:?}; did you mean {:?}?", neighbour.map_or("", |key| key));
        }
    }
    table.extend(toml::Table::try_from(above).context("a value cannot be written as TOML")?);
    Ok(table.try_into()?)
}

/// The keys that a configuration may have.
fn keys<C: JsonSchema>() -> Vec<String> {
    let schema = schemars::schema_for!(C);
    let properties = schema.get("properties").and_then(|properties| properties.as_object());
    properties.map(|properties| properties.keys().cloned().collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WorkerConfig;
    use serde::Deserialize;

    #[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
    #[serde(default)]
    struct Config {
        #[serde(flatten)]
        worker: WorkerConfig,
        #[serde(skip_serializing_if = "Option::is_none")]
        colour: Option<String>,
    }

    #[test]
    fn an_unknown_key_names_its_neighbour() {
        let error = lay("task_queue = 'a/b'", &Config::default()).unwrap_err();
        assert_eq!(error.to_string(), "there is no key \"task_queue\"; did you mean \"task_queue_id\"?");
        let error = lay("color = 'red'", &Config::default()).unwrap_err();
        assert!(error.to_string().ends_with("did you mean \"colour\"?"), "{error}");
    }

    #[test]
    fn flags_go_over_the_file() {
        let worker = WorkerConfig { capacity: Some(4), ..WorkerConfig::default() };
        let flags = Config { worker, colour: None };
        let config = lay("capacity = 2\ncolour = 'red'\naccess_token = 'hidden'", &flags).unwrap();
        assert_eq!((config.worker.capacity, config.colour.as_deref()), (Some(4), Some("red")));
        assert_eq!(config.worker.access_token.as_ref().map(|token| token.expose()), Some("hidden"));
        assert!(!format!("{config:?}").contains("hidden"));
    }
}
