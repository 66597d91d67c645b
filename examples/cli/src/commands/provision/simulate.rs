//! `taskcluster provision simulate`: what policies would have come to.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use taskcluster_provisioner::policy::{ALL, Historical, Policy};
use taskcluster_provisioner::simulate::report::{Row, Trials, compare, cost_at, picture, table};
use taskcluster_provisioner::simulate::trace::Trace;

use crate::args::SimulateArgs;
use crate::exit::Outcome;
use crate::output::Output;

pub(super) fn simulate(args: &SimulateArgs) -> Result<Outcome> {
    let policies = policies(&args.policies)?;
    let idle = Duration::from_secs(args.idle);
    let trials = Trials { ratios: args.ratio.clone(), spares: args.spare.clone(), idle };
    let mut output = Output::stdout(false);
    // Said before anything is worked out.
    if let Some(folder) = &args.svg {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    for path in &args.traces {
        let trace = read(path).with_context(|| format!("{} is no trace", path.display()))?;
        let rows = compare(&trace, &policies, &trials);
        let name = &trace.surroundings.name;
        output.line(&format!("{name}: {} tasks", trace.arrivals.len()))?;
        output.line(table(&rows).trim_end())?;
        for line in at_equal_wait(&rows, &policies) {
            output.line(&line)?;
        }
        output.line("")?;
        if let Some(folder) = &args.svg {
            let file = folder.join(format!("{}.svg", name.replace('/', "-")));
            std::fs::write(&file, picture(name, &rows)).with_context(|| format!("cannot write {}", file.display()))?;
        }
    }
    Ok(Outcome::Green)
}

fn policies(names: &[String]) -> Result<Vec<&'static dyn Policy>> {
    if names.is_empty() {
        return Ok(ALL.to_vec());
    }
    names
        .iter()
        .map(|name| match ALL.iter().find(|policy| policy.name() == name) {
            Some(policy) => Ok(*policy),
            None => {
                let known: Vec<&str> = ALL.iter().map(|policy| policy.name()).collect();
                bail!("there is no policy {name:?}, only {}", known.join(", "))
            }
        })
        .collect()
}

fn read(path: &Path) -> Result<Trace> {
    Ok(Trace::read(BufReader::new(File::open(path)?))?)
}

/// What each other policy costs where tasks wait no longer than with the historical one.
fn at_equal_wait(rows: &[Row], policies: &[&dyn Policy]) -> Vec<String> {
    let mut lines = Vec::new();
    for base in rows.iter().filter(|row| row.policy == Historical::default().name()) {
        for policy in policies.iter().filter(|policy| policy.name() != Historical::default().name()) {
            let (name, wait, before) = (policy.name(), base.outcome.wait_p95, base.outcome.cost);
            lines.push(match cost_at(rows, name, wait) {
                Some(cost) => {
                    let ratio = if before > 0.0 { cost / before } else { 1.0 };
                    let change = (ratio - 1.0) * 100.0;
                    format!("wait p95 of {wait:.1} s: historical {before:.2} $, {name} {cost:.2} $ ({change:+.1} %)")
                }
                None => format!("wait p95 of {wait:.1} s: historical {before:.2} $, {name} has none"),
            });
        }
    }
    lines
}
