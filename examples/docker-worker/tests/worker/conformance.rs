//! The Docker engine keeps the contract of engines.

use serde_json::{Map, Value, json};
use taskcluster_docker_worker::{DockerEngine, Options};
use taskcluster_worker::Engine;
use taskcluster_worker::conformance::{self, Act, Subject};

use crate::docker;

struct Docker {
    engine: std::sync::Mutex<Option<DockerEngine>>,
    image: String,
}

impl Subject for Docker {
    fn engine(&self) -> Box<dyn Engine> {
        Box::new(self.engine.lock().unwrap().take().expect("it is asked for once"))
    }

    fn payload(&self, acts: &[Act]) -> Map<String, Value> {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
        let script: Vec<String> = acts
            .iter()
            .map(|act| match act {
                Act::Print(text) => format!("printf %s {}", quoted(text)),
                Act::PrintEnv(name) => format!("printf %s \"${name}\""),
                Act::Write { path, text } => {
                    format!("mkdir -p \"$(dirname {0})\" && printf %s {1} > {0}", quoted(path), quoted(text))
                }
                Act::PrintFile(path) => format!("cat {}", quoted(path)),
                Act::Exit(code) => format!("exit {code}"),
                Act::Forever(text) => format!("echo {}; while :; do sleep 1000; done", quoted(text)),
            })
            .collect();
        let payload = json!({"image": self.image, "command": ["/bin/sh", "-ec", script.join("\n")]});
        payload.as_object().expect("it is one").clone()
    }
}

#[tokio::test]
async fn the_docker_engine_keeps_the_contract() {
    let Some(there) = docker::find().await else { return };
    let engine = DockerEngine::connect(&there.host, Options::new(docker::label())).await.unwrap();
    conformance::check(&Docker { engine: Some(engine).into(), image: there.image }).await;
}

#[tokio::test]
async fn tasks_of_the_docker_engine_end_as_those_of_any_other() {
    let Some(there) = docker::find().await else { return };
    let engine = DockerEngine::connect(&there.host, Options::new(docker::label())).await.unwrap();
    conformance::check_ends(&Docker { engine: Some(engine).into(), image: there.image }).await;
}
