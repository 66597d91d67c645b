//! One task as a decision task speaks of it: a label, what it needs, and the definition.

use std::collections::BTreeMap;

use serde_json::Value;

use super::optimise::Cached;
use crate::queue::TaskDefinitionRequest;

/// A task with a label, before it is part of a checked graph.
///
/// A *kind* is a function that gives tasks, and a *transform* is one that takes a task and gives it back changed; for
/// both, iterators are all it takes:
///
/// ```
/// # use taskcluster::graph::Task;
/// # use taskcluster::queue::TaskDefinitionRequest;
/// # fn definition(name: &str) -> TaskDefinitionRequest {
/// #     serde_json::from_value(serde_json::json!({
/// #         "taskQueueId": "local/native", "created": "2026-01-01T00:00:00.000Z",
/// #         "deadline": "2026-01-01T01:00:00.000Z", "payload": {},
/// #         "metadata": {"name": name, "description": name, "owner": "me@example.com", "source": "https://example.com"},
/// #     })).expect("a definition")
/// # }
/// /// A kind.
/// fn tests() -> impl Iterator<Item = Task> {
///     ["linux", "macos"].into_iter().map(|platform| {
///         Task::new(format!("test-{platform}"), definition("test"))
///             .with_needs([format!("build-{platform}")])
///             .with_attribute("platform", platform)
///     })
/// }
///
/// /// A transform.
/// fn at_most_an_hour(mut task: Task) -> Task {
///     task.definition.payload.insert("maxRunTime".into(), 3600.into());
///     task
/// }
///
/// let tasks: Vec<Task> = tests().map(at_most_an_hour).collect();
/// assert_eq!(tasks[1].label, "test-macos");
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Task {
    /// Its label: unique in the graph, and the same for every push.
    pub label: String,
    /// The kind that it belongs to; empty if it belongs to none.
    pub kind: String,
    /// The labels of tasks that must be there, and be over, before it runs.
    pub needs: Vec<String>,
    /// The labels of tasks that must be over before it runs *if* they are part of the graph in the end. They are not
    /// drawn in by it.
    pub after: Vec<String>,
    /// Whatever else selects it.
    pub attributes: BTreeMap<String, Value>,
    /// Patterns of the files that it looks at, as [`matches`](super::matches) reads them; empty: it looks at everything.
    pub files: Vec<String>,
    /// An earlier task may stand in for it: see [`CheckedGraph::replace`](super::CheckedGraph::replace).
    pub cached: Option<Cached>,
    /// What the queue is given. Task group, scheduler and dependencies are filled in where they are absent.
    pub definition: TaskDefinitionRequest,
}

impl Task {
    /// A task that needs no other.
    pub fn new(label: impl Into<String>, definition: TaskDefinitionRequest) -> Self {
        Self {
            label: label.into(),
            kind: String::new(),
            needs: Vec::new(),
            after: Vec::new(),
            attributes: BTreeMap::new(),
            files: Vec::new(),
            cached: None,
            definition,
        }
    }

    /// It is of this kind.
    #[must_use]
    pub fn with_kind(mut self, kind: impl Into<String>) -> Self {
        self.kind = kind.into();
        self
    }

    /// It needs these tasks, too.
    #[must_use]
    pub fn with_needs<L: Into<String>>(mut self, labels: impl IntoIterator<Item = L>) -> Self {
        self.needs.extend(labels.into_iter().map(Into::into));
        self
    }

    /// It runs after these tasks, too, where a selection or an optimisation leaves them in the graph. Before that they have to be
    /// there.
    #[must_use]
    pub fn with_after<L: Into<String>>(mut self, labels: impl IntoIterator<Item = L>) -> Self {
        self.after.extend(labels.into_iter().map(Into::into));
        self
    }

    /// It has this attribute.
    #[must_use]
    pub fn with_attribute(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.attributes.insert(name.into(), value.into());
        self
    }

    /// It looks at the files that fit one of these patterns, and no others.
    #[must_use]
    pub fn with_files<P: Into<String>>(mut self, patterns: impl IntoIterator<Item = P>) -> Self {
        self.files.extend(patterns.into_iter().map(Into::into));
        self
    }

    /// An earlier task that was made of the same may stand in for it.
    #[must_use]
    pub fn with_cached(mut self, cached: Cached) -> Self {
        self.cached = Some(cached);
        self
    }
}
