//! What every blob storage promises, as tests that any of them can run.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Request, StatusCode};
use taskcluster_core::clock::ManualClock;
use taskcluster_core::transport::{Body, Transport};
use url::Url;

use super::Blobs;

const HOUR: Duration = Duration::from_secs(60 * 60);
const LIMIT: usize = 64 * 1024 * 1024;

/// A storage, what carries requests to its URLs, and the clock that it looks at.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The storage.
    pub blobs: Arc<dyn Blobs>,
    /// Carries requests to its URLs.
    pub transport: Transport,
    /// The storage's clock; nothing for one that has a clock of its own, whose expiry is then not tested.
    pub clock: Option<ManualClock>,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// Runs all of it.
///
/// # Panics
/// When a promise is broken.
pub async fn run(subject: &Subject) {
    what_is_put_can_be_got(subject).await;
    an_encoding_comes_back(subject).await;
    any_text_is_a_key(subject).await;
    the_last_upload_wins(subject).await;
    ranges_are_given(subject).await;
    a_url_allows_what_it_was_signed_for(subject).await;
    a_cut_upload_leaves_nothing(subject).await;
    what_is_deleted_is_gone(subject).await;
    large_blobs_stream(subject).await;
    urls_expire(subject).await;
}

async fn what_is_put_can_be_got(subject: &Subject) {
    let put = subject.blobs.put_url("first/blob", "text/plain; charset=utf-8", Some(5), subject.soon()).expect("a URL");
    let answer = subject.put(&put, "text/plain; charset=utf-8", "hello").await;
    assert_eq!(answer.status, StatusCode::OK);
    let get = subject.blobs.get_url("first/blob", subject.soon()).expect("a URL");
    let answer = subject.get(&get, None).await;
    assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, &b"hello"[..]));
    assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");
    assert_eq!(answer.headers["content-length"], "5");

    let info = subject.blobs.describe("first/blob").await.expect("it works").expect("it exists");
    assert_eq!((info.content_type.as_str(), info.content_length), ("text/plain; charset=utf-8", 5));
    let (content_type, content) = subject.blobs.read("first/blob").await.expect("it works").expect("it exists");
    assert_eq!((content_type.as_str(), &content[..]), ("text/plain; charset=utf-8", &b"hello"[..]));
}

async fn an_encoding_comes_back(subject: &Subject) {
    let put = subject.blobs.put_url("encoded", "text/html", None, subject.soon()).expect("a URL");
    // One that no client of ours decodes by itself.
    for encoding in ["br", "identity"] {
        let request =
            Request::put(put.as_str()).header("content-type", "text/html").header("content-encoding", encoding);
        let request = request.header("content-length", 7);
        assert_eq!(subject.send(request, Body::from("encoded")).await.status, StatusCode::OK);
        let get = subject.blobs.get_url("encoded", subject.soon()).expect("a URL");
        let answer = subject.get(&get, None).await;
        assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, &b"encoded"[..]), "the bytes as they are");
        let encodings: Vec<_> = answer.headers.get_all("content-encoding").iter().collect();
        // "identity" says as much as nothing.
        assert!(encodings == [encoding] || encoding == "identity" && encodings.is_empty(), "{encodings:?}");
        let part = subject.get(&get, Some("bytes=2-3")).await;
        assert_eq!((part.status, &part.body[..]), (StatusCode::PARTIAL_CONTENT, &b"co"[..]));
    }
}

async fn any_text_is_a_key(subject: &Subject) {
    let keys = ["../x", "a//b", "a/../b", "with space", "ü/%2F?#&=+", "a/b/", "/a/b"];
    for key in keys {
        subject.blobs.write(key, "text/x-key", key.to_owned().into()).await.expect("it works");
    }
    for key in keys {
        let get = subject.blobs.get_url(key, subject.soon()).expect("a URL");
        let answer = subject.get(&get, None).await;
        assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, key.as_bytes()), "{key}");
    }
    // These mean something else in every URL.
    for none in ["", ".", ".."] {
        assert!(subject.blobs.write(none, "text/plain", Bytes::new()).await.is_err(), "{none:?}");
        assert!(subject.blobs.get_url(none, subject.soon()).is_err(), "{none:?}");
    }
}

async fn the_last_upload_wins(subject: &Subject) {
    for content in ["first", "second, longer"] {
        let put = subject.blobs.put_url("twice", "text/plain", None, subject.soon()).expect("a URL");
        assert_eq!(subject.put(&put, "text/plain", content).await.status, StatusCode::OK);
    }
    let (_, content) = subject.blobs.read("twice").await.expect("it works").expect("it exists");
    assert_eq!(content, "second, longer");
}

async fn ranges_are_given(subject: &Subject) {
    subject.blobs.write("digits", "text/plain", "0123456789".into()).await.expect("it works");
    let get = subject.blobs.get_url("digits", subject.soon()).expect("a URL");
    for (range, content, content_range) in
        [("bytes=2-4", "234", "bytes 2-4/10"), ("bytes=7-", "789", "bytes 7-9/10"), ("bytes=-2", "89", "bytes 8-9/10")]
    {
        let answer = subject.get(&get, Some(range)).await;
        assert_eq!((answer.status, &answer.body[..]), (StatusCode::PARTIAL_CONTENT, content.as_bytes()), "{range}");
        assert_eq!(answer.headers["content-range"], content_range);
    }
    assert_eq!(subject.get(&get, Some("bytes=10-")).await.status, StatusCode::RANGE_NOT_SATISFIABLE);
}

async fn a_url_allows_what_it_was_signed_for(subject: &Subject) {
    let put = subject.blobs.put_url("bound", "text/plain", Some(3), subject.soon()).expect("a URL");
    assert_eq!(subject.put(&put, "text/html", "abc").await.status, StatusCode::FORBIDDEN, "another content type");
    assert!(subject.put(&put, "text/plain", "abcd").await.status.is_client_error(), "too long");
    assert_eq!(subject.get(&put, None).await.status, StatusCode::FORBIDDEN, "an upload is no download");
    let mut other = put.clone();
    other.set_path(&put.path().replace("bound", "other"));
    assert_eq!(subject.put(&other, "text/plain", "abc").await.status, StatusCode::FORBIDDEN, "another key");
    let mut unsigned = put.clone();
    unsigned.set_query(None);
    assert!(subject.put(&unsigned, "text/plain", "abc").await.status.is_client_error(), "no signature");
    assert_eq!(subject.blobs.describe("bound").await.expect("it works"), None);
    assert_eq!(subject.blobs.describe("other").await.expect("it works"), None);
}

async fn a_cut_upload_leaves_nothing(subject: &Subject) {
    let put = subject.blobs.put_url("cut", "text/plain", None, subject.soon()).expect("a URL");
    let cut = stream::iter([Ok(Bytes::from("abc")), Err(std::io::Error::other("cut"))]);
    let request = Request::put(put.as_str()).header("content-type", "text/plain").body(Body::from_stream(cut));
    // Whatever comes back, or nothing at all: what counts is what is stored.
    let _ = subject.transport.send(request.expect("a request")).await;
    assert_eq!(subject.blobs.describe("cut").await.expect("it works"), None);
}

async fn what_is_deleted_is_gone(subject: &Subject) {
    subject.blobs.write("gone", "text/plain", "x".into()).await.expect("it works");
    subject.blobs.delete("gone").await.expect("it works");
    subject.blobs.delete("gone").await.expect("twice is no error");
    let get = subject.blobs.get_url("gone", subject.soon()).expect("a URL");
    assert_eq!(subject.get(&get, None).await.status, StatusCode::NOT_FOUND);

    let keys = ["many/1", "many/<&>", "many/%", "many/never was", "many/../x"].map(str::to_owned);
    for key in keys.iter().filter(|key| !key.ends_with("never was")) {
        subject.blobs.write(key, "text/plain", "x".into()).await.expect("it works");
    }
    subject.blobs.write("stays", "text/plain", "x".into()).await.expect("it works");
    let failed = subject.blobs.delete_all(&keys).await;
    assert!(failed.is_empty(), "{failed:?}");
    for key in &keys {
        assert_eq!(subject.blobs.describe(key).await.expect("it works"), None, "{key}");
    }
    assert!(subject.blobs.describe("stays").await.expect("it works").is_some());
    assert_eq!(subject.blobs.read("gone").await.expect("it works"), None);
}

async fn large_blobs_stream(subject: &Subject) {
    const CHUNKS: usize = 32;
    let chunk = Bytes::from(vec![b'x'; 256 * 1024]);
    let length = chunk.len() * CHUNKS;
    let put =
        subject.blobs.put_url("large", "application/x-large", Some(length as u64), subject.soon()).expect("a URL");
    let pieces = stream::iter((0..CHUNKS).map(move |_| Ok::<_, std::io::Error>(chunk.clone())));
    let request =
        Request::put(put.as_str()).header("content-type", "application/x-large").header("content-length", length);
    assert_eq!(subject.send(request, Body::from_stream(pieces)).await.status, StatusCode::OK);
    let get = subject.blobs.get_url("large", subject.soon()).expect("a URL");
    assert_eq!(subject.get(&get, None).await.body.len(), length);
    let answer = subject.get(&get, Some("bytes=-10")).await;
    assert_eq!(&answer.body[..], b"xxxxxxxxxx");
}

async fn urls_expire(subject: &Subject) {
    let Some(clock) = &subject.clock else { return };
    subject.blobs.write("brief", "text/plain", "x".into()).await.expect("it works");
    let get = subject.blobs.get_url("brief", subject.soon()).expect("a URL");
    let put = subject.blobs.put_url("brief", "text/plain", None, subject.soon()).expect("a URL");
    clock.advance(HOUR / 2);
    assert_eq!(subject.get(&get, None).await.status, StatusCode::OK);
    clock.advance(HOUR);
    assert_eq!(subject.get(&get, None).await.status, StatusCode::FORBIDDEN);
    assert_eq!(subject.put(&put, "text/plain", "y").await.status, StatusCode::FORBIDDEN);
}

impl Subject {
    fn soon(&self) -> taskcluster_core::time::Timestamp {
        use taskcluster_core::clock::{Clock as _, SystemClock};
        let now = self.clock.as_ref().map_or_else(|| SystemClock::shared().now(), |clock| clock.now());
        now + HOUR
    }

    async fn put(&self, url: &Url, content_type: &str, content: &'static str) -> Answer {
        let request = Request::put(url.as_str()).header("content-type", content_type);
        self.send(request.header("content-length", content.len()), Body::from(Bytes::from(content))).await
    }

    async fn get(&self, url: &Url, range: Option<&str>) -> Answer {
        let mut request = Request::get(url.as_str());
        if let Some(range) = range {
            request = request.header("range", range);
        }
        self.send(request, Body::empty()).await
    }

    async fn send(&self, request: http::request::Builder, body: Body) -> Answer {
        let request = request.body(body).expect("a request");
        let (parts, body) = self.transport.send(request).await.expect("an answer").into_parts();
        Answer { status: parts.status, headers: parts.headers, body: body.collect(LIMIT).await.expect("a body") }
    }
}
