//! The pages of today's web interfaces open shells in a container, each in its own protocol.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::json;
use taskcluster_core::ids::TaskId;
use taskcluster_worker::plugins::ShellPage;
use taskcluster_worker::testing::BRIEFLY;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use url::Url;

use crate::bench::{Bench, TIMEOUT};

const WAITS: &str = "echo READY; while ! test -e /go; do sleep 0.05; done";

/// What a page is told where to connect to.
async fn socket_url(bench: &Bench, task_id: &TaskId, page: ShellPage, version: &str) -> Url {
    let name = page.artifact();
    bench.queue.until(|queue| queue.artifact(task_id, name).is_some()).await;
    let url: Url = bench.queue.artifact(task_id, name).unwrap().created["url"].as_str().unwrap().parse().unwrap();
    let query = |wanted: &str| url.query_pairs().find(|(name, _)| name == wanted).unwrap().1.into_owned();
    assert_eq!(query("v"), version);
    query("socketUrl").parse().unwrap()
}

async fn connect(url: &Url) -> WebSocketStream<TcpStream> {
    let stream = TcpStream::connect(url.socket_addrs(|| None).unwrap()[0]).await.unwrap();
    tokio_tungstenite::client_async(url.as_str(), stream).await.unwrap().0
}

async fn says(socket: &mut WebSocketStream<TcpStream>, code: u8, text: &str) {
    socket.send(Message::binary([&[code], text.as_bytes()].concat())).await.unwrap();
}

/// The next message that is no ping.
async fn hears(socket: &mut WebSocketStream<TcpStream>) -> Vec<u8> {
    loop {
        match socket.next().await.expect("it goes on").unwrap() {
            Message::Binary(bytes) => return bytes.to_vec(),
            Message::Ping(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn run(bench: &Bench) {
    bench.run_as(1, 1, |_| {}, |worker| worker.linger = BRIEFLY).await;
}

fn task(bench: &Bench) -> TaskId {
    bench.add(json!({"command": ["/bin/sh", "-c", WAITS], "features": {"interactive": true}}))
}

#[tokio::test]
async fn the_page_of_docker_worker() {
    let Some(bench) = Bench::new().await else { return };
    let task_id = task(&bench);
    let visitor = async {
        let mut url = socket_url(&bench, &task_id, ShellPage::DockerWorker, "1").await;
        let script = "read line; echo heard $line; touch /go; exit 7";
        url.query_pairs_mut().extend_pairs([
            ("tty", "false"),
            ("command", "sh"),
            ("command", "-c"),
            ("command", script),
        ]);
        let mut socket = connect(&url).await;
        assert_eq!(hears(&mut socket).await, [100], "it is ready");
        says(&mut socket, 0, "hello\n").await;
        assert_eq!(hears(&mut socket).await, b"\x01heard hello\n");
        assert_eq!(hears(&mut socket).await, [200, 7], "it has ended");
    };
    tokio::join!(run(&bench), async { tokio::time::timeout(TIMEOUT, visitor).await.expect("it ends") });
    assert_eq!(bench.queue.state(&task_id), "completed", "{}", bench.log(&task_id));
}

#[tokio::test]
async fn the_page_of_generic_worker() {
    let Some(bench) = Bench::new().await else { return };
    let task_id = task(&bench);
    let visitor = async {
        let url = socket_url(&bench, &task_id, ShellPage::GenericWorker, "2").await;
        let mut socket = connect(&url).await;
        // 20 rows, 50 columns.
        socket.send(Message::binary(vec![2, 20, 0, 50, 0])).await.unwrap();
        let mut heard = String::new();
        // What is typed at once may come before the size.
        while !heard.contains("20 50\r\n") {
            heard.clear();
            says(&mut socket, 1, "stty size; echo heard $((6 * 7))\n").await;
            while !heard.contains("heard 42\r\n") {
                heard.push_str(&String::from_utf8_lossy(&hears(&mut socket).await));
            }
        }
        says(&mut socket, 1, "touch /go; exit\n").await;
        // It ends with the page, so that the page has to stay.
        while !matches!(socket.next().await, Some(Ok(Message::Close(_))) | None) {}
    };
    tokio::join!(run(&bench), async { tokio::time::timeout(TIMEOUT, visitor).await.expect("it ends") });
    assert_eq!(bench.queue.state(&task_id), "completed", "{}", bench.log(&task_id));
}
