//! The log, while the run goes on.

use std::time::Duration;

use serde_json::json;
use taskcluster_worker::Event;
use taskcluster_worker::plugins::{BACKING_LOG, LIVE_LOG};

use crate::bench::Bench;

/// A GET without a client library.
async fn get(url: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let url: url::Url = url.parse().unwrap();
    let address = (url.host_str().unwrap(), url.port().unwrap());
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {} HTTP/1.0\r\nhost: {}\r\n\r\n", url.path(), address.0);
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn the_log_can_be_followed_while_the_task_runs() {
    let bench = Bench::new().await;
    let task_id = bench.add(json!({"mock": [{"print": "hello\n"}, {"forever": "running\n"}]}));
    let view = async {
        bench.live(&task_id).await;
        let created = bench.queue.artifact(&task_id, LIVE_LOG).unwrap().created;
        assert_eq!(created["storageType"], "reference");
        let url = created["url"].as_str().unwrap();
        // The answer ends only when the log does.
        let stop = async {
            let is_running = |event: &Event| matches!(event, Event::Log { chunk, .. } if chunk.ends_with(b"running\n"));
            while !bench.events.lock().unwrap().iter().any(is_running) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            bench.queue.cancel(&task_id);
        };
        let (answer, wrong, ()) = tokio::join!(get(url), async { get(&format!("{url}x")).await }, stop);
        (answer, wrong)
    };
    let ((), (answer, wrong)) = tokio::join!(bench.run(), view);
    assert!(answer.contains("hello\nrunning\n") && answer.contains("cancelled"), "{answer}");
    assert!(wrong.starts_with("HTTP/1.0 404"), "{wrong}");
}

#[tokio::test]
async fn the_live_log_can_be_turned_off() {
    let bench = Bench::new().await;
    let (task_id, state) = bench.resolve(json!({"mock": [], "features": {"liveLog": false}})).await;
    assert_eq!(state, "completed");
    assert_eq!(bench.queue.artifact_names(&task_id), [BACKING_LOG]);
}
