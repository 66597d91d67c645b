//! One task's whole life by the official Rust client, against the deployment of the usual variables.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use taskcluster::chrono::{self, SecondsFormat, Utc};
use taskcluster::{Auth, ClientBuilder, Credentials, Queue};

const QUEUE: &str = "peers/rust";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let root_url = std::env::var("TASKCLUSTER_ROOT_URL").context("TASKCLUSTER_ROOT_URL")?;
    let credentials = Credentials::from_env()?;
    let queue = Queue::new(ClientBuilder::new(&root_url).credentials(credentials.clone()))?;
    queue.ping().await?;
    let scopes = Auth::new(ClientBuilder::new(&root_url).credentials(credentials))?.currentScopes().await?;
    ensure!(!list(&scopes, "/scopes").is_empty(), "the printed credentials have no scopes");

    let task_id = slugid::nice();
    let expires = from_now(48 * 60);
    let definition = json!({
        "taskQueueId": QUEUE,
        "created": from_now(0),
        "deadline": from_now(60),
        "expires": expires,
        "tags": {"kind": "peer"},
        "metadata": {
            "name": "peer",
            "description": "A task of the official Rust client",
            "owner": "peer@example.com",
            "source": "https://example.com/peer",
        },
        "payload": {"any": ["thing", null, 1.5, "ü"]},
    });
    let created = queue.createTask(&task_id, &definition).await?;
    ensure!(created["status"]["state"] == "pending", "{created}");
    ensure!(queue.task(&task_id).await?["payload"] == definition["payload"]);

    let work = json!({"workerGroup": "peers", "workerId": "rust", "tasks": 4});
    let claims = queue.claimWork(QUEUE, &work).await?;
    let [claim] = list(&claims, "/tasks") else { anyhow::bail!("expected one claim: {claims}") };
    ensure!(claim["status"]["taskId"] == task_id.as_str(), "{claim}");
    let run_id = claim["runId"].to_string();
    let reclaimed = as_worker(&root_url, claim)?.reclaimTask(&task_id, &run_id).await?;
    let worker = as_worker(&root_url, &reclaimed)?;

    let content = "written by the official Rust client\n".repeat(1000);
    let http = reqwest::Client::new();
    for name in ["public/logs/peer.txt", "private/peer.txt"] {
        let form = json!({"storageType": "s3", "contentType": "text/plain", "expires": expires});
        let target = worker.createArtifact(&task_id, &run_id, name, &form).await?;
        let url = target["putUrl"].as_str().context("putUrl")?;
        let put = http.put(url).header("content-type", "text/plain").body(content.clone());
        put.send().await?.error_for_status()?;
    }
    let resolved = worker.reportCompleted(&task_id, &run_id).await?;
    ensure!(resolved["status"]["state"] == "completed", "{resolved}");

    let artifacts = queue.listLatestArtifacts(&task_id, None, None).await?;
    ensure!(list(&artifacts, "/artifacts").len() == 2, "{artifacts}");
    for name in ["public/logs/peer.txt", "private/peer.txt"] {
        let signed = queue.getArtifact_signed_url(&task_id, &run_id, name, Duration::from_secs(600))?;
        ensure!(http.get(signed).send().await?.error_for_status()?.text().await? == content);
        let answer = queue.artifact(&task_id, &run_id, name).await?;
        let url = answer["url"].as_str().context("url")?;
        ensure!(http.get(url).send().await?.error_for_status()?.text().await? == content);
    }
    let refused = queue.status(&slugid::nice()).await.expect_err("a task that does not exist was found");
    ensure!(taskcluster::err_status_code(&refused).is_some_and(|status| status.as_u16() == 404), "{refused}");
    println!("rust: all is well");
    Ok(())
}

/// A client with the credentials of a claim or of a reclaim.
fn as_worker(root_url: &str, claim: &Value) -> Result<Queue> {
    let credentials: Credentials = serde_json::from_value(claim["credentials"].clone())?;
    Queue::new(ClientBuilder::new(root_url).credentials(credentials))
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn from_now(minutes: i64) -> String {
    (Utc::now() + chrono::Duration::minutes(minutes)).to_rfc3339_opts(SecondsFormat::Millis, true)
}
