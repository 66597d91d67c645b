//! `taskcluster from-now`: relative times, as every client of TaskCluster understands them.

use anyhow::Result;
use serde_json::json;
use taskcluster::Timestamp;

use super::talk::finish;
use crate::args::FromNowArgs;
use crate::exit::Outcome;
use crate::output::Output;

/// Prints the time.
pub(crate) fn from_now(args: &FromNowArgs) -> Result<Outcome> {
    let time = Timestamp::from_now(&args.duration.join(" "))?;
    finish(Output::telling(args.told.json).tell(&json!({ "time": time }), |_| time.to_string()))
}
