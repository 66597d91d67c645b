//! The keys of workers that end tasks which hang, or take the machine's memory.

use std::time::Duration;

use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use taskcluster_worker::plugins::MemoryLimits;

/// When a task is ended for the sake of others.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, Args)]
#[serde(default)]
#[non_exhaustive]
pub struct GuardConfig {
    /// Seconds for which a task may print nothing, if its payload does not say it [default: as long as it runs].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_silence: Option<u64>,
    /// Whether a task is ended when the machine runs out of memory: the one that holds the most [default: true].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_guard: Option<bool>,
    /// The machine runs out of memory when more than so many percent of it are used [default: 90] …
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_memory_percent: Option<u8>,
    /// … and fewer bytes available [default: 524288000, which is 500 MiB] …
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_available_memory: Option<u64>,
    /// … for so many seconds [default: 5].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_patience: Option<u64>,
}

impl GuardConfig {
    /// How long a task may print nothing that does not say it, if there is such a limit.
    #[must_use]
    pub fn silence(&self) -> Option<Duration> {
        self.max_silence.map(Duration::from_secs)
    }

    /// When the machine is out of memory, if anybody is to look at that.
    #[must_use]
    pub fn memory(&self) -> Option<MemoryLimits> {
        let usual = MemoryLimits::default();
        self.memory_guard.unwrap_or(true).then(|| {
            usual
                .with_max_used_percent(self.max_memory_percent.unwrap_or(usual.max_used_percent))
                .with_min_available(self.min_available_memory.unwrap_or(usual.min_available))
                .with_patience(self.memory_patience.map_or(usual.patience, Duration::from_secs))
        })
    }
}
