//! What goes over the wire: one server-sent event as bytes.

use bytes::Bytes;
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;
use taskcluster::events::Message;
use taskcluster_core::time::Timestamp;

/// The data of a `message` event.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    exchange: &'a str,
    routing_key: &'a str,
    cc: &'a [String],
    redelivered: bool,
    /// As it was published, byte for byte but for line breaks between its parts.
    payload: &'a RawValue,
}

/// The event of a message; nothing if its payload is no JSON object, which this service cannot pass on.
pub(crate) fn message(id: &str, message: &Message) -> Option<Bytes> {
    let payload: &RawValue = serde_json::from_slice(&message.payload).ok()?;
    if !payload.get().starts_with('{') {
        return None;
    }
    let data = Data {
        exchange: &message.exchange,
        routing_key: &message.routing_key,
        cc: &message.cc,
        redelivered: message.redelivered,
        payload,
    };
    Some(event("message", id, &serde_json::to_string(&data).ok()?))
}

pub(crate) fn ready(id: &str) -> Bytes {
    event("ready", id, "true")
}

pub(crate) fn lost(id: &str) -> Bytes {
    event("lost", id, "true")
}

pub(crate) fn ping(id: &str, now: Timestamp) -> Bytes {
    event("ping", id, &json!({ "time": now }).to_string())
}

/// A line break ends a field, so data with line breaks are several fields, which the receiver joins again.
fn event(name: &str, id: &str, data: &str) -> Bytes {
    let mut text = format!("event: {name}\nid: {id}\n");
    for line in data.split(['\n', '\r']) {
        text.push_str("data: ");
        text.push_str(line);
        text.push('\n');
    }
    text.push('\n');
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_event_with_its_payload_as_it_was() {
        let published = Message::new("exchange/a/v1/b", "x.y", r#"{"z": 1.0, "a": "é\n"}"#).with_cc(["route.r"]);
        let frame = message("e.7", &published).unwrap();
        assert_eq!(
            frame,
            concat!(
                "event: message\nid: e.7\n",
                r#"data: {"exchange":"exchange/a/v1/b","routingKey":"x.y","cc":["route.r"],"redelivered":false,"#,
                r#""payload":{"z": 1.0, "a": "é\n"}}"#,
                "\n\n"
            )
        );
    }

    #[test]
    fn line_breaks_between_the_parts_of_a_payload_do_not_end_the_event() {
        let frame = message("e.7", &Message::new("e", "k", "{\r\n  \"a\": 1\n}")).unwrap();
        let text = std::str::from_utf8(&frame).unwrap();
        assert!(text.lines().skip(2).all(|line| line.is_empty() || line.starts_with("data: ")), "{text}");
        assert_eq!(text.matches("\n\n").count(), 1, "{text}");
    }

    #[test]
    fn what_is_no_object_is_not_passed_on() {
        for payload in ["", "[]", "1", "{", "\u{1}"] {
            assert_eq!(message("e.7", &Message::new("e", "k", payload)), None, "{payload:?}");
        }
    }
}
