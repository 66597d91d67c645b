//! Task groups.

use taskcluster::queue as wire;
use taskcluster_core::ids::TaskId;
use taskcluster_core::scopes::Params;
use taskcluster_server::queue::ListTaskGroupQuery;
use taskcluster_server::{Call, Failure};

use super::Api;
use super::pages::Page;
use crate::group::Group;
use crate::wire as to_wire;

fn about(group: &Group) -> Params {
    Params::new().text("schedulerId", &group.scheduler_id).text("taskGroupId", group.task_group_id.to_string())
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

impl Api {
    async fn find_group(&self, id: TaskId) -> Result<Group, Failure> {
        self.store.group(id).await?.ok_or_else(|| Failure::not_found(format!("task group {id} does not exist")))
    }

    pub(super) async fn get_task_group(&self, _call: &Call, group: TaskId) -> Result<wire::TaskGroup, Failure> {
        Ok(to_wire::group(&self.find_group(group).await?))
    }

    pub(super) async fn list_task_group(
        &self,
        _call: &Call,
        group: TaskId,
        query: ListTaskGroupQuery,
    ) -> Result<wire::ListTaskGroupResponse, Failure> {
        let page = Page::new(query.continuation_token, query.limit)?;
        let group = self.find_group(group).await?;
        let part = self.store.members(group.task_group_id, page.after(0), page.limit()).await?;
        let token = Page::next(&part, |(task, _)| vec![task.task_id.to_string()]);
        let tasks = part.rows.iter().map(to_wire::with_status).collect::<Result<Vec<_>, _>>()?;
        let mut answer =
            wire::ListTaskGroupResponse::new(group.task_group_id, group.scheduler_id, group.expires, tasks);
        answer.sealed = group.sealed;
        answer.continuation_token = token;
        Ok(answer)
    }

    pub(super) async fn seal_task_group(&self, call: &Call, group: TaskId) -> Result<wire::TaskGroup, Failure> {
        call.authorize(about(&self.find_group(group).await?)).await?;
        let sealed = self.store.seal_group(group, self.clock.now()).await?;
        Ok(to_wire::group(&sealed.ok_or_else(|| Failure::not_found(format!("task group {group} does not exist")))?))
    }

    pub(super) async fn cancel_task_group(
        &self,
        call: &Call,
        group: TaskId,
    ) -> Result<wire::CancelTaskGroupResponse, Failure> {
        let found = self.find_group(group).await?;
        if found.sealed.is_none() {
            return Err(Failure::conflict(format!(
                "task group {group} is not sealed: new tasks could join while it is cancelled; seal it first"
            )));
        }
        call.authorize(about(&found)).await?;
        let cancelled = self.store.cancel_group(group, self.clock.now()).await?;
        let size = self.store.group_size(group).await?;
        Ok(wire::CancelTaskGroupResponse::new(group, size, count(cancelled.len()), cancelled))
    }

    pub(super) async fn change_task_group_priority(
        &self,
        call: &Call,
        group: TaskId,
        payload: wire::TaskPriorityRequest,
    ) -> Result<wire::TaskGroupPriorityResponse, Failure> {
        let found = self.find_group(group).await?;
        call.authorize(about(&found)).await?;
        let changed = self.store.change_group_priority(&found, &payload.new_priority, self.clock.now()).await?;
        Ok(wire::TaskGroupPriorityResponse::new(
            group,
            found.scheduler_id,
            payload.new_priority,
            count(changed.len()),
            changed,
        ))
    }
}
