//! Requests that arrive while a transaction is under way share the next one.
//!
//! SQLite has one lane: it has one writer anyway. On PostgreSQL each kind of request has a lane of its own, so that the
//! order in which locks are taken is the same everywhere and commits can overlap.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use service_kit::store::is_lost;
use taskcluster_core::ids::TaskId;
use taskcluster_core::time::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::task::TaskTracker;

use super::positions::Positions;
use super::sql::{Backend, REFUSED};
use super::work::{Told, Unit, Wanted};
use super::{ApplyRefusal, Claimed, CreateRefusal, StoreError};
use crate::artifact::{Artifact, ArtifactRefusal};
use crate::definition::NewTask;
use crate::task::{Event, Task};
use crate::waiters::Waiters;

/// How many requests may share a transaction. More would make the first of them wait too long.
const MAX_BATCH: usize = 128;
/// How many requests may wait before those who bring more have to.
const QUEUE: usize = 1024;
/// How often a batch is done again after a collision with another process.
const COLLISIONS_BORNE: usize = 5;
/// How often it is done again after its connection turned out to be dead: when a server starts anew, all of a pool are.
const LOSSES_BORNE: usize = 20;
/// When others are at the same tasks or groups, so many batches take locks at once.
const WARY: u32 = 8;
/// Requests come in little company while so many of them share a transaction on average. More are company enough.
const LITTLE_COMPANY: std::ops::Range<f64> = 1.2..8.0;
/// While requests come in little company, it is waited for this long whether there are more that may share a transaction.
const LINGER: Duration = Duration::from_micros(500);

#[derive(Debug)]
pub(super) enum Op {
    Create(Box<NewTask>, Timestamp),
    Apply(TaskId, Event, Timestamp),
    /// The same to each of several tasks that it is meant for.
    ApplyAll(Vec<TaskId>, Event, Timestamp),
    Claim(Wanted),
    Artifact(Box<Artifact>, Timestamp),
}

impl Op {
    fn lane(&self) -> usize {
        match self {
            Self::Create(..) => 0,
            Self::Apply(..) | Self::ApplyAll(..) => 1,
            Self::Claim(..) => 2,
            Self::Artifact(..) => 3,
        }
    }
}

#[derive(Debug)]
pub(super) enum Answer {
    Created(Result<Task, CreateRefusal>),
    Applied(Result<Task, ApplyRefusal>),
    /// Those that it has happened to.
    AppliedAll(Vec<TaskId>),
    Claimed(Vec<Claimed>),
    Artifact(Result<Artifact, ArtifactRefusal>),
}

/// The answers to a batch, and what is to be told.
type Outcome = (Vec<Answer>, Told);

type Reply = oneshot::Sender<Result<Answer, StoreError>>;

#[derive(Debug)]
struct Request {
    op: Arc<Op>,
    reply: Reply,
}

/// The ways into the store.
#[derive(Clone, Debug)]
pub(super) struct Lanes(Arc<Mutex<Vec<mpsc::Sender<Request>>>>);

impl Lanes {
    pub(super) fn start(
        backend: &Arc<dyn Backend>,
        waiters: &Arc<Waiters>,
        new_events: &watch::Sender<u64>,
        tracker: &TaskTracker,
    ) -> Self {
        let positions = Arc::new(Positions::default());
        let senders = (0..backend.lanes()).map(|_| {
            let (sender, requests) = mpsc::channel(QUEUE);
            let lane = Lane {
                backend: Arc::clone(backend),
                waiters: Arc::clone(waiters),
                new_events: new_events.clone(),
                positions: Arc::clone(&positions),
                requests,
                company: 1.0,
                wary: 0,
            };
            tracker.spawn(lane.work());
            sender
        });
        Self(Arc::new(Mutex::new(senders.collect())))
    }

    /// Hands a request in and waits until it has been carried out and committed.
    ///
    /// # Cancel safety
    /// A request that is still waiting when this future is dropped is not carried out; one that has begun is.
    pub(super) async fn send(&self, op: Op) -> Result<Answer, StoreError> {
        let sender = {
            let senders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let count = senders.len();
            if count == 0 {
                return Err(StoreError::Closed);
            }
            senders[op.lane() % count].clone()
        };
        let (reply, answer) = oneshot::channel();
        sender.send(Request { op: Arc::new(op), reply }).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Takes no more requests.
    pub(super) fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

struct Lane {
    backend: Arc<dyn Backend>,
    waiters: Arc<Waiters>,
    new_events: watch::Sender<u64>,
    positions: Arc<Positions>,
    requests: mpsc::Receiver<Request>,
    /// How many requests have shared a transaction lately, on average.
    company: f64,
    /// How many more batches are not tried without locks.
    wary: u32,
}

impl Lane {
    async fn work(mut self) {
        let mut requests = Vec::new();
        while self.gather(&mut requests).await > 0 {
            let mut ops = Vec::with_capacity(requests.len());
            let mut replies = Vec::with_capacity(requests.len());
            for request in requests.drain(..) {
                if request.reply.is_closed() {
                    self.pass_on(&request.op);
                } else {
                    ops.push(request.op);
                    replies.push(request.reply);
                }
            }
            if !ops.is_empty() {
                self.carry_out(ops, replies).await;
            }
        }
    }

    /// Waits for requests that may share a transaction; none when there will be no more.
    ///
    /// As long as they have come in little company lately, it is worth the wait for those that are on their way; a request
    /// that is alone is carried out at once. Where there is one lane, whatever comes meanwhile shares its next transaction
    /// anyway.
    async fn gather(&mut self, requests: &mut Vec<Request>) -> usize {
        let mut count = self.requests.recv_many(requests, MAX_BATCH).await;
        if self.backend.lanes() > 1 && LITTLE_COMPANY.contains(&self.company) && count > 0 {
            tokio::time::sleep(LINGER).await;
            while count < MAX_BATCH
                && let Ok(request) = self.requests.try_recv()
            {
                requests.push(request);
                count += 1;
            }
        }
        self.company = self.company * 0.9 + count as f64 * 0.1;
        count
    }

    /// A claimer that went away may have been woken for a run that now waits for the next one.
    fn pass_on(&self, op: &Op) {
        if let Op::Claim(wanted) = op {
            self.waiters.wake(&wanted.task_queue_id, 1);
        }
    }

    async fn carry_out(&mut self, ops: Vec<Arc<Op>>, replies: Vec<Reply>) {
        match self.transaction(&ops).await {
            Ok(answers) => {
                for (reply, answer) in replies.into_iter().zip(answers) {
                    // Whoever has gone away does not need the answer.
                    let _ = reply.send(Ok(answer));
                }
            }
            Err(error) if replies.len() == 1 => {
                for reply in replies {
                    let _ = reply.send(Err(StoreError::Batch(error.to_string())));
                }
            }
            Err(error) => {
                // One of them may have spoilt it for all: each gets a transaction of its own.
                tracing::warn!(error = %error, requests = replies.len(), "a batch failed; its requests are carried out one by one");
                for (op, reply) in ops.into_iter().zip(replies) {
                    let answer = self.transaction(&[op]).await;
                    let answer = answer.and_then(|mut answers| answers.pop().ok_or(StoreError::Lost("the answer")));
                    let _ = reply.send(answer);
                }
            }
        }
    }

    async fn transaction(&mut self, ops: &[Arc<Op>]) -> Result<Vec<Answer>, StoreError> {
        let outcome = match self.at_once(ops).await {
            Some(outcome) => outcome,
            None => self.attempts(ops).await,
        };
        let (answers, told) = outcome?;
        for (queue, count) in &told.pending {
            self.waiters.wake(queue, *count);
        }
        self.backend.announce(&mut told.pending.keys().map(String::as_str));
        if told.events {
            self.new_events.send_modify(|count| *count += 1);
        }
        Ok(answers)
    }

    /// Where the database knows how, a batch is first tried without locks. `None` if there is a surprise, and it has to be
    /// done with them: nothing has happened, or, if the connection was lost, all of it may have.
    async fn at_once(&mut self, ops: &[Arc<Op>]) -> Option<Result<Outcome, StoreError>> {
        let dialect = self.backend.dialect();
        let together = dialect.together.as_ref()?;
        let kind = |op: &Op| std::mem::discriminant(op);
        let of_one_kind = ops.iter().all(|op| kind(op) == kind(&ops[0]));
        if self.wary > 0 || !of_one_kind {
            self.wary = self.wary.saturating_sub(1);
            return None;
        }
        let mut connection = self.backend.alone()?;
        let unit = Unit::unlocked(&mut *connection, dialect, together, &self.positions);
        match process(unit, ops).await {
            Err(StoreError::Surprise) => None,
            Err(StoreError::Database(error)) if has_code(&error, &COLLISIONS) || is_lost(&error) => None,
            Err(StoreError::Database(error)) if has_code(&error, &REFUSED) => {
                self.wary = WARY;
                None
            }
            result => Some(result),
        }
    }

    async fn attempts(&self, ops: &[Arc<Op>]) -> Result<Outcome, StoreError> {
        let (mut collisions, mut losses) = (0, 0);
        loop {
            match self.attempt(ops).await {
                Err(StoreError::Database(error)) if collisions < COLLISIONS_BORNE && has_code(&error, &COLLISIONS) => {
                    collisions += 1;
                }
                // All of it may be done again, as by a client that got no answer: what was committed all the same is
                // found done. Only runs that were claimed so are held by a worker that does not know, until the claim ends.
                Err(StoreError::Database(error)) if losses < LOSSES_BORNE && is_lost(&error) => losses += 1,
                result => return result,
            }
        }
    }

    async fn attempt(&self, ops: &[Arc<Op>]) -> Result<Outcome, StoreError> {
        let outcome: Arc<Mutex<Option<Outcome>>> = Arc::default();
        let (inside, work) = (Arc::clone(&outcome), ops.to_vec());
        let (dialect, positions) = (self.backend.dialect(), Arc::clone(&self.positions));
        self.backend
            .write(Box::new(move |sql| {
                Box::pin(async move {
                    let result = process(Unit::new(sql, dialect, &positions), &work).await?;
                    *inside.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
                    Ok(())
                })
            }))
            .await?;
        let outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
        outcome.ok_or(StoreError::Lost("the answers"))
    }
}

/// Deadlock detected, could not serialize, or another process was first to insert: the whole transaction is to be done
/// again.
const COLLISIONS: [&str; 3] = ["40P01", "40001", "23505"];

fn has_code(error: &sqlx::Error, codes: &[&str]) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| codes.contains(&&*code))
}

fn as_create(op: &Op) -> Option<(&NewTask, Timestamp)> {
    if let Op::Create(new, now) = op { Some((new, *now)) } else { None }
}

/// Carries a batch out: new tasks first, then what happens to tasks, then artifacts, then claims.
async fn process(mut unit: Unit<'_>, ops: &[Arc<Op>]) -> Result<Outcome, StoreError> {
    let mut answers: Vec<Option<Answer>> = ops.iter().map(|_| None).collect();

    let (places, new): (Vec<usize>, Vec<_>) = pick(ops, as_create).unzip();
    if !new.is_empty() {
        for (place, answer) in places.into_iter().zip(unit.create(&new).await?) {
            answers[place] = Some(Answer::Created(answer));
        }
    }

    let (places, events): (Vec<usize>, Vec<_>) =
        pick(ops, |op| if let Op::Apply(id, event, now) = op { Some((*id, event, *now)) } else { None }).unzip();
    if !events.is_empty() {
        for (place, answer) in places.into_iter().zip(unit.apply(&events).await?) {
            answers[place] = Some(Answer::Applied(answer));
        }
    }

    for (place, (ids, event, now)) in
        pick(ops, |op| if let Op::ApplyAll(ids, event, now) = op { Some((ids, event, *now)) } else { None })
    {
        answers[place] = Some(Answer::AppliedAll(unit.apply_all(ids, event, now).await?));
    }

    for (place, (artifact, now)) in
        pick(ops, |op| if let Op::Artifact(artifact, now) = op { Some((artifact, *now)) } else { None })
    {
        answers[place] = Some(Answer::Artifact(unit.put_artifact(artifact, now).await?));
    }

    let mut by_queue: Vec<(Vec<usize>, Vec<&Wanted>)> = Vec::new();
    for (place, wanted) in pick(ops, |op| if let Op::Claim(wanted) = op { Some(wanted) } else { None }) {
        match by_queue.iter_mut().find(|(_, all)| all[0].task_queue_id == wanted.task_queue_id) {
            Some((places, all)) => {
                places.push(place);
                all.push(wanted);
            }
            None => by_queue.push((vec![place], vec![wanted])),
        }
    }
    for (places, wanted) in by_queue {
        for (place, claimed) in places.into_iter().zip(unit.claim(&wanted).await?) {
            answers[place] = Some(Answer::Claimed(claimed));
        }
    }

    let told = unit.finish().await?;
    let answers = answers.into_iter().collect::<Option<Vec<_>>>().ok_or(StoreError::Lost("an answer"))?;
    Ok((answers, told))
}

fn pick<'o, T: 'o>(
    ops: &'o [Arc<Op>],
    choose: impl Fn(&'o Op) -> Option<T> + 'o,
) -> impl Iterator<Item = (usize, T)> + 'o {
    ops.iter().enumerate().filter_map(move |(place, op)| choose(op).map(|chosen| (place, chosen)))
}
