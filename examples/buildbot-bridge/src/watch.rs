//! Watching a request until it is complete: look, then wait until there is something new, or until it is time to look again.

use std::sync::Arc;

use taskcluster_worker::{Error, Exit, Result, TaskContext};

use crate::bridge::Bridge;
use crate::buildbot::{Buildbot, BuildbotError, Ears, Results};
use crate::results::BuildResults;
use crate::transcript::Transcript;

/// A request that is watched.
#[derive(Debug)]
pub(crate) struct Watch {
    buildbot: Arc<Buildbot>,
    task: Arc<TaskContext>,
    request: u64,
    ears: Ears,
    transcript: Transcript,
    /// The log was told that Buildbot does not answer.
    away: bool,
}

impl Watch {
    pub(crate) fn new(bridge: &Bridge, task: &Arc<TaskContext>, request: u64) -> Self {
        let mut ears = Ears::new(bridge.buildbot.clone());
        ears.listen(format!("buildrequests/{request}/*"));
        ears.listen("builds/*/new".to_owned());
        let transcript = Transcript::new(task.log().clone());
        Self { buildbot: bridge.buildbot.clone(), task: task.clone(), request, ears, transcript, away: false }
    }

    /// Follow its builds until one of them is the last, however often workers or the master go away. What they print goes to the
    /// task's log.
    pub(crate) async fn until_complete(&mut self) -> Result<BuildResults> {
        loop {
            match self.look().await {
                Ok(Some((exit, properties))) => return BuildResults::of(exit, &properties, self.task.scratch()).await,
                Ok(None) => self.away = false,
                Err(error) if error.passes() => {
                    if !std::mem::replace(&mut self.away, true) {
                        self.task.log().warn(format!("{error}; waiting for it"));
                    }
                    self.ears.doubt();
                }
                Err(error) => return Err(Error::worker_caused("cannot follow the build", error)),
            }
            self.ears.wait().await;
        }
    }

    /// Take down what is new; how it ended and with which properties, if it has.
    async fn look(&mut self) -> Result<Option<(Exit, serde_json::Value)>, BuildbotError> {
        // The request before its builds: once it is complete, they are.
        let request = self.buildbot.request(self.request).await?;
        let builds = self.buildbot.builds(self.request).await?;
        self.transcript.take_down(&self.buildbot, &builds, &mut self.ears).await?;
        if !request.complete {
            return Ok(None);
        }
        let properties = match builds.last() {
            Some(build) => Some(self.buildbot.properties(build.buildid).await?),
            None => request.properties,
        };
        let code = match request.results.unwrap_or(-1) {
            // A build that had nothing to do; without one, the request was dropped.
            code if Results::of(code) == Results::Skipped && !builds.is_empty() => 0,
            code => code,
        };
        Ok(Some((Exit::Code(code), serde_json::json!(properties.unwrap_or_default()))))
    }
}
