//! The groups of a run that has not ended, as its data folder remembers them: whoever finds them there cancels them.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use taskcluster::queue::Queue;
use taskcluster_core::ids::TaskId;

use crate::group;

const FILE: &str = "open-groups.json";

/// Remembers groups, so that what a killed run leaves behind is not carried out by the next one.
#[derive(Debug)]
pub(crate) struct OpenGroups {
    path: PathBuf,
}

impl OpenGroups {
    /// Those of a data folder.
    pub(crate) fn of(data: &Path) -> Self {
        Self { path: data.join(FILE) }
    }

    /// A run that was killed left tasks behind: nobody waits for them any more.
    pub(crate) async fn cancel_former(&self, queue: &Queue) -> Result<()> {
        let text = match std::fs::read_to_string(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            text => text.with_context(|| format!("cannot read {}", self.path.display()))?,
        };
        // A disk that was full leaves half a list.
        let former: Vec<TaskId> = serde_json::from_str(&text).unwrap_or_default();
        for id in &former {
            group::cancel(queue, id).await?;
        }
        Ok(())
    }

    /// These are open now.
    pub(crate) fn remember(&self, ids: &[TaskId]) -> Result<()> {
        let text = serde_json::to_string(ids)?;
        std::fs::write(&self.path, text).with_context(|| format!("cannot write {}", self.path.display()))
    }

    /// None is open any more.
    pub(crate) fn forget(&self) {
        // What is cancelled twice is cancelled.
        let _ = std::fs::remove_file(&self.path);
    }
}
