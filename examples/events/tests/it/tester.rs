//! A service for one test, and a connection to it that can be made to misbehave.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt as _;
use http::{Request, Response};
use service_kit::frame::Frame;
use service_kit::service::{Loops, Service as _};
use taskcluster::Taskcluster;
use taskcluster::event_stream::Events;
use taskcluster::events::{Binding, Bus as _, BusError, MemoryBus, Message, SseBus, Subscription};
use taskcluster_core::transport::{self, Body, BoxError, Transport, TransportError, TransportErrorKind};
use taskcluster_core::{Credentials, RetryPolicy};
use taskcluster_events::{EventsService, Options, Settings};
use taskcluster_server::authenticator::Fixed;
use tokio_util::sync::CancellationToken;

pub(crate) const ROOT: &str = "http://tc.example";
pub(crate) const EXCHANGE: &str = "exchange/test/v1/happened";
pub(crate) const SECRET: &str = "exchange/test/v1/secret";

/// Nothing in these tests takes this long, however busy the machine is; more than the time that is let pass at once where
/// time is not real.
pub(crate) const LONG: Duration = Duration::from_secs(600);

/// An await that must not take for ever.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(LONG, future).await.expect("it takes too long")
}

pub(crate) fn settings(change: impl FnOnce(&mut Settings)) -> Settings {
    let mut settings = Settings::default();
    change(&mut settings);
    settings
}

/// What happens to the answers of one connection after another; to those beyond, nothing.
#[derive(Clone, Debug)]
pub(crate) enum Fate {
    /// No answer.
    Unreachable,
    /// The body breaks after so many bytes.
    CutAfter(usize),
    /// The body goes on as it should for so many bytes, and then says nothing any more.
    SilentAfter(usize),
}

pub(crate) struct Tester {
    pub(crate) bus: MemoryBus,
    pub(crate) service: EventsService,
    pub(crate) shutdown: CancellationToken,
    /// The `authorization` of each connection that was tried.
    pub(crate) shown: Arc<Mutex<Vec<String>>>,
    fates: Arc<Mutex<Vec<Fate>>>,
    _loops: Loops,
}

impl Tester {
    pub(crate) async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        Self::on(MemoryBus::new(), settings).await
    }

    pub(crate) async fn on(bus: MemoryBus, settings: Settings) -> Self {
        let shutdown = CancellationToken::new();
        let authenticator = Fixed::new("listener", [format!("events:listen:{EXCHANGE}")])
            .with_anonymous(["events:listen:exchange/public/*"]);
        let frame = Frame::new(ROOT, Arc::new(bus.clone())).with_shutdown(shutdown.clone());
        let options =
            Options::new(frame, Arc::new(authenticator)).with_exchanges([EXCHANGE, SECRET]).with_settings(settings);
        let service = EventsService::open(options).await.unwrap();
        let loops = Loops::start(service.background(), &CancellationToken::new());
        Self { bus, service, shutdown, shown: Arc::default(), fates: Arc::default(), _loops: loops }
    }

    /// Lets the next connections go wrong.
    pub(crate) fn fates(&self, fates: impl IntoIterator<Item = Fate>) {
        *self.fates.lock().unwrap() = fates.into_iter().collect();
    }

    /// How many connections are still to go wrong.
    pub(crate) fn fates_left(&self) -> usize {
        self.fates.lock().unwrap().len()
    }

    /// A handle without repetitions.
    pub(crate) fn tc(&self) -> Taskcluster {
        Taskcluster::builder(ROOT)
            .credentials(Credentials::new("listener", "no-secret"))
            .retry(RetryPolicy::never())
            .transport(self.transport())
            .build()
            .unwrap()
    }

    pub(crate) fn events(&self) -> Events {
        self.tc().event_stream()
    }

    pub(crate) fn transport(&self) -> Transport {
        let whole = transport::in_process(self.service.router());
        let (fates, shown) = (Arc::clone(&self.fates), Arc::clone(&self.shown));
        Transport::new(tower_service(move |request: Request<Body>| {
            let (whole, fates, shown) = (whole.clone(), Arc::clone(&fates), Arc::clone(&shown));
            async move {
                let authorization = request.headers().get("authorization");
                let authorization = authorization.and_then(|value| value.to_str().ok()).unwrap_or_default();
                shown.lock().unwrap().push(authorization.to_owned());
                let fate = {
                    let mut fates = fates.lock().unwrap();
                    (!fates.is_empty()).then(|| fates.remove(0))
                };
                let answer = match &fate {
                    Some(Fate::Unreachable) => {
                        return Err(TransportError::new(TransportErrorKind::Interrupted, "as the test wants"));
                    }
                    _ => whole.send(request).await?,
                };
                Ok(match fate {
                    Some(Fate::CutAfter(bytes)) => answer.map(|body| shortened(body, bytes, false)),
                    Some(Fate::SilentAfter(bytes)) => answer.map(|body| shortened(body, bytes, true)),
                    Some(Fate::Unreachable) | None => answer,
                })
            }
        }))
    }

    /// A subscription over HTTP.
    pub(crate) async fn subscribe(&self, pattern: &str) -> Subscription {
        let bus = SseBus::new(&self.tc());
        soon(bus.subscribe(vec![Binding::new(EXCHANGE, pattern)])).await.unwrap()
    }

    pub(crate) async fn publish(&self, key: &str) {
        let payload = format!(r#"{{"version": 1, "key": "{key}"}}"#);
        self.bus.publish(Message::new(EXCHANGE, key, payload)).await.unwrap();
    }
}

fn tower_service<F, R>(
    answer: F,
) -> impl tower::Service<Request<Body>, Response = Response<Body>, Error = TransportError, Future = R>
+ Clone
+ Send
+ Sync
+ 'static
where
    F: Fn(Request<Body>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Result<Response<Body>, TransportError>> + Send + 'static,
{
    tower::service_fn(answer)
}

/// The beginning of a body.
fn shortened(body: Body, bytes: usize, then_silent: bool) -> Body {
    let mut left = bytes;
    let pieces = body.into_stream().map(move |piece| {
        let mut piece = piece?;
        if left == 0 {
            return Err(BoxError::from("cut"));
        }
        piece.truncate(left);
        left -= piece.len();
        Ok(piece)
    });
    // Cut even if nothing more comes.
    let mut given = 0;
    let pieces = pieces.take_while(move |piece| {
        let goes_on = given < bytes && piece.is_ok();
        given += piece.as_ref().map_or(0, bytes::Bytes::len);
        std::future::ready(goes_on)
    });
    if then_silent {
        return Body::from_stream(pieces.chain(futures_util::stream::pending::<Result<bytes::Bytes, BoxError>>()));
    }
    Body::from_stream(pieces.chain(futures_util::stream::once(async { Err(BoxError::from("cut")) })))
}

/// The key of the next message.
pub(crate) async fn key(messages: &mut Subscription) -> String {
    soon(messages.next()).await.unwrap().unwrap().routing_key
}

/// The next thing is that messages were lost.
pub(crate) async fn lost(messages: &mut Subscription) {
    let next = soon(messages.next()).await.unwrap();
    assert!(matches!(next, Err(BusError::Interrupted)), "{next:?}");
}
