//! The native engine keeps the contract of engines, with both kinds of isolation.

use std::process::Command;

use serde_json::{Map, Value, json};
use taskcluster_native_worker::{Isolation, NativeEngine};
use taskcluster_worker::Engine;
use taskcluster_worker::conformance::{self, Act, Subject};

struct Native {
    isolation: Isolation,
    dir: tempfile::TempDir,
}

impl Native {
    fn new(isolation: Isolation) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
        Self { isolation, dir }
    }
}

impl Subject for Native {
    fn engine(&self) -> Box<dyn Engine> {
        Box::new(NativeEngine::new(self.dir.path().join("tasks"), self.isolation))
    }

    fn payload(&self, acts: &[Act]) -> Map<String, Value> {
        let sh = |script: &str, arguments: &[&str]| {
            let mut argv = vec!["/bin/sh", "-c", script, "sh"];
            argv.extend(arguments);
            json!(argv)
        };
        let commands: Vec<Value> = acts
            .iter()
            .map(|act| match act {
                Act::Print(text) => sh(r#"printf %s "$1""#, &[text]),
                Act::PrintEnv(name) => sh(r#"eval "printf %s \"\$$1\"""#, &[name]),
                Act::Write { path, text } => {
                    sh(r#"mkdir -p "$(dirname "$1")" && printf %s "$2" > "$1""#, &[path, text])
                }
                Act::PrintFile(path) => sh(r#"cat "$1""#, &[path]),
                Act::Exit(code) => sh(r#"exit "$1""#, &[&code.to_string()]),
                Act::Forever(text) => sh(r#"printf '%s\n' "$1"; while :; do sleep 1000; done"#, &[text]),
            })
            .collect();
        Map::from_iter([("command".to_owned(), json!(commands))])
    }
}

#[tokio::test]
async fn without_isolation() {
    conformance::check(&Native::new(Isolation::None)).await;
    conformance::check_ends(&Native::new(Isolation::None)).await;
}

#[tokio::test]
async fn as_a_user_per_task() {
    if Isolation::default_for_caller() == Isolation::None || Command::new("useradd").arg("--help").output().is_err() {
        println!("skipped: needs root and useradd");
        return;
    }
    conformance::check(&Native::new(Isolation::User)).await;
    conformance::check_ends(&Native::new(Isolation::User)).await;
}
