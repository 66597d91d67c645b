//! What a worker is told when it is started.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Map, Value};
use taskcluster_core::secret::Secret;

use crate::layers::Layer;

/// What a provisioner tells a worker: a JSON object. More properties may come.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UserData {
    /// The deployment.
    pub(crate) root_url: String,
    /// Where the provisioner is, if that is not there: a deployment may have several.
    pub(crate) provisioner_root_url: Option<String>,
    /// The first part of its task queue.
    pub(crate) provisioner_id: String,
    /// The second part.
    pub(crate) worker_type: String,
    pub(crate) worker_group: String,
    /// The id of the instance, to the provisioner and to the queue.
    pub(crate) worker_id: String,
    /// Tasks at once.
    pub(crate) capacity: usize,
    /// After how many seconds without a task it asks whether it is needed.
    pub(crate) idle_time: u64,
    /// What its secret is fetched by.
    pub(crate) security_token: Secret,
    /// What the definition of the worker type says for workers.
    #[serde(default)]
    pub(crate) data: Map<String, Value>,
}

impl UserData {
    /// Read them.
    ///
    /// # Errors
    /// They are no such object. The error does not show the token.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(text)
            .map_err(|error| anyhow::anyhow!("line {}, column {}", error.line(), error.column()))
            .context("the user data are not JSON")?;
        let data: Self = serde_json::from_value(value).context("the user data are not those of a provisioner")?;
        if data.security_token.is_empty() {
            bail!("the securityToken of the user data is empty");
        }
        if data.worker_id.is_empty() {
            bail!("the workerId of the user data is empty");
        }
        Ok(data)
    }

    /// Below which URL the provisioner that started the worker has its API.
    pub(super) fn provisioner(&self) -> &str {
        self.provisioner_root_url.as_ref().unwrap_or(&self.root_url)
    }

    pub(crate) fn task_queue_id(&self) -> String {
        format!("{}/{}", self.provisioner_id, self.worker_type)
    }

    /// Keys of the configuration in `data.config`.
    pub(super) fn layer(&self) -> Result<Layer> {
        Layer::of_json("data.config of the user data", self.data.get("config"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told() -> Value {
        json!({
            "rootUrl": "https://tc.example", "provisionerId": "pool", "workerType": "linux", "workerGroup": "eu",
            "workerId": "i-1", "capacity": 2, "idleTime": 60, "securityToken": "the-token", "data": {"more": 1},
            "something": "newer",
        })
    }

    #[test]
    fn what_a_provisioner_tells_is_read() {
        let data = UserData::parse(&told().to_string()).unwrap();
        assert_eq!((data.task_queue_id().as_str(), data.worker_id.as_str(), data.capacity), ("pool/linux", "i-1", 2));
        assert_eq!(data.security_token.expose(), "the-token");
        assert_eq!(data.provisioner(), "https://tc.example");
        assert!(data.layer().unwrap().table.is_empty());
        assert!(!format!("{data:?}").contains("the-token"));
    }

    #[test]
    fn of_several_provisioners_it_is_told_where_its_own_is() {
        let mut told = told();
        told["provisionerRootUrl"] = json!("https://second.example");
        let data = UserData::parse(&told.to_string()).unwrap();
        assert_eq!((data.root_url.as_str(), data.provisioner()), ("https://tc.example", "https://second.example"));
    }

    #[test]
    fn what_is_wrong_is_said_without_the_token() {
        let mut broken = told();
        broken.as_object_mut().unwrap().remove("workerGroup");
        let mut empty = told();
        empty["securityToken"] = json!("");
        let cut = told().to_string().replace("\"something\"", "something");
        for (text, expected) in [
            (broken.to_string(), "missing field `workerGroup`"),
            (empty.to_string(), "securityToken of the user data is empty"),
            (cut, "not JSON: line 1"),
        ] {
            let error = format!("{:#}", UserData::parse(&text).unwrap_err());
            assert!(error.contains(expected) && !error.contains("the-token"), "{error}");
        }
    }
}
