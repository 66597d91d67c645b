//! `cargo bench --bench lives`: whole lives of tasks, over HTTP, on the program `taskcluster up`.
//!
//! A life is createTask, claimWork (32 at most) and reportCompleted, each signed, with a payload of about 1 KB; at
//! concurrency N there are N lives under way at any moment. The program is built in release; it authenticates within
//! its process (`Local`) and publishes to the in-process bus, or to RabbitMQ where `BENCH_AMQP` names one. The driver is
//! this process: its CPU time is told apart and never counted. PostgreSQL is a server of our own with `fsync` on, and
//! pgbench's single-row inserts on it, just before, are what the rates are divided by. With `STATEMENTS` in the
//! environment it also says which statements took the time.

mod cpu;
mod postgres;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use harness::{Ground, Process, Tester};
use postgres::Postgres;
use taskcluster::queue::{ClaimWorkRequest, TaskDefinitionRequest};
use taskcluster::{Credentials, TaskId, object};
use tokio::sync::oneshot;

const QUEUE: &str = "test/e2e";
const SAMPLES: usize = 100;

#[tokio::main]
async fn main() -> Result<()> {
    let program = built()?;
    println!("bus: {}", bus().map_or("in the process", |_| "RabbitMQ"));
    println!("load of the machine: {}", std::fs::read_to_string("/proc/loadavg")?.trim());
    match Postgres::start().await? {
        Some(server) => on_postgres(&program, &server).await?,
        None => println!("left out: PostgreSQL is not installed"),
    }
    println!("\nSQLite, WAL with synchronous=FULL");
    let process = Process::start(program, Ground { bus: bus(), ..Ground::default() }).await?;
    for concurrency in [8, 32] {
        let spent = lives(&process, None, concurrency).await?;
        println!("  {spent}");
    }
    Ok(())
}

async fn on_postgres(program: &Path, server: &Postgres) -> Result<()> {
    server.run("CREATE DATABASE deployment").await?;
    let ground = Ground { database: Some(server.url("deployment")), bus: bus(), ..Ground::default() };
    let process = Process::start(program.to_owned(), ground).await?;
    let inserts = server.single_row_inserts().await?;
    println!("\nPostgreSQL, fsync on; pgbench single-row inserts at 8 clients: {inserts:.0}/s");
    for concurrency in [1, 8, 32] {
        let spent = lives(&process, Some(server), concurrency).await?;
        println!("  {spent}; ratio {:.3} (goal at 8: >= 0.09)", spent.rate() / inserts);
        if std::env::var_os("STATEMENTS").is_some() {
            server.costliest(14).await?.iter().for_each(|line| println!("    {line}"));
        }
    }
    let created = creations(&process, 32).await?;
    println!("  createTask at 32: {created:.0}/s; ratio {:.3} (goal >= 0.24)", created / inserts);
    let [p50, p99] = latencies(&process).await?;
    println!(
        "  createTask's answer to a waiting claimWork's, {SAMPLES} samples: p50 {p50:.1} ms, p99 {p99:.1} ms (goal < 5, < 20)"
    );
    Ok(())
}

/// The broker to publish to.
fn bus() -> Option<String> {
    std::env::var("BENCH_AMQP").ok()
}

/// Builds the program in release, as a user would; `PROGRAM` names one that is built already.
fn built() -> Result<PathBuf> {
    if let Some(program) = std::env::var_os("PROGRAM") {
        return Ok(program.into());
    }
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("benches/program");
    let status = Command::new(env!("CARGO"))
        .args([
            "build",
            "--release",
            "--locked",
            "--quiet",
            "-p",
            "taskcluster-cli",
            "--features",
            "postgres,amqp",
            "--target-dir",
        ])
        .arg(&target)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .status()?;
    ensure!(status.success(), "the program does not build");
    Ok(target.join("release/taskcluster"))
}

/// What some lives took.
struct Spent {
    concurrency: u32,
    lives: u32,
    seconds: f64,
    services: f64,
    database: f64,
    driver: f64,
    per_life: Option<postgres::Counts>,
}

impl Spent {
    fn rate(&self) -> f64 {
        f64::from(self.lives) / self.seconds
    }
}

impl std::fmt::Display for Spent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ms = |seconds: f64| seconds * 1000.0 / f64::from(self.lives);
        write!(
            f,
            "at {:>2}: {:>5.0} lives/s; CPU per life {:.2} ms",
            self.concurrency,
            self.rate(),
            ms(self.services + self.database)
        )?;
        write!(
            f,
            " (services {:.2}, database {:.2}; driver {:.2})",
            ms(self.services),
            ms(self.database),
            ms(self.driver)
        )?;
        match self.per_life {
            Some(counts) => write!(f, "; per life {:.2} statements, {:.2} WAL syncs", counts.statements, counts.syncs),
            None => Ok(()),
        }
    }
}

/// Lives at this concurrency, for some seconds after a second to warm up.
async fn lives(process: &Process, server: Option<&Postgres>, concurrency: u32) -> Result<Spent> {
    run_lives(process, concurrency, Duration::from_secs(1)).await?;
    let pid = process.id().context("the program runs")?;
    let clocks = || [cpu::of_family(pid), server.map_or(0.0, |server| cpu::of_family(server.id())), cpu::own()];
    let counts = async || match server {
        Some(server) => server.counts().await.map(Some),
        None => Ok(None),
    };
    if let Some(server) = server {
        server.forget().await?;
    }
    let counted = counts().await?;
    let (before, begun) = (clocks(), Instant::now());
    let lives = run_lives(process, concurrency, Duration::from_secs(8)).await?;
    let (after, seconds) = (clocks(), begun.elapsed().as_secs_f64());
    let per_life = counted.zip(counts().await?).map(|(before, after)| postgres::Counts {
        statements: (after.statements - before.statements) / f64::from(lives),
        syncs: (after.syncs - before.syncs) / f64::from(lives),
    });
    let [services, database, driver] = [0, 1, 2].map(|at| after[at] - before[at]);
    Ok(Spent { concurrency, lives, seconds, services, database, driver, per_life })
}

/// The number of lives that ended in this time, with this many of them under way at any moment.
///
/// Who creates a task waits until its life has ended before creating the next. Two workers claim what there is and
/// report all that they were given at once.
async fn run_lives(process: &Process, concurrency: u32, time: Duration) -> Result<u32> {
    let waiting: Waiting = Arc::default();
    let mut workers = tokio::task::JoinSet::new();
    for name in ["worker-1", "worker-2"] {
        workers.spawn(work(process.root(), name, Arc::clone(&waiting)));
    }
    let (ended, until) = (Arc::new(AtomicU32::new(0)), Instant::now() + time);
    let mut creators = tokio::task::JoinSet::new();
    for _ in 0..concurrency {
        let (tester, waiting, ended) = (process.root(), Arc::clone(&waiting), Arc::clone(&ended));
        creators.spawn(async move {
            while Instant::now() < until {
                let (id, (tell, told)) = (TaskId::new(), oneshot::channel());
                waiting.lock().expect("nobody panics with it").insert(id, tell);
                tester.queue().create_task(&id, &task(&tester)).await?;
                told.await.context("a worker gave up")?;
                ended.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(())
        });
    }
    loop {
        tokio::select! {
            creator = creators.join_next() => match creator {
                Some(creator) => creator??,
                None => return Ok(ended.load(Ordering::Relaxed)),
            },
            Some(worker) = workers.join_next() => worker??,
        }
    }
}

/// Who waits for the end of which task.
type Waiting = Arc<Mutex<HashMap<TaskId, oneshot::Sender<()>>>>;

/// Claims and reports until it is dropped.
async fn work(tester: Tester, name: &'static str, waiting: Waiting) -> Result<()> {
    loop {
        let reports = claim(&tester, name).await?.tasks.into_iter().map(async |claim| {
            let credentials = Credentials::try_from(claim.credentials)?;
            let caller = tester.caller().to_builder().credentials(credentials).build()?;
            Tester::new(caller).queue().report_completed(&claim.status.task_id, claim.run_id).await?;
            if let Some(tell) = waiting.lock().expect("nobody panics with it").remove(&claim.status.task_id) {
                let _ = tell.send(());
            }
            anyhow::Ok(())
        });
        futures_util::future::try_join_all(reports).await?;
    }
}

async fn claim(tester: &Tester, worker: &str) -> Result<taskcluster::queue::ClaimWorkResponse> {
    Ok(tester.queue().claim_work(QUEUE, &ClaimWorkRequest::new("bench", worker, 32u32)).await?)
}

/// The tasks of the tests, with a payload of about 1 KB.
fn task(tester: &Tester) -> TaskDefinitionRequest {
    let mut task = harness::task(tester.now());
    task.payload = object! { "command": [["/bin/sh", "-c", "x".repeat(900)]], "maxRunTime": 600 };
    task
}

/// createTask a second; what was created is lived to the end afterwards, outside the time.
async fn creations(process: &Process, concurrency: u32) -> Result<f64> {
    let (created, begun) = (Arc::new(AtomicU32::new(0)), Instant::now());
    let until = begun + Duration::from_secs(5);
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..concurrency {
        let (tester, created) = (process.root(), Arc::clone(&created));
        clients.spawn(async move {
            while Instant::now() < until {
                tester.queue().create_task(&TaskId::new(), &task(&tester)).await?;
                created.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(())
        });
    }
    while let Some(client) = clients.join_next().await {
        client??;
    }
    let rate = f64::from(created.load(Ordering::Relaxed)) / begun.elapsed().as_secs_f64();
    let tester = process.root();
    for _ in 0..created.load(Ordering::Relaxed).div_ceil(32) {
        claim(&tester, "sweeper").await?;
    }
    Ok(rate)
}

/// Milliseconds from createTask's answer to the answer of a claimWork that was waiting, idle: median and 99th percentile.
async fn latencies(process: &Process) -> Result<[f64; 2]> {
    let tester = process.root();
    let mut samples = Vec::with_capacity(SAMPLES);
    while samples.len() < SAMPLES {
        let waiter = tester.clone();
        let waiting =
            tokio::spawn(async move { claim(&waiter, "waiter").await.map(|claimed| (claimed, Instant::now())) });
        // Long enough for the claim to have arrived and wait.
        tokio::time::sleep(Duration::from_millis(50)).await;
        tester.queue().create_task(&TaskId::new(), &task(&tester)).await?;
        let created = Instant::now();
        let (claimed, answered) = waiting.await??;
        ensure!(!claimed.tasks.is_empty(), "the claim came back with nothing");
        samples.push(answered.saturating_duration_since(created).as_secs_f64() * 1000.0);
    }
    samples.sort_by(f64::total_cmp);
    Ok([samples[SAMPLES / 2], samples[SAMPLES * 99 / 100 - 1]])
}
