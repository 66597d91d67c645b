//! The contracts of engines and of plugins, as checks that run against any of them.
//!
//! An engine's tests describe how their payload says a few simple things ([`Subject`]), and call [`check`]:
//!
//! ```
//! use taskcluster_worker::conformance::{self, Act, Subject};
//! use taskcluster_worker::testing::MockEngine;
//! use taskcluster_worker::Engine;
//! use serde_json::{Map, Value, json};
//!
//! #[derive(Debug)]
//! struct Mock;
//!
//! impl Subject for Mock {
//!     fn engine(&self) -> Box<dyn Engine> {
//!         Box::new(MockEngine::default())
//!     }
//!
//!     fn payload(&self, acts: &[Act]) -> Map<String, Value> {
//!         let acts: Vec<Value> = acts.iter().map(|act| match act {
//!             Act::Print(text) => json!({"print": text}),
//!             Act::PrintEnv(name) => json!({"printEnv": name}),
//!             Act::Write { path, text } => json!({"write": {"path": path, "text": text}}),
//!             Act::PrintFile(path) => json!({"printFile": path}),
//!             Act::Exit(code) => json!({"exit": code}),
//!             Act::Forever(text) => json!({"forever": text}),
//!         }).collect();
//!         Map::from_iter([("mock".to_owned(), json!(acts))])
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! conformance::check(&Mock).await;
//! conformance::check_ends(&Mock).await;
//! # });
//! ```
//!
//! [`check_ends`] brings tasks of the engine to each end that a run can come to.
//!
//! Those of a plugin say how a payload speaks to it ([`PluginSubject`]), and call [`check_plugin`]:
//!
//! ```
//! use std::path::Path;
//!
//! use serde_json::{Map, Value, json};
//! use taskcluster_worker::WorkerBuilder;
//! use taskcluster_worker::conformance::{self, PluginSubject};
//! use taskcluster_worker::plugins::Env;
//!
//! struct Variables;
//!
//! impl PluginSubject for Variables {
//!     fn add_to(&self, worker: WorkerBuilder, _work_dir: &Path) -> WorkerBuilder {
//!         worker.plugin(Env::default())
//!     }
//!
//!     fn used(&self) -> Map<String, Value> {
//!         Map::from_iter([("env".to_owned(), json!({"COLOUR": "green"}))])
//!     }
//!
//!     fn refused(&self) -> Vec<Map<String, Value>> {
//!         vec![Map::from_iter([("env".to_owned(), json!("green"))])]
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! conformance::check_plugin(&Variables).await;
//! # });
//! ```

mod ends;
mod plugin;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::{Map, Value};

use crate::context::TaskContext;
use crate::engine::{Engine, Exit, Missing, ResultSet, SandboxBuilder, Volume};
use crate::error::Error;
use crate::payload::PayloadSchema;
use crate::testing::{run_without_queue, task_with_payload};

pub use ends::check_ends;
pub use plugin::{PluginSubject, check_plugin};

/// An engine and how its payload says things.
pub trait Subject: Send + Sync {
    /// The engine.
    fn engine(&self) -> Box<dyn Engine>;

    /// The engine's part of a payload that does these acts, one after the other.
    fn payload(&self, acts: &[Act]) -> Map<String, Value>;

    /// What the engine tells of code that ends with this code, where it tells it in other words.
    fn told(&self, code: i32) -> i32 {
        code
    }

    /// Whether what the code writes can be read once it has ended. An engine whose code runs far away may leave it there.
    fn keeps_files(&self) -> bool {
        true
    }

    /// End what still runs of tasks that were taken from the worker, where the engine leaves it to their next run. [`check_ends`] waits
    /// for this after each such task. Default: nothing does.
    fn end_what_goes_on(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// Something for the user's code to do. A new one is for every engine to learn, so the list is not open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Print a text without a newline of its own.
    Print(String),
    /// Print the value of an environment variable.
    PrintEnv(String),
    /// Write a file below the task's directory, whose folder may have to be made.
    Write {
        /// Where.
        path: String,
        /// What.
        text: String,
    },
    /// Print the content of a file below the task's directory.
    PrintFile(String),
    /// End with this code.
    Exit(i32),
    /// Print a text, then go on until killed.
    Forever(String),
}

/// Far more than anything takes; only what hangs runs into it.
const PATIENCE: Duration = Duration::from_secs(120);

/// Run all checks.
///
/// # Panics
/// With the first check that the engine does not pass.
pub async fn check(subject: &dyn Subject) {
    let engine = subject.engine();
    engine.set_up().await.expect("the engine sets up");
    let bench = Bench { subject, engine };
    within("prints and succeeds", bench.prints_and_succeeds()).await;
    within("tells the exit code", bench.tells_the_exit_code()).await;
    within("sets the environment", bench.sets_the_environment()).await;
    within("keeps what the code wrote", bench.keeps_what_the_code_wrote()).await;
    within("keeps what failing code wrote", bench.keeps_what_failing_code_wrote()).await;
    within("kills what does not end", bench.kills()).await;
    within("survives a late kill", bench.survives_a_late_kill()).await;
    within("discards without starting", bench.discards()).await;
    within("refuses an empty payload", bench.refuses_an_empty_payload()).await;
    within("mounts files", bench.mounts_files()).await;
    within("mounts directories", bench.mounts_directories()).await;
    within("takes over directories", bench.takes_over_directories()).await;
}

async fn within(name: &str, check: impl Future<Output = ()>) {
    tracing::debug!(name, "conformance");
    assert!(tokio::time::timeout(PATIENCE, check).await.is_ok(), "conformance: {name}: took too long");
}

struct Bench<'a> {
    subject: &'a dyn Subject,
    engine: Box<dyn Engine>,
}

/// A run at the bench.
struct Trial {
    dir: tempfile::TempDir,
    task: Arc<TaskContext>,
}

impl Trial {
    fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.task.log().path()).expect("the log is there")).into_owned()
    }

    fn assert_printed(&self, text: &str) {
        let log = self.log();
        assert!(log.contains(text), "{text:?} is not in the log:\n{log}");
    }
}

impl Bench<'_> {
    async fn prepare(&self, acts: &[Act]) -> (Trial, Box<dyn SandboxBuilder>) {
        let payload = self.subject.payload(acts);
        let dir = tempfile::tempdir().expect("a directory for the test");
        let task = run_without_queue(dir.path(), task_with_payload(&payload)).expect("a run for the test");
        let schema =
            PayloadSchema::compose([(self.engine.name(), self.engine.payload())]).expect("one part fits itself");
        let payload = schema.validate(&payload).expect("the subject's payload fits the engine's schema");
        let builder = self.engine.prepare(&task, &payload).await.expect("the engine prepares");
        (Trial { dir, task }, builder)
    }

    async fn run(&self, acts: &[Act]) -> (Trial, Box<dyn ResultSet>) {
        let (trial, builder) = self.prepare(acts).await;
        let results = finish(builder).await;
        (trial, results)
    }

    async fn assert_kept(&self, results: &dyn ResultSet) {
        if self.subject.keeps_files() {
            assert_eq!(content(results, "out").await, "kept");
        }
    }

    async fn prints_and_succeeds(&self) {
        let (trial, results) = self.run(&[Act::Print("hello ".into()), Act::Print("world".into())]).await;
        assert_eq!(*results.exit(), Exit::Code(0), "{}", trial.log());
        trial.assert_printed("hello");
        trial.assert_printed("world");
        results.dispose().await;
    }

    async fn tells_the_exit_code(&self) {
        let (trial, results) = self.run(&[Act::Print("before".into()), Act::Exit(7)]).await;
        assert_eq!(*results.exit(), Exit::Code(self.subject.told(7)), "{}", trial.log());
        trial.assert_printed("before");
        results.dispose().await;
    }

    async fn sets_the_environment(&self) {
        let (trial, mut builder) = self.prepare(&[Act::PrintEnv("CONFORMANCE".into())]).await;
        match builder.set_env("CONFORMANCE", "first") {
            Ok(()) => {}
            Err(Error::Unsupported(_)) => return builder.discard().await,
            Err(error) => panic!("{error}"),
        }
        builder.set_env("CONFORMANCE", "the later one wins, 'quotes' and $ included").expect("a variable can be set");
        let results = finish(builder).await;
        assert!(results.exit().is_success(), "{}", trial.log());
        trial.assert_printed("the later one wins, 'quotes' and $ included");
        results.dispose().await;
    }

    async fn keeps_what_the_code_wrote(&self) {
        if !self.subject.keeps_files() {
            return;
        }
        let write = |path: &str| Act::Write { path: path.into(), text: format!("text of {path}") };
        let (trial, results) = self.run(&[write("out/b/deep"), write("out/a")]).await;
        assert!(results.exit().is_success(), "{}", trial.log());
        assert_eq!(content(&*results, "out/a").await, "text of out/a");
        assert_eq!(results.directory("out").await.expect("the directory is there"), ["a", "b/deep"]);
        assert!(matches!(results.file("out/none").await, Err(Missing::NotFound(_))));
        assert!(matches!(results.directory("none").await, Err(Missing::NotFound(_))));
        assert!(matches!(results.file("out").await, Err(Missing::WrongType(_))));
        assert!(matches!(results.directory("out/a").await, Err(Missing::WrongType(_))));
        results.dispose().await;
    }

    async fn keeps_what_failing_code_wrote(&self) {
        let (_trial, results) = self.run(&[Act::Write { path: "out".into(), text: "kept".into() }, Act::Exit(1)]).await;
        assert_eq!(*results.exit(), Exit::Code(self.subject.told(1)));
        self.assert_kept(&*results).await;
        results.dispose().await;
    }

    async fn kills(&self) {
        let acts = [Act::Write { path: "out".into(), text: "kept".into() }, Act::Forever("ready".into())];
        let (trial, builder) = self.prepare(&acts).await;
        let sandbox = builder.start().await.expect("it starts");
        let handle = sandbox.handle();
        let killer = async {
            let mut follower = trial.task.log().follow().expect("the log can be read");
            let mut seen = Vec::new();
            // The text may stand in the log before, as part of the command.
            while !String::from_utf8_lossy(&seen).lines().any(|line| line.ends_with("ready") && !line.starts_with('['))
            {
                seen.extend(follower.next().await.expect("the log can be read").expect("the log goes on"));
            }
            handle.kill().await;
            handle.kill().await;
        };
        let (results, ()) = tokio::join!(sandbox.wait(), killer);
        let results = results.expect("a killed sandbox has results");
        assert_eq!(*results.exit(), Exit::Killed);
        self.assert_kept(&*results).await;
        results.dispose().await;
    }

    async fn survives_a_late_kill(&self) {
        let (_trial, builder) = self.prepare(&[Act::Exit(0)]).await;
        let sandbox = builder.start().await.expect("it starts");
        let handle = sandbox.handle();
        let results = sandbox.wait().await.expect("it ends");
        handle.kill().await;
        assert!(results.exit().is_success());
        results.dispose().await;
    }

    async fn discards(&self) {
        let (_trial, builder) = self.prepare(&[Act::Exit(0)]).await;
        builder.discard().await;
    }

    async fn refuses_an_empty_payload(&self) {
        let schema =
            PayloadSchema::compose([(self.engine.name(), self.engine.payload())]).expect("one part fits itself");
        let error = schema.validate(&Map::new()).expect_err("a payload without anything to run");
        assert!(matches!(error, Error::Payload(_)));
    }

    async fn mounts_files(&self) {
        let (trial, mut builder) = self.prepare(&[Act::PrintFile("mounted".into())]).await;
        let source = trial.dir.path().join("source");
        std::fs::write(&source, "text of the mounted file").expect("a file for the test");
        match builder.add_file("mounted", &source).await {
            Ok(()) => {}
            Err(Error::Unsupported(_)) => return builder.discard().await,
            Err(error) => panic!("{error}"),
        }
        let results = finish(builder).await;
        assert!(results.exit().is_success(), "{}", trial.log());
        trial.assert_printed("text of the mounted file");
        results.dispose().await;
    }

    async fn mounts_directories(&self) {
        // Of its own, apart from the run's: a task may be another user, who cannot pass a private directory.
        let shared = tempfile::tempdir().expect("a directory for the test");
        open_to_all(shared.path());
        let cache = shared.path().join("cache");
        for text in ["first", "second"] {
            std::fs::create_dir_all(&cache).expect("a directory for the test");
            let write = Act::Write { path: format!("mounted/{text}"), text: text.into() };
            let (trial, mut builder) = self.prepare(&[write]).await;
            match builder.mount_directory("mounted", Volume::writable(&cache)).await {
                Ok(()) => {}
                Err(Error::Unsupported(_)) => return builder.discard().await,
                Err(error) => panic!("{error}"),
            }
            let results = finish(builder).await;
            assert!(results.exit().is_success(), "{}", trial.log());
            results.dispose().await;
            assert_eq!(std::fs::read_to_string(cache.join(text)).expect("the file outlives the sandbox"), text);
        }
        assert!(cache.join("first").exists(), "a second sandbox finds what the first left");
    }

    async fn takes_over_directories(&self) {
        let write = Act::Write { path: "given/deep/file".into(), text: "text of the task".into() };
        let (trial, mut builder) = self.prepare(&[Act::PrintFile("given/deep/file".into()), write]).await;
        let source = trial.task.scratch().join("source");
        std::fs::create_dir_all(source.join("deep")).expect("a directory for the test");
        std::fs::write(source.join("deep/file"), "text of the worker").expect("a file for the test");
        match builder.add_directory("given", &source).await {
            Ok(()) => {}
            Err(Error::Unsupported(_)) => return builder.discard().await,
            Err(error) => panic!("{error}"),
        }
        let results = finish(builder).await;
        assert!(results.exit().is_success(), "{}", trial.log());
        trial.assert_printed("text of the worker");
        assert_eq!(content(&*results, "given/deep/file").await, "text of the task");
        results.dispose().await;
    }
}

fn open_to_all(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o711)).expect("a directory of our own");
}

async fn finish(builder: Box<dyn SandboxBuilder>) -> Box<dyn ResultSet> {
    let sandbox = builder.start().await.expect("it starts");
    sandbox.wait().await.expect("it ends")
}

async fn content(results: &dyn ResultSet, path: &str) -> String {
    let file = results.file(path).await.expect("the file is there");
    std::fs::read_to_string(file.path()).expect("the file can be read")
}
