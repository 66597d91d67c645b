//! Peers that are broken, or mean it.

use std::time::Duration;

use taskcluster_worker::plugins::{SHELL, ShellPage};
use taskcluster_worker::shell::ShellRequest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::client::{Client, Heard, dial};
use crate::own::{Raw, visit};
use crate::stage::{Stage, soon};
use crate::{v1, v2};

/// Longer than any message may be.
const TOO_LONG: usize = 300_000;

/// What a visitor does for whom all is as it should be.
pub(crate) async fn all_is_well(stage: &mut Stage) {
    let visit = visit(&stage.leads_to(SHELL), ShellRequest::default());
    let mut program = stage.program().await;
    program.prints(b"well").await;
    program.exits(0);
    assert_eq!(visit.ends().await.unwrap(), (b"well".to_vec(), 0));
}

#[tokio::test]
async fn a_message_that_is_too_long_ends_the_shell_and_says_so() {
    let mut stage = Stage::set().await;
    let mut client = v1::connect(&stage, "tty=true").await;
    let mut program = stage.program().await;
    assert!(client.tries_to_say(Message::binary(vec![0; TOO_LONG])).await);
    program.is_ended().await;
    assert_eq!(client.message().await, [100]);
    assert_eq!(client.message().await[0], 202);
    assert_eq!(client.end().await, (1009, "a message is too long".to_owned()));

    let (mut client, mut program) = v2::open(&mut stage).await;
    assert!(client.tries_to_say(Message::binary(vec![1; TOO_LONG])).await);
    program.is_ended().await;
    assert!(String::from_utf8(client.message().await).unwrap().contains("too long"));
    assert_eq!(client.end().await.0, 1009);

    // A session of ours outlives its connection.
    let mut raw = Raw::open(&stage).await;
    let mut program = stage.program().await;
    // Which may be cut off before all of it is said.
    raw.0.tries_to_say(Message::binary(vec![0; TOO_LONG])).await;
    assert_eq!(raw.0.hears().await, Heard::Lost);
    program.prints(b"still there").await;
    all_is_well(&mut stage).await;
    assert_eq!(stage.end().await, "completed");
}

#[tokio::test]
async fn a_page_may_paste_as_much_as_a_message_holds() {
    let mut stage = Stage::set().await;
    let (mut client, mut program) = v2::open(&mut stage).await;
    let pasted: Vec<u8> = (0..200_000).map(|at| b'a' + (at % 26) as u8).collect();
    client.says(&[&[1][..], &pasted].concat()).await;
    assert!(program.reads(pasted.len()).await == pasted);
    stage.end().await;
}

#[tokio::test]
async fn what_is_no_websocket_ends_the_shell() {
    let mut stage = Stage::set().await;
    let mut client = v1::connect(&stage, "tty=true").await;
    let mut program = stage.program().await;
    client.stream().write_all(&[0xff; 64]).await.unwrap();
    program.is_ended().await;
    assert_eq!(client.message().await, [100]);
    assert_eq!(client.message().await[0], 202);
    assert_eq!(client.end().await.0, 1002);

    let (mut client, mut program) = v2::open(&mut stage).await;
    client.stream().write_all(&[0xff; 64]).await.unwrap();
    program.is_ended().await;
    client.message().await;
    assert_eq!(client.end().await.0, 1002);

    let mut raw = Raw::open(&stage).await;
    let _program = stage.program().await;
    raw.0.stream().write_all(&[0xff; 64]).await.unwrap();
    assert_eq!(raw.0.hears().await, Heard::Lost);
    all_is_well(&mut stage).await;
    stage.end().await;
}

#[tokio::test]
async fn who_does_not_keep_to_our_protocol_is_told_and_let_go_of() {
    let mut stage = Stage::set().await;
    for nonsense in [Message::text("{}"), Message::binary(vec![9; 9]), Message::text(r#"{"type":"exit","code":0}"#)] {
        let mut raw = Raw::connect(&stage).await;
        assert!(raw.0.tries_to_say(nonsense.clone()).await);
        assert!(raw.0.text().await.contains(r#""type":"error""#));
        let mut raw = Raw::open(&stage).await;
        let mut program = stage.program().await;
        assert!(raw.0.tries_to_say(nonsense).await);
        assert!(raw.0.text().await.contains(r#""type":"error""#));
        program.is_ended().await;
    }
    stage.end().await;
}

#[tokio::test]
async fn who_does_not_know_the_secret_finds_nothing() {
    let mut stage = Stage::set().await;
    let known = stage.leads_to(SHELL);
    let port = known.port().unwrap();
    for path in ["", "v1", "v2", "shell/", "shell/v1", "shell/guess", "shell/guess/v1", "shell/guess/v2"] {
        let url: Url = format!("ws://127.0.0.1:{port}/{path}").parse().unwrap();
        assert!(Client::over(dial(&url).await, &url).await.is_err(), "{path}");
    }
    // Nor does who says nothing that makes sense.
    for nonsense in ["GET / HTTP/1.1\r\n\r\n", "\r\n\r\n", "\u{16}\u{3}\u{1}"] {
        let mut stream = dial(&known).await;
        stream.write_all(nonsense.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _ = soon("the end", stream.read_to_end(&mut answer)).await;
        assert!(!answer.starts_with(b"HTTP/1.1 101"));
    }
    all_is_well(&mut stage).await;
    stage.end().await;
}

#[tokio::test]
async fn a_page_of_any_origin_that_knows_the_secret_may_come() {
    use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
    let mut stage = Stage::set().await;
    let url = stage.socket_url(ShellPage::GenericWorker);
    let mut request = url.as_str().into_client_request().unwrap();
    request.headers_mut().insert("origin", "https://ui.example".parse().unwrap());
    let _client = tokio_tungstenite::client_async(request, dial(&url).await).await.unwrap();
    stage.program().await;
    stage.end().await;
}

/// A way to a port that can be made to swallow whatever comes: nobody is told that it leads nowhere any more.
async fn way(to: &mut Url) -> CancellationToken {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let far = to.socket_addrs(|| None).unwrap()[0];
    to.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
    let is_broken = CancellationToken::new();
    let breaks = is_broken.clone();
    tokio::spawn(async move {
        let (mut near, _) = listener.accept().await.unwrap();
        let mut far = TcpStream::connect(far).await.unwrap();
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
            () = breaks.cancelled() => std::future::pending().await,
        }
    });
    is_broken
}

/// So much time passes at once.
pub(crate) async fn passes(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_page_that_is_silently_gone_is_noticed() {
    let mut stage = Stage::set().await;
    for page in [ShellPage::DockerWorker, ShellPage::GenericWorker] {
        let mut url = stage.socket_url(page);
        let is_broken = way(&mut url).await;
        let mut client = Client::connect(&url).await;
        let mut program = stage.program().await;
        client.says(b"\x00\x01").await;
        is_broken.cancel();
        // Pings that nobody answers.
        passes(61).await;
        program.is_ended().await;
    }
    // Its place is free, and the task held by nobody.
    assert_eq!(stage.end().await, "completed");
}

#[tokio::test]
async fn a_visitor_of_ours_that_is_silently_gone_is_awaited_for_two_minutes() {
    let mut stage = Stage::set().await;
    let mut url = stage.leads_to(SHELL);
    let is_broken = way(&mut url).await;
    let _visit = visit(&url, ShellRequest::default());
    let mut program = stage.program().await;
    is_broken.cancel();
    passes(61).await;
    all_is_well(&mut stage).await;
    program.prints(b"is anybody there?").await;
    passes(125).await;
    program.is_ended().await;
    assert_eq!(stage.end().await, "completed");
}
