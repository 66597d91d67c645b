//! What a decision comes to.

use std::collections::{BTreeMap, HashSet};

use service_kit::store::StoreError;

use super::{Listed, Passes};
use crate::decide::Decision;
use crate::instance::{Instance, State};
use crate::provider::{Phase, Sighting};
use crate::store::Pass;
use crate::worker_type::WorkerType;

impl Passes {
    /// Writes down what was decided, and wishes for what is missing.
    pub(super) async fn carry_out(&self, worker_type: &WorkerType, decision: Decision) -> Result<(), StoreError> {
        let Decision { changes, missing, mut room, desired, mut why, .. } = decision;
        if !self.store.change(&self.lead, changes, self.clock.now()).await? {
            return Ok(());
        }
        for (version, units) in missing {
            let Some(version) = worker_type.version(version) else { continue };
            why.extend(self.wish(worker_type, version, units, &mut room).await?);
        }
        let pass = Pass { ended: self.clock.now(), desired, why };
        self.store.put_pass(&worker_type.name, &pass).await
    }

    /// Ends what providers list and nobody knows of, and has them forget what is gone.
    pub(super) async fn end_orphans(&self, listed: &Listed, instances: &BTreeMap<String, Vec<Instance>>) {
        let known: HashSet<&str> = instances.values().flatten().map(|instance| &*instance.id).collect();
        for (kind, sightings) in &listed.by_provider {
            let orphans: Vec<Sighting> =
                sightings.values().filter(|sighting| !known.contains(&*sighting.instance_id)).cloned().collect();
            for orphan in orphans.iter().filter(|orphan| orphan.phase != Phase::Gone) {
                tracing::warn!(
                    provider = kind,
                    instance = orphan.instance_id,
                    "an instance that nobody knows of is ended"
                );
            }
            self.tell_to_end(kind, &orphans).await;
        }
    }

    /// Has all that shall end told so, again and again until it has.
    pub(super) async fn end(&self, listed: &Listed) -> Result<(), StoreError> {
        let live = self.store.live().await?;
        let stopping: HashSet<&str> =
            live.iter().filter(|instance| instance.state == State::Stopping).map(|instance| &*instance.id).collect();
        for (kind, sightings) in &listed.by_provider {
            let ending: Vec<Sighting> =
                sightings.values().filter(|sighting| stopping.contains(&*sighting.instance_id)).cloned().collect();
            self.tell_to_end(kind, &ending).await;
        }
        Ok(())
    }

    async fn tell_to_end(&self, kind: &str, ending: &[Sighting]) {
        if ending.is_empty() {
            return;
        }
        let Ok(provider) = self.providers.get(kind) else { return };
        if let Err(error) = provider.end(ending).await {
            let error = taskcluster_core::chain(&error).to_string();
            tracing::warn!(provider = kind, error, "instances cannot be ended, and are told again");
        }
    }
}
