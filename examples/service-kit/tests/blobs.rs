//! Local blobs keep what every storage promises: in this process, and over a socket.

use std::sync::Arc;

use service_kit::blobs::{LocalBlobs, contract};
use taskcluster_core::clock::ManualClock;
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
async fn what_a_crash_cut_off_is_removed() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), ManualClock::default());
    open(&folder, "https://tc.example/blobs", &clock);
    std::fs::write(folder.path().join("incoming/half"), "x").unwrap();
    open(&folder, "https://tc.example/blobs", &clock);
    assert!(!folder.path().join("incoming/half").exists());
}
