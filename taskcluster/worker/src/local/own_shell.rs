//! A shell in place of the task's command.

use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::future::BoxFuture;

use crate::context::{Hold, TaskContext};
use crate::engine::{ResultSet, SandboxHandle};
use crate::error::Result;
use crate::payload::Payload;
use crate::plugin::{Plugin, TaskPlugin, Verdict};
use crate::shell::{Shell, ShellRequest};

type Attend = Box<dyn FnOnce(Shell) -> BoxFuture<'static, Result<i32>> + Send>;

/// What is opened, and who attends to it.
#[derive(Clone)]
pub(super) struct OwnShell(Arc<Mutex<State>>);

struct State {
    request: ShellRequest,
    /// There until the shell is opened.
    attend: Option<Attend>,
    /// How it ended.
    code: Option<i32>,
}

impl fmt::Debug for OwnShell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnShell").finish_non_exhaustive()
    }
}

impl OwnShell {
    pub(super) fn new(request: ShellRequest, attend: Attend) -> Self {
        Self(Arc::new(Mutex::new(State { request, attend: Some(attend), code: None })))
    }

    pub(super) fn code(&self) -> Option<i32> {
        self.state().code
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().expect("nothing panics holding it")
    }
}

impl Plugin for OwnShell {
    fn name(&self) -> &'static str {
        "own-shell"
    }

    fn task(&self, task: &Arc<TaskContext>) -> Box<dyn TaskPlugin> {
        Box::new(TaskShell { task: task.clone(), shell: self.clone(), hold: None })
    }
}

struct TaskShell {
    task: Arc<TaskContext>,
    shell: OwnShell,
    hold: Option<Hold>,
}

#[async_trait]
impl TaskPlugin for TaskShell {
    async fn prepare(&mut self, _payload: &Payload) -> Result<()> {
        self.hold = Some(self.task.hold());
        Ok(())
    }

    async fn started(&mut self, sandbox: &Arc<dyn SandboxHandle>) -> Result<()> {
        let (request, attend) = {
            let mut state = self.shell.state();
            (state.request.clone(), state.attend.take())
        };
        let Some(attend) = attend else { return Ok(()) };
        // No touch: the caches are those of whoever sits here, and no other's tasks see them.
        let shell = sandbox.open_shell(&request).await?;
        let (task, state, hold) = (self.task.clone(), self.shell.clone(), self.hold.take());
        self.task.spawn(async move {
            match attend(shell).await {
                Ok(code) => state.state().code = Some(code),
                Err(error) => task.log().error(error.reasons().join("; ")),
            }
            drop(hold);
        });
        Ok(())
    }

    async fn stopped(&mut self, _results: &dyn ResultSet) -> Result<Verdict> {
        let code = self.shell.code();
        match code {
            Some(code) => self.task.log().info(format!("the shell ended with exit code {code}")),
            None => self.task.log().error("the shell did not end by itself"),
        }
        Ok(if code == Some(0) { Verdict::Good } else { Verdict::Failed })
    }

    async fn dispose(&mut self) {
        self.hold = None;
    }
}
