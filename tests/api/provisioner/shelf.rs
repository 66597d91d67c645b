//! A provider of things that do nothing until the test does it in their name.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde_json::{Map, Value};
use taskcluster::provisioner::WorkerTypeProvider;
use taskcluster_provisioner::instance::Place;
use taskcluster_provisioner::provider::{Launch, Offer, Phase, Provider, Result, Sighting, Specification};
use taskcluster_provisioner::worker_type::Definition;

/// What is on it, by name, with what it was told. All clones are one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shelf(Arc<Mutex<BTreeMap<String, Map<String, Value>>>>);

impl Shelf {
    pub(crate) fn all(&self) -> MutexGuard<'_, BTreeMap<String, Map<String, Value>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Names and tokens of what is there.
    pub(crate) fn tokens(&self) -> Vec<(String, String)> {
        let token = |told: &Map<String, Value>| told["securityToken"].as_str().unwrap().to_owned();
        self.all().iter().map(|(id, told)| (id.clone(), token(told))).collect()
    }
}

#[async_trait]
impl Provider for Shelf {
    fn kind(&self) -> &'static str {
        "local-process"
    }

    /// A way for each word; those that begin with `no` do not add up.
    async fn specify(&self, definition: &Definition) -> Result<Vec<Specification>> {
        let WorkerTypeProvider::LocalProcess(wanted) = definition.provider() else { return Ok(Vec::new()) };
        let specify = |word: &String| Specification {
            place: Place { region: "shelf".to_owned(), instance_type: word.clone(), ..Place::default() },
            capacity: 1,
            fault: word.starts_with("no").then(|| format!("there is no {word}")),
            scopes: definition.scopes().to_vec(),
            ..Specification::default()
        };
        Ok(wanted.command.iter().map(specify).collect())
    }

    async fn offers(&self, _: &Definition) -> Result<Vec<Offer>> {
        let (worker_group, place) = ("shelf".to_owned(), Place::default());
        Ok(vec![Offer { worker_group, place, capacity: 1, price: 0.5, utility: 1.0, bias: 1.0, bid: None }])
    }

    async fn launch(&self, launch: &Launch) -> Result<String> {
        self.all().entry(launch.instance_id.clone()).or_insert_with(|| launch.user_data.clone());
        Ok(format!("shelf-{}", launch.instance_id))
    }

    async fn list(&self) -> Result<Vec<Sighting>> {
        let sighting = |id: &String| Sighting {
            provider_id: format!("shelf-{id}"),
            instance_id: id.clone(),
            phase: Phase::Alive,
            place: None,
            says: None,
        };
        Ok(self.all().keys().map(sighting).collect())
    }

    async fn end(&self, gone: &[Sighting]) -> Result<()> {
        self.all().retain(|id, _| gone.iter().all(|gone| gone.instance_id != *id));
        Ok(())
    }
}
