//! Numbers over time, and those of now.

use std::fmt::Write as _;

use service_kit::pages;
use taskcluster::provisioner as wire;
use taskcluster_core::time::{Timestamp, days, minutes};
use taskcluster_core::transport::Body;
use taskcluster_server::provisioner::FleetQuery;
use taskcluster_server::{Failure, Reply};

use super::{Api, limit};

/// How long a pass may take before something must be wrong. Numbers that are older are none of the present.
const SLOW: std::time::Duration = minutes(10);

/// A number of a worker type, as Prometheus knows it.
struct Metric {
    name: &'static str,
    help: &'static str,
    of: fn(&wire::FleetSample) -> Option<f64>,
}

const METRICS: [Metric; 10] = [
    Metric { name: "pending_tasks", help: "Tasks that wait.", of: |sample| Some(sample.pending_tasks) },
    Metric { name: "claimed_tasks", help: "Tasks that workers hold.", of: |sample| Some(sample.claimed_tasks) },
    Metric { name: "wait_p50_seconds", help: "How long half of the tasks waited at most.", of: |s| s.wait_p50 },
    Metric { name: "wait_p95_seconds", help: "How long 95 of 100 tasks waited at most.", of: |s| s.wait_p95 },
    Metric { name: "requested_capacity", help: "Capacity asked for.", of: |sample| Some(sample.requested_capacity) },
    Metric { name: "pending_capacity", help: "Capacity that starts.", of: |sample| Some(sample.pending_capacity) },
    Metric { name: "running_capacity", help: "Capacity that runs.", of: |sample| Some(sample.running_capacity) },
    Metric { name: "idle_capacity", help: "Capacity without a task.", of: |sample| Some(sample.idle_capacity) },
    Metric { name: "excess_capacity", help: "Capacity beyond need.", of: |sample| Some(sample.excess_capacity) },
    Metric {
        name: "cost_dollars_per_hour",
        help: "What it costs.",
        of: |sample| Some(sample.cost * 3600.0 / f64::from(sample.seconds)),
    },
];

impl Api {
    pub(super) async fn numbers(&self, name: &str, query: FleetQuery) -> Result<wire::FleetResponse, Failure> {
        self.get(name).await?;
        let now = self.clock.now();
        let until = query.until.as_deref().map(|text| time("until", text)).transpose()?.unwrap_or(now);
        let since = query.since.as_deref().map(|text| time("since", text)).transpose()?;
        // The first stretch may have begun before.
        let since = since.unwrap_or(until - days(1)) - std::time::Duration::from_millis(1);
        let after: Option<i64> = pages::after(query.continuation_token.as_deref())?;
        let after = after.map_or(since, Timestamp::from_millis);
        let limit = limit(query.limit);
        let found = self.store.numbers(name, after, until, limit + 1, now).await?;
        let page = pages::cut(found, limit, |(begins, ..)| begins.as_millis());
        let samples = page.rows.iter().map(|(begins, seconds, numbers)| numbers.to_wire(*begins, *seconds));
        let answer = wire::FleetResponse::new(name, samples);
        Ok(match page.continuation_token {
            Some(token) => answer.with_continuation_token(token),
            None => answer,
        })
    }

    pub(super) async fn prometheus(&self) -> Result<Reply<Body>, Failure> {
        let last = self.store.last_numbers(self.clock.now() - SLOW).await?;
        let known: Vec<(String, wire::FleetSample)> = last
            .into_iter()
            .map(|(worker_type, (begins, seconds, numbers))| (worker_type, numbers.to_wire(begins, seconds)))
            .collect();
        let mut text = String::new();
        for Metric { name, help, of } in METRICS {
            let _ = writeln!(text, "# HELP taskcluster_provisioner_{name} {help} Over the last whole minute.");
            let _ = writeln!(text, "# TYPE taskcluster_provisioner_{name} gauge");
            for (worker_type, sample) in &known {
                if let Some(number) = of(sample) {
                    let _ = writeln!(text, "taskcluster_provisioner_{name}{{worker_type=\"{worker_type}\"}} {number}");
                }
            }
        }
        Ok(Reply::new(Body::from(text)).with_header("content-type", "text/plain; version=0.0.4; charset=utf-8"))
    }

    pub(super) async fn backend(&self) -> Result<wire::BackendStatusResponse, Failure> {
        let last = self.store.last_pass().await?.unwrap_or(self.begun);
        let up = self.clock.now().since(last) <= SLOW;
        let state = if up { wire::BackendState::Up } else { wire::BackendState::Down };
        Ok(wire::BackendStatusResponse::new(state, last))
    }
}

fn time(name: &str, text: &str) -> Result<Timestamp, Failure> {
    text.parse().map_err(|_| Failure::input_error(format!("`{name}` is {text:?}, which is no date and time")))
}
