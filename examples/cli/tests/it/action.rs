//! `taskcluster run --keep` and `taskcluster action`: what a decision task offers is tried on this machine.

use std::io::{BufRead as _, BufReader};
use std::process::Child;

use serde_json::{Value, json};

use crate::client::alone;
use crate::deployment::interrupt;
use crate::fixture::{Fixture, finish, text};
use crate::run::{HERE, yml};

/// Offers what is carried out by a task that ends with the code of its input.
fn decision() -> String {
    let task = json!({
        "taskQueueId": HERE, "schedulerId": "local", "taskGroupId": {"$eval": "taskGroupId"},
        "created": {"$fromNow": ""}, "deadline": {"$fromNow": "1 hour"}, "scopes": [],
        "metadata": {"name": "carried-out", "description": "x", "owner": "me@example.com", "source": "https://example.com"},
        "payload": {"maxRunTime": 600, "command": [["sh", "-c", {"$if": "input", "then": "exit ${input.code}", "else": "true"}]]},
    });
    let action = |name: &str, context: Value| json!({"kind": "task", "name": name, "title": name.to_uppercase(), "description": "", "context": context, "task": task});
    let mut asks = action("asks", json!([{}]));
    asks["schema"] = json!({"type": "object", "properties": {"code": {"type": "integer"}}, "required": ["code"]});
    let offer =
        json!({"version": 1, "variables": {}, "actions": [action("all", json!([])), action("one", json!([{}])), asks]});
    let script = "mkdir public; printf %s \"$OFFER\" >public/actions.json";
    let artifacts = "artifacts: [{type: directory, path: public, name: public}]";
    let scopes = "scopes: ['queue:create-task:highest:local/native', 'queue:create-task:project:none', 'queue:scheduler-id:local']";
    yml(&[("decision", "", HERE, script)])
        .replace("    payload:", &format!("    {scopes}\n    payload:"))
        .replace("      maxRunTime", &format!("      {artifacts}\n      maxRunTime"))
        .replace("env: {", &format!("env: {{OFFER: {}, ", json!(escaped(&offer.to_string()))))
}

/// As a text that stays what it is when the template is rendered.
fn escaped(text: &str) -> String {
    text.replace("${", "$${")
}

/// A run that has everything done and stays.
struct Kept {
    fixture: Fixture,
    child: Child,
    root_url: String,
    group: String,
    events: Box<dyn Iterator<Item = Value>>,
}

impl Kept {
    fn begin() -> Self {
        let fixture = Fixture::with(&decision());
        let mut command = fixture.command(&["run", "repository", "--json", "--keep", "--data"]);
        let mut child = command.arg(fixture.data()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut events = lines.map(|line| serde_json::from_str::<Value>(&line).unwrap());
        let begin = events.next().unwrap();
        assert!(events.any(|event| event["event"] == "keep"), "it stays");
        let string = |value: &Value| value.as_str().unwrap().to_owned();
        let (root_url, group) = (string(&begin["rootUrl"]), string(&begin["taskGroupIds"][0]));
        Self { fixture, child, root_url, group, events: Box::new(events) }
    }

    /// What `taskcluster action …` says, and how it ends.
    fn action(&self, args: &[&str]) -> (String, Option<i32>) {
        let token = std::fs::read_to_string(self.fixture.data().join("root.token")).unwrap();
        let mut command = alone(&self.fixture, &["action"]);
        command.args(args).env("TASKCLUSTER_ROOT_URL", &self.root_url);
        command.env("TASKCLUSTER_CLIENT_ID", "static/taskcluster/root").env("TASKCLUSTER_ACCESS_TOKEN", token.trim());
        let output = finish(command.spawn().unwrap());
        (text(output.stdout) + &text(output.stderr), output.status.code())
    }

    /// The state in which the task ends that an action has made.
    fn ends(&mut self, task_id: &str) -> Value {
        let over = ["green", "failed", "exception"];
        let is_end = |event: &Value| {
            event["taskId"] == task_id.trim() && event["state"].as_str().is_some_and(|state| over.contains(&state))
        };
        self.events.find(is_end).expect("the task ends")["state"].take()
    }

    /// The exit code after Ctrl-C, and the last event.
    fn stop(self) -> (Option<i32>, Value) {
        interrupt(self.child.id());
        let end = self.events.last().unwrap();
        (finish(self.child).status.code(), end)
    }
}

#[test]
fn an_action_is_tried_on_a_run_that_is_kept() {
    let mut kept = Kept::begin();
    let group = kept.group.clone();
    let (offered, code) = kept.action(&["list", &group]);
    let words: Vec<Vec<&str>> = offered.lines().map(|line| line.split_whitespace().collect()).collect();
    let expected: [&[&str]; 3] = [&["one", "ONE"], &["asks", "--input", "ASKS"], &["all", "--group", "ALL"]];
    assert_eq!((words.as_slice(), code), (expected.map(<[_]>::to_vec).as_slice(), Some(0)));

    let (offered, _) = kept.action(&["list", &group, "--json"]);
    let offered: Vec<Value> = offered.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let facts = offered.iter().map(|action| (&action["name"], &action["group"], action["schema"].is_object()));
    let expected = [("one", false, false), ("asks", false, true), ("all", true, false)];
    let facts: Vec<(Value, Value, bool)> =
        facts.map(|(name, group, asks)| (name.clone(), group.clone(), asks)).collect();
    assert_eq!(facts, expected.map(|(name, group, asks)| (json!(name), json!(group), asks)));

    let (made, code) = kept.action(&["run", "one", &group]);
    assert_eq!((kept.ends(&made), code), (json!("green"), Some(0)));
    let (made, _) = kept.action(&["run", "one", &group, "--json"]);
    let made: Value = serde_json::from_str(&made).unwrap();
    assert_eq!(kept.ends(made["taskId"].as_str().unwrap()), json!("green"));
    let (made, code) = kept.action(&["run", "all", &group, "--group"]);
    assert_eq!((kept.ends(&made), code), (json!("green"), Some(0)));
    let (code, end) = kept.stop();
    assert_eq!((code, &end["interrupted"], &end["counts"]), (Some(0), &json!(false), &json!({"green": 4})));
}

#[test]
fn input_is_given_as_json_or_by_a_file_and_counts() {
    let mut kept = Kept::begin();
    let group = kept.group.clone();
    std::fs::write(kept.fixture.folder().join("input.json"), r#"{"code": 0}"#).unwrap();
    let (made, _) = kept.action(&["run", "asks", &group, "--input", "input.json"]);
    assert_eq!(kept.ends(&made), "green");
    let (made, _) = kept.action(&["run", "asks", &group, "--input", r#"{"code": 3}"#]);
    assert_eq!(kept.ends(&made), "failed");
    let (code, end) = kept.stop();
    assert_eq!((code, &end["green"]), (Some(1), &json!(false)), "what an action made counts as well");
}

#[test]
fn what_is_not_offered_or_makes_no_sense_is_said_in_a_line() {
    let kept = Kept::begin();
    let group = kept.group.clone();
    for (args, said, code) in [
        (vec!["run", "none", &group], "none", 1),
        (vec!["run", "all", &group], "all", 1),
        (vec!["run", "asks", &group], "asks", 1),
        (vec!["run", "asks", &group, "--input", "nowhere.json"], "nowhere.json", 2),
        (vec!["list", "fN1SbArXTPSVFNUvaOlinQ"], "ResourceNotFound", 1),
    ] {
        let (told, ended) = kept.action(&args);
        assert!(told.starts_with("error: ") && told.lines().count() == 1 && told.contains(said), "{args:?}: {told}");
        assert_eq!(ended, Some(code), "{args:?}");
    }
    assert_eq!(kept.stop().0, Some(0));
}
