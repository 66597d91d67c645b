//! Undoing gzip: of a file once it is there, of what goes to a writer as it comes.

use std::fs::File;
use std::io::{self, BufReader, Read as _, Write as _};

use flate2::{read, write};

use super::digest::Sha256;
use super::download::is_gzip;
use super::sink::Sink;

/// What is unpacked at once, and the most that is given to the decoder at once, which makes of it a thousand times that.
const PIECE: usize = 64 * 1024;
const GIVEN: usize = 4 * 1024;

/// Write to `to` what gzip made smaller in `from`; its length and hash. Blocks.
pub(super) fn unpack(from: File, mut to: File) -> io::Result<(u64, String)> {
    let mut decoder = read::MultiGzDecoder::new(BufReader::new(from));
    let (mut piece, mut length, mut hash) = (vec![0; PIECE], 0, Sha256::default());
    loop {
        match decoder.read(&mut piece)? {
            0 => break,
            n => {
                to.write_all(&piece[..n])?;
                hash.update(&piece[..n]);
                length += n as u64;
            }
        }
    }
    Ok((length, hash.hex()))
}

/// A sink that passes on what gzip made smaller, if it is told that this is what it gets.
pub(super) struct Unpacking<S> {
    sink: S,
    decoder: Option<Box<write::MultiGzDecoder<Vec<u8>>>>,
    length: u64,
    hash: Sha256,
}

impl<S: Sink> Unpacking<S> {
    pub(super) fn new(sink: S) -> Self {
        Self { sink, decoder: None, length: 0, hash: Sha256::default() }
    }

    /// All is there: the length and the hash of what was passed on, if it was unpacked.
    pub(super) async fn end(mut self) -> io::Result<Option<(u64, String)>> {
        let Some(mut decoder) = self.decoder.take() else { return Ok(None) };
        decoder.try_finish()?;
        let rest = std::mem::take(decoder.get_mut());
        self.pass(&rest).await?;
        Ok(Some((self.length, self.hash.hex())))
    }

    async fn pass(&mut self, content: &[u8]) -> io::Result<()> {
        self.hash.update(content);
        self.length += content.len() as u64;
        self.sink.write(content).await
    }
}

impl<S: Sink> Sink for Unpacking<S> {
    const RESTARTS: bool = S::RESTARTS;

    fn begins(&mut self, encoding: Option<&str>) {
        self.decoder = is_gzip(encoding).then(|| Box::new(write::MultiGzDecoder::new(Vec::new())));
        (self.length, self.hash) = (0, Sha256::default());
    }

    async fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        if self.decoder.is_none() {
            return self.sink.write(chunk).await;
        }
        for given in chunk.chunks(GIVEN) {
            let Some(decoder) = &mut self.decoder else { break };
            decoder.write_all(given)?;
            let content = std::mem::take(decoder.get_mut());
            self.pass(&content).await?;
        }
        Ok(())
    }

    async fn restart(&mut self) -> io::Result<()> {
        self.sink.restart().await
    }
}
