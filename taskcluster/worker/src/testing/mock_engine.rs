//! An engine that runs nothing: it does what its payload says, in this process.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::context::TaskContext;
use crate::engine::{Engine, Exit, Extracted, Missing, ResultSet, Sandbox, SandboxBuilder, SandboxHandle, Volume};
use crate::error::{Error, Result};
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

#[async_trait]
impl Engine for MockEngine {
    fn name(&self) -> &'static str {
        "mock"
    }

    fn payload(&self) -> PayloadPart {
        PayloadPart::of::<MockPayload>()
    }

    async fn prepare(&self, task: &Arc<TaskContext>, payload: &Payload) -> Result<Box<dyn SandboxBuilder>> {
        let acts = payload.part::<MockPayload>()?.mock;
        let dir = tempfile::tempdir().map_err(|error| Error::worker_caused("cannot make a directory", error))?;
        Ok(Box::new(MockBuilder { task: task.clone(), acts, dir, env: BTreeMap::new() }))
    }
}

#[derive(Debug)]
struct MockBuilder {
    task: Arc<TaskContext>,
    acts: Vec<Act>,
    dir: tempfile::TempDir,
    env: BTreeMap<String, String>,
}

#[async_trait]
impl SandboxBuilder for MockBuilder {
    fn set_env(&mut self, name: &str, value: &str) -> Result<()> {
        self.env.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    async fn mount_directory(&mut self, path: &str, volume: Volume) -> Result<()> {
        std::os::unix::fs::symlink(&volume.path, self.dir.path().join(path))
            .map_err(|error| Error::worker_caused("cannot mount", error))
    }

    async fn add_file(&mut self, path: &str, source: &Path) -> Result<()> {
        std::fs::copy(source, self.dir.path().join(path))
            .map(drop)
            .map_err(|error| Error::worker_caused("cannot mount", error))
    }

    async fn start(self: Box<Self>) -> Result<Box<dyn Sandbox>> {
        Ok(Box::new(MockSandbox { builder: *self, control: Arc::default() }))
    }

    async fn discard(self: Box<Self>) {}
}

#[derive(Debug)]
struct MockSandbox {
    builder: MockBuilder,
    control: Arc<MockControl>,
}

#[derive(Debug, Default)]
struct MockControl {
    kill: CancellationToken,
}

#[async_trait]
impl SandboxHandle for MockControl {
    async fn kill(&self) {
        self.kill.cancel();
    }
}

#[async_trait]
impl Sandbox for MockSandbox {
    fn handle(&self) -> Arc<dyn SandboxHandle> {
        self.control.clone()
    }

    async fn wait(self: Box<Self>) -> Result<Box<dyn ResultSet>> {
        let MockBuilder { task, acts, dir, env } = self.builder;
        let mut exit = Exit::Code(0);
        for act in acts {
            let path = |path: &str| dir.path().join(path);
            match act {
                Act::Print(text) => task.log().write(text.as_bytes()),
                Act::PrintEnv(name) => task.log().write(env.get(&name).map_or("", String::as_str).as_bytes()),
                Act::Write(WriteAct { path: to, text }) => {
                    let to = path(&to);
                    let made = to.parent().map_or(Ok(()), std::fs::create_dir_all);
                    made.and_then(|()| std::fs::write(to, text))
                        .map_err(|error| Error::task(format!("cannot write: {error}")))?;
                }
                Act::PrintFile(from) => match std::fs::read(path(&from)) {
                    Ok(content) => task.log().write(&content),
                    Err(error) => return Err(Error::task(format!("cannot read: {error}"))),
                },
                Act::Exit(code) => exit = Exit::Code(code),
                Act::Forever(text) => {
                    task.log().write(text.as_bytes());
                    self.control.kill.cancelled().await;
                    exit = Exit::Killed;
                }
            }
        }
        Ok(Box::new(MockResults { exit, dir }))
    }
}

#[derive(Debug)]
struct MockResults {
    exit: Exit,
    dir: tempfile::TempDir,
}

#[async_trait]
impl ResultSet for MockResults {
    fn exit(&self) -> &Exit {
        &self.exit
    }

    async fn file(&self, path: &str) -> Result<Extracted, Missing> {
        let full = self.dir.path().join(path);
        match std::fs::metadata(&full) {
            Ok(found) if found.is_file() => Ok(Extracted::in_place(full)),
            Ok(_) => Err(Missing::WrongType(format!("{path} is not a regular file"))),
            Err(_) => Err(Missing::NotFound(path.to_owned())),
        }
    }

    async fn directory(&self, path: &str) -> Result<Vec<String>, Missing> {
        let full = self.dir.path().join(path);
        match std::fs::metadata(&full) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Err(Missing::WrongType(format!("{path} is not a directory"))),
            Err(_) => return Err(Missing::NotFound(path.to_owned())),
        }
        let mut found = Vec::new();
        list(&full, &full, &mut found).map_err(|error| Missing::NotReadable(error.to_string()))?;
        found.sort();
        Ok(found)
    }

    async fn dispose(self: Box<Self>) {}
}

fn list(root: &Path, dir: &Path, found: &mut Vec<String>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path: PathBuf = entry?.path();
        if path.is_dir() {
            list(root, &path, found)?;
        } else if let Ok(relative) = path.strip_prefix(root) {
            found.push(relative.to_string_lossy().into_owned());
        }
    }
    Ok(())
}
