//! `taskcluster download`: what a task left.

use std::io::{self, ErrorKind};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::json;
use taskcluster::RunId;
use taskcluster::artifacts::{ArtifactError, Download, Downloaded};
use tokio::fs::File;

use super::Stops;
use super::talk::{BadUse, Stopped, deployment, talk};
use crate::args::{DownloadArtifactArgs, DownloadCommand, DownloadObjectArgs};
use crate::exit::Outcome;
use crate::output::{Output, ReaderGone};

/// Downloads.
pub(crate) fn download(command: DownloadCommand, json: bool) -> Result<Outcome> {
    match command {
        DownloadCommand::Artifact(args) => artifact(&args, json),
        DownloadCommand::Object(args) => object(&args, json),
    }
}

/// Downloads an artifact.
pub(super) fn artifact(args: &DownloadArtifactArgs, json: bool) -> Result<Outcome> {
    let Wanted { run, name, file } = Wanted::of(args)?;
    let destination = Destination::of(&name, &file, args.raw, json)?;
    let tc = deployment()?;
    let artifacts = tc.artifacts();
    let download = match run {
        Some(run) => artifacts.download(&args.task, run, &name),
        None => artifacts.download_latest(&args.task, &name),
    };
    talk(destination.fetch(download))
}

/// Downloads an object.
fn object(args: &DownloadObjectArgs, json: bool) -> Result<Outcome> {
    let destination = Destination::of(&args.name, &args.filename, args.raw, json)?;
    let tc = deployment()?;
    talk(destination.fetch(tc.artifacts().download_object(&args.name)))
}

/// The artifact, and where it goes.
#[derive(Debug, PartialEq)]
struct Wanted {
    run: Option<RunId>,
    name: String,
    file: PathBuf,
}

impl Wanted {
    fn of(args: &DownloadArtifactArgs) -> Result<Self> {
        let (run, name, file) = match args.rest.as_slice() {
            [name] => (None, name, None),
            [name, file] => (None, name, Some(file)),
            [run, name, file] => (Some(run), name, Some(file)),
            _ => return Err(BadUse("the name of the artifact is missing".to_owned()).into()),
        };
        let run = run.map(|run| run.parse().map_err(|_| BadUse(format!("{run:?} is not the number of a run"))));
        let file = args.output.clone().or_else(|| file.map(PathBuf::from));
        let file = file.or_else(|| Path::new(name).file_name().map(PathBuf::from));
        let file = file.ok_or_else(|| BadUse(format!("no file can be called as {name:?} ends; say one")))?;
        Ok(Self { run: run.transpose()?, name: name.clone(), file })
    }
}

/// Where something goes, and how.
struct Destination<'a> {
    name: &'a str,
    file: &'a Path,
    raw: bool,
    output: Output,
}

impl<'a> Destination<'a> {
    fn of(name: &'a str, file: &'a Path, raw: bool, json: bool) -> Result<Self> {
        if json && file == Path::new("-") {
            return Err(BadUse("--json: standard output is for what is downloaded".to_owned()).into());
        }
        Ok(Self { name, file, raw, output: Output::telling(json) })
    }

    async fn fetch(mut self, download: Download) -> Result<()> {
        let download = if self.raw { download.as_stored() } else { download };
        if self.file == Path::new("-") {
            return match download.to_writer(&mut stdout()?).await {
                Err(ArtifactError::Local { source, .. }) if source.kind() == ErrorKind::BrokenPipe => {
                    Err(ReaderGone.into())
                }
                downloaded => Ok(downloaded.map(drop)?),
            };
        }
        let (stops, listening) = Stops::listen()?;
        // Whoever is stopped in the middle leaves no half of a file behind.
        let downloaded = tokio::select! {
            downloaded = download.to_file(self.file) => downloaded?,
            () = stops.politely.cancelled() => return Err(Stopped.into()),
            () = listening => return Err(Stopped.into()),
        };
        let Downloaded { length, content_type, content_encoding, sha256, .. } = downloaded;
        let told = json!({
            "name": self.name, "file": self.file.to_string_lossy(), "length": length, "contentType": content_type,
            "contentEncoding": content_encoding, "sha256": sha256,
        });
        self.output.report(&told, |_| {
            let kind = content_type.map(|kind| format!(" of {kind}")).unwrap_or_default();
            let packed = content_encoding.map(|how| format!(", compressed by {how}")).unwrap_or_default();
            format!("{}: {length} bytes{kind}{packed}", self.file.display())
        })
    }
}

/// Standard output, for writers that are asynchronous.
fn stdout() -> Result<File> {
    let stdout = io::stdout().as_fd().try_clone_to_owned().context("there is no standard output")?;
    Ok(File::from_std(stdout.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(rest: &[&str], output: Option<&str>) -> Result<Wanted> {
        let rest = rest.iter().map(|part| (*part).to_owned()).collect();
        let output = output.map(PathBuf::from);
        Wanted::of(&DownloadArtifactArgs { task: taskcluster::TaskId::new(), rest, output, raw: false })
    }

    #[test]
    fn a_run_and_a_file_may_be_named() {
        let expected = |run: Option<u32>, file: &str| Wanted {
            run: run.map(RunId::from),
            name: "public/a.zip".into(),
            file: file.into(),
        };
        assert_eq!(wanted(&["public/a.zip"], None).unwrap(), expected(None, "a.zip"));
        assert_eq!(wanted(&["public/a.zip", "b"], None).unwrap(), expected(None, "b"));
        assert_eq!(wanted(&["1", "public/a.zip", "b"], None).unwrap(), expected(Some(1), "b"));
        assert_eq!(wanted(&["public/a.zip"], Some("-")).unwrap(), expected(None, "-"));
        assert!(wanted(&["x", "public/a.zip", "b"], None).is_err());
        assert!(wanted(&["public/.."], None).is_err());
    }
}
