//! What there is.

use service_kit::pages;
use taskcluster::provisioner as wire;
use taskcluster_server::Failure;
use taskcluster_server::provisioner::{
    GetLaunchSpecsQuery, ListWorkerTypeSummariesQuery, ListWorkerTypesQuery, StateQuery,
};

use super::{Api, limit};
use crate::instance::{Instance, Place, State};
use crate::observe;
use crate::passes::trouble;
use crate::provider::{Existing, Specification};
use crate::worker_type::WorkerType;

impl Api {
    pub(super) async fn names(&self, query: ListWorkerTypesQuery) -> Result<wire::ListWorkerTypesResponse, Failure> {
        let (page, token) = self.page(query.continuation_token.as_deref(), limit(query.limit)).await?;
        let answer = wire::ListWorkerTypesResponse::new(page.into_iter().map(|worker_type| worker_type.name));
        Ok(match token {
            Some(token) => answer.with_continuation_token(token),
            None => answer,
        })
    }

    pub(super) async fn summaries(
        &self,
        query: ListWorkerTypeSummariesQuery,
    ) -> Result<wire::ListWorkerTypeSummariesResponse, Failure> {
        let (page, token) = self.page(query.continuation_token.as_deref(), limit(query.limit)).await?;
        let mut summaries = Vec::with_capacity(page.len());
        for worker_type in &page {
            summaries.push(self.summary(worker_type).await?);
        }
        let answer = wire::ListWorkerTypeSummariesResponse::new(summaries);
        Ok(match token {
            Some(token) => answer.with_continuation_token(token),
            None => answer,
        })
    }

    async fn page(&self, token: Option<&str>, limit: usize) -> Result<(Vec<WorkerType>, Option<String>), Failure> {
        let after: Option<String> = pages::after(token)?;
        let found = self.store.worker_types(&after.unwrap_or_default(), limit + 1).await?;
        let page = pages::cut(found, limit, |worker_type| worker_type.name.clone());
        Ok((page.rows, page.continuation_token))
    }

    async fn summary(&self, worker_type: &WorkerType) -> Result<wire::WorkerTypeSummary, Failure> {
        let instances = self.there(worker_type).await?;
        let capacity = |state: State| -> u32 {
            instances.iter().filter(|instance| instance.state == state).map(|instance| instance.capacity).sum()
        };
        let bounds = worker_type.bounds();
        Ok(wire::WorkerTypeSummary::new(
            &worker_type.name,
            bounds.min,
            bounds.max,
            capacity(State::Requested),
            capacity(State::Pending),
            capacity(State::Running),
        ))
    }

    /// All instances of a worker type that have not ended; of a fixed one its workers.
    async fn there(&self, worker_type: &WorkerType) -> Result<Vec<Instance>, Failure> {
        let definition = &worker_type.settled.definition;
        let existing = self.providers.of(definition).ok().and_then(|provider| provider.existing(definition));
        match existing {
            Some(existing) => self.fixed(worker_type, existing).await,
            None => Ok(self.store.instances(&worker_type.name, "", usize::MAX).await?),
        }
    }

    /// Fixed workers as instances: one that is not heard of is as good as one that was only asked for.
    async fn fixed(&self, worker_type: &WorkerType, existing: Vec<Existing>) -> Result<Vec<Instance>, Failure> {
        let now = self.clock.now();
        let workers = observe::workers(&self.queue, &self.provisioner_id, &worker_type.name).await;
        let workers = workers.map_err(Failure::internal)?;
        let mut instances: Vec<Instance> = existing
            .into_iter()
            .map(|worker| {
                let activity = workers.get(&worker.worker_group, &worker.worker_id);
                let reason = trouble(activity, worker_type, now);
                Instance {
                    id: worker.worker_id,
                    worker_type: worker_type.name.clone(),
                    version: worker_type.settled.number,
                    provider: "fixed".to_owned(),
                    worker_group: worker.worker_group,
                    place: Place::default(),
                    capacity: worker.capacity,
                    price: 0.0,
                    provider_id: None,
                    state: if reason.is_some() { State::Requested } else { State::Running },
                    created: worker_type.last_modified,
                    since: worker_type.last_modified,
                    started: None,
                    reason,
                }
            })
            .collect();
        instances.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(instances)
    }

    pub(super) async fn state_of(
        &self,
        name: &str,
        query: StateQuery,
    ) -> Result<wire::WorkerTypeStateResponse, Failure> {
        let worker_type = self.get(name).await?;
        let summary = self.summary(&worker_type).await?;
        let after: Option<String> = pages::after(query.continuation_token.as_deref())?;
        let mut there = self.there(&worker_type).await?;
        there.retain(|instance| after.as_ref().is_none_or(|after| instance.id > *after));
        let page = pages::cut(there, limit(query.limit), |instance| instance.id.clone());
        let answer = wire::WorkerTypeStateResponse::new(summary, page.rows.iter().map(shown));
        Ok(match page.continuation_token {
            Some(token) => answer.with_continuation_token(token),
            None => answer,
        })
    }

    pub(super) async fn launch_specs(
        &self,
        name: &str,
        query: GetLaunchSpecsQuery,
    ) -> Result<wire::LaunchSpecsResponse, Failure> {
        let worker_type = self.get(name).await?;
        let definition = &worker_type.newest().definition;
        let specifications = self.providers.of(definition)?.specify(definition).await?;
        let after: Option<usize> = pages::after(query.continuation_token.as_deref())?;
        let rest: Vec<(usize, Specification)> =
            specifications.into_iter().enumerate().skip(after.map_or(0, |after| after + 1)).collect();
        let page = pages::cut(rest, limit(query.limit), |(place, _)| *place);
        let answer = wire::LaunchSpecsResponse::new(name, page.rows.into_iter().map(|(_, it)| specified(it)));
        Ok(match page.continuation_token {
            Some(token) => answer.with_continuation_token(token),
            None => answer,
        })
    }

    pub(super) async fn explained(&self, name: &str) -> Result<wire::ExplanationResponse, Failure> {
        self.get(name).await?;
        Ok(match self.store.pass(name).await? {
            Some(pass) => wire::ExplanationResponse::new(name, pass.desired, pass.why).with_time(pass.ended),
            None => wire::ExplanationResponse::new(name, 0, ["Nobody has looked at it yet.".to_owned()]),
        })
    }
}

fn shown(instance: &Instance) -> wire::WorkerInstance {
    let Instance { place, .. } = instance;
    let state = wire::WorkerInstanceState::from(instance.state.as_str().to_owned());
    let (id, group) = (&instance.id, &instance.worker_group);
    let mut shown = wire::WorkerInstance::new(id, group, instance.version, state, instance.capacity, instance.created);
    shown.provider_instance_id.clone_from(&instance.provider_id);
    shown.reason.clone_from(&instance.reason);
    shown.price = (instance.price > 0.0).then_some(instance.price);
    let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    shown.region = said(&place.region);
    shown.zone = said(&place.zone);
    shown.instance_type = said(&place.instance_type);
    shown.image = said(&place.image);
    shown
}

fn specified(specification: Specification) -> wire::LaunchSpec {
    let Specification { place, capacity, launch, user_data, scopes, fault } = specification;
    let said = |text: String| (!text.is_empty()).then_some(text);
    let mut spec = wire::LaunchSpec::new(capacity.max(1), launch, user_data, scopes);
    spec.region = said(place.region);
    spec.instance_type = said(place.instance_type);
    spec.error = fault;
    spec
}
