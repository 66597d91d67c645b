//! Where the answer of a command goes: to standard output, or into a file.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Serialize;

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
    /// Whether values are told as JSON.
    for_programs: bool,
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
        Ok(Self { to: To::File(BufWriter::new(file), path.to_owned()), pretty: false, for_programs: false })
    }

    /// Standard output.
    pub(crate) fn stdout(compact: bool) -> Self {
        let stdout = io::stdout();
        Self { pretty: stdout.is_terminal() && !compact, to: To::Stdout(BufWriter::new(stdout)), for_programs: false }
    }

    /// Standard output for values that are told to people, or with `json` to programs.
    pub(crate) fn telling(json: bool) -> Self {
        Self { for_programs: json, ..Self::stdout(false) }
    }

    /// The same with each value on a line of its own, whoever reads it.
    pub(crate) fn telling_in_lines(json: bool) -> Self {
        Self { for_programs: json, ..Self::stdout(true) }
    }

    /// Whether values are told as JSON.
    pub(crate) fn is_for_programs(&self) -> bool {
        self.for_programs
    }

    /// A value: to programs as a JSON document, to people as `in_words` says it. No words are no line.
    pub(crate) fn tell<T: Serialize + ?Sized>(&mut self, value: &T, in_words: impl FnOnce(&T) -> String) -> Result<()> {
        if self.for_programs {
            return self.json(&serde_json::to_vec(value)?);
        }
        match in_words(value) {
            words if words.is_empty() => Ok(()),
            words => self.line(&words),
        }
    }

    /// What was done with a value that goes elsewhere: programs have it as with [`Output::tell`], people see it on standard error.
    pub(crate) fn report<T: Serialize + ?Sized>(
        &mut self,
        value: &T,
        in_words: impl FnOnce(&T) -> String,
    ) -> Result<()> {
        if self.for_programs {
            return self.json(&serde_json::to_vec(value)?);
        }
        eprintln!("{}", in_words(value));
        Ok(())
    }

    /// A line for people about what is no value: where programs read, it stays out of their way.
    pub(crate) fn remark(&mut self, words: &str) -> Result<()> {
        if self.for_programs {
            eprintln!("note: {words}");
            return Ok(());
        }
        self.line(words)
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
