//! The repository, read-only over smart HTTP, for the tasks of a run.
//!
//! Two routes of git's protocol answer by `git upload-pack --stateless-rpc`: what refs there are, and a pack for what
//! a client wants. So a clone, a fetch of any commit and shallow or partial fetches work; a push finds no route.
//! The names in the path are not looked at: there is one repository.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use serde::Deserialize;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, ChildStdin, Command};
use tokio_util::io::ReaderStream;

use crate::repository;

/// Largest list of wants and haves that is read, after decompression.
const MAX_REQUEST: usize = 64 << 20;

/// What every `upload-pack` is told: any commit may be asked for, whether or not a branch names it.
const SETTINGS: [&str; 4] = ["-c", "uploadpack.allowAnySHA1InWant=true", "-c", "uploadpack.allowFilter=true"];

/// Serves the repository at `root` below `/git/<owner>/<name>.git`.
pub(crate) fn router(root: &Path) -> Router {
    Router::new()
        .route("/git/{owner}/{name}/info/refs", get(refs))
        .route("/git/{owner}/{name}/git-upload-pack", post(pack))
        .layer(DefaultBodyLimit::max(MAX_REQUEST))
        .with_state(Arc::new(Served { root: root.to_owned() }))
}

#[derive(Debug)]
struct Served {
    root: PathBuf,
}

#[derive(Deserialize)]
struct RefsQuery {
    service: Option<String>,
}

async fn refs(State(served): State<Arc<Served>>, Query(query): Query<RefsQuery>, headers: HeaderMap) -> Response {
    match query.service.as_deref() {
        Some("git-upload-pack") => {}
        Some(_) => return (StatusCode::FORBIDDEN, "this repository is read-only\n").into_response(),
        None => return (StatusCode::FORBIDDEN, "this server speaks git's smart protocol only\n").into_response(),
    }
    // A pkt-line names the service, a flush packet ends the line.
    let preamble = Bytes::from_static(b"001e# service=git-upload-pack\n0000");
    match served.upload_pack(&headers, &["--advertise-refs"]) {
        Ok(child) => answer("application/x-git-upload-pack-advertisement", preamble, child, Bytes::new()),
        Err(error) => unavailable(&error),
    }
}

async fn pack(State(served): State<Arc<Served>>, headers: HeaderMap, body: Bytes) -> Response {
    let body = match plain(&headers, body) {
        Ok(body) => body,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("cannot read the request: {error}\n")).into_response(),
    };
    match served.upload_pack(&headers, &[]) {
        Ok(child) => answer("application/x-git-upload-pack-result", Bytes::new(), child, body),
        Err(error) => unavailable(&error),
    }
}

impl Served {
    fn upload_pack(&self, headers: &HeaderMap, options: &[&str]) -> io::Result<Child> {
        let mut command = Command::from(repository::command(&self.root));
        command.args(SETTINGS).args(["upload-pack", "--stateless-rpc"]).args(options).arg(&self.root);
        if let Some(version) = headers.get("git-protocol").and_then(|value| value.to_str().ok()) {
            command.env("GIT_PROTOCOL", version);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true).spawn()
    }
}

/// Streams what the process says while it is fed the request: neither side may wait for the other to finish.
fn answer(content_type: &'static str, preamble: Bytes, mut child: Child, request: Bytes) -> Response {
    let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return unavailable(&io::Error::other("git has no pipes"));
    };
    let fed = stream::once(feed(stdin, request)).filter_map(|fed| async { fed.err().map(Err) });
    let ended = stream::once(async move { child.wait().await }).filter_map(|status| async {
        match status {
            Ok(status) if status.success() => None,
            Ok(status) => Some(Err(io::Error::other(format!("git upload-pack ended with {status}")))),
            Err(error) => Some(Err(error)),
        }
    });
    let said = stream::select(fed, ReaderStream::new(stdout));
    let body = stream::iter((!preamble.is_empty()).then_some(Ok(preamble))).chain(said).chain(ended);
    let headers = [(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, "no-cache")];
    (headers, Body::from_stream(body)).into_response()
}

async fn feed(mut stdin: ChildStdin, request: Bytes) -> io::Result<()> {
    match stdin.write_all(&request).await {
        // It may have heard enough before the end.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// git compresses what it sends once it has much to say.
fn plain(headers: &HeaderMap, body: Bytes) -> io::Result<Bytes> {
    match headers.get(header::CONTENT_ENCODING).map(|value| value.as_bytes()) {
        None | Some(b"identity") => Ok(body),
        Some(b"gzip" | b"x-gzip") => {
            let mut out = Vec::new();
            flate2::read::GzDecoder::new(&body[..]).take(MAX_REQUEST as u64 + 1).read_to_end(&mut out)?;
            if out.len() > MAX_REQUEST { Err(io::Error::other("it is too large")) } else { Ok(out.into()) }
        }
        Some(_) => Err(io::Error::other("its encoding is not known")),
    }
}

fn unavailable(error: &io::Error) -> Response {
    tracing::warn!(%error, "cannot start git upload-pack");
    (StatusCode::INTERNAL_SERVER_ERROR, "cannot start git\n").into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    /// Serves a repository while `client` runs git commands against its URL.
    fn served(fixture: &Fixture, client: impl FnOnce(&str) + Send + 'static) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}/git/local/x.git", listener.local_addr().unwrap());
            let server = axum::serve(listener, router(fixture.path()));
            tokio::select! {
                ended = server.into_future() => panic!("the server ended: {ended:?}"),
                done = tokio::task::spawn_blocking(move || client(&url)) => done.unwrap(),
            }
        });
    }

    #[test]
    fn a_clone_and_a_later_fetch_get_the_commits() {
        let fixture = Fixture::new();
        fixture.commit("first", &[("a", "1"), ("b", "1")]);
        let client = Fixture::new();
        let second = std::sync::Arc::new(fixture);
        let server = std::sync::Arc::clone(&second);
        served(&server, move |url| {
            client.git(&["clone", "-q", url, "copy"]);
            let copy = client.path().join("copy");
            assert_eq!(std::fs::read_to_string(copy.join("a")).unwrap(), "1");
            let newer = second.commit("second", &[("a", "2")]);
            // A commit that no branch names any more.
            second.git(&["reset", "-q", "--hard", "HEAD~1"]);
            client.git(&["-C", "copy", "fetch", "-q", url, &newer]);
            client.git(&["-C", "copy", "checkout", "-q", "--detach", &newer]);
            assert_eq!(std::fs::read_to_string(copy.join("a")).unwrap(), "2");
        });
    }

    #[test]
    fn a_shallow_fetch_gets_one_commit() {
        let fixture = Fixture::new();
        for n in 0..40 {
            fixture.commit(&format!("commit {n}"), &[("a", &n.to_string())]);
        }
        let client = Fixture::new();
        served(&fixture, move |url| {
            client.git(&["fetch", "-q", "--depth", "1", url, "refs/heads/main"]);
            assert_eq!(client.git(&["rev-list", "--count", "FETCH_HEAD"]), "1");
            client.git(&["fetch", "-q", "--unshallow", url, "refs/heads/main"]);
            assert_eq!(client.git(&["rev-list", "--count", "FETCH_HEAD"]), "40");
        });
    }

    #[test]
    fn a_compressed_request_is_read_up_to_the_limit() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, b"0011want something").unwrap();
        let body = Bytes::from(encoder.finish().unwrap());
        let headers = |encoding: &str| HeaderMap::from_iter([(header::CONTENT_ENCODING, encoding.parse().unwrap())]);
        assert_eq!(plain(&headers("gzip"), body.clone()).unwrap(), "0011want something");
        assert_eq!(plain(&HeaderMap::new(), body.clone()).unwrap(), body);
        assert!(plain(&headers("br"), body).is_err());
        assert!(plain(&headers("gzip"), Bytes::from_static(b"not gzip")).is_err());
    }

    #[test]
    fn a_push_is_refused() {
        let fixture = Fixture::new();
        let head = fixture.commit("first", &[("a", "1")]);
        let client = Fixture::new();
        served(&fixture, move |url| {
            client.commit("other", &[("a", "2")]);
            let output =
                repository::command(client.path()).args(["push", url, "HEAD:refs/heads/other"]).output().unwrap();
            assert!(!output.status.success());
        });
        assert_eq!(fixture.git(&["for-each-ref", "--format=%(objectname)"]), head);
    }
}
