//! Finding graphs.

use serde::{Deserialize, Serialize};
use service_kit::store::StoreError;
use taskcluster::scheduler::TaskGraphState;
use taskcluster_core::time::Timestamp;

use super::Store;
use super::rows::{self, graph_columns};
use crate::graph::Graph;

/// Which graphs are wanted: those for which all of this holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "the parameters of a query")]
pub struct Filter {
    /// Submitted with this route.
    pub route: Option<String>,
    /// Submitted with this tag: a name, `=` and a value.
    pub tag: Option<String>,
    /// In this state now.
    pub state: Option<TaskGraphState>,
}

/// The place of a graph in the list, which begins with the latest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place(i64, String);

impl Place {
    /// That of a graph.
    #[must_use]
    pub fn of(graph: &Graph) -> Self {
        Self(graph.submitted.as_millis(), graph.id.to_string())
    }

    /// Before all others.
    #[must_use]
    pub fn first() -> Self {
        Self(i64::MAX, String::new())
    }
}

const SELECT: &str = concat!(
    "SELECT ",
    graph_columns!(),
    " FROM graphs WHERE (submitted, graph_id) < ($1, $2) AND expires > $3
     AND (CAST($4 AS TEXT) IS NULL OR EXISTS (SELECT 1 FROM labels l WHERE l.graph_id = graphs.graph_id AND l.label = $4))
     AND (CAST($5 AS TEXT) IS NULL OR EXISTS (SELECT 1 FROM labels l WHERE l.graph_id = graphs.graph_id AND l.label = $5))
     AND (CAST($6 AS TEXT) IS NULL
         OR $6 = CASE WHEN leaves_left = 0 THEN 'finished' WHEN blockers = 0 THEN 'running' ELSE 'blocked' END)
     ORDER BY submitted DESC, graph_id DESC LIMIT $7"
);

/// What a graph with this route is found by.
pub(super) fn route_label(route: &str) -> String {
    format!("route:{route}")
}

/// What a graph with this tag is found by.
pub(super) fn tag_label(tag: &str) -> String {
    format!("tag:{tag}")
}

impl Store {
    /// Graphs behind a place, the latest first, at most `limit`.
    pub async fn list(
        &self,
        filter: &Filter,
        after: &Place,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Graph>, StoreError> {
        let route = filter.route.as_deref().map(route_label);
        let tag = filter.tag.as_deref().map(tag_label);
        let state = filter.state.as_ref().map(TaskGraphState::as_str);
        let args = [
            after.0.into(),
            (&after.1).into(),
            now.into(),
            route.as_deref().into(),
            tag.as_deref().into(),
            state.into(),
            limit.into(),
        ];
        self.kit.rows(SELECT, &args).await?.iter().map(rows::graph).collect()
    }
}
