//! What an operator sets: what every program of a service has, beside what is the service's own.
//!
//! In a file, in the environment and as flags both stand side by side; in Rust they are two structs, so that a service
//! writes down only what is its own.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use toml::{Table, Value};

use crate::bus::BusUrl;
use crate::telemetry::LogFormat;

/// The settings that are a service's own: a plain struct with `#[serde(default, deny_unknown_fields)]`.
pub trait Own: fmt::Debug + Default + Serialize + DeserializeOwned + Send + 'static {
    /// The prefix of its variables in the environment, such as `TC_QUEUE`.
    const VARIABLES: &'static str;

    /// The address to listen at unless another is set.
    const LISTEN: &'static str;

    /// What can be wrong with settings whose every value is fine by itself.
    type Fault: std::error::Error + Send + Sync + 'static;

    /// Could a service start with them, as far as that can be told without starting one?
    ///
    /// # Errors
    /// The first fault.
    fn check(&self, common: &Common) -> Result<(), Self::Fault>;
}

/// What every program has.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Common {
    /// The root URL of the deployment, as callers know it.
    pub root_url: String,
    /// The address to listen at.
    pub listen: String,
    /// Where events go, and where they come from: `memory:`, or `amqp://…` for RabbitMQ.
    pub bus: BusUrl,
    /// How log lines look: `text` or `json`.
    pub log_format: LogFormat,
    /// What is logged, such as `info` or `info,taskcluster_queue=debug`.
    pub log: String,
}

impl Common {
    const KEYS: [&str; 5] = ["root_url", "listen", "bus", "log_format", "log"];
}

impl Default for Common {
    fn default() -> Self {
        Self {
            root_url: "http://127.0.0.1:8080".to_owned(),
            listen: "127.0.0.1:8080".to_owned(),
            bus: BusUrl::default(),
            log_format: LogFormat::default(),
            log: "info".to_owned(),
        }
    }
}

/// All settings of a program.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Settings<T> {
    /// What every program has.
    #[serde(flatten)]
    pub common: Common,
    /// What is the service's own.
    #[serde(flatten)]
    pub own: T,
}

impl<T: Own> Settings<T> {
    /// Could a service start with them, as far as that can be told without starting one?
    ///
    /// # Errors
    /// The first fault.
    pub fn check(&self) -> Result<(), T::Fault> {
        self.own.check(&self.common)
    }
}

impl<T: Own> Default for Settings<T> {
    fn default() -> Self {
        Self { common: Common { listen: T::LISTEN.to_owned(), ..Common::default() }, own: T::default() }
    }
}

/// By hand: with serde's own `flatten` an unknown key cannot be refused.
impl<'de, T: Own> Deserialize<'de> for Settings<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let is_common = |key: &str| Common::KEYS.contains(&key);
        let (mut common, own): (Table, Table) =
            Table::deserialize(deserializer)?.into_iter().partition(|(key, _)| is_common(key));
        common.entry("listen").or_insert_with(|| Value::from(T::LISTEN));
        Ok(Self { common: read(common)?, own: read(own)? })
    }
}

fn read<T: DeserializeOwned, E: serde::de::Error>(table: Table) -> Result<T, E> {
    Value::Table(table).try_into().map_err(|error: toml::de::Error| match error.message() {
        // What is said of an unknown key ends with those that are known.
        message if message.starts_with("unknown field") => {
            E::custom(format!("{message}, or `{}`", Common::KEYS.join("`, `")))
        }
        _ => E::custom(error.to_string().trim()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Layers;

    #[derive(Debug, Default, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Notes {
        pages: u32,
    }

    impl Own for Notes {
        const VARIABLES: &'static str = "TC_NOTES";
        const LISTEN: &'static str = "127.0.0.1:9000";
        type Fault = std::convert::Infallible;

        fn check(&self, _: &Common) -> Result<(), Self::Fault> {
            Ok(())
        }
    }

    fn load(layers: Layers) -> Result<Settings<Notes>, String> {
        layers.load().map_err(|error| error.to_string())
    }

    #[test]
    fn both_kinds_of_settings_stand_side_by_side() {
        let settings = load(
            Layers::new()
                .text("pages = 2\nlog_format = 'json'")
                .variables(Notes::VARIABLES, [("TC_NOTES_PAGES", "3"), ("TC_NOTES_LOG", "debug")])
                .flag("root_url", "https://tc.example"),
        )
        .unwrap();
        assert_eq!((settings.own.pages, settings.common.listen.as_str()), (3, Notes::LISTEN));
        assert_eq!((settings.common.log.as_str(), settings.common.log_format), ("debug", LogFormat::Json));
        assert_eq!(settings.common.root_url, "https://tc.example");
        let shown = crate::config::shown(&settings);
        assert!(shown.contains("pages = 3") && shown.contains("listen = "), "{shown}");
    }

    #[test]
    fn an_unknown_key_is_refused_and_its_neighbour_named_whose_it_ever_is() {
        for (key, near) in [("page", "`pages`"), ("lisen", "`listen`"), ("log_fromat", "`log_format`")] {
            let error = load(Layers::new().text(&format!("{key} = 1"))).unwrap_err();
            assert!(error.contains(&format!("unknown key `{key}`")) && error.contains(near), "{error}");
        }
    }

    #[test]
    fn a_wrong_value_is_named() {
        let error = load(Layers::new().text("bus = 'redis:'")).unwrap_err();
        assert!(error.contains("a bus is named by memory:"), "{error}");
        let error = load(Layers::new().text("pages = 'many'")).unwrap_err();
        assert!(error.contains("`pages`"), "{error}");
    }

    #[test]
    fn the_keys_are_those_of_the_struct() {
        let table = Table::try_from(Common::default()).unwrap();
        let mut keys = Common::KEYS.to_vec();
        keys.sort_unstable();
        assert!(table.keys().map(String::as_str).eq(keys));
    }

    #[test]
    fn what_nobody_sets_is_the_default() {
        let settings = Settings::<Notes>::default();
        assert_eq!(crate::config::shown(&settings), crate::config::shown(&load(Layers::new()).unwrap()));
    }
}
