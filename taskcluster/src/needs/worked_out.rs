//! What services work out of a call's arguments before they ask for scopes, as their descriptions say.
//!
//! A reference names such values in its scopes and cannot say where they come from. The table is held against the
//! references and the services by tests: a name without a value is an error of [`Needs`](super::Needs), never a guess.

use serde_json::Value;
use taskcluster_core::ids::Priority;
use taskcluster_core::request::Outline;
use taskcluster_core::scopes::{Param, Params};

/// The values that the scopes of a call may ask for.
pub(super) fn complete(call: &Outline<'_>, params: Params) -> Params {
    let params = with_task_queue(params);
    match (call.operation.service, call.operation.name) {
        ("queue", "createTask") => created_task(params),
        ("queue", "getArtifact" | "getLatestArtifact" | "artifact" | "latestArtifact") => {
            let names = text(&params, "name").into_iter();
            params.list("names", names)
        }
        ("auth", "awsS3Credentials" | "azureTableSAS" | "azureContainerSAS") => {
            let read_only = text(&params, "level").as_deref() == Some("read-only");
            params.flag("levelIsReadOnly", read_only)
        }
        ("auth", "updateClient" | "updateRole") => renamed(params, "scopes", "scopesAdded"),
        ("queue", "declareWorker") => params.list("properties", ["expires"]),
        ("auth", "githubRepoToken") => params.list("repoPerms", repository_permissions(&call.body_json())),
        ("events", "connect") => {
            let exchanges = exchanges(text(&params, "bindings").as_deref().unwrap_or_default());
            params.list("exchanges", exchanges)
        }
        ("index", "findTasksAtIndex") => renamed(params, "indexes", "indexPaths"),
        _ => params,
    }
}

/// A task queue is named as a whole or by its two parts, and scopes may ask for either.
fn with_task_queue(params: Params) -> Params {
    let (provisioner, worker_type) = (text(&params, "provisionerId"), text(&params, "workerType"));
    match (text(&params, "taskQueueId"), provisioner, worker_type) {
        (Some(queue), ..) => match queue.split_once('/') {
            Some((provisioner, worker_type)) => {
                let (provisioner, worker_type) = (provisioner.to_owned(), worker_type.to_owned());
                params.text("provisionerId", provisioner).text("workerType", worker_type)
            }
            None => params,
        },
        (None, Some(provisioner), Some(worker_type)) => {
            params.text("taskQueueId", format!("{provisioner}/{worker_type}"))
        }
        _ => params,
    }
}

/// The defaults of a definition, and the priorities whose right includes that of the task: its own first, as it is the
/// least of them.
fn created_task(params: Params) -> Params {
    let given = text(&params, "priority");
    let own = given.map(Priority::from).unwrap_or_default();
    let priorities = Priority::ALL.iter().filter(|priority| **priority >= own).map(Priority::to_string);
    Params::new()
        .text("schedulerId", "-")
        .text("projectId", "none")
        .list("scopes", [""; 0])
        .list("routes", [""; 0])
        .with_all(params)
        .list("priorities", priorities)
}

fn repository_permissions(body: &Value) -> Vec<String> {
    let repositories = body["repositories"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let of_each = |repository: &str| -> Vec<String> {
        let repository = repository.to_lowercase();
        let permissions = body["permissions"].as_object().into_iter().flatten();
        let permissions = permissions.filter_map(|(name, level)| Some((name, level.as_str()?)));
        permissions.map(|(name, level)| format!("{repository}:{name}:{level}")).collect()
    };
    repositories.flat_map(of_each).collect()
}

fn exchanges(bindings: &str) -> Vec<String> {
    let bindings: Value = serde_json::from_str(bindings).unwrap_or_default();
    let exchanges = bindings["bindings"].as_array().into_iter().flatten();
    exchanges.filter_map(|binding| Some(binding["exchange"].as_str()?.to_owned())).collect()
}

fn renamed(params: Params, given: &'static str, asked: &'static str) -> Params {
    match params.get(given).cloned() {
        Some(value) => params.with(asked, value),
        None => params,
    }
}

fn text(params: &Params, name: &str) -> Option<String> {
    match params.get(name)? {
        Param::Text(text) => Some(text.clone()),
        Param::List(_) | Param::Flag(_) => None,
    }
}
