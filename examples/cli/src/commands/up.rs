//! `taskcluster up`: a deployment that stays.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use axum::Router;
use service_kit::telemetry::{self, LogFormat};
use taskcluster_core::ids::TaskQueueId;
use tokio::net::TcpListener;

use super::{Stops, runtime};
use crate::args::UpArgs;
use crate::assemble::{Deployment, Parts};
use crate::exit::Outcome;
use crate::state_dir;

/// Serves until the user says stop.
pub(crate) fn up(args: &UpArgs) -> Result<Outcome> {
    telemetry::init(LogFormat::Text, "warn");
    let data = args.data.clone().map_or_else(state_dir::of_up, Ok)?;
    let served: BTreeSet<TaskQueueId> = args.serve.iter().cloned().collect();
    runtime()?.block_on(async {
        let (stops, listening) = Stops::listen()?;
        let serving = async {
            let listener = TcpListener::bind(args.listen).await;
            let listener = listener.with_context(|| format!("cannot listen on {}", args.listen))?;
            let parts = Parts {
                listener,
                public_url: args.public_url.clone(),
                data,
                database: args.database.clone(),
                beside: Router::new(),
            };
            let deployment = Deployment::start(parts).await?;
            if !served.is_empty() {
                deployment.work_for(&served).await?;
            }
            greet(&deployment, &served);
            let outcome = tokio::select! {
                () = stops.politely.cancelled() => Ok(Outcome::Green),
                () = deployment.broke() => Err(anyhow::anyhow!("the deployment broke; its log says why")),
            };
            deployment.stop().await;
            outcome
        };
        tokio::select! {
            outcome = serving => outcome,
            () = listening => Ok(Outcome::Interrupted),
            () = stops.at_once.cancelled() => Ok(Outcome::Interrupted),
        }
    })
}

fn greet(deployment: &Deployment, served: &BTreeSet<TaskQueueId>) {
    let root_url = deployment.root_url();
    let credentials = deployment.caller().credentials();
    println!("export TASKCLUSTER_ROOT_URL='{root_url}'");
    if let Some(credentials) = credentials {
        println!("export TASKCLUSTER_CLIENT_ID='{}'", credentials.client_id);
        println!("export TASKCLUSTER_ACCESS_TOKEN='{}'", credentials.access_token.expose());
    }
    println!();
    match served.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ") {
        none if none.is_empty() => println!("No worker runs here; with `--serve local/native` one does."),
        queues => println!("A native worker serves {queues}."),
    }
    println!("Paste the lines above into another terminal, then see that it answers:");
    println!("  curl {root_url}/api/queue/v1/ping");
    println!("Ctrl-C stops it.");
}
