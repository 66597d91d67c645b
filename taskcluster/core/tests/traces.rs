//! A call is a span, and the service is told which.

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde_json::json;
use taskcluster_core::transport::testing::{Answer, ScriptedTransport};
use taskcluster_core::{Caller, Credentials, Method, Operation, Request, RetryPolicy, Stability};
use tracing::Instrument as _;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::layer::SubscriberExt as _;

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

#[tokio::test]
async fn a_call_carries_the_trace_that_it_is_part_of() {
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let tracer = SdkTracerProvider::builder().build().tracer("test");
    let subscriber = tracing_subscriber::registry().with(tracing_opentelemetry::layer().with_tracer(tracer));
    let _guard = tracing::subscriber::set_default(subscriber);

    let script = ScriptedTransport::new()
        .on("queue.status", Answer::error(500, "InternalServerError", "once"))
        .on("queue.status", json!({ "status": {} }));
    let caller = Caller::builder("https://tc.example.com")
        .credentials(Credentials::new("me", "hunter2"))
        .retry(RetryPolicy::default().with_base(std::time::Duration::from_millis(1)))
        .transport(&script)
        .build()
        .unwrap();
    let outer = tracing::info_span!("outer");
    let trace = opentelemetry::trace::TraceContextExt::span(&outer.context()).span_context().trace_id().to_string();
    Request::<serde_json::Value>::new(&caller, &STATUS, &[&"some-task"]).send().instrument(outer).await.unwrap();

    let calls = script.calls();
    let sent: Vec<&str> = calls.iter().map(|call| call.headers["traceparent"].to_str().unwrap()).collect();
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|sent| sent.starts_with(&format!("00-{trace}-"))), "{sent:?} of {trace}");
}
