//! A program under measurement: a package beside the benches, built in release, run as a process.

#![allow(dead_code, reason = "each bench uses its part")]

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) struct Program {
    binary: PathBuf,
}

impl Program {
    /// Builds `tests/benches/<name>` in a target folder of its own below the workspace's.
    pub(crate) fn built(name: &str) -> Self {
        let target = target_folder(name);
        build(name, &target);
        Self { binary: target.join("release").join(name) }
    }

    /// Runs it and gives what it prints.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let output = Command::new(&self.binary).args(arguments).output().expect("the program starts");
        assert!(output.status.success(), "{}: {}", self.binary.display(), String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    /// The instructions of a whole run by valgrind's count; `None` where valgrind is not installed.
    pub(crate) fn instructions(&self, arguments: &[&str]) -> Option<Instructions> {
        let profile = target_folder("profile");
        let mut valgrind = Command::new("valgrind");
        valgrind.arg("--tool=callgrind").arg(format!("--callgrind-out-file={}", profile.display()));
        let output = valgrind.arg(&self.binary).args(arguments).output().ok()?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Some(Instructions::of(&std::fs::read_to_string(profile).expect("valgrind writes its profile")))
    }
}

/// How many instructions a run took.
#[derive(Default)]
pub(crate) struct Instructions {
    pub(crate) all: u64,
    /// Those of hashing itself. valgrind's processor has no instructions for it; a real one that has takes a fraction.
    pub(crate) sha256: u64,
}

impl Instructions {
    /// Sums up a profile of callgrind: `fn=(id) name`, where the name stands only the first time, and below it a line
    /// `position cost` for each place; the cost after a line `calls=` is that of the function called.
    fn of(profile: &str) -> Self {
        let (mut sum, mut hashing, mut hashes, mut called) = (Self::default(), HashSet::new(), false, false);
        for line in profile.lines() {
            if let Some((_, name)) = line.split_once("fn=(") {
                let (id, name) = name.split_once(')').expect("an id");
                if name.contains("sha256_block_data_order") {
                    hashing.insert(id);
                }
                if line.starts_with("fn=") {
                    hashes = hashing.contains(id);
                }
            } else if line.starts_with("calls=") {
                called = true;
            } else if line.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '*')) {
                let cost = line.rsplit(' ').next().and_then(|cost| cost.parse::<u64>().ok()).expect("a cost");
                if !std::mem::take(&mut called) {
                    sum.all += cost;
                    sum.sha256 += if hashes { cost } else { 0 };
                }
            }
        }
        sum
    }
}

/// The folder of a package beside the benches.
pub(crate) fn package(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches").join(name)
}

/// Where the package is built.
pub(crate) fn target_folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("benches").join(name)
}

/// A release build of the package; whatever is built already stays.
pub(crate) fn build(name: &str, target: &Path) {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--release", "--locked", "--quiet", "--target-dir"]).arg(target).current_dir(package(name));
    assert!(cargo.status().expect("cargo starts").success(), "{name} does not build");
}

/// A server on loopback that gives every request the same task status; it lives as long as the process.
pub(crate) fn loopback_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let root_url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer_all(stream));
        }
    });
    root_url
}

/// Answers one connection's requests until the peer closes it.
fn answer_all(stream: TcpStream) -> Option<()> {
    let mut writer = stream.try_clone().ok()?;
    let mut reader = BufReader::new(stream);
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{STATUS}",
        STATUS.len()
    );
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().ok()?;
            }
            if line == "\r\n" {
                break;
            }
        }
        reader.read_exact(&mut vec![0; length]).ok()?;
        writer.write_all(answer.as_bytes()).ok()?; // in one piece, or the peer's delayed ACK is what is timed
    }
}

const STATUS: &str = r#"{"status":{"taskId":"fN1SbArXTPSVFNUvaOlinQ","provisionerId":"proj-bench","workerType":"worker","taskQueueId":"proj-bench/worker","schedulerId":"-","projectId":"none","taskGroupId":"fN1SbArXTPSVFNUvaOlinQ","priority":"lowest","deadline":"2026-11-29T00:00:00.000Z","expires":"2027-11-29T00:00:00.000Z","retriesLeft":5,"state":"pending","runs":[{"runId":0,"state":"pending","reasonCreated":"scheduled","scheduled":"2026-11-28T00:00:00.000Z"}]}}"#;
