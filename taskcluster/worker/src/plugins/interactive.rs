//! Shells in the sandboxes of running tasks, for tasks that allow them: `features.interactive`.
//!
//! One listener per worker serves the shells of all its runs, each below a secret of its own. The protocol is a websocket's,
//! see [`crate::shell`].

use std::io;
use std::net::SocketAddr;
#[cfg(feature = "tls")]
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

mod porter;
mod room;

use self::porter::Porter;
use self::room::Room;
use super::live_log::{Base, Door, Entrance};
use super::shelf::Shelf;
use crate::context::{Hold, TaskContext};
use crate::engine::{ResultSet, SandboxHandle};
use crate::error::{Error, Result};
use crate::payload::{Payload, PayloadPart};
use crate::plugin::{Plugin, TaskPlugin, Verdict};
#[cfg(feature = "tunnel")]
use crate::tunnel::Tunnel;

/// Name of the artifact that leads to the shells of a run. Who may read it may do in the sandbox what the task may.
pub const SHELL: &str = "private/interactive/shell";

const CONTENT_TYPE: &str = "application/vnd.taskcluster.shell";

/// Opens shells in running tasks that have `features.interactive`.
///
/// The sandbox stays as long as somebody is in it, also when the task's own code has ended: [`Linger`] says how much longer.
/// `maxRunTime` counts all the same. Caches of a task in which somebody was are not kept.
#[derive(Debug)]
pub struct Interactive {
    base: Base,
    rooms: Shelf<Arc<Room>>,
    linger: Linger,
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
    /// Listen on `address`; visitors reach it at `base`, by default at the address itself.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn bind(address: SocketAddr, base: Option<Url>) -> io::Result<Self> {
        let (entrance, base) = Door::Plain.listen(address, base).await?;
        Self::open(entrance, base, Door::Plain)
    }

    /// Have visitors come in through a tunnel, where nobody can reach this machine. A tunnel that is not open within a few
    /// seconds is waited for no longer: a run that begins before it is has no shells.
    ///
    /// # Errors
    /// Never, as things are.
    #[cfg(feature = "tunnel")]
    pub async fn bind_tunnel(tunnel: Tunnel) -> io::Result<Self> {
        let (entrance, base) = Entrance::through(tunnel);
        let mut interactive = Self::open(entrance, base, Door::Plain)?;
        interactive.base.known("shells").await;
        Ok(interactive)
    }

    /// Listen on `address` for TLS, with a certificate chain and its key in files of PEM, read anew when they have changed.
    ///
    /// # Errors
    /// The address cannot be listened on, or the files make no certificate.
    #[cfg(feature = "tls")]
    pub async fn bind_tls(address: SocketAddr, base: Option<Url>, certificate: &Path, key: &Path) -> io::Result<Self> {
        let door = Door::tls(certificate, key)?;
        let (entrance, base) = door.listen(address, base).await?;
        Self::open(entrance, base, door)
    }

    fn open(entrance: Entrance, base: Base, door: Door) -> io::Result<Self> {
        let rooms = Shelf::default();
        let porter = Porter::new(door, rooms.clone());
        let open = AbortOnDropHandle::new(tokio::spawn(porter.serve(entrance.open()?)));
        Ok(Self { base, rooms, linger: Linger::default(), _open: open })
    }

    /// Sandboxes stay so much longer.
    #[must_use]
    pub fn linger(mut self, linger: Linger) -> Self {
        self.linger = linger;
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
        let (task, rooms, linger, base) = (task.clone(), self.rooms.clone(), self.linger, self.base.clone());
        Box::new(TaskInteractive { task, rooms, linger, secret, base, hold: None })
    }
}

struct TaskInteractive {
    task: Arc<TaskContext>,
    rooms: Shelf<Arc<Room>>,
    linger: Linger,
    secret: String,
    base: Base,
    /// There from the beginning where shells are wanted, since the code may have ended before anybody is told that it began.
    hold: Option<Hold>,
}

impl TaskInteractive {
    /// Say where the shells are.
    async fn announce(&self) -> Result<()> {
        let url = self.base.join(&format!("shell/{}", self.secret));
        let url = url.map_err(|error| Error::worker_caused("the shells have no URL", error))?;
        self.task.create_reference_artifact(SHELL, &url, CONTENT_TYPE).await
    }
}

#[async_trait]
impl TaskPlugin for TaskInteractive {
    async fn prepare(&mut self, payload: &Payload) -> Result<()> {
        if payload.part::<InteractivePayload>()?.features.interactive {
            self.task.reserve_artifact(SHELL)?;
            self.hold = Some(self.task.hold());
        }
        Ok(())
    }

    async fn started(&mut self, sandbox: &Arc<dyn SandboxHandle>) -> Result<()> {
        let Some(hold) = self.hold.take() else { return Ok(()) };
        self.rooms.put(&self.secret, Arc::new(Room::new(self.task.clone(), sandbox.clone(), self.linger)));
        // The task itself runs all the same.
        if let Err(error) = self.announce().await {
            self.task.log().warn(format!("no shell can be opened in the task: {}", error.reasons().join("; ")));
        }
        let (clock, until) = (self.task.clock().clone(), self.task.clock().now() + self.linger.from_start);
        self.task.spawn(async move {
            clock.sleep_until(until).await;
            drop(hold);
        });
        Ok(())
    }

    async fn stopped(&mut self, _results: &dyn ResultSet) -> Result<Verdict> {
        self.rooms.remove(&self.secret);
        Ok(Verdict::Good)
    }

    async fn dispose(&mut self) {
        self.rooms.remove(&self.secret);
    }
}
