//! What Buildbot says, as far as the bridge reads it.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_json::Value;

/// Something that builds can be ordered of.
#[derive(Debug, Deserialize)]
pub(crate) struct Builder {
    pub(crate) builderid: u64,
}

/// A `ForceScheduler`, through which builds are ordered.
#[derive(Debug, Deserialize)]
pub(crate) struct Scheduler {
    pub(crate) builder_names: Vec<String>,
    pub(crate) enabled: bool,
    pub(crate) all_fields: Vec<Field>,
}

impl Scheduler {
    /// Whether it makes a property of what is given under this name. What it does not know it drops without a word.
    pub(crate) fn takes(&self, name: &str) -> bool {
        self.all_fields.iter().any(|field| !field.is_nested() && field.name == name)
    }
}

/// A parameter of it, or several that have something in common: a sourcestamp, and what Buildbot keeps for itself.
#[derive(Debug, Deserialize)]
pub(crate) struct Field {
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    fields: Option<Vec<Value>>,
}

impl Field {
    fn is_nested(&self) -> bool {
        self.fields.is_some()
    }
}

/// Properties with their values, each of which says where it is from.
pub(crate) type Properties = BTreeMap<String, (Value, String)>;

/// A build that was ordered. It has no build while it waits, and several if workers are lost.
#[derive(Debug, Deserialize)]
pub(crate) struct BuildRequest {
    pub(crate) buildrequestid: u64,
    pub(crate) complete: bool,
    pub(crate) results: Option<i32>,
    /// Seconds since 1970.
    pub(crate) submitted_at: i64,
    pub(crate) properties: Option<Properties>,
}

impl BuildRequest {
    /// The text of a property, if it has one and was asked for.
    pub(crate) fn property(&self, name: &str) -> Option<&str> {
        self.properties.as_ref()?.get(name)?.0.as_str()
    }
}

/// A build.
#[derive(Debug, Deserialize)]
pub(crate) struct Build {
    pub(crate) buildid: u64,
    pub(crate) builderid: u64,
    pub(crate) number: u64,
    pub(crate) complete: bool,
    pub(crate) results: Option<i32>,
    #[serde(default)]
    pub(crate) state_string: String,
}

/// A step of a build.
#[derive(Debug, Deserialize)]
pub(crate) struct Step {
    pub(crate) stepid: u64,
    pub(crate) name: String,
    pub(crate) complete: bool,
    pub(crate) results: Option<i32>,
    #[serde(default)]
    pub(crate) state_string: String,
}

/// A log of a step.
#[derive(Debug, Deserialize)]
pub(crate) struct Log {
    pub(crate) logid: u64,
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) complete: bool,
    pub(crate) num_lines: u64,
}

/// Lines of a log.
#[derive(Debug, Deserialize)]
pub(crate) struct Chunk {
    pub(crate) content: String,
}

/// How a build, a step or a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Results {
    Success,
    Warnings,
    Failure,
    Skipped,
    Exception,
    Retry,
    Cancelled,
    Unknown,
}

impl Results {
    pub(crate) fn of(code: i32) -> Self {
        match code {
            0 => Self::Success,
            1 => Self::Warnings,
            2 => Self::Failure,
            3 => Self::Skipped,
            4 => Self::Exception,
            5 => Self::Retry,
            6 => Self::Cancelled,
            _ => Self::Unknown,
        }
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Success => "SUCCESS",
            Self::Warnings => "WARNINGS",
            Self::Failure => "FAILURE",
            Self::Skipped => "SKIPPED",
            Self::Exception => "EXCEPTION",
            Self::Retry => "RETRY",
            Self::Cancelled => "CANCELLED",
            Self::Unknown => "an unknown result",
        })
    }
}
