//! This repository's decision task: it looks at a commit and creates the tasks that check it.
//!
//! It runs within a task (see `.taskcluster.yml`) and reaches the queue through the worker's proxy, so it holds no
//! credentials. `decision-task --show` prints the graph anywhere, without creating anything. Started for an action on one of the
//! tasks, or on all, it carries that out instead.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use taskcluster::graph::actions::ActionRequest;
use taskcluster::graph::{Changes, CheckedGraph, DecisionFiles, Parameters};
use taskcluster::queue::Queue;
use taskcluster_core::caller::Caller;
use taskcluster_core::ids::TaskId;

mod actions;
mod git;
mod parameters;
mod report;
mod tasks;

/// Creates the tasks that check a commit of this repository.
#[derive(Debug, Parser)]
#[command(
    version,
    about,
    after_help = "\
Example: what would be checked if the last three commits were pushed
  decision-task --show --base HEAD~3"
)]
struct Args {
    /// Print the graph and create nothing.
    #[arg(long)]
    show: bool,
    /// Write a page about the group of the task that this runs in, and create nothing.
    #[arg(long, value_name = "FILE", conflicts_with = "show")]
    report: Option<PathBuf>,
    /// The commit to compare with [default: BASE_REVISION, or else the first parent].
    #[arg(long, value_name = "R")]
    base: Option<String>,
    /// Where to write the artifacts.
    #[arg(long, value_name = "DIR", default_value = "public")]
    artifacts: PathBuf,
    /// The checkout to look at.
    #[arg(long, value_name = "DIR", default_value = ".")]
    checkout: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    match decide(&Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn decide(args: &Args) -> Result<()> {
    if args.show {
        let parameters = parameters::of_checkout(&args.checkout, args.base.as_deref())?;
        show(&graph(args, &parameters)?);
        return Ok(());
    }

    let caller = caller()?;
    if let Some(file) = &args.report {
        let task_id: TaskId = variable("TASK_ID")?.parse().context("TASK_ID is no task id")?;
        let page = report::page(&caller, &task_id).await?;
        print!("{page}");
        return fs::write(file, page).with_context(|| format!("cannot write {}", file.display()));
    }
    let queue = Queue::new(caller);
    if let Some(request) = ActionRequest::from_env()? {
        return actions::carry_out(&request, &queue).await;
    }
    let mut parameters = Parameters::from_env(&queue).await?;
    if let Some(base) = &args.base {
        parameters.base_revision = Some(git::commit(&args.checkout, base)?);
    }
    let graph = graph(args, &parameters)?;
    show(&graph);
    let own = queue.task(&parameters.decision_task).await.context("cannot read the decision task's own definition")?;
    // The artifacts come first: they tell what was meant also when the queue refuses it.
    DecisionFiles::new(&parameters)
        .with_full_graph(&tasks::graph(&parameters, &Changes::Everything)?)
        .with_target_tasks(&graph)
        .with_graph(&graph)
        .with_actions(&actions::offered(&args.checkout, &own, &queue)?)
        .write_to(&args.artifacts)?;
    graph.submit(&queue).await?;
    println!("created {} tasks", graph.len());
    Ok(())
}

fn graph(args: &Args, parameters: &Parameters) -> Result<CheckedGraph> {
    let base = parameters.base_revision.as_deref();
    let changes = Changes::between(&args.checkout, base, &parameters.head_revision)?;
    Ok(tasks::graph(parameters, &changes)?)
}

/// The proxy signs every request; nothing here knows a secret.
fn caller() -> Result<Caller> {
    let root_url = variable("TASKCLUSTER_ROOT_URL")?;
    let proxy = variable("TASKCLUSTER_PROXY_URL")
        .context("this must run in a task with the feature taskclusterProxy, or with --show")?;
    Ok(Caller::builder(&root_url).proxy(&proxy).build()?)
}

fn show(graph: &CheckedGraph) {
    for task in graph.tasks() {
        let needs = if task.needs.is_empty() { String::new() } else { format!("  <- {}", task.needs.join(", ")) };
        println!("{:<16}{}{needs}", task.label, task.definition.metadata.description);
    }
}

fn variable(name: &str) -> Result<String> {
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => Ok(value),
        _ => bail!("{name} is not set"),
    }
}
