//! Creating the tasks of a request at the queue: all or none.
//!
//! The tasks are created each after those it requires. Those that require nothing of the same request are held back, so
//! nothing runs until the store has accepted all of them; from then on [`loops::act`](crate::loops) releases what was held,
//! and the queue's own dependencies begin the rest. If the queue refuses a task, what had been created is cancelled.
//!
//! The request is in the store before the first task is created. If this process dies, another takes the request up: what was
//! created already is found again.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use futures_util::stream::{self, FuturesUnordered, StreamExt as _};
use service_kit::store::StoreError;
use taskcluster::Caller;
use taskcluster::auth::{self, Auth};
use taskcluster::graph::ensure_task;
use taskcluster::queue::{Queue, TaskDefinitionRequest};
use taskcluster::scheduler::{CreateTaskGraphRequest, TaskGraphNode};
use taskcluster_core::Error;
use taskcluster_core::clock::SharedClock;
use taskcluster_core::ids::TaskId;
use taskcluster_core::scopes::ScopeSet;

use crate::graph::Graph;
use crate::node::Seen;
use crate::store::{Accepted, Begun, Store};
use crate::submission::{Fault, Submission};

/// How many tasks are created, or cancelled, at once.
const CONCURRENCY: usize = 32;

/// Creates graphs and extends them.
#[derive(Clone, Debug)]
pub(crate) struct Submitter {
    pub(crate) store: Store,
    /// The scheduler's own credentials. Tasks are created with the scopes of their graph alone.
    pub(crate) caller: Caller,
    pub(crate) scheduler_id: Arc<str>,
    pub(crate) clock: SharedClock,
}

/// Why tasks are not part of a graph.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("{} of its tasks cannot be created", .0.len())]
    Faults(Vec<Fault>),
    #[error("{0}")]
    Conflict(String),
    #[error("there is no such graph")]
    NoGraph,
    /// It may still come to be.
    #[error("the queue or auth does not answer")]
    Unavailable(#[source] Box<Error>),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Unavailable(Box::new(error))
    }
}

/// What came of creating tasks.
#[derive(Debug, Default)]
struct Created {
    tasks: Vec<TaskId>,
    faults: Vec<Fault>,
}

impl Submitter {
    /// Makes a graph, unless it is there already.
    pub(crate) async fn create(&self, graph_id: TaskId, request: CreateTaskGraphRequest) -> Result<Graph, Refusal> {
        let submission = Submission::create(graph_id, request, &self.scheduler_id);
        if let Some(graph) = self.store.graph(graph_id).await? {
            if graph.origin.digest != submission.digest {
                return Err(Refusal::Conflict("there is another graph of this identifier".to_owned()));
            }
            self.store.tell_again(&graph).await?;
            return Ok(graph);
        }
        self.check(&submission, &[]).await?;
        self.go(&submission).await
    }

    /// Adds tasks to a graph, those that it does not have already.
    pub(crate) async fn extend(&self, graph_id: TaskId, nodes: Vec<TaskGraphNode>) -> Result<Graph, Refusal> {
        let graph = self.store.graph(graph_id).await?.ok_or(Refusal::NoGraph)?;
        let mut submission = Submission::extend(graph_id, graph.origin.scopes.clone(), nodes, &self.scheduler_id);
        let existing = self.store.digests(graph_id, submission.mentioned()).await?;
        submission.without(&existing).map_err(|tasks| {
            let tasks: Vec<String> = tasks.iter().map(TaskId::to_string).collect();
            Refusal::Conflict(format!("the graph has other tasks of these identifiers: {}", tasks.join(", ")))
        })?;
        if submission.nodes.is_empty() {
            return Ok(graph);
        }
        if graph.cancelled {
            return Err(cancelled());
        }
        let existing: Vec<TaskId> = existing.into_keys().collect();
        self.check(&submission, &existing).await?;
        self.go(&submission).await
    }

    /// Everything that is known to be wrong before anything is created.
    async fn check(&self, submission: &Submission, existing: &[TaskId]) -> Result<(), Refusal> {
        let scopes = auth::ScopeSet::new(submission.scopes.iter().cloned());
        let held = Auth::new(self.caller.clone()).expand_scopes(&scopes).await?;
        let held = ScopeSet::from(held.scopes);
        let queue = Queue::new(self.caller.clone());
        let faults = submission.faults(existing, &held, &queue, &self.scheduler_id, self.clock.now());
        if faults.is_empty() { Ok(()) } else { Err(Refusal::Faults(faults)) }
    }

    async fn go(&self, submission: &Submission) -> Result<Graph, Refusal> {
        match self.store.begin(submission, self.clock.now()).await? {
            Begun::Yes => self.carry_out(submission).await,
            Begun::Other => Err(Refusal::Conflict("another graph of this identifier is being created".to_owned())),
        }
    }

    /// Creates the tasks of a request that was begun, and makes them part of their graph. Can be repeated.
    ///
    /// # Cancel safety
    /// If the future is dropped, the request is still begun, and taken up again later.
    pub(crate) async fn carry_out(&self, submission: &Submission) -> Result<Graph, Refusal> {
        let caller = self.caller.to_builder().authorized_scopes(submission.scopes.clone()).build()?;
        let Created { tasks, faults } = create_all(&Queue::new(caller), submission.definitions()).await?;
        if let Some(Fault { task_id, .. }) = faults.first() {
            // Somebody else may have brought the same request to its end, and its tasks to theirs.
            if self.store.node(submission.graph_id, *task_id).await?.is_some() {
                return self.store.graph(submission.graph_id).await?.ok_or(Refusal::NoGraph);
            }
            self.take_back(submission, tasks).await;
            return Err(Refusal::Faults(faults));
        }
        match self.store.accept(submission, self.clock.now()).await? {
            Accepted::Yes(graph) => Ok(graph),
            Accepted::Cancelled => {
                self.take_back(submission, tasks).await;
                Err(cancelled())
            }
            Accepted::Gone => {
                self.take_back(submission, tasks).await;
                Err(Refusal::NoGraph)
            }
        }
    }

    /// Cancels what was created. If that fails, the request stays begun, and all of this comes again.
    async fn take_back(&self, submission: &Submission, tasks: Vec<TaskId>) {
        let queue = Queue::new(self.caller.clone());
        let cancelled = stream::iter(tasks).map(|task| cancel(&queue, task)).buffer_unordered(CONCURRENCY);
        let failed: Vec<Error> = cancelled.filter_map(|outcome| async { outcome.err() }).collect().await;
        let outcome = match failed.into_iter().next() {
            None => self.store.refuse(submission).await.map_err(Refusal::from),
            Some(error) => Err(error.into()),
        };
        if let Err(error) = outcome {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(graph.id = %submission.graph_id, error, "tasks of a refused request are not cancelled yet");
        }
    }
}

fn cancelled() -> Refusal {
    Refusal::Conflict("the graph was cancelled; have something of it run again first".to_owned())
}

/// Creates tasks, several at once, each after those it requires. A task that requires a refused one is not tried.
async fn create_all(queue: &Queue, tasks: Vec<(TaskId, TaskDefinitionRequest)>) -> Result<Created, Error> {
    let place: HashMap<TaskId, usize> = tasks.iter().enumerate().map(|(at, (id, _))| (*id, at)).collect();
    let mut missing = vec![0_usize; tasks.len()];
    let mut dependents = vec![Vec::new(); tasks.len()];
    for (at, (_, definition)) in tasks.iter().enumerate() {
        let within = definition.dependencies.iter().flatten().filter_map(|required| place.get(required));
        for required in within.filter(|required| **required != at) {
            missing[at] += 1;
            dependents[*required].push(at);
        }
    }
    let mut ready: BTreeSet<usize> = (0..tasks.len()).filter(|at| missing[*at] == 0).collect();
    let mut under_way = FuturesUnordered::new();
    let mut created = Created::default();
    loop {
        while under_way.len() < CONCURRENCY
            && let Some(at) = ready.pop_first()
        {
            let (task_id, definition) = &tasks[at];
            under_way.push(async move { (at, ensure_task(queue, task_id, definition).await) });
        }
        let Some((at, outcome)) = under_way.next().await else { return Ok(created) };
        let task_id = tasks[at].0;
        match outcome {
            // What an earlier attempt has left was cancelled.
            Ok(status) if Seen::of(&status).is_some_and(|seen| seen.state.is_over()) => {
                let message = "the queue has had this task, and it has ended: use a fresh identifier".to_owned();
                created.faults.push(Fault { task_id, message });
            }
            Ok(_) => {
                created.tasks.push(task_id);
                for dependent in &dependents[at] {
                    missing[*dependent] -= 1;
                    if missing[*dependent] == 0 {
                        ready.insert(*dependent);
                    }
                }
            }
            Err(error) => created.faults.push(Fault { task_id, message: refused(error)? }),
        }
    }
}

/// What the queue has against a task, or the error if it is not about the task.
fn refused(error: Error) -> Result<String, Error> {
    match error.status().map(|status| status.as_u16()) {
        Some(400 | 403 | 404 | 409 | 410 | 413) => Ok(match error.api() {
            Some(said) => format!("the queue refuses it: {}", said.message),
            None => error.to_string(),
        }),
        _ => Err(error),
    }
}

async fn cancel(queue: &Queue, task_id: TaskId) -> Result<(), Error> {
    match queue.cancel_task(&task_id).await {
        Ok(_) => Ok(()),
        // It is gone, or ends by itself.
        Err(error) if error.is_not_found() || error.is_conflict() => Ok(()),
        Err(error) => Err(error),
    }
}
