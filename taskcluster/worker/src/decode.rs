//! Streams of more than one frame, for which the libraries have decoders of one.

mod lz4;
mod zstd;

pub use lz4::Lz4Decoder;
pub use zstd::ZstdDecoder;

/// What a decoder may take of the machine's memory, in bytes, where the stream says how much that is: four times what the
/// strongest of the usual settings want.
pub(crate) const MEMORY: u64 = 512 << 20;
