//! The live view of a terminal: what is over scrolls up as lines, what runs stays below with its time, and the last
//! row counts everything. So it has the height of what runs at once, however large the group is.

use std::collections::HashMap;
use std::time::Duration;

use console::style;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use taskcluster_core::ids::TaskId;

use super::{Begin, End, Failure, KEPT, View, commit, conclusion, place, plain, seconds, story, summary, words};
use crate::progress::{Member, Progress, Standing, Verdict};

/// Draws on the terminal.
#[derive(Debug)]
pub(crate) struct Table {
    rows: MultiProgress,
    running: HashMap<TaskId, ProgressBar>,
    counts: ProgressBar,
}

impl Table {
    /// Nothing where there is no terminal that can be drawn on.
    pub(crate) fn on_terminal() -> Option<Self> {
        let rows = MultiProgress::new();
        if rows.is_hidden() {
            return None;
        }
        let counts = rows.add(ProgressBar::new_spinner().with_style(style_of("{msg}")));
        Some(Self { rows, running: HashMap::new(), counts })
    }

    fn line(&self, text: impl AsRef<str>) {
        let _ = self.rows.println(text);
    }

    fn show(&mut self, progress: &Progress, member: &Member, standing: &Standing) {
        let name = &progress.name_of(member);
        if *standing == Standing::Running {
            let row = self.rows.insert_before(&self.counts, ProgressBar::new_spinner());
            row.set_style(style_of("  {spinner} {msg} {elapsed}"));
            row.set_message(plain(name));
            row.enable_steady_tick(Duration::from_millis(120));
            if let Some(old) = self.running.insert(member.id, row) {
                old.finish_and_clear();
            }
            return;
        }
        if let Some(row) = self.running.remove(&member.id) {
            row.finish_and_clear();
        }
        if standing.is_over() {
            let time = seconds(member).map(|seconds| format!("{seconds:.1} s")).unwrap_or_default();
            self.line(format!(
                "  {} {} {} {}",
                mark(standing),
                plain(name),
                style(story(progress, member, standing)).dim(),
                style(time).dim()
            ));
        }
    }
}

impl View for Table {
    fn begin(&mut self, begin: &Begin<'_>) {
        self.line(format!("{} {}", style(commit(begin)).yellow(), plain(begin.subject)));
        if let Some(place) = place(begin) {
            self.line(style(place).dim().to_string());
        }
    }

    fn note(&mut self, text: &str) {
        self.line(format!("{} {text}", style("note:").yellow()));
    }

    fn progress(&mut self, progress: &Progress, changed: &[TaskId]) {
        for (member, standing) in changed.iter().filter_map(|id| progress.get(*id)) {
            self.show(progress, member, standing);
        }
        self.counts.set_message(format!("  {}", style(summary(&progress.counts())).dim()));
    }

    fn keep(&mut self, exports: &[String]) {
        self.note(KEPT);
        exports.iter().for_each(|line| self.line(line));
    }

    fn failure(&mut self, failure: &Failure<'_>) {
        let Failure { name, standing, tail, log, member: _ } = failure;
        self.line("");
        self.line(format!("{} {} {}", mark(standing), style(plain(name)).bold(), words(standing)));
        for line in tail {
            self.line(format!("  {} {line}", style("│").dim()));
        }
        match log {
            Some(log) => self.line(format!("  {} {}", style("the whole log:").dim(), log.display())),
            None => self.line(format!("  {}", style("it has no log").dim())),
        }
    }

    fn end(&mut self, end: &End<'_>) {
        for (_, row) in self.running.drain() {
            row.finish_and_clear();
        }
        self.counts.finish_and_clear();
        self.line("");
        if let Some(results) = &end.results {
            self.line(format!("{} {}", style("logs and artifacts:").dim(), results.display()));
        }
        let text = conclusion(end);
        let coloured = match end.verdict {
            Verdict::Green => style(text).green(),
            Verdict::Busy => style(text).yellow(),
            Verdict::NotGreen | Verdict::Stranded(_) => style(text).red(),
        };
        self.line(coloured.bold().to_string());
    }
}

fn mark(standing: &Standing) -> console::StyledObject<&'static str> {
    match standing {
        Standing::Green => style("✓").green(),
        Standing::Failed => style("✗").red(),
        Standing::Exception(_) => style("!").red(),
        Standing::NotRun => style("–").dim(),
        Standing::Stranded => style("?").yellow(),
        Standing::Waiting | Standing::Behind | Standing::Pending | Standing::Running => style("·").dim(),
    }
}

fn style_of(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
