//! Configuration in layers: defaults, then a TOML file, then the environment, then flags.
//!
//! A service has one plain struct with `#[serde(default, deny_unknown_fields)]`. What each layer says goes through the
//! same types, and an unknown key is an error that names the key that was probably meant.
//!
//! ```
//! use serde::Deserialize;
//! use service_kit::config::Layers;
//!
//! #[derive(Deserialize)]
//! #[serde(default, deny_unknown_fields)]
//! struct Config {
//!     listen: String,
//!     workers: u32,
//! }
//!
//! impl Default for Config {
//!     fn default() -> Self {
//!         Self { listen: "127.0.0.1:8080".into(), workers: 4 }
//!     }
//! }
//!
//! let config: Config = Layers::new()
//!     .text("workers = 2")
//!     .variables("DEMO", [("DEMO_LISTEN", "0.0.0.0:80"), ("PATH", "/bin")])
//!     .flag("workers", "3")
//!     .load()?;
//! assert_eq!((config.listen.as_str(), config.workers), ("0.0.0.0:80", 3));
//!
//! let error = Layers::new().text("worker = 2").load::<Config>().err().unwrap();
//! assert_eq!(error.to_string(), "unknown key `worker` in the configuration; did you mean `workers`?");
//! # Ok::<(), service_kit::config::ConfigError>(())
//! ```

use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is no TOML.
    #[error("{source_name} is not TOML: {message}")]
    Syntax {
        /// Where it came from.
        source_name: String,
        /// What is wrong.
        message: String,
    },
    /// A key that means nothing.
    #[error("unknown key `{key}` in {source_name}{}", suggestion(near.as_deref()))]
    UnknownKey {
        /// Where it came from.
        source_name: String,
        /// The key.
        key: String,
        /// The key that was probably meant.
        near: Option<String>,
    },
    /// A value that does not fit its key.
    #[error("{source_name}: {message}")]
    Value {
        /// Where it came from.
        source_name: String,
        /// What is wrong.
        message: String,
    },
}

fn suggestion(near: Option<&str>) -> String {
    near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
}

/// Layers of configuration, each overriding those before it.
#[derive(Debug, Default)]
pub struct Layers {
    tables: Vec<(String, Result<Table, ConfigError>)>,
    texts: Vec<Setting>,
}

/// A value that came as text: what it means depends on the type of its key.
#[derive(Debug)]
struct Setting {
    source_name: String,
    path: Vec<String>,
    text: String,
}

impl Layers {
    /// The defaults alone.
    pub fn new() -> Self {
        Self::default()
    }

    /// A TOML file.
    #[must_use]
    pub fn file(self, path: &Path) -> Self {
        match fs::read_to_string(path) {
            Ok(text) => self.toml(path.display().to_string(), &text),
            Err(source) => {
                self.table(path.display().to_string(), Err(ConfigError::Read { path: path.to_owned(), source }))
            }
        }
    }

    /// A TOML file, if one is named.
    #[must_use]
    pub fn optional_file(self, path: Option<&Path>) -> Self {
        match path {
            Some(path) => self.file(path),
            None => self,
        }
    }

    /// TOML as text.
    #[must_use]
    pub fn text(self, text: &str) -> Self {
        self.toml("the configuration".to_owned(), text)
    }

    /// Variables of the environment: with the prefix `TC_QUEUE`, `TC_QUEUE_DATABASE` is the key `database` and
    /// `TC_QUEUE_LIMITS__MAX_TASKS` the key `max_tasks` of the table `limits`.
    #[must_use]
    pub fn variables<N: AsRef<str>, V: Into<String>>(
        mut self,
        prefix: &str,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        for (name, value) in variables {
            let name = name.as_ref();
            let Some(key) = name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_')) else { continue };
            let path = key.to_ascii_lowercase().split("__").map(str::to_owned).collect();
            self.texts.push(Setting { source_name: format!("the variable {name}"), path, text: value.into() });
        }
        self
    }

    /// The variables of this process, see [`variables`](Self::variables).
    #[must_use]
    pub fn environment(self, prefix: &str) -> Self {
        let variables = std::env::vars_os();
        let variables =
            variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        self.variables(prefix, variables)
    }

    /// One key, such as `database` or `limits.max_tasks`, as a flag gives it.
    #[must_use]
    pub fn flag(mut self, key: &str, value: impl Into<String>) -> Self {
        let path = key.split('.').map(str::to_owned).collect();
        self.texts.push(Setting { source_name: format!("the setting {key}"), path, text: value.into() });
        self
    }

    /// One key, if the flag was given.
    #[must_use]
    pub fn optional_flag(self, key: &str, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.flag(key, value),
            None => self,
        }
    }

    /// Puts the layers together.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn load<T: DeserializeOwned>(self) -> Result<T, ConfigError> {
        let mut merged = Table::new();
        for (source_name, table) in self.tables {
            merge(&mut merged, table?);
            read::<T>(&source_name, &merged)?;
        }
        for setting in self.texts {
            merged = apply::<T>(&merged, &setting)?;
        }
        read("the configuration", &merged)
    }

    fn toml(self, source_name: String, text: &str) -> Self {
        let table = text.parse().map_err(|error: toml::de::Error| ConfigError::Syntax {
            source_name: source_name.clone(),
            message: error.message().to_owned(),
        });
        self.table(source_name, table)
    }

    fn table(mut self, source_name: String, table: Result<Table, ConfigError>) -> Self {
        self.tables.push((source_name, table));
        self
    }
}

/// A configuration as TOML for people to look at: values whose key speaks of a secret are not shown.
///
/// # Panics
/// When the configuration cannot be written as TOML.
pub fn shown(config: &impl Serialize) -> String {
    let mut table = Table::try_from(config).expect("a configuration is a table");
    hide_secrets(&mut table);
    table.to_string()
}

fn hide_secrets(table: &mut Table) {
    const SECRETS: [&str; 5] = ["secret", "token", "password", "key", "certificate"];
    for (key, value) in table {
        match value {
            Value::Table(inner) => hide_secrets(inner),
            Value::Array(items) => items.iter_mut().filter_map(Value::as_table_mut).for_each(hide_secrets),
            value if SECRETS.iter().any(|secret| key.to_ascii_lowercase().contains(secret)) => {
                *value = Value::String("***".to_owned());
            }
            _ => {}
        }
    }
}

/// A text is taken as it is where the key wants text, and as a TOML value otherwise.
fn apply<T: DeserializeOwned>(table: &Table, setting: &Setting) -> Result<Table, ConfigError> {
    let with = |value: Value| {
        let mut table = table.clone();
        let inner =
            setting.path.iter().rev().fold(value, |value, key| Value::Table(Table::from_iter([(key.clone(), value)])));
        if let Value::Table(inner) = inner {
            merge(&mut table, inner);
        }
        table
    };
    let as_text = with(Value::String(setting.text.clone()));
    let Err(first_error) = read::<T>(&setting.source_name, &as_text) else { return Ok(as_text) };
    if matches!(first_error, ConfigError::UnknownKey { .. }) {
        return Err(first_error);
    }
    let parsed = format!("value = {}", setting.text).parse::<Table>().ok().and_then(|mut table| table.remove("value"));
    let Some(value) = parsed else { return Err(first_error) };
    let as_value = with(value);
    read::<T>(&setting.source_name, &as_value).map(|_| as_value)
}

fn read<T: DeserializeOwned>(source_name: &str, table: &Table) -> Result<T, ConfigError> {
    Value::Table(table.clone()).try_into().map_err(|error: toml::de::Error| {
        let message = error.message();
        match unknown_key(message) {
            Some((key, near)) => ConfigError::UnknownKey { source_name: source_name.to_owned(), key, near },
            None => {
                ConfigError::Value { source_name: source_name.to_owned(), message: error.to_string().trim().to_owned() }
            }
        }
    })
}

/// Takes apart what serde says of an unknown field: the field, then those that it knows, each in backticks.
fn unknown_key(message: &str) -> Option<(String, Option<String>)> {
    let rest = message.strip_prefix("unknown field ")?;
    let mut names = rest.split('`').skip(1).step_by(2);
    let key = names.next()?;
    let near = names
        .map(|name| (strsim::damerau_levenshtein(key, name), name))
        .min()
        .filter(|(distance, name)| *distance <= name.len().max(key.len()).div_ceil(3))
        .map(|(_, name)| name.to_owned());
    Some((key.to_owned(), near))
}

fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(into)), Value::Table(from)) => merge(into, from),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Config {
        database: String,
        access_token: String,
        limits: Limits,
        verbose: Option<bool>,
        hosts: Vec<String>,
    }

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Limits {
        max_tasks: u32,
        min_tasks: u32,
    }

    fn error(layers: Layers) -> String {
        layers.load::<Config>().unwrap_err().to_string()
    }

    #[test]
    fn later_layers_win() {
        let config: Config = Layers::new()
            .text("database = 'file'\nhosts = ['a']\n[limits]\nmax_tasks = 1\nmin_tasks = 2")
            .variables("TC", [("TC_LIMITS__MAX_TASKS", "3"), ("TC_VERBOSE", "true"), ("TCP", "x")])
            .flag("database", "5432")
            .flag("hosts", "['b', 'c']")
            .load()
            .unwrap();
        let expected = Config {
            database: "5432".into(),
            limits: Limits { max_tasks: 3, min_tasks: 2 },
            verbose: Some(true),
            hosts: vec!["b".into(), "c".into()],
            ..Config::default()
        };
        assert_eq!(config, expected);
        assert_eq!(Layers::new().load::<Config>().unwrap(), Config::default());
    }

    #[test]
    fn mistakes_are_named() {
        let text = error(Layers::new().text("databse = 'x'"));
        assert_eq!(text, "unknown key `databse` in the configuration; did you mean `database`?");
        let text = error(Layers::new().variables("TC", [("TC_LIMITS__MAX_TASK", "3")]));
        assert_eq!(text, "unknown key `max_task` in the variable TC_LIMITS__MAX_TASK; did you mean `max_tasks`?");
        assert_eq!(
            error(Layers::new().flag("zzzzzzzzzzzz", "1")),
            "unknown key `zzzzzzzzzzzz` in the setting zzzzzzzzzzzz"
        );
        assert!(error(Layers::new().flag("limits.max_tasks", "many")).starts_with("the setting limits.max_tasks: "));
        assert!(error(Layers::new().text("= 1")).contains("is not TOML"));
        assert!(error(Layers::new().file(Path::new("/nowhere.toml"))).contains("/nowhere.toml"));
    }

    #[test]
    fn secrets_are_not_shown() {
        let config = Config { database: "x".into(), access_token: "hunter2".into(), ..Config::default() };
        let text = shown(&config);
        assert!(text.contains("database = \"x\"") && text.contains("access_token = \"***\""), "{text}");
        assert!(!text.contains("hunter2"));
    }
}
