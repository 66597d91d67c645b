//! The transition function.

use taskcluster_core::ids::RunId;
use taskcluster_core::time::Timestamp;

use super::effect::{Announcement, Effect};
use super::event::{Event, ExceptionReason};
use super::run::{Claim, ReasonCreated, ReasonResolved, Resolution, Run, RunState, Worker};
use super::{MAX_RUNS, State, Task};

/// Why an event is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such run.
    #[error("run {0} does not exist")]
    NoSuchRun(RunId),
    /// The task's time is up.
    #[error("the deadline {0} of the task has passed")]
    PastDeadline(Timestamp),
    /// The run is not in a state that allows this.
    #[error("run {run} is {state}{detail}: {what} is not possible")]
    WrongState {
        /// Which run.
        run: RunId,
        /// Its state.
        state: State,
        /// More about the state.
        detail: &'static str,
        /// What was asked for.
        what: &'static str,
    },
    /// Another worker has claimed the run.
    #[error("run {run} is claimed by another worker")]
    ClaimedByAnother {
        /// Which run.
        run: RunId,
    },
    /// The same worker's claim has ended, and the run is about to be taken back.
    #[error("the claim of run {run} has ended")]
    ClaimEnded {
        /// Which run.
        run: RunId,
    },
    /// The task has all the runs that it can have.
    #[error("the task already has {MAX_RUNS} runs")]
    TooManyRuns,
    /// The task has been resolved, which fixes its priority.
    #[error("the task has been resolved: its priority can no longer be changed")]
    PriorityFixed,
}

/// What came of an event.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The task afterwards.
    pub task: Task,
    /// What has to follow, in order.
    pub effects: Vec<Effect>,
}

/// Changes under way: a copy of the task and the effects so far.
struct Step {
    task: Task,
    effects: Vec<Effect>,
    now: Timestamp,
}

impl Task {
    /// What becomes of the task when this happens now.
    ///
    /// # Errors
    /// The event contradicts the state of the task. The task is as it was.
    pub fn apply(&self, event: Event, now: Timestamp) -> Result<Outcome, Refusal> {
        let mut step = Step { task: self.clone(), effects: Vec::new(), now };
        match event {
            Event::Schedule => step.schedule()?,
            Event::Claim { run, worker, taken_until } => step.claim(run, worker, taken_until)?,
            Event::Reclaim { run, taken_until } => step.reclaim(run, taken_until)?,
            Event::Complete { run } => step.report(run, Resolution::Completed, "completing it")?,
            Event::Fail { run } => step.report(run, Resolution::Failed, "failing it")?,
            Event::Except { run, reason } => step.except(run, reason)?,
            Event::ClaimExpired { run, taken_until } => step.claim_expired(run, taken_until),
            Event::DeadlinePassed => step.deadline_passed(),
            Event::Cancel => step.cancel()?,
            Event::Rerun => step.rerun()?,
            Event::ChangePriority { priority, announce } => {
                step.before_deadline()?;
                if self.ever_resolved {
                    return Err(Refusal::PriorityFixed);
                }
                if priority != self.priority {
                    step.task.priority = priority.clone();
                    if announce {
                        step.publish(Announcement::PriorityChanged { old: self.priority.clone(), new: priority });
                    }
                }
            }
        }
        Ok(Outcome { task: step.task, effects: step.effects })
    }
}

impl Step {
    fn publish(&mut self, what: Announcement) {
        self.effects.push(Effect::Publish(what));
    }

    fn before_deadline(&self) -> Result<(), Refusal> {
        if self.now > self.task.deadline { Err(Refusal::PastDeadline(self.task.deadline)) } else { Ok(()) }
    }

    fn find(&self, run: RunId) -> Result<Run, Refusal> {
        self.task.run(run).cloned().ok_or(Refusal::NoSuchRun(run))
    }

    fn refuse(run: RunId, state: &RunState, what: &'static str) -> Refusal {
        let (state, detail) = match state {
            RunState::Pending => (State::Pending, ""),
            RunState::Running(_) => (State::Running, ""),
            RunState::Resolved { resolution, .. } => (resolution.state(), " for good"),
        };
        Refusal::WrongState { run, state, detail, what }
    }

    /// Adds a run that waits for a worker.
    fn enqueue(&mut self, reason: ReasonCreated) {
        self.task.runs.push(Run::pending(reason, self.now));
        if let Some(run) = self.task.last_run() {
            self.effects.push(Effect::Enqueue);
            self.publish(Announcement::Pending(run));
        }
    }

    /// Ends the last run and says so.
    fn end(&mut self, resolution: Resolution, with_worker: bool) {
        let (Some(number), Some(last)) = (self.task.last_run(), self.task.runs.last_mut()) else { return };
        *last = last.resolved(resolution, self.now);
        self.publish(match resolution {
            Resolution::Completed => Announcement::Completed(number),
            Resolution::Failed => Announcement::Failed(number),
            Resolution::Exception(_) => Announcement::Exception { run: number, with_worker },
        });
    }

    /// Ends the last run and the task with it.
    fn resolve(&mut self, resolution: Resolution, with_worker: bool) {
        self.end(resolution, with_worker);
        self.task.ever_resolved = true;
        self.effects.push(Effect::Resolved(resolution));
    }

    /// Ends the last run; tries again while retries are left and the reason is worth it.
    fn resolve_or_retry(&mut self, reason: ReasonResolved, retry: Option<ReasonCreated>) {
        match retry {
            Some(retry) if self.task.retries_left > 0 => {
                self.end(Resolution::Exception(reason), true);
                self.task.retries_left -= 1;
                self.enqueue(retry);
            }
            Some(_) | None => self.resolve(Resolution::Exception(reason), true),
        }
    }

    /// Ends a task that has no run: a run is made that only holds the resolution.
    fn resolve_unscheduled(&mut self, reason: ReasonResolved) {
        self.task.runs.push(Run::pending(ReasonCreated::Exception, self.now));
        self.resolve(Resolution::Exception(reason), false);
    }

    fn schedule(&mut self) -> Result<(), Refusal> {
        self.before_deadline()?;
        if self.task.runs.is_empty() {
            self.enqueue(ReasonCreated::Scheduled);
        }
        Ok(())
    }

    fn claim(&mut self, run: RunId, worker: Worker, taken_until: Timestamp) -> Result<(), Refusal> {
        self.before_deadline()?;
        let found = self.find(run)?;
        match &found.state {
            RunState::Pending => {
                let claim = Claim { worker, taken_until, started: self.now };
                if let Some(last) = self.task.runs.last_mut() {
                    last.state = RunState::Running(claim);
                }
                self.publish(Announcement::Running(run));
                Ok(())
            }
            // The answer to the first claim was lost: the same worker gets it again.
            RunState::Running(claim) if claim.worker == worker && claim.taken_until > self.now => Ok(()),
            // There can be no credentials for a time that is over.
            RunState::Running(claim) if claim.worker == worker => Err(Refusal::ClaimEnded { run }),
            RunState::Running(_) => Err(Refusal::ClaimedByAnother { run }),
            RunState::Resolved { .. } => Err(Self::refuse(run, &found.state, "claiming it")),
        }
    }

    fn reclaim(&mut self, run: RunId, taken_until: Timestamp) -> Result<(), Refusal> {
        let found = self.find(run)?;
        self.before_deadline()?;
        match &found.state {
            RunState::Running(claim) => {
                let renewed = Claim { taken_until, ..claim.clone() };
                if let Some(last) = self.task.runs.last_mut() {
                    last.state = RunState::Running(renewed);
                }
                Ok(())
            }
            RunState::Pending | RunState::Resolved { .. } => Err(Self::refuse(run, &found.state, "reclaiming it")),
        }
    }

    fn report(&mut self, run: RunId, target: Resolution, what: &'static str) -> Result<(), Refusal> {
        let found = self.find(run)?;
        match &found.state {
            RunState::Running(_) => self.resolve(target, true),
            // A repeat: the event is sent once more, in case that was what got lost.
            RunState::Resolved { resolution, .. } if *resolution == target => self.publish(match target {
                Resolution::Completed => Announcement::Completed(run),
                Resolution::Failed | Resolution::Exception(_) => Announcement::Failed(run),
            }),
            RunState::Pending | RunState::Resolved { .. } => return Err(Self::refuse(run, &found.state, what)),
        }
        Ok(())
    }

    fn except(&mut self, run: RunId, reason: ExceptionReason) -> Result<(), Refusal> {
        let found = self.find(run)?;
        let what = "giving it up";
        match &found.state {
            RunState::Running(_) => self.resolve_or_retry(reason.resolved(), reason.retry()),
            RunState::Resolved { resolution: Resolution::Exception(before), .. } if *before == reason.resolved() => {
                // A repeat, unless the world has gone on since: at most the retry may have followed.
                let later = self.task.runs.len() - 1 - usize::try_from(run.get()).unwrap_or(0);
                let follows_as_retry = later == 1
                    && reason.retry().is_some()
                    && self.task.runs.last().map(|last| last.reason_created) == reason.retry();
                if later > 0 && !follows_as_retry {
                    return Err(Self::refuse(run, &found.state, what));
                }
                self.publish(Announcement::Exception { run, with_worker: true });
            }
            RunState::Pending | RunState::Resolved { .. } => return Err(Self::refuse(run, &found.state, what)),
        }
        Ok(())
    }

    fn claim_expired(&mut self, run: RunId, taken_until: Timestamp) {
        let past_deadline = self.before_deadline().is_err();
        match self.task.run(run).map(|found| &found.state) {
            // Past the deadline the deadline's own resolution takes care of the task.
            Some(RunState::Running(claim))
                if claim.taken_until == taken_until && taken_until <= self.now && !past_deadline =>
            {
                self.resolve_or_retry(ReasonResolved::ClaimExpired, Some(ReasonCreated::Retry));
            }
            Some(RunState::Running(_) | RunState::Pending | RunState::Resolved { .. }) | None => {}
        }
    }

    fn deadline_passed(&mut self) {
        if self.before_deadline().is_ok() {
            return;
        }
        match self.task.state() {
            State::Unscheduled => self.resolve_unscheduled(ReasonResolved::DeadlineExceeded),
            State::Pending | State::Running => {
                self.resolve(Resolution::Exception(ReasonResolved::DeadlineExceeded), false)
            }
            State::Completed | State::Failed | State::Exception => {}
        }
    }

    fn cancel(&mut self) -> Result<(), Refusal> {
        self.before_deadline()?;
        let canceled = Resolution::Exception(ReasonResolved::Canceled);
        match self.task.state() {
            State::Unscheduled => self.resolve_unscheduled(ReasonResolved::Canceled),
            State::Pending | State::Running => self.resolve(canceled, true),
            State::Exception if self.task.resolution() == Some(canceled) => {
                if let Some(run) = self.task.last_run() {
                    self.publish(Announcement::Exception { run, with_worker: true });
                }
            }
            State::Completed | State::Failed | State::Exception => {}
        }
        Ok(())
    }

    fn rerun(&mut self) -> Result<(), Refusal> {
        self.before_deadline()?;
        match self.task.state() {
            State::Pending => {
                if let Some(run) = self.task.last_run() {
                    self.publish(Announcement::Pending(run));
                }
            }
            State::Running => {}
            State::Unscheduled | State::Completed | State::Failed | State::Exception => {
                let count = u32::try_from(self.task.runs.len()).unwrap_or(u32::MAX);
                if count >= MAX_RUNS {
                    return Err(Refusal::TooManyRuns);
                }
                self.task.retries_left = self.task.retries.min(MAX_RUNS - (count + 1));
                self.enqueue(ReasonCreated::Rerun);
            }
        }
        Ok(())
    }
}
