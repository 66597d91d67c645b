//! Where user data are.

mod ec2;

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::UserData;

/// The variable of the environment that holds them. No task gets it: engines give tasks an environment of their own.
const VARIABLE: &str = "TASKCLUSTER_USER_DATA";

/// Where a worker finds what the provisioner that started it tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum UserDataSource {
    /// In the environment, as `TASKCLUSTER_USER_DATA`.
    Env,
    /// In the user data of an EC2 instance.
    Ec2,
}

impl UserDataSource {
    /// Where to look if nothing is said.
    pub(super) fn usual() -> Option<Self> {
        std::env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(|_| Self::Env)
    }

    /// Read what is there. Metadata are asked for at their usual place if no other is named, for so long.
    pub(super) async fn read(self, metadata: Option<&str>, patience: Duration) -> Result<UserData> {
        let text = match self {
            // Not with what the error has to say: that repeats the value.
            Self::Env => std::env::var(VARIABLE).ok().with_context(|| format!("{VARIABLE} is not set, or no text"))?,
            Self::Ec2 => ec2::user_data(metadata, patience).await?,
        };
        UserData::parse(&text)
    }
}

impl FromStr for UserDataSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "env" => Ok(Self::Env),
            "ec2" => Ok(Self::Ec2),
            _ => Err("it is env or ec2".to_owned()),
        }
    }
}
