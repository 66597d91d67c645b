//! Processes on the machine where the provisioner runs.
//!
//! Each has a folder of its own, named after it, in which the process writes down its own identity before it becomes the worker. By that
//! it is found again after the provisioner was killed, and a launch that comes twice finds that it was there first.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use taskcluster::provisioner::{LocalProcessProvider, WorkerTypeProvider};
use taskcluster_core::time::{Timestamp, minutes};
use tokio::process::Command;

use super::{Launch, Offer, Phase, Provider, ProviderError, Result, Sighting, Specification, USER_DATA};
use crate::instance::Place;
use crate::worker_type::Definition;

mod process;

use process::{Identity, Signal};

/// The `workerGroup` of all of them.
const WORKER_GROUP: &str = "local-process";

/// What the names of variables begin with that are for services of a deployment and their clients, or say as whom machines of AWS are
/// started.
const OURS: [&str; 3] = ["AWS_", "TASKCLUSTER_", "TC_"];

/// How long a process may take to end that was told to.
const GRACE: std::time::Duration = minutes(1);

/// The process writes down who it is, unless another did so before, and becomes the worker. The identity is that of the shell, which
/// keeps it: number, and on Linux the time of its start.
const BECOME: &str = r#"set -C
{ cat "/proc/$$/stat" 2>/dev/null || echo "$$"; } >identity || exit 0
set +C
exec "$@" </dev/null >log 2>&1"#;

/// Starts processes.
#[derive(Clone, Debug)]
pub struct LocalProcess {
    folder: PathBuf,
    /// What may be started, by the word that definitions name it with.
    programs: Arc<BTreeMap<String, PathBuf>>,
}

impl LocalProcess {
    /// Each process has a folder in `folder`, which is this provider's alone. Only these programs are started: a definition names one by
    /// its word, first in its `command`.
    pub fn new(folder: impl Into<PathBuf>, programs: impl IntoIterator<Item = (String, PathBuf)>) -> Self {
        Self { folder: folder.into(), programs: Arc::new(programs.into_iter().collect()) }
    }

    /// What a definition wants, if it can be had.
    fn wanted<'d>(&self, definition: &'d Definition) -> Result<(&'d LocalProcessProvider, &Path)> {
        let WorkerTypeProvider::LocalProcess(wanted) = definition.provider() else {
            return Err(ProviderError::Refused("it is no local process".to_owned()));
        };
        let word = wanted.command.first().map(String::as_str).unwrap_or_default();
        let program = self.programs.get(word).ok_or_else(|| {
            let allowed: Vec<&str> = self.programs.keys().map(String::as_str).collect();
            ProviderError::Refused(format!("the program {word:?} is not allowed here, only {}", allowed.join(", ")))
        })?;
        Ok((wanted, program))
    }

    fn folder_of(&self, instance_id: &str) -> PathBuf {
        self.folder.join(instance_id)
    }

    /// What the folder of an instance says of it.
    async fn look(&self, instance_id: &str) -> io::Result<Sighting> {
        let folder = self.folder_of(instance_id);
        let (phase, says) = match Identity::read(&folder).await? {
            Some(identity) if identity.lives() => match identity.was_told(&folder).await? {
                Some(_) => (Phase::Ending, None),
                None => (Phase::Alive, None),
            },
            Some(_) => (Phase::Gone, last_lines(&folder).await),
            // It may be just about to write it down.
            None if process::age(&folder, Timestamp::now()).await? < minutes(1) => (Phase::Requested, None),
            None => (Phase::Gone, Some("the process never came to be".to_owned())),
        };
        let provider_id = instance_id.to_owned();
        Ok(Sighting { provider_id, instance_id: instance_id.to_owned(), phase, place: None, says })
    }

    async fn end_one(&self, instance_id: &str) -> io::Result<()> {
        let folder = self.folder_of(instance_id);
        let Some(identity) = Identity::read(&folder).await? else {
            // A process that comes to be after all finds that it is too late.
            Identity::forbid(&folder).await?;
            return forget(&folder).await;
        };
        if !identity.lives() {
            // Whatever it has started and left.
            identity.signal_group(Signal::Kill);
            return forget(&folder).await;
        }
        match identity.was_told(&folder).await? {
            None => {
                process::note_told(&folder).await?;
                identity.signal(Signal::Terminate);
            }
            Some(since) if Timestamp::now().since(since) > GRACE => identity.signal_group(Signal::Kill),
            Some(_) => {}
        }
        Ok(())
    }
}

#[async_trait]
impl Provider for LocalProcess {
    fn kind(&self) -> &'static str {
        "local-process"
    }

    async fn specify(&self, definition: &Definition) -> Result<Vec<Specification>> {
        let (wanted, program) = self.wanted(definition)?;
        let fragments = self.fragments(definition, &Place::default());
        let launch = json!({"program": program, "command": wanted.command, "env": wanted.env});
        Ok(vec![Specification {
            place: Place::default(),
            capacity: capacity(wanted),
            launch: launch.as_object().cloned().unwrap_or_default(),
            user_data: fragments.user_data,
            scopes: fragments.scopes,
            fault: None,
        }])
    }

    async fn offers(&self, definition: &Definition) -> Result<Vec<Offer>> {
        let (wanted, _) = self.wanted(definition)?;
        Ok(vec![Offer {
            worker_group: WORKER_GROUP.to_owned(),
            place: Place::default(),
            capacity: capacity(wanted),
            price: 0.0,
            utility: f64::from(capacity(wanted)),
            bias: 1.0,
            bid: None,
        }])
    }

    async fn launch(&self, launch: &Launch) -> Result<String> {
        let (wanted, program) = self.wanted(&launch.definition)?;
        let folder = self.folder_of(&launch.instance_id);
        let started = async {
            tokio::fs::create_dir_all(&folder).await?;
            if Identity::read(&folder).await?.is_none() {
                start(&folder, program, wanted, &launch.user_data)?;
            }
            Ok::<_, io::Error>(())
        };
        started.await.map_err(|error| ProviderError::away("a process cannot be started", error))?;
        Ok(launch.instance_id.clone())
    }

    async fn list(&self) -> Result<Vec<Sighting>> {
        let away = |error: io::Error| ProviderError::away("the folder of processes cannot be read", error);
        let mut sightings = Vec::new();
        let mut entries = match tokio::fs::read_dir(&self.folder).await {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(sightings),
            Err(error) => return Err(away(error)),
        };
        while let Some(entry) = entries.next_entry().await.map_err(away)? {
            if let Some(instance_id) = entry.file_name().to_str() {
                sightings.push(self.look(instance_id).await.map_err(away)?);
            }
        }
        Ok(sightings)
    }

    async fn end(&self, gone: &[Sighting]) -> Result<()> {
        let mut failed = None;
        for sighting in gone {
            if let Err(error) = self.end_one(&sighting.instance_id).await {
                failed = Some(error);
            }
        }
        failed.map_or(Ok(()), |error| Err(ProviderError::away("a process cannot be ended", error)))
    }
}

fn capacity(wanted: &LocalProcessProvider) -> u32 {
    wanted.capacity.unwrap_or(1).max(1)
}

/// Whether a variable of that name is no worker's.
fn is_ours(name: &str) -> bool {
    OURS.iter().any(|prefix| name.starts_with(prefix))
}

/// In a session of its own, so that neither a terminal nor the provisioner's end reaches it.
fn start(
    folder: &Path,
    program: &Path,
    wanted: &LocalProcessProvider,
    user_data: &Map<String, Value>,
) -> io::Result<()> {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", BECOME, "sh"]).arg(program).args(&wanted.command[1..]);
    command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Its surroundings, but none of what stands there for us: our own credentials may be among it.
    for (name, _) in std::env::vars_os() {
        if is_ours(&name.to_string_lossy()) {
            command.env_remove(name);
        }
    }
    command.envs(wanted.env.iter().flatten());
    command.env(USER_DATA, Value::Object(user_data.clone()).to_string());
    command.process_group(0);
    let mut child = command.spawn()?;
    #[expect(
        clippy::disallowed_methods,
        reason = "it takes the remains of the process away, and nobody waits for that"
    )]
    tokio::spawn(async move { child.wait().await });
    Ok(())
}

/// What is left of an instance is its log.
async fn last_lines(folder: &Path) -> Option<String> {
    let log = tokio::fs::read(folder.join("log")).await.ok()?;
    super::last_lines(&log[log.len().saturating_sub(4096)..])
}

async fn forget(folder: &Path) -> io::Result<()> {
    match tokio::fs::remove_dir_all(folder).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::is_ours;

    #[test]
    fn credentials_of_services_are_not_handed_on() {
        for name in ["AWS_SECRET_ACCESS_KEY", "TASKCLUSTER_ACCESS_TOKEN", "TC_PROVISIONER_ACCESS_TOKEN"] {
            assert!(is_ours(name), "{name}");
        }
        for name in ["PATH", "HOME", "CARGO_HOME", "LAWS_"] {
            assert!(!is_ours(name), "{name}");
        }
    }
}
