//! Which graphs there are.

use service_kit::pages;
use taskcluster::scheduler as wire;
use taskcluster_server::Failure;
use taskcluster_server::scheduler::ListTaskGraphsQuery;

use super::Api;
use crate::store::{Filter, Place};

/// A page never has more rows.
pub(super) const MOST: u32 = 1000;

impl Api {
    pub(super) async fn list(&self, query: ListTaskGraphsQuery) -> Result<wire::ListTaskGraphsResponse, Failure> {
        let after: Option<Place> = pages::after(query.continuation_token.as_deref())?;
        let limit = query.limit.unwrap_or(MOST).min(MOST) as usize;
        let state = query.state.map(|state| match wire::TaskGraphState::from(state) {
            wire::TaskGraphState::Unknown(other) => {
                Err(Failure::input_error(format!("`state` is {other:?}; it can be running, blocked or finished")))
            }
            known => Ok(known),
        });
        let filter = Filter { route: query.route, tag: query.tag, state: state.transpose()? };
        let after = after.unwrap_or_else(Place::first);
        let found = self.store.list(&filter, &after, limit + 1, self.clock.now()).await?;
        let page = pages::cut(found, limit, Place::of);
        let answer = wire::ListTaskGraphsResponse::new(page.rows.iter().map(|graph| graph.summary(&self.scheduler_id)));
        Ok(match page.continuation_token {
            Some(token) => answer.with_continuation_token(token),
            None => answer,
        })
    }
}
