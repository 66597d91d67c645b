//! A queue and a storage service on one loopback port, with faults on demand. Every connection serves one request.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What goes wrong with the next request to the storage service.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// The connection is cut after this many bytes of the request's body.
    CutRequest(usize),
    /// The connection is cut after this many bytes of the answer's body.
    CutAnswer(usize),
    /// The same, and the content is another one afterwards.
    CutAnswerThenChange(usize, Vec<u8>),
    /// The service reads no more than this many bytes of the request's body, and says nothing.
    SilentRequest(usize),
    /// The service says no more than this many bytes of the answer's body, and does not end the connection.
    SilentAnswer(usize),
    /// The service answers with this status.
    Status(u16),
    /// All URLs that were given out stop working.
    Expire,
    /// One byte of the answer is another.
    Flip(usize),
}

/// The running server; it ends when it is dropped.
pub(crate) struct Storage {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    server: JoinHandle<()>,
}

struct State {
    content: Vec<u8>,
    content_type: String,
    content_encoding: String,
    /// Methods of the object service, and `finishArtifact`, as they were called.
    calls: Vec<String>,
    tagged: bool,
    ranges: bool,
    /// States the hash of the content, as hexadecimal, where the object service or a header would.
    hash: Option<String>,
    faults: VecDeque<Fault>,
    /// How many URLs were given out, and the first that still works.
    urls: usize,
    oldest: usize,
    /// Sizes of the bodies that were sent, as far as they were.
    sent: Vec<usize>,
}

impl Storage {
    pub(crate) async fn start(content: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            content,
            content_type: "application/zip".to_owned(),
            content_encoding: String::new(),
            calls: Vec::new(),
            tagged: true,
            ranges: true,
            hash: None,
            faults: VecDeque::new(),
            urls: 0,
            oldest: 0,
            sent: Vec::new(),
        }));
        let shared = state.clone();
        let server = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let state = shared.clone();
                // A client that goes away is part of the game.
                tokio::spawn(async move { serve(stream, address, &state).await.ok() });
            }
        });
        Self { address, state, server }
    }

    pub(crate) fn root_url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn faults(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state().faults = faults.into_iter().collect();
    }

    pub(crate) fn without_tag(&self) {
        self.state().tagged = false;
    }

    pub(crate) fn serve_ranges(&self, yes: bool) {
        self.state().ranges = yes;
    }

    /// The object service states this hash.
    pub(crate) fn state_hash(&self, hash: &str) {
        self.state().hash = Some(hash.to_owned());
    }

    pub(crate) fn hash(&self) -> Option<String> {
        self.state().hash.clone()
    }

    pub(crate) fn content_encoding(&self) -> String {
        self.state().content_encoding.clone()
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.state().calls)
    }

    pub(crate) fn urls_given(&self) -> usize {
        self.state().urls
    }

    pub(crate) fn content_type(&self) -> String {
        self.state().content_type.clone()
    }

    pub(crate) fn content(&self, content: Vec<u8>) {
        self.state().content = content;
    }

    pub(crate) fn take_content(&self) -> Vec<u8> {
        std::mem::take(&mut self.state().content)
    }

    pub(crate) fn take_sent(&self) -> Vec<usize> {
        std::mem::take(&mut self.state().sent)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        self.server.abort();
    }
}

struct Head {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
}

impl Head {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }
}

async fn serve(mut stream: TcpStream, address: SocketAddr, state: &Mutex<State>) -> io::Result<()> {
    let (head, early) = read_head(&mut stream).await?;
    if head.path.starts_with("/api/queue/v1/") {
        let body = read_body(&mut stream, &head, early, usize::MAX).await?.unwrap_or_default();
        if head.path.ends_with("object") && (head.method == "GET" || head.method == "POST" || head.method == "PUT") {
            let (status, body) = object_artifact(&head, &mut state.lock().unwrap());
            return answer(&mut stream, status, &JSON, body.as_bytes(), usize::MAX).await;
        }
        drop(body);
        let (status, body) = queue(&head, address, &mut state.lock().unwrap());
        return answer(&mut stream, status, &JSON, body.as_bytes(), usize::MAX).await;
    }
    if head.path.starts_with("/api/object/v1/") {
        let body = read_body(&mut stream, &head, early, usize::MAX).await?.unwrap_or_default();
        let (status, body) = object(&head, &body, address, &mut state.lock().unwrap());
        return answer(&mut stream, status, &JSON, body.as_bytes(), usize::MAX).await;
    }
    if let Some(target) = head.path.strip_prefix("/redirect") {
        let _ = read_body(&mut stream, &head, early, usize::MAX).await?;
        return answer(&mut stream, 302, &[("location", target)], b"elsewhere", usize::MAX).await;
    }
    let fault = {
        let mut state = state.lock().unwrap();
        let mut fault = state.faults.pop_front();
        if let Some(Fault::Expire) = fault {
            state.oldest = state.urls;
            fault = None;
        }
        let serial: usize = head.path.rsplit('/').next().unwrap().parse().unwrap();
        if serial < state.oldest { Some(Fault::Status(403)) } else { fault }
    };
    match head.method.as_str() {
        "PUT" => put(&mut stream, &head, early, fault, state).await,
        _ => get(&mut stream, &head, fault, state).await,
    }
}

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

/// What the queue says of artifacts whose name ends in `object`.
fn object_artifact(head: &Head, state: &mut State) -> (u16, String) {
    let certificate = r#"{\"version\":1,\"scopes\":[\"object:*\"],\"start\":1,\"expiry\":9000000000000,\"seed\":\"s\",\"signature\":\"x\"}"#;
    let credentials = format!(r#"{{"clientId":"one-object","accessToken":"token","certificate":"{certificate}"}}"#);
    match head.method.as_str() {
        "GET" => (200, format!(r#"{{"storageType":"object","name":"t/a","credentials":{credentials}}}"#)),
        "PUT" => {
            state.calls.push("finishArtifact".to_owned());
            (200, "{}".to_owned())
        }
        _ => {
            let upload = r#""name":"t/a","projectId":"p","uploadId":"AAAAAAAARaKAAAAAAAAAAA","expires":"2030-01-01T00:00:00.000Z""#;
            (200, format!(r#"{{"storageType":"object",{upload},"credentials":{credentials}}}"#))
        }
    }
}

/// The object service, for one object.
fn object(head: &Head, body: &[u8], address: SocketAddr, state: &mut State) -> (u16, String) {
    let method = head.path.trim_start_matches("/api/object/v1/").split('/').next().unwrap().to_owned();
    assert!(head.header("authorization").unwrap().contains("id=\"one-object\""), "as the queue says");
    let body: serde_json::Value = serde_json::from_slice(body).unwrap();
    let url = format!("http://{address}/content/{}", state.urls);
    state.calls.push(method.clone());
    let upload = r#""projectId":"p","uploadId":"AAAAAAAARaKAAAAAAAAAAA","expires":"2030-01-01T00:00:00.000Z""#;
    match method.as_str() {
        "upload" => {
            let methods = &body["proposedUploadMethods"];
            if let Some(data) = methods["dataInline"]["objectData"].as_str() {
                use base64::Engine as _;
                state.content = base64::engine::general_purpose::STANDARD.decode(data).unwrap();
                return (200, format!(r#"{{{upload},"uploadMethod":{{"dataInline":true}}}}"#));
            }
            state.urls += 1;
            let content_type = &methods["putUrl"]["contentType"];
            let target = format!(
                r#"{{"url":"{url}","headers":{{"content-type":{content_type}}},"expires":"2030-01-01T00:00:00.000Z"}}"#
            );
            (200, format!(r#"{{{upload},"uploadMethod":{{"putUrl":{target}}}}}"#))
        }
        "finish-upload" => {
            state.hash = body["hashes"]["sha256"].as_str().map(str::to_owned);
            (200, "{}".to_owned())
        }
        "start-download" => {
            state.urls += 1;
            let hash = state.hash.clone().unwrap();
            (
                200,
                format!(
                    r#"{{"method":"getUrl","url":"{url}","expires":"2030-01-01T00:00:00.000Z","hashes":{{"sha256":"{hash}"}}}}"#
                ),
            )
        }
        other => panic!("{other}"),
    }
}

/// The few methods that artifacts need.
fn queue(head: &Head, address: SocketAddr, state: &mut State) -> (u16, String) {
    let url = format!("http://{address}/content/{}", state.urls);
    if head.path.ends_with("missing") {
        let body = r#"{"code":"ResourceNotFound","message":"no such artifact","requestInfo":{}}"#;
        return (404, body.to_owned());
    }
    if head.path.ends_with("error") {
        let note = r#"{"storageType":"error","reason":"file-missing-on-worker","message":"there was no such file"}"#;
        return (200, note.to_owned());
    }
    state.urls += 1;
    if head.path.ends_with("redirect") {
        let url = url.replacen("/content", "/redirect/redirect/content", 1);
        return (200, format!(r#"{{"storageType":"reference","url":"{url}"}}"#));
    }
    if head.method == "GET" {
        return (200, format!(r#"{{"storageType":"s3","url":"{url}"}}"#));
    }
    let expires = "2030-01-01T00:00:00.000Z";
    let body = format!(r#"{{"storageType":"s3","putUrl":"{url}","expires":"{expires}","contentType":"any/thing"}}"#);
    (200, body)
}

async fn put(
    stream: &mut TcpStream,
    head: &Head,
    early: Vec<u8>,
    fault: Option<Fault>,
    state: &Mutex<State>,
) -> io::Result<()> {
    let stop = match fault {
        Some(Fault::CutRequest(place) | Fault::SilentRequest(place)) => place,
        _ => usize::MAX,
    };
    let Some(body) = read_body(stream, head, early, stop).await? else {
        if let Some(Fault::SilentRequest(_)) = fault {
            std::future::pending::<()>().await;
        }
        return Ok(());
    };
    if let Some(Fault::Status(status)) = fault {
        return answer(stream, status, &[], b"<Error>no</Error>", usize::MAX).await;
    }
    {
        let mut state = state.lock().unwrap();
        state.content = body;
        state.content_type = head.header("content-type").unwrap_or_default().to_owned();
        state.content_encoding = head.header("content-encoding").unwrap_or_default().to_owned();
    }
    answer(stream, 200, &[], b"", usize::MAX).await
}

async fn get(stream: &mut TcpStream, head: &Head, fault: Option<Fault>, state: &Mutex<State>) -> io::Result<()> {
    if let Some(Fault::Status(status)) = fault {
        return answer(stream, status, &[], b"<Error>no</Error>", usize::MAX).await;
    }
    let silent = matches!(fault, Some(Fault::SilentAnswer(_)));
    let (status, headers, body, stop) = {
        let mut state = state.lock().unwrap();
        let total = state.content.len();
        // The tag is the first bytes: other content, other tag.
        let tag = format!("\"{:?}\"", &state.content[..total.min(4)]);
        let mut headers = vec![("content-type", state.content_type.clone())];
        if !state.content_encoding.is_empty() {
            headers.push(("content-encoding", state.content_encoding.clone()));
        }
        if state.ranges {
            headers.push(("accept-ranges", "bytes".to_owned()));
        }
        if state.tagged {
            headers.push(("etag", tag.clone()));
        }
        let range = head
            .header("range")
            .filter(|_| state.ranges && head.header("if-range").is_none_or(|wanted| wanted == tag))
            .and_then(|range| {
                let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
                Some((from.parse::<usize>().ok()?, to.parse::<usize>().map_or(total, |to| to + 1)))
            });
        let status = if let Some((from, to)) = range {
            headers.push(("content-range", format!("bytes {from}-{}/{total}", to - 1)));
            206
        } else {
            200
        };
        let (from, to) = range.unwrap_or((0, total));
        let mut body = state.content[from..to].to_vec();
        if let Some(Fault::Flip(place)) = fault {
            body[place] ^= 1;
        }
        let stop = match fault {
            Some(Fault::CutAnswer(place) | Fault::SilentAnswer(place)) => place,
            Some(Fault::CutAnswerThenChange(place, content)) => {
                state.content = content;
                place
            }
            _ => usize::MAX,
        };
        state.sent.push(body.len().min(stop));
        (status, headers, body, stop)
    };
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    begin(stream, status, &headers, &body, stop).await?;
    if silent {
        std::future::pending::<()>().await;
    }
    stream.shutdown().await
}

async fn answer(
    stream: &mut TcpStream,
    status: u16,
    headers: &[(&str, &str)],
    body: &[u8],
    stop: usize,
) -> io::Result<()> {
    begin(stream, status, headers, body, stop).await?;
    stream.shutdown().await
}

/// Sends an answer whose length promises all of the body, but no more than `stop` bytes of it.
async fn begin(
    stream: &mut TcpStream,
    status: u16,
    headers: &[(&str, &str)],
    body: &[u8],
    stop: usize,
) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {status} Whatever\r\ncontent-length: {}\r\nconnection: close\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&body[..body.len().min(stop)]).await
}

/// The head, and what came of the body with it.
async fn read_head(stream: &mut TcpStream) -> io::Result<(Head, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    };
    let text = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = text.split("\r\n");
    let mut request = lines.next().unwrap().split(' ');
    let (method, path) = (request.next().unwrap().to_owned(), request.next().unwrap().to_owned());
    let headers =
        lines.filter_map(|line| line.split_once(": ")).map(|(n, v)| (n.to_lowercase(), v.to_owned())).collect();
    Ok((Head { method, path, headers }, bytes.split_off(end + 4)))
}

/// The body, or `None` after `stop` bytes of it; then the connection is about to be cut.
async fn read_body(stream: &mut TcpStream, head: &Head, mut body: Vec<u8>, stop: usize) -> io::Result<Option<Vec<u8>>> {
    let length: usize = head.header("content-length").unwrap_or("0").parse().unwrap();
    assert!(head.header("transfer-encoding").is_none(), "a body of unknown length");
    while body.len() < length.min(stop) {
        if stream.read_buf(&mut body).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok((stop == usize::MAX).then_some(body))
}
