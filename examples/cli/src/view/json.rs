//! One JSON event a line, for programs.
//!
//! Every event has `event`; the others by kind: `begin` {rootUrl, taskGroupIds, revision}, `note` {text},
//! `task` {taskId, name, taskQueueId, state, reason?, runId?, seconds?}, `keep` {}, `failure` {taskId, name, state, tail, log},
//! `end` {green, interrupted, counts, unserved, results}.

use std::io::Write;

use serde_json::{Value, json};
use taskcluster_core::ids::TaskId;

use super::{Begin, End, Failure, View, seconds};
use crate::progress::{Progress, Standing, Verdict};

/// Writes events.
#[derive(Debug)]
pub(crate) struct Json<W> {
    out: W,
}

impl<W: Write> Json<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out }
    }

    fn event(&mut self, event: &Value) {
        let _ = writeln!(self.out, "{event}").and_then(|()| self.out.flush());
    }
}

impl<W: Write> View for Json<W> {
    fn begin(&mut self, begin: &Begin<'_>) {
        self.event(&json!({
            "event": "begin",
            "rootUrl": begin.root_url,
            "taskGroupIds": begin.groups,
            "revision": begin.revision,
            "ref": begin.reference,
        }));
    }

    fn note(&mut self, text: &str) {
        self.event(&json!({"event": "note", "text": text}));
    }

    fn progress(&mut self, progress: &Progress, changed: &[TaskId]) {
        for (member, standing) in changed.iter().filter_map(|id| progress.get(*id)) {
            let mut event = json!({
                "event": "task",
                "taskId": member.id,
                "name": member.name,
                "taskQueueId": member.queue,
                "state": standing.word(),
            });
            if let Standing::Exception(reason) = standing {
                event["reason"] = json!(reason);
            }
            if let Some(because) = progress.because(member).filter(|_| *standing == Standing::NotRun) {
                event["because"] = json!(because.id);
            }
            // A task that was cancelled before it began has a run in the queue all the same.
            if let Some(run) = member.run.filter(|_| *standing != Standing::NotRun) {
                event["runId"] = json!(run);
            }
            if let Some(seconds) = seconds(member) {
                event["seconds"] = json!(seconds);
            }
            self.event(&event);
        }
    }

    fn keep(&mut self, _: &[String]) {
        self.event(&json!({"event": "keep"}));
    }

    fn failure(&mut self, failure: &Failure<'_>) {
        self.event(&json!({
            "event": "failure",
            "taskId": failure.member.id,
            "name": failure.member.name,
            "state": failure.standing.word(),
            "tail": failure.tail,
            "log": failure.log,
        }));
    }

    fn end(&mut self, end: &End<'_>) {
        let unserved = match end.verdict {
            Verdict::Stranded(queues) => queues.iter().map(ToString::to_string).collect(),
            Verdict::Busy | Verdict::Green | Verdict::NotGreen => Vec::new(),
        };
        self.event(&json!({
            "event": "end",
            "green": *end.verdict == Verdict::Green,
            "interrupted": end.interrupted,
            "counts": end.counts,
            "unserved": unserved,
            "results": end.results,
        }));
    }
}
