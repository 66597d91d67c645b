//! Plain lines: for log files, pipes and terminals without colour.

use std::io::Write;

use taskcluster_core::ids::TaskId;

use super::{Begin, End, Failure, View, conclusion, seconds, words};
use crate::progress::{Progress, Standing};

/// Writes a line for each change.
#[derive(Debug)]
pub(crate) struct Lines<W> {
    out: W,
}

impl<W: Write> Lines<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out }
    }

    fn line(&mut self, text: &str) {
        let _ = writeln!(self.out, "{text}").and_then(|()| self.out.flush());
    }
}

impl<W: Write> View for Lines<W> {
    fn begin(&mut self, begin: &Begin<'_>) {
        self.line(&format!("commit {} {}", &begin.revision[..12.min(begin.revision.len())], begin.subject));
        let groups = begin.groups.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        self.line(&format!("task group {groups} at {}", begin.root_url));
    }

    fn note(&mut self, text: &str) {
        self.line(&format!("note: {text}"));
    }

    fn progress(&mut self, progress: &Progress, changed: &[TaskId]) {
        for (member, standing) in changed.iter().filter_map(|id| progress.get(*id)) {
            // What waits is in the summary; a line each would bury the rest.
            if matches!(standing, Standing::Waiting | Standing::Pending) {
                continue;
            }
            let again = member.run.filter(|run| *run > 0).map(|run| format!(", run {run}")).unwrap_or_default();
            let time =
                seconds(member).filter(|_| standing.is_over()).map(|s| format!(" in {s:.1} s")).unwrap_or_default();
            self.line(&format!("{}: {}{again}{time}", member.name, words(standing)));
        }
    }

    fn failure(&mut self, failure: &Failure<'_>) {
        self.line("");
        self.line(&format!("--- {} ({}): {}", failure.member.name, failure.member.id, words(failure.standing)));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::{Member, State, Verdict};

    #[test]
    fn a_line_for_each_change_and_a_conclusion() {
        let mut member = Member {
            id: TaskId::new(),
            name: "build".into(),
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
        let mut lines = Lines::new(&mut out);
        let changed = progress.update(vec![member.clone()]);
        lines.progress(&progress, &changed);
        member.state = State::Exception("worker-shutdown".into());
        member.resolved = Some("2026-11-28T00:00:01.500Z".parse().unwrap());
        let changed = progress.update(vec![member]);
        lines.progress(&progress, &changed);
        let verdict = Verdict::Stranded(["a/b".parse().unwrap()].into());
        lines.end(&End { verdict: &verdict, counts: progress.counts(), results: Some("/r".into()) });
        let text = String::from_utf8(out).unwrap();
        let expected = "build: running\n\
            build: exception (worker-shutdown) in 1.5 s\n\
            logs and artifacts: /r\n\
            not green: 1 exception; nobody serves a/b (to run them here: --serve a/b)\n";
        assert_eq!(text, expected);
    }
}
