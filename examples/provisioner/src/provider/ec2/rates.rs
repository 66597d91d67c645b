//! What spare machines cost now, and in which zones there are any: asked of EC2, and kept for a moment, since all worker types of a
//! pass ask the same.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use taskcluster_core::time::Timestamp;

use super::api::{ApiError, Client};

/// How far back a price counts.
const WINDOW: Duration = Duration::from_secs(30 * 60);

/// How long prices are kept.
const PRICES_KEPT: Duration = Duration::from_secs(60);

/// How long zones are kept.
const ZONES_KEPT: Duration = Duration::from_secs(15 * 60);

/// Prices by zone.
type Prices = BTreeMap<String, f64>;

/// What is kept.
#[derive(Debug, Default)]
pub(super) struct Rates(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    zones: HashMap<String, (Timestamp, Vec<String>)>,
    prices: HashMap<(String, String), (Timestamp, Prices)>,
}

impl Rates {
    /// The zones of a region that can be used now.
    pub(super) async fn zones(&self, ec2: &Client, region: &str, now: Timestamp) -> Result<Vec<String>, ApiError> {
        if let Some((until, zones)) = self.kept().zones.get(region)
            && *until > now
        {
            return Ok(zones.clone());
        }
        let zones = ec2.available_zones(region).await?;
        self.kept().zones.insert(region.to_owned(), (now + ZONES_KEPT, zones.clone()));
        Ok(zones)
    }

    /// The highest price of the last half hour of each of these instance types, by zone.
    pub(super) async fn spot(
        &self,
        ec2: &Client,
        region: &str,
        instance_types: &[String],
        now: Timestamp,
    ) -> Result<HashMap<String, Prices>, ApiError> {
        let key = |instance_type: &str| (region.to_owned(), instance_type.to_owned());
        let missing: Vec<String> = {
            let kept = self.kept();
            let is_kept = |name: &str| kept.prices.get(&key(name)).is_some_and(|(until, _)| *until > now);
            instance_types.iter().filter(|name| !is_kept(name)).cloned().collect()
        };
        if !missing.is_empty() {
            let mut highest: HashMap<String, Prices> =
                missing.iter().map(|name| (name.clone(), Prices::new())).collect();
            for seen in ec2.spot_prices(region, &missing, now - WINDOW).await? {
                let prices = highest.entry(seen.instance_type).or_default();
                prices.entry(seen.zone).and_modify(|price| *price = price.max(seen.price)).or_insert(seen.price);
            }
            let mut kept = self.kept();
            kept.prices.retain(|_, (until, _)| *until > now);
            kept.prices.extend(highest.into_iter().map(|(name, prices)| (key(&name), (now + PRICES_KEPT, prices))));
        }
        let kept = self.kept();
        let found = |name: &String| Some((name.clone(), kept.prices.get(&key(name))?.1.clone()));
        Ok(instance_types.iter().filter_map(found).collect())
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing panics while the lock is held, so that a poisoned one holds good data.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
