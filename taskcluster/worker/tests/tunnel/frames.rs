//! The client's end of a tunnel, frame by frame.

use std::time::Duration;

use futures_util::SinkExt as _;
use taskcluster_core::time::hours;
use taskcluster_worker::tunnel::{Tunnel, TunnelError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

use crate::server::{Numbered, Server, ack, data, soon};

/// What the official client and server have room for before anybody says how much.
const UNTOLD: usize = 4096;

#[tokio::test]
async fn a_stream_is_accepted_used_and_ended() {
    let server = Server::start().await;
    let (mut listener, _asked) = server.client(hours(1));
    let mut raw = server.accept("http://tunnel.example/group.worker.log").await;
    let (mut stream, room) = raw.open(4, &mut listener).await;
    assert_eq!(listener.url().unwrap().as_str(), "http://tunnel.example/group.worker.log/");
    assert!(room >= 64 * 1024, "{room}");
    raw.say(data(4, b"to you")).await;
    let mut said = [0; 6];
    soon(stream.read_exact(&mut said)).await.unwrap();
    assert_eq!(&said, b"to you");
    stream.write_all(b"to me").await.unwrap();
    assert_eq!(raw.hear().await, data(4, b"to me"));
    // What comes before the end of the other side is read, and then nothing more.
    raw.say(data(4, b"last")).await;
    raw.say([3, 4, 0, 0, 0]).await;
    let mut rest = Vec::new();
    soon(stream.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(rest, b"last");
    assert_eq!(stream.write(b"x").await.unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
    drop(stream);
    assert_eq!(raw.hear().await, [3, 4, 0, 0, 0]);
}

#[tokio::test]
async fn no_more_is_sent_than_the_other_side_has_room_for() {
    let server = Server::start().await;
    let (mut listener, _asked) = server.client(hours(1));
    let mut raw = server.accept("http://tunnel.example/x").await;
    let (mut slow, _) = raw.open(0, &mut listener).await;
    let (mut quick, _) = raw.open(2, &mut listener).await;
    let writing = tokio::spawn(async move {
        slow.write_all(&[b'x'; 100_000]).await.unwrap();
        slow.shutdown().await.unwrap();
        slow
    });
    let mut received = 0;
    while received < UNTOLD {
        let frame = raw.hear().await;
        assert_eq!(frame[..5], [0, 0, 0, 0, 0]);
        received += frame.len() - 5;
    }
    assert_eq!(received, UNTOLD);
    // Nothing more comes of it, while another stream goes on.
    quick.write_all(b"quick").await.unwrap();
    assert_eq!(raw.hear().await, data(2, b"quick"));
    raw.say(ack(0, 10)).await;
    assert_eq!(raw.hear().await, data(0, &[b'x'; 10]));
    received += 10;
    raw.say(ack(0, u32::MAX)).await;
    loop {
        let frame = raw.hear().await;
        if frame == [3, 0, 0, 0, 0] {
            break;
        }
        assert_eq!(frame[..5], [0, 0, 0, 0, 0]);
        received += frame.len() - 5;
    }
    assert_eq!(received, 100_000);
    drop(soon(writing).await.unwrap());
}

#[tokio::test]
async fn room_is_told_of_when_it_is_free_and_whoever_sends_more_is_let_go_of() {
    let server = Server::start().await;
    let (mut listener, _asked) = server.client(hours(1));
    let mut raw = server.accept("http://tunnel.example/x").await;
    let (mut stream, room) = raw.open(0, &mut listener).await;
    let piece = vec![b'x'; 32 * 1024];
    for _ in 0..room as usize / piece.len() {
        raw.say(data(0, &piece)).await;
    }
    let mut told = 0;
    let mut read = vec![0; room as usize];
    soon(stream.read_exact(&mut read)).await.unwrap();
    // All but what is not worth a message.
    while told <= room - 64 * 1024 {
        let frame = raw.hear().await;
        assert_eq!(frame[..5], [2, 0, 0, 0, 0]);
        told += u32::from_le_bytes(frame[5..].try_into().unwrap());
    }
    assert!(told <= room);
    for _ in 0..=room as usize / piece.len() {
        // It may be closed before all is sent.
        let _ = soon(raw.0.send(Message::Binary(data(0, &piece).into()))).await;
    }
    raw.until_closed().await;
    // It comes back by itself.
    server.accept("http://tunnel.example/x").await;
}

#[tokio::test]
async fn what_nobody_understands_is_ignored() {
    let server = Server::start().await;
    let (mut listener, _asked) = server.client(hours(1));
    let mut raw = server.accept("http://tunnel.example/x").await;
    for nonsense in [&[][..], &[1, 0], &[7, 0, 0, 0, 0], &[2, 0, 0, 0, 0, 1], &[0, 9, 0, 0, 0, 1], &[3, 9, 0, 0, 0]] {
        raw.say(nonsense).await;
    }
    soon(raw.0.send(Message::text("hello"))).await.unwrap();
    let (stream, _) = raw.open(0, &mut listener).await;
    // The same stream once more is no other one.
    raw.say([1, 0, 0, 0, 0]).await;
    raw.say([1, 2, 0, 0, 0]).await;
    drop(soon(listener.accept()).await);
    drop(stream);
    let mut ends = Vec::new();
    while ends.len() < 2 {
        let frame = raw.hear().await;
        if frame[0] == 3 {
            ends.push(frame[1]);
        }
    }
    ends.sort_unstable();
    assert_eq!(ends, [0, 2]);
}

#[tokio::test]
async fn streams_end_with_their_connection_and_the_next_has_its_own_url() {
    let server = Server::start().await;
    let (mut listener, _asked) = server.client(hours(1));
    let mut raw = server.accept("http://one.example/x").await;
    let (mut stream, _) = raw.open(0, &mut listener).await;
    drop(raw);
    let error = soon(stream.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    let mut raw = server.accept("http://two.example/x").await;
    let (mut stream, _) = raw.open(0, &mut listener).await;
    assert_eq!(listener.url().unwrap().as_str(), "http://two.example/x/");
    raw.say(data(0, b"x")).await;
    assert_eq!(soon(stream.read_u8()).await.unwrap(), b'x');
}

#[tokio::test]
async fn a_token_that_nears_its_end_is_renewed() {
    let server = Server::start().await;
    let (_listener, mut asked) = server.client(Duration::from_secs(4));
    let mut raw = server.accept("http://tunnel.example/x").await;
    raw.until_closed().await;
    server.accept("http://tunnel.example/x").await;
    for _ in 0..2 {
        assert_eq!(soon(asked.recv()).await.unwrap(), "group.worker.log");
    }
}

#[tokio::test]
async fn a_server_that_refuses_is_asked_again_with_another_token() {
    let server = Server::start().await;
    let (_listener, mut asked) = server.client(hours(1));
    for _ in 0..2 {
        let (mut stream, _) = soon(server.listener.accept()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(soon(stream.read_u8()).await.unwrap());
        }
        stream.write_all(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        soon(asked.recv()).await.unwrap();
    }
    server.accept("http://tunnel.example/x").await;
    soon(asked.recv()).await.unwrap();
}

#[tokio::test]
async fn a_crowd_that_nobody_lets_in_is_refused() {
    let server = Server::start().await;
    let (mut listener, _asked) = server.client(hours(1));
    let mut raw = server.accept("http://tunnel.example/x").await;
    for id in 0..200_u32 {
        raw.say([&[1][..], &(2 * id).to_le_bytes()].concat()).await;
    }
    // The first that does not fit is told so; those who do wait.
    assert_eq!(raw.hear().await[0], 3);
    let stream = soon(listener.accept()).await;
    loop {
        let frame = raw.hear().await;
        if frame[0] == 2 {
            assert_eq!(frame[1..5], [0, 0, 0, 0]);
            break;
        }
    }
    drop(stream);
}

#[tokio::test]
async fn what_can_be_no_tunnel_is_refused() {
    for (url, id) in [("http://x", ""), ("http://x", "a/b"), ("http://x", "ä"), ("ftp://x", "a"), ("file:///x", "a")] {
        let (asked, _) = mpsc::unbounded_channel();
        let made = Tunnel::new(url.parse().unwrap(), id, Numbered { asked, life: hours(1) });
        assert!(matches!(made, Err(TunnelError::Id(_) | TunnelError::Server(_))), "{url} {id}");
    }
}
