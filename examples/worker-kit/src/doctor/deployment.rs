//! The deployment: whether it answers, what time it has, and what the worker may do there.

use std::time::Duration;

use http::header::DATE;
use http::{Request, Response};
use taskcluster::auth::Auth;
use taskcluster_core::scopes::ScopeSet;
use taskcluster_core::transport::http::HttpTransport;
use taskcluster_core::transport::{Body, Transport};
use taskcluster_core::{Caller, RetryPolicy, Timestamp, chain};

use super::Examination;
use crate::config::Base;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Clocks that differ by less are good enough for signatures and for people.
const CLOCKS: Duration = Duration::from_secs(30);

/// Look at it. Of a worker that is `provisioned`, the credentials are not there yet.
pub(super) async fn examine(base: &Base, provisioned: bool, examination: &mut Examination) {
    let transport = match HttpTransport::new() {
        Ok(http) => http.into_transport(),
        Err(error) => {
            let remedy = "Install the certificates of this system (Debian: ca-certificates).";
            return examination.wrong("deployment", chain(&error), remedy);
        }
    };
    let (what, url) = ("deployment", &base.root_url);
    let answer = match ping(&transport, url).await {
        Ok(answer) => answer,
        Err(why) => {
            let remedy = "Check root_url, and that this machine reaches it.";
            return examination.wrong(what, format!("{url} does not answer: {why}"), remedy);
        }
    };
    if !answer.status().is_success() {
        let remedy = "Check root_url: a deployment's queue answers there with 200.";
        return examination.wrong(what, format!("{url} answers {}", answer.status()), remedy);
    }
    examination.good(what, format!("{url} answers"));
    clock(&answer, examination);
    if provisioned {
        return examination.note("credentials", "they come with the worker's secret, which only `run` fetches");
    }
    rights(base, transport, examination).await;
}

async fn ping(transport: &Transport, root_url: &str) -> Result<Response<Body>, String> {
    let url = format!("{}/api/queue/v1/ping", root_url.trim_end_matches('/'));
    let request = Request::get(url).body(Body::empty()).map_err(|error| error.to_string())?;
    let answer = tokio::time::timeout(PATIENCE, transport.send(request)).await;
    answer.map_err(|_| "there was no answer in time".to_owned())?.map_err(|error| chain(&error).to_string())
}

fn clock(answer: &Response<Body>, examination: &mut Examination) {
    let date = answer.headers().get(DATE).and_then(|date| date.to_str().ok());
    let Some(theirs) = date.and_then(|date| httpdate::parse_http_date(date).ok()) else {
        return examination.note("clock", "the deployment does not say what time it is");
    };
    let ours = std::time::SystemTime::from(Timestamp::now());
    let apart = ours.duration_since(theirs).unwrap_or_else(|error| error.duration());
    if apart <= CLOCKS {
        return examination.good("clock", "it is that of the deployment");
    }
    let which = if ours > theirs { "ahead of" } else { "behind" };
    let remedy = "Set it, best by a time service: tasks go by it for deadlines and certificates.";
    examination.wrong("clock", format!("it is {} s {which} the deployment's", apart.as_secs()), remedy);
}

async fn rights(base: &Base, transport: Transport, examination: &mut Examination) {
    let what = "credentials";
    let client_id = &base.credentials.client_id;
    let caller = Caller::builder(&base.root_url)
        .credentials(base.credentials.clone())
        .transport(transport)
        .retry(RetryPolicy::default().with_retries(1))
        .build();
    let scopes = match caller {
        Ok(caller) => Auth::new(caller).current_scopes().await,
        Err(error) => Err(error),
    };
    match scopes {
        Ok(answer) => {
            examination.good(what, format!("{client_id} is known"));
            each_right(base, &answer.scopes.into_iter().collect(), examination);
        }
        Err(error) if error.is_unauthorized() => {
            let remedy = "Check client_id and access_token, and that the client has not expired.";
            examination.wrong(what, chain(&error), remedy);
        }
        Err(error) => examination.note(what, format!("they cannot be tried: {}", chain(&error))),
    }
}

fn each_right(base: &Base, held: &ScopeSet, examination: &mut Examination) {
    for needed in needed(base) {
        if held.satisfies(&needed.scope) {
            continue;
        }
        let why = format!("{} is missing", needed.scope);
        match needed.without {
            Some(price) => examination.note("scopes", format!("{why}: {price}")),
            None => examination.wrong("scopes", why, "Add it to the client, or to a role that the client assumes."),
        }
    }
}

/// A scope of use to a worker.
struct Needed {
    scope: String,
    /// What it must do without; nothing, if it cannot.
    without: Option<&'static str>,
}

fn needed(base: &Base) -> Vec<Needed> {
    let queue = &base.identity.task_queue_id;
    let worker = format!("{}/{}", base.identity.worker_group, base.identity.worker_id);
    let must = |scope: String| Needed { scope, without: None };
    let may = |scope: String, price| Needed { scope, without: Some(price) };
    let lost = "runs that it was killed with, or did not hear of, wait until their claims end";
    vec![
        must(format!("queue:claim-work:{queue}")),
        must(format!("queue:worker-id:{worker}")),
        may(
            "queue:status:*".to_owned(),
            "it notices that a task was cancelled when it renews the claim, minutes later",
        ),
        may(format!("queue:get-worker:{queue}/{worker}"), lost),
        may(format!("queue:claim-task:{queue}"), lost),
        may(
            format!("queue:quarantine-worker:{queue}/{worker}"),
            "it goes on claiming tasks, whatever is wrong with it",
        ),
        may(format!("purge-cache:purge-requests::{queue}"), "caches stay although somebody asks to drop them"),
    ]
}
