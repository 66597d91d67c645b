//! The worker's own protocol: with its client, and message by message.

use taskcluster_worker::plugins::SHELL;
use taskcluster_worker::shell::client::{ShellError, Terminal, attend};
use taskcluster_worker::shell::{ShellRequest, Size};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use url::Url;

use crate::client::Client;
use crate::stage::{Stage, soon};

/// A visit by the client, with nothing typed.
pub(crate) struct Visit(JoinHandle<Result<(Vec<u8>, i32), ShellError>>);

pub(crate) fn visit(address: &Url, request: ShellRequest) -> Visit {
    let address = address.clone();
    Visit(tokio::spawn(async move {
        let mut output = Vec::new();
        let sizes = futures_util::stream::pending::<Size>();
        let terminal = Terminal { input: tokio::io::empty(), output: &mut output, error: tokio::io::sink(), sizes };
        let code = attend(&address, request, terminal).await?;
        Ok((output, code))
    }))
}

impl Visit {
    /// What was printed, and the exit code.
    pub(crate) async fn ends(self) -> Result<(Vec<u8>, i32), ShellError> {
        soon("the end of a visit", self.0).await.unwrap()
    }
}

/// The protocol without its client.
pub(crate) struct Raw(pub(crate) Client<TcpStream>);

impl Raw {
    /// A session with a program in a terminal.
    pub(crate) async fn open(stage: &Stage) -> Self {
        let mut raw = Self::connect(stage).await;
        let open = r#"{"type":"open","command":[],"terminal":{"rows":24,"columns":80}}"#;
        assert!(raw.0.tries_to_say(Message::text(open)).await);
        let opened = raw.0.text().await;
        assert!(opened.contains(r#""type":"opened""#), "{opened}");
        // In a terminal nothing is printed on the side.
        assert_eq!(raw.0.text().await, r#"{"type":"end","stream":"stderr","offset":0}"#);
        raw
    }

    pub(crate) async fn connect(stage: &Stage) -> Self {
        let mut url = stage.leads_to(SHELL);
        url.set_scheme("ws").unwrap();
        Self(Client::connect(&url).await)
    }
}

#[tokio::test]
async fn a_visit() {
    let mut stage = Stage::set().await;
    let visit = visit(&stage.leads_to(SHELL), ShellRequest::new(["sh"]));
    let mut program = stage.program().await;
    program.prints(b"out").await;
    program.exits(3);
    assert_eq!(visit.ends().await.unwrap(), (b"out".to_vec(), 3));
    assert_eq!(stage.end().await, "completed");
}

#[tokio::test]
async fn a_visit_ends_with_the_task() {
    let mut stage = Stage::set().await;
    let visit = visit(&stage.leads_to(SHELL), ShellRequest::default());
    let mut program = stage.program().await;
    stage.queue.cancel(&stage.task_id);
    program.is_ended().await;
    stage.end().await;
    assert!(matches!(visit.ends().await, Err(ShellError::Gone)));
}
