//! Where the answer of a command goes: to standard output, or into a file.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::json_text;

/// Whoever read the output has heard enough, as `head` does: an end, and no error.
#[derive(Debug)]
pub(crate) struct ReaderGone;

impl std::fmt::Display for ReaderGone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("nobody reads the output any more")
    }
}

impl std::error::Error for ReaderGone {}

/// Where the answer of a command goes.
#[derive(Debug)]
pub(crate) struct Output {
    to: To,
    /// Whether JSON is indented, for people.
    pretty: bool,
}

#[derive(Debug)]
enum To {
    Stdout(BufWriter<io::Stdout>),
    File(BufWriter<File>, PathBuf),
}

impl Output {
    /// Standard output, as for `-`, or this file.
    pub(crate) fn open(file: Option<&Path>, compact: bool) -> Result<Self> {
        let Some(path) = file.filter(|path| *path != Path::new("-")) else { return Ok(Self::stdout(compact)) };
        let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { to: To::File(BufWriter::new(file), path.to_owned()), pretty: false })
    }

    /// Standard output.
    pub(crate) fn stdout(compact: bool) -> Self {
        let stdout = io::stdout();
        Self { pretty: stdout.is_terminal() && !compact, to: To::Stdout(BufWriter::new(stdout)) }
    }

    /// A line.
    pub(crate) fn line(&mut self, text: &str) -> Result<()> {
        self.write(|to| writeln!(to, "{text}"))
    }

    /// A JSON document, if there is one: an answer may be empty.
    pub(crate) fn json(&mut self, document: &[u8]) -> Result<()> {
        if document.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        self.documents([document])
    }

    /// JSON documents, each on a line of its own where no terminal reads them.
    pub(crate) fn documents<'a>(&mut self, documents: impl IntoIterator<Item = &'a [u8]>) -> Result<()> {
        let pretty = self.pretty;
        self.write(|to| {
            for document in documents {
                to.write_all(&json_text::formatted(document, pretty))?;
                to.write_all(b"\n")?;
            }
            Ok(())
        })
    }

    /// Bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.write(|to| to.write_all(bytes))
    }

    fn write(&mut self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
        match &mut self.to {
            To::Stdout(stdout) => match write(stdout).and_then(|()| stdout.flush()) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(ReaderGone.into()),
                written => written.context("cannot write to standard output"),
            },
            To::File(file, path) => {
                write(file).and_then(|()| file.flush()).with_context(|| format!("cannot write {}", path.display()))
            }
        }
    }
}
