//! `taskcluster group`: the tasks of a group.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, stdin};

use anyhow::Result;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use taskcluster::queue::{TaskDefinitionAndStatus, TaskState};
use taskcluster::{TaskId, Taskcluster};

use super::confirm::confirm;
use super::talk::{BadUse, deployment, talk};
use crate::args::{GroupCommand, GroupListArgs};
use crate::exit::Outcome;
use crate::output::Output;

/// Calls that are under way at once.
const CONCURRENCY: usize = 10;

/// Asks the queue about a group, or cancels its tasks.
pub(crate) fn group(command: GroupCommand, json: bool) -> Result<Outcome> {
    if let GroupCommand::List(args) = &command
        && args.format_string.is_some()
        && json
    {
        return Err(BadUse("--json: --format-string says how tasks are told".to_owned()).into());
    }
    let tc = deployment()?;
    let mut output = Output::telling(json);
    talk(async {
        match command {
            GroupCommand::List(args) => list(&tc, &args, output).await,
            GroupCommand::Status { group } => count(&tc, &group, output).await,
            GroupCommand::Cancel { group, worker_type, force } => {
                cancel(&tc, &group, worker_type.as_deref(), force, output).await
            }
            GroupCommand::Seal { group } => {
                let sealed = tc.queue().seal_task_group(&group).await?;
                output.tell(&sealed, |group| {
                    let since = group.sealed.map(|since| format!(" since {since}")).unwrap_or_default();
                    format!("{} is sealed{since}", group.task_group_id)
                })
            }
        }
    })
}

async fn list(tc: &Taskcluster, args: &GroupListArgs, mut output: Output) -> Result<()> {
    let mut members = tc.queue().list_task_group(&args.group).stream();
    while let Some(member) = members.try_next().await? {
        if is_wanted(&member.status.state, args) {
            if let Some(template) = &args.format_string {
                output.line(&template.line(&serde_json::to_value(&member)?))?;
                continue;
            }
            output.tell(&member, |member| {
                let (id, name, state) = (member.status.task_id, &member.task.metadata.name, &member.status.state);
                format!("{id} {name} {state}")
            })?;
        }
    }
    Ok(())
}

/// Without a word about states all are wanted.
fn is_wanted(state: &TaskState, args: &GroupListArgs) -> bool {
    let named = [args.running, args.failed, args.exception, args.complete, args.unscheduled, args.pending];
    let named_this = match state {
        TaskState::Running => args.running,
        TaskState::Failed => args.failed,
        TaskState::Exception => args.exception,
        TaskState::Completed => args.complete,
        TaskState::Unscheduled => args.unscheduled,
        TaskState::Pending => args.pending,
        _ => false,
    };
    args.all || named_this || !named.contains(&true)
}

async fn count(tc: &Taskcluster, group: &TaskId, mut output: Output) -> Result<()> {
    let mut counts = BTreeMap::<String, u64>::new();
    let mut members = tc.queue().list_task_group(group).stream();
    while let Some(member) = members.try_next().await? {
        *counts.entry(member.status.state.to_string()).or_default() += 1;
    }
    output.tell(&counts, |counts| {
        counts.iter().map(|(state, count)| format!("{state}: {count}")).collect::<Vec<_>>().join("\n")
    })
}

async fn cancel(
    tc: &Taskcluster,
    group: &TaskId,
    worker_type: Option<&str>,
    force: bool,
    mut output: Output,
) -> Result<()> {
    let queue = tc.queue();
    let all: Vec<TaskDefinitionAndStatus> = queue.list_task_group(group).stream().try_collect().await?;
    let is_open = |state: &TaskState| matches!(state, TaskState::Unscheduled | TaskState::Pending | TaskState::Running);
    let is_wanted = |member: &&TaskDefinitionAndStatus| {
        is_open(&member.status.state) && worker_type.is_none_or(|wanted| member.status.worker_type == wanted)
    };
    let tasks: Vec<&TaskDefinitionAndStatus> = all.iter().filter(is_wanted).collect();
    if tasks.is_empty() {
        return output.remark("nothing to cancel");
    }
    if !force && !confirms(&tasks)? {
        return output.remark("nothing was cancelled");
    }
    let calls = tasks.iter().map(|member| {
        let (queue, id) = (queue.clone(), member.status.task_id);
        async move { queue.cancel_task(&id).await.map(|answer| answer.status) }
    });
    let mut cancelled = stream::iter(calls.collect::<Vec<_>>()).buffer_unordered(CONCURRENCY);
    while let Some(status) = cancelled.next().await {
        output.tell(&status?, |status| format!("cancelled {}", status.task_id))?;
    }
    Ok(())
}

/// Asks, with the tasks before the eyes of whoever sits at the terminal.
fn confirms(tasks: &[&TaskDefinitionAndStatus]) -> Result<bool> {
    if stdin().is_terminal() {
        for member in tasks {
            eprintln!("{} {}", member.status.task_id, member.task.metadata.name);
        }
    }
    confirm(&format!("Cancel these {} tasks?", tasks.len()), "--force cancels without asking")
}
