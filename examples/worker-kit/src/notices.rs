//! Which cloud gives notice before it takes the machine.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use taskcluster_core::transport::TransportError;
use taskcluster_core::transport::http::HttpTransport;
use taskcluster_worker::notices::{Cloud, Watch};

/// A cloud that is listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Notices {
    /// Amazon's.
    Ec2,
    /// Google's.
    Gcp,
}

impl Notices {
    /// What listens, and has runs given back when the cloud says that it takes the machine away.
    pub(crate) fn watch(self, metadata: Option<&str>) -> Result<Watch, TransportError> {
        let cloud = match self {
            Self::Ec2 => Cloud::Ec2,
            Self::Gcp => Cloud::Gcp,
        };
        let watch = Watch::new(cloud, HttpTransport::new()?.into_transport());
        Ok(match metadata {
            Some(metadata) => watch.at(metadata),
            None => watch,
        })
    }
}

impl FromStr for Notices {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "ec2" => Ok(Self::Ec2),
            "gcp" => Ok(Self::Gcp),
            _ => Err("it is ec2 or gcp".to_owned()),
        }
    }
}
