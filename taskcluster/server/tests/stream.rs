//! An answer that goes on while the caller listens: the generated trait of events, over real sockets, to its generated client.
#![cfg(feature = "event_stream")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use taskcluster::event_stream::Events;
use taskcluster_core::clock::SystemClock;
use taskcluster_core::scopes::Params;
use taskcluster_core::time::minutes;
use taskcluster_core::transport::{Body, BoxError};
use taskcluster_core::{Caller, Credentials, ErrorCode, RetryPolicy};
use taskcluster_server::authenticator::Fixed;
use taskcluster_server::event_stream::{ConnectQuery, EventsApi, router};
use taskcluster_server::{Call, Failure, Parts, References, Reply, ServiceRouter, async_trait, site};
use tokio::sync::mpsc;

type Pieces = mpsc::Receiver<Result<Bytes, BoxError>>;

/// Sends on to the one listener what the test sends to it.
struct Relay(Mutex<Option<Pieces>>);

#[async_trait]
impl EventsApi for Relay {
    async fn connect(&self, call: &Call, query: ConnectQuery) -> Result<Reply<Body>, Failure> {
        let exchange = query.bindings.unwrap_or_default();
        call.authorize(Params::new().list("exchanges", [exchange])).await?;
        let pieces = self.0.lock().unwrap().take().ok_or_else(|| Failure::not_found("There was a listener."))?;
        let stream = futures_util::stream::unfold(pieces, |mut pieces| async { Some((pieces.recv().await?, pieces)) });
        Ok(Reply::new(Body::from_stream(stream)).with_header("content-type", "text/event-stream"))
    }
}

/// A client of a relay, and the sender of its pieces.
async fn start() -> (Events, mpsc::Sender<Result<Bytes, BoxError>>) {
    let (sender, pieces) = mpsc::channel(8);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let root_url = format!("http://{}", listener.local_addr().unwrap());
    let parts = Parts {
        root_url: root_url.clone(),
        authenticator: Arc::new(Fixed::new("listener", ["events:listen:exchange/*"])),
        clock: SystemClock::shared(),
        references: References::embedded(),
        version: "0".into(),
    };
    let service = ServiceRouter::new(router(Arc::new(Relay(Mutex::new(Some(pieces))))), parts).unwrap();
    tokio::spawn(axum::serve(listener, site([service])).into_future());
    let credentials = Credentials::new("listener", "no-secret");
    let caller = Caller::builder(root_url.as_str()).credentials(credentials).retry(RetryPolicy::never());
    (Events::new(caller.build().unwrap()), sender)
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("it did not happen within a minute")
}

async fn next(pieces: &mut (impl Stream<Item = Result<Bytes, BoxError>> + Unpin)) -> Option<Bytes> {
    soon(pieces.next()).await.map(|piece| piece.unwrap())
}

#[tokio::test]
async fn a_listener_hears_each_piece_when_it_is_sent() {
    let (events, sender) = start().await;
    let answer = soon(events.connect().bindings("exchange/a").open()).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut pieces = answer.into_body().into_stream();
    // The second is not even sent before the first was heard.
    for piece in ["event: ready\n\n", "event: message\n\n"] {
        sender.send(Ok(Bytes::from(piece))).await.unwrap();
        assert_eq!(next(&mut pieces).await.unwrap(), piece);
    }
    // The service notices that nobody listens any more.
    drop(pieces);
    soon(sender.closed()).await;
}

#[tokio::test]
async fn the_end_and_a_break_can_be_told_apart() {
    let (events, sender) = start().await;
    let mut pieces = soon(events.connect().bindings("exchange/a").open()).await.unwrap().into_body().into_stream();
    sender.send(Ok(Bytes::from("last"))).await.unwrap();
    drop(sender);
    assert_eq!(next(&mut pieces).await.unwrap(), "last");
    assert_eq!(next(&mut pieces).await, None);

    let (events, sender) = start().await;
    let mut pieces = soon(events.connect().bindings("exchange/a").open()).await.unwrap().into_body().into_stream();
    sender.send(Ok(Bytes::from("half"))).await.unwrap();
    assert_eq!(next(&mut pieces).await.unwrap(), "half");
    sender.send(Err("the service fails".into())).await.unwrap();
    assert!(soon(pieces.next()).await.unwrap().is_err());
}

#[tokio::test]
async fn a_refusal_is_an_error_before_any_stream() {
    let (events, _sender) = start().await;
    let refused = soon(events.connect().bindings("somewhere/else").open()).await.unwrap_err();
    assert_eq!(refused.code(), Some(&ErrorCode::InsufficientScopes), "{refused}");
}

#[tokio::test]
async fn a_short_stream_can_be_taken_whole_and_its_url_be_signed() {
    let (events, sender) = start().await;
    sender.send(Ok(Bytes::from("a"))).await.unwrap();
    sender.send(Ok(Bytes::from("b"))).await.unwrap();
    drop(sender);
    assert_eq!(&*soon(events.connect().bindings("exchange/a").into_future()).await.unwrap(), b"ab");
    let url = events.connect().bindings("exchange/a").last_event_id("7").signed_for(minutes(5)).unwrap();
    assert_eq!(url.path(), "/api/events/v1/connect/");
    assert!(url.query().unwrap().starts_with("bindings=exchange%2Fa&lastEventId=7&bewit="), "{url}");
}
