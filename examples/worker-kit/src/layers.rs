//! A configuration from its layers: what a provisioner tells below, the file over it, environment and flags above.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// What the file at `path` says, with what `above` says put over it, value by value.
///
/// # Errors
/// The file cannot be read, is not TOML, or has a key that is none; the error names the one that may be meant.
pub fn load<C: Serialize + DeserializeOwned + JsonSchema>(path: &Path, above: &C) -> Result<C> {
    lay(vec![Layer::of_file(path)?], above)
}

/// Some keys with their values, and where they stand.
#[derive(Debug)]
pub(crate) struct Layer {
    /// For errors: a file, or something else in words.
    pub(crate) name: String,
    pub(crate) table: toml::Table,
}

impl Layer {
    pub(crate) fn of_file(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::of_text(path.display().to_string(), &text)
    }

    fn of_text(name: String, text: &str) -> Result<Self> {
        let table = text.parse().with_context(|| format!("cannot use {name}"))?;
        Ok(Self { name, table })
    }

    /// A JSON object with the keys of the file; nothing if there is none.
    pub(crate) fn of_json(name: &str, value: Option<&Value>) -> Result<Self> {
        let table = match value {
            None => toml::Table::new(),
            Some(Value::Object(object)) => {
                toml::Table::try_from(object).with_context(|| format!("cannot use {name}"))?
            }
            Some(_) => bail!("{name} is no object"),
        };
        Ok(Self { name: name.to_owned(), table })
    }

    /// Refuse keys that are none.
    fn check<C: DeserializeOwned>(&self, keys: &[String]) -> Result<()> {
        for key in self.table.keys() {
            if !keys.iter().any(|known| known == key) {
                let neighbour = keys.iter().max_by(|a, b| strsim::jaro(a, key).total_cmp(&strsim::jaro(b, key)));
                bail!("there is no key {key:?}; did you mean {:?}?", neighbour.map_or("", |key| key));
            }
        }
        // Each by itself, so that the one is named which is none.
        for (key, value) in &self.table {
            let alone = toml::Table::from_iter([(key.clone(), value.clone())]);
            alone.try_into::<C>().map_err(|error| anyhow!("{key}: {}", error.message()))?;
        }
        Ok(())
    }
}

/// A layer over the other, and `above` over all of them.
pub(crate) fn lay<C: Serialize + DeserializeOwned + JsonSchema>(layers: Vec<Layer>, above: &C) -> Result<C> {
    let keys = keys::<C>();
    // Put together as JSON, whose numbers reach as far as those of flags.
    let mut all = Map::new();
    for layer in layers {
        layer.check::<C>(&keys).with_context(|| format!("cannot use {}", layer.name))?;
        for (key, value) in layer.table {
            all.insert(key, serde_json::to_value(value)?);
        }
    }
    if let Value::Object(above) = serde_json::to_value(above).context("a value cannot be written as JSON")? {
        all.extend(above);
    }
    Ok(serde_json::from_value(Value::Object(all))?)
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
    use serde_json::json;

    #[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
    #[serde(default)]
    struct Config {
        #[serde(flatten)]
        worker: WorkerConfig,
        #[serde(skip_serializing_if = "Option::is_none")]
        colour: Option<String>,
    }

    fn file(text: &str) -> Layer {
        Layer::of_text("the file".to_owned(), text).unwrap()
    }

    fn told(value: &Value) -> Layer {
        Layer::of_json("what is told", Some(value)).unwrap()
    }

    #[test]
    fn an_unknown_key_names_its_neighbour() {
        let error = |layer| format!("{:#}", lay(vec![layer], &Config::default()).unwrap_err());
        let expected = "cannot use the file: there is no key \"task_queue\"; did you mean \"task_queue_id\"?";
        assert_eq!(error(file("task_queue = 'a/b'")), expected);
        let expected = "cannot use what is told: there is no key \"color\"; did you mean \"colour\"?";
        assert_eq!(error(told(&json!({"color": "red"}))), expected);
    }

    #[test]
    fn a_value_of_a_lower_layer_must_be_one_though_another_wins() {
        let error =
            lay(vec![told(&json!({"capacity": "many"})), file("capacity = 2")], &Config::default()).unwrap_err();
        assert!(format!("{error:#}").starts_with("cannot use what is told: capacity: invalid type: "), "{error:#}");
        assert!(Layer::of_json("what is told", Some(&json!(["capacity"]))).is_err());
    }

    #[test]
    fn each_layer_goes_over_what_is_told() {
        let layers = vec![
            told(&json!({"capacity": 1, "colour": "red", "log_interval": 5})),
            told(&json!({"colour": "green", "work_dir": "/w"})),
            file("capacity = 2"),
        ];
        let worker = WorkerConfig { log_interval: Some(u64::MAX), ..WorkerConfig::default() };
        let config = lay(layers, &Config { worker, colour: None }).unwrap();
        assert_eq!((config.worker.capacity, config.colour.as_deref()), (Some(2), Some("green")));
        assert_eq!((config.worker.log_interval, config.worker.work_dir), (Some(u64::MAX), Some("/w".into())));
    }

    #[test]
    fn flags_go_over_the_file() {
        let worker = WorkerConfig { capacity: Some(4), ..WorkerConfig::default() };
        let flags = Config { worker, colour: None };
        let config = lay(vec![file("capacity = 2\ncolour = 'red'\naccess_token = 'hidden'")], &flags).unwrap();
        assert_eq!((config.worker.capacity, config.colour.as_deref()), (Some(4), Some("red")));
        assert_eq!(config.worker.access_token.as_ref().map(|token| token.expose()), Some("hidden"));
        assert!(!format!("{config:?}").contains("hidden"));
    }
}
