//! LZ4. The library ends with a frame; there may be several, one after the other.

use std::io::{self, BufRead, Read};

use lz4_flex::frame::FrameDecoder;

pub(super) struct Decoder<R: BufRead>(FrameDecoder<R>);

impl<R: BufRead> Decoder<R> {
    pub(super) fn new(stored: R) -> Self {
        Self(FrameDecoder::new(stored))
    }
}

impl<R: BufRead> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(buffer)? {
                0 if !buffer.is_empty() && !self.0.get_mut().fill_buf()?.is_empty() => {}
                read => return Ok(read),
            }
        }
    }
}
