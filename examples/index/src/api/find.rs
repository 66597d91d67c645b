//! Finding tasks, and what they left, by names.

use std::collections::BTreeSet;

use service_kit::pages;
use taskcluster::index as wire;
use taskcluster::queue::Queue;
use taskcluster_core::scopes::Params;
use taskcluster_core::time::minutes;
use taskcluster_server::index::FindTasksAtIndexQuery;
use taskcluster_server::{Call, Failure, Reply};

use super::Api;
use super::list::{MOST, shown};
use crate::entry::Entry;
use crate::path::IndexPath;

/// How long a link to an artifact leads there.
const LINK: std::time::Duration = minutes(15);

impl Api {
    pub(super) async fn find(&self, path: &str) -> Result<wire::IndexedTask, Failure> {
        self.entry(path).await?.to_wire().map_err(Failure::internal)
    }

    async fn entry(&self, path: &str) -> Result<Entry, Failure> {
        let found = match path.parse::<IndexPath>() {
            Ok(path) => self.store.find(&path, self.clock.now()).await?,
            // Nothing can stand there.
            Err(_) => None,
        };
        found.ok_or_else(|| Failure::not_found(format!("No task is indexed as {path}")))
    }

    /// A page is so many names rather than so many entries: names under which nothing stands make it shorter.
    pub(super) async fn find_many(
        &self,
        call: &Call,
        query: FindTasksAtIndexQuery,
        payload: wire::FindTasksAtIndexRequest,
    ) -> Result<wire::FindTasksAtIndexResponse, Failure> {
        let indexes = payload.indexes.unwrap_or_default();
        call.authorize(Params::new().list("indexPaths", indexes.iter().map(String::as_str))).await?;
        let after: Option<String> = pages::after(query.continuation_token.as_deref())?;
        let is_left = |path: &String| after.as_ref().is_none_or(|after| path > after);
        let wanted: BTreeSet<String> = indexes.into_iter().filter(is_left).collect();
        // What is no name stands nowhere.
        let paths: Vec<IndexPath> = wanted.iter().filter_map(|path| path.parse().ok()).collect();
        let page = pages::cut(paths, query.limit.unwrap_or(MOST) as usize, IndexPath::to_string);
        let tasks = shown(&self.store.find_all(&page.rows, self.clock.now()).await?)?;
        let answer = wire::FindTasksAtIndexResponse::new(tasks);
        Ok(match page.continuation_token {
            Some(token) => answer.with_continuation_token(token),
            None => answer,
        })
    }

    /// The caller was found to be allowed to get artifacts of this name. So the link allows that, and no more: where the
    /// artifact is a link to another one, the queue looks whether everybody may get that.
    pub(super) async fn artifact(&self, path: &str, name: &str) -> Result<Reply<()>, Failure> {
        let entry = self.entry(path).await?;
        let allowed = self.queue.caller().to_builder().authorized_scopes([format!("queue:get-artifact:{name}")]);
        let queue = Queue::new(allowed.build().map_err(Failure::internal)?);
        let url = queue.get_latest_artifact(&entry.task_id, name).signed_for(LINK).map_err(Failure::internal)?;
        Ok(Reply::new(()).with_status(303).with_header("location", url))
    }
}
