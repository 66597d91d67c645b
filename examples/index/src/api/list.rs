//! Looking around.

use service_kit::pages;
use taskcluster::index as wire;
use taskcluster_core::scopes::Params;
use taskcluster_server::index::{ListNamespacesQuery, ListTasksQuery};
use taskcluster_server::{Call, Failure};

use super::Api;
use crate::entry::{Entry, Namespace};

/// A page never has more rows.
pub(super) const MOST: u32 = 1000;

/// Entries as the API shows them.
pub(super) fn shown(entries: &[Entry]) -> Result<Vec<wire::IndexedTask>, Failure> {
    entries.iter().map(|entry| entry.to_wire().map_err(Failure::internal)).collect()
}

impl Api {
    pub(super) async fn list_entries(
        &self,
        call: &Call,
        namespace: &str,
        query: ListTasksQuery,
    ) -> Result<wire::ListTasksResponse, Failure> {
        call.authorize(Params::new().text("namespace", namespace)).await?;
        let after: Option<String> = pages::after(query.continuation_token.as_deref())?;
        let (after, limit) = (after.unwrap_or_default(), query.limit.unwrap_or(MOST) as usize);
        let found = self.store.entries(namespace, &after, limit + 1, self.clock.now()).await?;
        let page = pages::cut_within(found, limit, |entry| entry.data.len(), |entry| entry.path.name.clone());
        let answer = wire::ListTasksResponse::new(shown(&page.rows)?);
        Ok(match page.continuation_token {
            Some(token) => answer.with_continuation_token(token),
            None => answer,
        })
    }

    pub(super) async fn list_spaces(
        &self,
        call: &Call,
        namespace: &str,
        query: ListNamespacesQuery,
    ) -> Result<wire::ListNamespacesResponse, Failure> {
        call.authorize(Params::new().text("namespace", namespace)).await?;
        let after: Option<String> = pages::after(query.continuation_token.as_deref())?;
        let (after, limit) = (after.unwrap_or_default(), query.limit.unwrap_or(MOST) as usize);
        let found = self.store.namespaces(namespace, &after, limit + 1, self.clock.now()).await?;
        let page = pages::cut(found, limit, |namespace| namespace.path.name.clone());
        let answer = wire::ListNamespacesResponse::new(page.rows.iter().map(Namespace::to_wire));
        Ok(match page.continuation_token {
            Some(token) => answer.with_continuation_token(token),
            None => answer,
        })
    }
}
