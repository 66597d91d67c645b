//! The connections of a listener, and how long an idle one is kept.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::serve::Listener;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::unread;

/// How long a connection is kept for somebody who does nothing with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Between two requests, or over the head of one. It must be more than what load balancers and clients think of before
    /// they use an idle connection once more.
    pub(super) idle: Duration,
    /// While something was sent that does not arrive, or is not read: answers that go on, such as streams of events,
    /// would otherwise be held for peers that are gone without a word.
    pub(super) unread: Duration,
}

/// The usual one.
pub(super) const PATIENCE: Patience = Patience { idle: Duration::from_secs(90), unread: Duration::from_secs(120) };

/// Answers requests until `shutdown`, and then those that have begun.
///
/// # Cancel safety
/// Dropping the future closes all connections.
pub(super) async fn serve(mut listener: TcpListener, router: Router, patience: Patience, shutdown: &CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            // It goes on after errors of single connections, and waits while there are no more file handles.
            (stream, peer) = Listener::accept(&mut listener) => {
                // Small answers must not wait for more to come.
                let _ = stream.set_nodelay(true);
                let_go_of_the_dead(&stream, patience.unread);
                connections.spawn(serve_one(stream, peer, router.clone(), patience.idle, shutdown.clone()));
            }
            Some(_) = connections.join_next() => {}
            () = shutdown.cancelled() => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// The system sees what is not acknowledged and who has no room for more, and then breaks the connection.
#[cfg(target_os = "linux")]
fn let_go_of_the_dead(stream: &TcpStream, unread: Duration) {
    let milliseconds = u32::try_from(unread.as_millis()).unwrap_or(u32::MAX);
    if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(stream, milliseconds) {
        tracing::debug!(%error, "a connection is kept however long its peer is silent");
    }
}

/// Elsewhere it does so by itself, after a longer time.
#[cfg(not(target_os = "linux"))]
fn let_go_of_the_dead(_stream: &TcpStream, _unread: Duration) {}

async fn serve_one(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    keep_alive: Duration,
    shutdown: CancellationToken,
) {
    let answer = tower::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        let (parts, body) = request.into_parts();
        let (body, rest) = unread::lend(body, parts.headers.contains_key(http::header::EXPECT));
        let answer = router.clone().oneshot(Request::from_parts(parts, Body::new(body)));
        async move {
            let answer = answer.await as Result<Response<Body>, Infallible>;
            rest.discard().await;
            answer
        }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(keep_alive)
            .max_buf_size(super::MAX_HEAD)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(answer))
            .with_upgrades()
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // The other side went away or said nothing: that is its right.
        tracing::trace!(%peer, %error, "a connection ended");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    /// The status line that a request with a head of this length gets.
    async fn answer_to_head(length: usize) -> String {
        let router = Router::new().route("/", axum::routing::get(|| async { "here" }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let serving = serve(listener, router, PATIENCE, &shutdown);
        let asking = async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let (begin, end) = ("GET / HTTP/1.1\r\nconnection: close\r\nauthorization: ", "\r\n\r\n");
            let head = format!("{begin}{}{end}", "x".repeat(length - begin.len() - end.len()));
            let (mut receiving, mut sending) = stream.split();
            // It may be closed before all is sent, and what it said may then be lost.
            let send = async { sending.write_all(head.as_bytes()).await.is_ok() };
            let mut answer = Vec::new();
            let _ = tokio::join!(send, receiving.read_to_end(&mut answer));
            shutdown.cancel();
            String::from_utf8(answer).unwrap().lines().next().unwrap_or_default().to_owned()
        };
        tokio::time::timeout(Duration::from_secs(90), async { tokio::join!(serving, asking) }).await.unwrap().1
    }

    #[tokio::test]
    async fn heads_are_as_long_as_the_scopes_of_a_task_need() {
        for length in [1_000, super::super::MAX_HEAD - 1] {
            assert_eq!(answer_to_head(length).await, "HTTP/1.1 200 OK");
        }
        let refused = answer_to_head(3 * super::super::MAX_HEAD).await;
        assert!(refused.is_empty() || refused.starts_with("HTTP/1.1 431"), "{refused}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn whoever_sends_in_vain_is_told() {
        use taskcluster_core::transport::http::HttpTransport;
        use taskcluster_core::transport::{Body, Transport};
        // Nobody reads the body, nor is there such a path.
        let router = Router::new().route("/", axum::routing::put(|| async { StatusCode::IM_A_TEAPOT }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let root = format!("http://{}", listener.local_addr().unwrap());
        let shutdown = CancellationToken::new();
        let serving = serve(listener, router, PATIENCE, &shutdown);
        let asking = async {
            let transport = Transport::new(HttpTransport::new().unwrap());
            for (path, status) in [("/", 418), ("/other", 404), ("/", 418)] {
                let request = Request::put(format!("{root}{path}")).body(Body::from(vec![b'x'; 20 << 20])).unwrap();
                assert_eq!(transport.send(request).await.unwrap().status(), status);
            }
            shutdown.cancel();
        };
        tokio::time::timeout(Duration::from_secs(120), async { tokio::join!(serving, asking) }).await.unwrap();
    }

    #[tokio::test]
    async fn whoever_waits_to_be_asked_for_a_body_is_refused_without() {
        let router = Router::new().route("/", axum::routing::put(|| async { StatusCode::IM_A_TEAPOT }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let head = "PUT / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\nexpect: 100-continue\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        let shutdown = CancellationToken::new();
        let serving = serve(listener, router, PATIENCE, &shutdown);
        let reading = async {
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 418"), "{answer}");
            shutdown.cancel();
        };
        tokio::time::timeout(Duration::from_secs(90), async { tokio::join!(serving, reading) }).await.unwrap();
    }

    #[tokio::test]
    async fn an_idle_connection_is_closed_after_a_while_and_a_busy_one_is_not() {
        let answered_late = || async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            "late"
        };
        let router = Router::new().route("/", axum::routing::get(answered_late));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        // Before anybody listens: however slow this machine is, the request is there when the connection is accepted.
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let serving = serve(listener, router, Patience { idle: Duration::from_millis(100), ..PATIENCE }, &shutdown);
        let reading = async {
            let mut answer = String::new();
            // Ends because the server closes, after it has answered.
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("late"), "{answer}");
            shutdown.cancel();
        };
        tokio::time::timeout(Duration::from_secs(90), async { tokio::join!(serving, reading) }).await.unwrap();
    }

    /// Otherwise whoever opens streams and does not read them takes up memory and file handles for ever.
    #[cfg(target_os = "linux")]
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn whoever_does_not_read_an_answer_that_goes_on_is_cut_off() {
        let (dropped, gone) = tokio::sync::oneshot::channel::<()>();
        let dropped = std::sync::Arc::new(std::sync::Mutex::new(Some(dropped)));
        let endless = move || {
            let held = dropped.lock().unwrap().take();
            let piece = bytes::Bytes::from(vec![b'x'; 1 << 16]);
            let pieces = futures_util::stream::repeat_with(move || {
                let _held = &held;
                Ok::<_, Infallible>(piece.clone())
            });
            let answer = Response::new(Body::from_stream(pieces));
            async move { answer }
        };
        let router = Router::new().route("/", axum::routing::get(endless));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let shutdown = CancellationToken::new();
        let patience = Patience { unread: Duration::from_millis(500), ..PATIENCE };
        let serving = serve(listener, router, patience, &shutdown);
        let not_reading = async {
            assert!(gone.await.is_err(), "the answer is dropped");
            shutdown.cancel();
        };
        tokio::time::timeout(Duration::from_secs(120), async { tokio::join!(serving, not_reading) }).await.unwrap();
        drop(stream);
    }
}
