//! A queue in memory that holds tasks as the real one does, and fails where it is told to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use taskcluster::queue::Queue;
use taskcluster::transport::TransportErrorKind;
use taskcluster::{Caller, ManualClock, RetryPolicy, Timestamp};
use taskcluster_core::transport::testing::{Answer, Call, ScriptedTransport};

/// What it holds outlives the clients.
#[derive(Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// By id, in order of creation.
    tasks: BTreeMap<String, Value>,
    order: Vec<String>,
    cancelled: Vec<String>,
    calls: usize,
    /// The call that is lost, counted from 0, and whether the queue still heard it.
    lost: Option<(usize, bool)>,
    sealed: bool,
}

impl Memory {
    /// A client at this time, whose connection breaks with the call of that number and never comes back.
    pub(crate) fn client(&self, now: &str, lost: Option<(usize, bool)>) -> Queue {
        let mut state = self.0.lock().unwrap();
        (state.calls, state.lost) = (0, lost);
        drop(state);
        let now: Timestamp = now.parse().unwrap();
        let mut script = ScriptedTransport::new();
        for name in ["createTask", "task", "status", "listTaskGroup", "rerunTask", "cancelTask"] {
            let memory = self.clone();
            let answer = Answer::from_call(move |call| memory.answer(name, call, now));
            script = script.on(&format!("queue.{name}"), answer);
        }
        let caller = Caller::builder("https://tc.example.com")
            .transport(script.transport())
            .retry(RetryPolicy::default().with_retries(0))
            .clock(ManualClock::at(now).shared())
            .build();
        Queue::new(caller.unwrap())
    }

    pub(crate) fn put(&self, id: &str, definition: Value) {
        let mut state = self.0.lock().unwrap();
        state.tasks.insert(id.to_owned(), filled_in(id, definition));
        state.order.push(id.to_owned());
    }

    pub(crate) fn tasks(&self) -> BTreeMap<String, Value> {
        self.0.lock().unwrap().tasks.clone()
    }

    pub(crate) fn order(&self) -> Vec<String> {
        self.0.lock().unwrap().order.clone()
    }

    pub(crate) fn cancelled(&self) -> Vec<String> {
        self.0.lock().unwrap().cancelled.clone()
    }

    pub(crate) fn calls(&self) -> usize {
        self.0.lock().unwrap().calls
    }

    pub(crate) fn seal(&self) {
        self.0.lock().unwrap().sealed = true;
    }

    fn answer(&self, name: &str, call: &Call, now: Timestamp) -> Answer {
        let mut state = self.0.lock().unwrap();
        let number = state.calls;
        state.calls += 1;
        let broken = || Answer::broken(TransportErrorKind::Connect, "the machine is gone");
        match state.lost {
            Some((lost, false)) if number >= lost => return broken(),
            Some((lost, true)) if number > lost => return broken(),
            _ => {}
        }
        let answer = state.carry_out(name, call, now);
        if state.lost == Some((number, true)) { broken() } else { answer }
    }
}

impl State {
    fn carry_out(&mut self, name: &str, call: &Call, now: Timestamp) -> Answer {
        let id = call.path.split('/').nth(5).unwrap().to_owned();
        let there = self.tasks.get(&id).cloned();
        match (name, there) {
            ("createTask", there) => self.create(&id, there.as_ref(), filled_in(&id, call.json()), now),
            ("listTaskGroup", _) => {
                let members =
                    self.tasks.iter().map(|(id, task)| json!({"task": task, "status": self.status(id, task)}));
                let members: Vec<Value> = members.collect();
                json!({"taskGroupId": id, "schedulerId": "-", "expires": "2030-01-01T00:00:00.000Z", "tasks": members})
                    .into()
            }
            (_, None) => Answer::error(404, "ResourceNotFound", "no such task"),
            ("task", Some(task)) => task.into(),
            ("cancelTask", Some(task)) => {
                self.cancelled.push(id.clone());
                json!({"status": self.status(&id, &task)}).into()
            }
            (_, Some(task)) => json!({"status": self.status(&id, &task)}).into(),
        }
    }

    fn create(&mut self, id: &str, there: Option<&Value>, task: Value, now: Timestamp) -> Answer {
        let refuse = |status, message| Answer::error(status, "refused", message);
        let time = |name: &str| task[name].as_str().unwrap().parse::<Timestamp>().unwrap();
        if time("created").distance(now) > taskcluster::time::minutes(15) || time("deadline") < now {
            return refuse(400, "the times make no sense");
        }
        if self.sealed || there.is_some_and(|there| *there != task) {
            return refuse(409, "sealed, or another definition");
        }
        // The first one is the decision task, which is not here.
        let dependencies = task["dependencies"].as_array().unwrap().iter().skip(1);
        if dependencies.clone().any(|id| !self.tasks.contains_key(id.as_str().unwrap())) {
            return refuse(400, "a dependency is missing");
        }
        let answer = json!({"status": self.status(id, &task)});
        if there.is_none() {
            self.order.push(id.to_owned());
            self.tasks.insert(id.to_owned(), task);
        }
        answer.into()
    }

    fn status(&self, id: &str, task: &Value) -> Value {
        let cancelled = self.cancelled.iter().any(|cancelled| cancelled == id);
        json!({
            "taskId": id, "provisionerId": "local", "workerType": "native", "taskQueueId": "local/native",
            "schedulerId": "-", "projectId": "none", "taskGroupId": task["taskGroupId"], "priority": "lowest",
            "deadline": task["deadline"], "expires": task["expires"], "retriesLeft": 5,
            "state": if cancelled { "exception" } else { "unscheduled" }, "runs": [],
        })
    }
}

fn filled_in(id: &str, definition: Value) -> Value {
    let mut task = json!({
        "provisionerId": "local", "workerType": "native", "schedulerId": "-", "projectId": "none", "taskGroupId": id,
        "dependencies": [], "requires": "all-completed", "routes": [], "priority": "lowest", "retries": 5, "scopes": [],
        "tags": {}, "extra": {}, "expires": "2027-01-01T01:00:00.000Z",
    });
    let Value::Object(given) = definition else { panic!("a definition is an object") };
    task.as_object_mut().unwrap().extend(given);
    task
}
