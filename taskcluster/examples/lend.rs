//! Temporary credentials for one purpose: whoever has them may read a task's artifact for a quarter of an hour, and no more.
//!
//! ```sh
//! cargo run -p taskcluster --example lend -- TASK_ID private/build.zip
//! ```
//!
//! Prints `export` lines for the other person's shell.

use taskcluster::time::minutes;
use taskcluster::{Credentials, Needs, Report, TaskId, Taskcluster};

fn main() -> Result<(), Report> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [task_id, artifact] = arguments.as_slice() else {
        eprintln!("usage: lend TASK_ID ARTIFACT");
        std::process::exit(2);
    };
    let lent = lend(&Taskcluster::from_env()?, task_id.parse()?, artifact)?;
    println!("export TASKCLUSTER_CLIENT_ID='{}'", lent.client_id);
    println!("export TASKCLUSTER_ACCESS_TOKEN='{}'", lent.access_token.expose());
    let certificate = lent.certificate.map(|certificate| certificate.to_json()).unwrap_or_default();
    println!("export TASKCLUSTER_CERTIFICATE='{certificate}'");
    Ok(())
}

/// Asks nobody: the token of one's own credentials signs the others.
pub(crate) fn lend(tc: &Taskcluster, task_id: TaskId, artifact: &str) -> Result<Credentials, Report> {
    let mine = tc.caller().credentials().ok_or_else(|| std::io::Error::other("there are no credentials to lend of"))?;
    let calls = [tc.queue().get_latest_artifact(&task_id, artifact).needs()?];
    Ok(mine.for_calls(calls, minutes(15))?)
}
