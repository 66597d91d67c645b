//! Shells in the sandboxes of running tasks, for tasks that allow them: `features.interactive`.
//!
//! One listener per worker serves the shells of all its runs, each below a secret of its own: to our own client
//! ([`crate::shell::client`]) and to pages of web interfaces. All of it goes over websockets.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_util::task::AbortOnDropHandle;

mod page;
mod porter;
mod room;

pub use self::page::ShellPage;
use self::porter::Porter;
use self::room::Room;
use super::door::{Base, Entrance};
use super::shelf::Shelf;
use crate::context::{Hold, TaskContext};
use crate::engine::{ResultSet, SandboxHandle};
use crate::error::{Error, Result};
use crate::payload::{Payload, PayloadPart};
use crate::plugin::{Plugin, TaskPlugin, Verdict};

/// Name of the artifact that leads to the shells of a run. Who may read it may do in the sandbox what the task may.
pub const SHELL: &str = "private/interactive/shell";

const CONTENT_TYPE: &str = "application/vnd.taskcluster.shell";

/// Opens shells in running tasks that have `features.interactive`.
///
/// The sandbox stays as long as somebody is in it, also when the task's own code has ended: [`Linger`] says how much longer.
/// `maxRunTime` counts all the same; once the code has ended by itself, what it came to stands. Caches of a task in which somebody was are not kept. Ten shells
/// may be in a run at once.
///
/// # Pages
/// Three protocols are spoken, each at an address of its own below the secret of the run, since pages know nothing but an
/// address:
///
/// | address | speaks | a connection that breaks |
/// |---|---|---|
/// | `shell/<secret>` | our client | is resumed |
/// | `shell/<secret>/v1?tty=true&command=sh&…` | pages for docker-worker (`v=1`), and other clients of docker-exec-websocket-server | ends the program |
/// | `shell/<secret>/v2` | pages for generic-worker (`v=2`); always a terminal with the engine's usual shell | ends the program |
///
/// The first is the artifact [`SHELL`]; those of pages are what [`pages`](Self::pages) says.
///
/// When the program ends, `v=1` is told the exit code, and the websocket closed with code 1000 and the reason `exit code N`,
/// in `v=2` as well. When the task ends, `v=1` is told a shutdown, and the code is 1001. 1013 says that there are too many shells, 1011
/// that the program cannot be started, 1009 that more was typed or pasted at once than 256 KiB.
///
/// A page that does not keep up with its program makes it wait, as a program that does not read makes its page: some 16 KiB
/// wait for the one, a megabyte for the other, and 128 KiB each way are left to the system. `v=1` can also say that somebody
/// should wait. The task itself waits for nobody. Pages are asked each 15 seconds whether they are still there, and let go of
/// after 45 without an answer.
///
/// A page of any origin may connect. It is the secret in the address that lets somebody in, and a browser does not know it as it
/// knows cookies: a page that has it was told it by somebody who may read the artifact. A page that came by HTTPS can
/// connect by TLS only (`Entrance::with_certificate`, or a proxy that it is [reached at](Entrance::reached_at)), unless the worker is on the browser's own machine.
#[derive(Debug)]
pub struct Interactive {
    base: Base,
    rooms: Shelf<Arc<Room>>,
    linger: Linger,
    pages: Vec<ShellPage>,
    _open: AbortOnDropHandle<()>,
}

/// How long a sandbox in which somebody could be stays once its code has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Linger {
    /// For so long since its start, so that a short task can be entered at all.
    pub from_start: Duration,
    /// For so long after each shell, so that the next can be opened.
    pub after_shell: Duration,
}

impl Default for Linger {
    /// Three minutes from the start, five after each shell.
    fn default() -> Self {
        Self { from_start: Duration::from_secs(180), after_shell: Duration::from_secs(300) }
    }
}

impl Interactive {
    /// Visitors come in there, an address or an [`Entrance`] of another kind.
    ///
    /// # Errors
    /// The address cannot be listened on, or the files make no certificate.
    pub async fn at(entrance: impl Into<Entrance>) -> io::Result<Self> {
        let (threshold, base, door) = entrance.into().build("shells").await?;
        let rooms = Shelf::default();
        let porter = Porter::new(door, rooms.clone());
        let open = AbortOnDropHandle::new(tokio::spawn(porter.serve(threshold.open()?)));
        base.known().await;
        Ok(Self { base, rooms, linger: Linger::default(), pages: Vec::new(), _open: open })
    }

    /// Sandboxes stay so much longer.
    #[must_use]
    pub fn linger(mut self, linger: Linger) -> Self {
        self.linger = linger;
        self
    }

    /// Runs have the artifacts of these pages as well. Default: none.
    ///
    /// What the pages say is understood in any case, see [above](Self#pages).
    #[must_use]
    pub fn pages(mut self, pages: impl IntoIterator<Item = ShellPage>) -> Self {
        self.pages = pages.into_iter().collect();
        self
    }

    /// What it reads of the payload.
    #[must_use]
    pub fn payload_part() -> PayloadPart {
        PayloadPart::of::<InteractivePayload>()
    }
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct InteractivePayload {
    features: InteractiveFeatures,
}

/// What the worker adds to the task.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct InteractiveFeatures {
    /// Whether shells can be opened in the task while it runs, by those who may read the artifact `private/interactive/shell`.
    interactive: bool,
}

impl Plugin for Interactive {
    fn name(&self) -> &'static str {
        "interactive"
    }

    fn payload(&self) -> PayloadPart {
        Self::payload_part()
    }

    fn task(&self, task: &Arc<TaskContext>) -> Box<dyn TaskPlugin> {
        let secret = crate::secret_segment();
        let (task, rooms, linger) = (task.clone(), self.rooms.clone(), self.linger);
        let (base, pages) = (self.base.clone(), self.pages.clone());
        let signs = Signs { task: task.clone(), base, path: format!("shell/{secret}"), pages };
        Box::new(TaskInteractive { task, rooms, linger, secret, signs, hold: None, late: None })
    }
}

struct TaskInteractive {
    task: Arc<TaskContext>,
    rooms: Shelf<Arc<Room>>,
    linger: Linger,
    secret: String,
    signs: Signs,
    /// There from the beginning where shells are wanted, since the code may have ended before anybody is told that it began.
    hold: Option<Hold>,
    /// Puts the signs up once a tunnel is open.
    late: Option<AbortOnDropHandle<()>>,
}

#[async_trait]
impl TaskPlugin for TaskInteractive {
    async fn prepare(&mut self, payload: &Payload) -> Result<()> {
        if payload.part::<InteractivePayload>()?.features.interactive {
            for name in self.signs.pages.iter().map(|page| page.artifact()).chain([SHELL]) {
                self.task.reserve_artifact(name)?;
            }
            self.hold = Some(self.task.hold());
        }
        Ok(())
    }

    async fn started(&mut self, sandbox: &Arc<dyn SandboxHandle>) -> Result<()> {
        let Some(hold) = self.hold.take() else { return Ok(()) };
        self.rooms.put(&self.secret, Arc::new(Room::new(self.task.clone(), sandbox.clone(), self.linger)));
        if self.signs.base.is_known() {
            self.signs.clone().put_up().await;
        } else {
            self.late = Some(AbortOnDropHandle::new(tokio::spawn(self.signs.clone().put_up())));
        }
        let (clock, until) = (self.task.clock().clone(), self.task.clock().now() + self.linger.from_start);
        self.task.spawn(async move {
            clock.sleep_until(until).await;
            drop(hold);
        });
        Ok(())
    }

    async fn stopped(&mut self, _results: &dyn ResultSet) -> Result<Verdict> {
        self.close();
        Ok(Verdict::Good)
    }

    async fn dispose(&mut self) {
        self.close();
    }
}

impl TaskInteractive {
    fn close(&mut self) {
        self.late = None;
        if let Some(room) = self.rooms.get(&self.secret) {
            room.close();
        }
        self.rooms.remove(&self.secret);
    }
}

/// The artifacts that lead to the shells of a run.
#[derive(Clone)]
struct Signs {
    task: Arc<TaskContext>,
    base: Base,
    path: String,
    pages: Vec<ShellPage>,
}

impl Signs {
    /// Make them, when it is known where they lead to. The task itself runs all the same.
    async fn put_up(self) {
        if let Err(error) = self.try_to_put_up().await {
            self.task.log().warn(format!("shells of the task cannot be found: {}", error.reasons().join("; ")));
        }
    }

    async fn try_to_put_up(&self) -> Result<()> {
        let url = self.base.join(&self.path).await?;
        let pages = self.pages.iter().map(async |page| {
            let url = page.url(&self.task, &url)?;
            self.task.create_reference_artifact(page.artifact(), &url, ShellPage::CONTENT_TYPE).await
        });
        let (own, pages) = tokio::join!(
            self.task.create_reference_artifact(SHELL, &url, CONTENT_TYPE),
            futures_util::future::join_all(pages)
        );
        Error::combine([own].into_iter().chain(pages).filter_map(Result::err).collect()).map_or(Ok(()), Err)
    }
}
