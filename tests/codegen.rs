//! The generator at work outside of this repository's own build.

mod emitted_crate;
mod vendored;
