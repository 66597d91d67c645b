//! Ids: what can be read is written as it was, and exactly what the references' patterns allow can be read.

use taskcluster_core::{TaskId, TaskQueueId};

pub(crate) fn run(data: &[u8]) {
    if let Ok(bytes) = <[u8; 16]>::try_from(data) {
        every_16_bytes_have_a_text(bytes);
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    task_ids(text);
    task_queue_ids(text);
}

fn every_16_bytes_have_a_text(bytes: [u8; 16]) {
    let id = TaskId::from_bytes(bytes);
    let text = serde_json::to_string(&id).expect("an id is a text");
    assert_eq!(serde_json::from_str::<TaskId>(&text).expect("what was written"), id);
    assert_eq!(text, format!("\"{id}\""));
    let is_version_4 = bytes[6] >> 4 == 4 && bytes[8] >> 6 == 2;
    assert_eq!(id.to_string().parse::<TaskId>().is_ok(), is_version_4, "{id}");
}

fn task_ids(text: &str) {
    let parsed = text.parse::<TaskId>();
    assert_eq!(parsed.is_ok(), is_slugid(text), "{text:?}");
    let read: Result<TaskId, _> = serde_json::from_value(text.into());
    assert_eq!(read.is_ok(), is_base64_of_16_bytes(text), "{text:?}");
    if let Ok(id) = read {
        assert_eq!(id.to_string(), text);
        assert_eq!(TaskId::from_bytes(*id.as_bytes()), id);
    }
    if let Ok(id) = parsed {
        assert_eq!(id.to_string(), text);
        assert_eq!(Some(id), read.ok());
    }
    let derived = TaskId::derive(&TaskId::from_bytes([7; 16]), text).to_string();
    assert!(is_slugid(&derived) && matches!(derived.as_bytes()[0], b'A'..=b'Z' | b'a'..=b'f'), "{derived}");
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

fn is_base64_of_16_bytes(text: &str) -> bool {
    text.len() == 22 && text.bytes().all(is_base64) && text.ends_with(['A', 'Q', 'g', 'w'])
}

/// The pattern of the references: `[A-Za-z0-9_-]{8}[Q-T][A-Za-z0-9_-][CGKOSWaeimquy26-][A-Za-z0-9_-]{10}[AQgw]`.
fn is_slugid(text: &str) -> bool {
    is_base64_of_16_bytes(text)
        && matches!(text.as_bytes()[8], b'Q'..=b'T')
        && b"CGKOSWaeimquy26-".contains(&text.as_bytes()[10])
}

fn task_queue_ids(text: &str) {
    let is_half = |half: &str| {
        (1..=38).contains(&half.len()) && half.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    let halves: Vec<&str> = text.split('/').collect();
    let is_id = halves.len() == 2 && halves.iter().all(|half| is_half(half));
    let parsed = text.parse::<TaskQueueId>();
    assert_eq!(parsed.is_ok(), is_id, "{text:?}");
    if let Ok(id) = parsed {
        assert_eq!(id.as_str(), text);
        assert_eq!([id.provisioner_id(), id.worker_type()], *halves);
        assert_eq!(TaskQueueId::from_parts(id.provisioner_id(), id.worker_type()), Ok(id));
    }
}
