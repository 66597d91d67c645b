//! What a group leaves, as ordinary files: logs and artifacts that are still there when the services are gone.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use taskcluster::artifacts::Artifacts;
use taskcluster::queue::Queue;
use taskcluster_core::caller::Caller;
use taskcluster_core::chain;
use taskcluster_core::ids::TaskId;

use crate::progress::{Member, shared};

/// How many groups are kept.
const KEPT_GROUPS: usize = 10;

/// How many artifacts are copied at once.
const CONCURRENCY: usize = 4;

/// How much of a log is shown.
const TAIL_LINES: usize = 25;

/// Logs, best first: the live log is a link to the other one where both exist.
const LOGS: [&str; 2] = ["public/logs/live_backing.log", "public/logs/live.log"];

/// The saved files of one group.
#[derive(Debug)]
pub(crate) struct Results {
    folder: PathBuf,
    /// Where each task's files belong.
    tasks: HashMap<TaskId, PathBuf>,
    queue: Queue,
    artifacts: Artifacts,
}

impl Results {
    /// Saves what `members` left into the folder of the group below `all`, and forgets the oldest groups.
    pub(crate) fn new(all: &Path, group: TaskId, members: &[&Member], caller: &Caller) -> io::Result<Self> {
        forget_oldest(all, KEPT_GROUPS - 1)?;
        let folder = all.join(group.to_string());
        let names = folder_names(members.iter().map(|member| (member.id, member.name.as_str())));
        Ok(Self {
            tasks: names.into_iter().map(|(id, name)| (id, folder.join(name))).collect(),
            folder,
            queue: Queue::new(caller.clone()),
            artifacts: Artifacts::new(caller),
        })
    }

    /// The folder of the group, if anything was saved.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.folder.is_dir().then_some(&self.folder)
    }

    /// Saves what the task's latest run left. Gives how many artifacts could not be saved.
    pub(crate) async fn save(&self, member: &Member) -> usize {
        let Some(folder) = self.tasks.get(&member.id).filter(|_| member.run.is_some()) else { return 0 };
        let listed: Vec<_> = match self.queue.list_latest_artifacts(&member.id).stream().try_collect().await {
            Ok(listed) => listed,
            Err(error) => {
                tracing::warn!(task.id = %member.id, error = %chain(&error), "cannot list artifacts");
                return 1;
            }
        };
        // A link leads to something that is saved under its own name, or out of the house; an error has no content.
        let names = listed
            .into_iter()
            .filter(|artifact| has_content(artifact.storage_type.as_str()))
            .map(|artifact| artifact.name);
        let copies = names.map(|name| copy(&self.artifacts, member.id, name, folder));
        let copied: Vec<bool> = stream::iter(copies).buffer_unordered(CONCURRENCY).collect().await;
        copied.iter().filter(|copied| !**copied).count()
    }

    /// The saved log of a task and its last lines.
    pub(crate) fn log(&self, member: &Member) -> (Option<PathBuf>, Vec<String>) {
        let logs = self.tasks.get(&member.id).into_iter().flat_map(|folder| LOGS.map(|name| folder.join(name)));
        match logs.into_iter().find(|path| path.is_file()) {
            Some(path) => {
                let tail = fs::read(&path).map(|bytes| tail(&String::from_utf8_lossy(&bytes))).unwrap_or_default();
                (Some(path), tail)
            }
            None => (None, Vec::new()),
        }
    }
}

/// The names of the tasks' folders: with the id where several tasks have the same name, or one has none.
fn folder_names<'a>(tasks: impl Iterator<Item = (TaskId, &'a str)>) -> Vec<(TaskId, String)> {
    let mut names: Vec<(TaskId, String)> = tasks.map(|(id, name)| (id, plain_name(name))).collect();
    let shared = shared(names.iter().map(|(_, name)| name.as_str()));
    for (id, name) in &mut names {
        if name.is_empty() || shared.contains(name) {
            *name = format!("{name}-{id}");
        }
    }
    names
}

fn has_content(storage_type: &str) -> bool {
    !matches!(storage_type, "link" | "error" | "reference")
}

async fn copy(artifacts: &Artifacts, task_id: TaskId, name: String, folder: &Path) -> bool {
    let path = folder.join(relative(&name));
    let made = path.parent().map_or(Ok(()), fs::create_dir_all);
    let copied = match made {
        Ok(()) => artifacts.download_latest(&task_id, &name).to_file(&path).await.map_err(anyhow::Error::from),
        Err(error) => Err(error.into()),
    };
    if let Err(error) = &copied {
        tracing::warn!(task.id = %task_id, artifact = %name, error = format!("{error:#}"), "cannot save an artifact");
    }
    copied.is_ok()
}

/// The name of an artifact as a path that stays below its folder.
fn relative(name: &str) -> PathBuf {
    let parts = Path::new(name).components().filter_map(|part| match part {
        Component::Normal(part) => Some(part),
        Component::Prefix(_) | Component::RootDir | Component::CurDir | Component::ParentDir => None,
    });
    let path: PathBuf = parts.collect();
    if path.as_os_str().is_empty() { PathBuf::from("unnamed") } else { path }
}

/// A task's name as the name of a folder.
fn plain_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    name.chars().take(80).map(plain).collect::<String>().trim_matches('.').to_owned()
}

/// The last lines, without what would confuse a terminal.
fn tail(log: &str) -> Vec<String> {
    let mut lines = VecDeque::with_capacity(TAIL_LINES + 1);
    for line in without_banner(log).lines() {
        // A progress bar draws over its line: the last picture is the one that was left.
        let line = line.trim_end_matches('\r').rsplit('\r').next().unwrap_or_default();
        let line = console::strip_ansi_codes(line);
        lines.push_back(line.chars().filter(|c| !c.is_control() || *c == '\t').collect());
        if lines.len() > TAIL_LINES {
            lines.pop_front();
        }
    }
    lines.into()
}

/// The log from where the worker has introduced itself; all of it where nothing else is there.
fn without_banner(log: &str) -> &str {
    let is_banner = |line: &&str| line.starts_with("[taskcluster ") && !line.contains("] command: ");
    let banner: usize = log.split_inclusive('\n').take_while(is_banner).map(str::len).sum();
    if banner == log.len() { log } else { &log[banner..] }
}

fn forget_oldest(all: &Path, keep: usize) -> io::Result<()> {
    let mut groups: Vec<(SystemTime, PathBuf)> = Vec::new();
    for entry in fs::read_dir(all)? {
        let entry = entry?;
        groups.push((entry.metadata()?.modified()?, entry.path()));
    }
    groups.sort();
    groups.reverse();
    for (_, folder) in groups.into_iter().skip(keep) {
        fs::remove_dir_all(folder)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_artifact_stays_below_its_folder() {
        assert_eq!(relative("public/logs/live.log"), Path::new("public/logs/live.log"));
        assert_eq!(relative("../../etc/passwd"), Path::new("etc/passwd"));
        assert_eq!(relative("/etc/passwd"), Path::new("etc/passwd"));
        assert_eq!(relative(".."), Path::new("unnamed"));
        assert_eq!(plain_name("a/b: c.."), "a-b--c");
    }

    #[test]
    fn tasks_that_share_a_name_have_folders_with_their_ids() {
        let ids = [(); 4].map(|()| TaskId::new());
        let names = folder_names(ids.into_iter().zip(["a b", "a-b", "c", ""]));
        let names: Vec<String> = names.into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, [format!("a-b-{}", ids[0]), format!("a-b-{}", ids[1]), "c".into(), format!("-{}", ids[3])]);
    }

    #[test]
    fn a_tail_is_what_a_reader_would_have_seen_last() {
        let mut log: String = (0..100).map(|n| format!("line {n}\n")).collect();
        log.push_str("10 %\r90 %\r100 %\r\n\u{1b}[31mred\u{1b}[0m\n");
        let tail = tail(&log);
        assert_eq!(tail.len(), TAIL_LINES);
        assert_eq!(tail[TAIL_LINES - 2..], ["100 %", "red"]);
    }

    #[test]
    fn a_tail_begins_after_the_banner_if_it_is_that_short() {
        let banner = "[taskcluster 2026-11-28T00:00:00.000Z] === Task Starting ===\n";
        let command = "[taskcluster 2026-11-28T00:00:00.000Z] command: make";
        assert_eq!(
            tail(&format!("{banner}{banner}{command}\nit broke\n{banner}")),
            [command, "it broke", banner.trim()]
        );
        assert_eq!(tail(&format!("{banner}[taskcluster:error] no\n")), ["[taskcluster:error] no"]);
        assert_eq!(tail(banner), [banner.trim()]);
    }

    #[test]
    fn the_oldest_groups_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        for (age, name) in ["new", "middle", "old"].iter().enumerate() {
            let path = folder.path().join(name);
            fs::create_dir(&path).unwrap();
            let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000 - age as u64);
            fs::File::open(&path).unwrap().set_modified(time).unwrap();
        }
        forget_oldest(folder.path(), 2).unwrap();
        assert!(folder.path().join("middle").exists());
        assert!(!folder.path().join("old").exists());
    }
}
