//! What is read of an archive only to be held in memory, as descriptions of entries are, has an end.

use std::cell::Cell;
use std::io::{self, Read, Seek, SeekFrom};
use std::rc::Rc;

use super::super::budget::Fault;

/// How many bytes may be read; shared with the stream that it is about. At first as many as there are.
#[derive(Clone, Debug, Default)]
pub(super) struct Allowance(Rc<Cell<Option<u64>>>);

impl Allowance {
    /// So many, and no more.
    pub(super) fn grant(&self, bytes: u64) {
        self.0.set(Some(bytes));
    }

    /// As many as there are.
    pub(super) fn lift(&self) {
        self.0.set(None);
    }
}

/// A stream that may be read as far as the allowance goes.
pub(super) struct Limited<R> {
    stream: R,
    allowance: Allowance,
}

impl<R> Limited<R> {
    pub(super) fn new(stream: R, allowance: &Allowance) -> Self {
        Self { stream, allowance: allowance.clone() }
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(left) = self.allowance.0.get() else { return self.stream.read(buffer) };
        if left == 0 {
            return Err(Fault::refused("the descriptions of its entries are too large").into());
        }
        let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = self.stream.read(&mut buffer[..most])?;
        self.allowance.grant(left - read as u64);
        Ok(read)
    }
}

impl<R: Seek> Seek for Limited<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.stream.seek(to)
    }
}
