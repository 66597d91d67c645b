//! The JSON references of the TaskCluster services, as files.

/// The folder that holds one folder per service.
pub const DIR: &str = env!("CARGO_MANIFEST_DIR");
