//! Words for examples.

pub(super) const TASK_ID: &str = "fN1SbArXTPSVFNUvaOlinQ";

const BINDINGS: &str =
    r##"{"bindings": [{"exchange": "exchange/taskcluster-queue/v1/task-completed", "routingKeyPattern": "#"}]}"##;

/// A text that might stand there.
pub(super) fn text(name: &str) -> String {
    let known = match name {
        "account" => "exampleaccount",
        "appName" => "example-app",
        "bindings" => BINDINGS,
        "bucket" => "example-bucket",
        "clientId" | "prefix" => "project/example/bot",
        "container" | "table" => "reports",
        "description" => "What it is for",
        "email" | "owner" | "address" => "someone@example.com",
        "entityId" => "project/example/bot",
        "entityType" => "client",
        "format" => "iam-role-compat",
        "hookGroupId" => "project-example",
        "hookId" => "nightly",
        "indexPath" | "namespace" => "project.example.main.latest",
        "instanceId" | "workerId" => "i-0123456789abcdef0",
        "launchConfigId" => "lc-eu-west",
        "level" => "read-only",
        "name" => "public/build/example.tar.gz",
        "project" | "projectId" => "example",
        "provisionerId" => "proj-example",
        "roleId" => "repo:github.com/example/*",
        "route" | "routes" => "index.project.example.main.latest",
        "scope" | "scopes" => "queue:create-task:highest:proj-example/*",
        "serviceAccount" => "builder@example.iam.gserviceaccount.com",
        "since" => "2030-01-01T00:00:00.000Z",
        "source" | "url" => "https://example.com/",
        "state" | "workerState" => "running",
        "taskGraphId" => TASK_ID,
        "taskQueueId" | "workerPoolId" => "proj-example/linux",
        "token" => "the token",
        "workerGroup" => "eu-west",
        "workerType" => "linux",
        other => return words(other),
    };
    known.to_owned()
}

/// What is called `someThing`: `some thing`.
fn words(name: &str) -> String {
    let mut words = String::new();
    for c in name.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ' ')) {
        if c.is_ascii_uppercase() && words.ends_with(|c: char| c.is_ascii_lowercase()) {
            words.push(' ');
        }
        words.push(if matches!(c, '-' | '_') { ' ' } else { c.to_ascii_lowercase() });
    }
    if words.trim().is_empty() { "example".to_owned() } else { words.trim().to_owned() }
}

/// What one of these is called.
pub(super) fn singular(items: &str) -> String {
    let one = match items.strip_suffix("ies") {
        Some(stem) => format!("{stem}y"),
        None => match items.strip_suffix('s') {
            Some(stem) if !stem.is_empty() && !stem.ends_with(['s', 'u']) => stem.to_owned(),
            _ => "item".to_owned(),
        },
    };
    if crate::resolve::is_keyword(&one) { "item".to_owned() } else { one }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_words() {
        for (name, expected) in [("subject", "subject"), ("maxRunTime", "max run time"), ("…", "example")] {
            assert_eq!(text(name), expected);
        }
    }

    #[test]
    fn one_of_many_has_a_name() {
        for (many, one) in
            [("tasks", "task"), ("entries", "entry"), ("status", "item"), ("types", "item"), ("s", "item")]
        {
            assert_eq!(singular(many), one);
        }
    }
}
