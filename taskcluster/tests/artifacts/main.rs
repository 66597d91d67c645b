//! Artifacts over a real connection that is cut at many places: what arrives is right, or nothing arrives.

mod storage;

use std::path::Path;
use std::time::Duration;

use storage::{Fault, Storage};
use taskcluster::artifacts::{ArtifactError, Artifacts};
use taskcluster::time::days;
use taskcluster::{Caller, RetryPolicy, TaskId, Timestamp};

const NAME: &str = "public/build.zip";

/// Far more than one buffer, and no two parts alike.
fn content() -> Vec<u8> {
    (0..300_000_u32).flat_map(|n| n.to_le_bytes()).collect()
}

/// Before the first byte, inside of the first buffer, between, just before the end.
fn places(length: usize) -> [usize; 6] {
    [0, 1, 1000, length / 3, length / 2 + 7, length - 1]
}

fn artifacts(storage: &Storage) -> Artifacts {
    let retry = RetryPolicy::default().with_base(Duration::from_millis(1)).with_retries(3);
    Artifacts::new(&Caller::builder(storage.root_url().as_str()).retry(retry).build().unwrap())
}

fn expires() -> Timestamp {
    Timestamp::now() + days(1)
}

/// Every await of these tests ends.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(120), future).await.expect("it takes too long")
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_download_goes_on_where_it_was_cut() {
    let content = content();
    let storage = Storage::start(content.clone()).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("build.zip");
    for place in places(content.len()) {
        storage.faults([Fault::CutAnswer(place)]);
        let done = soon(artifacts(&storage).download(&TaskId::new(), 0, NAME).to_file(&path)).await.unwrap();
        assert_eq!(done.length, content.len() as u64);
        assert_eq!(done.content_type.as_deref(), Some("application/zip"));
        assert!(std::fs::read(&path).unwrap() == content, "cut at {place}");
        assert_eq!(storage.take_sent(), [place, content.len() - place]);
    }
    assert_eq!(names_in(folder.path()), ["build.zip"]);
}

#[tokio::test]
async fn many_cuts_in_one_download_are_no_obstacle_while_it_gets_further() {
    let content = content();
    let storage = Storage::start(content.clone()).await;
    storage.faults((0..12).map(|_| Fault::CutAnswer(90_000)));
    let bytes = soon(artifacts(&storage).download_latest(&TaskId::new(), NAME).to_memory(content.len())).await.unwrap();
    assert!(bytes == content);
}

#[tokio::test]
async fn a_download_that_stays_cut_leaves_nothing_behind_and_what_was_there_alone() {
    let content = content();
    let storage = Storage::start(content.clone()).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("build.zip");
    for place in [0, 1, 1000, 70_000] {
        // Without a tag nothing can be continued, so it never gets further than this.
        storage.without_tag();
        storage.faults((0..100).map(|_| Fault::CutAnswer(place)));
        let cut = soon(artifacts(&storage).download(&TaskId::new(), 0, NAME).to_file(&path)).await.unwrap_err();
        assert!(matches!(cut, ArtifactError::Interrupted { .. }), "{cut}");
        assert!(cut.is_retryable());
        assert!(names_in(folder.path()).is_empty());
    }
    std::fs::write(&path, "older").unwrap();
    soon(artifacts(&storage).download(&TaskId::new(), 0, NAME).to_file(&path)).await.unwrap_err();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "older");
    assert_eq!(names_in(folder.path()), ["build.zip"]);
}

#[tokio::test]
async fn without_a_tag_a_file_is_begun_anew() {
    let content = content();
    let storage = Storage::start(content.clone()).await;
    storage.without_tag();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("build.zip");
    storage.faults([Fault::CutAnswer(1000), Fault::CutAnswer(500_000)]);
    soon(artifacts(&storage).download(&TaskId::new(), 0, NAME).to_file(&path)).await.unwrap();
    assert!(std::fs::read(&path).unwrap() == content);
}

#[tokio::test]
async fn a_writer_gets_each_byte_once_also_from_a_service_without_ranges() {
    let content = content();
    let storage = Storage::start(content.clone()).await;
    for ranges in [true, false] {
        storage.serve_ranges(ranges);
        storage.faults([Fault::CutAnswer(1000), Fault::CutAnswer(500_000)]);
        let mut writer = Vec::new();
        soon(artifacts(&storage).download(&TaskId::new(), 0, NAME).to_writer(&mut writer)).await.unwrap();
        assert!(writer == content, "ranges: {ranges}");
    }
}

#[tokio::test]
async fn content_that_changes_midway_is_never_mixed() {
    let storage = Storage::start(content()).await;
    let other: Vec<u8> = content().into_iter().rev().collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("build.zip");

    storage.faults([Fault::CutAnswerThenChange(1000, other.clone())]);
    soon(artifacts(&storage).download(&TaskId::new(), 0, NAME).to_file(&path)).await.unwrap();
    assert!(std::fs::read(&path).unwrap() == other);

    storage.faults([Fault::CutAnswerThenChange(1000, content())]);
    let changed = soon(artifacts(&storage).download(&TaskId::new(), 0, NAME).to_writer(&mut Vec::new())).await;
    assert!(matches!(changed, Err(ArtifactError::Changed { .. })), "{changed:?}");
}

#[tokio::test]
async fn an_expired_url_is_renewed_midway() {
    let content = content();
    let storage = Storage::start(content.clone()).await;
    storage.faults([Fault::CutAnswer(1000), Fault::Expire]);
    let bytes = soon(artifacts(&storage).download(&TaskId::new(), 0, NAME).to_memory(content.len())).await.unwrap();
    assert!(bytes == content);
    assert_eq!(storage.urls_given(), 2);
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let storage = Storage::start(content()).await;
    let artifacts = artifacts(&storage);
    let task_id = TaskId::new();

    storage.faults([Fault::Status(404)]);
    let refused = soon(artifacts.download(&task_id, 0, NAME).to_memory(10)).await.unwrap_err();
    assert!(refused.is_not_found(), "{refused}");

    storage.faults([Fault::Status(503), Fault::Status(429)]);
    soon(artifacts.download(&task_id, 0, NAME).to_memory(10_000_000)).await.unwrap();

    let large = soon(artifacts.download(&task_id, 0, NAME).to_memory(1000)).await.unwrap_err();
    assert!(matches!(large, ArtifactError::Local { .. }), "{large}");

    let missing = soon(artifacts.download(&task_id, 0, "public/missing").to_memory(10)).await.unwrap_err();
    assert!(matches!(&missing, ArtifactError::Queue { .. }) && missing.is_not_found(), "{missing}");

    let noted = soon(artifacts.download(&task_id, 0, "public/error").to_memory(10)).await.unwrap_err();
    let ArtifactError::NeverCreated { reason, message, .. } = &noted else { panic!("{noted}") };
    assert_eq!((reason.as_str(), message.as_str()), ("file-missing-on-worker", "there was no such file"));
}

#[tokio::test]
async fn redirects_are_followed_and_an_empty_artifact_is_whole() {
    let storage = Storage::start(Vec::new()).await;
    let bytes = soon(artifacts(&storage).download(&TaskId::new(), 0, "public/redirect").to_memory(0)).await.unwrap();
    assert!(bytes.is_empty());
}

#[tokio::test]
async fn an_upload_that_is_cut_is_repeated_whole_with_a_fresh_url() {
    let content = content();
    let storage = Storage::start(Vec::new()).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("build.zip");
    std::fs::write(&path, &content).unwrap();
    for (n, place) in (1..).zip(places(content.len())) {
        storage.faults([Fault::CutRequest(place)]);
        let done = soon(artifacts(&storage).upload(&TaskId::new(), 0, NAME, expires()).file(&path)).await.unwrap();
        assert_eq!((done.length, done.content_type.as_str()), (content.len() as u64, "application/zip"));
        assert!(storage.take_content() == content, "cut at {place}");
        assert_eq!(storage.content_type(), "application/zip");
        assert_eq!(storage.urls_given(), 2 * n);
    }
}

#[tokio::test]
async fn uploads_are_repeated_where_that_helps() {
    let storage = Storage::start(Vec::new()).await;
    let artifacts = artifacts(&storage);
    let upload = |name: &str| artifacts.upload(&TaskId::new(), 0, name, expires());

    storage.faults([Fault::Status(500), Fault::Status(403)]);
    soon(upload("public/log.txt").content_type("text/x-log").bytes("hello")).await.unwrap();
    assert_eq!((storage.take_content(), storage.content_type()), (b"hello".to_vec(), "text/x-log".to_owned()));

    storage.faults([Fault::Status(405)]);
    let refused = soon(upload(NAME).bytes("hello")).await.unwrap_err();
    assert!(matches!(refused, ArtifactError::Refused { status: 405, .. }), "{refused}");

    storage.faults((0..4).map(|_| Fault::CutRequest(1)));
    let cut = soon(upload(NAME).bytes("hello")).await.unwrap_err();
    assert!(matches!(cut, ArtifactError::Interrupted { .. }), "{cut}");

    soon(upload("public/empty").bytes("")).await.unwrap();
    assert_eq!(storage.take_content(), b"");

    let nothing = soon(upload(NAME).file("/nonexistent/file")).await.unwrap_err();
    assert!(matches!(nothing, ArtifactError::Local { .. }) && !nothing.is_retryable(), "{nothing}");
    let folder = soon(upload(NAME).file(std::env::temp_dir())).await.unwrap_err();
    assert!(matches!(folder, ArtifactError::Local { .. }), "{folder}");
}
