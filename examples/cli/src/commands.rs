//! What each subcommand does.

mod action;
mod api;
mod artifact;
mod completions;
mod config;
mod confirm;
mod definition;
mod download;
mod from_now;
mod graph;
mod group;
mod native_worker;
mod provision;
mod run;
mod shell;
mod signin;
mod slugid;
mod talk;
mod task;
mod up;
mod version;

use anyhow::{Context as _, Result};
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use crate::assemble::Deployment;

pub(crate) use action::action;
pub(crate) use api::api;
pub(crate) use artifact::artifact;
pub(crate) use completions::completions;
pub(crate) use config::config;
pub(crate) use download::download;
pub(crate) use from_now::from_now;
pub(crate) use graph::graph;
pub(crate) use group::group;
pub(crate) use native_worker::native_worker;
pub(crate) use provision::provision;
pub(crate) use run::run;
pub(crate) use shell::shell;
pub(crate) use signin::signin;
pub(crate) use slugid::slugid;
pub(crate) use task::task;
pub(crate) use up::up;
pub(crate) use version::version;

/// What makes a shell speak to this deployment.
fn exports(deployment: &Deployment) -> Vec<String> {
    let mut lines = vec![format!("export TASKCLUSTER_ROOT_URL='{}'", deployment.root_url())];
    if let Some(credentials) = deployment.caller().credentials() {
        lines.push(format!("export TASKCLUSTER_CLIENT_ID='{}'", credentials.client_id));
        lines.push(format!("export TASKCLUSTER_ACCESS_TOKEN='{}'", credentials.access_token.expose()));
    }
    lines
}

fn runtime() -> Result<Runtime> {
    Builder::new_multi_thread().enable_all().build().context("cannot start the threads")
}

/// Tokens that the first and the second "stop" of the user cancel.
#[derive(Debug, Clone, Default)]
struct Stops {
    politely: CancellationToken,
    at_once: CancellationToken,
}

impl Stops {
    /// Listens to SIGINT and SIGTERM from now on.
    fn listen() -> Result<(Self, impl Future<Output = ()>)> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen to signals")?;
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen to signals")?;
        let stops = Self::default();
        let told = stops.clone();
        let listening = async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if told.politely.is_cancelled() {
                    told.at_once.cancel();
                }
                told.politely.cancel();
            }
        };
        Ok((stops, listening))
    }
}
