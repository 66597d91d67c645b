//! The keys of workers that tell their tasks what machine they are on.

use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What tasks are told of the machine.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, Args)]
#[serde(default)]
#[non_exhaustive]
pub struct PlaceConfig {
    /// Kind of the machine, for TASKCLUSTER_INSTANCE_TYPE of tasks.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_type: Option<String>,
    /// Where the machine is, as JSON, for TASKCLUSTER_WORKER_LOCATION of tasks.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_location: Option<String>,
}

impl PlaceConfig {
    /// The variables of every task that say so.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        let told = [
            ("TASKCLUSTER_INSTANCE_TYPE", &self.instance_type),
            ("TASKCLUSTER_WORKER_LOCATION", &self.worker_location),
        ];
        told.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?))).collect()
    }
}
