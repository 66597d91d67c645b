//! A task's definition: what its creator sends, completed and checked, and the text that is kept of it.
//!
//! The text keeps `payload`, `metadata`, `tags` and `extra` as they were sent; all other fields are written out with
//! their defaults. It never changes: the priority, which may be changed later, is kept beside it and set in when the
//! definition is read.

use jiff::Span;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use taskcluster_core::ids::{Priority, TaskId};
use taskcluster_core::time::{Timestamp, days, minutes};

use crate::task::{Requires, Task};

/// The longest route in bytes: its routing key begins with `route.`, and AMQP has room for 255.
pub const MAX_ROUTE: usize = 249;

/// How long the scopes of a task may be together, written as JSON. The credentials of a task carry its scopes in the head
/// of every request, and those that its worker's proxy makes carry them twice, so the head grows to eight thirds of this.
pub const MAX_SCOPES: usize = 128 * 1024;

/// `created` may be this far from our own clock.
const CLOCK_DRIFT: std::time::Duration = minutes(15);

/// A definition, before and after completion.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Definition {
    #[serde(default)]
    provisioner_id: Option<String>,
    #[serde(default)]
    worker_type: Option<String>,
    #[serde(default)]
    task_queue_id: Option<String>,
    #[serde(default = "no_scheduler")]
    scheduler_id: String,
    #[serde(default = "no_project")]
    project_id: String,
    #[serde(default)]
    task_group_id: Option<TaskId>,
    #[serde(default)]
    dependencies: Vec<TaskId>,
    #[serde(default)]
    requires: WireRequires,
    #[serde(default)]
    routes: Vec<String>,
    #[serde(default)]
    priority: Priority,
    #[serde(default = "some_retries")]
    retries: u32,
    created: Timestamp,
    deadline: Timestamp,
    #[serde(default)]
    expires: Option<Timestamp>,
    #[serde(default)]
    scopes: Vec<String>,
    payload: Box<RawValue>,
    metadata: Box<RawValue>,
    #[serde(default = "empty_object")]
    tags: Box<RawValue>,
    #[serde(default = "empty_object")]
    extra: Box<RawValue>,
}

fn no_scheduler() -> String {
    "-".to_owned()
}

fn no_project() -> String {
    "none".to_owned()
}

fn some_retries() -> u32 {
    5
}

fn empty_object() -> Box<RawValue> {
    RawValue::from_string("{}".to_owned()).expect("it is JSON")
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
enum WireRequires {
    #[default]
    AllCompleted,
    AllResolved,
}

/// What is wrong with a definition that satisfies its schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Neither form of the task queue is given.
    #[error("the task needs a taskQueueId, or provisionerId and workerType")]
    NoTaskQueue,
    /// Both forms are given and differ.
    #[error("taskQueueId {task_queue_id} differs from provisionerId and workerType, {pair}")]
    TaskQueuesDiffer {
        /// The one form.
        task_queue_id: String,
        /// The other.
        pair: String,
    },
    /// More dependencies than this deployment allows.
    #[error("the task has {count} dependencies; at most {limit} are allowed")]
    TooManyDependencies {
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// `created` is not now.
    #[error("created {created} is more than 15 minutes away from the time of the queue, {now}")]
    CreatedNotNow {
        /// What was given.
        created: Timestamp,
        /// What it is.
        now: Timestamp,
    },
    /// The deadline precedes the creation.
    #[error("deadline {deadline} is before created {created}")]
    DeadlineBeforeCreated {
        /// What was given.
        deadline: Timestamp,
        /// What was given.
        created: Timestamp,
    },
    /// The deadline has passed.
    #[error("deadline {0} has passed")]
    DeadlinePast(Timestamp),
    /// The deadline is too far off.
    #[error("deadline {deadline} is more than {days} days away")]
    DeadlineTooFar {
        /// What was given.
        deadline: Timestamp,
        /// How far it may be.
        days: u64,
    },
    /// The task would expire before its deadline.
    #[error("expires {expires} is before deadline {deadline}")]
    ExpiresBeforeDeadline {
        /// What was given.
        expires: Timestamp,
        /// What was given.
        deadline: Timestamp,
    },
    /// A scope that could never be meant.
    #[error("scope {0:?} ends in **")]
    DoubleStar(String),
    /// Credentials with these scopes would not fit into a request.
    #[error("the scopes of the task are {length} bytes long together; at most {MAX_SCOPES} are allowed")]
    ScopesTooLong {
        /// How long they are.
        length: usize,
    },
    /// A route that could not be a routing key.
    #[error("route {route:?} is {} bytes long; at most {MAX_ROUTE} are allowed", route.len())]
    RouteTooLong {
        /// Which.
        route: String,
    },
    /// The text is not a definition; the schema should have said so.
    #[error("the definition cannot be read: {0}")]
    Unreadable(String),
}

/// What a deployment allows.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Dependencies of one task.
    pub max_dependencies: usize,
    /// Days until the deadline.
    pub max_deadline_days: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_dependencies: 10_000, max_deadline_days: 5 }
    }
}

/// A task about to be created.
#[derive(Clone, Debug)]
pub struct NewTask {
    /// The task without runs.
    pub task: Task,
    /// Which tasks it waits for.
    pub dependencies: Vec<TaskId>,
    /// The scopes that it will run with.
    pub scopes: Vec<String>,
    /// The text of its definition.
    pub definition: String,
    definition_dates: (Timestamp, Timestamp, Timestamp),
}

impl Definition {
    /// Reads the body of `createTask` and completes it: defaults, the task queue in both forms, the group, the expiry.
    ///
    /// # Errors
    /// The task queue is not clear, or there are too many dependencies.
    pub fn complete(body: &str, task_id: TaskId, limits: &Limits) -> Result<NewTask, Invalid> {
        let mut definition: Self =
            serde_json::from_str(body).map_err(|error| Invalid::Unreadable(error.to_string()))?;
        let task_queue_id = definition.agree_on_task_queue()?;
        let count = definition.dependencies.len();
        if count > limits.max_dependencies {
            return Err(Invalid::TooManyDependencies { count, limit: limits.max_dependencies });
        }
        let task_group_id = *definition.task_group_id.get_or_insert(task_id);
        // Differing precision of the same request must not make it another one: from here on all is in milliseconds.
        let expires = definition.expires.map_or_else(|| a_year_after(definition.deadline), whole_milliseconds);
        let (created, deadline) = (whole_milliseconds(definition.created), whole_milliseconds(definition.deadline));
        definition.created = created;
        definition.deadline = deadline;
        definition.expires = Some(expires);
        let text = serde_json::to_string(&definition).map_err(|error| Invalid::Unreadable(error.to_string()))?;
        let task = Task {
            task_id,
            task_queue_id,
            scheduler_id: definition.scheduler_id,
            project_id: definition.project_id,
            task_group_id,
            priority: definition.priority,
            deadline,
            expires,
            retries: definition.retries,
            retries_left: definition.retries,
            requires: match definition.requires {
                WireRequires::AllCompleted => Requires::AllCompleted,
                WireRequires::AllResolved => Requires::AllResolved,
            },
            unsatisfied: 0,
            ever_resolved: false,
            runs: Vec::new(),
            routes: definition.routes,
            tags: definition.tags.get().to_owned(),
        };
        Ok(NewTask {
            task,
            dependencies: definition.dependencies,
            scopes: definition.scopes,
            definition: text,
            definition_dates: (created, deadline, expires),
        })
    }

    fn agree_on_task_queue(&mut self) -> Result<String, Invalid> {
        let pair = match (&self.provisioner_id, &self.worker_type) {
            (Some(provisioner), Some(worker_type)) => Some(format!("{provisioner}/{worker_type}")),
            (Some(_) | None, Some(_) | None) => None,
        };
        let chosen = match (self.task_queue_id.take(), pair) {
            (Some(id), Some(pair)) if id != pair => return Err(Invalid::TaskQueuesDiffer { task_queue_id: id, pair }),
            (Some(id), _) | (None, Some(id)) => id,
            (None, None) => return Err(Invalid::NoTaskQueue),
        };
        let (provisioner, worker_type) = chosen.split_once('/').ok_or(Invalid::NoTaskQueue)?;
        self.provisioner_id = Some(provisioner.to_owned());
        self.worker_type = Some(worker_type.to_owned());
        self.task_queue_id = Some(chosen.clone());
        Ok(chosen)
    }
}

impl NewTask {
    /// Checks what depends on the time, and the scopes: after authorization, so that a stranger learns nothing.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self, now: Timestamp, limits: &Limits) -> Result<(), Invalid> {
        let (created, deadline, expires) = self.definition_dates;
        if created < now - CLOCK_DRIFT || created > now + CLOCK_DRIFT {
            return Err(Invalid::CreatedNotNow { created, now });
        }
        if deadline < created {
            return Err(Invalid::DeadlineBeforeCreated { deadline, created });
        }
        if deadline < now {
            return Err(Invalid::DeadlinePast(deadline));
        }
        if deadline > now + days(limits.max_deadline_days) + CLOCK_DRIFT {
            return Err(Invalid::DeadlineTooFar { deadline, days: limits.max_deadline_days });
        }
        if expires < deadline {
            return Err(Invalid::ExpiresBeforeDeadline { expires, deadline });
        }
        // The schema counts characters, AMQP counts bytes.
        if let Some(route) = self.task.routes.iter().find(|route| route.len() > MAX_ROUTE) {
            return Err(Invalid::RouteTooLong { route: route.clone() });
        }
        let length = json_length(&self.scopes);
        if length > MAX_SCOPES {
            return Err(Invalid::ScopesTooLong { length });
        }
        match self.scopes.iter().find(|scope| scope.ends_with("**")) {
            Some(scope) => Err(Invalid::DoubleStar(scope.clone())),
            None => Ok(()),
        }
    }
}

/// Are the two texts the same definition? Order of keys and white space do not count.
#[must_use]
pub fn same(one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    let read = |text| serde_json::from_str::<serde_json::Value>(text).ok();
    match (read(one), read(other)) {
        (Some(one), Some(other)) => one == other,
        (_, None) | (None, Some(_)) => false,
    }
}

/// The scopes that a stored definition grants its task.
///
/// # Errors
/// The text is not a definition.
pub fn scopes_of(definition: &str) -> Result<Vec<String>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Only {
        scopes: Vec<String>,
    }
    Ok(serde_json::from_str::<Only>(definition)?.scopes)
}

/// The length of a list of printable texts as JSON.
fn json_length(texts: &[String]) -> usize {
    let escapes = |text: &str| text.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count();
    // Quotes and a comma around each.
    texts.iter().map(|text| text.len() + escapes(text) + 3).sum::<usize>() + 1
}

fn whole_milliseconds(time: Timestamp) -> Timestamp {
    Timestamp::from_millis(time.as_millis())
}

fn a_year_after(time: Timestamp) -> Timestamp {
    let date = jiff::Timestamp::from(whole_milliseconds(time));
    let later = TimeZone::UTC
        .to_datetime(date)
        .checked_add(Span::new().years(1))
        .and_then(|later| TimeZone::UTC.to_timestamp(later));
    later.map_or(time, Timestamp::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn now() -> Timestamp {
        "2026-03-04T05:06:07.000Z".parse().unwrap()
    }

    fn body(changes: &Value) -> String {
        let mut body = json!({
            "taskQueueId": "proj/ci", "schedulerId": "-", "projectId": "none", "dependencies": [], "requires": "all-completed", "routes": [],
            "priority": "lowest", "retries": 5, "created": "2026-03-04T05:06:07.123456Z", "deadline": "2026-03-05T07:06:07.5+02:00", "scopes": [],
            "payload": {"b": 1, "a": "\u{0}"}, "metadata": {"name": "n", "description": "d", "owner": "o", "source": "https://example.com"},
            "tags": {"kind": "test"}, "extra": {}
        });
        for (key, value) in changes.as_object().unwrap() {
            if value.is_null() {
                body.as_object_mut().unwrap().remove(key);
            } else {
                body[key] = value.clone();
            }
        }
        body.to_string()
    }

    fn complete(changes: &Value) -> Result<NewTask, Invalid> {
        Definition::complete(&body(changes), TaskId::new(), &Limits::default())
    }

    fn check(changes: &Value) -> Result<(), Invalid> {
        complete(changes).unwrap().check(now(), &Limits::default())
    }

    #[test]
    fn derived_fields_are_written_out() {
        let id = TaskId::new();
        let new = Definition::complete(&body(&json!({})), id, &Limits::default()).unwrap();
        let text: Value = serde_json::from_str(&new.definition).unwrap();
        assert_eq!(text["provisionerId"], "proj");
        assert_eq!(text["workerType"], "ci");
        assert_eq!(text["taskGroupId"], id.to_string());
        assert_eq!(text["created"], "2026-03-04T05:06:07.123Z");
        assert_eq!(text["deadline"], "2026-03-05T05:06:07.500Z");
        assert_eq!(text["expires"], "2027-03-05T05:06:07.500Z");
        assert_eq!(new.task.tags, r#"{"kind":"test"}"#);
        assert_eq!(new.check(now(), &Limits::default()), Ok(()));
    }

    #[test]
    fn task_queue_has_two_forms_that_must_agree() {
        let pair = complete(&json!({"taskQueueId": null, "provisionerId": "p", "workerType": "w"})).unwrap();
        assert_eq!(pair.task.task_queue_id, "p/w");
        let half = complete(&json!({"provisionerId": "other"})).unwrap();
        assert_eq!(half.task.task_queue_id, "proj/ci");
        let differ = complete(&json!({"provisionerId": "p", "workerType": "w"}));
        assert!(matches!(differ, Err(Invalid::TaskQueuesDiffer { .. })));
        assert!(matches!(complete(&json!({"taskQueueId": null, "workerType": "w"})), Err(Invalid::NoTaskQueue)));
    }

    #[test]
    fn dates_have_to_make_sense() {
        assert!(matches!(check(&json!({"created": "2026-03-04T05:30:00Z"})), Err(Invalid::CreatedNotNow { .. })));
        assert!(matches!(
            check(&json!({"deadline": "2026-03-04T05:05:00Z"})),
            Err(Invalid::DeadlineBeforeCreated { .. })
        ));
        let late = json!({"created": "2026-03-04T05:00:00Z", "deadline": "2026-03-04T05:05:00Z"});
        assert!(matches!(check(&late), Err(Invalid::DeadlinePast(_))));
        assert!(matches!(check(&json!({"deadline": "2026-03-10T05:06:07Z"})), Err(Invalid::DeadlineTooFar { .. })));
        assert!(matches!(
            check(&json!({"expires": "2026-03-04T06:00:00Z"})),
            Err(Invalid::ExpiresBeforeDeadline { .. })
        ));
        assert!(matches!(check(&json!({"scopes": ["queue:**"]})), Err(Invalid::DoubleStar(_))));
        assert_eq!(check(&json!({"scopes": ["queue:*"]})), Ok(()));
    }

    #[test]
    fn routes_fit_into_routing_keys() {
        // 249 characters, which the schema allows, but half of them of two bytes.
        let long = format!("{}{}", "ü".repeat(125), "x".repeat(124));
        assert_eq!(check(&json!({"routes": ["a", long]})), Err(Invalid::RouteTooLong { route: long }));
        assert_eq!(check(&json!({"routes": ["x".repeat(249)]})), Ok(()));
        assert_eq!(check(&json!({"routes": [format!("ü{}", "x".repeat(247))]})), Ok(()));
    }

    #[test]
    fn scopes_fit_into_the_head_of_a_request() {
        // As JSON each takes three bytes more; the list one.
        let fitting = vec!["x".repeat(1021); 127];
        let last = |length: usize| [&fitting[..], &["x".repeat(length)]].concat();
        assert_eq!(check(&json!({"scopes": last(1020)})), Ok(()));
        assert_eq!(serde_json::to_string(&last(1020)).unwrap().len(), MAX_SCOPES);
        assert_eq!(check(&json!({"scopes": last(1021)})), Err(Invalid::ScopesTooLong { length: MAX_SCOPES + 1 }));
        let quotes = vec!["\"".repeat(509) + "xxxx"; 128];
        assert_eq!(check(&json!({"scopes": quotes})), Err(Invalid::ScopesTooLong { length: MAX_SCOPES + 129 }));
    }

    #[test]
    fn definitions_are_compared_by_meaning() {
        assert!(same(r#"{"a":1,"b":2}"#, r#"{ "b":2, "a":1 }"#));
        assert!(!same(r#"{"a":1}"#, r#"{"a":2}"#));
    }
}
