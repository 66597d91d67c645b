//! Machines: started, listed, ended.

use taskcluster_core::time::Timestamp;

use super::xml::Element;
use super::{ApiError, CHUNK, Client, Query};

/// How far a machine is, in EC2's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "whoever looks at it has to think of each")]
pub enum Ec2State {
    /// It starts.
    Pending,
    /// It is on.
    Running,
    /// It is about to be gone.
    ShuttingDown,
    /// There is nothing any more, and EC2 tells of it for an hour.
    Terminated,
    /// It is about to be off.
    Stopping,
    /// It is off, and could be turned on.
    Stopped,
}

/// A machine that EC2 tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "it is what EC2 says")]
pub struct FoundInstance {
    /// EC2's name for it, such as `i-0123456789abcdef0`.
    pub id: String,
    /// How far it is.
    pub state: Ec2State,
    /// Such as `us-west-2b`.
    pub zone: String,
    /// Such as `c5.large`.
    pub instance_type: String,
    /// What it was started from.
    pub image: String,
    /// When it was started.
    pub launched: Option<Timestamp>,
    /// Whether it was bid for.
    pub spot: bool,
    /// What stands for the bid.
    pub spot_request: Option<String>,
    /// EC2's code for why it is as it is, such as `Server.SpotInstanceTermination`.
    pub reason_code: Option<String>,
    /// The same for people.
    pub reason: Option<String>,
    /// Its tags.
    pub tags: Vec<(String, String)>,
}

impl FoundInstance {
    /// The value of a tag.
    #[must_use]
    pub fn tag(&self, key: &str) -> Option<&str> {
        tag(&self.tags, key)
    }

    fn read(item: &Element) -> Option<Self> {
        let said = |path: &str| item.text(path).map(str::to_owned);
        Some(Self {
            id: said("instanceId")?,
            state: Ec2State::read(item.text("instanceState/name")?)?,
            zone: said("placement/availabilityZone").unwrap_or_default(),
            instance_type: said("instanceType").unwrap_or_default(),
            image: said("imageId").unwrap_or_default(),
            launched: item.text("launchTime").and_then(|time| time.parse().ok()),
            spot: item.text("instanceLifecycle") == Some("spot"),
            spot_request: said("spotInstanceRequestId"),
            reason_code: said("stateReason/code"),
            reason: said("stateReason/message"),
            tags: tags(item),
        })
    }
}

impl Ec2State {
    fn read(name: &str) -> Option<Self> {
        Some(match name {
            "pending" => Self::Pending,
            "running" => Self::Running,
            "shutting-down" => Self::ShuttingDown,
            "terminated" => Self::Terminated,
            "stopping" => Self::Stopping,
            "stopped" => Self::Stopped,
            _ => return None,
        })
    }
}

pub(super) fn tags(item: &Element) -> Vec<(String, String)> {
    let pair = |tag: &Element| Some((tag.text("key")?.to_owned(), tag.text("value").unwrap_or_default().to_owned()));
    item.items("tagSet").filter_map(pair).collect()
}

pub(super) fn tag<'a>(tags: &'a [(String, String)], key: &str) -> Option<&'a str> {
    tags.iter().find(|(known, _)| known == key).map(|(_, value)| &**value)
}

/// The machines of an answer. One that is not understood spoils it: what is not in a list does not exist.
pub(super) fn read_instances(answer: &Element, all: &mut Vec<FoundInstance>) -> Result<(), &'static str> {
    for reservation in answer.items("reservationSet") {
        for item in reservation.items("instancesSet") {
            all.push(
                FoundInstance::read(item).ok_or("it has a machine without a name, or in a state that nobody knows")?,
            );
        }
    }
    Ok(())
}

impl Client {
    /// Start what `query` describes, and say what EC2 calls it. With `DryRun=true` in it, it is only rehearsed, which ends in an
    /// error that [`is_rehearsed`](ApiError::is_rehearsed) if all is well.
    ///
    /// # Errors
    /// EC2 does not do it, or does not answer.
    pub async fn run_instance(&self, region: &str, query: Query) -> Result<String, ApiError> {
        let action = "RunInstances";
        let answer = self.call(region, action, &query.with("MinCount", "1").with("MaxCount", "1")).await?;
        let mut ids = answer.items("instancesSet").filter_map(|item| item.text("instanceId"));
        let missing = || ApiError::Answer { action, status: 200, problem: "there is no instance in it".to_owned() };
        ids.next().map(str::to_owned).ok_or_else(missing)
    }

    /// All machines of a region that `query` describes.
    ///
    /// # Errors
    /// EC2 does not answer.
    pub async fn describe_instances(&self, region: &str, query: Query) -> Result<Vec<FoundInstance>, ApiError> {
        self.pages(region, "DescribeInstances", query, read_instances).await
    }

    /// End these machines. What does not exist has ended.
    ///
    /// # Errors
    /// EC2 does not end some of them, or does not answer.
    pub async fn terminate_instances(&self, region: &str, ids: &[String]) -> Result<(), ApiError> {
        self.in_chunks(region, "TerminateInstances", "InstanceId", ids).await
    }

    /// Withdraw these bids. What does not exist is withdrawn. Machines that have come of them go on.
    ///
    /// # Errors
    /// EC2 does not withdraw some of them, or does not answer.
    pub async fn cancel_spot_requests(&self, region: &str, ids: &[String]) -> Result<(), ApiError> {
        self.in_chunks(region, "CancelSpotInstanceRequests", "SpotInstanceRequestId", ids).await
    }

    /// Ask for the end of all these. EC2 does nothing at all if it does not like one of them: what is refused is asked for in halves,
    /// until it is known which one it is. The others are ended.
    async fn in_chunks(&self, region: &str, action: &'static str, name: &str, ids: &[String]) -> Result<(), ApiError> {
        let mut waiting: Vec<&[String]> = ids.chunks(CHUNK).collect();
        let mut failed = None;
        while let Some(chunk) = waiting.pop() {
            let query = Query::new().with_list(name, chunk);
            match self.call(region, action, &query).await {
                Ok(_) => {}
                Err(error) if error.is_refusal() && chunk.len() > 1 => {
                    let (left, right) = chunk.split_at(chunk.len() / 2);
                    waiting.extend([left, right]);
                }
                Err(error) if error.is_unknown() => {}
                Err(error) if error.is_refusal() => failed = Some(error),
                Err(error) => return Err(error),
            }
        }
        failed.map_or(Ok(()), Err)
    }
}
