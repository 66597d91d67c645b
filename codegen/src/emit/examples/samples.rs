//! Words for examples.

pub(super) const TASK_ID: &str = "fN1SbArXTPSVFNUvaOlinQ";

const BINDINGS: &str =
    r#"{"bindings": [{"exchange": "exchange/taskcluster-queue/v1/task-failed", "routingKeyPattern": "primary.#"}]}"#;

/// A text that might stand in a path or a query.
pub(super) fn argument(service: &str, name: &str) -> String {
    let known = match (service, name) {
        ("secrets", "name") => "project/example/deploy-key",
        (_, "name") => "public/build/example.tar.gz",
        (_, "owner") => "example-org",
        (_, name) => return text(name),
    };
    known.to_owned()
}

/// A text that might stand in a field.
pub(super) fn text(name: &str) -> String {
    let known = match name {
        "account" => "exampleaccount",
        "appName" => "example-app",
        "bindings" => BINDINGS,
        "body" | "subject" | "text" | "title" => "The nightly build is broken",
        "bucket" => "example-bucket",
        "cacheName" => "cargo-registry",
        "channelId" => "C0123456789",
        "clientId" | "entityId" => "project/example/builder",
        "clientScopes" | "requiredScopes" => "test:read",
        "container" | "table" => "reports",
        "content" => "See https://example.com/ for what went wrong.",
        "contentType" => "application/gzip",
        "description" => "Builds of the example project",
        "email" | "owner" | "address" | "notificationAddress" => "someone@example.com",
        "entityType" => "client",
        "errorId" | "taskGraphId" => TASK_ID,
        "format" => "iam-role-compat",
        "hookGroupId" => "project-example",
        "hookId" => "nightly",
        "host" => "tc.example.com",
        "indexPath" | "indexes" | "namespace" => "project.example.main.latest",
        "instanceId" | "workerId" | "wstClient" => "i-0123456789abcdef0",
        "kind" => "creation-error",
        "launchConfigId" => "lc-eu-west",
        "level" => "read-only",
        "name" => "Nightly build",
        "objectData" => "aGVsbG8=",
        "prefix" => "project/example/",
        "project" | "projectId" | "wstAudience" => "example",
        "providerId" => "google",
        "provisionerId" => "proj-example",
        "repositories" => "example-repository",
        "resource" => "/api/queue/v1/task-queues",
        "roleId" => "repo:github.com/example-org/*",
        "roomId" => "!example:matrix.example.com",
        "route" | "routes" => "index.project.example.main.latest",
        "routingKey" => "project.example",
        "scope" | "scopes" => "queue:create-task:highest:proj-example/*",
        "serviceAccount" => "builder@example.iam.gserviceaccount.com",
        "since" => "2030-01-01T00:00:00.000Z",
        "source" | "url" => "https://example.com/",
        "state" | "workerState" => "running",
        "taskQueueId" | "workerPoolId" => "proj-example/linux",
        "token" => "the token",
        "workerGroup" => "eu-west",
        "workerType" => "linux",
        other => return words(other),
    };
    known.to_owned()
}

/// What might stand in a free object.
pub(super) fn content(name: &str) -> &'static str {
    match name {
        "config" => r#""minCapacity": 0, "maxCapacity": 10"#,
        "data" => r#""revision": "4d1f0c2""#,
        "payload" => r#""command": [["echo", "hello"]], "maxRunTime": 600"#,
        "task" => r#""taskQueueId": "proj-example/linux", "payload": { "maxRunTime": 600 }"#,
        "secret" => r#""password": "hunter2""#,
        _ => r#""key": "value""#,
    }
}

/// A number that might stand there.
pub(super) fn number(name: &str) -> u32 {
    match name {
        "port" => 443,
        "limit" | "maxCapacity" => 10,
        _ => 1,
    }
}

/// A text as a literal.
pub(super) fn literal(text: &str) -> String {
    if text.contains('"') && !text.contains("\"#") { format!("r#\"{text}\"#") } else { format!("{text:?}") }
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
    let one = match items {
        _ if items.ends_with("stats") => "item".to_owned(),
        _ if items.len() < 3 => "item".to_owned(),
        _ => match (items.strip_suffix("ies"), items.strip_suffix("es"), items.strip_suffix('s')) {
            (Some(stem), ..) => format!("{stem}y"),
            (_, Some(stem), _) if stem.ends_with(['s', 'x', 'z']) || stem.ends_with("ch") => stem.to_owned(),
            (.., Some(stem)) if !stem.ends_with(['s', 'u']) => stem.to_owned(),
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
        for (name, expected) in [("reason", "reason"), ("maxRunTime", "max run time"), ("…", "example")] {
            assert_eq!(text(name), expected);
        }
    }

    #[test]
    fn one_of_many_has_a_name() {
        for (many, one) in [
            ("tasks", "task"),
            ("entries", "entry"),
            ("addresses", "address"),
            ("status", "item"),
            ("types", "item"),
            ("s", "item"),
        ] {
            assert_eq!(singular(many), one);
        }
    }
}
