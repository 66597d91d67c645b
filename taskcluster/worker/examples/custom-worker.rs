//! A worker of one's own, with a live log and artifacts: a kitchen timer. Its tasks count seconds, and leave a note.
//!
//! With the three `export` lines that `taskcluster up` prints:
//!
//! ```sh
//! cargo run -p taskcluster-worker --example custom-worker
//! ```
//!
//! Then create a task for it, and see its log grow:
//!
//! ```sh
//! alias taskcluster='cargo run -q --bin taskcluster --'
//! cat >task.json <<END
//! {
//!     "taskQueueId": "my-pool/timer",
//!     "created": "$(taskcluster from-now 0 seconds)",
//!     "deadline": "$(taskcluster from-now 1 hour)",
//!     "metadata": {
//!         "name": "tea",
//!         "description": "Ten seconds.",
//!         "owner": "you@example.com",
//!         "source": "https://example.com/kitchen"
//!     },
//!     "payload": {
//!         "seconds": 10,
//!         "maxRunTime": 60,
//!         "artifacts": [{"type": "file", "path": "note.txt", "name": "public/note.txt"}]
//!     }
//! }
//! END
//! TASK=$(taskcluster slugid)
//! taskcluster api queue createTask "$TASK" --body task.json
//! taskcluster task log "$TASK"
//! ```
//!
//! Ctrl-C lets the worker end what it has begun, SIGTERM lets it give that back.

use std::net::SocketAddr;
use std::time::Duration;

use taskcluster_core::Report;
use taskcluster_worker::function::{Job, engine};
use taskcluster_worker::plugins::{Artifacts, BackingLog, Env, LiveLog, MaxRunTime};
use taskcluster_worker::{Engine, Error, Exit, Identity, Settings, Shutdown, Worker};

#[tokio::main]
async fn main() -> Result<(), Report> {
    tracing_subscriber::fmt().init(); // so that it tells what it does
    let identity = Identity::new("my-pool/timer".parse()?, "my-kitchen", "timer-1");
    let worker = Worker::from_env(identity, timer(), Settings::new("/var/tmp/my-timer"))?
        .plugin(Env::default())
        .plugin(MaxRunTime::default())
        .plugin(Artifacts::default())
        .plugin(BackingLog::default())
        .plugin(LiveLog::at(SocketAddr::from(([127, 0, 0, 1], 0))).await?)
        .build()?;
    worker.run(Shutdown::by_signals()?).await?;
    Ok(())
}

/// What a task says beside what the plugins read.
#[derive(serde::Deserialize, schemars::JsonSchema)]
pub(crate) struct Timer {
    /// How long to wait.
    seconds: u32,
}

pub(crate) fn timer() -> impl Engine {
    engine("timer", |job: Job<Timer>| async move {
        for left in (1..=job.payload.seconds).rev() {
            job.task.log().write(format!("{left} s left\n").as_bytes());
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let note = format!("{} seconds are over\n", job.payload.seconds);
        let written = tokio::fs::write(job.folder.join("note.txt"), note).await;
        written.map_err(|error| Error::worker_caused("the note cannot be written", error))?;
        Ok(Exit::Code(0))
    })
}
