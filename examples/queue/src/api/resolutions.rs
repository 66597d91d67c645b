//! Reports of workers on how a run ended. The scopes depend on the path alone and have been checked.

use taskcluster::queue as wire;
use taskcluster_core::ids::{RunId, TaskId};
use taskcluster_server::{Call, Failure};

use super::Api;
use crate::task::{Event, ExceptionReason};
use crate::wire as to_wire;

impl Api {
    pub(super) async fn report_completed(
        &self,
        _call: &Call,
        task_id: TaskId,
        run: RunId,
    ) -> Result<wire::TaskStatusResponse, Failure> {
        self.report(task_id, Event::Complete { run }).await
    }

    pub(super) async fn report_failed(
        &self,
        _call: &Call,
        task_id: TaskId,
        run: RunId,
    ) -> Result<wire::TaskStatusResponse, Failure> {
        self.report(task_id, Event::Fail { run }).await
    }

    pub(super) async fn report_exception(
        &self,
        _call: &Call,
        task_id: TaskId,
        run: RunId,
        payload: wire::TaskExceptionRequest,
    ) -> Result<wire::TaskStatusResponse, Failure> {
        let reason = match payload.reason {
            wire::ExceptionReason::WorkerShutdown => ExceptionReason::WorkerShutdown,
            wire::ExceptionReason::IntermittentTask => ExceptionReason::IntermittentTask,
            wire::ExceptionReason::MalformedPayload => ExceptionReason::MalformedPayload,
            wire::ExceptionReason::ResourceUnavailable => ExceptionReason::ResourceUnavailable,
            wire::ExceptionReason::InternalError => ExceptionReason::InternalError,
            other => return Err(Failure::input_error(format!("{other} is no reason that a worker may give"))),
        };
        self.report(task_id, Event::Except { run, reason }).await
    }

    async fn report(&self, task_id: TaskId, event: Event) -> Result<wire::TaskStatusResponse, Failure> {
        Ok(wire::TaskStatusResponse::new(to_wire::status(&self.apply(task_id, event).await?)))
    }
}
