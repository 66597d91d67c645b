//! What old clients of docker-worker say: <https://github.com/taskcluster/docker-exec-websocket-server>.

use taskcluster_worker::plugins::ShellPage;
use taskcluster_worker::shell::{ShellRequest, Size};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{Client, Heard};
use crate::hostile::{all_is_well, passes};
use crate::stage::{Flood, Program, Stage, soon};

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const RESIZE: u8 = 50;
const RESUME: u8 = 100;
const PAUSE: u8 = 101;
const END: u8 = 102;
const STOPPED: u8 = 200;
const SHUTDOWN: u8 = 201;
const ERROR: u8 = 202;

/// How much of what is typed waits before the page is told to.
const TYPED_AHEAD: usize = 64 * 1024;

/// Connects as the page does: it appends the query to the address.
pub(crate) async fn connect(stage: &Stage, query: &str) -> Client<TcpStream> {
    let url = format!("{}?{query}", stage.socket_url(ShellPage::DockerWorker));
    Client::connect(&url.parse().unwrap()).await
}

/// A shell that is ready.
async fn open(stage: &mut Stage, query: &str) -> (Client<TcpStream>, Program) {
    let mut client = connect(stage, query).await;
    assert_eq!(client.message().await, [RESUME]);
    (client, stage.program().await)
}

fn message(code: u8, bytes: &[u8]) -> Vec<u8> {
    [&[code][..], bytes].concat()
}

#[tokio::test]
async fn the_artifact_leads_to_the_page_which_is_told_where_to_connect() {
    let mut stage = Stage::set().await;
    let created = stage.queue.artifact(&stage.task_id, "private/docker-worker/shell.html").unwrap().created;
    assert_eq!(
        (&created["storageType"], &created["contentType"]),
        (&"reference".into(), &"text/html; charset=utf-8".into())
    );
    let url = stage.leads_to("private/docker-worker/shell.html");
    assert!(url.as_str().starts_with(&format!("{}/shell/?v=1&socketUrl=ws%3A%2F%2F", stage.queue.root_url())), "{url}");
    assert!(url.as_str().ends_with(&format!("&taskId={}&runId=0", stage.task_id)), "{url}");
    stage.end().await;
}

#[tokio::test]
async fn a_program_in_a_terminal() {
    let mut stage = Stage::set().await;
    let query = "tty=true&command=sh&command=-c&command=if%20%5B%20-z%20%22%24TERM%22%20%5D%3B%20then%20sh%3B%20fi";
    let (mut client, mut program) = open(&mut stage, query).await;
    let usual = Size { rows: 24, columns: 80 };
    let wanted = ShellRequest::new(["sh", "-c", r#"if [ -z "$TERM" ]; then sh; fi"#]).with_terminal(usual);
    assert_eq!(program.request, wanted);
    client.says(&message(STDIN, b"ls\r")).await;
    assert_eq!(program.reads(3).await, b"ls\r");
    client.says(&message(RESIZE, &[50, 0, 44, 1])).await;
    assert_eq!(soon("a size", program.sizes.recv()).await, Some(Size { rows: 50, columns: 300 }));
    program.prints(b"a\tb\r\n").await;
    assert_eq!(client.message().await, message(STDOUT, b"a\tb\r\n"));
    program.prints(b"bye").await;
    program.exits(143);
    assert_eq!(client.message().await, message(STDOUT, b"bye"));
    assert_eq!(client.message().await, message(STOPPED, &[143]));
    assert_eq!(client.end().await, (1000, "exit code 143".to_owned()));
    assert_eq!(stage.end().await, "completed");
}

#[tokio::test]
async fn a_program_with_pipes() {
    let mut stage = Stage::set().await;
    let (mut client, mut program) = open(&mut stage, "tty=false&command=cat").await;
    assert_eq!(program.request, ShellRequest::new(["cat"]));
    // What is no text passes, also in part.
    program.prints(b"\xe2\x82").await;
    assert_eq!(client.message().await, message(STDOUT, b"\xe2\x82"));
    program.stderr.as_mut().unwrap().write_all(b"warning").await.unwrap();
    assert_eq!(client.message().await, message(STDERR, b"warning"));
    client.says(&message(RESIZE, &[50, 0, 44, 1])).await;
    let complaint = client.message().await;
    assert_eq!(complaint[0], ERROR);
    assert!(String::from_utf8_lossy(&complaint[1..]).contains("terminal"), "{complaint:?}");
    client.says(&message(STDIN, b"last")).await;
    client.says(&message(END, b"")).await;
    let mut read = Vec::new();
    soon("the end of input", program.stdin.read_to_end(&mut read)).await.unwrap();
    assert_eq!(read, b"last");
    program.exits(0);
    assert_eq!(client.message().await, message(STOPPED, &[0]));
    assert_eq!(client.end().await.0, 1000);
    stage.end().await;
}

#[tokio::test]
async fn what_is_not_known_is_passed_over() {
    let mut stage = Stage::set().await;
    let (mut client, mut program) = open(&mut stage, "tty=true").await;
    assert!(program.request.command.is_empty());
    for nonsense in [&b""[..], &[77, 1, 2], &[STOPPED, 0], &[SHUTDOWN], &[STDOUT, 1]] {
        client.says(nonsense).await;
    }
    client.says(&message(STDIN, b"x")).await;
    assert_eq!(program.reads(1).await, b"x");
    stage.end().await;
}

#[tokio::test]
async fn a_program_that_is_not_there_is_told() {
    let mut stage = Stage::set().await;
    let mut client = connect(&stage, "tty=true&command=missing").await;
    assert_eq!(client.message().await, message(ERROR, b"missing: there is no such program"));
    assert_eq!(client.end().await.0, 1011);
    let mut client = connect(&stage, "command=a%00b").await;
    assert_eq!(client.message().await[0], ERROR);
    stage.end().await;
}

#[tokio::test]
async fn the_program_ends_with_the_page() {
    let mut stage = Stage::set().await;
    let (client, mut program) = open(&mut stage, "tty=true").await;
    assert_eq!(client.closes().await, Heard::Closed(None));
    program.is_ended().await;
    let (client, mut program) = open(&mut stage, "tty=true").await;
    drop(client);
    program.is_ended().await;
    // The task is held by nobody any more.
    assert_eq!(stage.end().await, "completed");
}

#[tokio::test]
async fn a_page_that_pauses_gets_nothing_until_it_resumes_and_then_everything() {
    let mut stage = Stage::set().await;
    let (mut client, mut program) = open(&mut stage, "tty=true").await;
    client.says(&[PAUSE]).await;
    client.says(&message(STDIN, b"x")).await;
    // By now it is known that nothing is to be sent.
    assert_eq!(program.reads(1).await, b"x");
    let flood = program.floods();
    let before = crate::places::settled(&mut stage, &flood).await;
    assert!(before <= 20_000, "{before} bytes are held for a page that takes none");
    client.says(&[RESUME]).await;
    let mut read = 0;
    while read < 300_000 {
        let said = client.message().await;
        assert_eq!(said[0], STDOUT);
        assert!(said[1..].iter().enumerate().all(|(at, byte)| *byte == Flood::byte(read + at)));
        read += said.len() - 1;
    }
    stage.end().await;
}

#[tokio::test]
async fn what_a_program_printed_before_its_end_is_not_cut_off_by_a_pause() {
    let mut stage = Stage::set().await;
    let (mut client, mut program) = open(&mut stage, "command=sh").await;
    client.says(&[PAUSE]).await;
    client.says(&message(STDIN, b"x")).await;
    assert_eq!(program.reads(1).await, b"x");
    let (mut stdout, _left) = (program.stdout.take().unwrap(), program.stderr.take());
    let printing = tokio::spawn(async move { stdout.write_all(&[b'x'; 9000]).await });
    program.exits(0);
    // The end is known, and nothing can be printed for longer than a program's output may be silent.
    all_is_well(&mut stage).await;
    passes(3).await;
    all_is_well(&mut stage).await;
    client.says(&[RESUME]).await;
    let mut read = 0;
    while read < 9000 {
        let said = client.message().await;
        assert_eq!(said[0], STDOUT);
        read += said.len() - 1;
    }
    soon("the end of printing", printing).await.unwrap().unwrap();
    assert_eq!(client.message().await, message(STOPPED, &[0]));
    stage.end().await;
}

#[tokio::test]
async fn who_types_more_than_the_program_reads_is_told_to_pause() {
    let mut stage = Stage::set().await;
    let (mut client, mut program) = open(&mut stage, "tty=true").await;
    let typed = vec![b'x'; TYPED_AHEAD + 2000];
    client.says(&message(STDIN, &typed)).await;
    assert_eq!(client.message().await, [PAUSE]);
    program.reads(typed.len()).await;
    assert_eq!(client.message().await, [RESUME]);
    stage.end().await;
}

#[tokio::test]
async fn a_page_that_pauses_while_it_is_paused_can_say_that_it_resumes() {
    let mut stage = Stage::set().await;
    let (mut client, mut program) = open(&mut stage, "tty=true").await;
    let typed = vec![b'x'; TYPED_AHEAD + 2000];
    client.says(&message(STDIN, &typed)).await;
    assert_eq!(client.message().await, [PAUSE]);
    // The usual client sends nothing from here on, no resume either, until it is told to go on.
    client.says(&[PAUSE]).await;
    assert_eq!(client.message().await, [RESUME]);
    client.says(&[RESUME]).await;
    assert_eq!(client.message().await, [PAUSE]);
    program.reads(typed.len()).await;
    assert_eq!(client.message().await, [RESUME]);
    stage.end().await;
}

#[tokio::test]
async fn a_shell_is_shut_down_when_the_task_ends() {
    let mut stage = Stage::set().await;
    let (mut client, mut program) = open(&mut stage, "tty=true").await;
    let hears = async {
        assert_eq!(client.message().await, [SHUTDOWN]);
        assert_eq!(client.end().await, (1001, "the task has ended".to_owned()));
        program.is_ended().await;
    };
    tokio::join!(stage.end(), hears);
}

#[tokio::test]
async fn a_shell_is_shut_down_when_the_task_is_cancelled() {
    let mut stage = Stage::set().await;
    let (mut client, mut program) = open(&mut stage, "tty=true").await;
    stage.queue.cancel(&stage.task_id);
    assert_eq!(client.message().await, [SHUTDOWN]);
    assert_eq!(client.end().await.0, 1001);
    program.is_ended().await;
    stage.end().await;
}
