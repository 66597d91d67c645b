//! The events of the provisioner, as they go into the outbox.

use taskcluster::provisioner::WorkerTypeMessage;
use taskcluster::provisioner::events::{WorkerTypeCreated, WorkerTypeRemoved, WorkerTypeUpdated};
use taskcluster_core::operation::Exchange;

pub(crate) use service_kit::outbox::Message;

/// The exchanges that the provisioner publishes to.
pub(crate) const EXCHANGES: [Exchange; 3] =
    [WorkerTypeCreated::EXCHANGE, WorkerTypeUpdated::EXCHANGE, WorkerTypeRemoved::EXCHANGE];

pub(crate) fn created(worker_type: &str) -> Message {
    message(&WorkerTypeCreated::EXCHANGE, worker_type)
}

pub(crate) fn updated(worker_type: &str) -> Message {
    message(&WorkerTypeUpdated::EXCHANGE, worker_type)
}

pub(crate) fn removed(worker_type: &str) -> Message {
    message(&WorkerTypeRemoved::EXCHANGE, worker_type)
}

fn message(exchange: &Exchange, worker_type: &str) -> Message {
    Message {
        exchange: exchange.exchange.to_owned(),
        routing_key: format!("primary.{worker_type}"),
        cc: Vec::new(),
        payload: serde_json::to_string(&WorkerTypeMessage::new(worker_type)).expect("a message can be written as JSON"),
    }
}

#[cfg(test)]
mod tests {
    use taskcluster::provisioner::events;
    use taskcluster_core::routing::Pattern;

    use super::*;

    #[test]
    fn keys_fit_the_pattern_that_clients_bind_with() {
        let pattern = events::worker_type_created().worker_type("w").to_string();
        let message = created("w");
        assert!(Pattern::from(pattern.as_str()).matches(&message.routing_key), "{pattern}: {}", message.routing_key);
        assert_eq!(message.exchange, "exchange/taskcluster-provisioner/v1/worker-type-created");
        assert_eq!(message.payload, r#"{"version":1,"workerType":"w"}"#);
    }
}
