//! What builds print, taken down into the log of the task.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use taskcluster_worker::log::TaskLog;

use crate::buildbot::{Build, Buildbot, BuildbotError, Ears, Log, Results, Step};

/// Lines that are fetched at once.
const LINES: u64 = 5000;

/// How often, and after which time, lines are asked for again of which there were too many or too few.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(100);

/// How far the builds of a request have been taken down. What was interrupted is gone on with, not begun again.
#[derive(Debug)]
pub(crate) struct Transcript {
    log: TaskLog,
    /// Builds and steps that the log has a heading for.
    begun: BTreeSet<Part>,
    /// Those of which all has been taken down.
    done: BTreeSet<Part>,
    /// Lines taken down of each log.
    lines: BTreeMap<u64, u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Build(u64),
    Step(u64),
}

impl Transcript {
    pub(crate) fn new(log: TaskLog) -> Self {
        Self { log, begun: BTreeSet::new(), done: BTreeSet::new(), lines: BTreeMap::new() }
    }

    /// Take down what is new of these builds, and listen for more.
    pub(crate) async fn take_down(
        &mut self,
        buildbot: &Buildbot,
        builds: &[Build],
        ears: &mut Ears,
    ) -> Result<(), BuildbotError> {
        for build in builds {
            if !self.done.contains(&Part::Build(build.buildid)) {
                self.build(buildbot, build, ears).await?;
            }
        }
        Ok(())
    }

    async fn build(&mut self, buildbot: &Buildbot, build: &Build, ears: &mut Ears) -> Result<(), BuildbotError> {
        let part = Part::Build(build.buildid);
        if self.begun.insert(part) {
            self.log.info(format!("Buildbot: build {} has begun: {}", build.number, buildbot.page(build)));
            ears.listen(format!("builds/{}/*", build.buildid));
            ears.listen(format!("builds/{}/steps/*/*", build.buildid));
        }
        for step in buildbot.steps(build.buildid).await? {
            if !self.done.contains(&Part::Step(step.stepid)) {
                self.step(buildbot, &step, ears).await?;
            }
        }
        if build.complete {
            self.done.insert(part);
            let results = Results::of(build.results.unwrap_or(-1));
            self.log.info(format!("Buildbot: build {} ends with {results}: {}", build.number, build.state_string));
            if results == Results::Retry {
                self.log.warn("Buildbot builds it again, once it has a worker");
            }
        }
        Ok(())
    }

    async fn step(&mut self, buildbot: &Buildbot, step: &Step, ears: &mut Ears) -> Result<(), BuildbotError> {
        let part = Part::Step(step.stepid);
        if self.begun.insert(part) {
            self.log.info(format!("=== step {} ===", step.name));
            ears.listen(format!("steps/{}/logs/*/*", step.stepid));
        }
        let mut complete = step.complete;
        for log in buildbot.logs(step.stepid).await? {
            self.lines(buildbot, &log).await?;
            complete &= log.complete;
        }
        if complete {
            self.done.insert(part);
            let results = Results::of(step.results.unwrap_or(-1));
            self.log.info(format!("=== step {} ends with {results}: {} ===", step.name, step.state_string));
        }
        Ok(())
    }

    async fn lines(&mut self, buildbot: &Buildbot, log: &Log) -> Result<(), BuildbotError> {
        if log.kind == "h" {
            return Ok(()); // a page, not a text
        }
        let taken = self.lines.entry(log.logid).or_insert(0);
        if *taken == 0 && log.num_lines > 0 && log.name != "stdio" {
            self.log.info(format!("--- {} ---", log.name));
        }
        while *taken < log.num_lines {
            let content = exactly(buildbot, log.logid, *taken, LINES.min(log.num_lines - *taken)).await?;
            let mut text = String::with_capacity(content.len());
            for line in content.split_inclusive('\n') {
                *taken += 1;
                text.push_str(if log.kind == "s" { without_stream(line) } else { line });
            }
            if text.is_empty() {
                break;
            }
            self.log.write(text.as_bytes());
        }
        Ok(())
    }
}

/// So many lines of a log. For a moment in which the master compresses it, some lines are there twice: it is asked again then.
async fn exactly(buildbot: &Buildbot, log: u64, offset: u64, limit: u64) -> Result<String, BuildbotError> {
    for _ in 0..ATTEMPTS {
        let content = buildbot.lines(log, offset, limit).await?;
        if content.split_inclusive('\n').count() as u64 == limit {
            return Ok(content);
        }
        tokio::time::sleep(PAUSE).await;
    }
    let content = buildbot.lines(log, offset, limit).await?;
    Ok(content.split_inclusive('\n').take(usize::try_from(limit).unwrap_or(usize::MAX)).collect())
}

/// A line of a stdio log begins with a letter for where it was printed.
fn without_stream(line: &str) -> &str {
    line.strip_prefix(['o', 'e', 'h', 'i']).unwrap_or(line)
}
