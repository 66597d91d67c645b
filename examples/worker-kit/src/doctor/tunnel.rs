//! The tunnel through which viewers come in.

use taskcluster_core::chain;

use super::Examination;
use crate::config::Base;

pub(super) async fn examine(base: &Base, examination: &mut Examination) {
    let Some(server) = &base.tunnel else { return };
    let (what, url) = ("tunnel", server.url());
    // Under a name of its own: the worker itself may be running.
    match server.tunnel(&base.identity, "doctor") {
        Err(error) => examination.wrong(what, error, "Set tunnel_url, worker_group and worker_id to others."),
        Ok(tunnel) => match tunnel.probe().await {
            Ok(found) => examination.good(what, format!("{url} lets viewers in at {found}")),
            Err(error) => examination.wrong(
                what,
                format!("{url} cannot be used: {}", chain(&error)),
                "Check tunnel_url and tunnel_audience, and that the worker's client has auth:websocktunnel-token:AUDIENCE/GROUP.WORKER.*.",
            ),
        },
    }
}
