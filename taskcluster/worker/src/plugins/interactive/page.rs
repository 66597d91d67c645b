//! Pages of web interfaces that open a shell in a browser.

use url::Url;

use crate::context::TaskContext;
use crate::error::{Error, Result};

/// A page that opens a shell in a browser, with a protocol of its own. What it needs to know is in its address, which is an
/// artifact of the run: whoever may read that may do in the sandbox what the task may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShellPage {
    /// That for docker-worker, `v=1`, at the artifact `private/docker-worker/shell.html`. Web interfaces since docker-worker's end
    /// do not have it any more.
    DockerWorker,
    /// That for generic-worker, `v=2`, at the artifact `private/generic-worker/shell.html`.
    GenericWorker,
}

impl ShellPage {
    /// What is at the artifact.
    pub(super) const CONTENT_TYPE: &'static str = "text/html; charset=utf-8";

    /// The artifact that leads to it.
    #[must_use]
    pub fn artifact(self) -> &'static str {
        match self {
            Self::DockerWorker => "private/docker-worker/shell.html",
            Self::GenericWorker => "private/generic-worker/shell.html",
        }
    }

    fn version(self) -> &'static str {
        match self {
            Self::DockerWorker => "1",
            Self::GenericWorker => "2",
        }
    }

    /// The last segment of the path at which its protocol is spoken, below the secret of the run.
    pub(super) fn segment(self) -> &'static str {
        match self {
            Self::DockerWorker => "v1",
            Self::GenericWorker => "v2",
        }
    }

    /// Whose protocol is spoken there.
    pub(super) fn of_segment(segment: &str) -> Option<Self> {
        [Self::DockerWorker, Self::GenericWorker].into_iter().find(|page| page.segment() == segment)
    }

    /// The address of the page for a run whose shells are at `shells`.
    pub(super) fn url(self, task: &TaskContext, shells: &Url) -> Result<Url> {
        let mut socket = shells.clone();
        let scheme = if shells.scheme() == "https" { "wss" } else { "ws" };
        // The query is for the page to add.
        socket.set_query(None);
        let is_set = socket.set_scheme(scheme);
        let joined = socket.path_segments_mut().map(|mut path| {
            path.pop_if_empty().push(self.segment());
        });
        let root = Url::parse(task.root_url()).and_then(|root| root.join("/shell/"));
        let (Ok(()), Ok(()), Ok(mut page)) = (is_set, joined, root) else {
            return Err(Error::worker(format!("{shells} leads to no page of {}", task.root_url())));
        };
        page.query_pairs_mut()
            .append_pair("v", self.version())
            .append_pair("socketUrl", socket.as_str())
            .append_pair("taskId", &task.task_id().to_string())
            .append_pair("runId", &task.run_id().to_string());
        Ok(page)
    }
}
