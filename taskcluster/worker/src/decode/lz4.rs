//! LZ4. The library ends with a frame; there may be several, one after the other.

use std::io::{self, BufRead, Read};

use lz4_flex::frame::FrameDecoder;

/// Decodes LZ4, frame after frame.
pub struct Lz4Decoder<R: BufRead>(FrameDecoder<R>);

impl<R: BufRead> Lz4Decoder<R> {
    /// Decode what is stored.
    pub fn new(stored: R) -> Self {
        Self(FrameDecoder::new(stored))
    }
}

impl<R: BufRead> Read for Lz4Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(buffer)? {
                0 if !buffer.is_empty() && !self.0.get_mut().fill_buf()?.is_empty() => {}
                read => return Ok(read),
            }
        }
    }
}

impl<R: BufRead> std::fmt::Debug for Lz4Decoder<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lz4Decoder").finish_non_exhaustive()
    }
}
