//! How mounted content may be packed.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

/// How a stream of bytes is compressed: brotli, bzip2, gzip, lzip, LZ4, MinLZ, Snappy or S2, xz, Zstandard, zlib.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Compression {
    Br,
    Bz2,
    Gz,
    Lz,
    Lz4,
    Mz,
    Sz,
    Xz,
    Zst,
    Zz,
}

/// What kind of archive it is, whose entries become files of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub(super) enum ArchiveFormat {
    #[serde(rename = "7z")]
    SevenZ,
    #[serde(rename = "rar")]
    Rar,
    #[serde(rename = "tar")]
    Tar,
    #[serde(rename = "tar.br")]
    TarBr,
    #[serde(rename = "tar.bz2")]
    TarBz2,
    #[serde(rename = "tar.gz")]
    TarGz,
    #[serde(rename = "tar.lz")]
    TarLz,
    #[serde(rename = "tar.lz4")]
    TarLz4,
    #[serde(rename = "tar.mz")]
    TarMz,
    #[serde(rename = "tar.sz")]
    TarSz,
    #[serde(rename = "tar.xz")]
    TarXz,
    #[serde(rename = "tar.zst")]
    TarZst,
    #[serde(rename = "tar.zz")]
    TarZz,
    #[serde(rename = "zip")]
    Zip,
}

/// What an archive is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    SevenZ,
    Rar,
    Tar(Option<Compression>),
    Zip,
}

impl Compression {
    /// Whether this program can undo it.
    pub(super) fn is_built_in(self) -> bool {
        cfg!(feature = "archives") || matches!(self, Self::Gz | Self::Zz)
    }
}

impl ArchiveFormat {
    /// Whether this program can unpack it.
    pub(super) fn is_built_in(self) -> bool {
        match self.layout() {
            Layout::Tar(compression) => compression.is_none_or(Compression::is_built_in),
            Layout::SevenZ | Layout::Rar | Layout::Zip => cfg!(feature = "archives"),
        }
    }

    pub(super) fn layout(self) -> Layout {
        match self {
            Self::SevenZ => Layout::SevenZ,
            Self::Rar => Layout::Rar,
            Self::Zip => Layout::Zip,
            Self::Tar => Layout::Tar(None),
            Self::TarBr => Layout::Tar(Some(Compression::Br)),
            Self::TarBz2 => Layout::Tar(Some(Compression::Bz2)),
            Self::TarGz => Layout::Tar(Some(Compression::Gz)),
            Self::TarLz => Layout::Tar(Some(Compression::Lz)),
            Self::TarLz4 => Layout::Tar(Some(Compression::Lz4)),
            Self::TarMz => Layout::Tar(Some(Compression::Mz)),
            Self::TarSz => Layout::Tar(Some(Compression::Sz)),
            Self::TarXz => Layout::Tar(Some(Compression::Xz)),
            Self::TarZst => Layout::Tar(Some(Compression::Zst)),
            Self::TarZz => Layout::Tar(Some(Compression::Zz)),
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Br => "br",
            Self::Bz2 => "bz2",
            Self::Gz => "gz",
            Self::Lz => "lz",
            Self::Lz4 => "lz4",
            Self::Mz => "mz",
            Self::Sz => "sz",
            Self::Xz => "xz",
            Self::Zst => "zst",
            Self::Zz => "zz",
        })
    }
}

impl fmt::Display for ArchiveFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.layout() {
            Layout::SevenZ => f.write_str("7z"),
            Layout::Rar => f.write_str("rar"),
            Layout::Zip => f.write_str("zip"),
            Layout::Tar(None) => f.write_str("tar"),
            Layout::Tar(Some(compression)) => write!(f, "tar.{compression}"),
        }
    }
}
