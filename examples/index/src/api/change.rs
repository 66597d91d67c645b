//! Putting tasks into the index and taking them away.

use serde_json::Value;
use taskcluster::index as wire;
use taskcluster_server::Failure;

use super::Api;
use crate::entry::{Entry, LONGEST_DATA};
use crate::path::IndexPath;

impl Api {
    pub(super) async fn insert(
        &self,
        path: &str,
        payload: wire::InsertTaskRequest,
    ) -> Result<wire::IndexedTask, Failure> {
        let (now, data) = (self.clock.now(), Value::Object(payload.data).to_string());
        if data.len() > LONGEST_DATA {
            let length = data.len();
            return Err(Failure::input_error(format!("`data` is of {length} bytes; it may have {LONGEST_DATA}")));
        }
        let entry = Entry {
            path: path.parse()?,
            task_id: payload.task_id,
            rank: payload.rank,
            data,
            expires: payload.expires,
            since: now,
        };
        let stays = self.store.insert(entry, now).await?;
        stays.to_wire().map_err(Failure::internal)
    }

    pub(super) async fn delete(&self, path: &str) -> Result<(), Failure> {
        match path.parse::<IndexPath>() {
            Ok(path) => Ok(self.store.delete(&path).await?),
            // Nothing can stand there.
            Err(_) => Ok(()),
        }
    }
}
