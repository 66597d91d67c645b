//! Containers of a Docker engine.
//!
//! A container is named after the provisioner and the instance, and labelled with both: the engine itself refuses a second one of that
//! name, and tells which are ours after the provisioner was killed. It is made, then started; one that was made and not started, since
//! somebody was killed in between, is started when it is asked for again. Nothing here waits for what takes long: images are pulled and
//! containers stopped beside the passes.

use async_trait::async_trait;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, ListContainersOptionsBuilder,
    RemoveContainerOptionsBuilder, StartContainerOptions,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::{Map, Value};
use taskcluster::provisioner::{DockerProvider, WorkerTypeProvider};

use super::{Launch, Offer, Phase, Provider, ProviderError, Result, Sighting, Specification, USER_DATA};
use crate::instance::Place;
use crate::worker_type::Definition;

mod engine;
mod image;
mod mark;
mod plan;
mod pulls;
mod sighted;
mod stops;
mod turns;
mod volumes;

pub use engine::AddressError;

use engine::{Engine, ask};
use mark::Mark;
use plan::Plan;
use pulls::Pulls;
use sighted::Found;
use stops::Stops;
use turns::Turns;
use volumes::Allowed;

/// The `workerGroup` of all of them.
const WORKER_GROUP: &str = "docker";

/// Linux takes no variable that is longer, name and all. Source: execve(2), `MAX_ARG_STRLEN`.
const LONGEST_VARIABLE: usize = 128 * 1024 - 1;

/// So many containers are looked at at the same time.
const AT_ONCE: usize = 8;

/// What operators allow and want, whatever definitions say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Directories of the engine's machine: what is in one of them may be shown in containers. None by default.
    pub volumes: Vec<String>,
    /// The engine's network for containers, or `host`; empty for the engine's own bridge.
    pub network: String,
    /// Names that containers know besides, each `NAME:ADDRESS`; as address, `host-gateway` is the engine's machine.
    pub hosts: Vec<String>,
}

impl Options {
    /// With what is in these directories allowed as volumes.
    #[must_use]
    pub fn with_volumes(mut self, directories: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.volumes = directories.into_iter().map(Into::into).collect();
        self
    }

    /// With all containers in this network.
    #[must_use]
    pub fn with_network(mut self, network: impl Into<String>) -> Self {
        self.network = network.into();
        self
    }

    /// With these names known in containers.
    #[must_use]
    pub fn with_hosts(mut self, hosts: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.hosts = hosts.into_iter().map(Into::into).collect();
        self
    }
}

/// Starts containers.
#[derive(Debug)]
pub struct Docker {
    engine: Engine,
    mark: Mark,
    options: Options,
    allowed: Allowed,
    turns: Turns,
    pulls: Pulls,
    stops: Stops,
}

impl Docker {
    /// By the engine at `url`: `unix:///run/docker.sock` or `tcp://127.0.0.1:2375`. It is called when there is something to do, and
    /// need not be there yet. Containers are known by `owner`: two provisioners that share an engine need different ones.
    ///
    /// # Errors
    /// It is no such address.
    pub fn connect(url: &str, owner: impl Into<String>) -> Result<Self, AddressError> {
        let engine = Engine::new(url)?;
        Ok(Self {
            allowed: Allowed::new(&[], engine.is_local()),
            engine,
            mark: Mark::new(owner),
            options: Options::default(),
            turns: Turns::default(),
            pulls: Pulls::default(),
            stops: Stops::default(),
        })
    }

    /// With what operators allow.
    #[must_use]
    pub fn with_options(mut self, options: Options) -> Self {
        self.allowed = Allowed::new(&options.volumes, self.engine.is_local());
        self.options = options;
        self
    }

    /// The name of the container of an instance.
    #[must_use]
    pub fn container_name(&self, instance_id: &str) -> String {
        self.mark.name(instance_id)
    }

    /// What a definition comes to, or what is wrong with it.
    async fn plan(&self, wanted: &DockerProvider) -> Result<Plan, Vec<String>> {
        plan::plan(wanted, &self.allowed, &self.options).await
    }

    /// The same, where nothing may be wrong.
    async fn sound(&self, definition: &Definition) -> Result<Plan> {
        let wanted = wanted(definition)?;
        self.plan(wanted).await.map_err(|faults| ProviderError::Refused(faults.join("; ")))
    }

    /// A container of ours, by its name or the engine's.
    async fn find(&self, container: &str) -> Result<Option<Found>> {
        let inspecting = self.engine.api().await?.inspect_container(container, None::<InspectContainerOptions>);
        match ask("look at a container", inspecting).await? {
            Ok(inspected) => Ok(Found::of(inspected).filter(|found| self.mark.is_on(&found.labels))),
            Err(answer) if answer.status == 404 => Ok(None),
            Err(answer) => Err(answer.away("look at a container")),
        }
    }

    async fn create(&self, launch: &Launch, plan: Plan) -> Result<String> {
        let name = self.container_name(&launch.instance_id);
        let Plan { image, mut body } = plan;
        tell(&mut body, &launch.user_data)?;
        body.labels = Some(self.mark.labels(&launch.instance_id));
        let api = self.engine.api().await?;
        let options = CreateContainerOptionsBuilder::new().name(&name).build();
        match ask("make a container", api.create_container(Some(options), body)).await? {
            Ok(created) => Ok(created.id),
            Err(answer) if answer.status == 404 => Err(self.pulls.want(api, &image)),
            Err(answer) if answer.status == 400 => Err(answer.refused("make such a container")),
            // By a call that came at the same time, of another process: the next one finds it.
            Err(answer) => Err(answer.away("make a container")),
        }
    }

    async fn start(&self, container: &str) -> Result<()> {
        let starting = self.engine.api().await?.start_container(container, None::<StartContainerOptions>);
        match ask("start a container", starting).await? {
            Ok(()) => Ok(()),
            Err(answer) if answer.status == 304 => Ok(()),
            // Such as a network that is not there.
            Err(answer) if matches!(answer.status, 400 | 404) => {
                self.remove(container).await?;
                Err(answer.refused("start such a container"))
            }
            Err(answer) => Err(answer.away("start a container")),
        }
    }

    /// With the volumes that are nobody else's. What runs stays, and what is gone is gone.
    async fn remove(&self, container: &str) -> Result<()> {
        let options = RemoveContainerOptionsBuilder::new().v(true).build();
        let removing = self.engine.api().await?.remove_container(container, Some(options));
        match ask("remove a container", removing).await? {
            Ok(()) => Ok(()),
            // It is being removed already, or it came to run after all: whoever wants it gone says so again.
            Err(answer) if matches!(answer.status, 404 | 409) => Ok(()),
            Err(answer) => Err(answer.away("remove a container")),
        }
    }

    async fn end_one(&self, sighting: &Sighting) -> Result<()> {
        let Some(found) = self.find(&sighting.provider_id).await? else { return Ok(()) };
        match found.phase {
            Phase::Requested | Phase::Gone => self.remove(&found.id).await,
            Phase::Alive => {
                self.stops.begin(self.engine.api().await?, found.id);
                Ok(())
            }
            Phase::Ending => Ok(()),
        }
    }
}

#[async_trait]
impl Provider for Docker {
    fn kind(&self) -> &'static str {
        "docker"
    }

    async fn specify(&self, definition: &Definition) -> Result<Vec<Specification>> {
        let wanted = wanted(definition)?;
        let place = place(wanted);
        let fragments = self.fragments(definition, &place);
        let (launch, fault) = match self.plan(wanted).await {
            Ok(plan) => (serde_json::to_value(plan.body), None),
            Err(faults) => (serde_json::to_value(wanted), Some(faults.join("; "))),
        };
        let launch = match launch {
            Ok(Value::Object(launch)) => launch,
            _ => Map::new(),
        };
        let (user_data, scopes) = (fragments.user_data, fragments.scopes);
        Ok(vec![Specification { place, capacity: capacity(wanted), launch, user_data, scopes, fault }])
    }

    async fn offers(&self, definition: &Definition) -> Result<Vec<Offer>> {
        let wanted = wanted(definition)?;
        self.sound(definition).await?;
        Ok(vec![Offer {
            worker_group: WORKER_GROUP.to_owned(),
            place: place(wanted),
            capacity: capacity(wanted),
            price: 0.0,
            utility: f64::from(capacity(wanted)),
            bias: 1.0,
            bid: None,
        }])
    }

    async fn launch(&self, launch: &Launch) -> Result<String> {
        let name = self.container_name(&launch.instance_id);
        // Between a look and a start by one call another could start it and it could end: it would run twice.
        let Some(_turn) = self.turns.take(&name) else {
            return Err(ProviderError::Away {
                message: format!("the container {name} is being started"),
                source: None,
            });
        };
        let plan = self.sound(&launch.definition).await?;
        let container = match self.find(&name).await? {
            Some(found) if found.phase != Phase::Requested => return Ok(found.id),
            Some(found) if found.shows(&plan.body) => found.id,
            // What is to be seen in it has changed since: a link may point elsewhere.
            Some(found) => {
                self.remove(&found.id).await?;
                self.create(launch, plan).await?
            }
            None => self.create(launch, plan).await?,
        };
        self.start(&container).await?;
        Ok(container)
    }

    async fn list(&self) -> Result<Vec<Sighting>> {
        let api = self.engine.api().await?;
        let options = ListContainersOptionsBuilder::new().all(true).filters(&self.mark.filters()).build();
        let listed = ask("list containers", api.list_containers(Some(options))).await?;
        let listed = listed.map_err(|answer| answer.away("list containers"))?;
        stream::iter(listed)
            .map(|summary| sighted::sighting(api, summary, &self.stops))
            .buffer_unordered(AT_ONCE)
            .try_filter_map(async |sighting| Ok(sighting))
            .try_collect()
            .await
    }

    async fn end(&self, gone: &[Sighting]) -> Result<()> {
        let mut ended = Ok(());
        for sighting in gone {
            ended = self.end_one(sighting).await.and(ended);
        }
        ended
    }
}

fn wanted(definition: &Definition) -> Result<&DockerProvider> {
    match definition.provider() {
        WorkerTypeProvider::Docker(wanted) => Ok(wanted),
        _ => Err(ProviderError::Refused("it is no container".to_owned())),
    }
}

fn capacity(wanted: &DockerProvider) -> u32 {
    wanted.capacity.unwrap_or(1).max(1)
}

fn place(wanted: &DockerProvider) -> Place {
    Place { image: wanted.image.clone(), ..Place::default() }
}

/// Lets the container know.
fn tell(body: &mut ContainerCreateBody, user_data: &Map<String, Value>) -> Result<()> {
    let variable = format!("{USER_DATA}={}", Value::Object(user_data.clone()));
    if variable.len() > LONGEST_VARIABLE {
        let reason = format!("what a worker is told is {} bytes, more than a variable can hold", variable.len());
        return Err(ProviderError::Refused(reason));
    }
    body.env.get_or_insert_default().push(variable);
    Ok(())
}
