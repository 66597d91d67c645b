//! What the queue knows, and who is told when that changes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use taskcluster_core::Clock;
use taskcluster_core::clock::SystemClock;
use taskcluster_core::ids::TaskId;
use tokio::sync::watch;

use super::{FakeArtifact, Received};
use crate::testing::credentials_of;

#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) state: Arc<Mutex<Books>>,
    pub(super) changed: watch::Sender<u64>,
}

#[derive(Debug)]
pub(super) struct Books {
    pub(super) root_url: String,
    pub(super) tasks: BTreeMap<TaskId, FakeTask>,
    pub(super) artifacts: BTreeMap<(TaskId, String), FakeArtifact>,
    pub(super) received: Vec<Received>,
    pub(super) claim_for: Duration,
    pub(super) reclaim_fails: Option<StatusCode>,
    pub(super) uploads_fail: bool,
    pub(super) uploads_held: bool,
    /// How many uploads are held.
    pub(super) uploads_waiting: usize,
    /// How the next claims fail, and how many.
    pub(super) claims_fail: (StatusCode, u32),
    /// How many of the next claims are granted without an answer that says so.
    pub(super) claims_lost: u32,
    pub(super) quarantined: Option<Value>,
    pub(super) recent: Vec<TaskId>,
    /// Access tokens that were given to workers for their runs.
    pub(super) issued: Vec<String>,
}

#[derive(Debug)]
pub(super) struct FakeTask {
    pub(super) definition: Value,
    pub(super) state: String,
    pub(super) reason: Option<String>,
    pub(super) worker: Option<(String, String)>,
}

impl FakeTask {
    pub(super) fn describe(&self) -> String {
        match &self.reason {
            Some(reason) => format!("{} {reason}", self.state),
            None => self.state.clone(),
        }
    }

    pub(super) fn status(&self, task_id: &TaskId) -> Value {
        let definition = &self.definition;
        let mut run = json!({
            "runId": 0,
            "state": self.state,
            "reasonCreated": "scheduled",
            "scheduled": definition["created"],
        });
        if let Some((group, id)) = &self.worker {
            run["workerGroup"] = json!(group);
            run["workerId"] = json!(id);
        }
        if let Some(reason) = &self.reason {
            run["reasonResolved"] = json!(reason);
        }
        json!({
            "taskId": task_id,
            "provisionerId": definition["provisionerId"],
            "workerType": definition["workerType"],
            "taskQueueId": definition["taskQueueId"],
            "schedulerId": definition["schedulerId"],
            "projectId": definition["projectId"],
            "taskGroupId": definition["taskGroupId"],
            "priority": definition["priority"],
            "deadline": definition["deadline"],
            "expires": definition["expires"],
            "retriesLeft": 5,
            "state": self.state,
            "runs": [run],
        })
    }
}

impl Shared {
    pub(super) fn look<T>(&self, read: impl FnOnce(&Books) -> T) -> T {
        read(&self.state.lock().expect("no test panics holding it"))
    }

    pub(super) fn change<T>(&self, write: impl FnOnce(&mut Books) -> T) -> T {
        let out = write(&mut self.state.lock().expect("no test panics holding it"));
        self.changed.send_modify(|count| *count += 1);
        out
    }
}

impl Books {
    /// Where the content of an artifact is, whatever its name looks like.
    pub(super) fn content_url(&self, task_id: &TaskId, name: &str) -> String {
        let mut url = url::Url::parse(&self.root_url).expect("it is one");
        url.path_segments_mut().expect("it is not opaque").extend(["content", &task_id.to_string(), name]);
        url.into()
    }

    pub(super) fn claim(&mut self, task_id: &TaskId, with_task: bool) -> Value {
        let task = &self.tasks[task_id];
        let until = SystemClock.now() + self.claim_for;
        let mut scopes = vec![
            format!("queue:reclaim-task:{task_id}/0"),
            format!("queue:resolve-task:{task_id}/0"),
            format!("queue:create-artifact:{task_id}/0"),
        ];
        let own = task.definition["scopes"].as_array().into_iter().flatten();
        scopes.extend(own.filter_map(Value::as_str).map(str::to_owned));
        let credentials = credentials_of(&format!("task-client/{task_id}/0"), &scopes, until);
        self.issued.push(credentials.access_token.expose().to_owned());
        let (group, id) = task.worker.clone().unwrap_or_default();
        let mut claim = json!({
            "status": task.status(task_id),
            "runId": 0,
            "workerGroup": group,
            "workerId": id,
            "takenUntil": until,
            "credentials": {
                "clientId": credentials.client_id,
                "accessToken": credentials.access_token.expose(),
                "certificate": credentials.certificate.map(|certificate| certificate.to_json()),
            },
        });
        if with_task {
            claim["task"] = task.definition.clone();
        }
        claim
    }
}
