//! What a run leaves in the index.

use std::time::{Duration, Instant};

use crate::deployment::{Up, get};
use crate::fixture::{Fixture, PATIENCE, text};
use crate::run::{HERE, yml};

/// The run ends as soon as its last task is green, whatever the index has done by then.
#[test]
fn a_task_is_found_by_its_route_after_the_run_that_it_was_the_last_of() {
    let yml = yml(&[("greet", "", HERE, "echo hello")]);
    let fixture = Fixture::with(&yml.replace("    payload:\n", "    routes: [index.fixture.greet]\n    payload:\n"));
    let output = fixture.run(&[]);
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
    let up = Up::start(&fixture, &[]);
    let address = up.variable("TASKCLUSTER_ROOT_URL").strip_prefix("http://").unwrap().to_owned();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = get(&address, &address, "/api/index/v1/task/fixture.greet");
        if answer.starts_with("HTTP/1.1 200") {
            break;
        }
        assert!(answer.starts_with("HTTP/1.1 404") && Instant::now() < deadline, "{answer}");
        std::thread::sleep(Duration::from_millis(50));
    }
    // A link to what it left, for everybody who may get that.
    let log = get(&address, &address, "/api/index/v1/task/fixture.greet/artifacts/public/logs/live_backing.log");
    assert!(log.starts_with("HTTP/1.1 303"), "{log}");
    up.stop();
}
