//! The API: what each method asks of its caller, and what it answers.

use async_trait::async_trait;
use service_kit::pages;
use taskcluster::purge_cache as wire;
use taskcluster_core::clock::SharedClock;
use taskcluster_core::ids::TaskQueueId;
use taskcluster_core::scopes::Params;
use taskcluster_core::time::Timestamp;
use taskcluster_server::purge_cache::{AllPurgeRequestsQuery, PurgeCacheApi, PurgeRequestsQuery};
use taskcluster_server::{Call, Failure, Reply};

use crate::request::{PurgeRequest, open_since};
use crate::store::{Key, Store};

/// A page never has more rows.
const MOST: u32 = 1000;

/// The answers to everything.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    pub(crate) store: Store,
    pub(crate) clock: SharedClock,
}

#[async_trait]
impl PurgeCacheApi for Api {
    async fn purge_cache(
        &self,
        call: &Call,
        worker_pool_id: String,
        payload: wire::PurgeCacheRequest,
    ) -> Result<Reply<()>, Failure> {
        call.authorize(Params::new().text("cacheName", &payload.cache_name)).await?;
        let request = PurgeRequest::new(pool(&worker_pool_id)?, payload.cache_name, self.clock.now())?;
        self.store.put(&request).await?;
        Ok(().into())
    }

    async fn all_purge_requests(
        &self,
        _: &Call,
        query: AllPurgeRequestsQuery,
    ) -> Result<Reply<wire::AllPurgeRequestsResponse>, Failure> {
        let after: Option<Key> = pages::after(query.continuation_token.as_deref())?;
        let limit = query.limit.unwrap_or(MOST).min(MOST) as usize;
        let found = self.store.all(&after.unwrap_or_default(), limit + 1, open_since(self.clock.now())).await?;
        let page = pages::cut(found, limit, Key::of);
        let answer = wire::AllPurgeRequestsResponse::new(page.rows.iter().map(PurgeRequest::to_wire));
        Ok(match page.continuation_token {
            Some(token) => answer.with_continuation_token(token),
            None => answer,
        }
        .into())
    }

    async fn purge_requests(
        &self,
        _: &Call,
        worker_pool_id: String,
        query: PurgeRequestsQuery,
    ) -> Result<Reply<wire::PurgeRequestsResponse>, Failure> {
        let open = open_since(self.clock.now());
        let since = query.since.as_deref().map(time).transpose()?;
        let found = self.store.of_pool(&pool(&worker_pool_id)?, since.map_or(open, |since| since.max(open))).await?;
        Ok(wire::PurgeRequestsResponse::new(found.iter().map(PurgeRequest::to_wire)).into())
    }
}

/// The router has looked at it; what it lets through names a pool.
fn pool(worker_pool_id: &str) -> Result<TaskQueueId, Failure> {
    worker_pool_id.parse().map_err(Failure::internal)
}

fn time(since: &str) -> Result<Timestamp, Failure> {
    since.parse().map_err(|_| Failure::input_error(format!("`since` is {since:?}, which is no date and time")))
}
