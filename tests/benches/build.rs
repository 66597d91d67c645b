//! `cargo bench --bench build`: what a clean release build of the SDK costs, beside the published crate's.
//!
//! Both are built outside the workspace with their default features, one after the other, in this order twice;
//! CPU seconds are those of cargo and all it starts. The SDK's build script is timed on its own.

mod program;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use program::{build, package, target_folder};

const ROUNDS: usize = 2;

fn main() {
    let mut cpu = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (name, seconds) in ["client-ours", "client-official"].into_iter().zip(&mut cpu) {
            seconds.push(clean_build(name));
        }
    }
    let [ours, official] = cpu.map(|seconds| seconds.into_iter().fold(f64::INFINITY, f64::min));
    println!(
        "clean release build, CPU seconds: ours {ours:.1}, official {official:.1}, ratio {:.2} (goal <= 0.6)",
        ours / official
    );
    for (name, of) in [("client-ours", "taskcluster"), ("client-official", "taskcluster")] {
        let crates = crates(name, of);
        let native: Vec<_> = crates
            .iter()
            .filter(|name| ["aws-lc-sys", "cmake", "ring", "openssl-sys"].contains(&name.as_str()))
            .collect();
        println!("{name}: {} crates, of these with native code or builders: {native:?}", crates.len());
    }
    println!("the SDK's build script: {:.2} s (goal < 2 s)", build_script(&target_folder("client-ours")));
}

/// CPU seconds of a build that starts from nothing.
fn clean_build(name: &str) -> f64 {
    let target = target_folder(name);
    match std::fs::remove_dir_all(&target) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{}: {error}", target.display()),
        _ => {}
    }
    let before = children_cpu();
    build(name, &target);
    children_cpu() - before
}

/// CPU seconds of all children that have ended (getrusage by way of /proc).
fn children_cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("a line").split_whitespace().collect();
    let ticks = |index: usize| fields[index].parse::<f64>().expect("ticks");
    (ticks(13) + ticks(14)) / 100.0
}

/// The unique packages of a client's normal dependency tree, the client's own package and bench helpers left out.
fn crates(name: &str, of: &str) -> BTreeSet<String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["tree", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{p}", "--package", of])
        .current_dir(package(name));
    let output = cargo.output().expect("cargo tree runs");
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

/// Wall seconds of the SDK's build script, run as cargo runs it.
fn build_script(target: &Path) -> f64 {
    let script = std::fs::read_dir(target.join("release/build"))
        .expect("a build folder")
        .flatten()
        .map(|entry| entry.path().join("build-script-build"));
    let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../taskcluster");
    let script = script.filter(|path| path.exists()).find(|path| {
        path.parent().is_some_and(|dir| {
            dir.file_name().is_some_and(|name| {
                let name = name.to_string_lossy();
                name.strip_prefix("taskcluster-").is_some_and(|hash| !hash.contains('-'))
            })
        })
    });
    let out = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(script.expect("the SDK has a build script"));
    command.current_dir(&sdk).env("CARGO_MANIFEST_DIR", &sdk).env("OUT_DIR", out.path());
    for service in ["AUTH", "QUEUE", "SCHEDULER", "PROVISIONER"] {
        command.env(format!("CARGO_FEATURE_{service}"), "1");
    }
    let begun = Instant::now();
    let output = command.output().expect("the build script starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    begun.elapsed().as_secs_f64()
}
