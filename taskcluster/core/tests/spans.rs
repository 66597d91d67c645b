//! What a call tells the program's log, and with the feature `opentelemetry` the service: a call is a span, and part of a trace.

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

/// Somebody whose first attempt fails.
fn refused_once() -> (ScriptedTransport, Caller) {
    let script = ScriptedTransport::new()
        .on("queue.status", Answer::error(500, "InternalServerError", "once"))
        .on("queue.status", json!({ "status": {} }));
    let caller = Caller::builder("https://tc.example.com")
        .credentials(Credentials::new("me", "hunter2"))
        .retry(RetryPolicy::default().with_base(Duration::from_millis(1)))
        .transport(&script)
        .build()
        .unwrap();
    (script, caller)
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

    let (script, caller) = refused_once();
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

#[cfg(feature = "opentelemetry")]
#[tokio::test]
async fn a_call_carries_the_trace_that_it_is_part_of() {
    use opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
    use tracing::Instrument as _;
    use tracing::level_filters::LevelFilter;
    use tracing_opentelemetry::OpenTelemetrySpanExt as _;
    use tracing_subscriber::layer::SubscriberExt as _;

    opentelemetry::global::set_text_map_propagator(opentelemetry_sdk::propagation::TraceContextPropagator::new());
    // At `INFO` the call has no span of its own, and is part of the one around it all the same.
    for level in [LevelFilter::TRACE, LevelFilter::INFO] {
        let tracer = opentelemetry_sdk::trace::SdkTracerProvider::builder().build().tracer("test");
        let layer = tracing_opentelemetry::layer().with_tracer(tracer);
        let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(level).with(layer));

        let (script, caller) = refused_once();
        let outer = tracing::info_span!("outer");
        let trace = outer.context().span().span_context().trace_id().to_string();
        Request::<serde_json::Value>::new(&caller, &STATUS, &[&"some-task"]).send().instrument(outer).await.unwrap();

        let calls = script.calls();
        let sent: Vec<_> = calls.iter().map(|call| call.headers.get("traceparent")).collect();
        let expected = format!("00-{trace}-");
        let fits = |sent: &Option<&http::HeaderValue>| {
            sent.is_some_and(|sent| sent.as_bytes().starts_with(expected.as_bytes()))
        };
        assert!(sent.len() == 2 && sent.iter().all(fits), "{level}: {sent:?} of {trace}");
    }
}
