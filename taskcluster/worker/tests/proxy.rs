//! The proxy: a task's calls, signed with no more than the task's scopes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use taskcluster_core::Credentials;
use taskcluster_core::hawk::Presented;
use taskcluster_worker::plugins::{BackingLog, Proxy};
use taskcluster_worker::testing::{FakeQueue, MockEngine, task_with_payload};
use taskcluster_worker::{Event, Identity, Settings, Shutdown, Worker};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn send(address: &str, request: String) -> (String, String) {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_lowercase(), body.to_owned())
}

#[tokio::test]
async fn calls_are_signed_with_the_scopes_of_the_task_and_passed_on_as_they_are() {
    let queue = FakeQueue::start().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let payload = serde_json::from_value(json!({
        "mock": [{"printEnv": "TASKCLUSTER_PROXY_URL"}, {"forever": "!"}],
        "features": {"taskclusterProxy": true},
    }))
    .unwrap();
    let mut definition = task_with_payload(&payload);
    definition["scopes"] = json!(["some:scope", "another:*"]);
    let task_id = queue.add_task(definition);
    let events: Arc<Mutex<Vec<u8>>> = Arc::default();
    let sink = events.clone();
    let worker = Worker::builder(
        queue.root_url(),
        Identity::new("test/worker".parse().unwrap(), "group", "worker"),
        MockEngine::default(),
        Settings::new(dir.path()),
    )
    .credentials(Credentials::new("the-worker", "the-token-of-the-worker"))
    .plugin(Proxy::default())
    .plugin(BackingLog::default())
    .events(Arc::new(move |event| {
        if let Event::Log { chunk, .. } = event {
            sink.lock().unwrap().extend(chunk);
        }
    }))
    .build()
    .unwrap();
    let shutdown = Shutdown::new();
    let calls = async {
        let printed = || String::from_utf8(events.lock().unwrap().clone()).unwrap();
        while !printed().ends_with('!') {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let log = printed();
        let url = log.lines().last().unwrap().trim_end_matches('!');
        let (address, secret) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();

        let body = "the body";
        let call = format!(
            "PUT /{secret}/api/echo/v1/a%2Fb?c=d%20e HTTP/1.0\r\nhost: {address}\r\ncontent-length: {}\r\n\
             authorization: Bearer forged\r\nx-mine: kept\r\n\r\n{body}",
            body.len()
        );
        let (head, echo) = send(address, call).await;
        assert!(head.starts_with("http/1.0 201") && head.contains("x-echo: first"), "{head}");
        let echo: Value = serde_json::from_str(&echo).unwrap();
        assert_eq!(echo["path"], "/api/echo/v1/a%2Fb?c=d%20e");
        assert_eq!((&echo["method"], &echo["body"]), (&json!("PUT"), &json!("the body")));
        let presented = Presented::from_header(echo["authorization"].as_str().unwrap()).unwrap();
        let shown = format!("{presented:?}");
        for scope in ["some:scope", "another:*", &format!("queue:create-artifact:{task_id}/0")] {
            assert!(shown.contains(scope), "{scope} is missing: {shown}");
        }
        assert_eq!(queue.request("PUT /api/echo").await.headers["x-mine"], "kept");

        for wrong in [
            "/api/echo/v1/x",
            "/guess/api/echo/v1/x",
            &format!("/{secret}/other/path"),
            &format!("/{secret}/evil.example/api/echo/v1/x"),
            &format!("/{secret}/api/a/../../x"),
        ] {
            let (head, _) = send(address, format!("GET {wrong} HTTP/1.0\r\nhost: {address}\r\n\r\n")).await;
            assert!(head.starts_with("http/1.0 404"), "{wrong}: {head}");
        }
        // As tasks of long ago have it.
        let host = queue.root_url().trim_start_matches("http://").to_owned();
        for old in ["echo/v1/old".to_owned(), format!("{host}/api/echo/v1/old")] {
            let (head, echo) = send(address, format!("GET /{secret}/{old} HTTP/1.0\r\nhost: {address}\r\n\r\n")).await;
            assert!(head.contains(&format!("x-taskcluster-endpoint: {}/api/echo/v1/old", queue.root_url())), "{head}");
            let echo: Value = serde_json::from_str(&echo).unwrap();
            assert_eq!(echo["path"], "/api/echo/v1/old", "{old}");
        }
        let post = |path: &str, body: &str| {
            format!("POST /{secret}/{path} HTTP/1.0\r\nhost: {address}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        };
        let target = format!("{}/api/echo/v1/signed?a=b", queue.root_url());
        let (head, url) = send(address, post("bewit", &target)).await;
        assert!(
            head.starts_with("http/1.0 303") && head.contains(&format!("location: {}", url.to_lowercase())),
            "{head}"
        );
        assert!(url.starts_with(&format!("{target}&bewit=")), "{url}");
        for (path, body) in [("bewit", "https://evil.example/x"), ("credentials", "{\"clientId\": \"mine\"}")] {
            let (head, _) = send(address, post(path, body)).await;
            assert!(head.starts_with("http/1.0 40"), "{path}: {head}");
        }
        shutdown.now();
    };
    let (done, ()) =
        tokio::time::timeout(Duration::from_secs(120), async { tokio::join!(worker.run(shutdown.clone()), calls) })
            .await
            .unwrap();
    assert_eq!(done.unwrap().runs, 1);
}
