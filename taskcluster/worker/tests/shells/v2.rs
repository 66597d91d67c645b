//! What pages for generic-worker say: `ui/src/components/Shell` and `workers/generic-worker/interactive` of
//! <https://github.com/taskcluster/taskcluster>.

use taskcluster_worker::plugins::ShellPage;
use taskcluster_worker::shell::{ShellRequest, Size};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::client::{Client, Heard};
use crate::stage::{Program, Stage, soon};

const TYPED: u8 = 1;
const RESIZE: u8 = 2;

pub(crate) async fn connect(stage: &Stage) -> Client<TcpStream> {
    Client::connect(&stage.socket_url(ShellPage::GenericWorker)).await
}

pub(crate) async fn open(stage: &mut Stage) -> (Client<TcpStream>, Program) {
    (connect(stage).await, stage.program().await)
}

#[tokio::test]
async fn the_artifact_leads_to_the_page_which_is_told_where_to_connect() {
    let mut stage = Stage::set().await;
    let url = stage.leads_to("private/generic-worker/shell.html");
    assert!(url.as_str().starts_with(&format!("{}/shell/?v=2&socketUrl=ws%3A%2F%2F", stage.queue.root_url())), "{url}");
    assert!(url.as_str().ends_with(&format!("&taskId={}&runId=0", stage.task_id)), "{url}");
    // Pages decode it once more than needed.
    assert!(!stage.socket_url(ShellPage::GenericWorker).as_str().contains('%'));
    stage.end().await;
}

#[tokio::test]
async fn a_terminal() {
    let mut stage = Stage::set().await;
    let (mut client, mut program) = open(&mut stage).await;
    assert_eq!(program.request, ShellRequest::default().with_terminal(Size { rows: 24, columns: 80 }));
    client.says(&[RESIZE, 50, 0, 44, 1]).await;
    assert_eq!(soon("a size", program.sizes.recv()).await, Some(Size { rows: 50, columns: 300 }));
    program.prints(b"$ ").await;
    assert_eq!(client.message().await, b"$ ");
    client.says(b"\x01exit 7\r").await;
    assert_eq!(program.reads(7).await, b"exit 7\r");
    program.prints(b"exit\r\n").await;
    program.exits(7);
    assert_eq!(client.message().await, b"exit\r\n");
    assert_eq!(client.end().await, (1000, "exit code 7".to_owned()));
    assert_eq!(stage.end().await, "completed");
}

#[tokio::test]
async fn a_message_may_be_text_and_what_is_not_known_is_passed_over() {
    let mut stage = Stage::set().await;
    let (mut client, mut program) = open(&mut stage).await;
    for nonsense in [&b""[..], &[0, 1, 2], &[RESIZE], &[RESIZE, 1, 2, 3], &[RESIZE, 1, 2, 3, 4, 5], &[255; 1000]] {
        client.says(nonsense).await;
    }
    assert!(client.tries_to_say(Message::text("\u{1}ls\n")).await);
    assert_eq!(program.reads(3).await, b"ls\n");
    client.says(&[TYPED]).await;
    client.says(&[TYPED, b'x']).await;
    assert_eq!(program.reads(1).await, b"x");
    assert!(program.sizes.try_recv().is_err());
    stage.end().await;
}

#[tokio::test]
async fn what_is_no_text_comes_as_it_is() {
    let mut stage = Stage::set().await;
    let (mut client, mut program) = open(&mut stage).await;
    let noise: Vec<u8> = (0..200_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let hears = async {
        let mut heard = Vec::new();
        while heard.len() < noise.len() {
            heard.extend(client.message().await);
        }
        heard
    };
    let ((), heard) = tokio::join!(program.prints(&noise), hears);
    assert!(heard == noise);
    // The beginning of a character whose rest does not come is not held back for ever.
    program.prints(b"\xe2\x82").await;
    assert_eq!(client.message().await, b"\xe2\x82");
    program.prints(b"\xf0\x9f").await;
    program.exits(0);
    assert_eq!(client.message().await, b"\xf0\x9f");
    assert_eq!(client.end().await.0, 1000);
    stage.end().await;
}

#[tokio::test]
async fn the_program_ends_with_the_page() {
    let mut stage = Stage::set().await;
    let (client, mut program) = open(&mut stage).await;
    assert_eq!(client.closes().await, Heard::Closed(None));
    program.is_ended().await;
    let (client, mut program) = open(&mut stage).await;
    drop(client);
    program.is_ended().await;
    assert_eq!(stage.end().await, "completed");
}

#[tokio::test]
async fn the_websocket_is_closed_when_the_task_ends() {
    let mut stage = Stage::set().await;
    let (mut client, mut program) = open(&mut stage).await;
    let hears = async {
        assert_eq!(client.end().await, (1001, "the task has ended".to_owned()));
        program.is_ended().await;
    };
    tokio::join!(stage.end(), hears);
}

#[tokio::test]
async fn the_websocket_is_closed_when_the_task_is_cancelled() {
    let mut stage = Stage::set().await;
    let (mut client, mut program) = open(&mut stage).await;
    stage.queue.cancel(&stage.task_id);
    assert_eq!(client.end().await.0, 1001);
    program.is_ended().await;
    stage.end().await;
}
