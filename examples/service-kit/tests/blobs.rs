//! Local blobs keep what every storage promises: in this process, and over a socket.

use std::sync::Arc;

use service_kit::blobs::{Blobs as _, LocalBlobs, contract};
use taskcluster_core::clock::{Clock as _, ManualClock};
use taskcluster_core::transport::http::HttpTransport;
use taskcluster_core::transport::{Transport, in_process};

fn open(folder: &tempfile::TempDir, base_url: &str, clock: &ManualClock) -> LocalBlobs {
    LocalBlobs::open(folder.path(), base_url.parse().unwrap(), b"secret", clock.shared()).unwrap()
}

#[tokio::test]
async fn in_this_process() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), ManualClock::default());
    let blobs = open(&folder, "https://tc.example/blobs", &clock);
    let transport = in_process(blobs.router());
    contract::run(&contract::Subject { blobs: Arc::new(blobs), transport, clock: Some(clock) }).await;
    let left = std::fs::read_dir(folder.path().join("incoming")).unwrap().count();
    assert_eq!(left, 0, "temporary files");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_socket() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), ManualClock::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let blobs = open(&folder, &format!("http://{}/blobs", listener.local_addr().unwrap()), &clock);
    let shutdown = tokio_util::sync::CancellationToken::new();
    let serving = service_kit::service::run(listener, blobs.router(), Vec::new(), shutdown.clone());
    let testing = async {
        let transport = Transport::new(HttpTransport::new().unwrap());
        contract::run(&contract::Subject { blobs: Arc::new(blobs), transport, clock: Some(clock) }).await;
        shutdown.cancel();
    };
    let (served, ()) = tokio::join!(serving, testing);
    served.unwrap();
}

#[tokio::test]
async fn a_download_can_be_asked_about_first() {
    use taskcluster_core::transport::Body;
    let (folder, clock) = (tempfile::tempdir().unwrap(), ManualClock::default());
    let blobs = open(&folder, "https://tc.example/blobs", &clock);
    blobs.write("a", "text/plain", "hello".into()).await.unwrap();
    let url = blobs.get_url("a", clock.now() + std::time::Duration::from_secs(60)).unwrap();
    let request = http::Request::head(url.as_str()).body(Body::empty()).unwrap();
    let (head, body) = in_process(blobs.router()).send(request).await.unwrap().into_parts();
    assert_eq!((head.status.as_u16(), body.collect(10).await.unwrap().len()), (200, 0));
    assert_eq!(
        (&head.headers["content-length"], &head.headers["accept-ranges"]),
        (&"5".parse().unwrap(), &"bytes".parse().unwrap())
    );
}

#[tokio::test]
async fn pages_are_kept_from_acting_in_the_deployments_name() {
    use taskcluster_core::transport::Body;
    let (folder, clock) = (tempfile::tempdir().unwrap(), ManualClock::default());
    let blobs = open(&folder, "https://tc.example/blobs", &clock);
    let transport = in_process(blobs.router());
    let end = clock.now() + std::time::Duration::from_secs(60);
    for (content_type, sandboxed) in [
        ("text/html", true),
        ("image/svg+xml", true),
        ("text/plain; charset=utf-8", true),
        ("application/pdf", false),
        ("text/html, application/pdf", true),
    ] {
        blobs.write("page", content_type, "<script>".into()).await.unwrap();
        let request = http::Request::get(blobs.get_url("page", end).unwrap().as_str()).body(Body::empty()).unwrap();
        let answer = transport.send(request).await.unwrap();
        let policy = answer.headers().get("content-security-policy").map(|policy| policy.to_str().unwrap());
        assert_eq!(policy, sandboxed.then_some("sandbox allow-scripts"), "{content_type}");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers()["content-type"], content_type);
    }
}

#[tokio::test]
async fn nobody_else_may_read_what_is_kept() {
    use std::os::unix::fs::PermissionsExt as _;
    let (folder, clock) = (tempfile::tempdir().unwrap(), ManualClock::default());
    let blobs = open(&folder, "https://tc.example/blobs", &clock);
    blobs.write("private", "text/plain", "x".into()).await.unwrap();
    let mut seen = 0;
    let mut folders = vec![folder.path().to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let entry = entry.unwrap();
            let is_folder = entry.metadata().unwrap().is_dir();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, if is_folder { 0o700 } else { 0o600 }, "{}", entry.path().display());
            seen += 1;
            if is_folder {
                folders.push(entry.path());
            }
        }
    }
    assert_eq!(seen, 4, "objects, a folder of it, the blob, incoming");
}

/// Over a socket, since within a process nobody minds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_upload_is_told_of_while_it_is_sent() {
    use taskcluster_core::transport::Body;
    let (folder, clock) = (tempfile::tempdir().unwrap(), ManualClock::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let blobs = open(&folder, &format!("http://{}/blobs", listener.local_addr().unwrap()), &clock);
    let shutdown = tokio_util::sync::CancellationToken::new();
    let serving = service_kit::service::run(listener, blobs.router(), Vec::new(), shutdown.clone());
    let testing = async {
        let end = clock.now() + std::time::Duration::from_secs(60);
        let url = blobs.put_url("late", "text/plain", None, end).unwrap();
        clock.advance(std::time::Duration::from_secs(61));
        let request = http::Request::put(url.as_str()).header("content-type", "text/plain");
        let request = request.body(Body::from(vec![b'x'; 20 << 20])).unwrap();
        let answer = Transport::new(HttpTransport::new().unwrap()).send(request).await.unwrap();
        assert_eq!(answer.status(), 403);
        shutdown.cancel();
    };
    let (served, ()) = tokio::join!(serving, testing);
    served.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_does_not_arrive_is_given_up() {
    use taskcluster_core::transport::Body;
    let (folder, clock) = (tempfile::tempdir().unwrap(), ManualClock::default());
    let blobs = open(&folder, "https://tc.example/blobs", &clock);
    let url = blobs.put_url("never", "text/plain", None, clock.now() + std::time::Duration::from_secs(60)).unwrap();
    let never = Body::from_stream(futures_util::stream::pending::<Result<bytes::Bytes, std::io::Error>>());
    let request = http::Request::put(url.as_str()).header("content-type", "text/plain").body(never).unwrap();
    assert_eq!(in_process(blobs.router()).send(request).await.unwrap().status(), 400);
    assert_eq!(std::fs::read_dir(folder.path().join("incoming")).unwrap().count(), 0, "nothing is left of it");
}

#[tokio::test]
async fn what_a_crash_cut_off_is_removed() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), ManualClock::default());
    open(&folder, "https://tc.example/blobs", &clock);
    std::fs::write(folder.path().join("incoming/half"), "x").unwrap();
    open(&folder, "https://tc.example/blobs", &clock);
    assert!(!folder.path().join("incoming/half").exists());
}
