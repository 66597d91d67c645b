//! Wishes: noted first, then asked for.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use serde_json::{Map, Value, json};
use service_kit::store::StoreError;
use taskcluster_core::ids::TaskId;
use taskcluster_core::time::Timestamp;

use super::Passes;
use crate::choose::choose;
use crate::instance::{Instance, State};
use crate::life::Change;
use crate::provider::{Launch, Offer, ProviderError};
use crate::store::Wish;
use crate::tokens::{SPARE, Tokens, digest};
use crate::worker_type::{Version, WorkerType};

/// So many launches are asked for at the same time.
const AT_ONCE: usize = 4;

/// What all launches have in common.
#[derive(Clone, Debug)]
pub(crate) struct Launches {
    pub(crate) root_url: Arc<str>,
    /// Where the provisioner is, if that is somewhere else.
    pub(crate) public_url: Option<Arc<str>>,
    pub(crate) provisioner_id: Arc<str>,
    pub(crate) tokens: Tokens,
}

impl Launches {
    /// What a worker is told when it is started.
    fn user_data(&self, instance: &Instance, version: &Version, data: &Map<String, Value>) -> Map<String, Value> {
        let told = json!({
            "rootUrl": *self.root_url,
            "provisionerId": *self.provisioner_id,
            "workerType": instance.worker_type,
            "workerGroup": instance.worker_group,
            "workerId": instance.id,
            "version": version.number,
            "capacity": instance.capacity,
            "idleTime": version.definition.lifecycle().idle.as_secs(),
            "securityToken": self.tokens.of(&instance.id),
            "data": data,
        });
        let mut told = told.as_object().cloned().unwrap_or_default();
        if let Some(url) = &self.public_url {
            told.insert("provisionerRootUrl".to_owned(), json!(**url));
        }
        told
    }
}

/// An instance of an offer.
fn wish(worker_type: &WorkerType, version: u32, provider: &str, offer: &Offer, now: Timestamp) -> Wish {
    let instance = Instance {
        id: TaskId::new().to_string(),
        worker_type: worker_type.name.clone(),
        version,
        provider: provider.to_owned(),
        worker_group: offer.worker_group.clone(),
        place: offer.place.clone(),
        capacity: offer.capacity,
        price: offer.price,
        provider_id: None,
        state: State::Requested,
        created: now,
        since: now,
        started: None,
        reason: None,
    };
    Wish { instance, offer: offer.clone() }
}

impl Passes {
    /// Notes wishes for what is missing of a version, and says what comes of it. How much more there may be is counted down.
    pub(super) async fn wish(
        &self,
        worker_type: &WorkerType,
        version: &Version,
        units: u32,
        room: &mut u32,
    ) -> Result<Vec<String>, StoreError> {
        if *room == 0 {
            return Ok(vec!["Nothing can be started before something has ended: as much runs as may.".to_owned()]);
        }
        let offers = match self.providers.of(&version.definition) {
            Ok(provider) => provider.offers(&version.definition).await.map(|offers| (provider.kind(), offers)),
            Err(error) => Err(error),
        };
        let (kind, offers) = match offers {
            Ok(offers) => offers,
            Err(error) => return Ok(vec![format!("Nothing can be started: {}.", taskcluster_core::chain(&error))]),
        };
        let chosen = choose(&offers, units, *room);
        if chosen.is_empty() {
            return Ok(vec![format!("Nothing can be started: of {} offers none fits into {room}.", offers.len())]);
        }
        let now = self.clock.now();
        let expires = now + version.definition.lifecycle().start + SPARE;
        let wishes: Vec<(Wish, String)> = chosen
            .iter()
            .map(|offer| {
                let wish = wish(worker_type, version.number, kind, offer, now);
                let digest = digest(&self.launches.tokens.of(&wish.instance.id));
                (wish, digest)
            })
            .collect();
        let capacity: u32 = chosen.iter().map(|offer| offer.capacity).sum();
        *room -= capacity;
        let said = format!("{} more are started, with capacity of {capacity}.", chosen.len());
        self.store.wish(&self.lead, wishes, expires, now).await?;
        Ok(vec![said])
    }

    /// Asks for all wishes that no provider has answered.
    pub(super) async fn launch(&self) -> Result<(), StoreError> {
        let wishes = self.store.unlaunched().await?;
        let mut launches = stream::iter(wishes).map(|wish| self.launch_one(wish)).buffer_unordered(AT_ONCE);
        while let Some(launched) = launches.next().await {
            launched?;
        }
        Ok(())
    }

    async fn launch_one(&self, wish: Wish) -> Result<(), StoreError> {
        let Wish { instance, offer } = wish;
        let Some(version) = self.store.version(&instance.worker_type, instance.version).await? else { return Ok(()) };
        let launched = match self.providers.get(&instance.provider) {
            Ok(provider) => {
                let fragments = provider.fragments(&version.definition, &instance.place);
                let launch = Launch {
                    instance_id: instance.id.clone(),
                    worker_type: instance.worker_type.clone(),
                    user_data: self.launches.user_data(&instance, &version, &fragments.user_data),
                    definition: version.definition,
                    offer,
                };
                provider.launch(&launch).await
            }
            Err(error) => Err(error),
        };
        match launched {
            Ok(provider_id) => self.store.launched(&instance.id, &provider_id).await,
            Err(ProviderError::Refused(reason)) => {
                tracing::warn!(instance = instance.id, reason, "an instance cannot be started");
                let (from, to) = (State::Requested, State::Ended);
                let change = Change { instance_id: instance.id, from, to, reason: Some(reason), failed: true };
                self.store.change(&self.lead, vec![change], self.clock.now()).await.map(drop)
            }
            Err(error) => {
                let error = taskcluster_core::chain(&error).to_string();
                tracing::warn!(instance = instance.id, error, "nobody knows whether an instance was started");
                Ok(())
            }
        }
    }
}
