#![doc = include_str!("../README.md")]

mod order;
mod settings;

use serde_json::{Map, Value, json};
use taskcluster::json_e::{self, TemplateError};
use taskcluster::{TaskId, Timestamp};
use thiserror::Error;

/// The file's name in the repository.
pub const FILE: &str = ".taskcluster.yml";

/// What it is called by mistake.
pub const OTHER_FILE: &str = ".taskcluster.yaml";

/// The keys that the top level may have.
const KEYS: [&str; 6] = ["version", "policy", "reporting", "autoCancelPreviousChecks", "tasks", "hooks"];

/// A task of the rendered file, ready for `createTask`.
#[derive(Debug, Clone, PartialEq)]
pub struct FirstTask {
    /// Its id, given by the file or drawn.
    pub task_id: TaskId,
    /// The group that it belongs to.
    pub task_group_id: TaskId,
    /// The definition without `taskId`.
    pub definition: Map<String, Value>,
    /// Where it stands in the rendered file, for complaints: `tasks[0]` and its name.
    pub place: String,
}

/// What the template may refer to besides JSON-e's own names, and what completes its tasks.
#[derive(Debug)]
pub struct Context<'a> {
    /// What the tasks are for: `github-push`.
    pub tasks_for: &'a str,
    /// The event as the forge tells it.
    pub event: &'a Value,
    /// Root URL of the deployment.
    pub root_url: &'a str,
    /// Scheduler of tasks that name none.
    pub scheduler_id: &'a str,
    /// The time as the template sees it.
    pub now: Timestamp,
}

/// Why a `.taskcluster.yml` gives no tasks. One line each, naming the place.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InTreeError {
    /// It is not YAML.
    #[error("{FILE}:{line}:{column}: {}", shown(message))]
    Yaml {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What the parser says.
        message: String,
    },
    /// It is another document.
    #[error("{FILE}: {}", shown(.0))]
    Document(String),
    /// The template cannot be rendered.
    #[error("{FILE}: {}: {}", shown(path), shown(message))]
    Template {
        /// The way to the culprit: `tasks[0].payload.env`.
        path: String,
        /// What is wrong, with the expression where there is one.
        message: String,
    },
    /// What was rendered is no task.
    #[error("{FILE}: tasks[{index}]: {}", shown(message))]
    Task {
        /// The place among the rendered tasks.
        index: usize,
        /// What is wrong with it.
        message: String,
    },
    /// No task of these can be created before the others.
    #[error("{FILE}: tasks depend on each other in a circle: {}", shown(.0))]
    Cycle(String),
}

/// As one line of a length that somebody reads.
fn shown(text: &str) -> String {
    const LENGTH: usize = 400;
    let mut line: String = text.chars().take(LENGTH).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.len() < text.len() {
        line.push('…');
    }
    line
}

/// Reads and renders the file and gives the tasks in an order in which they can be created.
///
/// # Errors
/// The file is not what it should be, or its tasks cannot be created in any order.
pub fn first_tasks(text: &str, context: &Context<'_>) -> Result<Vec<FirstTask>, InTreeError> {
    let document = parse(text)?;
    let rendered = render(&document, context)?;
    settings::check(&rendered)?;
    order::by_dependencies(complete(tasks_of(rendered)?, context)?)
}

fn render(document: &Value, context: &Context<'_>) -> Result<Value, InTreeError> {
    let names = Map::from_iter([
        ("tasks_for".to_owned(), json!(context.tasks_for)),
        ("event".to_owned(), context.event.clone()),
        ("taskcluster_root_url".to_owned(), json!(context.root_url)),
    ]);
    json_e::render(document, names, context.now)
        .map_err(|TemplateError { path, message, .. }| InTreeError::Template { path, message })
}

fn parse(text: &str) -> Result<Value, InTreeError> {
    let document = read(text).map_err(|error| {
        let (line, column) = error.location().map_or((1, 1), |place| (place.line(), place.column()));
        let message = error.to_string();
        // The parser repeats the place in its text, where ours stands in front.
        let message = message.split_once(" at line ").map_or(message.as_str(), |(text, _)| text).to_owned();
        InTreeError::Yaml { line, column, message }
    })?;
    let Value::Object(top) = &document else {
        return Err(InTreeError::Document("must be a mapping with `version` and `tasks`".to_owned()));
    };
    match top.get("version") {
        Some(version) if *version == json!(1) => {}
        Some(version) => return Err(InTreeError::Document(format!("version is {version}, only version 1 is known"))),
        None => return Err(InTreeError::Document("`version: 1` is missing".to_owned())),
    }
    match top.keys().find(|key| !KEYS.contains(&key.as_str())) {
        Some(key) => Err(InTreeError::Document(format!("unknown key `{key}`, known are {}", KEYS.join(", ")))),
        None => Ok(document),
    }
}

/// YAML as forges' services read it: a key that is there twice is an error, `<<` merges.
fn read(text: &str) -> Result<Value, serde_yaml_ng::Error> {
    let mut document: serde_yaml_ng::Value = serde_yaml_ng::from_str(text)?;
    document.apply_merge()?;
    serde_yaml_ng::from_value(document)
}

fn tasks_of(mut rendered: Value) -> Result<Vec<Map<String, Value>>, InTreeError> {
    let tasks = match rendered.get_mut("tasks").map(Value::take) {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(tasks)) => tasks,
        Some(single) => vec![single],
    };
    tasks
        .into_iter()
        .enumerate()
        .map(|(index, task)| match task {
            Value::Object(task) => Ok(task),
            other => Err(InTreeError::Task { index, message: format!("must be a task definition, is {other}") }),
        })
        .collect()
}

/// Fills in what a template may leave out.
fn complete(tasks: Vec<Map<String, Value>>, context: &Context<'_>) -> Result<Vec<FirstTask>, InTreeError> {
    let alone = tasks.len() == 1;
    let shared_group = TaskId::new();
    let mut complete = Vec::with_capacity(tasks.len());
    for (index, mut definition) in tasks.into_iter().enumerate() {
        let task_id = id_field(index, definition.remove("taskId"), "taskId")?;
        let group = id_field(index, definition.remove("taskGroupId"), "taskGroupId")?;
        // A task that comes alone looks like a decision task: it gives its group its own id.
        let task_id = task_id.or(group.filter(|_| alone)).unwrap_or_else(TaskId::new);
        let task_group_id = group.unwrap_or(if alone { task_id } else { shared_group });
        definition.insert("taskGroupId".to_owned(), json!(task_group_id));
        definition.entry("created").or_insert_with(|| json!(context.now));
        definition.entry("schedulerId").or_insert_with(|| json!(context.scheduler_id));
        let name = definition.get("metadata").and_then(|metadata| metadata["name"].as_str());
        let place = format!("tasks[{index}]{}", name.map(|name| format!(" ({name})")).unwrap_or_default());
        complete.push(FirstTask { task_id, task_group_id, definition, place });
    }
    Ok(complete)
}

fn id_field(index: usize, value: Option<Value>, name: &str) -> Result<Option<TaskId>, InTreeError> {
    let Some(value) = value else { return Ok(None) };
    let id = value.as_str().and_then(|text| text.parse().ok());
    id.map(Some).ok_or_else(|| InTreeError::Task { index, message: format!("{name} must be a slugid, is {value}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Value {
        json!({"ref": "refs/heads/main", "after": "abc", "repository": {"clone_url": "http://127.0.0.1/x.git"}})
    }

    fn tasks_in(text: &str) -> Result<Vec<FirstTask>, InTreeError> {
        let context = Context {
            tasks_for: "github-push",
            event: &event(),
            root_url: "http://127.0.0.1:80",
            scheduler_id: "local",
            now: "2026-11-28T03:45:00.000Z".parse().unwrap(),
        };
        first_tasks(text, &context)
    }

    fn complaint(text: &str) -> String {
        tasks_in(text).unwrap_err().to_string()
    }

    const ID: &str = "fN1SbArXTPSVFNUvaOlinQ";
    const OTHER: &str = "bdpB1YKSQXqNoRtY3oqCrg";

    #[test]
    fn a_task_alone_becomes_the_head_of_its_group() {
        let task = &tasks_in("{version: 1, tasks: [{metadata: {name: x}}]}").unwrap()[0];
        assert_eq!(task.task_id, task.task_group_id);
        assert_eq!(task.definition["taskGroupId"], json!(task.task_id));
        assert_eq!(task.definition["created"], "2026-11-28T03:45:00.000Z");
        assert_eq!(task.definition["schedulerId"], "local");
        assert!(!task.definition.contains_key("taskId"));
    }

    #[test]
    fn of_a_task_alone_the_given_id_is_both() {
        for key in ["taskId", "taskGroupId"] {
            let task = &tasks_in(&format!("{{version: 1, tasks: [{{{key}: {ID}}}]}}")).unwrap()[0];
            assert_eq!((task.task_id.to_string().as_str(), task.task_group_id.to_string().as_str()), (ID, ID), "{key}");
        }
        let task = &tasks_in(&format!("{{version: 1, tasks: {{taskId: {ID}, taskGroupId: {OTHER}}}}}")).unwrap()[0];
        assert_eq!((task.task_id.to_string().as_str(), task.task_group_id.to_string().as_str()), (ID, OTHER));
    }

    #[test]
    fn several_tasks_share_a_group_that_none_of_them_heads() {
        let tasks =
            tasks_in(&format!("{{version: 1, tasks: [{{}}, {{taskId: {ID}}}, {{schedulerId: mine}}]}}")).unwrap();
        assert_eq!(tasks.len(), 3);
        assert!(
            tasks.iter().all(|task| task.task_group_id == tasks[0].task_group_id && task.task_id != task.task_group_id)
        );
        assert_eq!(tasks[1].task_id.to_string(), ID);
        assert_eq!(tasks[2].definition["schedulerId"], "mine");
    }

    #[test]
    fn a_label_gives_one_slugid_within_a_rendering_and_another_in_the_next() {
        let text = r#"
version: 1
tasks:
  $map: [constructor, other]
  each(label):
    taskId: {$eval: as_slugid(label)}
    payload: {env: {ME: "${as_slugid( 'constructor' )}", "K${as_slugid(label)}": "as_slugid('plain') $${as_slugid('x')}"}}
"#;
        let first = tasks_in(text).unwrap();
        let id = first[0].task_id.to_string();
        assert_ne!(first[1].task_id.to_string(), id);
        assert_eq!(first[1].definition["payload"]["env"]["ME"], id.as_str());
        assert_eq!(first[0].definition["payload"]["env"][format!("K{id}")], "as_slugid('plain') ${as_slugid('x')}");
        assert_ne!(tasks_in(text).unwrap()[0].task_id.to_string(), id);
    }

    #[test]
    fn tasks_come_after_what_they_depend_on() {
        let text = r#"
version: 1
tasks:
  - {taskId: {$eval: as_slugid("b")}, dependencies: ["${as_slugid('a')}", cSvwX93VQsqYAsmjCqFPCQ], metadata: {name: b}}
  - {taskId: {$eval: as_slugid("c")}, metadata: {name: c}}
  - {taskId: {$eval: as_slugid("a")}, metadata: {name: a}}
"#;
        let names = |tasks: &[FirstTask]| {
            tasks.iter().map(|t| t.definition["metadata"]["name"].as_str().unwrap().to_owned()).collect::<String>()
        };
        assert_eq!(names(&tasks_in(text).unwrap()), "cab");
        let circle = text.replace("name: a}", "name: a}, dependencies: [\"${as_slugid('b')}\"]");
        let expected = ".taskcluster.yml: tasks depend on each other in a circle: tasks[0] (b), tasks[2] (a)";
        assert_eq!(complaint(&circle), expected);
    }

    #[test]
    fn the_template_sees_event_tasks_for_root_url_and_time() {
        let text = r#"
version: 1
tasks:
  $if: tasks_for == "github-push"
  then:
    - created: {$fromNow: ""}
      deadline: {$fromNow: 1 hour}
      payload: ["${event.ref[11:]}", "${event.repository.clone_url}", "${taskcluster_root_url}"]
"#;
        let task = &tasks_in(text).unwrap()[0];
        assert_eq!(task.definition["payload"], json!(["main", "http://127.0.0.1/x.git", "http://127.0.0.1:80"]));
        assert_eq!(tasks_in("{version: 1, tasks: [{$if: \"tasks_for == 'cron'\", then: {}}]}").unwrap(), []);
        assert_eq!(tasks_in("version: 1").unwrap(), []);
    }

    #[test]
    fn this_repository_has_one_decision_task() {
        let event = json!({
            "ref": "refs/heads/main", "before": "0", "after": "abc", "pusher": {"email": "me@example.com"},
            "repository": {"clone_url": "http://127.0.0.1/x.git", "html_url": "https://example.com/team/thing"},
        });
        let context = Context {
            tasks_for: "github-push",
            event: &event,
            root_url: "http://127.0.0.1:80",
            scheduler_id: "local",
            now: "2026-11-28T03:45:00.000Z".parse().unwrap(),
        };
        let tasks = first_tasks(include_str!("../../../.taskcluster.yml"), &context).unwrap();
        assert_eq!(tasks.len(), 1);
        assert_eq!(tasks[0].definition["scopes"][0], "assume:repo:example.com/team/thing:branch:main");
        let context = Context { tasks_for: "cron", ..context };
        assert_eq!(first_tasks(include_str!("../../../.taskcluster.yml"), &context).unwrap(), []);
    }

    #[test]
    fn bad_yaml_is_named_by_line_and_column() {
        assert_eq!(complaint("version: 1\ntasks: [a, b\n"), ".taskcluster.yml:3:1: did not find expected ',' or ']'");
    }

    #[test]
    fn a_policy_that_does_not_exist_is_told_before_any_task() {
        let told = complaint("{version: 1, policy: {pullRequests: all}, tasks: [{taskId: bogus}]}");
        assert!(told.starts_with(".taskcluster.yml: policy.pullRequests is \"all\", known are public, "), "{told}");
        assert!(tasks_in("{version: 1, policy: {pullRequests: public_restricted}, tasks: [{}]}").is_ok());
    }

    #[test]
    fn yaml_is_read_as_forges_read_it() {
        let twice = complaint("version: 1\ntasks: []\ntasks: []\n");
        assert!(twice.starts_with(".taskcluster.yml:") && twice.contains("duplicate"), "{twice}");
        let text = "{version: 1, tasks: [&a {priority: low, retries: 2}, {<<: *a, retries: 3}]}";
        let tasks = tasks_in(text).unwrap();
        assert_eq!((&tasks[1].definition["priority"], &tasks[1].definition["retries"]), (&json!("low"), &json!(3)));
    }

    #[test]
    fn many_tasks_are_ordered_soon() {
        let text = "{version: 1, tasks: {$map: {$eval: 'range(0, 5000)'}, each(n): {taskId: '${as_slugid(str(n))}', \
            dependencies: ['${as_slugid(str(n + 1))}']}}}";
        let tasks = tasks_in(text).unwrap();
        assert_eq!(tasks.len(), 5000);
        let last = tasks.last().unwrap();
        assert_eq!(last.place, "tasks[0]");
    }

    #[test]
    fn a_complaint_is_one_short_line() {
        let long = "x\\n\u{7f}".repeat(5000);
        for text in [
            format!("{{version: \"{long}\"}}"),
            format!("{{version: 1, \"{long}\": 1}}"),
            format!("{{version: 1, tasks: [\"{long}\"]}}"),
        ] {
            let complaint = complaint(&text);
            assert!(!complaint.contains(char::is_control) && complaint.len() < 1000, "{complaint}");
        }
    }

    #[test]
    fn a_document_of_another_shape_is_refused() {
        assert_eq!(complaint("[1]"), ".taskcluster.yml: must be a mapping with `version` and `tasks`");
        assert_eq!(complaint("tasks: []"), ".taskcluster.yml: `version: 1` is missing");
        assert_eq!(complaint("version: 0"), ".taskcluster.yml: version is 0, only version 1 is known");
        assert!(complaint("{version: 1, task: []}").starts_with(".taskcluster.yml: unknown key `task`"));
        assert_eq!(
            complaint("{version: 1, tasks: [3]}"),
            ".taskcluster.yml: tasks[0]: must be a task definition, is 3"
        );
        assert!(complaint("{version: 1, tasks: [{taskId: x}]}").contains("tasks[0]: taskId must be a slugid"));
    }

    #[test]
    fn a_template_error_is_named_by_path_and_expression() {
        let text = "version: 1\ntasks:\n  - payload: {command: [a, '${event.nothing.at.all}']}\n";
        let complaint = complaint(text);
        assert!(complaint.starts_with(".taskcluster.yml: tasks[0].payload.command[1]: "), "{complaint}");
        assert!(complaint.contains("${event.nothing.at.all}"), "{complaint}");
        let complaint = super::tests::complaint("{version: 1, tasks: [{taskId: '${as_slugid()}'}]}");
        assert!(complaint.ends_with("in `${as_slugid()}`: as_slugid: 1 argument is expected"), "{complaint}");
    }
}
