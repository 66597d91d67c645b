//! Workers that somebody else starts: they are known by name, and only looked at.

use async_trait::async_trait;
use taskcluster::provisioner::WorkerTypeProvider;

use super::{Existing, Launch, Offer, Provider, ProviderError, Result, Sighting, Specification};
use crate::worker_type::Definition;

/// Starts nothing.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Fixed;

#[async_trait]
impl Provider for Fixed {
    fn kind(&self) -> &'static str {
        "fixed"
    }

    async fn specify(&self, _: &Definition) -> Result<Vec<Specification>> {
        Ok(Vec::new())
    }

    async fn offers(&self, _: &Definition) -> Result<Vec<Offer>> {
        Ok(Vec::new())
    }

    async fn launch(&self, _: &Launch) -> Result<String> {
        Err(ProviderError::Refused("fixed workers are started by somebody else".to_owned()))
    }

    async fn list(&self) -> Result<Vec<Sighting>> {
        Ok(Vec::new())
    }

    async fn end(&self, _: &[Sighting]) -> Result<()> {
        Ok(())
    }

    fn existing(&self, definition: &Definition) -> Option<Vec<Existing>> {
        let WorkerTypeProvider::Fixed(fixed) = definition.provider() else { return None };
        let existing = fixed.workers.iter().map(|worker| Existing {
            worker_group: worker.worker_group.clone(),
            worker_id: worker.worker_id.clone(),
            capacity: worker.capacity,
        });
        Some(existing.collect())
    }
}
