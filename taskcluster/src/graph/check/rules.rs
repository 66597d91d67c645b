//! What the queue takes in no definition, whatever surrounds it: the rules of its schema that a definition in Rust can still
//! break, and the limits beside the schema.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Map, Value};
use taskcluster_core::ids::{Priority, TaskQueueId};
use taskcluster_core::time::minutes;

use super::size;
use crate::queue::{TaskDefinitionRequest, TaskMetadata};

const MAX_RETRIES: u32 = 49;
const MAX_ROUTES: usize = 64;
/// In bytes: its routing key begins with `route.`, and AMQP has room for 255.
const MAX_ROUTE: usize = 249;
/// In characters.
const MAX_TAG: usize = 4096;
/// All scopes together, written as JSON: they travel in the heads of requests.
const MAX_SCOPES: usize = 128 * 1024;
/// The whole definition, written as JSON.
const MAX_DEFINITION: usize = 10 * 1024 * 1024;
/// How deep lists and objects of a property may lie within each other. Services read 127 levels, and the definition is one.
const MAX_DEPTH: usize = 126;
/// How far the queue's clock may be from ours.
const DRIFT: Duration = minutes(15);

/// A rule that is broken: which property, and what is wrong with it.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) place: String,
    pub(super) reason: String,
}

/// What the graph adds to a definition, and what the deployment allows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around<'g> {
    /// The scheduler of a task that names none.
    pub(super) scheduler_id: Option<&'g str>,
    /// How many there will be.
    pub(super) dependencies: usize,
    /// How far off a deadline may be.
    pub(super) deadline_within: Duration,
}

/// All rules that this definition breaks.
pub(super) fn broken(definition: &TaskDefinitionRequest, around: &Around<'_>) -> Vec<Broken> {
    let mut found = Found(Vec::new());
    found.names(definition, around.scheduler_id);
    found.task_queue(definition);
    found.choices(definition);
    found.deadline(definition, around.deadline_within);
    found.routes(definition.routes.as_deref().unwrap_or_default());
    found.scopes(definition.scopes.as_deref().unwrap_or_default());
    found.metadata(&definition.metadata);
    for (name, value) in definition.tags.iter().flatten() {
        found.at_most(&format!("tags.{name}"), value, MAX_TAG);
    }
    found.depth("payload", &definition.payload);
    found.depth("extra", definition.extra.as_ref().unwrap_or(&Map::new()));
    found.size(definition, around.dependencies);
    found.0
}

struct Found(Vec<Broken>);

impl Found {
    fn add(&mut self, place: impl Into<String>, reason: impl Into<String>) {
        self.0.push(Broken { place: place.into(), reason: reason.into() });
    }

    fn names(&mut self, definition: &TaskDefinitionRequest, scheduler_id: Option<&str>) {
        if definition.scheduler_id.as_deref().or(scheduler_id).is_some_and(|id| !is_made_of(id, 38, "-_")) {
            self.add("schedulerId", "is not 1 to 38 letters, digits, - and _");
        }
        if definition.project_id.as_ref().is_some_and(|id| !is_made_of(id, 500, "._/-")) {
            self.add("projectId", "is not 1 to 500 letters, digits, and ._/-");
        }
    }

    fn task_queue(&mut self, definition: &TaskDefinitionRequest) {
        const PROVISIONER: &str = "is not 1 to 38 letters, digits, - and _";
        const WORKER_TYPE: &str = "is not 1 to 38 small letters, digits and -, a letter first and no - last";
        let TaskDefinitionRequest { task_queue_id, provisioner_id, worker_type, .. } = definition;
        let can_be_named = |provisioner: &str, worker_type: &str| {
            TaskQueueId::from_parts(provisioner, worker_type).is_ok_and(|id| id.is_nameable())
        };
        if provisioner_id.as_ref().is_some_and(|name| !can_be_named(name, "x")) {
            self.add("provisionerId", PROVISIONER);
        }
        if worker_type.as_ref().is_some_and(|name| !can_be_named("x", name)) {
            self.add("workerType", WORKER_TYPE);
        }
        let Some(id) = task_queue_id else { return };
        if !can_be_named(id.provisioner_id(), "x") {
            self.add("taskQueueId", format!("has a first half that {PROVISIONER}"));
        }
        if !can_be_named("x", id.worker_type()) {
            self.add("taskQueueId", format!("has a second half that {WORKER_TYPE}"));
        }
        if let (Some(provisioner), Some(worker_type)) = (provisioner_id, worker_type)
            && (provisioner.as_str(), worker_type.as_str()) != (id.provisioner_id(), id.worker_type())
        {
            self.add("taskQueueId", format!("differs from provisionerId and workerType, {provisioner}/{worker_type}"));
        }
    }

    fn choices(&mut self, definition: &TaskDefinitionRequest) {
        if let Some(Priority::Unknown(word)) = &definition.priority {
            self.add("priority", format!("is `{word}`, which is none"));
        }
        if let Some(requires) = &definition.requires
            && !["all-completed", "all-resolved"].contains(&requires.as_str())
        {
            self.add("requires", format!("is `{requires}`, which is neither all-completed nor all-resolved"));
        }
        if let Some(retries) = definition.retries.filter(|retries| *retries > MAX_RETRIES) {
            self.add("retries", format!("is {retries}; at most {MAX_RETRIES} are allowed"));
        }
    }

    fn deadline(&mut self, definition: &TaskDefinitionRequest, within: Duration) {
        if definition.deadline > definition.created + within + DRIFT {
            let hours = within.as_secs() / 3600;
            self.add("deadline", format!("is more than {hours} hours after the task is created"));
        }
    }

    fn routes(&mut self, routes: &[String]) {
        if routes.len() > MAX_ROUTES {
            self.add("routes", format!("has {} entries; at most {MAX_ROUTES} are allowed", routes.len()));
        }
        let mut seen = BTreeSet::new();
        for (at, route) in routes.iter().enumerate() {
            if route.is_empty() {
                self.add(format!("routes[{at}]"), "is empty");
            }
            if route.len() > MAX_ROUTE {
                let length = route.len();
                self.add(format!("routes[{at}]"), format!("is {length} bytes long; at most {MAX_ROUTE} are allowed"));
            }
            if !seen.insert(route) {
                self.add(format!("routes[{at}]"), "is there twice");
            }
        }
    }

    fn scopes(&mut self, scopes: &[String]) {
        for (at, scope) in scopes.iter().enumerate() {
            if !scope.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
                self.add(format!("scopes[{at}]"), "is not printable ASCII");
            }
            if scope.ends_with("**") {
                self.add(format!("scopes[{at}]"), "ends in **");
            }
        }
        // Few tasks have any.
        let length = if scopes.is_empty() { 0 } else { size::length(scopes) };
        if length > MAX_SCOPES {
            self.add("scopes", format!("is {length} bytes long as JSON; at most {MAX_SCOPES} are allowed"));
        }
    }

    fn metadata(&mut self, metadata: &TaskMetadata) {
        self.at_most("metadata.name", &metadata.name, 255);
        self.at_most("metadata.description", &metadata.description, 32_768);
        self.at_most("metadata.owner", &metadata.owner, 255);
        self.at_most("metadata.source", &metadata.source, 4096);
        let begins = |start: &&str| metadata.source.starts_with(start);
        if !["http://", "https://", "ssh://", "git@"].iter().any(begins) {
            self.add("metadata.source", "begins with none of http://, https://, ssh:// and git@");
        }
    }

    /// Schemas count characters.
    fn at_most(&mut self, place: &str, text: &str, limit: usize) {
        if text.len() > limit && text.chars().count() > limit {
            let length = text.chars().count();
            self.add(place, format!("is {length} characters long; at most {limit} are allowed"));
        }
    }

    fn depth(&mut self, place: &str, fields: &Map<String, Value>) {
        if fields.values().any(|value| size::is_deeper(value, MAX_DEPTH - 1)) {
            self.add(place, format!("has lists and objects in each other, more than {MAX_DEPTH} deep"));
        }
    }

    fn size(&mut self, definition: &TaskDefinitionRequest, dependencies: usize) {
        if let Some(length) = size::longer_than(MAX_DEFINITION, definition, dependencies) {
            self.add("the definition", format!("is {length} bytes long as JSON; at most {MAX_DEFINITION} are allowed"));
        }
    }
}

/// Whether it is a name of letters, digits and these other characters.
fn is_made_of(name: &str, longest: usize, others: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || others.contains(c);
    (1..=longest).contains(&name.len()) && name.chars().all(allowed)
}
