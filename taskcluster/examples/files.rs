//! Artifacts there and back, within a task: uploads a file as an artifact of the task's own run, and downloads it again.
//!
//! The task needs the proxy (`features: {taskclusterProxy: true}`) and the variables `TASK_ID` and `RUN_ID`, which the workers
//! of this repository set.
//!
//! ```sh
//! cargo run -p taskcluster --features artifacts --example files -- report.html public/report.html
//! ```

use taskcluster::time::days;
use taskcluster::{Report, RunId, TaskId, Taskcluster, Timestamp};

#[tokio::main]
async fn main() -> Result<(), Report> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, name] = arguments.as_slice() else {
        eprintln!("usage: files FILE ARTIFACT");
        std::process::exit(2);
    };
    let tc = Taskcluster::from_env()?;
    let task_id: TaskId = variable("TASK_ID")?.parse()?;
    let run_id: RunId = variable("RUN_ID")?.parse()?;

    let upload = tc.artifacts().upload(&task_id, run_id, name, Timestamp::now() + days(7));
    upload.file(file).await?;

    // Cut connections are gone on with, and the file is there as a whole or not at all.
    let copy = format!("{file}.copy");
    tc.artifacts().download(&task_id, run_id, name).to_file(&copy).await?;
    println!("{name} is back in {copy}");
    Ok(())
}

fn variable(name: &str) -> Result<String, std::io::Error> {
    std::env::var(name).map_err(|_| std::io::Error::other(format!("{name} is not set: this is for a task")))
}
