//! Traces: tasks that come, and the market in which workers are had for them.
//!
//! A file has one JSON document on each line. The first says what surrounds the tasks; each other line is a task, `[at, for]`: when it
//! comes, and how long it runs, both in milliseconds, in the order in which they come. Instead of these the first line may have a recipe
//! from which they are made ([`generate`](super::generate)). What has really come is listed by [`record`](super::record).

use std::io::{self, BufRead};

use serde::{Deserialize, Serialize};

use super::generate::{self, Recipe};
use crate::instance::Place;
use crate::provider::Offer;

/// What surrounds the tasks of a trace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[allow(clippy::exhaustive_structs, reason = "tests and tools make it")]
pub struct Surroundings {
    /// What the trace is called.
    pub name: String,
    /// What may be had.
    pub market: Vec<Good>,
    /// How long it takes from the wish for a worker to its first claim.
    pub boot: Boot,
    /// How often in an hour a worker is lost, with the task that it has. Source: for spot machines Amazon names rates by the month.
    #[serde(default)]
    pub losses_per_hour: f64,
    /// The most capacity that there may be.
    pub max_capacity: u32,
    /// What runs even if nothing waits.
    #[serde(default)]
    pub min_capacity: u32,
    /// Tasks that are made and not listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generate: Option<Recipe>,
}

/// A kind of worker that may be had.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[allow(clippy::exhaustive_structs, reason = "tests and tools make it")]
pub struct Good {
    /// What it is called.
    pub name: String,
    /// How many tasks it runs at a time.
    pub capacity: u32,
    /// What an hour of it costs, in US dollars.
    pub price: f64,
}

impl Good {
    /// As a provider offers it.
    #[must_use]
    pub fn to_offer(&self) -> Offer {
        Offer {
            worker_group: "simulated".to_owned(),
            place: Place { instance_type: self.name.clone(), ..Place::default() },
            capacity: self.capacity,
            price: self.price,
            utility: f64::from(self.capacity),
            bias: 1.0,
            bid: None,
        }
    }
}

/// How long workers take to begin: as often longer as shorter than the median, and seldom much longer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[allow(clippy::exhaustive_structs, reason = "tests and tools make it")]
pub struct Boot {
    /// In seconds.
    pub median: f64,
    /// By how much its logarithm varies (standard deviation).
    pub spread: f64,
}

/// A task that comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "it is a line of a trace")]
pub struct Arrival(
    /// When, in milliseconds since the beginning.
    pub u64,
    /// How long it runs, in milliseconds.
    pub u64,
);

/// A trace.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "tests and tools make it")]
pub struct Trace {
    /// What surrounds the tasks.
    pub surroundings: Surroundings,
    /// The tasks, as they come.
    pub arrivals: Vec<Arrival>,
}

/// Why a file is no trace.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// It cannot be read.
    #[error("it cannot be read")]
    Io(#[from] io::Error),
    /// A line is not what it should be.
    #[error("line {line}: {problem}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
}

impl Trace {
    /// A trace as it stands in a file.
    ///
    /// # Errors
    /// It is none.
    pub fn read(file: impl BufRead) -> Result<Self, TraceError> {
        let mut surroundings: Option<Surroundings> = None;
        let mut arrivals: Vec<Arrival> = Vec::new();
        for (number, line) in file.lines().enumerate() {
            let (number, line) = (number + 1, line?);
            let wrong = |problem: String| TraceError::Line { line: number, problem };
            if line.trim().is_empty() {
                continue;
            }
            if surroundings.is_none() {
                surroundings = Some(serde_json::from_str(&line).map_err(|error| wrong(error.to_string()))?);
                continue;
            }
            let arrival: Arrival = serde_json::from_str(&line).map_err(|error| wrong(error.to_string()))?;
            if arrivals.last().is_some_and(|last| last.0 > arrival.0) {
                return Err(wrong("the task comes before the one of the line before".to_owned()));
            }
            arrivals.push(arrival);
        }
        let nothing = || TraceError::Line { line: 1, problem: "there is nothing".to_owned() };
        let surroundings = surroundings.ok_or_else(nothing)?;
        if surroundings.market.iter().all(|good| good.capacity == 0) {
            let problem = "nothing may be had: `market` needs something with a capacity".to_owned();
            return Err(TraceError::Line { line: 1, problem });
        }
        match &surroundings.generate {
            Some(_) if !arrivals.is_empty() => {
                Err(TraceError::Line { line: 2, problem: "there is a recipe and a task".to_owned() })
            }
            Some(recipe) => Ok(Self { arrivals: generate::arrivals(recipe), surroundings }),
            None => Ok(Self { surroundings, arrivals }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = r#"{"name": "t", "market": [{"name": "m", "capacity": 1, "price": 1}],
        "boot": {"median": 60, "spread": 0.3}, "maxCapacity": 4}"#;

    fn read(rest: &str) -> Result<Trace, String> {
        let text = format!("{}\n{rest}", FIRST.replace('\n', ""));
        Trace::read(text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn tasks_stand_on_lines_of_their_own_in_order() {
        assert_eq!(read("[0, 5]\n[7, 9]\n").unwrap().arrivals, [Arrival(0, 5), Arrival(7, 9)]);
        assert_eq!(read("[7, 5]\n[6, 9]\n").unwrap_err(), "line 3: the task comes before the one of the line before");
        assert!(read("[1]").unwrap_err().starts_with("line 2: "));
        assert!(Trace::read(&b""[..]).is_err());
    }
}
