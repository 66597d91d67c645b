//! Without `async`: what a task group has come to.
//!
//! ```sh
//! cargo run -p taskcluster --features blocking --example blocking -- TASK_GROUP_ID
//! ```

use std::collections::BTreeMap;

use taskcluster::blocking::{Wait, iterate};
use taskcluster::{Report, TaskId, Taskcluster};

fn main() -> Result<(), Report> {
    let Some(group) = std::env::args().nth(1) else {
        eprintln!("usage: blocking TASK_GROUP_ID");
        std::process::exit(2);
    };
    let tc = Taskcluster::from_env()?;
    print!("{}", summary(&tc, group.parse()?)?);
    Ok(())
}

/// How many tasks are in each state.
pub(crate) fn summary(tc: &Taskcluster, group: TaskId) -> Result<String, Report> {
    let expires = tc.queue().get_task_group(&group).wait()?.expires;
    let mut states: BTreeMap<String, u32> = BTreeMap::new();
    for member in iterate(tc.queue().list_task_group(&group).stream()) {
        *states.entry(member?.status.state.to_string()).or_default() += 1;
    }
    let lines: String = states.iter().map(|(state, count)| format!("{count:>6} {state}\n")).collect();
    Ok(format!("{lines}until {expires}\n"))
}
