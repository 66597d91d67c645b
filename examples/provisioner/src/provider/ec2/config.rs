//! What operators say of EC2.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use taskcluster_core::clock::SharedClock;
use taskcluster_core::secret::Secret;
use taskcluster_core::transport::Transport;

use super::api::{Client, Credentials, CredentialsSource, METADATA, Role};

/// The table `ec2` of the provisioner's configuration.
///
/// ```
/// use taskcluster_provisioner::provider::ec2::Ec2Config;
/// let config: Ec2Config = serde_json::from_value(serde_json::json!({
///     "regions": ["us-west-2"],
///     "on_demand_prices": { "us-west-2": { "c5.large": 0.085 } },
/// }))?;
/// assert!(config.dry_run);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Ec2Config {
    /// The regions in which machines may be started, such as `us-west-2`; all are looked at in each pass, also for machines of
    /// worker types that are defined no more. Take one out only when nothing runs there.
    pub regions: Vec<String>,
    /// The access key. Without one it is that of `AWS_ACCESS_KEY_ID`, and without that the role of the machine.
    pub access_key_id: Option<String>,
    /// What belongs to the access key.
    pub secret_access_key: Option<Secret>,
    /// What belongs to a temporary access key.
    pub session_token: Option<Secret>,
    /// Another address than that of AWS, for tests: `{region}` in it becomes the region.
    pub endpoint: Option<String>,
    /// Where the machine finds out which role it has.
    pub metadata: String,
    /// Whether definitions are rehearsed with EC2 before they are accepted: a call for each region and instance type.
    pub dry_run: bool,
    /// What machines cost that are not bid for, in US dollars an hour: by region and instance type. Those that are not in it are not
    /// started on demand.
    pub on_demand_prices: BTreeMap<String, BTreeMap<String, f64>>,
}

/// A configuration that is of no use.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the configuration of ec2 is of no use: {0}")]
pub struct Ec2ConfigError(&'static str);

impl Default for Ec2Config {
    fn default() -> Self {
        Self {
            regions: Vec::new(),
            access_key_id: None,
            secret_access_key: None,
            session_token: None,
            endpoint: None,
            metadata: METADATA.to_owned(),
            dry_run: true,
            on_demand_prices: BTreeMap::new(),
        }
    }
}

impl Ec2Config {
    /// What an hour on demand costs, if that is known.
    pub(super) fn on_demand_price(&self, region: &str, instance_type: &str) -> Option<f64> {
        self.on_demand_prices
            .get(region)?
            .get(instance_type)
            .copied()
            .filter(|price| price.is_finite() && *price >= 0.0)
    }

    /// A client that asks as the configuration says, or the environment, or the role of the machine.
    pub(super) fn client(&self, transport: Transport, clock: SharedClock) -> Result<Client, Ec2ConfigError> {
        if self.regions.is_empty() {
            return Err(Ec2ConfigError("it names no regions"));
        }
        let credentials = match (&self.access_key_id, &self.secret_access_key) {
            (Some(access_key_id), Some(secret_access_key)) => CredentialsSource::Static(Credentials {
                access_key_id: access_key_id.clone(),
                secret_access_key: secret_access_key.clone(),
                session_token: self.session_token.clone(),
            }),
            (None, None) => CredentialsSource::of(|name| std::env::var(name).ok()).unwrap_or_else(|| {
                CredentialsSource::Role(Role::new(transport.clone(), SharedClock::clone(&clock), &*self.metadata))
            }),
            (Some(_), None) => return Err(Ec2ConfigError("there is an access_key_id without its secret_access_key")),
            (None, Some(_)) => return Err(Ec2ConfigError("there is a secret_access_key without its access_key_id")),
        };
        let client = Client::new(transport, clock, credentials);
        Ok(match &self.endpoint {
            Some(endpoint) => client.with_endpoint(endpoint),
            None => client,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use taskcluster_core::clock::ManualClock;
    use taskcluster_core::transport::{TransportError, TransportErrorKind};

    use super::*;

    fn problem(config: serde_json::Value) -> Option<String> {
        let config: Ec2Config = serde_json::from_value(config).unwrap();
        let nowhere = tower::service_fn(|_| async {
            Err::<http::Response<_>, _>(TransportError::new(TransportErrorKind::Request, "nobody is asked"))
        });
        let client = config.client(Transport::new(nowhere), ManualClock::default().shared());
        client.err().map(|error| error.to_string())
    }

    #[test]
    fn a_key_has_two_halves_and_there_is_a_region() {
        assert_eq!(problem(json!({"regions": ["r"], "access_key_id": "k", "secret_access_key": "s"})), None);
        assert_eq!(problem(json!({"regions": ["r"]})), None);
        assert!(problem(json!({"regions": ["r"], "access_key_id": "k"})).is_some());
        assert!(problem(json!({"regions": ["r"], "secret_access_key": "s"})).is_some());
        assert!(problem(json!({})).unwrap().contains("no regions"));
    }

    #[test]
    fn only_prices_that_are_some_count() {
        let config: Ec2Config =
            serde_json::from_value(json!({"on_demand_prices": {"r": {"a": 0.5, "b": -1.0}}})).unwrap();
        let price = |instance_type| config.on_demand_price("r", instance_type);
        assert_eq!([price("a"), price("b"), price("c")], [Some(0.5), None, None]);
        assert!(!format!("{config:?}").contains("secret: "));
    }
}
