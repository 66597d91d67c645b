//! Creating, looking at and manipulating tasks.

use std::collections::BTreeSet;

use taskcluster::queue as wire;
use taskcluster_core::ids::{Priority, TaskId};
use taskcluster_core::scopes::Params;
use taskcluster_server::queue::{ListDependentTasksQuery, StatusesQuery, TasksQuery};
use taskcluster_server::{Call, Failure};

use super::Api;
use super::pages::Page;
use crate::definition::Definition;
use crate::store::ApplyRefusal;
use crate::task::{Event, Task};
use crate::wire as to_wire;

fn status_of(task: &Task) -> wire::TaskStatusResponse {
    wire::TaskStatusResponse::new(to_wire::status(task))
}

/// What the scopes for scheduling, rerunning and cancelling a task depend on.
fn about(task: &Task) -> Params {
    Params::new()
        .text("taskId", task.task_id.to_string())
        .text("schedulerId", &task.scheduler_id)
        .text("taskGroupId", task.task_group_id.to_string())
        .text("projectId", &task.project_id)
}

impl Api {
    pub(super) async fn task(&self, _call: &Call, task_id: TaskId) -> Result<wire::TaskDefinition, Failure> {
        let (task, text) = self.store.task(task_id).await?.ok_or(ApplyRefusal::NoSuchTask(task_id))?;
        Ok(to_wire::definition(&text, &task.priority)?)
    }

    pub(super) async fn tasks(
        &self,
        call: &Call,
        query: TasksQuery,
        payload: wire::TaskIdsRequest,
    ) -> Result<wire::TasksResponse, Failure> {
        let page = Page::new(query.continuation_token, query.limit)?;
        let (ids, token) = Self::many(call, &page, payload).await?;
        let part = self.store.tasks(&ids).await?;
        // The page may end before its last id.
        let token = Page::next(&part, |(task, _)| vec![task.task_id.to_string()]).or(token);
        let entries = part
            .rows
            .iter()
            .map(|(task, text)| {
                Ok(wire::TaskDefinitionEntry::new(task.task_id, to_wire::definition(text, &task.priority)?))
            })
            .collect::<Result<Vec<_>, Failure>>()?;
        let mut answer = wire::TasksResponse::new(entries);
        answer.continuation_token = token;
        Ok(answer)
    }

    pub(super) async fn statuses(
        &self,
        call: &Call,
        query: StatusesQuery,
        payload: wire::TaskIdsRequest,
    ) -> Result<wire::StatusesResponse, Failure> {
        let page = Page::new(query.continuation_token, query.limit)?;
        let (ids, token) = Self::many(call, &page, payload).await?;
        let tasks = self.store.statuses(&ids).await?;
        let entries = tasks.iter().map(|task| wire::TaskStatusEntry::new(task.task_id, to_wire::status(task)));
        let mut answer = wire::StatusesResponse::new(entries);
        answer.continuation_token = token;
        Ok(answer)
    }

    /// One page of a list of ids, and where the next begins.
    async fn many(
        call: &Call,
        page: &Page,
        payload: wire::TaskIdsRequest,
    ) -> Result<(Vec<String>, Option<String>), Failure> {
        let ids: BTreeSet<String> = payload.task_ids.unwrap_or_default().iter().map(TaskId::to_string).collect();
        call.authorize(Params::new().list("taskIds", ids.iter().cloned())).await?;
        let mut wanted: Vec<String> =
            ids.into_iter().filter(|id| id.as_str() > page.after(0)).take(page.rows() as usize).collect();
        let token = page.cut(&mut wanted, |id| vec![id.clone()]);
        Ok((wanted, token))
    }

    pub(super) async fn status(&self, _call: &Call, task_id: TaskId) -> Result<wire::TaskStatusResponse, Failure> {
        Ok(status_of(&self.find(task_id).await?))
    }

    pub(super) async fn list_dependent_tasks(
        &self,
        _call: &Call,
        task_id: TaskId,
        query: ListDependentTasksQuery,
    ) -> Result<wire::ListDependentTasksResponse, Failure> {
        let page = Page::new(query.continuation_token, query.limit)?;
        self.find(task_id).await?;
        let part = self.store.dependents(task_id, page.after(0), page.limit()).await?;
        let token = Page::next(&part, |(task, _)| vec![task.task_id.to_string()]);
        let tasks = part.rows.iter().map(to_wire::with_status).collect::<Result<Vec<_>, _>>()?;
        let mut answer = wire::ListDependentTasksResponse::new(task_id, tasks);
        answer.continuation_token = token;
        Ok(answer)
    }

    pub(super) async fn create_task(
        &self,
        call: &Call,
        task_id: TaskId,
        _payload: wire::TaskDefinitionRequest,
    ) -> Result<wire::TaskStatusResponse, Failure> {
        let limits = &self.settings.limits;
        let new = Definition::complete(call.body_text(), task_id, limits)?;
        let task = &new.task;
        // Whoever may create more urgent tasks may create less urgent ones as well.
        let priorities =
            Priority::ALL.iter().rev().take_while(|priority| **priority >= task.priority).map(Priority::to_string);
        let params = Params::new()
            .list("scopes", new.scopes.iter().cloned())
            .list("routes", task.routes.iter().cloned())
            .list("priorities", priorities)
            .text("projectId", &task.project_id)
            .text("schedulerId", &task.scheduler_id)
            .text("provisionerId", task.provisioner_id())
            .text("workerType", task.worker_type());
        call.authorize(params).await?;
        let now = self.clock.now();
        new.check(now, limits)?;
        Ok(status_of(&self.store.create(new, now).await??))
    }

    pub(super) async fn schedule_task(
        &self,
        call: &Call,
        task_id: TaskId,
    ) -> Result<wire::TaskStatusResponse, Failure> {
        self.manipulate(call, task_id, Event::Schedule).await
    }

    pub(super) async fn rerun_task(&self, call: &Call, task_id: TaskId) -> Result<wire::TaskStatusResponse, Failure> {
        self.manipulate(call, task_id, Event::Rerun).await
    }

    pub(super) async fn cancel_task(&self, call: &Call, task_id: TaskId) -> Result<wire::TaskStatusResponse, Failure> {
        self.manipulate(call, task_id, Event::Cancel).await
    }

    async fn manipulate(
        &self,
        call: &Call,
        task_id: TaskId,
        event: Event,
    ) -> Result<wire::TaskStatusResponse, Failure> {
        call.authorize(about(&self.find(task_id).await?)).await?;
        Ok(status_of(&self.apply(task_id, event).await?))
    }

    pub(super) async fn change_task_priority(
        &self,
        call: &Call,
        task_id: TaskId,
        payload: wire::TaskPriorityRequest,
    ) -> Result<wire::TaskStatusResponse, Failure> {
        let task = self.find(task_id).await?;
        let params = Params::new().text("taskId", task_id.to_string()).text("taskQueueId", &task.task_queue_id);
        call.authorize(params).await?;
        let event = Event::ChangePriority { priority: payload.new_priority, announce: true };
        Ok(status_of(&self.apply(task_id, event).await?))
    }
}
