//! Zstandard. The library decodes one frame; compressors that work in parallel write many, one after the other.

use std::io::{self, BufRead, Read};

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::MEMORY;

/// Decodes Zstandard, frame after frame. A frame that wants more than 512 MiB of memory is an error.
pub struct ZstdDecoder<R> {
    stored: R,
    frame: FrameDecoder,
    /// Whether there may be more of the frame.
    within: bool,
}

impl<R: BufRead> ZstdDecoder<R> {
    /// Decode what is stored.
    pub fn new(stored: R) -> Self {
        let mut frame = FrameDecoder::new();
        frame.set_max_window_size(MEMORY);
        Self { stored, frame, within: false }
    }

    /// Read the beginning of a frame, or all of one that is to be skipped.
    fn begin(&mut self) -> io::Result<()> {
        match self.frame.init(&mut self.stored) {
            Ok(()) => {
                self.within = true;
                Ok(())
            }
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                let mut skipped = (&mut self.stored).take(u64::from(length));
                match io::copy(&mut skipped, &mut io::sink())? {
                    all if all == u64::from(length) => Ok(()),
                    _ => Err(io::ErrorKind::UnexpectedEof.into()),
                }
            }
            Err(error) => Err(io::Error::other(error)),
        }
    }

    fn end(&mut self) -> io::Result<()> {
        self.within = false;
        let stated = self.frame.get_checksum_from_data();
        if stated.is_some() && stated != self.frame.get_calculated_checksum() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the checksum of a frame is wrong"));
        }
        Ok(())
    }
}

impl<R: BufRead> Read for ZstdDecoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            while self.within && self.frame.can_collect() == 0 && !self.frame.is_finished() {
                let one = BlockDecodingStrategy::UptoBlocks(1);
                self.frame.decode_blocks(&mut self.stored, one).map_err(io::Error::other)?;
            }
            if self.within {
                match self.frame.read(buffer)? {
                    0 => self.end()?,
                    read => return Ok(read),
                }
            }
            if self.stored.fill_buf()?.is_empty() {
                return Ok(0);
            }
            self.begin()?;
        }
    }
}

impl<R> std::fmt::Debug for ZstdDecoder<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ZstdDecoder").finish_non_exhaustive()
    }
}
