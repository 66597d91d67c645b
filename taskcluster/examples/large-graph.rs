//! How long it takes to build, check and optimise a graph of 100,000 tasks, and how much memory.
//!
//! ```sh
//! cargo run --release -p taskcluster --features graph --example large-graph [TASKS]
//! ```

use std::time::Instant;

use taskcluster::graph::{Changes, Parameters, Task};
use taskcluster::time::hours;
use taskcluster::{Report, object};

fn main() -> Result<(), Report> {
    let count: usize = std::env::args().nth(1).map_or(Ok(100_000), |count| count.parse())?;
    let push = Parameters::for_show("local/native".parse()?, "https://example.com/git", "abc");
    let (begin, empty) = (Instant::now(), memory());

    let mut graph = push.graph();
    graph.add_kind(
        "test",
        (0..count).map(|n| {
            let payload = object! { "command": [["make", format!("test-{n}")]], "maxRunTime": 3600, "env": {"N": n} };
            let definition = push.definition("test", "Tests a part.", hours(2), payload);
            // Chains, a fan of ten, and a root that every task needs.
            let needs = [n.checked_sub(1), n.checked_sub(10), (n > 0).then_some(n / 10), (n > 0).then_some(0)];
            Task::new(format!("test-{n}"), definition)
                .with_needs(needs.into_iter().flatten().map(|n| format!("test-{n}")))
                .with_files([format!("part-{n}/**")])
        }),
    );
    let built = begin.elapsed();
    let graph = graph.check()?;
    println!("{count} tasks: built in {built:?}, built and checked in {:?}", begin.elapsed());
    println!("{} kB, {} bytes a task", memory() - empty, (memory() - empty) * 1024 / count.max(1));

    let begin = Instant::now();
    let graph = graph.changed_by(&Changes::Files(vec![format!("part-{}/a", count / 2)]));
    println!("{} tasks for one changed file, in {:?}", graph.len(), begin.elapsed());
    Ok(())
}

/// The process's memory in kB, where Linux tells.
fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}
