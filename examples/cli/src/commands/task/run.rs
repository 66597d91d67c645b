//! A task that runs a command in an image, made from the command line as for `docker run`.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::json;
use taskcluster::queue::{TaskDefinitionRequest, TaskMetadata, TaskStatus};
use taskcluster::time::from_now;
use taskcluster::{TaskId, TaskQueueId, Taskcluster, Timestamp};

use super::super::talk::BadUse;
use crate::args::TaskRunArgs;

/// What the official client gives such tasks.
const SCHEDULER_ID: &str = "taskcluster-cli";
const MAX_RUN_TIME: u32 = 7200;
const DEADLINE: &str = "1 day";
const EXPIRES: &str = "1 year 1 day";

/// Creates the task, and says how it stands.
pub(super) async fn run(tc: &Taskcluster, args: &TaskRunArgs) -> Result<TaskStatus> {
    let definition = definition(args, Timestamp::now())?;
    Ok(tc.queue().create_task(&TaskId::new(), &definition).await?.status)
}

fn definition(args: &TaskRunArgs, now: Timestamp) -> Result<TaskDefinitionRequest> {
    let queue = format!("{}/{}", args.provisioner, args.worker_type);
    let queue: TaskQueueId = queue.parse().map_err(|error| BadUse(format!("{queue}: {error}")))?;
    let env: BTreeMap<&str, &str> =
        args.env.iter().map(|set| set.split_once('=').unwrap_or((set.as_str(), ""))).collect();
    let payload = json!({ "image": args.image, "command": args.command, "env": env, "maxRunTime": MAX_RUN_TIME });
    let payload = payload.as_object().cloned().unwrap_or_default();
    let metadata = TaskMetadata::new(&*args.name, &*args.description, &*args.owner, &*args.source);
    let definition = TaskDefinitionRequest::new(now, from_now(DEADLINE, now)?, payload, metadata)
        .with_task_queue_id(queue)
        .with_scheduler_id(SCHEDULER_ID)
        .with_expires(from_now(EXPIRES, now)?)
        .with_retries(args.retries)
        .with_dependencies(args.dependency.clone());
    Ok(definition)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Cli, Command, TaskCommand};

    #[test]
    fn a_command_line_becomes_a_definition() {
        let line = [
            "taskcluster",
            "task",
            "run",
            "--provisioner",
            "p",
            "--worker-type",
            "w",
            "-e",
            "A=1=2,B",
            "--retries",
            "1",
            "--dependency",
            "fN1SbArXTPSVFNUvaOlinQ",
            "ubuntu:26.04",
            "--",
            "ls",
            "-l",
        ];
        let Command::Task(telling) = Cli::try_parse_from(line).unwrap().command else { panic!("it is a task") };
        let TaskCommand::Run(args) = telling.command else { panic!("it is run") };
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let made = serde_json::to_value(definition(&args, now).unwrap()).unwrap();
        let payload =
            json!({"image": "ubuntu:26.04", "command": ["ls", "-l"], "env": {"A": "1=2", "B": ""}, "maxRunTime": 7200});
        assert_eq!(made["payload"], payload);
        assert_eq!((&made["taskQueueId"], &made["schedulerId"]), (&json!("p/w"), &json!("taskcluster-cli")));
        assert_eq!((&made["retries"], &made["dependencies"]), (&json!(1), &json!(["fN1SbArXTPSVFNUvaOlinQ"])));
        assert_eq!(made["deadline"], "2026-01-03T03:04:05.000Z");
        assert_eq!(made["expires"], "2027-01-03T03:04:05.000Z");
        assert_eq!(made["metadata"]["owner"], "name@example.com");
    }
}
