//! Programs that are started in a container beside its own.

use bollard::exec::StartExecOptions;
use bollard::models::ExecConfig;
use bollard::query_parameters::ResizeExecOptionsBuilder;
use bytes::Bytes;
use taskcluster_worker::error::{Error, Result};
use taskcluster_worker::shell::Size;

use super::{Docker, Stream, answer, failed};

/// A script with its arguments, for the shell of an image.
pub(crate) fn shell<const N: usize>(script: &str, arguments: [&str; N]) -> Vec<String> {
    ["/bin/sh", "-c", script, "sh"].into_iter().chain(arguments).map(str::to_owned).collect()
}

impl Docker {
    /// Start a program in a container, and attach to it. Gives its id with the engine as well.
    ///
    /// # Errors
    /// [`Error::Task`]: the container does not run.
    pub(crate) async fn exec(&self, container: &str, config: ExecConfig) -> Result<(String, Stream)> {
        let is_terminal = config.tty.unwrap_or(false);
        let id = self.create_exec(container, config).await?;
        let body = serde_json::json!({"Detach": false, "Tty": is_terminal}).to_string();
        let stream = self.address.hijack(&format!("/exec/{id}/start"), Bytes::from(body)).await?;
        Ok((id, stream))
    }

    /// Start a program in a container, and let it go its way.
    pub(crate) async fn exec_beside(&self, container: &str, config: ExecConfig) -> Result<()> {
        let id = self.create_exec(container, config).await?;
        let options = StartExecOptions { detach: true, ..StartExecOptions::default() };
        self.api.start_exec(&id, Some(options)).await.map(drop).map_err(failed("start a program in a container"))
    }

    async fn create_exec(&self, container: &str, config: ExecConfig) -> Result<String> {
        match self.api.create_exec(container, config).await {
            Ok(created) => Ok(created.id),
            Err(error) if matches!(answer(&error), Some((404 | 409, _))) => Err(Error::task("the task is over")),
            Err(error) => Err(failed("start a program in a container")(error)),
        }
    }

    /// The exit code of a program, 128 + signal for one that was killed; `None` while it runs.
    pub(crate) async fn exec_code(&self, id: &str) -> Result<Option<i32>> {
        let state = self.api.inspect_exec(id).await.map_err(failed("look at a program in a container"))?;
        if state.running.unwrap_or(false) {
            return Ok(None);
        }
        let code = state.exit_code.ok_or_else(|| Error::worker("Docker does not tell how a program ended"))?;
        i32::try_from(code).map(Some).map_err(|_| Error::worker(format!("Docker tells an exit code of {code}")))
    }

    /// Give the terminal of a program another size.
    pub(crate) async fn resize_exec(&self, id: &str, size: Size) -> Result<()> {
        let options = ResizeExecOptionsBuilder::new().h(size.rows.into()).w(size.columns.into()).build();
        self.api.resize_exec(id, options).await.map_err(failed("resize a terminal"))
    }
}
