//! What the user sees of a run: a live table, plain lines, or JSON events.
//!
//! A view is told facts and keeps no truth of its own. Whatever cannot be written is dropped: a reader that closed the
//! pipe must not stop the tasks.

use std::collections::BTreeMap;
use std::path::PathBuf;

use taskcluster_core::ids::TaskId;

use crate::progress::{Member, Progress, Standing, Verdict};

mod json;
mod lines;
mod table;

pub(crate) use json::Json;
pub(crate) use lines::Lines;
pub(crate) use table::Table;

/// What is about to run.
#[derive(Debug)]
pub(crate) struct Begin<'a> {
    pub(crate) root_url: &'a str,
    pub(crate) groups: &'a [TaskId],
    pub(crate) revision: &'a str,
    /// What it is pushed to, as far as its tasks are told.
    pub(crate) reference: &'a str,
    pub(crate) subject: &'a str,
}

/// The story of one task that is not green.
#[derive(Debug)]
pub(crate) struct Failure<'a> {
    pub(crate) member: &'a Member,
    /// What tells it from the others of its group.
    pub(crate) name: &'a str,
    pub(crate) standing: &'a Standing,
    /// The last lines of its log, oldest first; empty where there is none.
    pub(crate) tail: Vec<String>,
    /// Where its log was saved.
    pub(crate) log: Option<PathBuf>,
}

/// How it ended.
#[derive(Debug)]
pub(crate) struct End<'a> {
    pub(crate) verdict: &'a Verdict,
    /// Whether the user said stop, be it when everything was over already.
    pub(crate) interrupted: bool,
    pub(crate) counts: BTreeMap<&'static str, usize>,
    /// The folder with logs and artifacts.
    pub(crate) results: Option<PathBuf>,
}

/// A way to show a run.
pub(crate) trait View {
    fn begin(&mut self, begin: &Begin<'_>);
    /// Something worth a line that is about no single task.
    fn note(&mut self, text: &str);
    /// The tasks in `changed` stand differently than before.
    fn progress(&mut self, progress: &Progress, changed: &[TaskId]);
    /// For a while nothing has changed: where that is not seen, it is said what is being waited for.
    fn still(&mut self, _: &Progress) {}
    /// Everything is over, and it stays; these lines make a shell speak to it.
    fn keep(&mut self, exports: &[String]);
    fn failure(&mut self, failure: &Failure<'_>);
    fn end(&mut self, end: &End<'_>);
}

/// Chooses the view that fits the options and the terminal.
pub(crate) fn choose(json: bool) -> Box<dyn View> {
    let quiet = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let terminal = console::Term::stdout().is_term() && console::Term::stderr().is_term();
    if json {
        return Box::new(Json::new(std::io::stdout()));
    }
    match (terminal && !quiet).then(Table::on_terminal).flatten() {
        Some(table) => Box::new(table),
        None => Box::new(Lines::new(std::io::stdout())),
    }
}

/// What a commit or a task calls itself, without what would confuse a terminal.
pub(crate) fn plain(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).collect()
}

/// A standing in words, with the reason of an exception.
fn words(standing: &Standing) -> String {
    match standing {
        Standing::Exception(reason) => format!("exception ({reason})"),
        other => other.word().to_owned(),
    }
}

/// A task's standing in words, and what is behind it.
fn story(progress: &Progress, member: &Member, standing: &Standing) -> String {
    let because = progress.because(member).filter(|_| *standing == Standing::NotRun).and_then(|it| progress.get(it.id));
    match because {
        Some((member, its)) => format!("{} ({}: {})", words(standing), plain(&progress.name_of(member)), words(its)),
        None => words(standing),
    }
}

/// The commit and what it is pushed to: `4725…4057 on main`.
fn commit(begin: &Begin<'_>) -> String {
    let reference = begin.reference.strip_prefix("refs/heads/").or_else(|| begin.reference.strip_prefix("refs/tags/"));
    format!("{} on {}", &begin.revision[..12.min(begin.revision.len())], plain(reference.unwrap_or(begin.reference)))
}

/// Seconds that the task ran, where it began.
fn seconds(member: &Member) -> Option<f64> {
    let (started, resolved) = (member.started?, member.resolved?);
    Some(resolved.since(started).as_secs_f64())
}

/// `3 green, 1 failed`, in an order that does not depend on chance.
fn summary(counts: &BTreeMap<&'static str, usize>) -> String {
    if counts.is_empty() {
        return "no tasks for this push".to_owned();
    }
    counts.iter().map(|(word, count)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
}

/// Where the tasks are, if there are any.
fn place(begin: &Begin<'_>) -> Option<String> {
    let groups = begin.groups.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    (!groups.is_empty()).then(|| format!("task group {groups} at {}", begin.root_url))
}

/// What is said before the lines for a shell.
const KEPT: &str = "everything is over; Ctrl-C ends it. To look around, or to try actions, in another terminal:";

/// The last line of a run.
fn conclusion(end: &End<'_>) -> String {
    let counts = summary(&end.counts);
    match end.verdict {
        Verdict::Green => format!("green: {counts}"),
        Verdict::Busy => format!("stopped: {counts}"),
        Verdict::NotGreen => format!("not green: {counts}"),
        Verdict::Stranded(queues) => {
            let queues = queues.iter().map(ToString::to_string).collect::<Vec<_>>();
            let advice = queues.iter().map(|queue| format!("--serve {queue}")).collect::<Vec<_>>().join(" ");
            format!("not green: {counts}; nobody serves {} (to run them here: {advice})", queues.join(", "))
        }
    }
}
