//! `--format-string`: of Go's templates what lists of tasks need, which is texts and fields.
//!
//! The official client hands its users' templates to Go's library together with its own types, so that fields are called as in
//! Go: `.Status.TaskID` is the `taskId` of the `status`. Everything else of that language is refused before anybody is asked.

use std::str::FromStr;

use serde_json::Value;

/// What a task in a list is shown as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GoTemplate(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// The names that lead to a value, as JSON has them.
    Field(Vec<String>),
}

/// The fields of a task's status and of its definition, in the official client for Go, that have a text.
const STATUS: [&str; 11] = [
    "TaskID",
    "ProvisionerID",
    "WorkerType",
    "TaskQueueID",
    "SchedulerID",
    "ProjectID",
    "TaskGroupID",
    "Deadline",
    "Expires",
    "RetriesLeft",
    "State",
];
const TASK: [&str; 15] = [
    "ProvisionerID",
    "WorkerType",
    "TaskQueueID",
    "SchedulerID",
    "ProjectID",
    "TaskGroupID",
    "Dependencies",
    "Requires",
    "Routes",
    "Priority",
    "Retries",
    "Created",
    "Deadline",
    "Expires",
    "Scopes",
];
const METADATA: [&str; 4] = ["Name", "Description", "Owner", "Source"];

impl FromStr for GoTemplate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (inside, after) = after.split_once("}}").ok_or("a {{ has no }}")?;
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(Piece::Field(field(inside.trim())?));
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Ok(Self(pieces))
    }
}

impl GoTemplate {
    /// The line of a task, whose `status` and `task` are those of a group's list.
    pub(crate) fn line(&self, member: &Value) -> String {
        let texts = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Field(path) => {
                let value = path.iter().try_fold(member, |value, name| value.get(name));
                value.map(shown).unwrap_or_default()
            }
        });
        texts.collect()
    }
}

/// The way to a field in JSON.
fn field(inside: &str) -> Result<Vec<String>, String> {
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let names: Vec<&str> = inside.strip_prefix('.').map(|names| names.split('.').collect()).unwrap_or_default();
    if names.is_empty() || !names.iter().all(|name| is_name(name)) {
        return Err(format!(
            "{{{{{inside}}}}}: of Go's templates only fields are understood, such as {{{{ .Status.TaskID }}}}"
        ));
    }
    let is_there = match names[..] {
        ["Status", name] => STATUS.contains(&name),
        ["Task", "Metadata", name] => METADATA.contains(&name),
        // What tags there are is up to the task.
        ["Task", "Tags", tag] => return Ok(vec!["task".to_owned(), "tags".to_owned(), tag.to_owned()]),
        ["Task", name] => TASK.contains(&name),
        _ => false,
    };
    if !is_there {
        return Err(format!(
            "{inside} is no field with a text; there are .Status.{}, .Task.{}, .Task.Metadata.{} and .Task.Tags.TAG",
            STATUS.join(", .Status."),
            TASK.join(", .Task."),
            METADATA.join(", .Task.Metadata."),
        ));
    }
    Ok(names.into_iter().map(in_json).collect())
}

/// Names of fields in Go begin with a capital letter, and have whole words in capitals.
fn in_json(name: &str) -> String {
    let name = name.replace("ID", "Id");
    let mut letters = name.chars();
    letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect()
}

/// As Go prints it; nothing for what the task does not have.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(" ")),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_and_fields_make_a_line() {
        let member = json!({
            "status": {"taskId": "fN1SbArXTPSVFNUvaOlinQ", "state": "running", "retriesLeft": 5},
            "task": {"metadata": {"name": "a <b>"}, "routes": ["x", "y"], "tags": {"kind": "build"}},
        });
        let line = |template: &str| template.parse::<GoTemplate>().unwrap().line(&member);
        let usual = "{{ .Status.TaskID }} {{ .Task.Metadata.Name }} {{ .Status.State }}";
        assert_eq!(line(usual), "fN1SbArXTPSVFNUvaOlinQ a <b> running");
        assert_eq!(line("{{.Task.Tags.kind}}: {{.Status.RetriesLeft}} {{.Task.Routes}}}}"), "build: 5 [x y]}}");
        assert_eq!(line("no field"), "no field");
        assert_eq!(line("<{{.Status.ProjectID}}{{.Task.Tags.none}}>"), "<>", "what a task does not have");
    }

    #[test]
    fn every_field_of_the_table_is_one_of_the_queue() {
        let schema = |file: &str| -> Value {
            let path = format!("{}/../../api-references/queue/v1/schemas/{file}.json", env!("CARGO_MANIFEST_DIR"));
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
        };
        for (file, fields) in [("task-status", &STATUS[..]), ("task-definition", &TASK), ("task-metadata", &METADATA)] {
            let schema = schema(file);
            for field in fields {
                assert!(schema["properties"][in_json(field)].is_object(), "{file}: {field}");
            }
        }
    }

    #[test]
    fn the_rest_of_the_language_is_refused_with_what_there_is() {
        let why = |template: &str| template.parse::<GoTemplate>().unwrap_err();
        for construct in
            ["{{range .Status.Runs}}", "{{ .Status.State | printf \"%q\" }}", "{{- .Status.State -}}", "{{.}}", "{{}}"]
        {
            assert!(why(construct).contains("only fields are understood"), "{construct}: {}", why(construct));
        }
        assert!(why("{{ .Status.Nothing }}").contains(".Status.TaskID"), "{}", why("{{ .Status.Nothing }}"));
        assert!(why("{{ .Task.Payload }}").starts_with(".Task.Payload is no field"));
        assert_eq!(why("a {{ .Status.State"), "a {{ has no }}");
    }
}
