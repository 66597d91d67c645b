//! The program's configuration: the script and what it takes, beside what all workers have.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use taskcluster_native_worker::{Isolation, doctor};
use taskcluster_worker::plugins::{Env, MaxRunTime, MaxSilence, MemoryGuard, Proxy};
use taskcluster_worker::{PayloadPart, Plugin, WorkerBuilder};
use worker_kit::{Examination, GuardConfig, Program, WorkerConfig};

use crate::engine::ScriptEngine;
use crate::exit_status::ScriptStatus;
use crate::left;

/// What can be configured.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, Args)]
#[serde(default)]
#[non_exhaustive]
pub struct Config {
    /// What all workers have.
    #[command(flatten)]
    #[serde(flatten)]
    pub worker: WorkerConfig,
    /// The program to run for each task, with its arguments. One without a slash is looked for in PATH.
    #[arg(long, num_args = 1.., allow_hyphen_values = true, value_name = "PROGRAM")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// A file with the JSON schema of what it takes: the payloads of its tasks.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<PathBuf>,
    /// As whom it runs: user (one made for the task) or none (the worker's own) [default: user as root, else none].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isolation: Option<Isolation>,
    /// When a task is ended for the sake of others.
    #[command(flatten)]
    #[serde(flatten)]
    pub guards: GuardConfig,
}

/// The program `script-worker`.
#[derive(Clone, Copy, Debug)]
pub struct ScriptProgram;

impl Program for ScriptProgram {
    const NAME: &'static str = "script-worker";
    const ABOUT: &'static str =
        "Takes tasks from a TaskCluster deployment and runs one program for each, as its payload says";

    type Config = Config;

    fn check(config: &Config, file: Option<&Path>) -> Result<()> {
        if config.isolation() == Isolation::User {
            config.worker.keeps_secrets(file)?;
        }
        let base = config.worker.base(Self::NAME)?;
        config.engine(&base.settings.work_dir)?;
        Self::schema(config).map(drop)
    }

    fn common(config: &mut Config) -> &mut WorkerConfig {
        &mut config.worker
    }

    async fn worker(config: Config) -> Result<WorkerBuilder> {
        let base = config.worker.base(Self::NAME)?;
        let engine = config.engine(&base.settings.work_dir)?;
        let max_run_time = MaxRunTime::new(base.max_run_time);
        let mut worker = base
            .worker(engine)
            .await?
            .plugin(Env::closed())
            .plugin(max_run_time)
            .plugin(MaxSilence::new(config.guards.silence()))
            .plugin(Proxy::default())
            .plugin(left::artifacts())
            .plugin(ScriptStatus);
        if let Some(limits) = config.guards.memory() {
            worker = worker.plugin(MemoryGuard::new(limits));
        }
        Ok(worker)
    }

    async fn examine(config: &Config, examination: &mut Examination) {
        let work_dir = config.worker.base(Self::NAME).map(|base| base.settings.work_dir).unwrap_or_default();
        doctor::users(config.isolation(), work_dir, examination).await;
    }

    fn schema(config: &Config) -> Result<Value> {
        let (max_run_time, max_silence, proxy) = (MaxRunTime::default(), MaxSilence::default(), Proxy::default());
        worker_kit::payload_schema([
            ("script", config.part()?),
            (max_run_time.name(), max_run_time.payload()),
            (max_silence.name(), max_silence.payload()),
            (proxy.name(), proxy.payload()),
        ])
    }
}

impl Config {
    fn isolation(&self) -> Isolation {
        self.isolation.unwrap_or_else(Isolation::default_for_caller)
    }

    fn engine(&self, work_dir: &Path) -> Result<ScriptEngine> {
        let engine =
            ScriptEngine::new(work_dir.join("tasks"), self.isolation(), &self.absolute_command()?, self.part()?);
        engine.context("command is none")
    }

    /// The command, as it can be run in the directory of a task.
    fn absolute_command(&self) -> Result<Vec<String>> {
        let [program, arguments @ ..] = &*self.command else { bail!("command is not set") };
        if !program.contains('/') {
            return Ok(self.command.clone());
        }
        let found = Path::new(program).canonicalize().with_context(|| format!("command: there is no {program}"))?;
        let found = found.to_str().with_context(|| format!("command: {program} is not UTF-8"))?;
        Ok(std::iter::once(found.to_owned()).chain(arguments.iter().cloned()).collect())
    }

    /// What payloads are, as far as the script says it.
    fn part(&self) -> Result<PayloadPart> {
        let path = self.schema.as_deref().context("schema is not set: the file of the JSON schema of payloads")?;
        let read = || -> Result<PayloadPart> {
            let schema: Value = serde_json::from_slice(&std::fs::read(path)?)?;
            Ok(PayloadPart::from_schema(schema)?)
        };
        read().with_context(|| format!("cannot use the schema {}", path.display()))
    }
}
