//! The program's configuration: which Buildbot, beside what all workers have.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use taskcluster::Taskcluster;
use taskcluster_core::secret::Secret;
use taskcluster_core::transport::http::HttpTransport;
use taskcluster_worker::{PayloadPart, WorkerBuilder};
use url::Url;
use worker_kit::{Base, Examination, Program, WorkerConfig};

use crate::bridge::Bridge;
use crate::buildbot::{Buildbot, Login};
use crate::engine::BuildbotEngine;
use crate::payload::BuildPayload;
use crate::results;
use crate::verdict::BuildVerdict;

/// Builds at once, if nothing else is said: a build that waits costs the bridge next to nothing.
const CAPACITY: usize = 100;

/// How long the master may take to answer `doctor`.
const PATIENCE: Duration = Duration::from_secs(10);

const REMEDY: &str = "Check buildbot_url, buildbot_username and its password, and that the master has the ForceScheduler named by scheduler.";

/// What can be configured.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, Args)]
#[serde(default)]
#[non_exhaustive]
pub struct Config {
    /// What all workers have.
    #[command(flatten)]
    #[serde(flatten)]
    pub worker: WorkerConfig,
    /// The web interface of the Buildbot master, such as `https://buildbot.example.com/`.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buildbot_url: Option<String>,
    /// The ForceScheduler through which builds are ordered [default: taskcluster].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduler: Option<String>,
    /// Builders that only tasks with the scope buildbot-bridge:builder-name:NAME may use; a * at the end stands for any end.
    #[arg(long, num_args = 1.., value_name = "NAME")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub restricted_builders: Vec<String>,
    /// The user of the master as whom builds are ordered [default: nobody].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buildbot_username: Option<String>,
    /// That user's password; only in the file, or in BUILDBOT_BRIDGE_BUILDBOT_PASSWORD.
    #[arg(skip)]
    #[serde(skip_serializing)]
    #[schemars(with = "Option<String>")]
    pub buildbot_password: Option<Secret>,
}

/// The program `buildbot-bridge`.
#[derive(Clone, Copy, Debug)]
pub struct BridgeProgram;

impl Program for BridgeProgram {
    const NAME: &'static str = "buildbot-bridge";
    const ABOUT: &'static str = "Takes tasks from a TaskCluster deployment and has a Buildbot master build them";

    type Config = Config;

    fn check(config: &Config, _file: Option<&Path>) -> Result<()> {
        let mut config = config.clone();
        let base = config.base()?;
        config.bridge(&base).map(drop)
    }

    fn common(config: &mut Config) -> &mut WorkerConfig {
        &mut config.worker
    }

    async fn worker(mut config: Config) -> Result<WorkerBuilder> {
        let base = config.base()?;
        let bridge = config.bridge(&base)?;
        let engine = BuildbotEngine::new(bridge.clone()).sweeping(base.identity.clone());
        let worker = base.worker(engine).await?;
        Ok(worker.plugin(results::artifacts()).plugin(BuildVerdict::new(bridge)))
    }

    async fn examine(config: &Config, examination: &mut Examination) {
        let asked = async {
            let mut config = config.clone();
            let base = config.base()?;
            let bridge = config.bridge(&base)?;
            anyhow::Ok(bridge.greet().await?)
        };
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Ok(())) => examination.good("Buildbot", "the master answers, and has the scheduler"),
            Ok(Err(error)) => examination.wrong("Buildbot", format!("{error:#}"), REMEDY),
            Err(_) => examination.wrong("Buildbot", "there was no answer in time", REMEDY),
        }
    }

    fn schema(_config: &Config) -> Result<Value> {
        worker_kit::payload_schema([("buildbot", PayloadPart::of::<BuildPayload>())])
    }
}

impl Config {
    fn base(&mut self) -> Result<Base> {
        let worker = &mut self.worker;
        worker.capacity.get_or_insert(CAPACITY);
        // The same each time: a bridge that comes back is to find the runs that it left.
        if !worker.is_provisioned() {
            worker.worker_id.get_or_insert_with(|| BridgeProgram::NAME.to_owned());
        }
        worker.base(BridgeProgram::NAME)
    }

    fn bridge(&self, base: &Base) -> Result<Bridge> {
        let url = self.buildbot_url.as_deref().context("buildbot_url is not set")?;
        let url = Url::parse(url).with_context(|| format!("buildbot_url {url:?} is none"))?;
        if !matches!(url.scheme(), "http" | "https") {
            bail!("buildbot_url {url} is neither http nor https");
        }
        let tc = Taskcluster::builder(&*base.root_url).credentials(base.credentials.clone()).build()?;
        let buildbot = Buildbot::new(url, HttpTransport::new()?.into_transport(), self.login()?);
        let scheduler = self.scheduler.as_deref().unwrap_or("taskcluster");
        Ok(Bridge::new(buildbot, scheduler, tc.queue()).restrict(self.restricted_builders.iter().cloned()))
    }

    fn login(&self) -> Result<Option<Login>> {
        let Some(username) = self.buildbot_username.clone() else { return Ok(None) };
        let variable = || std::env::var("BUILDBOT_BRIDGE_BUILDBOT_PASSWORD").ok().map(Secret::from);
        let password = self.buildbot_password.clone().or_else(variable);
        let password = password.context("buildbot_username is set, but buildbot_password is not")?;
        Ok(Some(Login { username, password }))
    }
}
