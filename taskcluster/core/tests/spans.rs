//! What a call tells the program's log.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use taskcluster_core::transport::testing::{Answer, ScriptedTransport};
use taskcluster_core::{Caller, Credentials, Method, Operation, Request, RetryPolicy, Stability};
use tracing_subscriber::fmt::format::FmtSpan;

static STATUS: Operation = Operation {
    service: "queue",
    version: "v1",
    name: "status",
    method: Method::Get,
    route: "/task/<taskId>/status",
    args: &["taskId"],
    query: &[],
    input: None,
    output: Some("v1/task-status-response.json#"),
    scopes: None,
    idempotent: true,
    stability: Stability::Stable,
};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_call_is_a_span_that_says_what_came_of_it_and_no_secret() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(FmtSpan::CLOSE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let script = ScriptedTransport::new()
        .on("queue.status", Answer::error(500, "InternalServerError", "once"))
        .on("queue.status", json!({ "status": {} }));
    let caller = Caller::builder("https://tc.example.com")
        .credentials(Credentials::new("me", "hunter2"))
        .retry(RetryPolicy::default().with_base(Duration::from_millis(1)))
        .transport(&script)
        .build()
        .unwrap();
    Request::<serde_json::Value>::new(&caller, &STATUS, &[&"some-task"]).send().await.unwrap();

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let closed = log.lines().find(|line| line.contains("close")).unwrap_or_else(|| panic!("no end in {log}"));
    for said in [r#"service="queue""#, r#"method="status""#, "attempts=1", "attempts=2", "status=500", "status=200"] {
        assert!(closed.contains(said), "{said} is not in {closed}");
    }
    let sent = script.calls()[1].headers["authorization"].to_str().unwrap().to_owned();
    let mac = sent.split("mac=").nth(1).unwrap().trim_matches('"');
    assert!(!log.contains("hunter2") && !log.contains(mac), "{log}");
}
