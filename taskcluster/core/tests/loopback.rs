//! The caller over real sockets: a server that reads whole requests and answers with exactly the bytes it was given.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use taskcluster_core::hawk::{Presented, RequestFacts, payload_hash, verify};
use taskcluster_core::time::{hours, minutes};
use taskcluster_core::transport::http::HttpTransport;
use taskcluster_core::transport::{Body, Stalled, TransportErrorKind};
use taskcluster_core::{
    Caller, CallerBuilder, Clock, Credentials, Error, ErrorCode, ManualClock, Method, Operation, Request, RetryPolicy,
    RootUrl, Stability, chain,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

static GET: Operation = Operation {
    service: "queue",
    version: "v1",
    name: "status",
    method: Method::Get,
    route: "/task/<taskId>/status",
    args: &["taskId"],
    query: &["prefix"],
    input: None,
    output: Some("v1/any.json#"),
    scopes: None,
    idempotent: true,
    stability: Stability::Stable,
};
static PUT: Operation = Operation { name: "createTask", method: Method::Put, ..GET };
static CLAIM: Operation = Operation { name: "claimWork", method: Method::Post, idempotent: false, ..GET };

/// A request as it came over the wire.
#[derive(Debug, Clone)]
struct Received {
    method: String,
    resource: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Received {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// What a server concludes from the signature.
    fn verify(&self, port: u16, now: taskcluster_core::Timestamp) -> Presented {
        let presented = Presented::find(self.header("authorization"), &self.resource).unwrap().unwrap();
        let facts = RequestFacts { method: &self.method, resource: &self.resource, host: "127.0.0.1", port };
        verify(&presented, &"token".into(), facts, now, minutes(15)).unwrap();
        presented
    }
}

/// What the server does with one connection.
enum Script {
    Answer(String),
    /// The beginning of an answer, and then nothing.
    Beginning(String),
    /// Reads the request and closes.
    Hang,
    /// Reads the request and does nothing more.
    Silence,
}

struct Server {
    port: u16,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Server {
    /// One connection per answer, in order; the last one for all that follow.
    async fn start(script: Vec<Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let received = Arc::new(Mutex::new(Vec::new()));
        let log = received.clone();
        tokio::spawn(async move {
            let mut open = Vec::new();
            for place in 0.. {
                let Ok((mut stream, _)) = listener.accept().await else { return };
                let Some(request) = read_request(&mut stream).await else { continue };
                log.lock().unwrap().push(request);
                match &script[place.min(script.len() - 1)] {
                    Script::Answer(answer) => {
                        let _ = stream.write_all(answer.as_bytes()).await;
                        let _ = stream.shutdown().await;
                    }
                    Script::Beginning(answer) => {
                        let _ = stream.write_all(answer.as_bytes()).await;
                        open.push(stream);
                    }
                    Script::Hang => drop(stream),
                    Script::Silence => open.push(stream),
                }
            }
        });
        Self { port, received }
    }

    fn caller(&self) -> CallerBuilder {
        Caller::builder(format!("http://127.0.0.1:{}/", self.port))
            .credentials(Credentials::new("client", "token"))
            .retry(quick())
    }

    fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

/// Reads one request with its body; `None` if the connection ends before.
async fn read_request(stream: &mut TcpStream) -> Option<Received> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break String::from_utf8(bytes.drain(..end + 4).collect()).unwrap();
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let mut lines = head.trim_end().split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, resource) = (words.next()?.to_owned(), words.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.map_or(0, |(_, value)| value.parse().unwrap());
    while bytes.len() < length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    Some(Received { method, resource, headers, body: bytes })
}

fn quick() -> RetryPolicy {
    RetryPolicy::default().with_base(Duration::from_millis(1))
}

fn answer(status: &str, headers: &str, body: &str) -> Script {
    let length = body.len();
    Script::Answer(format!("HTTP/1.1 {status}\r\n{headers}connection: close\r\ncontent-length: {length}\r\n\r\n{body}"))
}

fn ok() -> Script {
    answer("200 OK", "", "{\"ok\":true}")
}

fn cut() -> Script {
    Script::Answer("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"ok\":".into())
}

type Value = serde_json::Value;

#[tokio::test]
async fn a_failing_service_is_asked_again_with_a_fresh_signature() {
    let server = Server::start(vec![answer("503 Busy", "", ""), answer("500 Oh", "", "{}"), ok()]).await;
    let clock = ManualClock::default();
    let caller = server.caller().clock(clock.shared()).build().unwrap();
    let result: Value = Request::new(&caller, &GET, &[&"a/b c"]).query("prefix", "x/é'&=").await.unwrap();
    assert_eq!(result["ok"], true);

    let received = server.received();
    assert_eq!(received.len(), 3);
    let nonces: Vec<String> = received.iter().map(|request| request.verify(server.port, clock.now()).nonce).collect();
    assert!(nonces[0] != nonces[1] && nonces[1] != nonces[2], "{nonces:?}");
    assert_eq!(received[0].resource, "/api/queue/v1/task/a%2Fb%20c/status?prefix=x%2F%C3%A9%27%26%3D");
}

#[tokio::test]
async fn the_body_is_sent_and_signed() {
    let server = Server::start(vec![ok()]).await;
    let clock = ManualClock::default();
    let caller = server.caller().clock(clock.shared()).user_agent("test/1").trace_id("trace-7").build().unwrap();
    let _: Value = Request::new(&caller, &PUT, &[&"id"]).with_body(&[1, 2]).await.unwrap();

    let request = &server.received()[0];
    assert_eq!((request.method.as_str(), request.body.as_slice()), ("PUT", &b"[1,2]"[..]));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("content-length"), Some("5"));
    assert_eq!(request.header("user-agent"), Some("test/1"));
    assert_eq!(request.header("x-taskcluster-trace-id"), Some("trace-7"));
    let presented = request.verify(server.port, clock.now());
    assert_eq!(presented.hash, Some(payload_hash("application/json", b"[1,2]")));
}

#[tokio::test]
async fn an_empty_post_says_so_and_a_get_does_not() {
    let server = Server::start(vec![ok()]).await;
    let caller = server.caller().build().unwrap();
    Request::<Value>::new(&caller, &CLAIM, &[&"id"]).await.unwrap();
    Request::<Value>::new(&caller, &GET, &[&"id"]).await.unwrap();
    let received = server.received();
    assert_eq!(received[0].header("content-length"), Some("0"));
    assert_eq!(received[1].header("content-length"), None);
    assert!(received.iter().all(|request| request.header("content-type").is_none()));
    assert!(received[0].header("user-agent").unwrap().starts_with("taskcluster-rust/"));
}

#[tokio::test]
async fn a_broken_body_and_a_lost_connection_are_asked_again() {
    let server = Server::start(vec![cut(), Script::Hang, ok()]).await;
    let caller = server.caller().build().unwrap();
    let result: Value = Request::new(&caller, &GET, &[&"id"]).await.unwrap();
    assert_eq!((result["ok"].as_bool(), server.received().len()), (Some(true), 3));
}

#[tokio::test]
async fn what_is_not_idempotent_is_not_repeated_once_it_may_have_arrived() {
    for script in [cut(), Script::Hang, answer("503 Busy", "", ""), answer("429 Slow", "retry-after: 0\r\n", "")] {
        let server = Server::start(vec![script, ok()]).await;
        let caller = server.caller().build().unwrap();
        let error = Request::<Value>::new(&caller, &CLAIM, &[&"id"]).await.unwrap_err();
        assert!(error.is_retryable(), "{error}");
        assert_eq!(server.received().len(), 1, "{error}");
    }
}

#[tokio::test]
async fn a_busy_service_is_asked_again_after_the_time_that_it_wants() {
    let busy = answer("429 Slow", "retry-after: 0\r\n", "{\"code\":\"TooManyRequests\",\"message\":\"slowly\"}");
    let server = Server::start(vec![busy, ok()]).await;
    let caller = server.caller().build().unwrap();
    Request::<Value>::new(&caller, &GET, &[&"id"]).await.unwrap();
    assert_eq!(server.received().len(), 2);

    let busy = answer("429 Slow", "retry-after: 3600\r\n", "{\"code\":\"TooManyRequests\",\"message\":\"slowly\"}");
    let server = Server::start(vec![busy, ok()]).await;
    let caller = server.caller().build().unwrap();
    let error = Request::<Value>::new(&caller, &GET, &[&"id"]).await.unwrap_err();
    assert_eq!(error.code(), Some(&ErrorCode::TooManyRequests));
    assert_eq!(error.api().unwrap().retry_after, Some(hours(1)));
    assert_eq!(server.received().len(), 1, "an hour is longer than the whole call may take");
}

#[tokio::test]
async fn a_refusal_is_an_error_at_once() {
    let body =
        r#"{"code":"ResourceNotFound","message":"gone\n\n---\n\n* method: x","requestInfo":{"method":"status"}}"#;
    let server = Server::start(vec![answer("404 Not Found", "x-for-request-id: r-1\r\n", body)]).await;
    let caller = server.caller().build().unwrap();
    let error = Request::<Value>::new(&caller, &GET, &[&"id"]).await.unwrap_err();
    assert!(error.is_not_found());
    assert_eq!(error.to_string(), "queue.status: ResourceNotFound (404): gone");
    let Error::Api(error) = error else { panic!("{error}") };
    assert_eq!((error.attempts, error.request_id.as_deref()), (1, Some("r-1")));
    assert_eq!(error.request_info.unwrap()["method"], "status");
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_corrected_by_the_server() {
    let refused = answer(
        "401 Unauthorized",
        "date: Thu, 01 Jan 2026 05:00:00 GMT\r\n",
        r#"{"code":"AuthenticationFailed","message":"stale"}"#,
    );
    let fine = || answer("200 OK", "date: Thu, 01 Jan 2026 05:00:00 GMT\r\n", "{}");
    let server = Server::start(vec![refused, fine()]).await;
    let clock = ManualClock::default();
    let theirs = clock.now() + hours(5);
    let caller = server.caller().clock(clock.shared()).build().unwrap();

    // Even a call that is not idempotent, since the server has refused it.
    Request::<Value>::new(&caller, &CLAIM, &[&"id"]).await.unwrap();
    let received = server.received();
    received[0].verify(server.port, clock.now());
    received[1].verify(server.port, theirs);

    // The next call knows already, and so do URLs.
    Request::<Value>::new(&caller, &GET, &[&"id"]).await.unwrap();
    server.received()[2].verify(server.port, theirs);
    let url = Request::<Value>::new(&caller, &GET, &[&"id"]).signed_for(minutes(5)).unwrap();
    let presented = Presented::find(None, url.as_str()).unwrap().unwrap();
    assert_eq!(presented.ts, u64::try_from((theirs + minutes(5)).as_seconds()).unwrap());
}

#[tokio::test]
async fn a_refusal_with_the_right_date_is_final() {
    let refused = answer("401 Unauthorized", "date: Thu, 01 Jan 2026 00:00:01 GMT\r\n", "{}");
    let server = Server::start(vec![refused]).await;
    let caller = server.caller().clock(ManualClock::default().shared()).build().unwrap();
    let error = Request::<Value>::new(&caller, &GET, &[&"id"]).await.unwrap_err();
    assert_eq!(error.code(), Some(&ErrorCode::AuthenticationFailed));
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn a_redirect_is_an_answer() {
    let redirect = answer("303 See Other", "location: http://127.0.0.1:1/\r\n", r#"{"url":"http://127.0.0.1:1/"}"#);
    let server = Server::start(vec![redirect]).await;
    let caller = server.caller().build().unwrap();
    let result: Value = Request::new(&caller, &GET, &[&"id"]).await.unwrap();
    assert_eq!(result["url"], "http://127.0.0.1:1/");
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn an_answer_that_is_not_what_it_should_be_is_shown() {
    let server = Server::start(vec![answer("200 OK", "", "<html>")]).await;
    let caller = server.caller().build().unwrap();
    let error = Request::<Value>::new(&caller, &GET, &[&"id"]).await.unwrap_err();
    let Error::Body { body, .. } = &error else { panic!("{error}") };
    assert_eq!((&body[..], error.is_retryable()), (&b"<html>"[..], false));
}

#[tokio::test]
async fn nobody_at_home_is_tried_again_whatever_the_call() {
    // Bound but not listening: the port stays ours and refuses.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    let caller = Caller::builder(url.as_str()).retry(quick().with_retries(2)).build().unwrap();
    let error = Request::<Value>::new(&caller, &CLAIM, &[&"id"]).await.unwrap_err();
    let text = chain(&error).to_string();
    assert!(
        text.starts_with(&format!("queue.claimWork: no answer from {url} (tried 3 times): cannot connect: ")),
        "{text}"
    );
    assert_eq!(text.matches(url.as_str()).count(), 1, "{text}");
    let Error::Transport { attempts, source, .. } = &error else { panic!("{error}") };
    assert_eq!((*attempts, source.kind()), (3, TransportErrorKind::Connect), "{error}");
}

/// The message of a refusal says that nobody had signed, where nobody had.
#[tokio::test]
async fn a_refused_call_without_credentials_says_so() {
    let refusal = |code: &str| answer(code, "", r#"{"code": "InsufficientScopes", "message": "no"}"#);
    let told = async |script: Script, credentials: Option<Credentials>| {
        let server = Server::start(vec![script]).await;
        let mut builder = Caller::builder(format!("http://127.0.0.1:{}", server.port)).retry(quick());
        if let Some(credentials) = credentials {
            builder = builder.credentials(credentials);
        }
        let caller = builder.build().unwrap();
        Request::<Value>::new(&caller, &GET, &[&"id"]).await.unwrap_err().to_string()
    };
    let text = told(refusal("403 Forbidden"), None).await;
    assert!(text.starts_with("queue.status: InsufficientScopes (403) to an anonymous call (no credentials"), "{text}");
    let text = told(refusal("403 Forbidden"), Some(Credentials::new("client", "token"))).await;
    assert_eq!(text, "queue.status: InsufficientScopes (403): no");
    assert!(!told(refusal("404 Not Found"), None).await.contains("anonymous"));
}

#[tokio::test]
async fn calls_one_after_the_other_share_a_connection() {
    const CALLS: usize = 40;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                while read_request(&mut stream).await.is_some() {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
                }
            });
        }
    });
    let caller = Caller::builder(url).credentials(Credentials::new("client", "token")).build().unwrap();
    for _ in 0..CALLS {
        // Whoever has a clone calls over the same connections.
        Request::<Value>::new(&caller.clone(), &GET, &[&"id"]).await.unwrap();
    }
    // A call may come before the last one's connection is back in the pool, and make another.
    let connections = connections.load(Ordering::Relaxed);
    assert!(connections < CALLS, "{connections} connections for {CALLS} calls");
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    let server = Server::start(vec![Script::Silence]).await;
    let policy = quick().with_retries(1).with_attempt_timeout(Duration::from_millis(50));
    let caller = server.caller().retry(policy).build().unwrap();
    let error = Request::<Value>::new(&caller, &GET, &[&"id"]).await.unwrap_err();
    let Error::Transport { attempts, source, .. } = &error else { panic!("{error}") };
    assert_eq!((*attempts, source.kind()), (2, TransportErrorKind::Timeout));

    let caller = server.caller().retry(quick().with_deadline(Duration::from_millis(50))).build().unwrap();
    let error = Request::<Value>::new(&caller, &GET, &[&"id"]).await.unwrap_err();
    assert!(matches!(error, Error::Deadline { .. }), "{error}");
}

#[tokio::test]
async fn a_server_that_falls_silent_in_its_answer_is_given_up() {
    let beginning = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"ok\":".to_owned();
    let server = Server::start(vec![Script::Beginning(beginning)]).await;
    let request = Request::<Value>::new(&server.caller().build().unwrap(), &GET, &[&"id"]);
    let answer = request.stall_timeout(Duration::from_millis(50)).open().await.unwrap();
    let error = answer.into_body().collect(1000).await.unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Stalled { after: Duration::from_millis(50) }), "{error}");
}

#[tokio::test]
async fn a_server_that_does_not_read_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/upload", listener.local_addr().unwrap());
    // The system accepts connections by itself; nobody reads from them.
    let transport = HttpTransport::new().unwrap().into_transport();
    // More than fits into the buffers of both ends.
    let body = Body::from(vec![0; 64 << 20]);
    let request = http::Request::put(&url).body(body).unwrap();
    let error = transport.send_watched(request, Duration::from_millis(200)).await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Timeout, "{}", chain(&error));
    assert!(chain(&error).to_string().ends_with("the other side has been silent for 0.2 s"), "{}", chain(&error));
    drop(listener);
}

#[tokio::test]
async fn a_call_within_a_cluster_is_signed_for_the_host_that_the_service_sees() {
    let server = Server::start(vec![ok()]).await;
    let address: RootUrl = format!("http://127.0.0.1:{}", server.port).parse().unwrap();
    let clock = ManualClock::default();
    let caller = Caller::builder("https://tc.example.com")
        .credentials(Credentials::new("client", "token"))
        .discovery(move |service: &str| (service == "queue").then(|| address.clone()))
        .clock(clock.shared())
        .build()
        .unwrap();
    let request = || Request::<Value>::new(&caller, &GET, &[&"id"]);
    request().await.unwrap();
    let received = &server.received()[0];
    assert_eq!(received.resource, "/api/queue/v1/task/id/status");
    assert_eq!(received.header("host"), Some(&*format!("127.0.0.1:{}", server.port)));
    received.verify(server.port, clock.now());

    // What others are given is what they can reach, and is signed for that.
    assert_eq!(request().url().unwrap().as_str(), "https://tc.example.com/api/queue/v1/task/id/status");
    let signed = request().signed_for(minutes(5)).unwrap();
    let presented = Presented::find(None, &signed[url::Position::BeforePath..]).unwrap().unwrap();
    let (resource, _) = signed[url::Position::BeforePath..].split_once("?bewit=").unwrap();
    let facts = RequestFacts { method: "GET", resource, host: "tc.example.com", port: 443 };
    verify(&presented, &"token".into(), facts, clock.now(), minutes(15)).unwrap();
    assert_eq!(signed.host_str(), Some("tc.example.com"));
}

#[tokio::test]
async fn a_proxy_gets_calls_unsigned() {
    let server = Server::start(vec![ok()]).await;
    let caller = Caller::builder("https://tc.example.com")
        .credentials(Credentials::new("client", "token"))
        .proxy(format!("http://127.0.0.1:{}/sub/", server.port))
        .build()
        .unwrap();
    Request::<Value>::new(&caller, &GET, &[&"id"]).await.unwrap();
    let request = &server.received()[0];
    assert_eq!(
        (request.resource.as_str(), request.header("authorization")),
        ("/sub/api/queue/v1/task/id/status", None)
    );
    let url = Request::<Value>::new(&caller, &GET, &[&"id"]).url().unwrap();
    assert_eq!(url.as_str(), "https://tc.example.com/api/queue/v1/task/id/status");
    let error = Request::<Value>::new(&caller, &GET, &[&"id"]).signed_for(minutes(1)).unwrap_err();
    assert!(error.to_string().contains("proxy"), "{error}");
}

#[tokio::test]
async fn credentials_of_ones_own_go_past_the_proxy() {
    let server = Server::start(vec![ok(), ok()]).await;
    let root = format!("http://127.0.0.1:{}", server.port);
    let task = Caller::builder(root.as_str()).proxy(format!("{root}/proxy")).build().unwrap();
    let lent = task.to_builder().credentials(Credentials::new("lent", "token")).build().unwrap();
    let nobody = task.to_builder().credentials(None).build().unwrap();
    for caller in [lent, nobody] {
        Request::<Value>::new(&caller, &GET, &[&"id"]).await.unwrap();
    }
    let [lent, nobody] = &server.received()[..] else { panic!("two calls") };
    assert_eq!(
        (lent.resource.as_str(), nobody.resource.as_str()),
        ("/api/queue/v1/task/id/status", "/api/queue/v1/task/id/status")
    );
    assert!(lent.header("authorization").is_some_and(|header| header.contains("id=\"lent\"")));
    assert_eq!(nobody.header("authorization"), None);
    let error = task.to_builder().authorized_scopes(["x"]).build().unwrap_err();
    assert!(error.to_string().contains("authorized scopes cannot be asked of a proxy"), "{error}");
}

#[tokio::test]
async fn a_signed_url_opens_without_credentials() {
    let server = Server::start(vec![ok()]).await;
    let clock = ManualClock::default();
    let caller = server.caller().clock(clock.shared()).authorized_scopes(["queue:get:*"]).build().unwrap();
    let url = Request::<Value>::new(&caller, &GET, &[&"a/b"]).query("prefix", "x y").signed_for(minutes(5)).unwrap();
    assert!(url.as_str().contains("/task/a%2Fb/status?prefix=x%20y&bewit="), "{url}");

    let request = http::Request::get(url.as_str()).body(Body::empty()).unwrap();
    assert_eq!(caller.transport().send(request).await.unwrap().status(), 200);
    let presented = server.received()[0].verify(server.port, clock.now());
    assert_eq!(presented.authorized_scopes, Some(vec!["queue:get:*".to_owned()]));
}

#[tokio::test]
async fn a_stream_whose_length_is_known_is_not_sent_in_chunks() {
    let server = Server::start(vec![ok()]).await;
    let transport = HttpTransport::new().unwrap().into_transport();
    let pieces = || futures_util::stream::iter(["abc", "def"].map(|piece| Ok::<_, std::io::Error>(piece.into())));
    let url = format!("http://127.0.0.1:{}/upload", server.port);
    let request = http::Request::put(&url).header("content-length", 6).body(Body::from_stream(pieces())).unwrap();
    assert_eq!(transport.send(request).await.unwrap().status(), 200);
    let request = http::Request::put(&url).body(Body::sized(pieces(), 6)).unwrap();
    assert_eq!(transport.send(request).await.unwrap().status(), 200);
    for request in server.received() {
        assert_eq!((request.header("content-length"), &request.body[..]), (Some("6"), &b"abcdef"[..]));
        assert_eq!(request.header("transfer-encoding"), None);
    }
}

#[tokio::test]
async fn both_bodies_are_streams() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/upload", listener.local_addr().unwrap());
    let (ask, asked) = tokio::sync::oneshot::channel::<()>();
    let (go_on, gone_on) = tokio::sync::oneshot::channel::<()>();

    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut read = Vec::new();
        while !read.ends_with(b"5\r\nfirst\r\n") {
            assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0);
        }
        // The second piece exists only once the first one has arrived.
        ask.send(()).unwrap();
        while !read.ends_with(b"0\r\n\r\n") {
            assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n").await.unwrap();
        gone_on.await.unwrap();
        stream.write_all(b"3\r\ntwo\r\n0\r\n\r\n").await.unwrap();
        String::from_utf8(read).unwrap()
    });

    let pieces = futures_util::stream::unfold((0, Some(asked)), |(place, mut asked)| async move {
        if place == 1 {
            asked.take().unwrap().await.unwrap();
        }
        let piece = [bytes::Bytes::from_static(b"first"), bytes::Bytes::from_static(b"second")].get(place)?.clone();
        Some((Ok::<_, std::io::Error>(piece), (place + 1, asked)))
    });
    let transport = HttpTransport::new().unwrap().into_transport();
    let request = http::Request::put(url).body(Body::from_stream(pieces)).unwrap();
    let answer = transport.send(request).await.unwrap();
    let mut pieces = std::pin::pin!(answer.into_body().into_stream());
    let mut next = async || futures_util::StreamExt::next(&mut pieces).await.map(Result::unwrap);
    assert_eq!(next().await.unwrap(), "one");
    go_on.send(()).unwrap();
    assert_eq!(next().await.unwrap(), "two");
    assert_eq!(next().await, None);
    assert!(server.await.unwrap().contains("6\r\nsecond\r\n"));
}
