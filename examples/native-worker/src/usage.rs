//! What a command takes of the machine, and how the log tells it.

use std::convert::Infallible;
use std::fmt;
use std::time::{Duration, Instant};

use taskcluster_worker::engine::Exit;

use crate::process::Tree;

/// Time of the processor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cpu {
    pub(crate) user: Duration,
    pub(crate) kernel: Duration,
}

impl Cpu {
    fn since(self, earlier: Self) -> Self {
        Self { user: self.user.saturating_sub(earlier.user), kernel: self.kernel.saturating_sub(earlier.kernel) }
    }
}

/// Measures one command.
#[derive(Debug)]
pub(crate) struct Meter {
    tree: Tree,
    began: Instant,
    /// What the task's control group had taken before.
    before: Option<Cpu>,
    memory: Memory,
}

/// What was found when memory was looked at.
#[derive(Clone, Copy, Debug, Default)]
struct Memory {
    peak: u64,
    sum: u64,
    looks: u64,
}

/// Memory is looked at after a moment, so that a short command costs nothing, and from then on as often.
const FIRST_LOOK: Duration = Duration::from_millis(100);
const INTERVAL: Duration = Duration::from_millis(500);

impl Meter {
    /// A command begins, which is in `tree`.
    pub(crate) fn start(tree: &Tree) -> Self {
        let before = tree.cgroup().and_then(|cgroup| cgroup.cpu());
        Self { tree: tree.clone(), began: Instant::now(), before, memory: Memory::default() }
    }

    /// Look at its memory again and again. Cancel safe.
    pub(crate) async fn watch(&mut self) -> Infallible {
        tokio::time::sleep(FIRST_LOOK).await;
        loop {
            let tree = self.tree.clone();
            if let Ok(bytes) = tokio::task::spawn_blocking(move || tree.memory()).await {
                self.memory.add(bytes);
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// It has ended. What its first process took is known; the control group knows of all others as well.
    pub(crate) fn stop(self, first: Option<Cpu>) -> Usage {
        let after = self.tree.cgroup().and_then(|cgroup| cgroup.cpu());
        let of_group = self.before.zip(after).map(|(before, after)| after.since(before));
        Usage { wall: self.began.elapsed(), cpu: of_group.or(first), memory: self.memory }
    }
}

impl Memory {
    fn add(&mut self, bytes: u64) {
        self.peak = self.peak.max(bytes);
        self.sum = self.sum.saturating_add(bytes);
        self.looks += 1;
    }
}

/// What a command took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    wall: Duration,
    cpu: Option<Cpu>,
    memory: Memory,
}

impl Usage {
    /// A line for each thing that is known.
    pub(crate) fn report(&self, exit: &Exit) -> String {
        let mut lines = Vec::new();
        let mut line = |name: &str, value: &dyn fmt::Display| lines.push(format!("{name:>19}: {value}"));
        if let Some(code) = exit.code() {
            line("Exit Code", &code);
        }
        if let Some(cpu) = self.cpu {
            line("User Time", &Seconds(cpu.user));
            line("Kernel Time", &Seconds(cpu.kernel));
        }
        line("Wall Time", &Seconds(self.wall));
        if let Some(average) = self.memory.sum.checked_div(self.memory.looks) {
            line("Average Memory Used", &Mebibytes(average));
            line("Peak Memory Used", &Mebibytes(self.memory.peak));
        }
        line("Result", &if exit.is_success() { "SUCCEEDED" } else { "FAILED" });
        lines.join("\n")
    }
}

struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} s", self.0.as_secs_f64())
    }
}

struct Mebibytes(u64);

impl fmt::Display for Mebibytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MIB: u64 = 1 << 20;
        // Tenths, without floating point.
        let tenths = (u128::from(self.0) * 10 / u128::from(MIB)) as u64;
        write!(f, "{}.{} MiB", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_tells_what_is_known() {
        let mut memory = Memory::default();
        memory.add(1 << 20);
        memory.add((2 << 20) + (1 << 19));
        let cpu = Some(Cpu { user: Duration::from_millis(1500), kernel: Duration::from_millis(7) });
        let usage = Usage { wall: Duration::from_secs(2), cpu, memory };
        assert_eq!(
            usage.report(&Exit::Signal(9)),
            "          Exit Code: 137\n          User Time: 1.500 s\n        Kernel Time: 0.007 s\n\
             \x20         Wall Time: 2.000 s\nAverage Memory Used: 1.7 MiB\n   Peak Memory Used: 2.5 MiB\n\
             \x20            Result: FAILED"
        );
        let short = Usage { wall: Duration::ZERO, cpu: None, memory: Memory::default() };
        assert_eq!(short.report(&Exit::Killed), "          Wall Time: 0.000 s\n             Result: FAILED");
    }
}
