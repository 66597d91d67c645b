//! The commands that speak to a deployment, as a process next to one.

use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::deployment::Up;
use crate::fixture::{Fixture, finish, text};

/// The variables by which a deployment is found.
const VARIABLES: [&str; 5] = [
    "TASKCLUSTER_ROOT_URL",
    "TASKCLUSTER_CLIENT_ID",
    "TASKCLUSTER_ACCESS_TOKEN",
    "TASKCLUSTER_CERTIFICATE",
    "TASKCLUSTER_PROXY_URL",
];

/// The binary with nothing in its environment, whatever the tests run in.
pub(crate) fn alone(fixture: &Fixture, args: &[&str]) -> Command {
    let mut command = fixture.command(args);
    VARIABLES.iter().for_each(|name| {
        command.env_remove(name);
    });
    command
}

/// The binary as somebody who has pasted what `up` said.
pub(crate) struct Client<'a> {
    pub(crate) fixture: &'a Fixture,
    pub(crate) up: &'a Up,
}

impl Client<'_> {
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.anonymous(args);
        for name in ["TASKCLUSTER_CLIENT_ID", "TASKCLUSTER_ACCESS_TOKEN"] {
            command.env(name, self.up.variable(name));
        }
        command
    }

    pub(crate) fn anonymous(&self, args: &[&str]) -> Command {
        let mut command = alone(self.fixture, args);
        command.env("TASKCLUSTER_ROOT_URL", self.up.variable("TASKCLUSTER_ROOT_URL"));
        command
    }

    /// What it prints when all is well.
    pub(crate) fn says(&self, args: &[&str]) -> String {
        succeeded(&finish(self.command(args).spawn().unwrap()), args)
    }

    /// The JSON that it prints.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let said = self.says(args);
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{args:?}: {error}: {said}"))
    }

    /// The same, with something on its standard input.
    pub(crate) fn hears(&self, args: &[&str], input: &str) -> String {
        use std::io::Write as _;
        let mut child = self.command(args).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        succeeded(&finish(child), args)
    }

    /// The line by which it complains, and how it ends.
    pub(crate) fn complains(&self, args: &[&str]) -> (String, Option<i32>) {
        complaint(&finish(self.command(args).spawn().unwrap()))
    }

    /// A new task for this queue that runs a shell script, and its id.
    pub(crate) fn create(&self, queue: &str, name: &str, script: &str) -> String {
        self.create_with(queue, name, &json!({ "command": [["sh", "-c", script]], "maxRunTime": 3600 }))
    }

    /// A new task for this queue with this payload, and its id.
    pub(crate) fn create_with(&self, queue: &str, name: &str, payload: &Value) -> String {
        let id = self.says(&["slugid"]).trim().to_owned();
        let time = |offset| self.says(&["from-now", offset]).trim().to_owned();
        let definition = json!({
            "taskQueueId": queue, "schedulerId": "tests", "created": time("0 s"), "deadline": time("2 hours"),
            "payload": payload,
            "metadata": { "name": name, "description": "A test.", "owner": "me@example.com", "source": "https://example.com" },
        });
        let status: Value =
            serde_json::from_str(&self.hears(&["api", "queue", "createTask", &id], &definition.to_string())).unwrap();
        assert_eq!(status["status"]["taskId"], id.as_str());
        id
    }
}

fn succeeded(output: &Output, args: &[&str]) -> String {
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}{}", text(&output.stderr), text(&output.stdout));
    text(&output.stdout)
}

pub(crate) fn complaint(output: &Output) -> (String, Option<i32>) {
    let stderr = text(&output.stderr);
    let errors: Vec<&str> = stderr.lines().filter(|line| !line.starts_with("note:")).collect();
    let [line] = errors[..] else { panic!("{stderr}{}", text(&output.stdout)) };
    (line.strip_prefix("error: ").expect("an error line").to_owned(), output.status.code())
}
