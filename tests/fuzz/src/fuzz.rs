//! All targets under libFuzzer; the variable `FUZZ_TARGET` says which.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use taskcluster_fuzz::{TARGETS, Target, damage_json};

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let target = TARGETS.iter().find(|target| target.name == name);
    *target.unwrap_or_else(|| panic!("FUZZ_TARGET must be one of {:?}", TARGETS.map(|target| target.name)))
});

fuzz_target!(|data: &[u8]| (TARGET.run)(data));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    // The fuzzer's own ways find what is not JSON.
    if TARGET.is_json
        && !seed.is_multiple_of(4)
        && let Some(damaged) = damage_json(&data[..size], seed).filter(|damaged| damaged.len() <= max_size)
    {
        data[..damaged.len()].copy_from_slice(&damaged);
        return damaged.len();
    }
    fuzzer_mutate(data, size, max_size)
});
