//! `features.chainOfTrust`: a signed statement of what a run was made of and what it made.
//!
//! When a run has ended, the worker uploads three artifacts more: `public/logs/certified.log`, the log as it signs for it;
//! `public/chain-of-trust.json`, which names the task, the run, the worker, and the SHA-256 of every artifact that was
//! uploaded; and `public/chain-of-trust.json.sig`, an Ed25519 signature of 64 bytes over the bytes of that file. Whoever has
//! the worker's public key can tell later what has been changed. Format and names are those of docker-worker and
//! generic-worker, version 1.

use std::io;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{Ed25519KeyPair, KeyPair};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::artifacts::Upload;
use crate::context::TaskContext;
use crate::engine::{Missing, ResultSet};
use crate::error::{Error, Result};
use crate::outcome::{Outcome, Reason};
use crate::payload::{Payload, PayloadPart};
use crate::plugin::{Plugin, TaskPlugin, Verdict};
use crate::plugins::task_log::LOG_CONTENT_TYPE;
use crate::size::size;

/// Name of the log that is signed for.
pub const CERTIFIED_LOG: &str = "public/logs/certified.log";

/// Name of the statement; its signature has `.sig` after it.
pub const CHAIN_OF_TRUST: &str = "public/chain-of-trust.json";

/// A file in the directory where a task starts: what the object in it says stands in the statement as well, except where the worker
/// says something under the same name.
pub const ADDITIONAL_DATA: &str = "chain-of-trust-additional-data.json";

/// The most bytes that it may have.
const MOST_DATA: u64 = 1 << 20;

/// Signs for the runs that ask for it. List it after all plugins that upload anything.
#[derive(Clone, Debug)]
pub struct ChainOfTrust {
    key: Option<Arc<SigningKey>>,
    environment: Map<String, Value>,
}

impl ChainOfTrust {
    /// Sign with this key; without one, a task that asks for a signature is refused.
    #[must_use]
    pub fn new(key: Option<SigningKey>) -> Self {
        Self { key: key.map(Arc::new), environment: Map::new() }
    }

    /// State this of the worker's surroundings, under `environment`: `publicIpAddress`, `instanceType`, `region`.
    #[must_use]
    pub fn with_environment(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }
}

/// An Ed25519 key.
#[derive(Debug)]
pub struct SigningKey(Ed25519KeyPair);

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file cannot be used.
    #[error("cannot use the file of the signing key")]
    File(#[from] io::Error),
    /// Others than its owner may read the file, so that a task could sign what it likes.
    #[error("others than its owner can read the file of the signing key: chmod 600")]
    Readable,
    /// The file holds something else.
    #[error("the file holds no Ed25519 key: 64 bytes in base64, the seed and the public key")]
    Format,
}

impl SigningKey {
    /// Read a key: 64 bytes in base64, the seed and the public key, as generic-worker keeps it.
    ///
    /// # Errors
    /// The file is not there, can be read by others, or holds no key.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        use std::os::unix::fs::PermissionsExt;
        if std::fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
            return Err(KeyError::Readable);
        }
        let bytes = STANDARD.decode(std::fs::read_to_string(path)?.trim()).map_err(|_| KeyError::Format)?;
        let (seed, public) = bytes.split_at_checked(32).ok_or(KeyError::Format)?;
        Ed25519KeyPair::from_seed_and_public_key(seed, public).map(Self).map_err(|_| KeyError::Format)
    }

    /// Make a key and write it to a new file, which only its owner may read.
    ///
    /// # Errors
    /// There is such a file already, or it cannot be written.
    pub fn create(path: &Path) -> io::Result<Self> {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt;
        let random = ring::rand::SystemRandom::new();
        let mut seed = [0; 32];
        ring::rand::SecureRandom::fill(&random, &mut seed).map_err(|_| io::Error::other("there is no randomness"))?;
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|why| io::Error::other(why.to_string()))?;
        let text = STANDARD.encode([&seed, pair.public_key().as_ref()].concat());
        let mut file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(path)?;
        writeln!(file, "{text}")?;
        file.sync_all()?;
        Ok(Self(pair))
    }

    /// The public key, 32 bytes in base64.
    #[must_use]
    pub fn public_key(&self) -> String {
        STANDARD.encode(self.0.public_key())
    }

    fn sign(&self, text: &[u8]) -> Vec<u8> {
        self.0.sign(text).as_ref().to_vec()
    }
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct ChainPayload {
    features: ChainFeature,
}

/// What the worker adds to the task.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
struct ChainFeature {
    /// Whether the worker signs for what the run was made of and what it made.
    chain_of_trust: bool,
}

impl Plugin for ChainOfTrust {
    fn name(&self) -> &'static str {
        "chain-of-trust"
    }

    fn payload(&self) -> PayloadPart {
        PayloadPart::of::<ChainPayload>()
    }

    fn task(&self, task: &Arc<TaskContext>) -> Box<dyn TaskPlugin> {
        Box::new(TaskChain { task: task.clone(), signer: self.clone(), wanted: false, added: Map::new() })
    }
}

struct TaskChain {
    task: Arc<TaskContext>,
    signer: ChainOfTrust,
    wanted: bool,
    /// What the task itself wants to be stated.
    added: Map<String, Value>,
}

#[async_trait]
impl TaskPlugin for TaskChain {
    async fn prepare(&mut self, payload: &Payload) -> Result<()> {
        if !payload.part::<ChainPayload>()?.features.chain_of_trust {
            return Ok(());
        }
        if self.signer.key.is_none() {
            return Err(Error::payload("payload/features/chainOfTrust: this worker has no key to sign with"));
        }
        for name in [CERTIFIED_LOG, CHAIN_OF_TRUST, &format!("{CHAIN_OF_TRUST}.sig")] {
            self.task.reserve_artifact(name)?;
        }
        self.wanted = true;
        Ok(())
    }

    async fn stopped(&mut self, results: &dyn ResultSet) -> Result<Verdict> {
        if !self.wanted {
            return Ok(Verdict::Good);
        }
        let file = match results.file(ADDITIONAL_DATA).await {
            Ok(file) => file,
            Err(Missing::NotFound(_)) => return Ok(Verdict::Good),
            Err(missing) => return Ok(self.refuse(&missing.to_string())),
        };
        match read_object(file.path()).await {
            Ok(added) => {
                self.added = added;
                Ok(Verdict::Good)
            }
            Err(error) => Ok(self.refuse(&error.to_string())),
        }
    }

    async fn finished(&mut self, outcome: &Outcome) -> Result<()> {
        // A run that was broken off made nothing to sign for.
        let whole = match outcome {
            Outcome::Completed | Outcome::Failed => true,
            Outcome::Exception(reason) => *reason == Reason::IntermittentTask,
            Outcome::NotOurs(_) => false,
        };
        match &self.signer.key {
            Some(key) if self.wanted && whole => self.certify(key).await,
            _ => Ok(()),
        }
    }
}

async fn read_object(path: &Path) -> io::Result<Map<String, Value>> {
    if tokio::fs::metadata(path).await?.len() > MOST_DATA {
        return Err(io::Error::other(format!("it has more than {}", size(MOST_DATA))));
    }
    Ok(serde_json::from_slice(&tokio::fs::read(path).await?)?)
}

impl TaskChain {
    /// Nothing is signed for that is not what the task meant.
    fn refuse(&self, why: &str) -> Verdict {
        self.task.log().error(format!("{ADDITIONAL_DATA} cannot be added to the chain of trust: {why}"));
        Verdict::Failed
    }

    async fn certify(&self, key: &SigningKey) -> Result<()> {
        let task = &self.task;
        let log = Upload::new(task.log().path()).content_type(LOG_CONTENT_TYPE).gzip(true);
        task.upload(CERTIFIED_LOG, &log).await?;
        let statement = serde_json::to_vec_pretty(&self.statement()?)
            .map_err(|error| Error::worker_caused("cannot write a chain of trust", error))?;
        let signature = key.sign(&statement);
        self.keep(CHAIN_OF_TRUST, "application/json", &statement).await?;
        self.keep(&format!("{CHAIN_OF_TRUST}.sig"), "application/octet-stream", &signature).await
    }

    fn statement(&self) -> Result<Value> {
        let (task, identity) = (&self.task, self.task.identity());
        let definition = serde_json::to_value(task.definition())
            .map_err(|error| Error::worker_caused("cannot write a chain of trust", error))?;
        let artifacts: Map<String, Value> =
            task.uploaded().into_iter().map(|(name, sha256)| (name, json!({"sha256": sha256}))).collect();
        let mut environment = self.signer.environment.clone();
        environment.extend(task.described().into_iter().map(|(name, value)| (name, value.into())));
        let stated = json!({
            "chainOfTrustVersion": 1,
            "artifacts": artifacts,
            "task": definition,
            "taskId": task.task_id(),
            "runId": task.run_id(),
            "workerGroup": identity.worker_group,
            "workerId": identity.worker_id,
            "environment": environment,
        });
        // As a whole: nothing of the task's stands among what the worker says of artifacts or of itself.
        let mut whole = Value::Object(self.added.clone());
        if let (Value::Object(whole), Value::Object(stated)) = (&mut whole, stated) {
            whole.extend(stated);
        }
        Ok(whole)
    }

    async fn keep(&self, name: &str, content_type: &str, content: &[u8]) -> Result<()> {
        let failed = |error| Error::worker_caused("cannot write a chain of trust", error);
        let path = self.task.scratch().join(name.rsplit('/').next().unwrap_or(name));
        tokio::fs::write(&path, content).await.map_err(failed)?;
        self.task.upload(name, &Upload::new(path).content_type(content_type)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_made_once_and_kept_to_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let made = SigningKey::create(&path).unwrap();
        assert_eq!(SigningKey::read(&path).unwrap().public_key(), made.public_key());
        assert!(SigningKey::create(&path).is_err(), "a key is never made anew");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(SigningKey::read(&path), Err(KeyError::Readable)));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        // The second one is a seed with another key's public half.
        for text in [String::new(), STANDARD.encode([1; 64]), "not base64!".to_owned(), STANDARD.encode([1; 31])] {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            assert!(matches!(SigningKey::read(&path), Err(KeyError::Format)));
        }
    }
}
