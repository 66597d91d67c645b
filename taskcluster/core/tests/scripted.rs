//! The caller over transports without a network, in virtual time where time matters.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use taskcluster_core::operation::BLOB;
use taskcluster_core::time::hours;
use taskcluster_core::transport::testing::{Answer, RecordingTransport, ScriptedTransport};
use taskcluster_core::transport::{BoxError, Stalled, TransportErrorKind, in_process};
use taskcluster_core::{
    Blob, Body, Caller, Clock, Credentials, Error, KubernetesDns, ManualClock, Method, Operation, Page, Paged, Request,
    RetryPolicy, ScopeExpression, SharedCredentials, Stability, chain,
};
use tokio::time::Instant;

static LIST: Operation = Operation {
    service: "queue",
    version: "v1",
    name: "listThings",
    method: Method::Get,
    route: "/things",
    args: &[],
    query: &["continuationToken", "limit"],
    input: None,
    output: Some("v1/list.json#"),
    scopes: None,
    idempotent: true,
    stability: Stability::Stable,
};
static REMOVE: Operation = Operation {
    name: "removeThing",
    method: Method::Delete,
    route: "/things/<name>",
    args: &["name"],
    output: None,
    ..LIST
};
static WATCH: Operation = Operation { name: "watchThings", output: Some(BLOB), ..LIST };
static POST: Operation = Operation { name: "addThing", method: Method::Post, idempotent: false, ..LIST };

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Things {
    things: Vec<u32>,
    continuation_token: Option<String>,
}

impl Page for Things {
    type Item = u32;

    fn continuation_token(&self) -> Option<&str> {
        self.continuation_token.as_deref()
    }

    fn into_items(self) -> Vec<u32> {
        self.things
    }
}

fn caller(script: &ScriptedTransport) -> Caller {
    Caller::builder("https://tc.example.com").transport(script).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_wait_that_a_service_asks_for_is_kept() {
    let busy = || Answer::error(429, "TooManyRequests", "slowly");
    let script = ScriptedTransport::new()
        .on("queue.listThings", busy().with_header("retry-after", "7"))
        .on(
            "queue.listThings",
            busy()
                .with_header("retry-after", "Thu, 01 Jan 2026 00:00:20 GMT")
                .with_header("date", "Thu, 01 Jan 2026 00:00:09 GMT"),
        )
        .on("queue.listThings", json!({}));
    let started = Instant::now();
    Request::<Value>::new(&caller(&script), &LIST, &[]).await.unwrap();
    let waited = started.elapsed();
    assert!(waited >= Duration::from_secs(18) && waited < Duration::from_secs(19), "{waited:?}");
}

#[tokio::test]
async fn the_time_of_the_services_is_learned_from_their_answers() {
    let ahead = Answer::json(200, &json!({})).with_header("date", "Thu, 01 Jan 2026 03:00:00 GMT");
    let script = ScriptedTransport::new().on("queue.listThings", ahead);
    let clock = ManualClock::default();
    let caller = caller(&script).to_builder().clock(clock.shared()).build().unwrap();
    assert_eq!(caller.service_time(), clock.now());
    Request::<Value>::new(&caller, &LIST, &[]).await.unwrap();
    clock.advance(hours(1));
    assert_eq!(caller.service_time(), clock.now() + hours(3));
}

#[tokio::test(start_paused = true)]
async fn delays_grow_until_the_retries_are_used_up() {
    let script = ScriptedTransport::new().on("queue.listThings", Answer::error(503, "", "busy"));
    let started = Instant::now();
    let error = Request::<Value>::new(&caller(&script), &LIST, &[]).await.unwrap_err();
    assert_eq!((error.api().unwrap().attempts, script.calls().len()), (6, 6));
    // 3.1 s, more or less by a quarter.
    let waited = started.elapsed();
    assert!(waited >= Duration::from_millis(2325) && waited < Duration::from_millis(3900), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn repetitions_come_out_of_one_budget_that_success_refills() {
    let busy = || Answer::error(503, "", "busy");
    let script = ScriptedTransport::new().on("queue.listThings", busy());
    let policy = RetryPolicy::default().with_budget(7).with_base(Duration::ZERO);
    let one = caller(&script).to_builder().retry(policy).build().unwrap();
    let other = one.to_builder().credentials(None).build().unwrap();
    let attempts = async |caller: &Caller| {
        let before = script.calls().len();
        let ok = Request::<Value>::new(caller, &LIST, &[]).await.is_ok();
        (script.calls().len() - before, ok)
    };
    assert_eq!(attempts(&one).await, (6, false));
    assert_eq!(attempts(&other).await, (3, false), "two repetitions were left");
    assert_eq!(attempts(&one).await, (1, false), "and then none");

    // What a call takes it gives back if it succeeds, and what succeeds at once earns a little.
    script.add("queue.listThings", json!({}));
    let end = [attempts(&one).await, attempts(&one).await, attempts(&other).await];
    assert_eq!(end.map(|(_, ok)| ok), [false, true, true], "{end:?}");
    for _ in 0..3 {
        assert_eq!(attempts(&one).await, (1, true));
    }
    let fresh = ScriptedTransport::new().on("queue.listThings", busy()).on("queue.listThings", json!({}));
    let recovered = one.to_builder().transport(&fresh).build().unwrap();
    Request::<Value>::new(&recovered, &LIST, &[]).await.unwrap();
    assert_eq!(fresh.calls().len(), 2, "five successes have earned one repetition");
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_tried_until_it_begins_and_then_left_alone() {
    let attempts = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&attempts);
    let service = tower::service_fn(move |_: http::Request<Body>| {
        let is_first = counter.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            let pieces = stream::iter([Ok(Bytes::from("ab")), Err(BoxError::from("cut"))]);
            let mut answer = http::Response::new(if is_first { Body::empty() } else { Body::from_stream(pieces) });
            *answer.status_mut() = if is_first { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
            Ok::<_, Infallible>(answer)
        }
    });
    let caller = Caller::builder("https://tc.example.com").transport(in_process(service)).build().unwrap();
    let answer = Request::<Blob>::new(&caller, &WATCH, &[]).open().await.unwrap();
    let mut pieces = answer.into_body().into_stream();
    assert_eq!(pieces.try_next().await.unwrap().unwrap(), "ab");
    pieces.try_next().await.unwrap_err();
    assert_eq!(attempts.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_counts_all_attempts_and_delays() {
    let script = ScriptedTransport::new()
        .on("queue.listThings", Answer::error(503, "", "busy"))
        .on("queue.listThings", Answer::never());
    let policy = RetryPolicy::default().with_deadline(Duration::from_secs(20));
    let caller = caller(&script).to_builder().retry(policy).build().unwrap();
    let started = Instant::now();
    let error = Request::<Value>::new(&caller, &LIST, &[]).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "queue.listThings: no answer from https://tc.example.com within 20 s (tried 2 times)"
    );
    let Error::Deadline { last: Some(last), .. } = error else { panic!("{error}") };
    assert_eq!(last.status().map(|status| status.as_u16()), Some(503));
    assert!(started.elapsed() >= Duration::from_secs(20) && started.elapsed() < Duration::from_secs(21));
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_has_the_time_that_it_needs() {
    let script = ScriptedTransport::new().on("queue.addThing", Answer::never());
    let started = Instant::now();
    let error = Request::<Value>::new(&caller(&script), &POST, &[]).await.unwrap_err();
    assert!(
        matches!(&error, Error::Transport { source, .. } if source.kind() == TransportErrorKind::Timeout),
        "{error}"
    );
    assert!(started.elapsed() >= Duration::from_secs(60));
    assert_eq!(script.calls().len(), 1, "it may have arrived");
}

#[tokio::test(start_paused = true)]
async fn what_did_not_arrive_is_sent_again_and_what_cannot_be_sent_is_not() {
    let script = ScriptedTransport::new()
        .on("queue.addThing", Answer::broken(TransportErrorKind::Connect, "refused"))
        .on("queue.addThing", json!({}));
    Request::<Value>::new(&caller(&script), &POST, &[]).with_body(&json!({})).await.unwrap();
    assert_eq!(script.calls().len(), 2);

    let script = ScriptedTransport::new().on("queue.listThings", Answer::broken(TransportErrorKind::Request, "no TLS"));
    let error = Request::<Value>::new(&caller(&script), &LIST, &[]).await.unwrap_err();
    assert_eq!(
        chain(&error).to_string(),
        "queue.listThings: no answer from https://tc.example.com: the request cannot be sent: no TLS"
    );
    assert_eq!(script.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_single_call_may_be_tried_otherwise_than_the_others() {
    let script = ScriptedTransport::new().on("queue.listThings", Answer::error(503, "", "busy"));
    let caller = caller(&script);
    let list = || Request::<Value>::new(&caller, &LIST, &[]);
    let attempts = async |request: Request<Value>| {
        let before = script.calls().len();
        request.await.unwrap_err();
        script.calls().len() - before
    };
    assert_eq!(attempts(list().retries(0)).await, 1);
    assert_eq!(attempts(list().retries(2)).await, 3);
    assert_eq!(attempts(list().retry(RetryPolicy::never())).await, 1);
    assert_eq!(attempts(list().retry(RetryPolicy::never()).retries(1)).await, 2);
    assert_eq!(attempts(list().idempotent(false)).await, 1);
    assert_eq!(attempts(list()).await, 6, "the handle is as it was");
}

#[tokio::test(start_paused = true)]
async fn a_single_call_may_have_its_own_time() {
    let script = ScriptedTransport::new().on("queue.listThings", Answer::never());
    let caller = caller(&script);
    let list = || Request::<Value>::new(&caller, &LIST, &[]);
    let started = Instant::now();
    let error = list().deadline(Duration::from_secs(2)).await.unwrap_err();
    assert!(matches!(error, Error::Deadline { after, .. } if after == Duration::from_secs(2)), "{error}");
    assert!(started.elapsed() < Duration::from_secs(3));
    let error = list().attempt_timeout(Duration::from_secs(1)).retries(1).await.unwrap_err();
    assert!(matches!(error, Error::Transport { attempts: 2, .. }), "{error}");
    assert!(chain(&error).to_string().ends_with("nothing within 1 s"), "{}", chain(&error));
}

#[tokio::test(start_paused = true)]
async fn who_knows_that_a_call_may_be_repeated_says_so() {
    let script = ScriptedTransport::new()
        .on("queue.addThing", Answer::error(503, "", "busy"))
        .on("queue.addThing", Answer::broken(TransportErrorKind::Interrupted, "gone"))
        .on("queue.addThing", json!({}));
    let add = || Request::<Value>::new(&caller(&script), &POST, &[]).with_body(&json!({}));
    add().await.unwrap_err();
    assert_eq!(script.calls().len(), 1);
    add().idempotent(true).await.unwrap();
    assert_eq!(script.calls().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn each_page_of_a_list_is_tried_as_the_list_says() {
    let script = ScriptedTransport::new()
        .on("queue.listThings", json!({ "things": [1], "continuationToken": "a" }))
        .on("queue.listThings", Answer::error(503, "", "busy"));
    let things = Paged::<Things>::new(&caller(&script), &LIST, &[]).retries(1);
    let things: Vec<_> = things.stream().collect().await;
    assert!(matches!(&things[..], [Ok(1), Err(Error::Api(_))]), "{things:?}");
    assert_eq!(script.calls().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_falls_silent_ends_with_an_error() {
    let service = tower::service_fn(|_: http::Request<Body>| async {
        let pieces = stream::iter([Ok::<_, BoxError>(Bytes::from("ab"))]).chain(stream::pending());
        Ok::<_, Infallible>(http::Response::new(Body::from_stream(pieces)))
    });
    let caller = Caller::builder("https://tc.example.com").transport(in_process(service)).build().unwrap();
    let watch = || Request::<Blob>::new(&caller, &WATCH, &[]);
    for (request, seconds) in [(watch(), 60), (watch().stall_timeout(Duration::from_secs(5)), 5)] {
        let mut pieces = request.open().await.unwrap().into_body().into_stream();
        assert_eq!(pieces.try_next().await.unwrap().unwrap(), "ab");
        let started = Instant::now();
        let error = pieces.try_next().await.unwrap_err();
        let after = Duration::from_secs(seconds);
        assert_eq!(error.downcast_ref(), Some(&Stalled { after }));
        assert!(started.elapsed() >= after && started.elapsed() < after * 2);
        assert!(pieces.next().await.is_none());
    }
}

#[tokio::test]
async fn services_are_called_where_they_are_found() {
    let script = ScriptedTransport::new().on("queue.listThings", json!({}));
    let builder = || Caller::builder("https://tc.example.com").discovery(KubernetesDns::new()).transport(&script);
    let call = async |caller: Caller| {
        Request::<Value>::new(&caller, &LIST, &[]).await.unwrap();
        script.calls().pop().unwrap().origin
    };
    assert_eq!(call(builder().build().unwrap()).await, "http://taskcluster-queue");
    let copied = builder().build().unwrap().to_builder().build().unwrap();
    assert_eq!(call(copied).await, "http://taskcluster-queue");
    assert_eq!(call(builder().proxy("http://taskcluster").build().unwrap()).await, "http://taskcluster");
    let elsewhere = builder().discovery(|_: &str| None);
    assert_eq!(call(elsewhere.build().unwrap()).await, "https://tc.example.com");
}

#[tokio::test]
async fn all_items_of_all_pages_come_in_order() {
    let script = ScriptedTransport::new()
        .on("queue.listThings", json!({ "things": [1, 2], "continuationToken": "a b" }))
        .on("queue.listThings", json!({ "things": [], "continuationToken": "c" }))
        .on("queue.listThings", json!({ "things": [3] }));
    let caller = caller(&script);
    let list = || Paged::<Things>::new(&caller, &LIST, &[]).query("filter", "f").limit(2);
    let things: Vec<u32> = list().stream().try_collect().await.unwrap();
    assert_eq!(things, [1, 2, 3]);
    let queries: Vec<String> = script.calls().into_iter().map(|call| call.query).collect();
    let expected =
        ["filter=f&limit=2", "filter=f&limit=2&continuationToken=a%20b", "filter=f&limit=2&continuationToken=c"];
    assert_eq!(queries, expected);

    let page = list().continuation_token("c").await.unwrap();
    assert_eq!(page.things, [3]);
    assert_eq!(script.calls()[3].query, "filter=f&limit=2&continuationToken=c");
}

#[tokio::test]
async fn pages_are_fetched_only_when_they_are_asked_for() {
    let script = ScriptedTransport::new().on("queue.listThings", json!({ "things": [1, 2], "continuationToken": "a" }));
    let caller = caller(&script);
    let mut things = Paged::<Things>::new(&caller, &LIST, &[]).stream();
    assert!(script.calls().is_empty());
    assert_eq!(things.next().await.unwrap().unwrap(), 1);
    assert_eq!(things.next().await.unwrap().unwrap(), 2);
    assert_eq!(script.calls().len(), 1);
}

#[tokio::test]
async fn a_list_that_goes_round_in_circles_ends_with_an_error() {
    let script = ScriptedTransport::new()
        .on("queue.listThings", json!({ "things": [1], "continuationToken": "a" }))
        .on("queue.listThings", json!({ "things": [2], "continuationToken": "b" }))
        .on("queue.listThings", json!({ "things": [3], "continuationToken": "a" }));
    let things: Vec<_> = Paged::<Things>::new(&caller(&script), &LIST, &[]).stream().collect().await;
    assert_eq!(things.len(), 3);
    assert!(matches!(&things[2], Err(Error::DuplicateToken { token, .. }) if token == "a"), "{things:?}");
}

#[tokio::test]
async fn an_error_ends_a_list() {
    let script = ScriptedTransport::new()
        .on("queue.listThings", json!({ "things": [1], "continuationToken": "a" }))
        .on("queue.listThings", Answer::error(403, "InsufficientScopes", "missing\n\n```\nqueue:list\n```\n"));
    let things: Vec<_> = Paged::<Things>::new(&caller(&script), &LIST, &[]).stream().collect().await;
    let [Ok(1), Err(error)] = things.as_slice() else { panic!("{things:?}") };
    assert_eq!(error.api().unwrap().missing_scopes, Some(ScopeExpression::Scope("queue:list".into())));
}

#[tokio::test]
async fn a_method_without_an_output_gives_nothing_whatever_comes() {
    let script = ScriptedTransport::new()
        .on("queue.removeThing", Answer::no_content())
        .on("queue.removeThing", json!({ "surprise": true }));
    let caller = caller(&script);
    for _ in 0..2 {
        let () = Request::new(&caller, &REMOVE, &[&"a b"]).await.unwrap();
    }
    assert_eq!(script.calls()[0].path, "/api/queue/v1/things/a%20b");
    let raw = Request::<()>::new(&caller, &REMOVE, &[&"a"]).raw().await.unwrap();
    assert_eq!(raw, r#"{"surprise":true}"#);
}

#[tokio::test]
async fn what_is_wrong_before_sending_is_said_when_sending() {
    let script = ScriptedTransport::new();
    let caller = caller(&script);
    let error = Request::<()>::new(&caller, &REMOVE, &[&".."]).await.unwrap_err();
    assert!(matches!(error, Error::Config { .. }), "{error}");
    let unwritable = std::collections::BTreeMap::from([((1, 2), 3)]);
    let error = Request::<Value>::new(&caller, &POST, &[]).with_body(&unwritable).await.unwrap_err();
    assert!(error.to_string().starts_with("queue.addThing: the body cannot be written as JSON"), "{error}");
    let list: Vec<_> = Paged::<Things>::new(&caller, &REMOVE, &[]).stream().collect().await;
    assert!(matches!(list.as_slice(), [Err(Error::Config { .. })]), "{list:?}");
    assert!(script.calls().is_empty());
}

#[tokio::test]
async fn replaced_credentials_sign_the_next_call() {
    let script = ScriptedTransport::new().on("queue.listThings", json!({}));
    let shared = SharedCredentials::new(Credentials::new("task/0", "old"));
    let caller = caller(&script).to_builder().provider(shared.clone()).authorized_scopes(["a"]).build().unwrap();
    Request::<Value>::new(&caller, &LIST, &[]).await.unwrap();
    shared.replace(Credentials::new("task/1", "new"));
    Request::<Value>::new(&caller, &LIST, &[]).await.unwrap();
    shared.clear();
    Request::<Value>::new(&caller, &LIST, &[]).await.unwrap();
    let signed: Vec<Option<String>> = script
        .calls()
        .iter()
        .map(|call| Some(call.headers.get("authorization")?.to_str().unwrap().split('"').nth(1)?.to_owned()))
        .collect();
    assert_eq!(signed, [Some("task/0".to_owned()), Some("task/1".to_owned()), None]);
    assert!(!format!("{shared:?} {caller:?}").contains("new"));
}

#[test]
fn what_cannot_work_is_refused_when_building() {
    let script = ScriptedTransport::new();
    let builder = || Caller::builder("https://tc.example.com").transport(&script);
    for (result, message) in [
        (
            Caller::builder("tc.example.com").transport(&script).build(),
            "the root URL cannot be used: 'tc.example.com' is not",
        ),
        (builder().proxy("ftp://x").build(), "the URL of the proxy cannot be used: 'ftp://x/' is not"),
        (builder().credentials(Credentials::new("a\"b", "t")).build(), "cannot sign as 'a\\\"b'"),
        (builder().user_agent("a\nb").build(), "bad user agent"),
        (builder().trace_id("a\nb").build(), "bad trace id"),
    ] {
        let error = chain(&result.unwrap_err()).to_string();
        assert!(error.starts_with(message), "{error}");
    }
    let caller = builder().credentials(Credentials::new("me", "hunter2")).build().unwrap();
    assert!(!format!("{caller:?} {:?}", caller.credentials()).contains("hunter2"));
}

#[tokio::test]
async fn a_signed_url_needs_somebody_who_signs() {
    let script = ScriptedTransport::new();
    let anonymous = caller(&script);
    let error = Request::<Value>::new(&anonymous, &LIST, &[]).signed_for(hours(1)).unwrap_err();
    assert_eq!(error.to_string(), "queue.listThings: cannot sign a URL: there are no credentials");
    let url = Request::<Value>::new(&anonymous, &LIST, &[]).query("a", "b c").url().unwrap();
    assert_eq!(url.as_str(), "https://tc.example.com/api/queue/v1/things?a=b%20c");
    let me = anonymous.to_builder().credentials(Credentials::new("me", "t")).build().unwrap();
    let error = Request::<Value>::new(&me, &POST, &[]).signed_for(hours(1)).unwrap_err();
    assert!(error.to_string().contains("only GET"), "{error}");
}

#[tokio::test]
async fn a_recording_can_be_played_again() {
    let script = ScriptedTransport::new()
        .on("queue.listThings", Answer::from_call(|call| json!({ "query": call.query_value("q") }).into()));
    let recorder = RecordingTransport::new(&script);
    let live = caller(&script).to_builder().transport(&recorder).build().unwrap();
    let first: Value = Request::new(&live, &LIST, &[]).query("q", "a&b").await.unwrap();
    assert_eq!(first, json!({ "query": "a&b" }));
    assert_eq!((recorder.recorded().len(), recorder.recorded()[0].call.name()), (1, "queue.listThings".to_owned()));

    let again: Value = Request::new(&caller(&recorder.script()), &LIST, &[]).await.unwrap();
    assert_eq!(again, first);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_nobody_scripted_is_named() {
    let script = ScriptedTransport::new().on("GET /api/queue/v1/things", json!([1]));
    let caller = caller(&script);
    assert_eq!(Request::<Value>::new(&caller, &LIST, &[]).await.unwrap(), json!([1]));
    let error = Request::<Value>::new(&caller, &POST, &[]).await.unwrap_err();
    let error = chain(&error).to_string();
    assert!(error.contains("no answer for queue.addThing POST /api/queue/v1/things"), "{error}");
}
