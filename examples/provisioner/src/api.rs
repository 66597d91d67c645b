//! The API: what each method asks of its caller, and what it answers.

use std::sync::Arc;

use async_trait::async_trait;
use taskcluster::auth::Auth;
use taskcluster::provisioner as wire;
use taskcluster::queue::Queue;
use taskcluster_core::clock::SharedClock;
use taskcluster_core::credentials::Credentials;
use taskcluster_core::time::Timestamp;
use taskcluster_core::transport::Body;
use taskcluster_server::provisioner::{
    FleetQuery, GetLaunchSpecsQuery, ListWorkerTypeSummariesQuery, ListWorkerTypesQuery, ProvisionerApi,
    ShouldTerminateQuery, StateQuery, UpdateWorkerTypeQuery,
};
use taskcluster_server::{Call, Failure, Reply};
use tokio::sync::watch;

use crate::error::no_worker_type;
use crate::provider::Providers;
use crate::store::Store;
use crate::worker_type::WorkerType;

mod define;
mod look;
mod numbers;
mod workers;

/// A page never has more rows.
const MOST: u32 = 1000;

/// The answers to everything.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    pub(crate) store: Store,
    pub(crate) providers: Providers,
    pub(crate) queue: Queue,
    pub(crate) auth: Auth,
    pub(crate) credentials: Credentials,
    pub(crate) provisioner_id: Arc<str>,
    pub(crate) hint: watch::Sender<u64>,
    pub(crate) begun: Timestamp,
    pub(crate) clock: SharedClock,
}

impl Api {
    async fn get(&self, worker_type: &str) -> Result<WorkerType, Failure> {
        self.store.worker_type(worker_type).await?.ok_or_else(no_worker_type)
    }

    /// Have a pass made soon.
    fn look_soon(&self) {
        self.hint.send_modify(|hint| *hint += 1);
    }
}

fn limit(asked: Option<u32>) -> usize {
    asked.unwrap_or(MOST).clamp(1, MOST) as usize
}

#[async_trait]
impl ProvisionerApi for Api {
    async fn list_worker_types(
        &self,
        _: &Call,
        query: ListWorkerTypesQuery,
    ) -> Result<Reply<wire::ListWorkerTypesResponse>, Failure> {
        Ok(self.names(query).await?.into())
    }

    async fn list_worker_type_summaries(
        &self,
        _: &Call,
        query: ListWorkerTypeSummariesQuery,
    ) -> Result<Reply<wire::ListWorkerTypeSummariesResponse>, Failure> {
        Ok(self.summaries(query).await?.into())
    }

    async fn create_worker_type(
        &self,
        call: &Call,
        worker_type: String,
        payload: wire::CreateWorkerTypeRequest,
    ) -> Result<Reply<wire::WorkerTypeResponse>, Failure> {
        Ok(self.create(call, &worker_type, payload).await?.into())
    }

    async fn update_worker_type(
        &self,
        call: &Call,
        worker_type: String,
        query: UpdateWorkerTypeQuery,
        payload: wire::CreateWorkerTypeRequest,
    ) -> Result<Reply<wire::WorkerTypeResponse>, Failure> {
        Ok(self.update(call, &worker_type, query, payload).await?.into())
    }

    async fn roll_out(
        &self,
        _: &Call,
        worker_type: String,
        payload: wire::RollOutRequest,
    ) -> Result<Reply<wire::WorkerTypeResponse>, Failure> {
        let rolled = self.store.roll_out(&worker_type, payload.share, self.clock.now()).await?;
        self.look_soon();
        Ok(define::shown(&rolled).into())
    }

    async fn roll_back(
        &self,
        _: &Call,
        worker_type: String,
        payload: wire::RollBackRequest,
    ) -> Result<Reply<wire::WorkerTypeResponse>, Failure> {
        let rolled = self.store.roll_back(&worker_type, payload.version, self.clock.now()).await?;
        self.look_soon();
        Ok(define::shown(&rolled).into())
    }

    async fn worker_type_last_modified(
        &self,
        _: &Call,
        worker_type: String,
    ) -> Result<Reply<wire::WorkerTypeLastModifiedResponse>, Failure> {
        let found = self.get(&worker_type).await?;
        let version = found.newest().number;
        Ok(wire::WorkerTypeLastModifiedResponse::new(found.name, found.last_modified, version).into())
    }

    async fn worker_type(&self, _: &Call, worker_type: String) -> Result<Reply<wire::WorkerTypeResponse>, Failure> {
        Ok(define::shown(&self.get(&worker_type).await?).into())
    }

    async fn remove_worker_type(&self, _: &Call, worker_type: String) -> Result<Reply<()>, Failure> {
        self.store.remove(&worker_type, self.clock.now()).await?;
        self.look_soon();
        Ok(().into())
    }

    async fn get_launch_specs(
        &self,
        _: &Call,
        worker_type: String,
        query: GetLaunchSpecsQuery,
    ) -> Result<Reply<wire::LaunchSpecsResponse>, Failure> {
        Ok(self.launch_specs(&worker_type, query).await?.into())
    }

    async fn state(
        &self,
        _: &Call,
        worker_type: String,
        query: StateQuery,
    ) -> Result<Reply<wire::WorkerTypeStateResponse>, Failure> {
        Ok(self.state_of(&worker_type, query).await?.into())
    }

    async fn explain(&self, _: &Call, worker_type: String) -> Result<Reply<wire::ExplanationResponse>, Failure> {
        Ok(self.explained(&worker_type).await?.into())
    }

    async fn fleet(
        &self,
        _: &Call,
        worker_type: String,
        query: FleetQuery,
    ) -> Result<Reply<wire::FleetResponse>, Failure> {
        Ok(self.numbers(&worker_type, query).await?.into())
    }

    async fn terminate_all_instances_of_worker_type(
        &self,
        _: &Call,
        worker_type: String,
    ) -> Result<Reply<wire::TerminateAllInstancesResponse>, Failure> {
        self.get(&worker_type).await?;
        let stopped =
            self.store.stop_all(&worker_type, "all instances of its type were ended", self.clock.now()).await?;
        self.look_soon();
        let stopped = u32::try_from(stopped).map_err(Failure::internal)?;
        Ok(wire::TerminateAllInstancesResponse::new(worker_type, stopped).into())
    }

    async fn create_secret(
        &self,
        call: &Call,
        token: String,
        payload: wire::CreateSecretRequest,
    ) -> Result<Reply<()>, Failure> {
        self.store_secret(call, &token, payload).await?;
        Ok(().into())
    }

    async fn get_secret(&self, _: &Call, token: String) -> Result<Reply<wire::GetSecretResponse>, Failure> {
        Ok(self.secret(&token).await?.into())
    }

    async fn instance_started(&self, _: &Call, instance_id: String, token: String) -> Result<Reply<()>, Failure> {
        self.started(&instance_id, &token).await?;
        Ok(().into())
    }

    async fn should_terminate(
        &self,
        _: &Call,
        worker_type: String,
        instance_id: String,
        query: ShouldTerminateQuery,
    ) -> Result<Reply<wire::ShouldTerminateResponse>, Failure> {
        Ok(self.hint(&worker_type, &instance_id, query).await?.into())
    }

    async fn remove_secret(&self, _: &Call, token: String) -> Result<Reply<()>, Failure> {
        self.store.remove_secret(&crate::tokens::digest(&token)).await?;
        Ok(().into())
    }

    async fn backend_status(&self, _: &Call) -> Result<Reply<wire::BackendStatusResponse>, Failure> {
        Ok(self.backend().await?.into())
    }

    async fn metrics(&self, _: &Call) -> Result<Reply<Body>, Failure> {
        self.prometheus().await
    }
}
