//! `taskcluster artifact`: what tasks leave.

use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use futures_util::TryStreamExt as _;
use serde_json::json;
use taskcluster::artifacts::{Upload, Uploaded};
use taskcluster::time::from_now;
use taskcluster::{RunId, TaskId, Taskcluster, Timestamp};
use tokio::fs::File;

use super::download;
use super::talk::{BadUse, deployment, talk};
use crate::args::{ArtifactCommand, ArtifactPutArgs};
use crate::exit::Outcome;
use crate::output::Output;

/// Lists, downloads or uploads.
pub(crate) fn artifact(command: ArtifactCommand, json: bool) -> Result<Outcome> {
    match command {
        ArtifactCommand::List { task, run } => {
            let tc = deployment()?;
            talk(async { list(&tc, &task, run, &mut Output::telling(json)).await })
        }
        ArtifactCommand::Get(args) => download::artifact(&args, json),
        ArtifactCommand::Put(args) => {
            let tc = deployment()?;
            talk(put(&tc, &args, Output::telling(json)))
        }
    }
}

/// Tells a task's artifacts, to people their names.
pub(super) async fn list(tc: &Taskcluster, task: &TaskId, run: Option<RunId>, output: &mut Output) -> Result<()> {
    let queue = tc.queue();
    let list = match run {
        Some(run) => queue.list_artifacts(task, run),
        None => queue.list_latest_artifacts(task),
    };
    let mut artifacts = list.stream();
    while let Some(artifact) = artifacts.try_next().await? {
        output.tell(&artifact, |artifact| artifact.name.clone())?;
    }
    Ok(())
}

async fn put(tc: &Taskcluster, args: &ArtifactPutArgs, mut output: Output) -> Result<()> {
    let mut upload = tc.artifacts().upload(&args.task, args.run, &args.name, expiry(tc, args).await?);
    if let Some(content_type) = &args.content_type {
        upload = upload.content_type(content_type);
    }
    if args.gzip {
        upload = upload.gzip();
    }
    if args.object {
        upload = upload.object();
    }
    let Uploaded { length, content_type, sha256, .. } = send(upload, &args.file).await?;
    let told = json!({ "name": args.name, "length": length, "contentType": content_type, "sha256": sha256 });
    output.report(&told, |_| format!("{}: {length} bytes of {content_type}", args.name))
}

async fn expiry(tc: &Taskcluster, args: &ArtifactPutArgs) -> Result<Timestamp> {
    match &args.expires {
        Some(offset) => Ok(from_now(offset, Timestamp::now()).map_err(|error| BadUse(format!("--expires: {error}")))?),
        None => {
            let task = tc.queue().task(&args.task).await?;
            task.expires.context("the task does not say when it expires: see --expires")
        }
    }
}

async fn send(upload: Upload, file: &Path) -> Result<Uploaded> {
    if file == Path::new("-") {
        return Ok(upload.reader(&mut stdin()?).await?);
    }
    // Nobody has been asked yet if there is no such file.
    if let Err(error) = std::fs::File::open(file) {
        return Err(BadUse(format!("cannot read {}: {error}", file.display())).into());
    }
    Ok(upload.file(file).await?)
}

/// Standard input, for readers that are asynchronous.
fn stdin() -> Result<File> {
    let stdin = io::stdin().as_fd().try_clone_to_owned().context("there is no standard input")?;
    Ok(File::from_std(stdin.into()))
}
