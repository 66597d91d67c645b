//! Every method of the references, called.

use std::io;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use clap::Parser as _;
use serde_json::{Value, json};
use taskcluster::Taskcluster;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::args::{Cli, Command};

const SLUGID: &str = "fN1SbArXTPSVFNUvaOlinQ";

/// What arrived: method, path and query.
type Log = Arc<Mutex<Vec<(String, String, Option<String>)>>>;

/// A server that answers `{}` to everything and says what it was asked.
async fn recorder() -> (String, Log, JoinSet<io::Result<()>>) {
    let log = Log::default();
    let kept = Arc::clone(&log);
    let router = Router::new().fallback(move |request: Request| async move {
        let uri = request.uri();
        let call = (request.method().to_string(), uri.path().to_owned(), uri.query().map(str::to_owned));
        kept.lock().unwrap().push(call);
        axum::Json(json!({}))
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut serving = JoinSet::new();
    serving.spawn(async move { axum::serve(listener, router).await });
    (format!("http://{address}"), log, serving)
}

/// The references as they are published, not as the generator understands them.
fn references() -> Vec<Value> {
    let files = taskcluster_api_references::FILES.iter().filter(|(name, _)| name.ends_with("/api.json"));
    files.map(|(_, text)| serde_json::from_str(text).unwrap()).collect()
}

fn texts<'a>(entry: &'a Value, list: &str) -> Vec<&'a str> {
    entry[list].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// A value that an argument of this name takes, and how it is written in a URL.
fn value(name: &str) -> (&'static str, &'static str) {
    match name {
        "taskId" | "taskGroupId" | "taskGraphId" => (SLUGID, SLUGID),
        "runId" | "limit" => ("17", "17"),
        "quarantined" | "includeArchived" => ("true", "true"),
        _ => ("a/b c&ü", "a%2Fb%20c%26%C3%BC"),
    }
}

#[tokio::test]
async fn every_method_is_a_command_that_calls_it() {
    let (root_url, log, _serving) = recorder().await;
    let tc = Taskcluster::builder(root_url.as_str()).build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("answer.json");
    let mut calls = 0;
    for reference in references() {
        let service = reference["serviceName"].as_str().unwrap();
        for entry in reference["entries"].as_array().unwrap() {
            let name = entry["name"].as_str().unwrap();
            let mut line = vec!["taskcluster", "api", service, name, "--output", file.to_str().unwrap()];
            let (arguments, query) = (texts(entry, "args"), texts(entry, "query"));
            line.extend(arguments.iter().map(|argument| value(argument).0));
            let flags: Vec<String> = query.iter().map(|name| format!("--{name}")).collect();
            for (name, flag) in query.iter().zip(&flags) {
                line.extend([flag, value(name).0]);
            }
            if entry["input"].is_string() {
                line.extend(["--body", "{}", "--no-check"]);
            }
            let cli = Cli::try_parse_from(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
            let Command::Api(invocation) = cli.command else { panic!("{line:?} is another command") };
            let body = invocation.body().unwrap();
            invocation.carry_out(&tc, body.as_deref()).await.unwrap_or_else(|error| panic!("{line:?}: {error:?}"));

            let route = arguments.iter().fold(entry["route"].as_str().unwrap().to_owned(), |route, argument| {
                route.replace(&format!("<{argument}>"), value(argument).1)
            });
            let path = format!("/api/{service}/{}{route}", reference["apiVersion"].as_str().unwrap());
            let method = entry["method"].as_str().unwrap().to_ascii_uppercase();
            let pairs: Vec<String> = query.iter().map(|name| format!("{name}={}", value(name).1)).collect();
            let (did, at, with) = log.lock().unwrap().pop().expect("it was called");
            let mut asked: Vec<&str> = with.iter().flat_map(|query| query.split('&')).collect();
            asked.sort_unstable();
            assert_eq!((did, at), (method, path), "{line:?}");
            assert_eq!(asked, pairs, "{line:?}");
            assert_eq!(std::fs::read_to_string(&file).unwrap(), "{}\n", "{line:?}");
            assert!(log.lock().unwrap().is_empty(), "{line:?} calls more than once");
            std::fs::remove_file(&file).unwrap();
            calls += 1;
        }
    }
    assert!(calls > 200, "only {calls} methods");
}

/// The method is also found as it is called in the shells of other clients, and with dashes.
#[test]
fn names_with_dashes_and_those_of_other_clients_are_understood() {
    for line in [
        &["taskcluster", "api", "queue", "list-task-group", SLUGID, "--continuation-token", "x"][..],
        &["taskcluster", "api", "workerManager", "listProviders"],
        &["taskcluster", "api", "purgeCache", "all-purge-requests", "--limit", "3"],
    ] {
        Cli::try_parse_from(line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
    }
    for line in [
        &["taskcluster", "api", "queue", "status", "nonsense"][..],
        &["taskcluster", "api", "queue", "listTaskGroup", SLUGID, "--limit", "many"],
        &["taskcluster", "api", "queue", "status"],
        &["taskcluster", "api", "queue", "nothing"],
        &["taskcluster", "api", "queue", "cancelTask", SLUGID, "--signed-url"],
    ] {
        let error = Cli::try_parse_from(line).expect_err("it is bad use");
        assert_eq!(error.exit_code(), 2, "{line:?}");
    }
}
