//! The engine keeps the contract of engines, as far as builds can: nothing that they write comes here, and their results have few words.

use std::sync::Mutex;

use serde_json::{Map, Value, json};
use taskcluster::Taskcluster;
use taskcluster_buildbot_bridge::{Bridge, BuildbotEngine};
use taskcluster_worker::Engine;
use taskcluster_worker::conformance::{self, Act, Subject};

use crate::master::Master;

struct Builds(Mutex<Option<BuildbotEngine>>);

impl Subject for Builds {
    fn engine(&self) -> Box<dyn Engine> {
        Box::new(self.0.lock().unwrap().take().expect("it is asked for once"))
    }

    fn payload(&self, acts: &[Act]) -> Map<String, Value> {
        let script: Vec<String> = acts
            .iter()
            .map(|act| match act {
                Act::Print(text) => format!("echo '{text}'"),
                Act::PrintEnv(name) => format!("printenv {name}"),
                Act::Write { path, text } => format!("mkdir -p $(dirname {path}); echo '{text}' > {path}"),
                Act::PrintFile(path) => format!("cat {path}"),
                Act::Exit(code) => format!("exit {code}"),
                Act::Forever(text) => format!("echo {text}; while kill -0 $PPID; do sleep 0.1; done"),
            })
            .collect();
        let payload = json!({"buildername": "script", "properties": {"script": script.join("\n")}});
        payload.as_object().expect("it is one").clone()
    }

    fn told(&self, code: i32) -> i32 {
        if code == 0 { 0 } else { 2 } // FAILURE
    }

    fn keeps_files(&self) -> bool {
        false
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_buildbot_engine_keeps_the_contract() {
    let Some(master) = Master::start().await else { return };
    let queue = Taskcluster::builder("http://127.0.0.1:9").build().unwrap().queue(); // where nobody listens
    let engine = BuildbotEngine::new(Bridge::new(master.client(), "taskcluster", queue));
    conformance::check(&Builds(Mutex::new(Some(engine)))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_of_the_buildbot_engine_end_as_those_of_any_other() {
    let Some(master) = Master::start().await else { return };
    let queue = Taskcluster::builder("http://127.0.0.1:9").build().unwrap().queue(); // where nobody listens
    let engine = BuildbotEngine::new(Bridge::new(master.client(), "taskcluster", queue));
    conformance::check_ends(&Builds(Mutex::new(Some(engine)))).await;
}
