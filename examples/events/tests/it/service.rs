//! The service over HTTP, as a program that knows nothing of the SDK sees it.

use futures_util::{Stream, StreamExt as _};
use serde_json::json;
use service_kit::service::{self, Service as _};
use taskcluster::event_stream::Events;
use taskcluster_core::time::minutes;
use taskcluster_core::transport::http::HttpTransport;
use taskcluster_core::transport::{Body, BoxError, Transport};
use taskcluster_core::{Error, ErrorCode};
use tokio_util::task::TaskTracker;

use crate::tester::{EXCHANGE, SECRET, Tester, settings, soon};

type Pieces = std::pin::Pin<Box<dyn Stream<Item = Result<bytes::Bytes, BoxError>> + Send>>;

fn wanted(exchange: &str, pattern: &str) -> String {
    json!({ "bindings": [{ "exchange": exchange, "routingKeyPattern": pattern }] }).to_string()
}

async fn open(events: &Events, last_event_id: &str) -> Result<Pieces, Error> {
    let request = events.connect().bindings(wanted(EXCHANGE, "#")).last_event_id(last_event_id);
    Ok(soon(request.open()).await?.into_body().into_stream().boxed())
}

/// The next event: name, id, data. The service sends each in one piece.
async fn next(pieces: &mut Pieces) -> (String, String, String) {
    let piece = soon(pieces.next()).await.unwrap().unwrap();
    let text = std::str::from_utf8(&piece).unwrap();
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.strip_prefix(": ")).unwrap_or_default().to_owned()
    };
    (field("event"), field("id"), field("data"))
}

fn refused<T>(result: Result<T, Error>) -> ErrorCode {
    result.err().expect("it is refused").code().expect("with a code").clone()
}

#[tokio::test]
async fn a_listener_goes_on_after_its_last_event() {
    let tester = Tester::new().await;
    let mut pieces = open(&tester.events(), "").await.unwrap();
    let (name, _, data) = next(&mut pieces).await;
    assert_eq!((name.as_str(), data.as_str()), ("ready", "true"));
    tester.publish("1").await;
    tester.publish("2").await;
    let (name, id, data) = next(&mut pieces).await;
    assert_eq!(name, "message");
    let data: serde_json::Value = serde_json::from_str(&data).unwrap();
    let payload = json!({ "version": 1, "key": "1" });
    let expected =
        json!({ "exchange": EXCHANGE, "routingKey": "1", "cc": [], "redelivered": false, "payload": payload });
    assert_eq!(data, expected);
    drop(pieces);

    let mut pieces = open(&tester.events(), &id).await.unwrap();
    assert_eq!(next(&mut pieces).await, ("ready".to_owned(), id, "true".to_owned()));
    let (name, _, data) = next(&mut pieces).await;
    assert!(name == "message" && data.contains(r#""routingKey":"2""#), "{name} {data}");
}

#[tokio::test]
async fn an_id_of_an_earlier_life_means_that_something_may_be_lost() {
    let earlier = Tester::new().await;
    let mut pieces = open(&earlier.events(), "").await.unwrap();
    let (_, id, _) = next(&mut pieces).await;
    let tester = Tester::new().await;
    let mut pieces = open(&tester.events(), &id).await.unwrap();
    assert_eq!(next(&mut pieces).await.0, "ready");
    assert_eq!(next(&mut pieces).await.0, "lost");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let tester = Tester::with(settings(|settings| settings.bindings = 2)).await;
    let binding = json!({ "exchange": EXCHANGE, "routingKeyPattern": "#" });
    let bad = [
        String::new(),
        "exchange/a".to_owned(),
        json!({ "bindings": [] }).to_string(),
        json!({ "bindings": [binding, binding, binding] }).to_string(),
        json!({ "bindings": [binding], "more": 1 }).to_string(),
        wanted(EXCHANGE, ""),
        wanted(EXCHANGE, &"x".repeat(256)),
    ];
    for bindings in bad {
        let refusal = refused(soon(tester.events().connect().bindings(&bindings).open()).await);
        assert_eq!(refusal, ErrorCode::InvalidRequestArguments, "{bindings}");
    }
    assert_eq!(refused(soon(tester.events().connect().open()).await), ErrorCode::InvalidRequestArguments);
    assert_eq!(refused(open(&tester.events(), "7").await), ErrorCode::InvalidRequestArguments);
}

#[tokio::test]
async fn each_exchange_needs_its_scope() {
    let tester = Tester::new().await;
    let both = json!({ "bindings": [
        { "exchange": EXCHANGE, "routingKeyPattern": "#" }, { "exchange": SECRET, "routingKeyPattern": "#" },
    ] });
    let refusal = refused(soon(tester.events().connect().bindings(both).open()).await);
    assert_eq!(refusal, ErrorCode::InsufficientScopes);
    let anonymous = tester.tc().to_builder().credentials(None).build().unwrap().event_stream();
    assert_eq!(refused(open(&anonymous, "").await), ErrorCode::InsufficientScopes);
    let elsewhere = wanted("exchange/public/v1/x", "#");
    // They may, but there is no such exchange here.
    let refusal = refused(soon(anonymous.connect().bindings(elsewhere).open()).await);
    assert_eq!(refusal, ErrorCode::InputError);
}

#[tokio::test]
async fn there_is_room_for_so_many_and_who_leaves_makes_room() {
    let tester = Tester::with(settings(|settings| settings.listeners = 2)).await;
    let events = tester.events();
    let first = open(&events, "").await.unwrap();
    let _second = open(&events, "").await.unwrap();
    assert_eq!(refused(open(&events, "").await), ErrorCode::TooManyRequests);
    drop(first);
    drop(open(&events, "").await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn silence_is_broken_and_does_not_last_for_ever() {
    let tester = Tester::new().await;
    let mut pieces = open(&tester.events(), "").await.unwrap();
    let mut pings = 0;
    while let Some(piece) = pieces.next().await {
        pings += u32::from(piece.unwrap().starts_with(b"event: ping\nid: "));
    }
    // Four a minute, for an hour.
    assert!((235..=240).contains(&pings), "{pings}");
}

/// A deployment's service on a port, which runs until it is told to end.
async fn serve(tester: &Tester) -> (String, tokio::task::JoinHandle<std::io::Result<()>>) {
    let listener = service::listen("127.0.0.1:0").await.unwrap();
    let root_url = format!("http://{}", listener.local_addr().unwrap());
    let router = tester.service.router();
    let running = service::run(listener, router, Vec::new(), tester.shutdown.clone());
    (root_url, TaskTracker::new().spawn(running))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shutdown_ends_streams_instead_of_waiting_for_them() {
    let tester = Tester::new().await;
    let (root_url, running) = serve(&tester).await;
    let events = taskcluster::Taskcluster::builder(root_url.as_str())
        .credentials(taskcluster::Credentials::new("listener", "no-secret"))
        .build()
        .unwrap()
        .event_stream();
    let mut pieces = open(&events, "").await.unwrap();
    assert_eq!(next(&mut pieces).await.0, "ready");
    tester.shutdown.cancel();
    // An orderly end: after the time that requests are given, it would be a broken connection.
    while let Some(piece) = soon(pieces.next()).await {
        piece.unwrap();
    }
    soon(running).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_listens_by_a_signed_url_from_any_page() {
    let tester = Tester::new().await;
    let (root_url, running) = serve(&tester).await;
    let events = taskcluster::Taskcluster::builder(root_url.as_str())
        .credentials(taskcluster::Credentials::new("listener", "no-secret"))
        .build()
        .unwrap()
        .event_stream();
    let url = events.connect().bindings(wanted(EXCHANGE, "#")).signed_for(minutes(15)).unwrap();
    let browser = Transport::new(HttpTransport::new().unwrap());
    let connect = async |last_event_id: Option<&str>| {
        let mut request = http::Request::get(url.as_str())
            .header("accept", "text/event-stream")
            .header("origin", "https://elsewhere.example")
            .header("accept-encoding", "gzip");
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let answer = soon(browser.send(request.body(Body::empty()).unwrap())).await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["content-type"]),
            (200, &"text/event-stream".parse().unwrap())
        );
        assert_eq!(answer.headers()["access-control-allow-origin"], "*");
        assert!(answer.headers().get("content-encoding").is_none());
        answer.into_body().into_stream().boxed() as Pieces
    };
    let mut pieces = connect(None).await;
    let (_, id, _) = next(&mut pieces).await;
    drop(pieces);
    tester.publish("1").await;
    let mut pieces = connect(Some(&id)).await;
    assert_eq!(next(&mut pieces).await, ("ready".to_owned(), id, "true".to_owned()));
    assert_eq!(next(&mut pieces).await.0, "message");
    tester.shutdown.cancel();
    soon(running).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_went_away_takes_no_place() {
    let tester = Tester::new().await;
    let free = tester.service.free_places();
    let pieces = open(&tester.events(), "").await.unwrap();
    assert_eq!(tester.service.free_places(), free - 1);
    drop(pieces);
    assert_eq!(tester.service.free_places(), free);
}
