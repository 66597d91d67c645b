//! The shells of one run.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Linger;
use super::porter::refuse;
use crate::context::{Hold, TaskContext};
use crate::engine::SandboxHandle;
use crate::error::{Error, Result};
use crate::shell::dialect::End;
use crate::shell::link::Link;
use crate::shell::page::Page;
use crate::shell::session::{Return, Session};
use crate::shell::{Shell, ShellRequest};

/// Shells of a run at once, whatever is spoken with them.
const SHELLS: usize = 10;

#[derive(Debug)]
pub(super) struct Room {
    task: Arc<TaskContext>,
    sandbox: Arc<dyn SandboxHandle>,
    linger: Linger,
    /// The shells by their secrets, each with where those who come back are awaited, if they may.
    sessions: Mutex<HashMap<String, Option<mpsc::Sender<Return>>>>,
    over: CancellationToken,
}

impl Room {
    pub(super) fn new(task: Arc<TaskContext>, sandbox: Arc<dyn SandboxHandle>, linger: Linger) -> Self {
        Self { task, sandbox, linger, sessions: Mutex::default(), over: CancellationToken::new() }
    }

    /// Start what a visitor asks for.
    pub(super) async fn enter(self: Arc<Self>, link: Link, request: ShellRequest) {
        let (sender, returns) = mpsc::channel(1);
        match self.open(&request, Some(sender)).await {
            Ok((shell, stay)) => {
                let session = Session::new(stay.id.clone(), link);
                self.task.spawn(async move {
                    session.run(shell, returns).await;
                    stay.end().await;
                });
            }
            Err(end) => refuse(link, &end.to_string()).await,
        }
    }

    /// Start what a page asks for. What is given back attends to it until it ends, and tells the page how: also how the run
    /// does, so it goes on where the run's own work is dropped.
    pub(super) async fn receive(
        self: Arc<Self>,
        page: Page,
        request: ShellRequest,
    ) -> Option<impl Future<Output = ()>> {
        match self.open(&request, None).await {
            Ok((shell, stay)) => Some(async move {
                page.run(shell, request.terminal.is_some(), self.is_over()).await;
                self.task.spawn(stay.end());
            }),
            Err(end) => {
                page.dismiss(&end).await;
                None
            }
        }
    }

    /// A program, and the right to be here with it.
    async fn open(
        self: &Arc<Self>,
        request: &ShellRequest,
        returns: Option<mpsc::Sender<Return>>,
    ) -> Result<(Shell, Stay), End> {
        if request.command.iter().any(|argument| argument.contains('\0')) {
            return Err(End::Failed("an argument of a program cannot contain the character NUL".to_owned()));
        }
        let id = crate::secret_segment();
        {
            let mut sessions = self.sessions();
            if sessions.len() >= SHELLS {
                return Err(End::Full(SHELLS));
            }
            sessions.insert(id.clone(), returns);
        }
        let place = Place { room: self.clone(), id: id.clone() };
        let hold = self.task.hold();
        // Before anything is started: what a stranger had its hands on is nothing to keep.
        let task = self.task.clone();
        let touched = tokio::task::spawn_blocking(move || task.touch()).await;
        let touched = touched.unwrap_or_else(|error| Err(Error::worker_caused("nobody can be let in", error)));
        let opened = match touched {
            Ok(()) => self.sandbox.open_shell(request).await,
            Err(error) => Err(error),
        };
        let shell = opened.map_err(|error| End::Failed(error.reasons().join("; ")))?;
        self.task.log().info("a shell was opened in this task; its caches will not be kept");
        Ok((shell, Stay { id, place, hold }))
    }

    /// Hand over a visitor whose connection had broken.
    pub(super) async fn come_back(&self, session: &str, comer: Return) {
        let sender = self.sessions().get(session).cloned().flatten();
        match sender {
            Some(sender) => {
                if let Err(gone) = sender.send(comer).await {
                    refuse(gone.0.link, "the shell has ended").await;
                }
            }
            None => refuse(comer.link, "the shell has ended").await,
        }
    }

    /// The task has ended: so does every page.
    pub(super) fn close(&self) {
        self.over.cancel();
    }

    /// Wait until the task is to end, which is before its programs are killed, or has ended.
    async fn is_over(&self) {
        tokio::select! {
            _ = self.task.switch.any() => {}
            () = self.over.cancelled() => {}
        }
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<String, Option<mpsc::Sender<Return>>>> {
        self.sessions.lock().expect("nothing panics holding it")
    }
}

/// What somebody has who is in a sandbox.
struct Stay {
    id: String,
    place: Place,
    hold: Hold,
}

impl Stay {
    /// Make room for the next, who has a while to come.
    async fn end(self) {
        let Self { place, hold, .. } = self;
        let (clock, linger) = (place.room.task.clock().clone(), place.room.linger.after_shell);
        drop(place);
        clock.sleep_until(clock.now() + linger).await;
        drop(hold);
    }
}

/// Among the shells of a run, as long as this is there.
struct Place {
    room: Arc<Room>,
    id: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.sessions().remove(&self.id);
    }
}
