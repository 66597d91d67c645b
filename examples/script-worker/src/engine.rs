//! The engine: the native one, whose command is the operator's and whose payload is that command's argument.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;
use serde_json::{Map, Value, json};
use taskcluster_native_worker::{Isolation, NativeEngine};
use taskcluster_worker::{Engine, Error, Payload, PayloadPart, PayloadSchema, Result, SandboxBuilder, TaskContext};

/// The file in the script's directory that holds the payload.
pub(crate) const PAYLOAD: &str = "payload.json";

/// The file that holds the whole definition of the task.
const TASK: &str = "task.json";

/// Runs one program for every task.
#[derive(Debug)]
pub struct ScriptEngine {
    native: NativeEngine,
    command: Payload,
    part: PayloadPart,
}

impl ScriptEngine {
    /// Tasks get directories of their own below `tasks_dir`, in which `command` is run, a program with its arguments. `part` is
    /// what the program takes.
    ///
    /// # Errors
    /// [`Error::Payload`]: there is no program in `command`, or a NUL.
    pub fn new(
        tasks_dir: impl Into<PathBuf>,
        isolation: Isolation,
        command: &[String],
        part: PayloadPart,
    ) -> Result<Self> {
        let native = NativeEngine::new(tasks_dir, isolation);
        let schema = PayloadSchema::compose([(native.name(), native.payload())]).expect("one part fits itself");
        let command = schema.validate(&Map::from_iter([("command".to_owned(), json!([command]))]))?;
        Ok(Self { native, command, part })
    }
}

#[async_trait]
impl Engine for ScriptEngine {
    fn name(&self) -> &'static str {
        "script"
    }

    fn payload(&self) -> PayloadPart {
        self.part.clone()
    }

    async fn set_up(&self) -> Result<()> {
        self.native.set_up().await
    }

    async fn prepare(&self, task: &Arc<TaskContext>, payload: &Payload) -> Result<Box<dyn SandboxBuilder>> {
        let mut builder = self.native.prepare(task, &self.command).await?;
        match furnish(&mut *builder, task, payload.as_value()).await {
            Ok(()) => Ok(builder),
            Err(error) => {
                builder.discard().await;
                Err(error)
            }
        }
    }
}

/// What every script finds in its directory.
async fn furnish(builder: &mut dyn SandboxBuilder, task: &TaskContext, payload: &Value) -> Result<()> {
    add_json(builder, task, PAYLOAD, payload).await?;
    add_json(builder, task, TASK, task.definition()).await?;
    for (path, _) in crate::left::FOLDERS {
        let source = task.scratch().join(path);
        tokio::fs::create_dir_all(&source).await.map_err(failed)?;
        builder.add_directory(path, &source).await?;
    }
    Ok(())
}

async fn add_json<T: Serialize + Sync>(
    builder: &mut dyn SandboxBuilder,
    task: &TaskContext,
    name: &str,
    value: &T,
) -> Result<()> {
    let text = serde_json::to_vec_pretty(value).map_err(|error| failed(error.into()))?;
    let source = task.scratch().join(name);
    tokio::fs::write(&source, text).await.map_err(failed)?;
    builder.add_file(name, &source).await
}

fn failed(error: std::io::Error) -> Error {
    Error::worker_caused("cannot furnish the script's directory", error)
}
