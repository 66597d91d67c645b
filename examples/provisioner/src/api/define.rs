//! Defining worker types.

use taskcluster::provisioner as wire;
use taskcluster_core::scopes::{Params, satisfies};
use taskcluster_server::provisioner::UpdateWorkerTypeQuery;
use taskcluster_server::{Call, Failure};

use super::Api;
use crate::error::{faulty, no_worker_type};
use crate::store::Created;
use crate::worker_type::{Definition, WorkerType};

impl Api {
    pub(super) async fn create(
        &self,
        call: &Call,
        name: &str,
        payload: wire::CreateWorkerTypeRequest,
    ) -> Result<wire::WorkerTypeResponse, Failure> {
        let definition = self.checked(call, payload).await?;
        let created = match self.store.create(name, &definition, self.clock.now()).await? {
            Created::New(created) | Created::Same(created) => created,
            Created::Other => {
                return Err(Failure::conflict("there is a worker type of that name with another definition"));
            }
        };
        self.look_soon();
        Ok(shown(&created))
    }

    pub(super) async fn update(
        &self,
        call: &Call,
        name: &str,
        query: UpdateWorkerTypeQuery,
        payload: wire::CreateWorkerTypeRequest,
    ) -> Result<wire::WorkerTypeResponse, Failure> {
        let share = query.share.as_deref().map(share).transpose()?;
        let definition = self.checked(call, payload).await?;
        let updated = self.store.update(name, &definition, share, self.clock.now()).await?;
        self.look_soon();
        Ok(shown(&updated.ok_or_else(no_worker_type)?))
    }

    /// A definition that may be given by this caller, and that adds up.
    async fn checked(&self, call: &Call, payload: wire::CreateWorkerTypeRequest) -> Result<Definition, Failure> {
        let definition = Definition::new(payload);
        let provider = self.providers.of(&definition)?;
        let scopes = provider.scopes(&definition);
        call.authorize(Params::new().list("scopes", scopes.clone())).await?;
        self.can_give(&scopes).await?;
        if definition.sent().min_capacity.unwrap_or(0) > definition.sent().max_capacity {
            return Err(Failure::input_error("`minCapacity` is greater than `maxCapacity`"));
        }
        match faulty(&provider.specify(&definition).await?) {
            Some(failure) => Err(failure),
            None => Ok(definition),
        }
    }
}

impl Api {
    /// Whether the provisioner has scopes that it is to give: credentials with others are good for nothing.
    pub(super) async fn can_give(&self, scopes: &[String]) -> Result<(), Failure> {
        if scopes.is_empty() {
            return Ok(());
        }
        let own = self.auth.current_scopes().await.map_err(Failure::internal)?.scopes;
        let missing: Vec<&str> = scopes.iter().map(String::as_str).filter(|scope| !satisfies(&own, scope)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(Failure::input_error(format!(
            "the provisioner cannot give scopes that it has not: {}; give them to the role worker-type:{}/… instead",
            missing.join(", "),
            self.provisioner_id
        )))
    }
}

fn share(text: &str) -> Result<f64, Failure> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| Failure::input_error(format!("`share` is {text:?}, which is no number from 0 to 1")))
}

/// A worker type as it was defined last.
pub(super) fn shown(worker_type: &WorkerType) -> wire::WorkerTypeResponse {
    let version = worker_type.newest();
    let sent = version.definition.sent();
    let shown = wire::WorkerTypeResponse::new(
        &worker_type.name,
        &sent.description,
        &sent.owner,
        sent.min_capacity.unwrap_or(0),
        sent.max_capacity,
        sent.scaling_ratio,
        sent.spare.unwrap_or(0.0),
        sent.lifecycle.clone().unwrap_or_default(),
        sent.user_data.clone().unwrap_or_default(),
        sent.secrets.clone().unwrap_or_default(),
        version.definition.scopes(),
        sent.provider.clone(),
        worker_type.last_modified,
        version.number,
    );
    match &worker_type.candidate {
        Some(candidate) => {
            shown.with_rollout(wire::WorkerTypeRollout::new(candidate.share, worker_type.settled.number))
        }
        None => shown,
    }
}
