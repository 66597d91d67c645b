//! `taskcluster up --serve-docker`.

#[cfg(not(feature = "docker"))]
#[test]
fn a_build_without_docker_says_in_one_line_how_to_get_one_with_it() {
    use crate::deployment::command;
    use crate::fixture::{Fixture, finish, text};

    let fixture = Fixture::empty();
    let output = finish(command(&fixture, &["--serve-docker", "local/docker"]).spawn().unwrap());
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.lines().count() == 1 && said.contains("--features docker"), "{said}");
}

#[cfg(feature = "docker")]
mod with_docker {
    use std::process::Command;

    use serde_json::json;

    use crate::client::Client;
    use crate::deployment::{Up, command};
    use crate::fixture::{Fixture, finish, text};

    const IMAGE: &str = "taskcluster-test-up:1";

    /// Whether there is an engine, on which there is an image of busybox then.
    fn is_there(host: &str) -> bool {
        let script = r#"
            dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
            mkdir -p "$dir/bin"; cp "$(command -v busybox)" "$dir/bin/busybox"; ln -s busybox "$dir/bin/sh"
            tar -C "$dir" -c . | docker import -c 'ENV PATH=/bin' - "$1" >/dev/null"#;
        let made = Command::new("sh").args(["-ec", script, "sh", IMAGE]).env("DOCKER_HOST", host).status();
        made.is_ok_and(|status| status.success())
    }

    #[test]
    fn a_task_runs_in_a_container() {
        let Ok(host) = std::env::var("TEST_DOCKER") else {
            println!("skipped: TEST_DOCKER names no Docker engine");
            return;
        };
        assert!(is_there(&host), "the image for the test cannot be made");
        let fixture = Fixture::empty();
        let up = Up::start_with(&fixture, &["--serve-docker", "local/docker"], &[("DOCKER_HOST", &host)]);
        assert!(up.said().contains("A Docker worker serves local/docker"), "{}", up.said());
        let client = Client { fixture: &fixture, up: &up };
        let payload = json!({"image": IMAGE, "command": ["sh", "-c", "echo within-$((20 + 3)); test -f /.dockerenv"], "maxRunTime": 60});
        let task = client.create_with("local/docker", "contained", &payload);
        let log = client.says(&["task", "log", &task]);
        assert!(log.contains("within-23"), "{log}");
        assert_eq!(client.says(&["task", "status", &task]).lines().next(), Some("completed"));
        up.stop();
    }

    #[test]
    fn without_an_engine_nothing_is_served() {
        let fixture = Fixture::empty();
        let mut command = command(&fixture, &["--serve-docker", "local/docker"]);
        let output = finish(command.env("DOCKER_HOST", "unix:///nowhere/docker.sock").spawn().unwrap());
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("local/docker cannot be served with Docker"), "{said}");
    }
}
