//! A decision task: what a push needs, decided by a program of your own. A build, its tests in two halves, and a page of
//! documentation only where a document has changed.
//!
//! It runs within a task, as `.taskcluster.yml` starts it (`examples/cli/writing-tasks.md` has such a file), with the proxy, the
//! variables `TASK_ID`, `HEAD_REPOSITORY`, `HEAD_REVISION` and `BASE_REVISION`, and the folder `public` among its artifacts. That
//! task has the scopes for what it creates, such as `queue:create-task:low:local/native`, `queue:create-task:project:none` and
//! `queue:scheduler-id:…` (`CheckedGraph::needs` tells all of them), or those of a role that has them, `assume:repo:…`.
//! Elsewhere `--show` prints what would happen; with the variables, `TASK_ID` of a task that exists among them, it happens.
//!
//! ```sh
//! cargo run -p taskcluster --features graph --example decision -- --show
//! ```

use taskcluster::graph::{Changes, CheckedGraph, DecisionFiles, GraphError, Parameters, Task};
use taskcluster::time::hours;
use taskcluster::{Report, Taskcluster, object};

#[tokio::main]
async fn main() -> Result<(), Report> {
    if std::env::args().any(|argument| argument == "--show") {
        let nobody = Parameters::for_show("local/native".parse()?, "https://example.com/repository", "HEAD");
        for task in decide(&nobody, &Changes::Everything)?.tasks() {
            println!("{}", task.label);
        }
        return Ok(());
    }
    let tc = Taskcluster::from_env()?;
    let push = Parameters::from_env(&tc.queue()).await?;
    let changes = Changes::between(".", push.base_revision.as_deref(), &push.head_revision)?;
    let graph = decide(&push, &changes)?;
    // The worker publishes the folder, so it tells what was meant also when the queue refuses it.
    DecisionFiles::new(&push).with_graph(&graph).write_to("public")?;
    let created = graph.submit(&tc.queue()).await?;
    println!("{} tasks", created.len());
    Ok(())
}

pub(crate) fn decide(push: &Parameters, changes: &Changes) -> Result<CheckedGraph, GraphError> {
    let task = |name: &str, command: &str| {
        let payload = object! { "command": [["sh", "-c", command]], "maxRunTime": 1800 };
        Task::new(name, push.definition(name, "Decided by a program.", hours(2), payload))
    };
    let mut graph = push.graph();
    graph.add(task("build", "make").with_files(["src/**", "Makefile"]));
    for half in 1..=2 {
        let test = task(&format!("test-{half}"), &format!("make test HALF={half}"));
        graph.add(test.with_needs(["build"]).with_files(["src/**", "tests/**"]));
    }
    graph.add(task("docs", "make docs").with_files(["docs/**", "*.md"]));
    Ok(graph.check()?.changed_by(changes))
}
