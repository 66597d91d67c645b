//! CPU time of processes, from /proc.

use std::fs;

const TICKS_PER_SECOND: f64 = 100.0;

/// CPU seconds of a process and all that it started, those that have ended included.
pub(crate) fn of_family(pid: u32) -> f64 {
    let Some([own, ended]) = of_process(pid) else { return 0.0 };
    own + ended + children(pid).into_iter().map(of_family).sum::<f64>()
}

/// CPU seconds of this process alone.
pub(crate) fn own() -> f64 {
    of_process(std::process::id()).map_or(0.0, |[own, _]| own)
}

/// CPU seconds of a process itself, and of its children that have ended and were waited for.
fn of_process(pid: u32) -> Option<[f64; 2]> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may contain anything; after it come state, parent, …
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some([(ticks(11)? + ticks(12)?) / TICKS_PER_SECOND, (ticks(13)? + ticks(14)?) / TICKS_PER_SECOND])
}

fn children(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<u32>>()).collect()
}
