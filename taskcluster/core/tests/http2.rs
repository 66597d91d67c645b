//! The transport over HTTP/2, against a server that speaks it. The certificates that the platform trusts are those of a
//! process, so the client is one of its own: this program, started once more.

use std::convert::Infallible;
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::future::try_join_all;
use http::{Response, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use taskcluster_core::hawk::{Presented, RequestFacts, verify};
use taskcluster_core::time::minutes;
use taskcluster_core::{Caller, Credentials, Method, Operation, Request, Stability, Timestamp};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

static PING: Operation = Operation {
    service: "queue",
    version: "v1",
    name: "ping",
    method: Method::Get,
    route: "/ping",
    args: &[],
    query: &[],
    input: None,
    output: Some("v1/any.json#"),
    scopes: None,
    idempotent: true,
    stability: Stability::Stable,
};

/// Tells the second process where the server is.
const SERVER: &str = "TEST_HTTP2_SERVER";

const CALLS: usize = 20;

#[tokio::test]
async fn all_calls_share_one_connection_where_the_server_offers_it() {
    if let Ok(root_url) = std::env::var(SERVER) {
        return call(&root_url).await;
    }
    let key = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let mut roots = tempfile::NamedTempFile::new().unwrap();
    roots.write_all(key.cert.pem().as_bytes()).unwrap();
    let (server, port) = Server::start(&key).await;

    let client = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "all_calls_share_one_connection_where_the_server_offers_it", "--nocapture"])
        .env(SERVER, format!("https://127.0.0.1:{port}"))
        .env("SSL_CERT_FILE", roots.path())
        .env_remove("SSL_CERT_DIR")
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    assert!(client.status.success(), "{}", String::from_utf8_lossy(&client.stdout));

    assert_eq!(*server.versions.lock().unwrap(), [Version::HTTP_2; CALLS + 1]);
    assert_eq!(server.connections.load(Ordering::Relaxed), 1);
}

/// One call that makes the connection, then many at once.
async fn call(root_url: &str) {
    let caller = Caller::builder(root_url.to_owned()).credentials(Credentials::new("client", "token")).build().unwrap();
    let ping = || Request::<serde_json::Value>::new(&caller, &PING, &[]);
    assert_eq!(ping().await.unwrap()["alive"], true);
    try_join_all((0..CALLS).map(|_| async { ping().await })).await.unwrap();
}

#[derive(Default)]
struct Server {
    connections: AtomicUsize,
    versions: Mutex<Vec<Version>>,
}

impl Server {
    async fn start(key: &rcgen::CertifiedKey<rcgen::KeyPair>) -> (Arc<Self>, u16) {
        let secret = PrivatePkcs8KeyDer::from(key.signing_key.serialize_der());
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![key.cert.der().clone()], secret.into())
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let (tls, listener) = (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let (server, port) = (Arc::new(Self::default()), listener.local_addr().unwrap().port());
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (server, tls) = (serving.clone(), tls.clone());
                tokio::spawn(async move {
                    let stream = tls.accept(stream).await.unwrap();
                    server.connections.fetch_add(1, Ordering::Relaxed);
                    let answer = service_fn(|request| {
                        let answer = server.answer(&request, port);
                        async move { Ok::<_, Infallible>(answer) }
                    });
                    let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    let _ = connection.serve_connection(TokioIo::new(stream), answer).await;
                });
            }
        });
        (server, port)
    }

    /// Whoever signs for something else than what arrives here is refused.
    fn answer(&self, request: &http::Request<Incoming>, port: u16) -> Response<Full<Bytes>> {
        self.versions.lock().unwrap().push(request.version());
        let resource = request.uri().path_and_query().unwrap().as_str();
        let header = request.headers()[http::header::AUTHORIZATION].to_str().unwrap();
        let presented = Presented::find(Some(header), resource).unwrap().unwrap();
        let host = request.uri().host().unwrap();
        let facts = RequestFacts { method: request.method().as_str(), resource, host, port };
        let signed = verify(&presented, &"token".into(), facts, Timestamp::now(), minutes(15));
        let status = if signed.is_ok() { 200 } else { 401 };
        Response::builder().status(status).body(Full::from(r#"{"alive":true}"#)).unwrap()
    }
}
