//! The SDK's example `hello`, against a deployment with a worker.

use taskcluster::Taskcluster;
use taskcluster_core::credentials::Credentials;

use crate::deployment::Up;
use crate::fixture::{Fixture, PATIENCE};

#[expect(dead_code, reason = "the program is taken whole, its `main` reads the environment")]
#[path = "../../../../taskcluster/examples/hello.rs"]
mod program;

#[tokio::test(flavor = "multi_thread")]
async fn it_creates_a_task_and_reads_what_that_leaves() {
    let fixture = Fixture::empty();
    let up = Up::start(&fixture, &["--serve", "local/native"]);
    let variable = |name| up.variable(name);
    let credentials = Credentials::new(variable("TASKCLUSTER_CLIENT_ID"), variable("TASKCLUSTER_ACCESS_TOKEN"));
    let tc = Taskcluster::builder(variable("TASKCLUSTER_ROOT_URL")).credentials(credentials).build().unwrap();
    let read = tokio::time::timeout(PATIENCE, program::hello(&tc)).await.expect("a worker ends it").unwrap();
    assert!(read.contains("\nhello, log\n"), "{read}");
    assert!(read.ends_with("public/greeting.txt: hello, artifact\n"), "{read}");
    up.stop();
}
