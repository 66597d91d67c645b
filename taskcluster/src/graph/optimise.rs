//! Tasks that need not run: left out, or replaced by an earlier task that was made of the same.

use std::collections::BTreeMap;
use std::future::Future;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde_json::json;
use taskcluster_core::ids::TaskId;
use taskcluster_core::time::Timestamp;

use super::Digest;
use super::checked::{CheckedGraph, GraphTask};
use crate::queue::TaskDefinitionRequest;

/// How many earlier tasks are looked for at once.
const CONCURRENCY: usize = 32;

/// What an earlier task is found by that did the same: where it stands in the index, and what it was made of.
///
/// The digest covers what is given here, the definition (its task queue, payload and scopes), and the digests of all
/// tasks that it needs. Ids of those tasks, and of the decision task, are different in every push and do not count.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Cached {
    /// The namespace in the index, such as `acme.cache.toolchain.rust`; the digest is one more word below it. To be found
    /// there the task needs `queue:route:index.<namespace>.*` of its creator.
    pub namespace: String,
    /// What it is made of beside its definition: usually the files that it reads.
    pub inputs: Digest,
    /// Texts that do not count wherever they stand in the definition, such as the revision to check out.
    pub ignored: Vec<String>,
}

impl Cached {
    /// In this namespace, made of these inputs.
    pub fn new(namespace: impl Into<String>, inputs: Digest) -> Self {
        Self { namespace: namespace.into(), inputs, ignored: Vec::new() }
    }

    /// This text does not count wherever it stands in the definition. An empty text changes nothing.
    #[must_use]
    pub fn apart_from(mut self, text: impl Into<String>) -> Self {
        self.ignored.push(text.into());
        self
    }
}

/// Where earlier tasks are looked for: the index (`tc.index()`, with the feature `index`), or whatever remembers them.
///
/// A closure will do: `|namespace: String| async move { … }`.
pub trait Earlier {
    /// What goes wrong when looking.
    type Error;

    /// The completed task that is indexed as `namespace`, if there is one.
    fn find(&self, namespace: String) -> impl Future<Output = Result<Option<Found>, Self::Error>> + Send;
}

impl<F, Look, E> Earlier for F
where
    F: Fn(String) -> Look,
    Look: Future<Output = Result<Option<Found>, E>> + Send,
{
    type Error = E;

    fn find(&self, namespace: String) -> impl Future<Output = Result<Option<Found>, E>> + Send {
        self(namespace)
    }
}

/// What completed tasks were indexed as: `graph.replace(&tc.index())`.
#[cfg(feature = "index")]
impl Earlier for crate::index::Index {
    type Error = taskcluster_core::Error;

    async fn find(&self, namespace: String) -> Result<Option<Found>, Self::Error> {
        match self.find_task(&namespace).await {
            Ok(found) => Ok(Some(Found { task_id: found.task_id, expires: found.expires })),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// An earlier task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "whoever looks for tasks makes these")]
pub struct Found {
    /// Its id.
    pub task_id: TaskId,
    /// When it, or what is wanted of it, is forgotten.
    pub expires: Timestamp,
}

impl CheckedGraph {
    /// Leaves out tasks for which `skipped` says yes, unless something that stays needs them.
    ///
    /// The rule is that of Python's taskgraph. Tasks are looked at from the end of the graph: one that nothing needs may
    /// go, and when all that need a task have gone it may go, too. So a task that stays has all that it needs, and no edge has
    /// to be led elsewhere. What merely comes [after](GraphTask::after) a task does not keep it.
    #[must_use]
    pub fn skip(self, skipped: impl Fn(&GraphTask) -> bool) -> Self {
        let mut stays = vec![false; self.tasks.len()];
        for (at, task) in self.tasks.iter().enumerate().rev() {
            // What is needed was marked by those that need it: they come later in the order.
            if stays[at] || !skipped(task) {
                stays[at] = true;
                task.edges.needs.iter().for_each(|needed| stays[*needed] = true);
            }
        }
        self.retain(&stays)
    }

    /// Replaces [cached](super::Task::cached) tasks by earlier ones that were made of the same, where there are any that
    /// outlive the deadlines of all that need them here.
    ///
    /// What needs a replaced task then depends on the earlier one, and wherever its definition has the id of the replaced
    /// task it gets the id of the earlier one. A cached task that is not replaced gets a route, `index.<namespace>.<digest>`,
    /// by which the next push finds it.
    ///
    /// A decision task that is tried again may find others than in its first try. What that one created stays as it is, and
    /// what is created now uses what is found now; [`submit`](Self::submit) takes both for the same.
    ///
    /// # Errors
    /// The first error in looking for an earlier task.
    pub async fn replace<E: Earlier>(mut self, earlier: &E) -> Result<Self, E::Error> {
        let digests = self.digests();
        let wanted = digests.iter().enumerate().filter_map(|(at, digest)| Some((at, digest.as_ref()?)));
        let looks = wanted.map(|(at, digest)| {
            let namespace = self.namespace(at, digest);
            async move { earlier.find(namespace.clone()).await.map(|found| (at, namespace, found)) }
        });
        let found: Vec<_> = stream::iter(looks).buffered(CONCURRENCY).try_collect().await?;

        let needed_until = self.needed_until();
        let mut replaced = BTreeMap::new();
        for (at, namespace, found) in found {
            let task = &mut self.tasks[at];
            let is_of_use = |found: &Found| {
                // Its own id: it was created by an earlier try of this decision.
                found.task_id != task.task_id && needed_until[at].is_none_or(|deadline| found.expires >= deadline)
            };
            match found.filter(is_of_use) {
                Some(found) => drop(replaced.insert(at, found.task_id)),
                None => task.definition.routes.get_or_insert_default().push(format!("index.{namespace}")),
            }
        }
        for at in 0..self.tasks.len() {
            let uses_found = self.tasks[at].edges.inside().any(|needed| digests[needed].is_some());
            self.tasks[at].uses_found = uses_found;
        }
        Ok(self.with_replaced(&replaced))
    }

    fn namespace(&self, at: usize, digest: &Digest) -> String {
        let cached = self.tasks[at].cached.as_ref().map(|cached| cached.namespace.as_str());
        format!("{}.{digest}", cached.unwrap_or_default())
    }

    /// Of each cached task; those that it needs come before it and are cached, too.
    fn digests(&self) -> Vec<Option<Digest>> {
        let mut digests: Vec<Option<Digest>> = Vec::with_capacity(self.tasks.len());
        for task in &self.tasks {
            let digest = task.cached.as_ref().map(|cached| {
                let mut text = made_by(&task.definition);
                text = text.replace(&task.task_id.to_string(), "").replace(&self.decision_task.to_string(), "");
                for ignored in cached.ignored.iter().filter(|ignored| !ignored.is_empty()) {
                    text = text.replace(&json_text(ignored), "");
                }
                let mut needed = Vec::new();
                for (other, digest) in
                    task.edges.inside().filter_map(|at| Some((&self.tasks[at], digests[at].as_ref()?)))
                {
                    text = text.replace(&other.task_id.to_string(), &digest.to_string());
                    needed.push(digest.to_string());
                }
                needed.sort();
                let whole = cached.inputs.clone().with_text(text);
                needed.into_iter().fold(whole, Digest::with_text)
            });
            digests.push(digest);
        }
        digests
    }

    /// The last deadline of those that depend on each task.
    fn needed_until(&self) -> Vec<Option<Timestamp>> {
        let mut until = vec![None; self.tasks.len()];
        for task in &self.tasks {
            for needed in task.edges.inside() {
                until[needed] = until[needed].max(Some(task.definition.deadline));
            }
        }
        until
    }

    fn with_replaced(mut self, replaced: &BTreeMap<usize, TaskId>) -> Self {
        for at in 0..self.tasks.len() {
            let ids: Vec<(TaskId, TaskId)> = self.tasks[at]
                .edges
                .inside()
                .filter_map(|needed| Some((self.tasks[needed].task_id, *replaced.get(&needed)?)))
                .collect();
            if !ids.is_empty() {
                let task = &mut self.tasks[at];
                task.definition = renamed(&task.definition, &ids);
                let new = ids.iter().map(|(_, id)| *id).filter(|id| !task.edges.outside.contains(id));
                let new: Vec<TaskId> = new.collect();
                task.edges.outside.extend(new);
            }
        }
        let stays: Vec<bool> = (0..self.tasks.len()).map(|at| !replaced.contains_key(&at)).collect();
        let existing = replaced.iter().map(|(at, id)| (self.tasks[*at].label.clone(), *id));
        self.existing.extend(existing.collect::<Vec<_>>());
        self.retain(&stays)
    }
}

/// What of a definition says what the task does.
fn made_by(definition: &TaskDefinitionRequest) -> String {
    let TaskDefinitionRequest { task_queue_id, provisioner_id, worker_type, payload, scopes, .. } = definition;
    json!([task_queue_id, provisioner_id, worker_type, payload, scopes]).to_string()
}

/// As the text stands within JSON.
fn json_text(text: &str) -> String {
    let quoted = json!(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// The definition with other ids wherever these stand: an id is 22 characters that stand for nothing else.
fn renamed(definition: &TaskDefinitionRequest, ids: &[(TaskId, TaskId)]) -> TaskDefinitionRequest {
    let text = serde_json::to_string(definition).expect("a definition is JSON");
    let text = ids.iter().fold(text, |text, (old, new)| text.replace(&old.to_string(), &new.to_string()));
    serde_json::from_str(&text).expect("an id in place of another changes nothing else")
}
