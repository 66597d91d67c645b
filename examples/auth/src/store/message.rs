//! What the world is told of a change.

use serde_json::json;
use service_kit::outbox::Message;
use taskcluster::auth::events;

use crate::history::{Action, Entity, Record};

/// Nobody filters these messages by key.
const ROUTING_KEY: &str = "_";

/// The message that goes out with a change. Turning a client on or off and replacing its token are updates.
pub(super) fn of(record: &Record) -> Message {
    let exchange = match (record.entity, record.action) {
        (Entity::Client, Action::Created) => events::ClientCreated::EXCHANGE,
        (Entity::Client, Action::Deleted | Action::Expired) => events::ClientDeleted::EXCHANGE,
        (Entity::Client, Action::Updated | Action::Enabled | Action::Disabled | Action::TokenReset) => {
            events::ClientUpdated::EXCHANGE
        }
        (Entity::Role, Action::Created) => events::RoleCreated::EXCHANGE,
        (Entity::Role, Action::Deleted | Action::Expired) => events::RoleDeleted::EXCHANGE,
        (Entity::Role, Action::Updated | Action::Enabled | Action::Disabled | Action::TokenReset) => {
            events::RoleUpdated::EXCHANGE
        }
    };
    let payload = match record.entity {
        Entity::Client => json!({ "version": 1, "clientId": record.entity_id }),
        Entity::Role => json!({ "version": 1, "roleId": record.entity_id }),
    };
    Message {
        exchange: exchange.exchange.to_owned(),
        routing_key: ROUTING_KEY.to_owned(),
        cc: Vec::new(),
        payload: payload.to_string(),
    }
}
