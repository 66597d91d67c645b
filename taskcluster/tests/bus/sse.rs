//! Server-sent events of services that behave as ours never does. How they usually behave is tested with the service itself.

use serde_json::json;
use taskcluster::Taskcluster;
use taskcluster::events::{Binding, Bus, BusError, SseBus};
use taskcluster::testing::{Answer, ScriptedTransport};

use super::{next, within};

const EXCHANGE: &str = "exchange/test/v1/happened";

/// A stream that begins, tells of one message, and ends.
fn stream(id: &str, key: &str) -> Answer {
    let data = json!({ "exchange": EXCHANGE, "routingKey": key, "payload": {} });
    Answer::bytes(format!("event: ready\nid: {id}.0\ndata: true\n\nevent: message\nid: {id}.1\ndata: {data}\n\n"))
        .with_header("content-type", "text/event-stream")
}

/// A service that was replaced by another, which does not take the id of the former.
#[tokio::test]
async fn when_an_id_is_refused_the_listener_is_told_that_it_may_have_missed_something() {
    let script = ScriptedTransport::new()
        .on("events.connect", stream("old", "1"))
        .on(
            "events.connect",
            Answer::error(400, "InvalidRequestArguments", "\"old.1\" is no event id of this service."),
        )
        .on("events.connect", stream("new", "2"))
        .on("events.connect", Answer::never());
    let tc = Taskcluster::builder("https://tc.example.com").transport(script.transport()).build().unwrap();
    let mut messages = within(SseBus::new(&tc).subscribe(vec![Binding::everything(EXCHANGE)])).await.unwrap();
    assert_eq!(next(&mut messages).await.unwrap().routing_key, "1");
    let missed = next(&mut messages).await.unwrap_err();
    assert!(matches!(missed, BusError::Interrupted), "{missed}");
    assert_eq!(next(&mut messages).await.unwrap().routing_key, "2");
    let ids: Vec<bool> = script.calls().iter().map(|call| call.query.contains("lastEventId=")).collect();
    assert_eq!(ids[..3], [false, true, false]);
}
