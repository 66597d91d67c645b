//! A provider that does what a test wants: it may be away, start something and lose its answer, list late, or never answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value};
use taskcluster_core::clock::SharedClock;
use taskcluster_core::time::Timestamp;
use taskcluster_provisioner::instance::Place;
use taskcluster_provisioner::provider::{
    Launch, Offer, Phase, Provider, ProviderError, Result, Sighting, Specification,
};
use taskcluster_provisioner::worker_type::Definition;
use tokio::sync::Notify;

/// Where a call may be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// Before anything was started.
    BeforeLaunch,
    /// After it was, and before that is said.
    AfterLaunch,
    /// Before it says what there is.
    Offers,
    /// After what is listed was looked up.
    List,
    /// Before anything is told to end.
    End,
}

/// Something that runs.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) worker_type: String,
    pub(crate) began: Timestamp,
    pub(crate) told: Map<String, Value>,
    pub(crate) phase: Phase,
}

/// What is in the sky, and how it behaves.
#[derive(Debug, Default)]
pub(crate) struct Sky {
    pub(crate) machines: BTreeMap<String, Machine>,
    /// How many were ever started.
    pub(crate) started: usize,
    pub(crate) away: bool,
    /// It does not end what it is told to.
    pub(crate) stubborn: bool,
    /// What it starts is started, and not answered.
    pub(crate) loses_answers: bool,
    /// What it starts ends at once.
    pub(crate) stillborn: bool,
    /// What was started so recently is not listed.
    pub(crate) lists_after: Duration,
    hold: Option<Point>,
}

#[derive(Debug)]
struct Shared {
    kind: &'static str,
    clock: SharedClock,
    sky: Mutex<Sky>,
    held: Notify,
    go_on: Notify,
}

/// The provider. All clones are one.
#[derive(Clone, Debug)]
pub(crate) struct Cloud(Arc<Shared>);

impl Cloud {
    pub(crate) fn new(kind: &'static str, clock: SharedClock) -> Self {
        let (held, go_on) = (Notify::new(), Notify::new());
        Self(Arc::new(Shared { kind, clock, sky: Mutex::default(), held, go_on }))
    }

    pub(crate) fn sky(&self) -> MutexGuard<'_, Sky> {
        self.0.sky.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those that run.
    pub(crate) fn alive(&self) -> Vec<String> {
        let sky = self.sky();
        sky.machines.iter().filter(|(_, machine)| machine.phase == Phase::Alive).map(|(id, _)| id.clone()).collect()
    }

    /// The next call that comes there does not go on before it [may](Self::go_on).
    pub(crate) fn hold(&self, point: Point) {
        self.sky().hold = Some(point);
    }

    /// Calls go on as they come.
    pub(crate) fn hold_nothing(&self) {
        self.sky().hold = None;
    }

    /// Until a call is held.
    pub(crate) async fn held(&self) {
        self.0.held.notified().await;
    }

    pub(crate) fn go_on(&self) {
        self.0.go_on.notify_one();
    }

    async fn at(&self, point: Point) {
        let held = self.sky().hold.take_if(|hold| *hold == point).is_some();
        if held {
            self.0.held.notify_one();
            self.0.go_on.notified().await;
        }
    }

    fn is_there(&self) -> Result<()> {
        match self.sky().away {
            true => Err(ProviderError::away("the cloud is away", "as the test wants it")),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Provider for Cloud {
    fn kind(&self) -> &'static str {
        self.0.kind
    }

    async fn specify(&self, _: &Definition) -> Result<Vec<Specification>> {
        Ok(Vec::new())
    }

    async fn offers(&self, _: &Definition) -> Result<Vec<Offer>> {
        self.at(Point::Offers).await;
        self.is_there()?;
        let (worker_group, place) = ("sky".to_owned(), Place::default());
        Ok(vec![Offer { worker_group, place, capacity: 1, price: 0.5, utility: 1.0, bias: 1.0, bid: None }])
    }

    async fn launch(&self, launch: &Launch) -> Result<String> {
        self.at(Point::BeforeLaunch).await;
        self.is_there()?;
        let (id, provider_id) = (launch.instance_id.clone(), format!("m-{}", launch.instance_id));
        let lost = {
            let mut sky = self.sky();
            let phase = if sky.stillborn { Phase::Gone } else { Phase::Alive };
            let machine = Machine {
                worker_type: launch.worker_type.clone(),
                began: self.0.clock.now(),
                told: launch.user_data.clone(),
                phase,
            };
            if let Some(there) = sky.machines.get(&id) {
                assert_eq!(there.told, machine.told, "it is asked for again as before");
            } else {
                sky.machines.insert(id, machine);
                sky.started += 1;
            }
            sky.loses_answers
        };
        self.at(Point::AfterLaunch).await;
        if lost { Err(ProviderError::away("the answer is lost", "as the test wants it")) } else { Ok(provider_id) }
    }

    async fn list(&self) -> Result<Vec<Sighting>> {
        self.is_there()?;
        let listed: Vec<Sighting> = {
            let (sky, now) = (self.sky(), self.0.clock.now());
            let known = sky.machines.iter().filter(|(_, machine)| now.since(machine.began) >= sky.lists_after);
            known
                .map(|(id, machine)| Sighting {
                    provider_id: format!("m-{id}"),
                    instance_id: id.clone(),
                    phase: machine.phase,
                    place: None,
                    says: (machine.phase == Phase::Gone).then(|| "it broke".to_owned()),
                })
                .collect()
        };
        self.at(Point::List).await;
        Ok(listed)
    }

    async fn end(&self, gone: &[Sighting]) -> Result<()> {
        self.at(Point::End).await;
        self.is_there()?;
        let mut sky = self.sky();
        if !sky.stubborn {
            for sighting in gone {
                sky.machines.remove(&sighting.instance_id);
            }
        }
        Ok(())
    }
}
