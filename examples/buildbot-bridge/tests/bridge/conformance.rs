//! The engine keeps the contract of engines, as far as builds can: nothing that they write comes here, and their results have few words.

use std::sync::Mutex;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::{Map, Value, json};
use taskcluster::Taskcluster;
use taskcluster_buildbot_bridge::{Bridge, BuildbotEngine};
use taskcluster_worker::Engine;
use taskcluster_worker::conformance::{self, Act, Subject};

use crate::master::Master;

struct Builds {
    engine: Mutex<Option<BuildbotEngine>>,
    master: Master,
}

impl Builds {
    async fn new() -> Option<Self> {
        let master = Master::start().await?;
        let queue = Taskcluster::builder("http://127.0.0.1:9").build().unwrap().queue(); // where nobody listens
        let engine = BuildbotEngine::new(Bridge::new(master.client(), "taskcluster", queue));
        Some(Self { engine: Mutex::new(Some(engine)), master })
    }

    /// The requests that Buildbot is not done with.
    async fn open(&self) -> Vec<Value> {
        let requests = self.master.requests().await.into_iter();
        requests.filter(|request| request["complete"] == false).collect()
    }
}

impl Subject for Builds {
    fn engine(&self) -> Box<dyn Engine> {
        Box::new(self.engine.lock().unwrap().take().expect("it is asked for once"))
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

    fn end_what_goes_on(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            for request in self.open().await {
                let path = format!("buildrequests/{}", request["buildrequestid"]);
                self.master.order(&path, json!({"method": "cancel", "params": {"reason": "a test"}})).await;
            }
            while !self.open().await.is_empty() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_buildbot_engine_keeps_the_contract() {
    let Some(builds) = Builds::new().await else { return };
    conformance::check(&builds).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_of_the_buildbot_engine_end_as_those_of_any_other() {
    let Some(builds) = Builds::new().await else { return };
    conformance::check_ends(&builds).await;
}
