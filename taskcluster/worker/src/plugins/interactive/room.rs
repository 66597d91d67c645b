//! The shells of one run.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::mpsc;

use super::Linger;
use super::porter::refuse;
use crate::context::TaskContext;
use crate::engine::SandboxHandle;
use crate::error::Error;
use crate::shell::ShellRequest;
use crate::shell::link::Link;
use crate::shell::session::{Return, Session};

/// Shells of a run at once.
const SHELLS: usize = 10;

#[derive(Debug)]
pub(super) struct Room {
    task: Arc<TaskContext>,
    sandbox: Arc<dyn SandboxHandle>,
    linger: Linger,
    /// Where those who come back are awaited, by the secret of their session.
    sessions: Mutex<HashMap<String, mpsc::Sender<Return>>>,
}

impl Room {
    pub(super) fn new(task: Arc<TaskContext>, sandbox: Arc<dyn SandboxHandle>, linger: Linger) -> Self {
        Self { task, sandbox, linger, sessions: Mutex::default() }
    }

    /// Start what a visitor asks for.
    pub(super) async fn enter(self: Arc<Self>, link: Link, request: ShellRequest) {
        if request.command.iter().any(|argument| argument.contains('\0')) {
            return refuse(link, "an argument of a program cannot contain the character NUL").await;
        }
        let (id, (sender, returns)) = (crate::secret_segment(), mpsc::channel(1));
        let is_full = {
            let mut sessions = self.sessions();
            let is_full = sessions.len() >= SHELLS;
            if !is_full {
                sessions.insert(id.clone(), sender);
            }
            is_full
        };
        if is_full {
            return refuse(link, &format!("there are {SHELLS} shells in this task already")).await;
        }
        let place = Place { room: self.clone(), id: id.clone() };
        let hold = self.task.hold();
        // Before anything is started: what a stranger had its hands on is nothing to keep.
        let task = self.task.clone();
        let touched = tokio::task::spawn_blocking(move || task.touch()).await;
        let touched = touched.unwrap_or_else(|error| Err(Error::worker_caused("nobody can be let in", error)));
        let opened = match touched {
            Ok(()) => self.sandbox.open_shell(&request).await,
            Err(error) => Err(error),
        };
        let shell = match opened {
            Ok(shell) => shell,
            Err(error) => return refuse(link, &error.reasons().join("; ")).await,
        };
        self.task.log().info("a shell was opened in this task; its caches will not be kept");
        let (clock, linger) = (self.task.clock().clone(), self.linger.after_shell);
        self.task.spawn(async move {
            Session::new(id, link).run(shell, returns).await;
            drop(place);
            clock.sleep_until(clock.now() + linger).await;
            drop(hold);
        });
    }

    /// Hand over a visitor whose connection had broken.
    pub(super) async fn come_back(&self, session: &str, comer: Return) {
        let sender = self.sessions().get(session).cloned();
        match sender {
            Some(sender) => {
                if let Err(gone) = sender.send(comer).await {
                    refuse(gone.0.link, "the shell has ended").await;
                }
            }
            None => refuse(comer.link, "the shell has ended").await,
        }
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<String, mpsc::Sender<Return>>> {
        self.sessions.lock().expect("nothing panics holding it")
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
