//! What reads texts of strangers, each with the properties that must hold for any input.
//!
//! A target is a function of bytes that panics where a property does not hold. `fuzz.rs` gives it to libFuzzer, the test
//! `replay` gives it the inputs in `corpora/`.

mod bewits;
mod certificates;
mod damage;
mod edits;
mod in_tree;
mod references;
mod scopes;
mod slugids;
mod tunnel;

pub use damage::damage_json;

/// A fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, that of its folder in `corpora/` and of its file in `words/`.
    pub name: &'static str,
    /// Tries an input.
    pub run: fn(&[u8]),
    /// Whether inputs are JSON, which is better damaged as what it is than as bytes.
    pub is_json: bool,
}

/// All of them.
pub const TARGETS: [Target; 7] = [
    Target { name: "bewits", run: bewits::run, is_json: false },
    Target { name: "certificates", run: certificates::run, is_json: false },
    Target { name: "in-tree", run: in_tree::run, is_json: false },
    Target { name: "references", run: references::run, is_json: true },
    Target { name: "scopes", run: scopes::run, is_json: true },
    Target { name: "slugids", run: slugids::run, is_json: false },
    Target { name: "tunnel", run: tunnel::run, is_json: false },
];
