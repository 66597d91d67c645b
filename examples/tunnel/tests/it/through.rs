//! What goes through the server between viewers and the SDK's client.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::stage::{Server, Speaker, next, open, soon, until};

#[tokio::test]
async fn a_name_that_nobody_has_is_not_found() {
    let server = Server::start().await;
    for path in ["/nobody/", "/nobody", "/nobody/x?y", "/..%2f/"] {
        assert!(server.answer(path).await.starts_with("HTTP/1.1 404"), "{path}");
    }
    assert!(server.answer("/__heartbeat__").await.starts_with("HTTP/1.1 200"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_viewers_get_each_its_own_while_one_is_slow() {
    const VIEWERS: usize = 100;
    const LENGTH: usize = 300_000;
    let server = Server::start().await;
    let mut listener = server.listen("a");
    open(&listener).await;
    let serving = tokio::spawn(async move {
        loop {
            let mut served = next(&mut listener).await;
            tokio::spawn(async move {
                let head = served.head().await;
                let number: u8 = head.strip_prefix("get /").unwrap().split(' ').next().unwrap().parse().unwrap();
                let length = if number == 255 { 100_000_000 } else { LENGTH };
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
                // Whoever has gone gets no more.
                let sending = async {
                    served.stream.write_all(head.as_bytes()).await?;
                    for _ in 0..length / 1000 {
                        served.stream.write_all(&[number; 1000]).await?;
                    }
                    served.stream.shutdown().await
                };
                let _ = sending.await;
            });
        }
    });
    // One takes the head and then nothing, though there is far more than fits anywhere.
    let mut slow = server.ask("/a/255").await;
    slow.head().await;
    let mut viewers = tokio::task::JoinSet::new();
    for number in 0..VIEWERS {
        let mut viewer = server.ask(&format!("/a/{number}")).await;
        viewers.spawn(async move {
            viewer.head().await;
            let body = viewer.rest().await.unwrap();
            assert_eq!(body.len(), LENGTH);
            assert!(body.iter().all(|byte| usize::from(*byte) == number));
        });
    }
    while let Some(ended) = soon(viewers.join_next()).await {
        ended.unwrap();
    }
    // It is still served when it wants more.
    let mut some = vec![0; 3_000_000];
    soon(slow.stream.read_exact(&mut some)).await.unwrap();
    drop(slow);
    serving.abort();
    server.stop().await;
}

#[tokio::test]
async fn a_request_with_a_body_is_passed_on_and_what_is_nobodys_business_is_not() {
    let server = Server::start().await;
    let mut listener = server.listen("a");
    open(&listener).await;
    let mut viewer = Speaker::new(TcpStream::connect(server.address).await.unwrap());
    let head = "PUT /a/b HTTP/1.1\r\nhost: x\r\nconnection: close, x-hop\r\nx-hop: 1\r\nx-own: 2\r\ncookie: c=d\r\n\
        authorization: Hawk x\r\ntransfer-encoding: chunked\r\n\r\n";
    viewer.say(head.as_bytes()).await;
    let mut served = next(&mut listener).await;
    let head = served.head().await;
    assert!(head.starts_with("put /b http/1.1\r\n") && head.contains("x-own: 2"), "{head}");
    for gone in ["x-hop", "cookie", "authorization"] {
        assert!(!head.contains(gone), "{head}");
    }
    // It comes as it is sent.
    viewer.say(b"5\r\nfirst\r\n").await;
    served.through("first").await;
    viewer.say(b"4\r\nlast\r\n0\r\n\r\n").await;
    served.through("last").await;
    served.say(b"HTTP/1.1 200 OK\r\nset-cookie: a=b\r\ncontent-type: text/html\r\ncontent-length: 0\r\n\r\n").await;
    let head = viewer.head().await;
    assert!(!head.contains("set-cookie"), "{head}");
    assert!(head.contains("content-security-policy: sandbox"), "{head}");
    server.stop().await;
}

#[tokio::test]
async fn an_answer_comes_as_it_is_written_and_one_that_breaks_off_is_seen_to() {
    let server = Server::start().await;
    let mut listener = server.listen("a");
    open(&listener).await;
    let mut viewer = server.ask("/a/log").await;
    let mut served = next(&mut listener).await;
    served.head().await;
    served.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
    viewer.head().await;
    for word in ["one", "two", "three"] {
        served.say(format!("{:x}\r\n{word}\r\n", word.len()).as_bytes()).await;
        viewer.through(word).await;
    }
    // The worker is gone.
    drop(listener);
    let rest = viewer.rest().await;
    assert!(rest.is_err() || !rest.unwrap().ends_with(b"0\r\n\r\n"));
    until(|| async { server.answer("/a/log").await.starts_with("HTTP/1.1 404").then_some(()) }).await;
    server.stop().await;
}

#[tokio::test]
async fn a_viewer_that_has_gone_is_noticed() {
    let server = Server::start().await;
    let mut listener = server.listen("a");
    open(&listener).await;
    let mut viewer = server.ask("/a/log").await;
    let mut served = next(&mut listener).await;
    served.head().await;
    served.say(b"HTTP/1.1 200 OK\r\n\r\nx").await;
    viewer.head().await;
    drop(viewer);
    // Even by one that has nothing more to say.
    assert_eq!(soon(served.stream.read(&mut [0; 8])).await.unwrap(), 0);
    server.stop().await;
}

#[tokio::test]
async fn another_protocol_is_spoken_both_ways() {
    let server = Server::start().await;
    let mut listener = server.listen("a");
    open(&listener).await;
    let mut viewer = Speaker::new(TcpStream::connect(server.address).await.unwrap());
    viewer.say(b"GET /a/shell HTTP/1.1\r\nhost: x\r\nconnection: keep-alive, Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: k\r\n\r\n").await;
    let mut served = next(&mut listener).await;
    let head = served.head().await;
    assert!(head.contains("upgrade: websocket") && head.contains("sec-websocket-key: k"), "{head}");
    served.say(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: s\r\n\r\nat once").await;
    let head = viewer.head().await;
    assert!(head.starts_with("http/1.1 101") && head.contains("sec-websocket-accept: s"), "{head}");
    viewer.through("at once").await;
    viewer.say(b"question").await;
    served.through("question").await;
    served.say(b"answer").await;
    viewer.through("answer").await;
    // The end of one is that of the other.
    drop(served);
    assert_eq!(viewer.rest().await.unwrap(), b"");
    server.stop().await;
}
