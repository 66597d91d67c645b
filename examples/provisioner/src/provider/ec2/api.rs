//! EC2's Query API, as far as a provisioner needs it: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/>.
//!
//! A call is a form that is posted to the endpoint of a region, signed, and answered in XML. What comes back as "not so fast" or as
//! trouble of EC2 itself is asked again, later each time. All that is asked here may be asked twice: launches carry a token by which
//! EC2 knows them.

mod credentials;
mod error;
mod instances;
mod query;
mod sign;
mod spot;
pub(super) mod xml;
mod zones;

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use http::Request;
use http::header::CONTENT_TYPE;
use taskcluster_core::RetryPolicy;
use taskcluster_core::clock::SharedClock;
use taskcluster_core::transport::{Body, Transport, TransportError, TransportErrorKind};
use tokio::time::timeout;
use xml::Element;

pub use credentials::{Credentials, CredentialsSource, METADATA, Role};
pub use error::ApiError;
pub use instances::{Ec2State, FoundInstance};
pub use query::{Query, query_name};
pub use spot::{FoundRequest, SpotPrice};

/// The version of the API whose words are spoken here.
const VERSION: &str = "2016-11-15";

/// How long EC2 may take for an answer. A launch takes some seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a question may take with all its repetitions.
const DEADLINE: Duration = Duration::from_secs(90);

/// The longest answer that is read: a thousand instances take about five megabytes.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// How many an answer to a list may have at most; what EC2 allows.
const PAGE: u32 = 1000;

/// Of how many machines one request ends at most.
const CHUNK: usize = 500;

/// A client of EC2 for all regions.
#[derive(Debug)]
pub struct Client {
    transport: Transport,
    clock: SharedClock,
    credentials: CredentialsSource,
    endpoint: Option<String>,
    retry: RetryPolicy,
    page: u32,
}

impl Client {
    /// A client that asks as `credentials`.
    #[must_use]
    pub fn new(transport: Transport, clock: SharedClock, credentials: CredentialsSource) -> Self {
        let retry = RetryPolicy::default().with_base(Duration::from_millis(250)).with_cap(Duration::from_secs(8));
        Self { transport, clock, credentials, endpoint: None, retry, page: PAGE }
    }

    /// With this address for every region in place of EC2's own, for tests. `{region}` in it becomes the region.
    #[must_use]
    pub fn with_endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// With so many members in each answer to a list, for tests: 5 to 1,000.
    #[must_use]
    pub fn with_page(mut self, page: u32) -> Self {
        self.page = page;
        self
    }

    /// The address of a region. China's are below a domain of their own.
    fn url(&self, region: &str) -> String {
        match &self.endpoint {
            Some(endpoint) => endpoint.replace("{region}", region),
            None if region.starts_with("cn-") => format!("https://ec2.{region}.amazonaws.com.cn/"),
            None => format!("https://ec2.{region}.amazonaws.com/"),
        }
    }

    /// Ask, and ask again where that may help, for as long as somebody may wait.
    async fn call(&self, region: &str, action: &'static str, query: &Query) -> Result<Element, ApiError> {
        let late = |_| Err(ApiError::Transport { action, source: too_late() });
        timeout(DEADLINE, self.persist(region, action, query)).await.unwrap_or_else(late)
    }

    async fn persist(&self, region: &str, action: &'static str, query: &Query) -> Result<Element, ApiError> {
        let mut repetition = 0;
        loop {
            let error = match self.attempt(region, action, query).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if repetition >= self.retry.retries || !error.is_retryable() {
                return Err(error);
            }
            // By chance, so that those who were sent away together do not come back together.
            let pause = self.retry.delay(repetition, chance());
            repetition += 1;
            tracing::debug!(region, action, %error, repetition, "EC2 is asked again");
            tokio::time::sleep(pause).await;
        }
    }

    async fn attempt(&self, region: &str, action: &'static str, query: &Query) -> Result<Element, ApiError> {
        let request = self.request(region, action, query).await?;
        let answer = async {
            let answer = self.transport.send(request).await?;
            let status = answer.status().as_u16();
            let body = answer.into_body().collect(MAX_ANSWER).await;
            let body = body.map_err(|error| TransportError::new(TransportErrorKind::Interrupted, error))?;
            Ok((status, String::from_utf8_lossy(&body).into_owned()))
        };
        let answer = timeout(PATIENCE, answer).await.unwrap_or_else(|_| Err(too_late()));
        let (status, body) = answer.map_err(|source| ApiError::Transport { action, source })?;
        if !(200..300).contains(&status) {
            return Err(ApiError::read(action, status, &body));
        }
        Element::parse(&body).map_err(|error| ApiError::Answer { action, status, problem: error.to_string() })
    }

    async fn request(&self, region: &str, action: &'static str, query: &Query) -> Result<Request<Body>, ApiError> {
        let problem = |error: &dyn fmt::Display| ApiError::Request { action, problem: error.to_string() };
        let credentials = self.credentials.get().await?;
        let request = Request::post(self.url(region))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded; charset=utf-8")
            .body(Body::from(query.encoded(action, VERSION)))
            .map_err(|error| problem(&error))?;
        let scope = sign::Scope { region, service: "ec2" };
        sign::signed(request, &credentials, scope, self.clock.now()).map_err(|error| problem(&error))
    }

    /// All pages of a list, each read by `read`.
    async fn pages<T>(
        &self,
        region: &str,
        action: &'static str,
        query: Query,
        read: fn(&Element, &mut Vec<T>) -> Result<(), &'static str>,
    ) -> Result<Vec<T>, ApiError> {
        let (mut all, mut token) = (Vec::new(), None::<String>);
        loop {
            let page = query.clone().with("MaxResults", self.page.to_string());
            let page = match &token {
                Some(token) => page.with("NextToken", token),
                None => page,
            };
            let answer = self.call(region, action, &page).await?;
            let senseless = |problem: &str| ApiError::Answer { action, status: 200, problem: problem.to_owned() };
            read(&answer, &mut all).map_err(senseless)?;
            match answer.text("nextToken") {
                // One that comes again would go on for ever.
                Some(next) if token.as_deref() == Some(next) => {
                    return Err(senseless("its list does not end"));
                }
                Some(next) => token = Some(next.to_owned()),
                None => return Ok(all),
            }
        }
    }
}

fn too_late() -> TransportError {
    TransportError::new(TransportErrorKind::Timeout, "it takes too long")
}

/// A number from 0 to 1, good enough to spread callers over time: each hasher of the standard library starts elsewhere.
fn chance() -> f64 {
    let random = RandomState::new().build_hasher().finish() >> 32;
    f64::from(u32::try_from(random).unwrap_or_default()) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests;
