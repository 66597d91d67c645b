//! Artifacts whose content the object service keeps, from a worker's upload to a reader's download.

use harness::{Backend, Claimed, Deployment, Options, Tester, soon, task};
use serde_json::json;
use taskcluster::events::listen;
use taskcluster::object::{CreateUploadRequest, ProposedUploadMethods};
use taskcluster::queue::events::ArtifactCreated;
use taskcluster::queue::{ArtifactContentResponse, ObjectArtifactRequest, PostArtifactRequest, PostArtifactResponse};
use taskcluster::time::hours;
use taskcluster::transport::Body;
use taskcluster::{Credentials, TaskId, TaskQueueId, object};
use taskcluster_native_worker::{Isolation, NativeWorker, Shutdown};
use tempfile::TempDir;

/// More than goes inline, and than comes in one piece.
const LARGE: usize = 3_000_000;

fn large() -> Vec<u8> {
    (0..LARGE).map(|number| u8::try_from(number * number % 251).expect("less than 251")).collect()
}

async fn upload(claim: &Claimed, name: &str, content: Vec<u8>) -> String {
    let expires = claim.worker().now() + hours(20);
    let upload = claim.artifacts().upload(&claim.task_id, claim.run_id, name, expires).object();
    soon(upload.bytes(content)).await.expect("it is uploaded").sha256
}

/// Downloads into memory, and into a file, which tells the checksum.
async fn download(reader: &Tester, task_id: &TaskId, name: &str, folder: &TempDir) -> (Vec<u8>, String) {
    let download = || reader.artifacts().download(task_id, 0, name);
    let bytes = soon(download().to_memory(2 * LARGE)).await.expect("it is downloaded");
    let path = folder.path().join("download");
    let file = soon(download().to_file(&path)).await.expect("it is downloaded");
    assert!(file.verified, "nobody stated a checksum");
    assert_eq!(std::fs::read(&path).expect("it is there"), bytes);
    (bytes.to_vec(), file.sha256)
}

/// Status, location and body of what a URL answers to anybody.
async fn get(tester: &Tester, url: &str) -> (u16, Option<String>, Vec<u8>) {
    let request = http::Request::get(url).body(Body::empty()).expect("a request");
    let (parts, body) = soon(tester.caller().transport().send(request)).await.expect("an answer").into_parts();
    let location = parts.headers.get("location").map(|location| location.to_str().expect("a URL").to_owned());
    let body = soon(body.collect(2 * LARGE)).await.expect("all of the answer");
    (parts.status.as_u16(), location, body.to_vec())
}

/// What happens to objects, wherever they are kept.
async fn live(deployment: &Deployment) {
    let folder = tempfile::tempdir().expect("a folder");
    let root = deployment.root();
    let task_id = root.create_task().await;
    let mut created = listen::<ArtifactCreated>(deployment.bus(), ArtifactCreated::binding()).await.unwrap();
    let claim = root.claim().await;
    for (name, content) in [("public/small.txt", b"hello".to_vec()), ("private/large.bin", large()), ("empty", vec![])]
    {
        let sha256 = upload(&claim, name, content.clone()).await;
        let told = soon(created.next()).await.unwrap().unwrap().message.artifact;
        assert_eq!((told.storage_type.as_str(), told.name.as_str()), ("object", name));
        assert_eq!(download(&root, &task_id, name, &folder).await, (content, sha256));
    }
    let compressed = claim.artifacts().upload(&task_id, 0, "compressed", root.now() + hours(20)).object().gzip();
    let uploaded = soon(compressed.bytes(large())).await.unwrap();
    assert!(uploaded.length < LARGE as u64 / 2, "it repeats itself");
    let path = folder.path().join("compressed");
    let file = soon(root.artifacts().download(&task_id, 0, "compressed").as_stored().to_file(&path)).await.unwrap();
    assert_eq!((file.content_encoding.as_deref(), file.verified), (Some("gzip"), true));
    assert_eq!((file.sha256, file.length), (uploaded.sha256, uploaded.length));
    claim.completed().await.unwrap();
    for (name, content) in [("public/small.txt", b"hello".to_vec()), ("private/large.bin", large())] {
        // A browser needs no more than a URL, which leads it from service to service.
        let url = root.queue().get_artifact(&task_id, 0, name).signed_for(hours(1)).unwrap();
        let (status, location, _) = get(&root, url.as_str()).await;
        assert_eq!(status, 303);
        let (status, _, body) = get(&root, &location.expect("it is a redirect")).await;
        assert_eq!((status, body), (200, content));
    }
    let info = soon(root.queue().artifact_info(&task_id, 0, "private/large.bin").into_future()).await.unwrap();
    assert_eq!((info.storage_type.as_str(), info.content_length), ("object", Some(LARGE as u64)));
}

#[tokio::test]
async fn what_is_uploaded_as_an_object_comes_back_checked() {
    for backend in Backend::available() {
        let deployment = Deployment::start(Options::on(backend)).await.unwrap();
        live(&deployment).await;
        deployment.stop().await;
    }
}

#[cfg(feature = "s3")]
#[tokio::test]
async fn objects_in_a_bucket_come_back_checked() {
    use service_kit::blobs::{S3Blobs, S3Options};
    use taskcluster::SystemClock;
    let Ok(endpoint) = std::env::var("TEST_S3") else {
        println!("skipped: TEST_S3 is not set");
        return;
    };
    let url = format!("s3://private?endpoint={endpoint}").parse().unwrap();
    let options = S3Options::read(&url, |name| match name {
        "AWS_ACCESS_KEY_ID" => Some("test".to_owned()),
        "AWS_SECRET_ACCESS_KEY" => Some("test-secret".to_owned()),
        _ => None,
    });
    let (blobs, _) = S3Blobs::open(&options.unwrap(), &SystemClock::shared()).unwrap();
    let options = Options::on(Backend::Sqlite).with_buckets(std::sync::Arc::new(blobs).into());
    let deployment = Deployment::start(options).await.unwrap();
    live(&deployment).await;
    deployment.stop().await;
}

#[tokio::test]
async fn credentials_of_an_object_are_for_it_alone() {
    for backend in Backend::available() {
        let deployment = Deployment::start(Options::on(backend)).await.unwrap();
        let root = deployment.root();
        let task_id = root.create(&task(root.now()).with_project_id("a-project")).await;
        let claim = root.claim().await;
        upload(&claim, "public/a", b"hello".to_vec()).await;
        let form = ObjectArtifactRequest::new(root.now() + hours(20), "text/plain");
        let form = PostArtifactRequest::Object(form);
        let created = claim.queue().create_artifact(&task_id, 0, "public/b", &form);
        let PostArtifactResponse::Object(upload) = soon(created.into_future()).await.unwrap() else {
            panic!("no object")
        };
        assert_eq!(upload.project_id, "a-project");
        let uploader = deployment.with(Credentials::try_from(upload.credentials).unwrap());
        let content = soon(root.queue().artifact(&task_id, 0, "public/a").into_future()).await.unwrap();
        let ArtifactContentResponse::Object(content) = content else { panic!("no object") };
        let reader = deployment.with(Credentials::try_from(content.credentials).unwrap());

        let (a, b) = (format!("t/{task_id}/0/public/a"), format!("t/{task_id}/0/public/b"));
        assert_eq!((&content.name, &upload.name), (&a, &b));
        soon(reader.object().object(&a).into_future()).await.unwrap();
        let form =
            CreateUploadRequest::new("a-project", upload.upload_id, upload.expires, ProposedUploadMethods::new());
        soon(uploader.object().create_upload(&b, &form).into_future()).await.unwrap();
        let refused = soon(uploader.object().create_upload(&a, &form).into_future()).await.unwrap_err();
        assert!(refused.is_forbidden(), "{refused}");
        for (who, name) in [(&reader, &b), (&uploader, &a), (&uploader, &b)] {
            let refused = soon(who.object().object(name).into_future()).await.unwrap_err();
            assert!(refused.is_forbidden(), "{refused}");
        }
        deployment.stop().await;
    }
}

#[tokio::test]
async fn a_worker_can_leave_everything_with_the_object_service() {
    let deployment = Deployment::start(Options::on(Backend::Sqlite)).await.unwrap();
    let (root, folder) = (deployment.root(), tempfile::tempdir().unwrap());
    let queue: TaskQueueId = "test/object-artifacts".parse().unwrap();
    let mut definition = task(root.now()).with_task_queue_id(queue.clone());
    let artifact = json!({"name": "public/out.txt", "path": "out.txt", "type": "file"});
    let script = json!([["/bin/sh", "-c", "echo LOGGED; printf hello >out.txt"]]);
    definition.payload = object! { "command": script, "maxRunTime": 600, "artifacts": json!([artifact]) };
    let task_id = root.create(&definition).await;
    let worker = NativeWorker::builder(deployment.root_url(), queue)
        .credentials(root.caller().credentials().unwrap())
        .worker_group("objects")
        .worker_id("native")
        .work_dir(folder.path().join("work"))
        .isolation(Isolation::None)
        .object_artifacts(true)
        .task_limit(1);
    soon(soon(worker.build()).await.unwrap().run(Shutdown::new())).await.unwrap();

    assert_eq!(root.state(&task_id).await, "completed");
    for (name, content) in [("public/out.txt", "hello"), ("public/logs/live_backing.log", "LOGGED\n")] {
        let info = soon(root.queue().artifact_info(&task_id, 0, name).into_future()).await.unwrap();
        assert_eq!(info.storage_type.as_str(), "object", "{name}");
        let bytes = soon(root.artifacts().download(&task_id, 0, name).to_memory(1_000_000)).await.unwrap();
        assert!(String::from_utf8(bytes.to_vec()).unwrap().contains(content), "{name}");
    }
    deployment.stop().await;
}
