//! `taskcluster provision record`: a trace of the tasks that really come, as `simulate` reads it.
//!
//! What the queue tells of a task has all of its runs with their times, so nothing has to be remembered between messages, and where some
//! were missed, the tasks that are known are asked for.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures_util::TryStreamExt as _;
use serde::Deserialize;
use taskcluster::events::{Binding, Bus as _, BusError, Message, SseBus, Subscription};
use taskcluster::queue::events::{self, TaskCompleted, TaskException, TaskFailed, TaskPending, TaskRunning};
use taskcluster::queue::{TaskIdsRequest, TaskStatus};
use taskcluster::{TaskId, TaskQueueId, Taskcluster, Timestamp};
use taskcluster_provisioner::simulate::record::Recording;
use taskcluster_provisioner::simulate::trace::{Arrival, Boot, Good, Surroundings};

use super::super::Stops;
use super::super::talk::{BadUse, deployment, talk};
use crate::args::RecordArgs;
use crate::exit::Outcome;
use crate::output::Output;

/// The provisioner of `taskcluster up`.
const USUAL: &str = "local";

/// How much there may be, where nobody says.
const MANY: u32 = 100;

/// How many tasks are asked for at a time.
const AT_ONCE: usize = 500;

/// How long the last look may take: whoever stops it does not wait for a deployment that is away.
const LAST_LOOK: Duration = Duration::from_secs(10);

/// Writes a trace until the time is over, or the user says stop.
pub(super) fn record(args: &RecordArgs) -> Result<Outcome> {
    let queue = queue_of(&args.worker_type)?;
    let time = args.duration.as_deref().map(duration).transpose()?;
    let tc = deployment()?;
    talk(async {
        let mut messages = SseBus::new(&tc).subscribe(bindings(&queue)).await?;
        let surroundings = surroundings(&tc, &queue, args).await?;
        let mut tape = Tape {
            recording: Recording::new(tc.caller().service_time()),
            output: Output::open(Some(&args.output), true)?,
        };
        tape.output.line(&serde_json::to_string(&surroundings)?)?;
        let (stops, listening) = Stops::listen()?;
        eprintln!("note: tasks of {queue} are recorded; Ctrl-C ends that");
        let over = async {
            match time {
                Some(time) => tokio::time::sleep(time).await,
                None => std::future::pending().await,
            }
        };
        let ended = tokio::select! {
            ended = tape.roll(&tc, &mut messages) => ended,
            () = over => Ok(()),
            () = stops.politely.cancelled() => Ok(()),
            () = listening => Ok(()),
        };
        tape.end(&tc).await?;
        ended
    })
}

/// The task queue of a worker type.
fn queue_of(name: &str) -> Result<TaskQueueId> {
    let whole = if name.contains('/') { name.to_owned() } else { format!("{USUAL}/{name}") };
    Ok(whole.parse().map_err(|error| BadUse(format!("{name}: {error}")))?)
}

fn duration(text: &str) -> Result<Duration> {
    let until = taskcluster::time::from_now(text, Timestamp::UNIX_EPOCH);
    let until = until.map_err(|error| BadUse(format!("--for: {error}")))?;
    Ok(until.since(Timestamp::UNIX_EPOCH))
}

fn bindings(queue: &TaskQueueId) -> Vec<Binding> {
    vec![
        Binding::new(TaskPending::EXCHANGE.exchange, events::task_pending().task_queue_id(queue).to_string()),
        Binding::new(TaskRunning::EXCHANGE.exchange, events::task_running().task_queue_id(queue).to_string()),
        Binding::new(TaskCompleted::EXCHANGE.exchange, events::task_completed().task_queue_id(queue).to_string()),
        Binding::new(TaskFailed::EXCHANGE.exchange, events::task_failed().task_queue_id(queue).to_string()),
        Binding::new(TaskException::EXCHANGE.exchange, events::task_exception().task_queue_id(queue).to_string()),
    ]
}

/// What all these messages have in common.
#[derive(Deserialize)]
struct Told {
    status: TaskStatus,
}

/// What is recorded, and where it is written.
struct Tape {
    recording: Recording,
    output: Output,
}

impl Tape {
    /// Until the deployment ends it.
    async fn roll(&mut self, tc: &Taskcluster, messages: &mut Subscription) -> Result<()> {
        while let Some(heard) = messages.next().await {
            match heard {
                Ok(message) => self.hear(&message)?,
                Err(BusError::Lagged { .. } | BusError::Interrupted) => {
                    eprintln!("note: for a while nothing was heard; tasks that came and ended meanwhile are missing");
                    self.look(tc).await?;
                }
                // Somebody published something else there.
                Err(BusError::Malformed { .. }) => {}
                Err(error) => return Err(error).context("the events of the queue cannot be heard any more"),
            }
        }
        Ok(())
    }

    fn hear(&mut self, message: &Message) -> Result<()> {
        match serde_json::from_slice::<Told>(&message.payload) {
            Ok(told) => self.see(&told.status),
            Err(_) => Ok(()),
        }
    }

    fn see(&mut self, status: &TaskStatus) -> Result<()> {
        let lines = self.recording.see(status);
        self.write(&lines)
    }

    /// Asks how the tasks stand that have not ended as far as is known.
    async fn look(&mut self, tc: &Taskcluster) -> Result<()> {
        let open: Vec<TaskId> = self.recording.open();
        for tasks in open.chunks(AT_ONCE) {
            let asked = TaskIdsRequest::new().with_task_ids(tasks.iter().copied());
            let found: Vec<_> = tc.queue().statuses(&asked).stream().try_collect().await?;
            found.iter().try_for_each(|entry| self.see(&entry.status))?;
        }
        Ok(())
    }

    /// Writes what was held back. Of tasks that have just ended it may not have been heard yet, so they are asked for.
    async fn end(&mut self, tc: &Taskcluster) -> Result<()> {
        let looked = tokio::time::timeout(LAST_LOOK, self.look(tc)).await;
        let lines = self.recording.end();
        self.write(&lines)?;
        if !matches!(looked, Ok(Ok(()))) {
            eprintln!("note: the deployment does not answer; tasks that ended just now are missing");
        }
        let (given, open) = (self.recording.given(), self.recording.open().len());
        eprintln!("note: {given} runs of tasks are recorded; {open} tasks had not ended and are left out");
        Ok(())
    }

    fn write(&mut self, lines: &[Arrival]) -> Result<()> {
        lines.iter().try_for_each(|line| self.output.line(&serde_json::to_string(line)?))
    }
}

/// What surrounds the tasks: as the worker type says, or as is assumed where there is none, as for machines that nobody starts.
async fn surroundings(tc: &Taskcluster, queue: &TaskQueueId, args: &RecordArgs) -> Result<Surroundings> {
    let (name, boot) = (queue.to_string(), Boot { median: args.boot, spread: 0.3 });
    let worker_type = queue.worker_type();
    let known = match tc.provisioner().worker_type(worker_type).await {
        Ok(known) => known,
        Err(error) if error.is_not_found() => {
            eprintln!(
                "note: there is no worker type {worker_type}: the first line says up to {MANY} workers of one task each"
            );
            let market = vec![Good { name: "worker".to_owned(), capacity: 1, price: args.price }];
            return Ok(around(name, market, boot, 0, MANY));
        }
        Err(error) => return Err(error.into()),
    };
    // Nobody could ever serve a trace that allows for nothing.
    let max = known.max_capacity.max(1);
    Ok(around(name, market(tc, worker_type, args.price).await?, boot, known.min_capacity, max))
}

/// Losses have happened already: the runs that were lost, and those that made up for them, are lines.
fn around(name: String, market: Vec<Good>, boot: Boot, min_capacity: u32, max_capacity: u32) -> Surroundings {
    Surroundings { name, market, boot, losses_per_hour: 0.0, max_capacity, min_capacity, generate: None }
}

/// The kinds of workers that a type may have, each at the highest price of those that there are now, or else at the one that is assumed.
async fn market(tc: &Taskcluster, worker_type: &str, assumed: f64) -> Result<Vec<Good>> {
    let mut prices: BTreeMap<String, f64> = BTreeMap::new();
    let mut instances = tc.provisioner().state(worker_type).stream();
    while let Some(instance) = instances.try_next().await? {
        if let Some(price) = instance.price {
            let highest = prices.entry(instance.instance_type.unwrap_or_default()).or_default();
            *highest = highest.max(price);
        }
    }
    let mut kinds: BTreeMap<String, u32> = BTreeMap::new();
    let mut specifications = tc.provisioner().get_launch_specs(worker_type).stream();
    while let Some(specification) = specifications.try_next().await? {
        kinds.insert(specification.instance_type.unwrap_or_default(), specification.capacity);
    }
    if kinds.is_empty() {
        kinds.insert(String::new(), 1);
    }
    let good = |(name, capacity): (String, u32)| {
        let price = prices.get(&name).copied().unwrap_or(assumed * f64::from(capacity));
        Good { name: if name.is_empty() { "worker".to_owned() } else { name }, capacity, price }
    };
    Ok(kinds.into_iter().map(good).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_type_is_that_of_the_usual_provisioner_unless_another_is_named() {
        assert_eq!(queue_of("build").unwrap().to_string(), "local/build");
        assert_eq!(queue_of("other/build").unwrap().to_string(), "other/build");
        assert!(queue_of("a/b/c").unwrap_err().is::<BadUse>());
    }

    #[test]
    fn a_time_is_said_as_everywhere() {
        assert_eq!(duration("1 hour 30 min").unwrap(), Duration::from_secs(5400));
        assert!(duration("soon").unwrap_err().to_string().starts_with("--for: "));
    }
}
