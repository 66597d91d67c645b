//! The references of this repository.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use taskcluster_codegen::model::{Method, Model};
use taskcluster_codegen::{Examples, Generator, Output};

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
    let once = posts(false);
    assert_eq!(
        once,
        [
            "auth.resetAccessToken",
            "auth.githubRepoToken",
            "hooks.triggerHook",
            "hooks.resetTriggerToken",
            "hooks.triggerHookWithToken",
            "notify.email",
            "notify.pulse",
            "notify.matrix",
            "notify.slack",
            "queue.rerunTask",
            "queue.claimWork",
            "queue.claimTask",
            "scheduler.rerunTaskGraph",
            "scheduler.rerunTask",
            "worker-manager.registerWorker",
            "worker-manager.reregisterWorker",
            "worker-manager.reportWorkerError",
        ]
    );
}

#[test]
fn a_service_alone_becomes_the_same_as_among_others() {
    let all = Generator::new().references(folder()).generate().unwrap();
    for service in ["auth", "hooks", "object", "provisioner", "queue", "worker-manager"] {
        let alone = Generator::new().references(folder()).services([service]).generate().unwrap();
        let of = |output: &Output| output.files.iter().find(|file| file.service == service).cloned();
        assert!(of(&all).is_some() && of(&all) == of(&alone), "{service}");
    }
}

/// A number at the end means that two schemas wanted the same name.
#[test]
fn every_type_has_a_name_of_its_own() {
    for service in model().services {
        for of in &service.types {
            assert!(!of.name.ends_with(|c: char| c.is_ascii_digit()), "{}: {}", service.name, of.name);
        }
    }
}

#[test]
fn every_method_is_described() {
    for service in model().services {
        for operation in &service.operations {
            assert!(!operation.description.is_empty(), "{}.{}", service.name, operation.name);
        }
        for exchange in &service.exchanges {
            assert!(!exchange.description.is_empty(), "{} {}", service.name, exchange.name);
        }
    }
}

/// The example in the docs of each method, on one line, by the name of its function.
fn examples(code: &str) -> BTreeMap<&str, String> {
    let methods = code.split("/// ```no_run\n").skip(1);
    let named = methods.map(|method| {
        let (example, rest) = method.split_once("/// ```\n").expect("it ends");
        let (_, signature) = rest.split_once("pub fn ").expect("a method follows");
        let lines = example.lines().map(|line| line.trim().trim_start_matches("///").trim());
        (signature.split('(').next().unwrap_or_default(), lines.collect())
    });
    named.collect()
}

/// That they compile is seen where they are tests of the documentation: in the crate `taskcluster`, and in emitted crates.
#[test]
fn every_method_has_an_example() {
    let names = Examples::new("sdk", "sdk").with_handle("sdk::Handle");
    let output = Generator::new().references(folder()).examples(names).generate_formatted().unwrap();
    for (file, service) in output.files.iter().zip(&output.model.services) {
        let examples = examples(&file.code);
        for operation in &service.operations {
            let call = format!("tc.{}().{}(", service.module, operation.function);
            let example = examples.get(operation.function.as_str());
            assert!(example.is_some_and(|example| example.contains(&call)), "{call}: {example:?}");
        }
    }
}

#[test]
fn without_knowing_how_users_name_things_there_are_no_examples() {
    let output = Generator::new().references(folder()).generate_formatted().unwrap();
    assert!(output.files.iter().all(|file| !file.code.contains("no_run")));
}

#[test]
fn a_type_of_two_services_is_one_type() {
    let model = model();
    let manager = model.services.iter().find(|service| service.name == "worker-manager").unwrap();
    let names: Vec<&str> = manager.types.iter().map(|of| of.name.as_str()).collect();
    assert!(names.contains(&"ListedWorker"));
    assert!(!names.contains(&"RecentTask") && !names.contains(&"QuarantineEntry"), "they are those of the queue");
}

#[test]
fn features_choose_services_and_imply_those_that_they_refer_to() {
    let of = |features: &[&str]| {
        Generator::new().references(folder()).modules(&[("events", "event_stream")]).features(features).model()
    };
    let names = |features: &[&str]| -> Vec<String> {
        of(features).unwrap().services.into_iter().map(|service| service.name).collect()
    };
    assert_eq!(names(&["EVENT_STREAM", "purge-cache", "events", "gzip"]), ["events", "purge-cache"]);
    assert_eq!(names(&[]), [""; 0]);
    // As cargo spells them.
    assert_eq!(names(&["WORKER_MANAGER", "QUEUE"]), ["queue", "worker-manager"]);
    let message = of(&["worker-manager", "auth"]).unwrap_err().to_string();
    assert_eq!(message, r#"features: "worker-manager" must imply "queue", whose types its own refer to"#);
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
    assert!(taken.unwrap_err().to_string().starts_with("module: "));
}
