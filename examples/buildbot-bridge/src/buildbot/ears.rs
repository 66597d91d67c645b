//! Hearing, by websocket, that something has changed.
//!
//! No event is relied on: none is repeated for those who were away, and none carries the text of a log. An event only means "look
//! now", and so does the end of a wait, and a new connection.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, SinkExt, StreamExt};
use http::header;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::client::Buildbot;
use super::tls::{self, Wire};

/// How often one looks although nothing was heard.
const LISTENING: Duration = Duration::from_secs(15);

/// How often one looks, and tries to hear, while nothing can be heard.
const DEAF: Duration = Duration::from_secs(2);

/// How long a connection may take to come about.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is heard within this time is heard together: a log may grow a thousand times a second.
const TOGETHER: Duration = Duration::from_millis(100);

type Socket = WebSocketStream<Box<dyn Wire>>;

/// Hears of what it is told to listen for.
pub(crate) struct Ears {
    buildbot: Arc<Buildbot>,
    wanted: BTreeSet<String>,
    told: BTreeSet<String>,
    socket: Option<Socket>,
}

impl Ears {
    pub(crate) fn new(buildbot: Arc<Buildbot>) -> Self {
        Self { buildbot, wanted: BTreeSet::new(), told: BTreeSet::new(), socket: None }
    }

    /// Listen for events of this path as well, in which `*` stands for any one part. What happens from the end of the next
    /// [`Ears::wait`] on is heard.
    pub(crate) fn listen(&mut self, path: String) {
        self.wanted.insert(path);
    }

    /// Connect anew before the next wait: Buildbot does not answer elsewhere, so silence here says nothing.
    pub(crate) fn doubt(&mut self) {
        self.socket = None;
    }

    /// Wait until it is time to look. Cancel safe: at worst an event is forgotten for which another wait would have looked.
    pub(crate) async fn wait(&mut self) {
        let deadline = Instant::now() + if self.socket.is_some() { LISTENING } else { DEAF };
        match self.prick_up().await {
            Ok(true) => return, // what happened before was not heard
            Ok(false) => {}
            Err(error) => {
                tracing::debug!(%error, "cannot hear Buildbot");
                self.doubt();
                return sleep_until(deadline).await;
            }
        }
        tokio::select! {
            () = sleep_until(deadline) => {}
            heard = self.event() => match heard {
                Ok(()) => {
                    sleep(TOGETHER).await;
                    while let Some(Ok(())) = self.event().now_or_never() {}
                }
                Err(error) => {
                    tracing::debug!(%error, "Buildbot is no longer heard");
                    self.doubt();
                }
            }
        }
    }

    /// Connect, and say what is listened for, where that is still to be done; whether it was.
    async fn prick_up(&mut self) -> Result<bool, tungstenite::Error> {
        let slow = |_| tungstenite::Error::Io(std::io::ErrorKind::TimedOut.into());
        if self.socket.is_none() {
            let socket = timeout(PATIENCE, connect(&self.buildbot)).await.map_err(slow)??;
            self.socket = Some(socket);
            self.told.clear();
        }
        let fresh: Vec<String> = self.wanted.difference(&self.told).cloned().collect();
        for path in &fresh {
            timeout(PATIENCE, self.subscribe(path)).await.map_err(slow)??;
            self.told.insert(path.clone());
        }
        Ok(!fresh.is_empty())
    }

    /// Say that events of this path are wanted, and wait until Buildbot has taken note.
    async fn subscribe(&mut self, path: &str) -> Result<(), tungstenite::Error> {
        let Some(socket) = &mut self.socket else { return Err(tungstenite::Error::ConnectionClosed) };
        let command = json!({"cmd": "startConsuming", "path": path, "_id": 1});
        socket.send(Message::text(command.to_string())).await?;
        while !said(next(socket).await?, "_id") {}
        Ok(())
    }

    /// The next event. Cancel safe.
    async fn event(&mut self) -> Result<(), tungstenite::Error> {
        let Some(socket) = &mut self.socket else { return Err(tungstenite::Error::ConnectionClosed) };
        while !said(next(socket).await?, "k") {}
        Ok(())
    }
}

impl fmt::Debug for Ears {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ears")
            .field("wanted", &self.wanted)
            .field("open", &self.socket.is_some())
            .finish_non_exhaustive()
    }
}

async fn connect(buildbot: &Buildbot) -> Result<Socket, tungstenite::Error> {
    let away = |error: super::BuildbotError| tungstenite::Error::Io(std::io::Error::other(error));
    let (url, session) = buildbot.websocket().await.map_err(away)?;
    let mut request = url.as_str().into_client_request()?;
    if let Some(session) = session {
        request.headers_mut().insert(header::COOKIE, session);
    }
    let (socket, _) = client_async(request, tls::connect(&url).await?).await?;
    Ok(socket)
}

async fn next(socket: &mut Socket) -> Result<Message, tungstenite::Error> {
    socket.next().await.unwrap_or(Err(tungstenite::Error::ConnectionClosed))
}

/// Whether a message has something to say under this key.
fn said(message: Message, key: &str) -> bool {
    let Ok(text) = message.into_text() else { return false };
    serde_json::from_str::<Value>(&text).is_ok_and(|message| message.get(key).is_some_and(|value| !value.is_null()))
}
