//! Shells: programs that somebody starts by hand beside a task's own, in its sandbox.
//!
//! An engine gives a [`Shell`] through [`SandboxHandle::open_shell`](crate::SandboxHandle::open_shell). With the feature
//! `interactive`, the plugin `Interactive` serves it over websockets, and `shell::client` speaks to it from elsewhere, as pages of
//! web interfaces do; [`here`] attends to it in the same process.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::error::Result;

#[cfg(feature = "interactive")]
mod characters;
#[cfg(feature = "interactive")]
pub mod client;
#[cfg(feature = "interactive")]
mod desk;
#[cfg(feature = "interactive")]
pub(crate) mod dialect;
#[cfg(feature = "interactive")]
pub(crate) mod frame;
pub mod here;
#[cfg(feature = "interactive")]
pub(crate) mod link;
#[cfg(feature = "interactive")]
pub(crate) mod page;
#[cfg(feature = "interactive")]
pub(crate) mod session;
#[cfg(feature = "interactive")]
pub(crate) mod socket;
#[cfg(feature = "interactive")]
pub(crate) mod streams;
#[cfg(feature = "interactive")]
pub(crate) mod v1;
#[cfg(feature = "interactive")]
pub(crate) mod v2;

/// What is to be started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ShellRequest {
    /// The program with its arguments; empty: whatever the engine takes for a shell.
    pub command: Vec<String>,
    /// How large its terminal is; `None`: it gets pipes instead.
    pub terminal: Option<Size>,
}

/// How large a terminal is that nobody has said it of.
#[cfg(feature = "interactive")]
pub(crate) const USUAL: Size = Size { rows: 24, columns: 80 };

impl ShellRequest {
    /// A program with its arguments, and pipes.
    pub fn new(command: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { command: command.into_iter().map(Into::into).collect(), terminal: None }
    }

    /// In a terminal.
    #[must_use]
    pub fn with_terminal(mut self, size: Size) -> Self {
        self.terminal = Some(size);
        self
    }
}

/// How large a terminal is, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Lines.
    pub rows: u16,
    /// Characters of a line.
    pub columns: u16,
}

/// What a program's streams are connected with on the side of whoever attends to it.
#[derive(Debug)]
pub struct Terminal<I, O, E, S> {
    /// What the program is to read.
    pub input: I,
    /// Where to what it prints goes.
    pub output: O,
    /// Where to what it prints on the side goes.
    pub error: E,
    /// New sizes of the terminal, as they come.
    pub sizes: S,
}

/// A program under way. Dropping it ends the program.
#[non_exhaustive]
pub struct Shell {
    /// What it reads. Dropping it tells the program that there is no more, where there is no terminal.
    pub stdin: Box<dyn AsyncWrite + Send + Unpin>,
    /// What it prints.
    pub stdout: Box<dyn AsyncRead + Send + Unpin>,
    /// What it prints on the side; a terminal has no such side.
    pub stderr: Option<Box<dyn AsyncRead + Send + Unpin>>,
    /// What else can be done with it.
    pub control: Box<dyn ShellControl>,
}

impl Shell {
    /// A program with its streams.
    pub fn new(
        stdin: impl AsyncWrite + Send + Unpin + 'static,
        stdout: impl AsyncRead + Send + Unpin + 'static,
        control: impl ShellControl + 'static,
    ) -> Self {
        Self { stdin: Box::new(stdin), stdout: Box::new(stdout), stderr: None, control: Box::new(control) }
    }

    /// It prints on the side as well.
    #[must_use]
    pub fn with_stderr(mut self, stderr: impl AsyncRead + Send + Unpin + 'static) -> Self {
        self.stderr = Some(Box::new(stderr));
        self
    }
}

impl fmt::Debug for Shell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shell").finish_non_exhaustive()
    }
}

/// Reaches the program of a [`Shell`].
#[async_trait]
pub trait ShellControl: Send {
    /// Wait until it has ended, and say with which code: 128 and the number of the signal that ended it, if one did.
    ///
    /// # Errors
    /// [`Error::Worker`](crate::Error::Worker): nobody knows how it ended.
    ///
    /// # Cancel safety
    /// It can be asked again.
    async fn wait(&mut self) -> Result<i32>;

    /// Its terminal has another size now. Does nothing where there is none.
    fn resize(&mut self, size: Size);
}
