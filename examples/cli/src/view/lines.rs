//! Plain lines: for log files, pipes and terminals without colour.
//!
//! A line for each change of a task that somebody may wait for, with the time since the start: `[00:12] build: running`. After a
//! while without any, where the logs of those that run can be read meanwhile.

use std::fmt;
use std::io::Write;
use std::time::{Duration, Instant};

use taskcluster_core::ids::TaskId;
use taskcluster_worker::plugins::LIVE_LOG;

use super::{Begin, End, Failure, KEPT, View, commit, conclusion, place, plain, seconds, story, words};
use crate::progress::{Progress, Standing};

/// Writes a line for each change.
pub(crate) struct Lines<W> {
    out: W,
    /// The time since the start.
    elapsed: Box<dyn Fn() -> Duration>,
    root_url: String,
}

impl<W> fmt::Debug for Lines<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").finish_non_exhaustive()
    }
}

impl<W: Write> Lines<W> {
    pub(crate) fn new(out: W) -> Self {
        let start = Instant::now();
        Self { out, elapsed: Box::new(move || start.elapsed()), root_url: String::new() }
    }

    fn line(&mut self, text: &str) {
        let _ = writeln!(self.out, "{text}").and_then(|()| self.out.flush());
    }
}

impl<W: Write> View for Lines<W> {
    fn begin(&mut self, begin: &Begin<'_>) {
        self.line(&format!("commit {}: {}", commit(begin), plain(begin.subject)));
        if let Some(place) = place(begin) {
            self.line(&place);
        }
        begin.root_url.clone_into(&mut self.root_url);
    }

    fn note(&mut self, text: &str) {
        self.line(&format!("note: {text}"));
    }

    fn progress(&mut self, progress: &Progress, changed: &[TaskId]) {
        for (member, standing) in changed.iter().filter_map(|id| progress.get(*id)) {
            // What waits is in the summary; a line each would bury the rest.
            if matches!(standing, Standing::Waiting | Standing::Behind | Standing::Pending) {
                continue;
            }
            let again = member.run.filter(|run| *run > 0).map(|run| format!(", run {run}")).unwrap_or_default();
            let time =
                seconds(member).filter(|_| standing.is_over()).map(|s| format!(" in {s:.1} s")).unwrap_or_default();
            let at = clock((self.elapsed)());
            let (name, story) = (progress.name_of(member), story(progress, member, standing));
            self.line(&format!("[{at}] {}: {story}{again}{time}", plain(&name)));
        }
    }

    fn still(&mut self, progress: &Progress) {
        let at = clock((self.elapsed)());
        for (member, _) in progress.members().iter().filter(|(_, standing)| *standing == Standing::Running) {
            let name = plain(&progress.name_of(member));
            let log = format!("{}/api/queue/v1/task/{}/artifacts/{LIVE_LOG}", self.root_url, member.id);
            self.line(&format!("[{at}] {name}: still running; its log so far: {log}"));
        }
    }

    fn keep(&mut self, exports: &[String]) {
        self.note(KEPT);
        exports.iter().for_each(|line| self.line(line));
    }

    fn failure(&mut self, failure: &Failure<'_>) {
        self.line("");
        self.line(&format!("--- {} ({}): {}", plain(&failure.member.name), failure.member.id, words(failure.standing)));
        for line in &failure.tail {
            self.line(&format!("  {line}"));
        }
        match &failure.log {
            Some(log) => self.line(&format!("--- the whole log: {}", log.display())),
            None => self.line("--- it has no log"),
        }
    }

    fn end(&mut self, end: &End<'_>) {
        if let Some(results) = &end.results {
            self.line(&format!("logs and artifacts: {}", results.display()));
        }
        self.line(&conclusion(end));
    }
}

/// `02:05`, and with hours where there are some.
fn clock(elapsed: Duration) -> String {
    let (minutes, seconds) = (elapsed.as_secs() / 60, elapsed.as_secs() % 60);
    match minutes / 60 {
        0 => format!("{minutes:02}:{seconds:02}"),
        hours => format!("{hours}:{:02}:{seconds:02}", minutes % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::{Member, State, Verdict};

    #[test]
    fn a_line_for_each_change_and_a_conclusion() {
        let id = TaskId::new();
        let mut member = Member {
            id,
            name: "bu\u{1b}ild\n".into(),
            queue: "local/native".parse().unwrap(),
            state: State::Running,
            dependencies: vec![],
            takes_failures: false,
            run: Some(0),
            started: Some("2026-11-28T00:00:00.000Z".parse().unwrap()),
            resolved: None,
        };
        let mut progress = Progress::new([member.queue.clone()].into());
        let mut out = Vec::new();
        let mut lines =
            Lines { out: &mut out, elapsed: Box::new(|| Duration::from_secs(125)), root_url: "http://h".into() };
        let changed = progress.update(vec![member.clone()]);
        lines.progress(&progress, &changed);
        lines.still(&progress);
        member.state = State::Exception("worker-shutdown".into());
        member.resolved = Some("2026-11-28T00:00:01.500Z".parse().unwrap());
        let changed = progress.update(vec![member]);
        lines.progress(&progress, &changed);
        lines.still(&progress);
        let verdict = Verdict::Stranded(["a/b".parse().unwrap()].into());
        lines.end(&End {
            verdict: &verdict,
            interrupted: false,
            counts: progress.counts(),
            results: Some("/r".into()),
        });
        let text = String::from_utf8(out).unwrap().replace(&id.to_string(), "ID");
        let expected = "[02:05] build: running\n\
            [02:05] build: still running; its log so far: http://h/api/queue/v1/task/ID/artifacts/public/logs/live.log\n\
            [02:05] build: exception (worker-shutdown) in 1.5 s\n\
            logs and artifacts: /r\n\
            not green: 1 exception; nobody serves a/b (to run them here: --serve a/b)\n";
        assert_eq!(text, expected);
        assert_eq!(clock(Duration::from_secs(3 * 3600 + 61)), "3:01:01");
    }
}
