//! How a service runs and ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use service_kit::service::{self, Background};
use taskcluster_core::transport::http::HttpTransport;
use taskcluster_core::transport::{Body, Transport};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

const LONG: Duration = Duration::from_secs(60);

async fn ask(address: &str) -> String {
    let transport = Transport::new(HttpTransport::new().unwrap());
    let request = http::Request::get(format!("http://{address}/")).body(Body::empty()).unwrap();
    let answer = transport.send(request).await.unwrap();
    String::from_utf8(answer.into_body().collect(1024).await.unwrap().to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_finish_before_loops_end() {
    let (asked, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let loop_ended = Arc::new(AtomicBool::new(false));
    let router = {
        let (asked, go_on, loop_ended) = (asked.clone(), go_on.clone(), loop_ended.clone());
        Router::new().route(
            "/",
            get(move || async move {
                asked.notify_one();
                go_on.notified().await;
                format!("loop ended: {}", loop_ended.load(Ordering::SeqCst))
            }),
        )
    };
    let background = Background::new("test", {
        let loop_ended = loop_ended.clone();
        move |stop| async move {
            stop.cancelled().await;
            loop_ended.store(true, Ordering::SeqCst);
        }
    });
    let listener = service::listen("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let shutdown = CancellationToken::new();
    let running = service::run(listener, router, vec![background], shutdown.clone());
    let testing = async {
        let answer = ask(&address);
        let stopping = async {
            asked.notified().await;
            shutdown.cancel();
            go_on.notify_one();
        };
        let (answer, ()) = tokio::join!(answer, stopping);
        assert_eq!(answer, "loop ended: false");
    };
    let (ran, ()) = tokio::time::timeout(LONG, async { tokio::join!(running, testing) }).await.unwrap();
    ran.unwrap();
    assert!(loop_ended.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_loop_that_breaks_ends_the_service() {
    for panics in [true, false] {
        let background = Background::new("broken", move |_| async move {
            assert!(!panics, "as asked");
        });
        let listener = service::listen("127.0.0.1:0").await.unwrap();
        let running = service::run(listener, Router::new(), vec![background], CancellationToken::new());
        let error = tokio::time::timeout(LONG, running).await.unwrap().unwrap_err();
        assert!(error.to_string().contains("loop"), "{error}");
    }
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let first = service::listen("127.0.0.1:0").await.unwrap();
    let address = first.local_addr().unwrap().to_string();
    let error = service::listen(&address).await.unwrap_err().to_string();
    assert!(error.contains(&address), "{error}");
}
