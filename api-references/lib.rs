//! The API references of the TaskCluster services, as data.
//!
//! The crate holds JSON files and the name of the folder they lie in. Build scripts read them from there, so that what is
//! built from them can be published and built anywhere.
//!
//! ```
//! let folder = std::path::Path::new(taskcluster_api_references::DIR);
//! assert!(folder.join("auth/v1/api.json").is_file());
//! ```
//!
//! For each service there are `<service>/v1/api.json`, `<service>/v1/exchanges.json` if it publishes messages, and the
//! schemas of its bodies and messages in `<service>/v1/schemas/`. The schemas of these formats themselves are in
//! `common/schemas/`.

/// The folder with the references: where this crate was when it was compiled.
pub const DIR: &str = env!("CARGO_MANIFEST_DIR");

/// The services whose module in the SDK, and with it the cargo feature, is called otherwise, each with the name of that
/// module. `events` is already a module there: that of the messages of all services.
pub const MODULES: &[(&str, &str)] = &[("events", "event_stream")];

/// Every JSON file below [`DIR`], as (path below it, text): what a running service publishes.
pub static FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/files.rs"));
