//! Reports of workers on how a run ended. The scopes depend on the path alone and have been checked.

use serde::Deserialize;
use taskcluster::queue as wire;
use taskcluster_core::ids::{RunId, TaskId};
use taskcluster_server::{Call, Failure};

use super::Api;
use crate::task::{Event, ExceptionReason};
use crate::wire as to_wire;

impl Api {
    pub(super) async fn report_completed(
        &self,
        call: &Call,
        task_id: TaskId,
        run: RunId,
    ) -> Result<wire::TaskStatusResponse, Failure> {
        let event = if says_failed(call.raw_body()) { Event::Fail { run } } else { Event::Complete { run } };
        self.report(task_id, event).await
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

/// `reportCompleted` takes no body today. Very old workers report a failure by it as well, with `{"success": false}`.
fn says_failed(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Old {
        success: bool,
    }
    serde_json::from_slice::<Old>(body).is_ok_and(|old| !old.success)
}
