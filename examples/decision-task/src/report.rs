//! One page about a task group: how its tasks ended, and the text files that they left.

use anyhow::{Context as _, Result};
use futures_util::TryStreamExt as _;
use taskcluster::artifacts::Artifacts;
use taskcluster::queue::{Queue, TaskDefinitionAndStatus, TaskState, TaskStatus};
use taskcluster_core::caller::Caller;
use taskcluster_core::ids::TaskId;

/// Larger files are not for a page.
const LIMIT: usize = 1 << 20;

/// Writes the page that the task `own` is there to write.
pub(crate) async fn page(caller: &Caller, own: &TaskId) -> Result<String> {
    let (queue, artifacts) = (Queue::new(caller.clone()), Artifacts::new(caller));
    let group = queue.task(own).await.context("cannot read the report's own definition")?.task_group_id;
    let members: Vec<TaskDefinitionAndStatus> =
        queue.list_task_group(&group).stream().try_collect().await.context("cannot list the task group")?;

    let mut table = String::new();
    let mut files = String::new();
    for member in members.iter().filter(|member| member.status.task_id != *own) {
        let name = &member.task.metadata.name;
        table += &format!("| {name} | {} |\n", ending(&member.status));
        for file in text_files(&queue, &member.status.task_id).await? {
            let bytes = artifacts.download_latest(&member.status.task_id, &file).to_memory(LIMIT).await;
            let bytes = bytes.with_context(|| format!("cannot read {file} of {name}"))?;
            files += &format!("\n## {name}\n\n{}", indented(&String::from_utf8_lossy(&bytes)));
        }
    }
    Ok(format!("# Task group {group}\n\n| task | how it ended |\n|---|---|\n{table}{files}"))
}

async fn text_files(queue: &Queue, task_id: &TaskId) -> Result<Vec<String>> {
    let listed: Vec<_> = match queue.list_latest_artifacts(task_id).stream().try_collect().await {
        Ok(listed) => listed,
        // It has no run.
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        Err(error) => return Err(error).context("cannot list artifacts"),
    };
    let is_text = |name: &str| name.starts_with("public/") && name.ends_with(".txt");
    // One that a task promised and did not leave is there as an error.
    let there = listed.into_iter().filter(|artifact| artifact.storage_type.as_str() != "error");
    Ok(there.map(|artifact| artifact.name).filter(|name| is_text(name)).collect())
}

fn ending(status: &TaskStatus) -> String {
    let last = status.runs.last();
    match &status.state {
        TaskState::Completed => "green".to_owned(),
        TaskState::Unscheduled => "not run".to_owned(),
        TaskState::Exception => match last.and_then(|run| run.reason_resolved.as_ref()) {
            // Cancelled before it began: something that it needs is not green.
            Some(reason) if reason.as_str() == "canceled" && last.is_some_and(|run| run.started.is_none()) => {
                "not run".to_owned()
            }
            Some(reason) => format!("**exception ({reason})**"),
            None => "**exception**".to_owned(),
        },
        other => format!("**{other}**"),
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use taskcluster_core::transport::testing::ScriptedTransport;

    const OWN: &str = "fN1SbArXTPSVFNUvaOlinQ";
    const TIME: &str = "2030-01-01T00:00:00.000Z";

    fn definition(name: &str) -> Value {
        json!({
            "taskQueueId": "local/native", "provisionerId": "local", "workerType": "native", "schedulerId": "local",
            "projectId": "none", "taskGroupId": OWN, "dependencies": [], "requires": "all-completed", "routes": [],
            "priority": "lowest", "retries": 5, "created": TIME, "deadline": TIME, "expires": TIME, "scopes": [],
            "payload": {}, "tags": {}, "extra": {},
            "metadata": {"name": name, "description": name, "owner": "me@example.com", "source": "https://example.com"}
        })
    }

    fn member(name: &str, state: &str, runs: &Value) -> Value {
        let task_id = if name == "report" { OWN.parse().unwrap() } else { TaskId::new() };
        json!({ "task": definition(name), "status": {
            "taskId": task_id, "provisionerId": "local", "workerType": "native", "taskQueueId": "local/native",
            "schedulerId": "local", "projectId": "none", "taskGroupId": OWN, "deadline": TIME, "expires": TIME,
            "retriesLeft": 5, "priority": "lowest", "state": state, "runs": runs
        }})
    }

    #[tokio::test]
    async fn it_says_of_each_other_task_how_it_ended() {
        let cancelled = json!([{
            "runId": 0, "state": "exception", "reasonCreated": "exception", "reasonResolved": "canceled",
            "scheduled": TIME, "resolved": TIME
        }]);
        let members = json!([
            member("generator", "failed", &json!([])),
            member("compare", "exception", &cancelled),
            member("links", "completed", &json!([])),
            member("report", "running", &json!([])),
        ]);
        let script = ScriptedTransport::new()
            .on("queue.task", definition("report"))
            .on(
                "queue.listTaskGroup",
                json!({"taskGroupId": OWN, "expires": TIME, "schedulerId": "local", "tasks": members}),
            )
            .on("queue.listLatestArtifacts", json!({"artifacts": []}));
        let caller = Caller::builder("https://tc.example.com").transport(script.transport()).build().unwrap();
        let page = page(&caller, &OWN.parse().unwrap()).await.unwrap();
        assert_eq!(
            page,
            "# Task group fN1SbArXTPSVFNUvaOlinQ\n\n| task | how it ended |\n|---|---|\n\
             | generator | **failed** |\n| compare | not run |\n| links | green |\n"
        );
    }
}
