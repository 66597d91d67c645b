//! How far tasks are kept from the machine and from each other.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// As whom tasks run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// As a user made for the task, who is removed with everything that still runs. Needs root.
    User,
    /// As the user of the worker. Tasks see `HOME`, `PATH`, `CARGO_HOME` and `RUSTUP_HOME` of the worker and nothing else of
    /// its environment, but nothing keeps them from reading what that user may read.
    None,
}

impl Isolation {
    /// What a worker that was not told otherwise uses: [`Isolation::User`] as root.
    #[must_use]
    pub fn default_for_caller() -> Self {
        if rustix::process::geteuid().is_root() { Self::User } else { Self::None }
    }

    /// Variables that a task starts with.
    pub(crate) fn environment(self) -> BTreeMap<String, String> {
        match self {
            Self::User => {
                let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
                BTreeMap::from([("PATH".to_owned(), path.to_owned())])
            }
            Self::None => ["HOME", "PATH", "CARGO_HOME", "RUSTUP_HOME"]
                .into_iter()
                .filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)))
                .collect(),
        }
    }
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User => "user",
            Self::None => "none",
        })
    }
}

impl FromStr for Isolation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "user" => Ok(Self::User),
            "none" => Ok(Self::None),
            other => Err(format!("{other:?} is neither \"user\" nor \"none\"")),
        }
    }
}
