//! Who is let in as a client, and who is not.

use serde_json::json;
use taskcluster_core::clock::{Clock as _, ManualClock, SystemClock};
use taskcluster_core::time::hours;
use tokio_tungstenite::tungstenite::Error;

use crate::stage::{FORMER, SECRET, Server, Speaker, next, open, signed, token, until};

/// The status with which a client of the name `id` is refused.
async fn refused(server: &Server, id: &str, token: &str) -> u16 {
    match server.connect(id, token).await {
        Err(Error::Http(answer)) => answer.status().as_u16(),
        Err(error) => panic!("{error}"),
        Ok(_) => 101,
    }
}

#[tokio::test]
async fn whoever_has_no_good_token_is_refused() {
    let server = Server::start().await;
    let now = SystemClock.now().as_seconds();
    let claims = json!({"tid": "a", "iat": now, "nbf": now - 900, "exp": now + 3600});
    let head = json!({"alg": "HS256", "typ": "JWT"});
    let none = signed(&json!({"alg": "none"}), &claims, "");
    for (what, token) in [
        ("nothing", String::new()),
        ("no token", "abc".to_owned()),
        ("another secret", signed(&head, &claims, "guess")),
        ("no secret", signed(&head, &claims, "")),
        ("no algorithm", none.clone()),
        ("no signature", format!("{}.", none.rsplit_once('.').unwrap().0)),
        ("another algorithm", signed(&json!({"alg": "RS256"}), &claims, SECRET)),
        ("expired", token("a", &json!({"exp": now - 1}))),
        ("not yet", token("a", &json!({"nbf": now + 600}))),
        ("too long", token("a", &json!({"exp": now + 32 * 86_400}))),
        ("another audience", token("a", &json!({"aud": "there"}))),
        ("another client", token("b", &json!({}))),
    ] {
        assert_eq!(refused(&server, "a", &token).await, 401, "{what}");
    }
    assert_eq!(refused(&server, "a/b", &token("a/b", &json!({}))).await, 400);
    let request = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-websocktunnel-id: a\r\n";
    for (more, status) in
        [(String::new(), "401"), (format!("authorization: Bearer {}\r\n", token("a", &json!({}))), "426")]
    {
        let stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
        let mut client = Speaker::new(stream);
        client.say(format!("{request}{more}\r\n").as_bytes()).await;
        assert!(client.head().await.starts_with(&format!("http/1.1 {status}")), "{more}");
    }
    assert!(server.answer("/").await.starts_with("HTTP/1.1 404"));
    server.stop().await;
}

#[tokio::test]
async fn tokens_of_the_former_secret_are_good() {
    let server = Server::start().await;
    let now = SystemClock.now().as_seconds();
    let claims = json!({"tid": "a", "nbf": now - 900, "exp": now + 3600});
    server.connect("a", &signed(&json!({"alg": "HS256"}), &claims, FORMER)).await.unwrap();
}

#[tokio::test]
async fn a_connection_ends_with_its_token() {
    let clock = ManualClock::at(SystemClock.now());
    let given = clock.clone();
    let server = Server::with("127.0.0.1:0".parse().unwrap(), |options| options.with_clock(given.shared())).await;
    let mut client = server.connect("a", &token("a", &json!({}))).await.unwrap();
    clock.advance(hours(2));
    assert_eq!(client.hear().await, None);
    until(|| async { server.answer("/a/").await.starts_with("HTTP/1.1 404").then_some(()) }).await;
}

#[tokio::test]
async fn the_second_of_a_name_takes_the_place_of_the_first() {
    let server = Server::start().await;
    let mut first = server.connect("a", &token("a", &json!({}))).await.unwrap();
    let mut second = server.listen("a");
    assert_eq!(first.hear().await, None);
    open(&second).await;
    let mut viewer = server.ask("/a/x").await;
    let mut served = next(&mut second).await;
    served.head().await;
    served.say(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    assert!(viewer.head().await.starts_with("http/1.1 204"));
    // Others are not touched.
    let mut other = server.listen("b");
    open(&other).await;
    let _viewer = server.ask("/b/x").await;
    next(&mut other).await.head().await;
    server.stop().await;
}

#[tokio::test]
async fn there_are_so_many_clients_and_no_more() {
    let server = Server::with("127.0.0.1:0".parse().unwrap(), |options| options.with_max_clients(1)).await;
    let first = server.connect("a", &token("a", &json!({}))).await.unwrap();
    assert_eq!(refused(&server, "b", &token("b", &json!({}))).await, 503);
    let again = server.connect("a", &token("a", &json!({}))).await.unwrap();
    drop((first, again));
    until(|| async { server.connect("b", &token("b", &json!({}))).await.ok() }).await;
}

#[tokio::test]
async fn a_server_that_is_gone_is_found_again() {
    let server = Server::start().await;
    let address = server.address;
    let mut listener = server.listen("a");
    open(&listener).await;
    let viewer = server.ask("/a/x").await;
    let mut served = next(&mut listener).await;
    served.head().await;
    served.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n").await;
    server.stop().await;
    // What was under way is seen to be cut off.
    let rest = viewer.rest().await;
    assert!(rest.is_err() || !rest.unwrap().ends_with(b"0\r\n\r\n"));
    assert!(served.rest().await.is_err());
    let server = Server::with(address, |options| options).await;
    let (viewer, mut served) = loop {
        let mut viewer = server.ask("/a/y").await;
        tokio::select! {
            served = next(&mut listener) => break (viewer, served),
            // It is not there yet.
            head = viewer.head() => assert!(head.starts_with("http/1.1 404"), "{head}"),
        }
        tokio::task::yield_now().await;
    };
    assert!(served.head().await.starts_with("get /y "));
    served.say(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await;
    assert!(viewer.rest().await.unwrap().ends_with(b"\r\n\r\nhi"));
    server.stop().await;
}
