//! What a command takes of the machine, and how the log tells it.

use std::fmt;
use std::time::{Duration, Instant};

use taskcluster_worker::engine::Exit;

use crate::cgroup::Cgroup;
use crate::crowd::Crowd;
use crate::process::{Look, Tree};

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

/// Measures one command, and watches how many processes it comes to.
#[derive(Debug)]
pub(crate) struct Meter {
    tree: Tree,
    began: Instant,
    /// What the task's control group had taken before.
    before: Option<Cpu>,
    refused_before: u64,
    memory: Memory,
    crowd: Crowd,
}

/// What was found when memory was looked at.
#[derive(Clone, Copy, Debug, Default)]
struct Memory {
    peak: u64,
    sum: u64,
    looks: u64,
}

/// The first look is after a moment, so that a short command costs nothing, and from then on there is one as often.
const FIRST_LOOK: Duration = Duration::from_millis(100);
const INTERVAL: Duration = Duration::from_millis(500);

impl Meter {
    /// A command begins, which is in `tree`, and may have `most` processes and threads.
    pub(crate) fn start(tree: &Tree, most: u64) -> Self {
        let (before, refused_before) = (tree.first(Cgroup::cpu), tree.first(Cgroup::refused).unwrap_or_default());
        let (memory, crowd) = (Memory::default(), Crowd::new(most));
        Self { tree: tree.clone(), began: Instant::now(), before, refused_before, memory, crowd }
    }

    /// Look at its processes again and again, until there are too many: then say so. Cancel safe.
    pub(crate) async fn watch(&mut self) -> String {
        tokio::time::sleep(FIRST_LOOK).await;
        loop {
            if let Some(look) = self.look().await {
                self.memory.add(look.memory);
                if let Some(too_many) = self.crowd.see(look.processes, Instant::now()) {
                    return too_many;
                }
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    async fn look(&self) -> Option<Look> {
        let tree = self.tree.clone();
        tokio::task::spawn_blocking(move || tree.look()).await.ok()
    }

    /// Of a command that has failed by itself: whether it could not start all that it wanted to, in a sentence.
    pub(crate) async fn excuse(&mut self) -> Option<String> {
        let refused = self.tree.first(Cgroup::refused).unwrap_or_default() > self.refused_before;
        // What it left may be all that is to be seen of it.
        if let Some(look) = self.look().await {
            self.crowd.see(look.processes, Instant::now());
        }
        self.crowd.excuse(refused)
    }

    /// It has ended. What its first process took is known; the control group knows of all others as well.
    pub(crate) fn stop(self, first: Option<Cpu>) -> Usage {
        let after = self.tree.first(Cgroup::cpu);
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
    /// What is known, on one line: the last lines of a log are for what the command itself says of its end.
    pub(crate) fn report(&self, exit: &Exit) -> String {
        let how = match exit {
            Exit::Killed => "killed".to_owned(),
            exit => exit.code().map_or_else(|| "ended".to_owned(), |code| format!("exit code {code}")),
        };
        let mut took = vec![format!("{} s", seconds(self.wall))];
        if let Some(cpu) = self.cpu {
            took.push(format!("user {} s, system {} s", seconds(cpu.user), seconds(cpu.kernel)));
        }
        if let Some(average) = self.memory.sum.checked_div(self.memory.looks) {
            took.push(format!("memory {} at most, {} on average", Mebibytes(self.memory.peak), Mebibytes(average)));
        }
        format!("{how} after {}", took.join("; "))
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64())
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
            "exit code 137 after 2.000 s; user 1.500 s, system 0.007 s; memory 2.5 MiB at most, 1.7 MiB on average"
        );
        let short = Usage { wall: Duration::ZERO, cpu: None, memory: Memory::default() };
        assert_eq!(short.report(&Exit::Killed), "killed after 0.000 s");
    }
}
