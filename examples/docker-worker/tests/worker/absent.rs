//! Images that cannot be had, now or ever: that is the task's fault, and never the worker's.

use std::time::Duration;

use serde_json::{Map, json};
use taskcluster::TaskId;
use taskcluster::index::InsertTaskRequest;
use taskcluster::queue::{ErrorArtifactRequest, LinkArtifactRequest, PostArtifactRequest};
use taskcluster::time::hours;
use taskcluster_fake::Fake;

use crate::images::{Bench, task_image};

const PATH: &str = "public/image.tar";
const SOON: Duration = Duration::from_secs(60);

impl Bench {
    /// A task in the image of another one is refused, and says why.
    async fn is_refused(&self, task_id: &TaskId, why: &str) {
        let (reason, log) = self.run(task_image(task_id, PATH), &[]).await;
        assert_eq!(reason, "malformed-payload", "{log}");
        assert!(log.contains(why), "{why} is missing: {log}");
    }

    async fn creates(&self, task_id: &TaskId, name: &str, request: PostArtifactRequest) {
        self.tc.queue().create_artifact(task_id, 0, name, &request).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_could_not_be_made() {
    let Some(bench) = Bench::new().await else { return };
    let task_id = bench.builds().await;
    let expires = bench.fake.now() + hours(12);
    let note = ErrorArtifactRequest::new(expires, "file-missing-on-worker", "there was no /image.tar");
    bench.creates(&task_id, PATH, PostArtifactRequest::Error(note)).await;
    bench.tc.queue().report_completed(&task_id, 0).await.unwrap();
    bench.is_refused(&task_id, "there was no /image.tar").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_has_expired() {
    let Some(bench) = Bench::with(Fake::builder()).await else { return };
    let task_id = bench.builds().await;
    let upload = bench.tc.artifacts().upload(&task_id, 0, PATH, bench.fake.now() + SOON);
    upload.bytes(b"an image".to_vec()).await.unwrap();
    bench.tc.queue().report_completed(&task_id, 0).await.unwrap();
    bench.fake.advance(2 * SOON).await.unwrap();
    bench.is_refused(&task_id, "expired").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn links_that_lead_in_a_circle() {
    let Some(bench) = Bench::new().await else { return };
    let task_id = bench.builds().await;
    let expires = bench.fake.now() + hours(12);
    for (name, target) in [(PATH, "public/other.tar"), ("public/other.tar", PATH)] {
        bench.creates(&task_id, name, PostArtifactRequest::Link(LinkArtifactRequest::new(expires, target))).await;
    }
    bench.tc.queue().report_completed(&task_id, 0).await.unwrap();
    bench.is_refused(&task_id, "circle").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_no_index_can_have_and_an_entry_that_has_expired() {
    let Some(bench) = Bench::with(Fake::builder()).await else { return };
    let entry = InsertTaskRequest::new(TaskId::new(), 0.0, Map::new(), bench.fake.now() + SOON);
    bench.tc.index().insert_task("images.old", &entry).await.unwrap();
    bench.fake.advance(2 * SOON).await.unwrap();
    for namespace in ["images..busy box", "images.old"] {
        let image = json!({"type": "indexed-image", "namespace": namespace, "path": PATH});
        let (reason, log) = bench.run(image, &["index:find-task:*"]).await;
        assert_eq!(reason, "malformed-payload", "{namespace}: {log}");
        assert!(log.contains("no image is indexed as"), "{log}");
    }
}
