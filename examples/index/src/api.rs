//! The API: what each method asks of its caller, and what it answers.

use async_trait::async_trait;
use taskcluster::index as wire;
use taskcluster::queue::Queue;
use taskcluster_core::clock::SharedClock;
use taskcluster_server::index::{FindTasksAtIndexQuery, IndexApi, ListNamespacesQuery, ListTasksQuery};
use taskcluster_server::{Call, Failure, Reply};

use crate::store::Store;

mod change;
mod find;
mod list;

/// The answers to everything.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    pub(crate) store: Store,
    pub(crate) queue: Queue,
    pub(crate) clock: SharedClock,
}

#[async_trait]
impl IndexApi for Api {
    async fn find_task(&self, _: &Call, index_path: String) -> Result<Reply<wire::IndexedTask>, Failure> {
        Ok(self.find(&index_path).await?.into())
    }

    async fn find_tasks_at_index(
        &self,
        call: &Call,
        query: FindTasksAtIndexQuery,
        payload: wire::FindTasksAtIndexRequest,
    ) -> Result<Reply<wire::FindTasksAtIndexResponse>, Failure> {
        Ok(self.find_many(call, query, payload).await?.into())
    }

    async fn find_artifact_from_task(&self, _: &Call, index_path: String, name: String) -> Result<Reply<()>, Failure> {
        self.artifact(&index_path, &name).await
    }

    async fn list_namespaces(
        &self,
        call: &Call,
        namespace: String,
        query: ListNamespacesQuery,
    ) -> Result<Reply<wire::ListNamespacesResponse>, Failure> {
        Ok(self.list_spaces(call, &namespace, query).await?.into())
    }

    async fn list_tasks(
        &self,
        call: &Call,
        namespace: String,
        query: ListTasksQuery,
    ) -> Result<Reply<wire::ListTasksResponse>, Failure> {
        Ok(self.list_entries(call, &namespace, query).await?.into())
    }

    async fn insert_task(
        &self,
        _: &Call,
        namespace: String,
        payload: wire::InsertTaskRequest,
    ) -> Result<Reply<wire::IndexedTask>, Failure> {
        Ok(self.insert(&namespace, payload).await?.into())
    }

    async fn delete_task(&self, _: &Call, namespace: String) -> Result<Reply<()>, Failure> {
        Ok(self.delete(&namespace).await?.into())
    }
}
