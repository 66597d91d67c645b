//! Compressed streams.

use std::io::{BufReader, Read};

use flate2::bufread::{MultiGzDecoder, ZlibDecoder};

use super::budget::Fault;
use super::format::Compression;
#[cfg(feature = "archives")]
use crate::decode::{Lz4Decoder, MEMORY, ZstdDecoder};

/// The stream behind `stored`.
pub(super) fn decoder<'a>(
    compression: Compression,
    stored: BufReader<impl Read + 'a>,
) -> Result<Box<dyn Read + 'a>, Fault> {
    match compression {
        Compression::Gz => Ok(Box::new(MultiGzDecoder::new(stored))),
        Compression::Zz => Ok(Box::new(ZlibDecoder::new(stored))),
        #[cfg(feature = "archives")]
        Compression::Br => Ok(Box::new(brotli_decompressor::Decompressor::new(stored, 64 << 10))),
        #[cfg(feature = "archives")]
        Compression::Bz2 => Ok(Box::new(bzip2::bufread::MultiBzDecoder::new(stored))),
        #[cfg(feature = "archives")]
        Compression::Lz => Ok(Box::new(lzma_rust2::LzipReader::new(stored))),
        #[cfg(feature = "archives")]
        Compression::Lz4 => Ok(Box::new(Lz4Decoder::new(stored))),
        #[cfg(feature = "archives")]
        Compression::Mz => Ok(Box::new(minlz::minlz::Reader::new(stored))),
        // Snappy is a part of S2.
        #[cfg(feature = "archives")]
        Compression::Sz => Ok(Box::new(minlz::s2::Reader::new(stored))),
        #[cfg(feature = "archives")]
        Compression::Xz => Ok(Box::new(lzma_rust2::XzReader::new_mem_limit(stored, true, (MEMORY >> 10) as u32))),
        #[cfg(feature = "archives")]
        Compression::Zst => Ok(Box::new(ZstdDecoder::new(stored))),
        #[cfg(not(feature = "archives"))]
        other => Err(Fault::Refused(not_built_in(&other.to_string()))),
    }
}

/// What the author of a task is told whose format this program has no library for.
pub(super) fn not_built_in(format: &str) -> String {
    format!("this worker cannot unpack {format:?}: it was built without the feature \"archives\"")
}
