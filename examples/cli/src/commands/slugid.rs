//! `taskcluster slugid`: ids of tasks and task groups.

use anyhow::{Context as _, Result};
use serde_json::json;
use taskcluster::TaskId;

use super::talk::finish;
use crate::args::SlugidCommand;
use crate::exit::Outcome;
use crate::output::Output;

/// The lengths of the groups of hexadecimal digits in a UUID.
const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];

/// Makes one, or translates it.
pub(crate) fn slugid(command: Option<SlugidCommand>, json: bool) -> Result<Outcome> {
    let wants_uuid = matches!(command, Some(SlugidCommand::Decode { .. }));
    let slugid = match command {
        None | Some(SlugidCommand::Generate { .. }) => TaskId::new(),
        Some(SlugidCommand::Decode { slugid }) => slugid,
        Some(SlugidCommand::Encode { uuid }) => {
            encode(&uuid).with_context(|| format!("{uuid:?} is not a version 4 UUID"))?
        }
    };
    let uuid = decode(&slugid);
    let told = json!({ "slugid": slugid, "uuid": uuid });
    finish(Output::telling(json).tell(&told, |_| if wants_uuid { uuid } else { slugid.to_string() }))
}

fn decode(id: &TaskId) -> String {
    let digits: String = id.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let mut rest = digits.as_str();
    let groups = GROUPS.map(|length| {
        let (group, after) = rest.split_at(length);
        rest = after;
        group
    });
    groups.join("-")
}

fn encode(uuid: &str) -> Option<TaskId> {
    let groups: Vec<&str> = uuid.split('-').collect();
    if !groups.iter().map(|group| group.len()).eq(GROUPS) {
        return None;
    }
    let digits = groups.concat();
    let mut bytes = [0; 16];
    for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
        let pair = digits.get(at..at + 2).filter(|pair| pair.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    // Only the text of an id is looked at whether services take it.
    TaskId::from_bytes(bytes).to_string().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slugid_is_a_uuid() {
        let uuid = "7cdd526c-0ad7-4cf4-9514-d52f68e96294";
        let id = encode(uuid).unwrap();
        assert_eq!(id.to_string(), "fN1SbArXTPSVFNUvaOlilA");
        assert_eq!(decode(&id), uuid);
        let others = [
            "7cdd526c-0ad7-1cf4-9514-d52f68e96294",
            "7cdd526c0ad74cf49514d52f68e96294",
            "7cdd526c-0ad7-4cf4-9514-d52f68e9629",
            "7cdd526c-0ad7-4cf4-9514-+52f68e96294",
            "7cdd526c-0ad7-4cf4-9514-ß52f68e9629",
            "",
        ];
        for other in others {
            assert_eq!(encode(other), None, "{other}");
        }
    }
}
