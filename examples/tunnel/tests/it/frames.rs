//! What the server says to a client, byte by byte.

use serde_json::json;

use crate::stage::{Raw, Server, token};

async fn client(server: &Server) -> Raw {
    server.connect("group.worker.log", &token("group.worker.log", &json!({}))).await.unwrap()
}

fn data(id: u8, bytes: &[u8]) -> Vec<u8> {
    [&[0, id, 0, 0, 0], bytes].concat()
}

fn ack(id: u8, bytes: u32) -> Vec<u8> {
    [&[2, id, 0, 0, 0][..], &bytes.to_le_bytes()].concat()
}

/// What was asked on a stream, and that there is more room than is known of untold.
async fn asked(client: &mut Raw, id: u8) -> String {
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        let frame = client.hear().await.expect("it goes on");
        match frame[0] {
            0 => asked.extend_from_slice(&frame[5..]),
            2 => assert!(u32::from_le_bytes(frame[5..].try_into().unwrap()) > 4096),
            _ => panic!("{frame:?}"),
        }
        assert_eq!(frame[1..5], [id, 0, 0, 0]);
    }
    String::from_utf8(asked).unwrap().to_lowercase()
}

#[tokio::test]
async fn a_viewer_becomes_a_stream() {
    let server = Server::start().await;
    let mut client = client(&server).await;
    let mut viewer = server.ask("/group.worker.log/log/a%2Fb?c=d").await;
    assert_eq!(client.hear().await.unwrap(), [1, 0, 0, 0, 0]);
    client.say(ack(0, 4096)).await;
    let head = asked(&mut client, 0).await;
    assert!(head.starts_with("get /log/a%2fb?c=d http/1.1\r\n"), "{head}");
    assert!(
        head.contains("host: viewer\r\n")
            && head.contains("x-websocktunnel-original-path: /group.worker.log/log/a%2fb"),
        "{head}"
    );
    client.say(data(0, b"HTTP/1.1 200 OK\r\ncontent-le")).await;
    client.say(data(0, b"ngth: 5\r\nx-own: yes\r\n\r\nhel")).await;
    let head = viewer.head().await;
    assert!(head.starts_with("http/1.1 200 ok\r\n") && head.contains("x-own: yes"), "{head}");
    client.say(data(0, b"lo")).await;
    client.say([3, 0, 0, 0, 0]).await;
    assert_eq!(viewer.rest().await.unwrap(), b"hello");
    assert_eq!(client.hear().await.unwrap(), [3, 0, 0, 0, 0]);
    // Streams of a server have even numbers.
    let _viewer = server.ask("/group.worker.log/").await;
    assert_eq!(client.hear().await.unwrap(), [1, 2, 0, 0, 0]);
    server.stop().await;
}

#[tokio::test]
async fn no_more_is_sent_than_a_client_has_room_for() {
    let server = Server::start().await;
    let mut client = client(&server).await;
    let _viewer = server.ask("/group.worker.log/").await;
    assert_eq!(client.hear().await.unwrap(), [1, 0, 0, 0, 0]);
    client.say(ack(0, 3)).await;
    let mut heard = Vec::new();
    for room in [3, 2, 100_000] {
        let frame = loop {
            let frame = client.hear().await.unwrap();
            if frame[0] == 0 {
                break frame;
            }
        };
        heard.extend_from_slice(&frame[5..]);
        assert!(frame.len() <= 5 + room, "{frame:?}");
        client.say(ack(0, if room == 3 { 2 } else { 100_000 })).await;
    }
    assert!(heard.starts_with(b"GET / HTTP/1.1"), "{}", heard.escape_ascii());
    server.stop().await;
}

#[tokio::test]
async fn a_viewer_that_has_gone_ends_its_stream() {
    let server = Server::start().await;
    let mut client = client(&server).await;
    let mut viewer = server.ask("/group.worker.log/").await;
    assert_eq!(client.hear().await.unwrap(), [1, 0, 0, 0, 0]);
    client.say(ack(0, 4096)).await;
    asked(&mut client, 0).await;
    client.say(data(0, b"HTTP/1.1 200 OK\r\n\r\nx")).await;
    viewer.through("x").await;
    drop(viewer);
    loop {
        // Something to send is what it notices by at the latest.
        client.say(data(0, b"y")).await;
        let frame = tokio::time::timeout(std::time::Duration::from_millis(50), client.hear()).await;
        if frame == Ok(Some(vec![3, 0, 0, 0, 0])) {
            break;
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_refuses_a_stream_or_breaks_it_is_a_bad_gateway() {
    let server = Server::start().await;
    let mut client = client(&server).await;
    let mut viewer = server.ask("/group.worker.log/").await;
    assert_eq!(client.hear().await.unwrap(), [1, 0, 0, 0, 0]);
    client.say([3, 0, 0, 0, 0]).await;
    assert!(viewer.head().await.starts_with("http/1.1 503"));
    assert_eq!(client.hear().await.unwrap(), [3, 0, 0, 0, 0]);

    let mut viewer = server.ask("/group.worker.log/").await;
    assert_eq!(client.hear().await.unwrap(), [1, 2, 0, 0, 0]);
    client.say(ack(2, 4096)).await;
    asked(&mut client, 2).await;
    client.say(data(2, b"no HTTP at all\r\n\r\n")).await;
    assert!(viewer.head().await.starts_with("http/1.1 502"));

    let mut viewer = server.ask("/group.worker.log/").await;
    drop(client);
    assert!(viewer.head().await.starts_with("http/1.1 502"));
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_does_not_keep_to_the_protocol_is_let_go_of() {
    let server = Server::start().await;
    let mut client = client(&server).await;
    // Streams are the server's to open.
    client.say([1, 1, 0, 0, 0]).await;
    assert_eq!(client.hear().await.unwrap(), [3, 1, 0, 0, 0]);
    for nonsense in [&[][..], &[9, 9, 9, 9, 9], &[1], &[2, 0, 0, 0, 0], &[0, 8, 0, 0, 0, 1]] {
        client.say(nonsense).await;
    }
    let mut viewer = server.ask("/group.worker.log/").await;
    assert_eq!(client.hear().await.unwrap(), [1, 0, 0, 0, 0]);
    client.say(data(0, &[b'x'; 4097])).await;
    assert!(viewer.head().await.starts_with("http/1.1 502"));
    assert_eq!(client.hear().await, None);
    server.stop().await;
}
