//! Spare machines: what they cost, and what was bid for them.

use taskcluster_core::time::Timestamp;

use super::instances::{tag, tags};
use super::xml::Element;
use super::{ApiError, Client, Query};

/// A bid that EC2 tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "it is what EC2 says")]
pub struct FoundRequest {
    /// EC2's name for it, such as `sir-08b93456`.
    pub id: String,
    /// `open`, `active`, `closed`, `cancelled`, `failed` or `disabled`.
    pub state: String,
    /// EC2's code for how far it is, such as `pending-fulfillment`.
    pub status: String,
    /// The same for people.
    pub says: Option<String>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// The machine that has come of it.
    pub instance: Option<String>,
    /// Where the machine is or shall be.
    pub zone: String,
    /// What it is or shall be.
    pub instance_type: String,
    /// What it is started from.
    pub image: String,
    /// Its tags.
    pub tags: Vec<(String, String)>,
}

/// What a spare machine costs.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "it is what EC2 says")]
pub struct SpotPrice {
    /// What it is.
    pub instance_type: String,
    /// Where.
    pub zone: String,
    /// US dollars an hour.
    pub price: f64,
}

impl FoundRequest {
    /// The value of a tag.
    #[must_use]
    pub fn tag(&self, key: &str) -> Option<&str> {
        tag(&self.tags, key)
    }

    fn read(item: &Element) -> Option<Self> {
        let said = |path: &str| item.text(path).map(str::to_owned);
        let zone = said("launchedAvailabilityZone").or_else(|| said("launchSpecification/placement/availabilityZone"));
        Some(Self {
            id: said("spotInstanceRequestId")?,
            state: said("state")?,
            status: said("status/code").unwrap_or_default(),
            says: said("status/message"),
            created: item.text("createTime").and_then(|time| time.parse().ok()),
            instance: said("instanceId"),
            zone: zone.unwrap_or_default(),
            instance_type: said("launchSpecification/instanceType").unwrap_or_default(),
            image: said("launchSpecification/imageId").unwrap_or_default(),
            tags: tags(item),
        })
    }
}

pub(super) fn read_requests(answer: &Element, all: &mut Vec<FoundRequest>) -> Result<(), &'static str> {
    for item in answer.items("spotInstanceRequestSet") {
        all.push(FoundRequest::read(item).ok_or("it has a bid without a name or a state")?);
    }
    Ok(())
}

/// The prices of an answer. What is no price is none.
pub(super) fn read_prices(answer: &Element, all: &mut Vec<SpotPrice>) -> Result<(), &'static str> {
    all.extend(answer.items("spotPriceHistorySet").filter_map(|item| {
        let price = item.text("spotPrice")?.parse().ok().filter(|price: &f64| price.is_finite() && *price >= 0.0)?;
        let said = |path: &str| item.text(path).map(str::to_owned);
        Some(SpotPrice { instance_type: said("instanceType")?, zone: said("availabilityZone")?, price })
    }));
    Ok(())
}

impl Client {
    /// All bids of a region that `query` describes.
    ///
    /// # Errors
    /// EC2 does not answer.
    pub async fn describe_spot_requests(&self, region: &str, query: Query) -> Result<Vec<FoundRequest>, ApiError> {
        self.pages(region, "DescribeSpotInstanceRequests", query, read_requests).await
    }

    /// All prices of these types of machines with Linux since then, among them those that were in force at that time already.
    ///
    /// # Errors
    /// EC2 does not answer.
    pub async fn spot_prices(
        &self,
        region: &str,
        instance_types: &[String],
        since: Timestamp,
    ) -> Result<Vec<SpotPrice>, ApiError> {
        let query = Query::new()
            .with_list("InstanceType", instance_types)
            .with_list("ProductDescription", ["Linux/UNIX"])
            .with("StartTime", since.to_string());
        self.pages(region, "DescribeSpotPriceHistory", query, read_prices).await
    }
}
