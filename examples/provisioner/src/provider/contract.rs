//! What every provider has to do, as tests: a new one is right if it passes.
//!
//! A test of a provider implements [`Subject`] and calls [`check`].

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::{Launch, Phase, Provider, ProviderError, Sighting};
use crate::choose::choose;
use crate::worker_type::Definition;

/// How long anything may take that a provider does in its own time.
const PATIENCE: Duration = Duration::from_secs(120);

/// A provider under test, with what is particular to it.
#[async_trait]
pub trait Subject: Send + Sync {
    /// A provider of the same fleet. Each call gives a new one, as after a restart.
    async fn provider(&self) -> Box<dyn Provider>;

    /// A provider of another provisioner at the same place.
    async fn stranger(&self) -> Box<dyn Provider>;

    /// A definition whose instances go on until they are ended.
    fn lasting(&self) -> Definition;

    /// A definition whose instances end by themselves at once; nothing if there is no such thing.
    fn passing(&self) -> Option<Definition>;

    /// A definition that is of no use.
    fn useless(&self) -> Definition;

    /// What an instance was told, once it runs; nothing if it cannot be seen.
    async fn told(&self, sighting: &Sighting) -> Option<Value>;
}

/// Check that the subject keeps the contract.
///
/// # Panics
/// With the first thing that it does not do.
pub async fn check(subject: &dyn Subject) {
    refuses_what_is_of_no_use(subject).await;
    starts_and_ends(subject).await;
    starts_once_what_is_asked_for_twice(subject).await;
    is_known_after_a_restart_and_to_nobody_else(subject).await;
    tells_of_what_ended_by_itself(subject).await;
    forgets_what_is_gone(subject).await;
}

/// A launch of an offer of this definition.
async fn launch(provider: &dyn Provider, definition: &Definition, name: &str) -> Launch {
    let offers = provider.offers(definition).await.expect("there are offers");
    let chosen = choose(&offers, 1, u32::MAX);
    let offer = (*chosen.first().expect("one of them fits")).clone();
    let user_data: Map<String, Value> =
        json!({"workerId": name, "text": "quotes ' \" and $HOME\n"}).as_object().cloned().expect("it is an object");
    Launch {
        instance_id: name.to_owned(),
        worker_type: "contract".to_owned(),
        definition: definition.clone(),
        offer,
        user_data,
    }
}

async fn find(provider: &dyn Provider, name: &str) -> Option<Sighting> {
    let listed = provider.list().await.expect("it lists");
    let names: HashSet<&str> = listed.iter().map(|sighting| &*sighting.instance_id).collect();
    assert_eq!(names.len(), listed.len(), "nothing is listed twice: {listed:?}");
    listed.into_iter().find(|sighting| sighting.instance_id == name)
}

/// Wait until it is so; what it is then.
async fn until(provider: &dyn Provider, name: &str, is: impl Fn(Option<&Sighting>) -> bool) -> Option<Sighting> {
    let reached = async {
        loop {
            let found = find(provider, name).await;
            if is(found.as_ref()) {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, reached).await.unwrap_or_else(|_| panic!("{name} does not get so far"))
}

fn is(phase: Phase) -> impl Fn(Option<&Sighting>) -> bool {
    move |sighting| sighting.is_some_and(|sighting| sighting.phase == phase)
}

fn is_over(sighting: Option<&Sighting>) -> bool {
    sighting.is_none_or(|sighting| sighting.phase == Phase::Gone)
}

/// End it, and see it gone.
async fn end(provider: &dyn Provider, sighting: &Sighting) {
    provider.end(std::slice::from_ref(sighting)).await.expect("it ends");
    until(provider, &sighting.instance_id, is_over).await;
    provider.end(std::slice::from_ref(sighting)).await.expect("what has ended is ended");
}

async fn refuses_what_is_of_no_use(subject: &dyn Subject) {
    let provider = subject.provider().await;
    match provider.specify(&subject.useless()).await {
        Err(ProviderError::Refused(reason)) => assert!(!reason.is_empty()),
        Ok(all) => assert!(all.iter().all(|specification| specification.fault.is_some()), "{all:?}"),
        Err(error) => panic!("{error}"),
    }
    let specified = provider.specify(&subject.lasting()).await.expect("it is of use");
    assert!(!specified.is_empty() && specified.iter().all(|specification| specification.fault.is_none()));
}

async fn starts_and_ends(subject: &dyn Subject) {
    let provider = subject.provider().await;
    let launch = launch(&*provider, &subject.lasting(), "contract-starts").await;
    let provider_id = provider.launch(&launch).await.expect("it launches");
    let sighting = until(&*provider, "contract-starts", is(Phase::Alive)).await.expect("it is there");
    assert_eq!(sighting.provider_id, provider_id);
    if let Some(told) = subject.told(&sighting).await {
        assert_eq!(told, Value::Object(launch.user_data));
    }
    end(&*provider, &sighting).await;
}

async fn starts_once_what_is_asked_for_twice(subject: &dyn Subject) {
    let provider = subject.provider().await;
    let launch = launch(&*provider, &subject.lasting(), "contract-twice").await;
    let (first, second) = tokio::join!(provider.launch(&launch), provider.launch(&launch));
    let first = first.or(second).expect("one of them is answered");
    let again = subject.provider().await.launch(&launch).await.expect("it may be asked for again");
    assert_eq!(first, again);
    let sighting = until(&*provider, "contract-twice", is(Phase::Alive)).await.expect("it is there");
    end(&*provider, &sighting).await;
}

async fn is_known_after_a_restart_and_to_nobody_else(subject: &dyn Subject) {
    let provider = subject.provider().await;
    let launch = launch(&*provider, &subject.lasting(), "contract-known").await;
    provider.launch(&launch).await.expect("it launches");
    drop(provider);
    let provider = subject.provider().await;
    let sighting = until(&*provider, "contract-known", is(Phase::Alive)).await.expect("it is there");
    assert_eq!(find(&*subject.stranger().await, "contract-known").await, None);
    end(&*provider, &sighting).await;
}

async fn tells_of_what_ended_by_itself(subject: &dyn Subject) {
    let Some(passing) = subject.passing() else { return };
    let provider = subject.provider().await;
    provider.launch(&launch(&*provider, &passing, "contract-passes").await).await.expect("it launches");
    let sighting = until(&*provider, "contract-passes", is_over).await;
    if let Some(sighting) = sighting {
        end(&*provider, &sighting).await;
    }
}

async fn forgets_what_is_gone(subject: &dyn Subject) {
    let provider = subject.provider().await;
    let unknown = Sighting {
        provider_id: "never-was".to_owned(),
        instance_id: "contract-never-was".to_owned(),
        phase: Phase::Gone,
        place: None,
        says: None,
    };
    provider.end(&[unknown]).await.expect("what never was has ended");
    for sighting in provider.list().await.expect("it lists") {
        assert!(is_over(Some(&sighting)), "it is left over: {sighting:?}");
    }
}
