//! The references of this repository.

use std::path::{Path, PathBuf};

use taskcluster_codegen::Generator;
use taskcluster_codegen::model::{Method, Model};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../api-references")
}

fn model() -> Model {
    Generator::new().references(folder()).model().unwrap()
}

/// `service.method` of all POST methods that are, or are not, repeated.
fn posts(idempotent: bool) -> Vec<String> {
    let mut names = Vec::new();
    for service in model().services {
        let posts = service.operations.iter().filter(|operation| operation.method == Method::Post);
        let some = posts.filter(|operation| operation.idempotent == idempotent);
        names.extend(some.map(|operation| format!("{}.{}", service.name, operation.name)));
    }
    names
}

/// Whoever adds a POST method decides here, and in `idempotency.rs`, whether a client may send it twice.
#[test]
fn what_is_not_sent_twice() {
    let ours =
        |name: &String| ["auth.", "provisioner.", "queue.", "scheduler."].iter().any(|own| name.starts_with(own));
    let once: Vec<String> = posts(false).into_iter().filter(ours).collect();
    assert_eq!(
        once,
        [
            "auth.resetAccessToken",
            "auth.githubRepoToken",
            "queue.rerunTask",
            "queue.claimWork",
            "queue.claimTask",
            "scheduler.extendTaskGraph",
        ]
    );
}

#[test]
fn a_service_alone_becomes_the_same_as_among_others() {
    let all = Generator::new().references(folder()).generate().unwrap();
    for service in ["auth", "queue", "provisioner"] {
        let alone = Generator::new().references(folder()).services([service]).generate().unwrap();
        let among = all.files.iter().find(|file| file.service == service).unwrap();
        assert_eq!([among], alone.files.iter().collect::<Vec<_>>().as_slice(), "{service}");
    }
}

#[test]
fn a_module_may_be_called_otherwise() {
    let output = Generator::new()
        .references(folder())
        .services(["queue", "scheduler"])
        .module("queue", "task_queue")
        .generate_formatted()
        .unwrap();
    let names: Vec<&str> = output.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["scheduler.rs", "task_queue.rs"]);
    assert!(output.files[0].code.contains("super::task_queue::"));
    let taken = Generator::new().references(folder()).module("queue", "auth").generate();
    assert!(taken.unwrap_err().to_string().starts_with("setting module: "));
}
