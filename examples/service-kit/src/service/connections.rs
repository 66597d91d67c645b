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

/// How long a connection may be idle between two requests, or over the head of one. It must be more than what load
/// balancers and clients think of before they use an idle connection once more.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(90);

/// Answers requests until `shutdown`, and then those that have begun.
///
/// # Cancel safety
/// Dropping the future closes all connections.
pub(super) async fn serve(
    mut listener: TcpListener,
    router: Router,
    keep_alive: Duration,
    shutdown: &CancellationToken,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            // It goes on after errors of single connections, and waits while there are no more file handles.
            (stream, peer) = Listener::accept(&mut listener) => {
                // Small answers must not wait for more to come.
                let _ = stream.set_nodelay(true);
                connections.spawn(serve_one(stream, peer, router.clone(), keep_alive, shutdown.clone()));
            }
            Some(_) = connections.join_next() => {}
            () = shutdown.cancelled() => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

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
        let serving = serve(listener, router, KEEP_ALIVE, &shutdown);
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
        let serving = serve(listener, router, KEEP_ALIVE, &shutdown);
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
        let serving = serve(listener, router, KEEP_ALIVE, &shutdown);
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
        let serving = serve(listener, router, Duration::from_millis(100), &shutdown);
        let reading = async {
            let mut answer = String::new();
            // Ends because the server closes, after it has answered.
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("late"), "{answer}");
            shutdown.cancel();
        };
        tokio::time::timeout(Duration::from_secs(90), async { tokio::join!(serving, reading) }).await.unwrap();
    }
}
