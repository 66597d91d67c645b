//! Providers: where instances come from.
//!
//! A provider knows nothing of demand, tasks or versions. It says in which ways it could start an instance now, starts one, lists
//! what there is, and ends what it is told to. All of it can be asked again: a launch of the same name is the same instance, and to
//! end what has ended is to have ended it. [`contract`] says so in tests that every provider passes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use taskcluster_core::secret::SecretObject;

use crate::instance::Place;
use crate::worker_type::Definition;

pub mod contract;
#[cfg(feature = "docker")]
pub mod docker;
#[cfg(feature = "ec2")]
pub mod ec2;
pub mod fixed;
pub mod local_process;

/// What a worker is told stands in this variable, where its provider starts a program.
pub const USER_DATA: &str = "TASKCLUSTER_USER_DATA";

/// A way in which an instance could be started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::exhaustive_structs, reason = "providers make it")]
pub struct Offer {
    /// The `workerGroup` of the worker.
    pub worker_group: String,
    /// Where.
    pub place: Place,
    /// How many tasks the instance would run at a time.
    pub capacity: u32,
    /// What an hour of it is expected to cost, in US dollars; 0 where nobody asks for money.
    pub price: f64,
    /// What such an instance is worth, compared with other offers: of equal price per utility, all are equally good.
    pub utility: f64,
    /// By how much its price is to be taken for higher (above 1) or lower, since such instances last less or longer than others.
    pub bias: f64,
    /// What may be paid for an hour at most, where that is to be said: where machines are bid for. An offer of the same place without
    /// it is another one, of a machine at its full price.
    pub bid: Option<f64>,
}

/// What is asked of a provider for an offer, for people to look at. Nothing of it is secret.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "providers make it")]
pub struct Specification {
    /// Where.
    pub place: Place,
    /// How many tasks the instance would run at a time.
    pub capacity: u32,
    /// The request, in the provider's words.
    pub launch: Map<String, Value>,
    /// What the worker gets of the definition's `userData`.
    pub user_data: Map<String, Value>,
    /// The scopes that the worker gets besides those of its type's role.
    pub scopes: Vec<String>,
    /// What is wrong with it, if something is.
    pub fault: Option<String>,
}

/// An instance that is to be started.
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_structs, reason = "providers are tested with it")]
pub struct Launch {
    /// Its name: at most 38 letters, digits, dashes and underscores. A launch of the same name is the same instance.
    pub instance_id: String,
    /// The worker type.
    pub worker_type: String,
    /// What it shall be.
    pub definition: Definition,
    /// The offer that was chosen.
    pub offer: Offer,
    /// What the worker gets to know, as JSON; its token is in it.
    pub user_data: Map<String, Value>,
}

/// How far something is that a provider lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "whoever looks at it has to think of each")]
pub enum Phase {
    /// Asked for and not there yet.
    Requested,
    /// It is there, or about to be.
    Alive,
    /// It is about to be gone.
    Ending,
    /// It is gone, and the provider still tells of it.
    Gone,
}

/// Something that a provider has started for us.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "providers make it")]
pub struct Sighting {
    /// What the provider calls it.
    pub provider_id: String,
    /// The name that it was launched with, as the provider has kept it.
    pub instance_id: String,
    /// How far it is.
    pub phase: Phase,
    /// Where it is, if the provider knows better than the offer did.
    pub place: Option<Place>,
    /// What the provider says about it, for people to read.
    pub says: Option<String>,
}

/// Why a provider did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProviderError {
    /// It does not want to, and would not again: what is asked for is wrong, or there is none of it.
    #[error("{0}")]
    Refused(String),
    /// It does not answer, or has no time; this passes.
    #[error("{message}")]
    Away {
        /// What could not be done.
        message: String,
        /// Why.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

impl ProviderError {
    /// It could not be asked, for this reason.
    pub fn away(message: impl Into<String>, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Away { message: message.into(), source: Some(source.into()) }
    }
}

/// Result of a provider.
pub type Result<T, E = ProviderError> = std::result::Result<T, E>;

/// What a worker gets of a definition, put together for where it runs.
#[derive(Clone, Debug, Default)]
#[allow(clippy::exhaustive_structs, reason = "providers make it")]
pub struct Fragments {
    /// Settings, none of them secret.
    pub user_data: Map<String, Value>,
    /// Secrets, which it gets for its token only.
    pub secrets: SecretObject,
    /// Scopes, besides those of its type's role.
    pub scopes: Vec<String>,
}

/// A worker that exists without us.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "providers make it")]
pub struct Existing {
    /// The `workerGroup` with which it claims.
    pub worker_group: String,
    /// The `workerId` with which it claims.
    pub worker_id: String,
    /// How many tasks it runs at a time.
    pub capacity: u32,
}

/// Where instances come from.
#[async_trait]
pub trait Provider: fmt::Debug + Send + Sync {
    /// The `kind` by which definitions name it.
    fn kind(&self) -> &'static str;

    /// All ways in which an instance of this definition could be started, whatever they cost now; each with what is wrong with it.
    ///
    /// # Errors
    /// [`ProviderError::Refused`]: the definition is of no use. [`ProviderError::Away`]: nobody can say.
    async fn specify(&self, definition: &Definition) -> Result<Vec<Specification>>;

    /// The ways in which an instance could be started now. What the definition does not want to pay is not among them.
    ///
    /// # Errors
    /// As [`specify`](Self::specify).
    async fn offers(&self, definition: &Definition) -> Result<Vec<Offer>>;

    /// Start an instance, unless one of that name was started already, and say what the provider calls it.
    ///
    /// # Errors
    /// [`ProviderError::Refused`]: there will be none. [`ProviderError::Away`]: nobody knows; ask again, or look at the list.
    async fn launch(&self, launch: &Launch) -> Result<String>;

    /// All that was started for this provisioner and is not forgotten, whatever worker type it is of.
    ///
    /// # Errors
    /// [`ProviderError::Away`]. An answer is complete: what is not in it does not exist.
    async fn list(&self) -> Result<Vec<Sighting>>;

    /// End these, and forget those that are gone: begin with it, and do not wait for it. What does not exist has ended.
    ///
    /// # Errors
    /// [`ProviderError::Away`]: some may not have been told.
    async fn end(&self, gone: &[Sighting]) -> Result<()>;

    /// What a worker that runs there gets of the definition.
    fn fragments(&self, definition: &Definition, _place: &Place) -> Fragments {
        Fragments::of(definition)
    }

    /// All scopes that a worker of the definition may get, wherever it runs.
    fn scopes(&self, definition: &Definition) -> Vec<String> {
        definition.scopes().to_vec()
    }

    /// Workers that somebody else starts. Nothing is started or ended for a definition that has such.
    fn existing(&self, _definition: &Definition) -> Option<Vec<Existing>> {
        None
    }
}

impl Fragments {
    /// What the definition says for all its workers.
    #[must_use]
    pub fn of(definition: &Definition) -> Self {
        let sent = definition.sent();
        Self {
            user_data: sent.user_data.clone().unwrap_or_default(),
            secrets: sent.secrets.clone().unwrap_or_default(),
            scopes: definition.scopes().to_vec(),
        }
    }
}

/// The providers of a deployment, by their kind.
#[derive(Clone, Debug, Default)]
pub struct Providers(BTreeMap<&'static str, Arc<dyn Provider>>);

impl Providers {
    /// Those that every deployment has: `fixed`.
    #[must_use]
    pub fn new() -> Self {
        Self::default().with(fixed::Fixed)
    }

    /// With this one as well.
    #[must_use]
    pub fn with(mut self, provider: impl Provider + 'static) -> Self {
        self.0.insert(provider.kind(), Arc::new(provider));
        self
    }

    /// The one of that kind.
    ///
    /// # Errors
    /// The deployment has none.
    pub fn get(&self, kind: &str) -> Result<&Arc<dyn Provider>> {
        self.0.get(kind).ok_or_else(|| {
            let known: Vec<_> = self.0.keys().copied().collect();
            ProviderError::Refused(format!("this deployment has no provider {kind:?}, only {}", known.join(", ")))
        })
    }

    /// The one that a definition names.
    ///
    /// # Errors
    /// The deployment has none.
    pub fn of(&self, definition: &Definition) -> Result<&Arc<dyn Provider>> {
        self.get(&kind(definition))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Provider>> {
        self.0.values()
    }
}

/// The kind of provider that a definition names.
#[must_use]
pub fn kind(definition: &Definition) -> String {
    let provider = serde_json::to_value(definition.provider()).unwrap_or_default();
    provider.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// How many lines are told of what ended by itself, and of each so many characters.
const LINES: usize = 8;
const OF_EACH: usize = 300;

/// The last lines of a log that say something, as one: of what ended by itself they may say why.
fn last_lines(log: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(log);
    let plain = |line: &str| line.trim().chars().filter(|character| !character.is_control()).take(OF_EACH).collect();
    let lines = text.lines().rev().filter(|line| !line.trim().is_empty()).take(LINES);
    let mut lines: Vec<String> = lines.map(plain).collect();
    lines.reverse();
    (!lines.is_empty()).then(|| lines.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::last_lines;

    #[test]
    fn the_last_lines_say_something_and_are_text() {
        assert_eq!(last_lines(b"first\n \x1b[1mlast\xff \r\n\n  \n").as_deref(), Some("first | [1mlast\u{fffd}"));
        assert_eq!(last_lines(b"\n"), None);
        assert_eq!(last_lines(&[b'x'; 4096]).map(|line| line.len()), Some(300));
        assert_eq!(last_lines("x\n".repeat(99).as_bytes()).unwrap().split(" | ").count(), 8);
    }
}
