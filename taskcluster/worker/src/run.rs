//! One run from its claim to its end: the stages, and what each kind of end means. No call that resolves the run is made here.
//!
//! ```text
//! validate -> prepare -> build -> start -> started -> wait -> stopped      [drive]
//!                                                      log closed -> finished [finish]
//!                                                         resolved -> dispose [dispose]
//! ```

use std::sync::Arc;

use futures_util::future::join_all;

use crate::context::TaskContext;
use crate::engine::{Engine, Exit, ResultSet, Sandbox, SandboxBuilder};
use crate::error::{Error, Result};
use crate::outcome::{Outcome, Reason};
use crate::payload::{Payload, PayloadSchema};
use crate::plugin::{Plugin, TaskPlugin, Verdict};
use crate::stop::Stop;

/// One run.
pub(crate) struct Run {
    task: Arc<TaskContext>,
    plugins: Vec<(&'static str, Box<dyn TaskPlugin>)>,
    /// What is left of the sandbox once its code has ended.
    results: Option<Box<dyn ResultSet>>,
    on_start: Box<dyn Fn() + Send + Sync>,
    /// Called, or dropped, when plugins and engine have seen the payload.
    on_prepared: Option<Box<dyn FnOnce() + Send + Sync>>,
    pub(crate) fault: Fault,
}

/// Who, beside the task, was at fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    #[default]
    Nobody,
    /// Somebody elsewhere whom the task names.
    Elsewhere,
    /// The worker, or a service it needs.
    Own,
}

/// How a run ends that its worker is told to leave.
const GIVEN_BACK: Outcome = Outcome::Exception(Reason::WorkerShutdown);

/// How far a run had come when something went wrong decides what that means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    BeforeUserCode,
    AfterUserCode,
}

impl Run {
    pub(crate) fn new(
        task: Arc<TaskContext>,
        plugins: &[Arc<dyn Plugin>],
        on_start: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let plugins = plugins.iter().map(|plugin| (plugin.name(), plugin.task(&task))).collect();
        Self { task, plugins, results: None, on_start: Box::new(on_start), on_prepared: None, fault: Fault::default() }
    }

    /// Do this when plugins and engine have seen the payload and taken what it needs, or will not.
    pub(crate) fn once_prepared(&mut self, prepared: impl FnOnce() + Send + Sync + 'static) {
        self.on_prepared = Some(Box::new(prepared));
    }

    /// Run the task until its code has ended and what it left is taken care of, or until the run is abandoned.
    pub(crate) async fn drive(&mut self, engine: &dyn Engine, schema: &PayloadSchema) -> Outcome {
        let set_up = self.set_up(engine, schema).await;
        // Also where nothing was prepared.
        self.prepared();
        let builder = match set_up {
            Ok(builder) => builder,
            Err(end) => return self.conclude(end, Phase::BeforeUserCode),
        };
        self.task.log().info("=== Task Starting ===");
        let sandbox = match builder.start().await {
            Ok(sandbox) => sandbox,
            Err(error) => return self.conclude(End::Error(error), Phase::BeforeUserCode),
        };
        (self.on_start)();
        match self.user_code(sandbox).await {
            Ok(outcome) => outcome,
            Err(end) => self.conclude(end, Phase::AfterUserCode),
        }
    }

    /// Everything before the user's code.
    async fn set_up(&mut self, engine: &dyn Engine, schema: &PayloadSchema) -> Result<Box<dyn SandboxBuilder>, End> {
        let task = self.task.clone();
        let payload = schema.validate(&task.definition().payload)?;
        let prepared = tokio::select! {
            outcome = task.switch.abandon() => return Err(End::Abandoned(outcome)),
            prepared = self.prepare(engine, &payload) => prepared,
        };
        let mut builder = prepared?;
        self.prepared();
        let built = tokio::select! {
            outcome = task.switch.abandon() => Err(End::Abandoned(outcome)),
            built = self.build(builder.as_mut()) => built.map_err(End::Error),
        };
        match built {
            Ok(()) => Ok(builder),
            Err(end) => {
                builder.discard().await;
                Err(end)
            }
        }
    }

    fn prepared(&mut self) {
        if let Some(prepared) = self.on_prepared.take() {
            prepared();
        }
    }

    /// All plugins and the engine at once; reasons against the payload are gathered from all of them.
    async fn prepare(&mut self, engine: &dyn Engine, payload: &Payload) -> Result<Box<dyn SandboxBuilder>> {
        let plugins = join_all(self.plugins.iter_mut().map(|(_, plugin)| plugin.prepare(payload)));
        let (plugins, builder) = tokio::join!(plugins, engine.prepare(&self.task, payload));
        let mut errors: Vec<Error> = plugins.into_iter().filter_map(Result::err).collect();
        match builder {
            Ok(builder) => match Error::combine(errors) {
                None => Ok(builder),
                Some(error) => {
                    builder.discard().await;
                    Err(error)
                }
            },
            Err(error) => {
                errors.push(error);
                Err(Error::combine(errors).expect("there is at least one"))
            }
        }
    }

    async fn build(&mut self, builder: &mut dyn SandboxBuilder) -> Result<()> {
        for (_, plugin) in &mut self.plugins {
            plugin.build(builder).await?;
        }
        Ok(())
    }

    /// From the start of the user's code until what it left is uploaded.
    async fn user_code(&mut self, sandbox: Box<dyn Sandbox>) -> Result<Outcome, End> {
        let task = self.task.clone();
        let handle = sandbox.handle();
        let mut trouble = None;
        for (_, plugin) in &mut self.plugins {
            if let Err(error) = plugin.started(&handle).await {
                trouble = Some(error);
                handle.kill().await;
                break;
            }
        }
        let mut waiting = sandbox.wait();
        let mut stop = None;
        let results = tokio::select! {
            results = &mut waiting => results,
            order = task.switch.any() => {
                stop = Some(order);
                handle.kill().await;
                waiting.await
            }
        };
        let results = match results {
            Ok(results) => &**self.results.insert(results),
            Err(error) => return Err(trouble.unwrap_or(error).into()),
        };
        if let Some(outcome) = task.switch.abandoned() {
            return Err(End::Abandoned(outcome));
        }
        if let Some(error) = trouble {
            return Err(error.into());
        }
        task.log().info("=== Task Finished ===");
        let verdict = tell_exit(&task, results.exit(), stop.as_ref());
        let judged = tokio::select! {
            outcome = task.switch.abandon() => return Err(End::Abandoned(outcome)),
            judged = judge(&mut self.plugins, results, verdict) => judged,
        };
        Ok(match judged? {
            Verdict::Good => Outcome::Completed,
            Verdict::Failed => Outcome::Failed,
            Verdict::Intermittent => Outcome::Exception(Reason::IntermittentTask),
        })
    }

    /// Explain an early end in the log and say what it means.
    fn conclude(&mut self, end: End, phase: Phase) -> Outcome {
        let log = self.task.log();
        let error = match end {
            End::Abandoned(outcome) => {
                match self.task.given_back.get() {
                    Some(why) if outcome == GIVEN_BACK => log.error(format!("the run is stopped: {why}")),
                    _ => log.error(format!("the run is stopped: {outcome}")),
                }
                return outcome;
            }
            End::Error(error) => error,
        };
        for reason in error.reasons() {
            log.error(reason);
        }
        let fault = match &error {
            Error::Payload(_) | Error::Unsupported(_) => return Outcome::Exception(Reason::MalformedPayload),
            Error::Task(_) => return Outcome::Failed,
            Error::Unavailable { .. } => Fault::Elsewhere,
            Error::Worker { .. } => Fault::Own,
        };
        self.fault = self.fault.max(fault);
        let reasons = error.reasons().join("; ");
        tracing::warn!(task.id = %self.task.task_id(), run.id = %self.task.run_id(), error = reasons, "cannot run a task");
        Outcome::Exception(match phase {
            Phase::BeforeUserCode => Reason::WorkerShutdown,
            Phase::AfterUserCode => Reason::InternalError,
        })
    }

    /// Close the log and let plugins end: the log is uploaded. An error of theirs becomes the run's outcome.
    pub(crate) async fn finish(&mut self, outcome: Outcome) -> Outcome {
        self.task.end_spawned().await;
        match outcome {
            // Where there is no queue, its word for that means nothing.
            GIVEN_BACK if self.task.parts.local => self.task.log().info("=== Task Ends: interrupted ==="),
            _ => self.task.log().info(format!("=== Task Ends: {outcome} ===")),
        }
        self.task.log().close();
        let mut outcome = outcome;
        for (name, plugin) in &mut self.plugins {
            let Err(error) = plugin.finished(&outcome).await else { continue };
            let reasons = error.reasons().join("; ");
            match outcome {
                Outcome::NotOurs(_) => tracing::debug!(plugin = name, reasons, "cannot finish a run that is not ours"),
                Outcome::Completed | Outcome::Failed => {
                    tracing::error!(task.id = %self.task.task_id(), plugin = name, reasons, "cannot finish a run");
                    self.fault = Fault::Own;
                    outcome = Outcome::Exception(Reason::InternalError);
                }
                Outcome::Exception(_) => {
                    tracing::error!(task.id = %self.task.task_id(), plugin = name, reasons, "cannot finish a run");
                    self.fault = Fault::Own;
                }
            }
        }
        outcome
    }

    /// Release everything.
    pub(crate) async fn dispose(mut self) {
        if let Some(results) = self.results.take() {
            results.dispose().await;
        }
        for (_, plugin) in &mut self.plugins {
            plugin.dispose().await;
        }
    }
}

/// Why a run ends before its last stage.
enum End {
    Error(Error),
    Abandoned(Outcome),
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// Tell the log how the user's code ended.
fn tell_exit(task: &TaskContext, exit: &Exit, stop: Option<&Stop>) -> Verdict {
    if exit.is_success() && stop.is_none() {
        return Verdict::Good;
    }
    // Whoever ordered the stop has said why.
    if stop.is_none() {
        task.log().error(exit.to_string());
    }
    Verdict::Failed
}

/// Every plugin takes what it wants of the results, also after another one failed.
async fn judge(
    plugins: &mut [(&'static str, Box<dyn TaskPlugin>)],
    results: &dyn ResultSet,
    mut verdict: Verdict,
) -> Result<Verdict> {
    let mut errors = Vec::new();
    for (_, plugin) in plugins {
        match plugin.stopped(results).await {
            Ok(more) => verdict = verdict.max(more),
            Err(error) => errors.push(error),
        }
    }
    match Error::combine(errors) {
        Some(error) => Err(error),
        None => Ok(verdict),
    }
}
