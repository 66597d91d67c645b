//! An engine that runs nothing: it does what its payload says, in this process.

use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::context::TaskContext;
use crate::engine::{Engine, Exit, SandboxBuilder};
use crate::error::{Error, Result};
use crate::function::{self, FunctionEngine, Job};
use crate::payload::{Payload, PayloadPart};

/// Does what the payload's list `mock` says: `{"print": "text"}`, `{"printEnv": "NAME"}`, `{"write": {"path", "text"}}`,
/// `{"printFile": "path"}`, `{"exit": 1}`, `{"forever": "printed first"}`.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct MockEngine;

#[derive(Debug, Deserialize, JsonSchema)]
struct MockPayload {
    mock: Vec<Act>,
}

/// One thing to do.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum Act {
    Print(String),
    PrintEnv(String),
    Write(WriteAct),
    PrintFile(String),
    Exit(i32),
    Forever(String),
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
struct WriteAct {
    path: String,
    text: String,
}

impl MockEngine {
    fn engine(self) -> FunctionEngine<MockPayload> {
        function::engine("mock", act)
    }
}

#[async_trait]
impl Engine for MockEngine {
    fn name(&self) -> &'static str {
        self.engine().name()
    }

    fn payload(&self) -> PayloadPart {
        self.engine().payload()
    }

    async fn prepare(&self, task: &Arc<TaskContext>, payload: &Payload) -> Result<Box<dyn SandboxBuilder>> {
        self.engine().prepare(task, payload).await
    }
}

async fn act(job: Job<MockPayload>) -> Result<Exit> {
    let (log, path) = (job.task.log(), |path: &str| job.folder.join(path));
    let mut exit = Exit::Code(0);
    for act in job.payload.mock {
        match act {
            Act::Print(text) => log.write(text.as_bytes()),
            Act::PrintEnv(name) => log.write(job.env.get(&name).map_or("", String::as_str).as_bytes()),
            Act::Write(WriteAct { path: to, text }) => {
                let to = path(&to);
                let made = to.parent().map_or(Ok(()), std::fs::create_dir_all);
                made.and_then(|()| std::fs::write(to, text))
                    .map_err(|error| Error::task(format!("cannot write: {error}")))?;
            }
            Act::PrintFile(from) => match std::fs::read(path(&from)) {
                Ok(content) => log.write(&content),
                Err(error) => return Err(Error::task(format!("cannot read: {error}"))),
            },
            Act::Exit(code) => exit = Exit::Code(code),
            Act::Forever(text) => {
                log.write(text.as_bytes());
                std::future::pending::<()>().await;
            }
        }
    }
    Ok(exit)
}
