//! `taskcluster signin`: credentials by way of the browser.
//!
//! The deployment's web pages make a client and send the browser back to this machine with its credentials.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result, bail};
use axum::Router;
use axum::extract::{Query, State};
use axum::http::{Request, StatusCode};
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::get;
use serde::Deserialize;
use taskcluster::{Body, RootUrl, TaskId, Taskcluster};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::Stops;
use super::talk::{Stopped, deployment, talk, talk_of};
use crate::args::SigninArgs;
use crate::exit::Outcome;
use crate::output::Output;

/// Gets credentials, or looks whether there are some.
pub(crate) fn signin(args: &SigninArgs) -> Result<Outcome> {
    if args.check {
        return check();
    }
    let tc = deployment()?;
    talk(sign_in(&tc, args))
}

fn check() -> Result<Outcome> {
    let tc = deployment()?;
    talk_of(async {
        if tc.caller().credentials().is_none() || tc.auth().current_scopes().await?.scopes.is_empty() {
            eprintln!("there are no credentials that are good for anything");
            return Ok(Outcome::NotGreen);
        }
        Ok(Outcome::Green)
    })
}

/// What the browser brings.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Brought {
    client_id: String,
    access_token: String,
}

impl Brought {
    /// Whether it is what clients have: nothing else may come into a shell.
    fn is_credentials(&self) -> bool {
        let is_made_of = |text: &str, more: &[u8]| {
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
        };
        is_made_of(&self.client_id, b"!@/:.+|_-") && is_made_of(&self.access_token, b"_-")
    }
}

async fn sign_in(tc: &Taskcluster, args: &SigninArgs) -> Result<()> {
    let root_url = tc.caller().root_url();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port)).await;
    let listener = listener.with_context(|| format!("cannot listen on port {} of this machine", args.port))?;
    // Only who was sent here by us knows the path, so that no other page can sign us in as somebody else.
    let path = format!("/{}", TaskId::new());
    let back = format!("http://localhost:{}{path}", listener.local_addr()?.port());
    let (bring, mut brought) = mpsc::channel(1);
    let signed_in = CancellationToken::new();
    let router = Router::new().route(&path, get(welcome)).with_state((bring, signed_in.clone()));
    // Whoever is signed in is told so first.
    let serving = axum::serve(listener, router).with_graceful_shutdown(signed_in.cancelled_owned());

    let page = page(root_url, args, &back)?;
    refuse_none(tc, &page).await?;
    eprintln!("Sign in at {page}");
    if let Err(error) = open::that_detached(page.as_str()) {
        eprintln!("There is no browser to open it: {error}");
    }
    let (stops, listening) = Stops::listen()?;
    tokio::select! {
        served = serving.into_future() => served.context("the browser cannot be listened to")?,
        () = stops.politely.cancelled() => return Err(Stopped.into()),
        () = listening => return Err(Stopped.into()),
    }
    let came = brought.recv().await.context("the browser has brought nothing")?;
    print(root_url, &came, args.csh)
}

/// Nobody waits for a browser that is shown an error.
async fn refuse_none(tc: &Taskcluster, page: &Url) -> Result<()> {
    let request = Request::get(page.as_str()).body(Body::empty()).context("the root URL leads to no page")?;
    let answer = tc.caller().transport().send(request).await.context("the deployment cannot be reached")?;
    if answer.status() == StatusCode::NOT_FOUND {
        bail!(
            "the deployment at {} has no page to sign in at; its operator gives credentials (`taskcluster up` prints them)",
            tc.caller().root_url()
        );
    }
    Ok(())
}

/// Where the user makes the client.
fn page(root_url: &RootUrl, args: &SigninArgs, back: &str) -> Result<Url> {
    let mut page = Url::parse(&format!("{root_url}/auth/clients/create"))?;
    let mut query = page.query_pairs_mut();
    for scope in &args.scope {
        query.append_pair("scope", scope);
    }
    let unique = &TaskId::new().to_string()[..6];
    query.append_pair("name", &format!("{}-{unique}", args.name)).append_pair("expires", &args.expires);
    query.append_pair("callback_url", back);
    query.append_pair("description", "Temporary client for use on the command line");
    drop(query);
    Ok(page)
}

async fn welcome(
    State((bring, signed_in)): State<(mpsc::Sender<Brought>, CancellationToken)>,
    Query(brought): Query<Brought>,
) -> Response {
    if !brought.is_credentials() {
        return (StatusCode::BAD_REQUEST, "these are no credentials").into_response();
    }
    // A second answer changes nothing.
    let _ = bring.try_send(brought);
    signed_in.cancel();
    Html("<!doctype html><title>Signed in</title><p>You are signed in on the command line, and can close this page.")
        .into_response()
}

fn print(root_url: &RootUrl, brought: &Brought, csh: bool) -> Result<()> {
    let mut output = Output::stdout(false);
    let variables =
        [("CLIENT_ID", &*brought.client_id), ("ACCESS_TOKEN", &brought.access_token), ("ROOT_URL", root_url.as_str())];
    for (name, value) in variables {
        let (begin, equals) = if csh { ("setenv", " ") } else { ("export", "=") };
        output.line(&format!("{begin} TASKCLUSTER_{name}{equals}'{value}'"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_credentials_comes_into_a_shell() {
        let brought = |client_id: &str, access_token: &str| Brought {
            client_id: client_id.into(),
            access_token: access_token.into(),
        };
        assert!(brought("mozilla-auth0/ad|Me|a@b.c/cli-1", "mFq3_x-w").is_credentials());
        for (client_id, token) in
            [("a'; rm -rf ~; '", "t"), ("a", "t'"), ("a", ""), ("", "t"), ("a\nb", "t"), ("a", "$x")]
        {
            assert!(!brought(client_id, token).is_credentials(), "{client_id} {token}");
        }
    }
}
