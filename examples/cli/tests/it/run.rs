//! `taskcluster run` on small repositories.

use std::io::{BufRead as _, BufReader};

use serde_json::Value;

use crate::deployment::interrupt;
use crate::fixture::{Fixture, finish, text};

/// A `.taskcluster.yml` with tasks that depend on each other by label: (label, needs, queue, script).
pub(crate) fn yml(tasks: &[(&str, &str, &str, &str)]) -> String {
    let mut yml = "version: 1\ntasks:\n".to_owned();
    for (label, needs, queue, script) in tasks {
        let dependencies = if needs.is_empty() { String::new() } else { format!("'${{as_slugid(\"{needs}\")}}'") };
        yml += &format!(
            "  - taskId: '${{as_slugid(\"{label}\")}}'
    taskQueueId: {queue}
    dependencies: [{dependencies}]
    created: {{$fromNow: ''}}
    deadline: {{$fromNow: 1 hour}}
    metadata: {{name: {label}, description: x, owner: me@example.com, source: 'https://example.com'}}
    payload:
      env: {{URL: '${{event.repository.clone_url}}', REVISION: '${{event.after}}'}}
      maxRunTime: 600
      command: [[sh, -euc, {script:?}]]
"
        );
    }
    yml
}

pub(crate) const HERE: &str = "local/native";

#[test]
fn green_tasks_end_with_0_and_leave_their_logs() {
    let fixture = Fixture::with(&yml(&[
        (
            "clone",
            "",
            HERE,
            "git clone -q $URL copy && git -C copy checkout -q $REVISION && grep -c version copy/.taskcluster.yml",
        ),
        ("after", "clone", HERE, "echo it came after"),
    ]));
    let output = fixture.run(&[]);
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{stdout}{}", text(&output.stderr));
    assert!(stdout.contains("green: 2 green"), "{stdout}");
    let results = stdout.lines().find_map(|line| line.strip_prefix("logs and artifacts: ")).expect("a folder");
    let log = std::fs::read_to_string(format!("{results}/after/public/logs/live_backing.log")).unwrap();
    assert!(log.contains("it came after"), "{log}");
}

/// A task that creates this one, by the program of these tests.
fn creating(child: &str) -> String {
    let program = env!("CARGO_BIN_EXE_taskcluster");
    let script = format!("echo '{child}' | {program} task create; echo its group: $TASK_GROUP_ID");
    let scopes = "scopes: ['assume:repo:localhost/local/repository:branch:main']";
    yml(&[("maker", "", HERE, &script)])
        .replace("    payload:\n", &format!("    {scopes}\n    payload:\n      features: {{taskclusterProxy: true}}\n"))
}

/// A definition with these properties, and this script.
fn child(more: &str, script: &str) -> String {
    format!(
        r#"{{{more}"taskQueueId":"{HERE}","metadata":{{"name":"child","description":"x","owner":"me@example.com","source":"https://example.com"}},"payload":{{"command":[["sh","-c","{script}"]],"maxRunTime":600}}}}"#
    )
}

#[test]
fn what_a_task_creates_is_of_its_group() {
    let fixture = Fixture::with(&creating(&child("", "exit 3")));
    let output = fixture.run(&[]);
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{stdout}{}", text(&output.stderr));
    assert!(stdout.contains("1 green") && stdout.contains("child: failed"), "{stdout}");
}

/// A task of another group is neither part of what is green, nor comes up in a later run.
#[test]
fn tasks_of_other_groups_are_named_and_do_not_come_up_later() {
    let marker = tempfile::tempdir().unwrap();
    let begun = marker.path().join("begun");
    let other = taskcluster_core::ids::TaskId::new();
    let more = format!(r#""taskGroupId":"{other}","schedulerId":"local","#);
    let script = format!("touch {}", begun.display());
    // Nobody takes it before somebody serves that queue.
    let child = child(&more, &script).replace(HERE, "local/later");
    let fixture = Fixture::with(&creating(&child).replace("task create", &format!("task create --id {other}")));
    let output = fixture.run(&[]);
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{stdout}{}", text(&output.stderr));
    assert!(stdout.contains("green: 1 green"), "{stdout}");
    let named = format!("child ({other}) is of another group, and not part of this run: it is exception (canceled)");
    assert!(stdout.contains(&named), "{stdout}");
    fixture.commit(&[(".taskcluster.yml", &yml(&[("later", "", HERE, "sleep 2")]))]);
    let later = fixture.run(&["--serve", "local/later"]);
    assert_eq!(later.status.code(), Some(0), "{}", text(&later.stdout));
    assert!(!begun.exists() && !text(&later.stdout).contains("child"), "{}", text(&later.stdout));
}

/// The queue ends it; its worker learns of that a moment later, and still says why.
#[test]
fn the_log_of_a_task_that_is_past_its_deadline_says_so() {
    let yml = yml(&[("slow", "", HERE, "sleep 1000")]).replace("1 hour", "1 second");
    let fixture = Fixture::with(&yml);
    let output = fixture.run(&[]);
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{stdout}");
    let results = stdout.lines().find_map(|line| line.strip_prefix("logs and artifacts: ")).expect("a folder");
    let log = std::fs::read_to_string(format!("{results}/slow/public/logs/live_backing.log")).unwrap();
    assert!(log.contains("the run is stopped: past its deadline"), "{log}");
}

#[test]
fn tasks_of_one_name_are_told_apart() {
    let yml =
        yml(&[("one", "", HERE, "echo first"), ("two", "", HERE, "echo second")]).replace("name: two", "name: one");
    let fixture = Fixture::with(&yml);
    let stdout = text(fixture.run(&[]).stdout);
    let results = stdout.lines().find_map(|line| line.strip_prefix("logs and artifacts: ")).expect("a folder");
    let folders = std::fs::read_dir(results).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let ids: Vec<String> =
        folders.map(|name| name.strip_prefix("one-").expect("the name and the id").to_owned()).collect();
    assert_eq!(ids.len(), 2, "{ids:?}");
    for id in ids {
        assert!(stdout.contains(&format!("one ({}): green", &id[..8])), "{stdout}");
    }
}

#[test]
fn a_red_task_ends_with_1_and_shows_the_tail_of_its_log() {
    let fixture = Fixture::with(&yml(&[
        ("red", "", HERE, "echo the reason; exit 3"),
        ("never", "red", HERE, "echo begun"),
        ("green", "", HERE, "true"),
    ]));
    let output = fixture.run(&["--json"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let events: Vec<Value> = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let failure = events.iter().find(|event| event["event"] == "failure").expect("a failure");
    assert_eq!(failure["name"], "red");
    assert!(failure["tail"].to_string().contains("the reason"), "{failure}");
    let never =
        events.iter().find(|event| event["name"] == "never" && event["state"] == "not run").expect("it is told");
    assert_eq!(never["because"], failure["taskId"]);
    let end = events.last().unwrap();
    assert_eq!(end["counts"], serde_json::json!({"failed": 1, "green": 1, "not run": 1}));
    assert!(!events.iter().any(|event| event["name"] == "never" && event["state"] == "exception"));
}

#[test]
fn a_task_that_takes_failures_runs_after_what_never_ran() {
    let yml = yml(&[
        ("red", "", HERE, "exit 3"),
        ("never", "red", HERE, "echo begun"),
        ("report", "never", HERE, "echo the report"),
    ]);
    let (others, report) = yml.split_at(yml.rfind("    payload:").unwrap());
    let output = Fixture::with(&format!("{others}    requires: all-resolved\n{report}")).run(&[]);
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{stdout}");
    assert!(stdout.contains("not green: 1 failed, 1 green, 1 not run"), "{stdout}");
    assert_eq!(stdout.matches("never: not run (").count(), 1, "{stdout}");
}

#[test]
fn a_payload_that_breaks_the_schema_has_every_reason_in_the_log() {
    let yml = yml(&[("broken", "", HERE, "true")]).replace("maxRunTime: 600", "maxRunTime: soon\n      colour: blue");
    let output = Fixture::with(&yml).run(&[]);
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{stdout}");
    for expected in ["exception (malformed-payload)", "maxRunTime", "colour"] {
        assert!(stdout.contains(expected), "{expected} is missing in {stdout}");
    }
}

#[test]
fn queues_that_nobody_serves_are_named_unless_served_here() {
    let fixture = Fixture::with(&yml(&[
        ("mac", "", "releng/mac", "true"),
        ("after", "mac", HERE, "true"),
        ("here", "", HERE, "true"),
    ]));
    let output = fixture.run(&[]);
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{stdout}");
    assert!(stdout.contains("nobody serves releng/mac"), "{stdout}");
    assert!(stdout.contains("not green: 1 green, 1 not run, 1 not served"), "{stdout}");
    let output = fixture.run(&["--serve", "releng/mac"]);
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
}

#[test]
fn queues_with_names_alike_are_served_side_by_side() {
    let fixture = Fixture::with(&yml(&[("one", "", "a-b/c", "true"), ("other", "", "a/b-c", "true")]));
    let output = fixture.run(&["--serve", "a-b/c", "--serve", "a/b-c"]);
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
}

#[test]
fn a_push_without_tasks_is_green() {
    let output = Fixture::with("{version: 1, tasks: [{$if: \"tasks_for == 'cron'\", then: {}}]}").run(&[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let stdout = text(&output.stdout);
    let lines: Vec<&str> = stdout.lines().collect();
    let [commit, note, "green: no tasks for this push"] = lines[..] else { panic!("{stdout}") };
    assert!(commit.starts_with("commit ") && note.contains("tasks_for \"github-push\""), "{stdout}");
}

#[test]
fn an_interrupt_cancels_the_group_and_a_second_run_is_refused_meanwhile() {
    let fixture = Fixture::with(&yml(&[("long", "", HERE, "sleep 600"), ("after", "long", HERE, "true")]));
    let data = fixture.data();
    let args = ["run", "repository", "--json", "--data", data.to_str().unwrap()];
    let mut child = fixture.command(&args).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let running =
        lines.by_ref().map_while(Result::ok).any(|line| line.contains("\"long\"") && line.contains("\"running\""));
    assert!(running, "it began");

    let second = finish(fixture.command(&args).spawn().unwrap());
    assert_eq!(second.status.code(), Some(2));
    let refusal = text(&second.stderr);
    assert!(refusal.contains(&format!("process {}", child.id())) && refusal.contains("--data"), "{refusal}");
    assert_eq!(text(&second.stdout), "", "it was refused before it said anything");

    interrupt(child.id());
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest:?}");
    let told = |words: &[&str]| rest.iter().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(told(&["\"long\"", "\"exception\"", "\"canceled\""]) && told(&["\"after\"", "\"not run\""]), "{rest:?}");
    assert!(!told(&["\"after\"", "runId"]), "it never ran: {rest:?}");
    let end: Value = serde_json::from_str(rest.last().unwrap()).unwrap();
    assert_eq!((&end["green"], &end["interrupted"]), (&false.into(), &true.into()), "{end}");
}
