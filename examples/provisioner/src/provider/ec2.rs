//! Machines of Amazon EC2: bid for, or taken at the full price.
//!
//! Who may have what is EC2's business; here stands how we ask. Offers are all regions × instance types × zones of a definition with
//! a price that it wants to pay, on the spot market and, where operators have said what it costs, on demand; an offer with a bid is
//! of the spot market. A launch carries the instance's name as its token, so that EC2 starts it once however often it is asked, and as
//! a tag, by which it is found again together with the tag of the provisioner: also what nobody remembers any more. What EC2 refuses
//! for lack of machines is not offered again for some minutes. Instances end by being terminated, and when they shut themselves down.
//!
//! EC2 tells of what it has done only after a while. What was launched in the last minutes and is not listed is therefore listed by us
//! (see `memory`).

pub mod api;
mod config;
mod memory;
mod price;
mod rates;
mod sight;
mod spec;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use api::{ApiError, Client, Ec2State, FoundRequest, Query};
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use memory::{Market, Memory};
use price::Limits;
use rates::Rates;
use serde_json::{Map, Value, json};
use spec::Entry;
use taskcluster::provisioner::{Ec2Provider, WorkerTypeProvider};
use taskcluster_core::clock::SharedClock;
use taskcluster_core::time::Timestamp;
use taskcluster_core::transport::Transport;

pub use config::{Ec2Config, Ec2ConfigError};

use super::{Fragments, Launch, Offer, Phase, Provider, ProviderError, Result, Sighting, Specification};
use crate::instance::Place;
use crate::worker_type::Definition;

/// How many rehearsals are under way at a time.
const REHEARSALS: usize = 8;

/// What gets our tags.
const TAGGED: &[&str] = &["instance"];

/// What gets our tags if it is bid for.
const TAGGED_SPOT: &[&str] = &["instance", "spot-instances-request"];

/// The longest value of a tag, in characters.
const MAX_TAG: usize = 256;

/// Machines of Amazon EC2.
#[derive(Debug)]
pub struct Ec2 {
    config: Ec2Config,
    client: Client,
    provisioner: String,
    clock: SharedClock,
    rates: Rates,
    memory: Mutex<Memory>,
}

impl Ec2 {
    /// EC2 as the configuration says. `provisioner` is the mark by which machines are known as ours, such as the `provisionerId`: no
    /// other deployment that uses the same account of AWS may have it.
    ///
    /// # Errors
    /// The configuration is of no use.
    pub fn new(
        config: Ec2Config,
        provisioner: impl Into<String>,
        transport: Transport,
        clock: SharedClock,
    ) -> std::result::Result<Self, Ec2ConfigError> {
        let client = config.client(transport, SharedClock::clone(&clock))?;
        let (rates, memory) = (Rates::default(), Mutex::default());
        Ok(Self { config, client, provisioner: provisioner.into(), clock, rates, memory })
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Nothing panics while the lock is held, so that a poisoned one holds good data.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is wrong with an entry, apart from what only EC2 knows.
    fn fault(&self, entry: Entry<'_>) -> Option<String> {
        let region = &entry.region.region;
        if !self.config.regions.contains(region) {
            return Some(format!(
                "this deployment does not use the region {region}, only {}",
                self.config.regions.join(", ")
            ));
        }
        entry.fault()
    }

    /// The offers of one region, whose entries are in order.
    async fn offers_in(&self, entries: &[Entry<'_>], now: Timestamp) -> Result<Vec<Offer>, ApiError> {
        let Some(Entry { provider, region, .. }) = entries.first() else { return Ok(Vec::new()) };
        let region = &region.region;
        let zones = self.rates.zones(&self.client, region, now).await?;
        let types: Vec<_> = entries.iter().map(|entry| entry.instance_type.instance_type.clone()).collect();
        let spot = if provider.can_use_spot.unwrap_or(true) {
            self.rates.spot(&self.client, region, &types, now).await?
        } else {
            Default::default()
        };
        let on_demand = provider.can_use_ondemand.unwrap_or(false);
        let mut offers = Vec::new();
        for entry in entries {
            let name = &entry.instance_type.instance_type;
            let full = self.config.on_demand_price(region, name).filter(|_| on_demand);
            let wanted = entry.zone();
            for zone in zones.iter().filter(|zone| wanted.as_ref().is_none_or(|wanted| wanted == *zone)) {
                let price = spot.get(name).and_then(|prices| prices.get(zone)).copied();
                offers.extend(price.and_then(|price| self.offer(entry, zone, price, true, now)));
                offers.extend(full.and_then(|price| self.offer(entry, zone, price, false, now)));
            }
        }
        Ok(offers)
    }

    /// An offer, unless it costs too much or was refused lately.
    fn offer(&self, entry: &Entry<'_>, zone: &str, price: f64, spot: bool, now: Timestamp) -> Option<Offer> {
        let Entry { provider, region, instance_type } = entry;
        let limits = Limits::new(provider.min_price, provider.max_price, instance_type.utility);
        let place = Place { zone: zone.to_owned(), ..place(entry) };
        let market = market(&place, spot);
        let memory = self.memory();
        if !limits.allow(price) || memory.is_refused(&market, now) {
            return None;
        }
        Some(Offer {
            worker_group: region.region.clone(),
            place,
            capacity: instance_type.capacity,
            price,
            utility: instance_type.utility,
            bias: memory.bias(&market, now),
            bid: spot.then(|| limits.bid(price)),
        })
    }

    /// What is asked of EC2 for an entry, apart from what each launch adds, with these tags.
    fn request(
        &self,
        definition: &Definition,
        entry: Entry<'_>,
        spot: bool,
        own: &[(&str, &str)],
    ) -> Map<String, Value> {
        let mut spec = entry.launch_spec();
        let owner: String = definition.sent().owner.chars().take(MAX_TAG).collect();
        let tags = [&[(sight::PROVISIONER, &*self.provisioner), ("Owner", &*owner)], own].concat();
        spec::add_tags(&mut spec, if spot { TAGGED_SPOT } else { TAGGED }, &tags);
        // A machine that turns itself off is gone, and does not lie around.
        spec.insert("InstanceInitiatedShutdownBehavior".to_owned(), "terminate".into());
        if spot {
            let options = json!({"SpotInstanceType": "one-time", "InstanceInterruptionBehavior": "terminate"});
            spec.insert("InstanceMarketOptions".to_owned(), json!({"MarketType": "spot", "SpotOptions": options}));
        }
        spec
    }

    /// The query of a launch.
    fn query(&self, launch: &Launch, entry: Entry<'_>) -> Result<Query> {
        let Launch { instance_id, worker_type, definition, offer, user_data } = launch;
        let user_data = Value::from(user_data.clone()).to_string();
        if user_data.len() > spec::MAX_USER_DATA {
            let (is, may) = (user_data.len(), spec::MAX_USER_DATA);
            return Err(ProviderError::Refused(format!("the user data has {is} bytes, of which EC2 takes {may}")));
        }
        let tags = [("Name", &**worker_type), (sight::INSTANCE, instance_id)];
        let mut spec = self.request(definition, entry, offer.bid.is_some(), &tags);
        set(&mut spec, &["Placement", "AvailabilityZone"], offer.place.zone.clone());
        if let Some(bid) = offer.bid {
            set(&mut spec, &["InstanceMarketOptions", "SpotOptions", "MaxPrice"], price::written(bid));
        }
        spec.insert("ClientToken".to_owned(), instance_id.clone().into());
        spec.insert("UserData".to_owned(), STANDARD.encode(user_data).into());
        Ok(Query::new().with_document(&spec))
    }

    /// What goes by that name in a region, if EC2 lists it.
    async fn find(&self, region: &str, instance_id: &str) -> Result<Option<String>, ApiError> {
        let query = self.ours().with_filter(&format!("tag:{}", sight::INSTANCE), [instance_id]);
        Ok(self.client.describe_instances(region, query).await?.into_iter().next().map(|found| found.id))
    }

    fn ours(&self) -> Query {
        Query::new().with_filter(&format!("tag:{}", sight::PROVISIONER), [&*self.provisioner])
    }

    /// Why a launch failed, and what is to be remembered of it.
    async fn refused(&self, launch: &Launch, error: ApiError) -> Result<String> {
        let Launch { instance_id, offer, .. } = launch;
        if matches!(error.code(), Some("IdempotentParameterMismatch" | "IdempotentInstanceTerminated")) {
            // It was started already, by a request that said something else: as an earlier version, for an earlier price.
            let found =
                self.find(&offer.place.region, instance_id).await.map_err(|error| away("EC2 is not reached", error))?;
            return found.ok_or_else(|| ProviderError::Refused(error.to_string()));
        }
        if !error.is_refusal() {
            return Err(away(format!("{instance_id} is not known to be launched"), error));
        }
        let mut market = market(&offer.place, offer.bid.is_some());
        if error.is_limit() {
            market.zone.clear();
        }
        self.memory().refused(market, self.clock.now());
        Err(ProviderError::Refused(error.to_string()))
    }

    /// What is ours in a region, and what becomes of our bids.
    async fn list_in(&self, region: &str) -> Result<Vec<Sighting>, ApiError> {
        let now = self.clock.now();
        let bids = self.ours().with_filter("state", ["open", "active"]);
        let requests = self.client.describe_spot_requests(region, bids).await?;
        // After the bids, so that a bid that succeeds meanwhile is seen as its machine.
        let found = self.client.describe_instances(region, self.ours()).await?;
        self.give_up(region, &requests, now).await;
        let marked = sight::marked(&requests);
        let mut memory = self.memory();
        for instance in &found {
            let (started, lost) = (instance.launched.unwrap_or(now), sight::is_lost(instance, &marked));
            memory.seen(&instance.id, sight::market(region, instance), started, lost, now);
            if instance.state == Ec2State::Terminated {
                memory.terminated(&instance.id);
            }
        }
        let machines = found.iter().filter_map(|instance| sight::sighting(region, instance, &marked));
        Ok(machines.chain(requests.iter().filter_map(|request| sight::bid(region, request, now))).collect())
    }

    /// Withdraw the bids that will not succeed. What fails is tried with the next list.
    async fn give_up(&self, region: &str, requests: &[FoundRequest], now: Timestamp) {
        let stalled: Vec<_> = requests.iter().filter(|request| sight::is_stalled(request, now)).collect();
        if stalled.is_empty() {
            return;
        }
        for request in &stalled {
            let (zone, instance_type) = (request.zone.clone(), request.instance_type.clone());
            let market = Market { region: region.to_owned(), zone, instance_type, spot: true };
            self.memory().refused(market, now);
        }
        let ids: Vec<_> = stalled.iter().map(|request| request.id.clone()).collect();
        match self.client.cancel_spot_requests(region, &ids).await {
            Ok(()) => tracing::info!(region, bids = ids.len(), "bids that come to nothing are withdrawn"),
            Err(error) => tracing::warn!(region, %error, "bids that come to nothing cannot be withdrawn"),
        }
    }

    /// End these in a region.
    async fn end_in(&self, region: &str, ids: Vec<String>) -> Result<(), ApiError> {
        let (bids, machines): (Vec<_>, Vec<_>) = ids.into_iter().partition(|id| id.starts_with("sir-"));
        let cancelled = self.client.cancel_spot_requests(region, &bids).await;
        self.client.terminate_instances(region, &machines).await?;
        cancelled
    }

    /// Whether EC2 would start it.
    async fn rehearse(&self, region: &str, request: &Map<String, Value>) -> Result<Option<String>> {
        let query = Query::new().with_document(request).with("DryRun", "true");
        match self.client.run_instance(region, query).await {
            Ok(_) => Ok(None),
            Err(error) if error.is_rehearsed() => Ok(None),
            // That there is none now says nothing of the definition.
            Err(error) if (error.is_capacity() && error.code() != Some("Unsupported")) || error.is_limit() => Ok(None),
            Err(error) if error.is_refusal() => Ok(Some(error.to_string())),
            Err(error) => Err(away("the definition cannot be rehearsed with EC2", error)),
        }
    }

    async fn specification(&self, definition: &Definition, entry: Entry<'_>) -> Result<Specification> {
        let spot = entry.provider.can_use_spot.unwrap_or(true);
        let launch = self.request(definition, entry, spot, &[]);
        let Fragments { user_data, scopes, .. } = spec::fragments(definition, Some(entry));
        let fault = match self.fault(entry) {
            None if self.config.dry_run => self.rehearse(&entry.region.region, &launch).await?,
            fault => fault,
        };
        let capacity = entry.instance_type.capacity;
        Ok(Specification { place: place(&entry), capacity, launch, user_data, scopes, fault })
    }
}

#[async_trait]
impl Provider for Ec2 {
    fn kind(&self) -> &'static str {
        "ec2"
    }

    async fn specify(&self, definition: &Definition) -> Result<Vec<Specification>> {
        let specifications = Entry::all(ec2(definition)?).map(|entry| self.specification(definition, entry));
        stream::iter(specifications.collect::<Vec<_>>()).buffered(REHEARSALS).try_collect().await
    }

    async fn offers(&self, definition: &Definition) -> Result<Vec<Offer>> {
        let mut regions = BTreeMap::<&str, Vec<Entry<'_>>>::new();
        let mut fault = None;
        for entry in Entry::all(ec2(definition)?) {
            match self.fault(entry) {
                None => regions.entry(&entry.region.region).or_default().push(entry),
                Some(found) => fault = fault.or(Some(found)),
            }
        }
        if let (Some(fault), true) = (fault, regions.is_empty()) {
            return Err(ProviderError::Refused(fault));
        }
        let now = self.clock.now();
        let answers = join_all(regions.values().map(|entries| self.offers_in(entries, now))).await;
        let (mut offers, mut failed, mut answered) = (Vec::new(), None, false);
        for (region, answer) in regions.keys().zip(answers) {
            match answer {
                Ok(found) => {
                    answered = true;
                    offers.extend(found);
                }
                Err(error) => {
                    tracing::warn!(region, %error, "there are no offers of the region");
                    failed = Some(error);
                }
            }
        }
        // One region that is away does not keep the others from helping out.
        match failed {
            Some(error) if !answered => Err(away("EC2 makes no offers", error)),
            _ => Ok(offers),
        }
    }

    async fn launch(&self, launch: &Launch) -> Result<String> {
        if let Some(known) = self.memory().known(&launch.instance_id) {
            return Ok(known);
        }
        let place = &launch.offer.place;
        let Some(entry) = Entry::find(ec2(&launch.definition)?, &place.region, &place.instance_type) else {
            let (region, instance_type) = (&place.region, &place.instance_type);
            return Err(ProviderError::Refused(format!("the definition has no {instance_type} in {region}")));
        };
        if let Some(fault) = self.fault(entry) {
            return Err(ProviderError::Refused(fault));
        }
        match self.client.run_instance(&place.region, self.query(launch, entry)?).await {
            Ok(id) => {
                self.memory().launched(&launch.instance_id, &id, place.clone(), self.clock.now());
                Ok(id)
            }
            Err(error) => self.refused(launch, error).await,
        }
    }

    async fn list(&self) -> Result<Vec<Sighting>> {
        let lists = join_all(self.config.regions.iter().map(|region| self.list_in(region))).await;
        let mut all = Vec::new();
        for (region, list) in self.config.regions.iter().zip(lists) {
            all.extend(list.map_err(|error| away(format!("it is not known what runs in {region}"), error))?);
        }
        Ok(self.memory().complete(all, self.clock.now()))
    }

    async fn end(&self, gone: &[Sighting]) -> Result<()> {
        let mut regions = BTreeMap::<&str, Vec<String>>::new();
        for sighting in gone {
            let over = match sighting.phase {
                // EC2 ends it, and lets it finish what it does in the time of notice, which to end it would take away.
                Phase::Ending => true,
                Phase::Gone => self.memory().forget(&sighting.provider_id, self.clock.now()),
                Phase::Requested | Phase::Alive => false,
            };
            if over {
                continue;
            }
            let known = sighting.place.as_ref().map(|place| &*place.region).filter(|region| !region.is_empty());
            // It is ended everywhere if nobody knows where it is: where it is unknown it has ended.
            let everywhere = self.config.regions.iter().map(|region| &**region).filter(|_| known.is_none());
            for region in known.into_iter().chain(everywhere) {
                regions.entry(region).or_default().push(sighting.provider_id.clone());
            }
        }
        let ended = join_all(regions.into_iter().map(|(region, ids)| self.end_in(region, ids))).await;
        let failed = ended.into_iter().find_map(std::result::Result::err);
        failed.map_or(Ok(()), |error| Err(away("some machines may not have been told to end", error)))
    }

    fn scopes(&self, definition: &Definition) -> Vec<String> {
        spec::scopes(definition, ec2(definition).ok())
    }

    fn fragments(&self, definition: &Definition, place: &Place) -> Fragments {
        let entry =
            ec2(definition).ok().and_then(|provider| Entry::find(provider, &place.region, &place.instance_type));
        spec::fragments(definition, entry)
    }
}

fn ec2(definition: &Definition) -> Result<&Ec2Provider> {
    match definition.provider() {
        WorkerTypeProvider::Ec2(provider) => Ok(provider),
        _ => Err(ProviderError::Refused("the definition is none of EC2's".to_owned())),
    }
}

fn away(message: impl Into<String>, error: ApiError) -> ProviderError {
    ProviderError::away(message, error)
}

fn place(entry: &Entry<'_>) -> Place {
    Place {
        region: entry.region.region.clone(),
        zone: String::new(),
        instance_type: entry.instance_type.instance_type.clone(),
        image: entry.region.launch_spec.image_id.clone(),
    }
}

fn market(place: &Place, spot: bool) -> Market {
    let Place { region, zone, instance_type, .. } = place.clone();
    Market { region, zone, instance_type, spot }
}

/// Set what is on that path, and make the objects that lead there.
fn set(spec: &mut Map<String, Value>, path: &[&str], value: String) {
    match path {
        [] => {}
        [name] => {
            if !value.is_empty() {
                spec.insert((*name).to_owned(), value.into());
            }
        }
        [name, rest @ ..] => {
            let inner = spec.entry(*name).or_insert_with(|| json!({}));
            if let Some(inner) = inner.as_object_mut() {
                set(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests;
