//! `taskcluster action`: what the decision task of a group offers to be done.

use std::fs;
use std::io::{Read as _, stdin};

use anyhow::Result;
use serde_json::{Value, json};
use taskcluster::graph::actions::{Offer, OfferedAction};
use taskcluster::{TaskId, Taskcluster};

use super::talk::{BadUse, deployment, talk};
use crate::args::{ActionCommand, ActionRunArgs};
use crate::exit::Outcome;
use crate::output::Output;

/// Shows what is offered, or triggers it.
pub(crate) fn action(command: ActionCommand, json: bool) -> Result<Outcome> {
    let tc = deployment()?;
    let output = Output::telling(json);
    talk(async {
        match command {
            ActionCommand::List { task } => list(&tc, &task, output).await,
            ActionCommand::Run(args) => run(&tc, args, output).await,
        }
    })
}

async fn list(tc: &Taskcluster, task_id: &TaskId, mut output: Output) -> Result<()> {
    let task = tc.queue().task(task_id).await?;
    let offer = Offer::of_group(tc, &task.task_group_id).await?;
    let mut tell = |actions: Vec<&OfferedAction>, is_for_group: bool| {
        actions
            .iter()
            .try_for_each(|action| output.tell(&value_of(action, is_for_group), |_| line_of(action, is_for_group)))
    };
    tell(offer.actions(Some(&task)), false)?;
    tell(offer.actions(None), true)
}

/// What a program needs to offer it, and to check what it asks for.
fn value_of(action: &OfferedAction, is_for_group: bool) -> Value {
    json!({
        "name": action.name, "title": action.title, "description": action.description, "group": is_for_group,
        "schema": action.schema,
    })
}

/// What to type, and what it is.
fn line_of(action: &OfferedAction, is_for_group: bool) -> String {
    let option = if is_for_group { "--group" } else { "" };
    let input = if action.schema.is_some() { "--input" } else { "" };
    format!("{:<24}{option:<8}{input:<8}{}", action.name, action.title).replace(char::is_control, " ")
}

async fn run(tc: &Taskcluster, args: ActionRunArgs, mut output: Output) -> Result<()> {
    let input = args.input.as_deref().map_or(Ok(Value::Null), read)?;
    let group = tc.queue().status(&args.task).await?.status.task_group_id;
    let chosen = (!args.group).then_some(&args.task);
    let made = Offer::of_group(tc, &group).await?.trigger(tc, &args.name, chosen, input).await?;
    match made {
        Some(task_id) => output.tell(&json!({ "taskId": task_id }), |_| task_id.to_string()),
        None => {
            eprintln!("note: the hook has made no task");
            Ok(())
        }
    }
}

/// Input is an object nearly always, but a schema may ask for anything: what is JSON counts as that.
fn read(input: &str) -> Result<Value> {
    if let Ok(value) = serde_json::from_str(input) {
        return Ok(value);
    }
    let text = if input == "-" {
        let mut text = String::new();
        stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(input)
    };
    let text = text.map_err(|error| BadUse(format!("cannot read the input {input}: {error}")))?;
    serde_json::from_str(&text).map_err(|error| BadUse(format!("the input {input} is not JSON: {error}")).into())
}
