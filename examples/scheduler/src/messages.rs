//! The events of the scheduler, as they go into the outbox.

use serde::Serialize;
use service_kit::outbox::Message;
use taskcluster::scheduler::events::{TaskGraphBlocked, TaskGraphExtended, TaskGraphFinished, TaskGraphRunning};
use taskcluster::scheduler::{
    TaskGraphBlockedMessage, TaskGraphExtendedMessage, TaskGraphFinishedMessage, TaskGraphRunningMessage,
    TaskGraphState, TaskGraphStatus,
};
use taskcluster_core::ids::TaskId;
use taskcluster_core::operation::Exchange;

/// The exchanges that the scheduler publishes to.
pub(crate) const EXCHANGES: [Exchange; 4] =
    [TaskGraphRunning::EXCHANGE, TaskGraphExtended::EXCHANGE, TaskGraphBlocked::EXCHANGE, TaskGraphFinished::EXCHANGE];

/// What is told where a graph has come into a state. `blocker` is a task that ended without success, if there is one.
pub(crate) fn entered(status: TaskGraphStatus, routes: &[String], blocker: Option<TaskId>) -> Option<Message> {
    match (status.state.clone(), blocker) {
        (TaskGraphState::Running, _) => Some(running(status, routes)),
        (TaskGraphState::Finished, _) => {
            Some(message(&TaskGraphFinished::EXCHANGE, &status.clone(), routes, &TaskGraphFinishedMessage::new(status)))
        }
        (TaskGraphState::Blocked, Some(blocker)) => {
            let body = TaskGraphBlockedMessage::new(status.clone(), blocker);
            Some(message(&TaskGraphBlocked::EXCHANGE, &status, routes, &body))
        }
        _ => None,
    }
}

/// A graph was accepted, or goes on.
pub(crate) fn running(status: TaskGraphStatus, routes: &[String]) -> Message {
    message(&TaskGraphRunning::EXCHANGE, &status.clone(), routes, &TaskGraphRunningMessage::new(status))
}

/// A graph got more tasks.
pub(crate) fn extended(status: TaskGraphStatus, routes: &[String]) -> Message {
    message(&TaskGraphExtended::EXCHANGE, &status.clone(), routes, &TaskGraphExtendedMessage::new(status))
}

/// The words of the key stand where the queue's own events have them: task, run, worker and task queue are none.
fn message(exchange: &Exchange, status: &TaskGraphStatus, routes: &[String], body: &impl Serialize) -> Message {
    let TaskGraphStatus { scheduler_id, task_graph_id, .. } = status;
    Message {
        exchange: exchange.exchange.to_owned(),
        routing_key: format!("primary._._._._._._.{scheduler_id}.{task_graph_id}._"),
        cc: routes.iter().map(|route| format!("route.{route}")).collect(),
        payload: serde_json::to_string(body).expect("a message can be written as JSON"),
    }
}

#[cfg(test)]
mod tests {
    use taskcluster::scheduler::events;
    use taskcluster_core::routing::Pattern;

    use super::*;

    #[test]
    fn keys_fit_the_pattern_that_clients_bind_with() {
        let graph: TaskId = "fN1SbArXTPSVFNUvaOlinQ".parse().unwrap();
        let status = TaskGraphStatus::new(graph, "my-scheduler", TaskGraphState::Blocked);
        let message = entered(status, &["a.b".to_owned()], Some(graph)).unwrap();
        let pattern =
            events::task_graph_blocked().task_graph_id(&graph.to_string()).scheduler_id("my-scheduler").to_string();
        assert!(Pattern::from(pattern.as_str()).matches(&message.routing_key), "{}", message.routing_key);
        assert_eq!(message.cc, ["route.a.b"]);
        assert_eq!(message.exchange, "exchange/taskcluster-scheduler/v1/task-graph-blocked");
    }
}
