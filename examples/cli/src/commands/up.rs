//! `taskcluster up`: a deployment that stays.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Write as _};
use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail};
use axum::Router;
use service_kit::telemetry::{self, LogFormat};
use taskcluster_core::credentials::Credentials;
use taskcluster_core::ids::TaskQueueId;
use tokio::net::TcpListener;

use super::{Stops, exports, runtime};
use crate::args::UpArgs;
use crate::assemble::{DESK_GROUP, DESK_QUEUE, Deployment, Parts, TUNNEL_AUDIENCE, TUNNEL_PATH};
use crate::exit::Outcome;
use crate::{docker_workers, providers, state_dir};

/// Serves until the user says stop.
pub(crate) fn up(args: &UpArgs) -> Result<Outcome> {
    telemetry::init(LogFormat::Text, "warn");
    let data = args.data.clone().map_or_else(state_dir::of_up, Ok)?;
    let served: BTreeSet<TaskQueueId> = args.serve.iter().cloned().collect();
    let in_docker: BTreeSet<TaskQueueId> = args.serve_docker.iter().cloned().collect();
    docker_workers::check(&served, &in_docker)?;
    providers::check(&args.provider)?;
    runtime()?.block_on(async {
        let (stops, listening) = Stops::listen()?;
        let serving = async {
            // Before the port, which another one on the same data is likely to have as well: that is the smaller half of it.
            let data = state_dir::open(&data)?;
            let listener = listen(args.listen).await?;
            let address = listener.local_addr()?;
            let parts = Parts {
                listener,
                public_url: args.public_url.clone(),
                data,
                database: args.database.clone(),
                bus: args.bus.clone(),
                blobs: args.blobs.clone(),
                providers: args.provider.clone(),
                beside: Router::new(),
            };
            let deployment = Deployment::start(parts).await?;
            if !served.is_empty() {
                deployment.work_for(&served).await?;
            }
            docker_workers::start(&deployment, &in_docker).await?;
            greet(&deployment, args, &served, &in_docker, address);
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

async fn listen(address: SocketAddr) -> Result<TcpListener> {
    match TcpListener::bind(address).await {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            bail!("{address} is in use by another program; choose another with --listen")
        }
        bound => bound.with_context(|| format!("cannot listen on {address}")),
    }
}

/// Says how to use it, at this address.
fn greet(
    deployment: &Deployment,
    args: &UpArgs,
    served: &BTreeSet<TaskQueueId>,
    in_docker: &BTreeSet<TaskQueueId>,
    address: SocketAddr,
) {
    let root_url = deployment.root_url();
    // Others know it by another name than that.
    let is_named = args.public_url.is_some();
    let mut lines = exports(deployment);
    lines.push(String::new());
    if is_named {
        lines.push(format!(
            "It listens on {address}; what stands in front of it must pass on Host, X-Forwarded-Proto and websockets."
        ));
    }
    if served.is_empty() && in_docker.is_empty() {
        lines.push("No worker runs here; with `--serve local/native` one does.".to_owned());
    }
    if !served.is_empty() {
        lines.push(format!("A native worker serves {}; what it runs can do what you can.", joined(served)));
    }
    if !in_docker.is_empty() {
        lines.push(format!("A Docker worker serves {}; what it runs is in containers.", joined(in_docker)));
    }
    if is_named || !(address.ip().is_unspecified() || address.ip().is_loopback()) {
        lines.push(format!("Another machine with this program takes the tasks of {DESK_QUEUE} by:"));
        lines.push(format!("  {}", desk_line(root_url, deployment.desk_credentials())));
    } else if address.ip().is_unspecified() {
        lines.push("Other machines reach it by a name of this one: say which with `--public-url`.".to_owned());
    }
    lines.extend(providers::out_of_reach(&args.provider, root_url));
    lines.push("Paste the lines above into another terminal, then see that it answers:".to_owned());
    lines.push(format!("  curl {root_url}/api/queue/v1/ping"));
    lines.push("Ctrl-C stops it.".to_owned());
    // Whoever reads may have heard enough; that is no reason to stop.
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{}", lines.join("\n")).and_then(|()| out.flush());
}

fn joined(queues: &BTreeSet<TaskQueueId>) -> String {
    queues.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// What starts a worker on another machine, with credentials that are good for that alone. Its logs and shells are reached through
/// the tunnel: nobody needs to reach that machine.
fn desk_line(root_url: &str, credentials: &Credentials) -> String {
    format!(
        "TASKCLUSTER_ROOT_URL='{root_url}' TASKCLUSTER_CLIENT_ID='{}' TASKCLUSTER_ACCESS_TOKEN='{}' \
         taskcluster native-worker run --task-queue-id {DESK_QUEUE} --worker-group {DESK_GROUP} --worker-id \"$(hostname -s)\" \
         --tunnel-url '{root_url}{TUNNEL_PATH}' --tunnel-audience {TUNNEL_AUDIENCE}",
        credentials.client_id,
        credentials.access_token.expose(),
    )
}
