//! A script engine keeps the contract of engines.

use serde_json::{Map, Value, json};
use taskcluster_native_worker::Isolation;
use taskcluster_script_worker::ScriptEngine;
use taskcluster_worker::conformance::{self, Act, Subject};
use taskcluster_worker::{Engine, PayloadPart};

/// A script that does the acts of its payload, which are lines of shell.
struct Acting {
    dir: tempfile::TempDir,
}

impl Subject for Acting {
    fn engine(&self) -> Box<dyn Engine> {
        let schema = json!({
            "required": ["acts"],
            "properties": {"acts": {"type": "string"}},
        });
        let script = r#"eval "$(sed -n 's/^ *"acts": "\(.*\)",\{0,1\}$/\1/p' payload.json)""#;
        let command = ["/bin/sh", "-c", script].map(str::to_owned);
        let part = PayloadPart::from_schema(schema).unwrap();
        Box::new(ScriptEngine::new(self.dir.path().join("tasks"), Isolation::None, &command, part).unwrap())
    }

    fn payload(&self, acts: &[Act]) -> Map<String, Value> {
        let lines: Vec<String> = acts.iter().map(line).collect();
        Map::from_iter([("acts".to_owned(), json!(lines.join("; ")))])
    }
}

/// An act in the language of the shell, without a quotation mark that JSON would write otherwise.
fn line(act: &Act) -> String {
    match act {
        Act::Print(text) => format!("printf %s '{text}'"),
        Act::PrintEnv(name) => format!("printenv {name}"),
        Act::Write { path, text } => format!("mkdir -p $(dirname {path}); printf %s '{text}' > {path}"),
        Act::PrintFile(path) => format!("cat {path}"),
        Act::Exit(code) => format!("exit {code}"),
        Act::Forever(text) => format!("echo {text}; while :; do sleep 1000; done"),
    }
}

#[tokio::test]
async fn a_script_engine_keeps_the_contract_of_engines() {
    conformance::check(&Acting { dir: tempfile::tempdir().unwrap() }).await;
    conformance::check_ends(&Acting { dir: tempfile::tempdir().unwrap() }).await;
}
