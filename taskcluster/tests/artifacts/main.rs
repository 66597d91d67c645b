//! Artifacts over a real connection that is cut at many places: what arrives is right, or nothing arrives.

mod storage;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use storage::{Fault, Storage};
use taskcluster::artifacts::{ArtifactError, Artifacts, Progress};
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

fn sha256(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
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
async fn transfers_may_have_a_patience_of_their_own() {
    let content = content();
    let storage = Storage::start(content.clone()).await;
    let download = |artifacts: Artifacts| artifacts.download(&TaskId::new(), 0, NAME).to_memory(content.len());
    for (artifacts, patient) in [(artifacts(&storage), true), (artifacts(&storage).retry(RetryPolicy::never()), false)]
    {
        storage.faults([Fault::CutAnswer(1000)]);
        assert_eq!(soon(download(artifacts)).await.is_ok(), patient);
    }
}

#[tokio::test]
async fn a_storage_service_that_falls_silent_is_as_good_as_cut() {
    let content = content();
    let storage = Storage::start(content.clone()).await;
    let artifacts = |retries| {
        let retry = RetryPolicy::default().with_base(Duration::from_millis(1)).with_retries(retries);
        let retry = retry.with_stall_timeout(Duration::from_secs(1));
        Artifacts::new(&Caller::builder(storage.root_url().as_str()).retry(retry).build().unwrap())
    };
    storage.faults([Fault::SilentAnswer(1000)]);
    let download = |retries| artifacts(retries).download(&TaskId::new(), 0, NAME).to_memory(content.len());
    assert!(soon(download(50)).await.unwrap() == content);

    storage.faults((0..100).map(|_| Fault::SilentAnswer(0)));
    let silent = soon(download(1)).await.unwrap_err();
    let told = taskcluster::chain(&silent).to_string();
    assert!(matches!(silent, ArtifactError::Interrupted { .. }) && told.contains("silent for 1 s"), "{told}");

    // More than the buffers on the way hold.
    let large = vec![7; 32 << 20];
    storage.faults([Fault::SilentRequest(1000)]);
    soon(artifacts(50).upload(&TaskId::new(), 0, NAME, expires()).bytes(large.clone())).await.unwrap();
    assert!(storage.take_content() == large);
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

const OBJECT: &str = "public/object";

#[tokio::test]
async fn a_reader_and_compressed_content_are_sent_as_often_as_needed() {
    let content = content();
    let storage = Storage::start(Vec::new()).await;
    let upload = |name: &str| artifacts(&storage).upload(&TaskId::new(), 0, name, expires());

    storage.faults([Fault::CutRequest(100_000), Fault::Status(500)]);
    let done = soon(upload(NAME).reader(&mut content.as_slice())).await.unwrap();
    assert_eq!(done.sha256, sha256(&content));
    assert!(storage.take_content() == content);

    storage.faults([Fault::CutRequest(1000)]);
    let done = soon(upload("public/log.txt").gzip().bytes(content.clone())).await.unwrap();
    let stored = storage.take_content();
    assert_eq!((done.length, done.sha256), (stored.len() as u64, sha256(&stored)));
    assert_eq!(
        (storage.content_encoding().as_str(), storage.content_type().as_str()),
        ("gzip", "text/plain; charset=utf-8")
    );
    let mut plain = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&*stored), &mut plain).unwrap();
    assert!(plain == content);

    // Temporary files are where they are said to be, for as long as they are needed.
    let folder = tempfile::tempdir().unwrap();
    soon(upload("a").gzip().temporary_in(folder.path()).bytes(content.clone())).await.unwrap();
    soon(upload("b").temporary_in(folder.path()).reader(&mut content.as_slice())).await.unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    let nowhere = folder.path().join("none");
    let refused = soon(upload("a").gzip().temporary_in(&nowhere).bytes(content.clone())).await.unwrap_err();
    assert!(matches!(refused, ArtifactError::Local { .. }), "{refused}");
    let refused = soon(upload("b").temporary_in(&nowhere).reader(&mut content.as_slice())).await.unwrap_err();
    assert!(matches!(refused, ArtifactError::Local { .. }), "{refused}");
}

#[tokio::test]
async fn what_is_stored_compressed_is_read_as_it_was_before() {
    let content = content();
    let storage = Storage::start(Vec::new()).await;
    soon(artifacts(&storage).upload(&TaskId::new(), 0, "log.txt", expires()).gzip().bytes(content.clone()))
        .await
        .unwrap();
    let download = || artifacts(&storage).download(&TaskId::new(), 0, "log.txt");
    storage.faults([Fault::CutAnswer(1000)]);
    assert!(soon(download().to_memory(content.len())).await.unwrap() == content);
    assert!(soon(download().as_stored().to_memory(content.len())).await.unwrap() != content);
    let large = soon(download().to_memory(content.len() - 1)).await.unwrap_err();
    assert!(matches!(large, ArtifactError::Local { .. }), "{large}");
}

#[tokio::test]
async fn what_is_stored_compressed_arrives_as_it_was_before_or_as_it_is_stored() {
    let content = content();
    let storage = Storage::start(Vec::new()).await;
    let upload = artifacts(&storage).upload(&TaskId::new(), 0, "log.txt", expires());
    soon(upload.gzip().bytes(content.clone())).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.txt");
    let download = || artifacts(&storage).download(&TaskId::new(), 0, "log.txt");
    for cut in [1, 1000] {
        storage.faults([Fault::CutAnswer(cut)]);
        let done = soon(download().to_file(&path)).await.unwrap();
        assert!(std::fs::read(&path).unwrap() == content, "cut at {cut}");
        let facts = (done.length, done.sha256, done.content_encoding);
        assert_eq!(facts, (content.len() as u64, sha256(&content), None));

        storage.faults([Fault::CutAnswer(cut)]);
        let mut written = Vec::new();
        let done = soon(download().to_writer(&mut written)).await.unwrap();
        assert!(written == content, "cut at {cut}");
        assert_eq!((done.length, done.sha256), (content.len() as u64, sha256(&content)));
    }
    // Where that is wanted it is what is stored, and said to be.
    let done = soon(download().as_stored().to_file(&path)).await.unwrap();
    assert_eq!(done.content_encoding.as_deref(), Some("gzip"));
    assert!(done.sha256 == sha256(&std::fs::read(&path).unwrap()) && done.length < content.len() as u64);

    // What is no gzip, or not the whole of it, is an error, and leaves what is there.
    let stored = std::fs::read(&path).unwrap();
    std::fs::write(&path, "before").unwrap();
    for broken in [&b"no gzip at all"[..], &stored[..stored.len() - 1]] {
        storage.content(broken.to_vec());
        let error = soon(download().to_file(&path)).await.unwrap_err();
        assert!(matches!(error, ArtifactError::Local { .. }), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"before");
        let error = soon(download().to_writer(&mut Vec::new())).await.unwrap_err();
        assert!(matches!(error, ArtifactError::Local { .. }), "{error}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
}

#[tokio::test]
async fn what_is_stored_as_it_is_arrives_so() {
    let content = content();
    let storage = Storage::start(content.clone()).await;
    let download = || artifacts(&storage).download(&TaskId::new(), 0, NAME);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let done = soon(download().to_file(&path)).await.unwrap();
    assert!(std::fs::read(&path).unwrap() == content && done.sha256 == sha256(&content));
    let mut written = Vec::new();
    soon(download().to_writer(&mut written)).await.unwrap();
    assert!(written == content);
}

#[tokio::test]
async fn whoever_wants_to_know_is_told_how_far_it_is() {
    let content = content();
    let storage = Storage::start(Vec::new()).await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = || {
        let told = told.clone();
        move |progress: Progress| told.lock().unwrap().push((progress.done, progress.total))
    };
    let id = TaskId::new();
    soon(artifacts(&storage).upload(&id, 0, NAME, expires()).progress(tell()).bytes(content.clone())).await.unwrap();
    let all = content.len() as u64;
    assert_eq!(told.lock().unwrap().last(), Some(&(all, Some(all))));
    told.lock().unwrap().clear();
    soon(artifacts(&storage).download(&id, 0, NAME).progress(tell()).to_memory(content.len())).await.unwrap();
    let told = told.lock().unwrap();
    assert_eq!(told.last(), Some(&(all, Some(all))));
    assert!(told.len() > 1 && told.is_sorted());
}

#[tokio::test]
async fn objects_are_uploaded_whole_and_finished() {
    let content = content();
    let storage = Storage::start(Vec::new()).await;
    let upload = || artifacts(&storage).upload(&TaskId::new(), 0, OBJECT, expires()).object();
    storage.faults([Fault::CutRequest(100_000), Fault::Status(403)]);
    let done = soon(upload().content_type("a/b").bytes(content.clone())).await.unwrap();
    assert_eq!((done.sha256.as_str(), done.length), (&*sha256(&content), content.len() as u64));
    assert_eq!((storage.hash(), storage.content_type()), (Some(sha256(&content)), "a/b".to_owned()));
    assert_eq!(storage.calls(), ["upload", "upload", "upload", "finish-upload", "finishArtifact"]);
    assert!(storage.take_content() == content);

    // What is small needs no storage service.
    soon(upload().bytes("hello")).await.unwrap();
    assert_eq!((storage.take_content(), storage.hash()), (b"hello".to_vec(), Some(sha256(b"hello"))));
    assert_eq!(storage.calls(), ["upload", "finish-upload", "finishArtifact"]);

    // The object service is told of what a reader has in the end.
    let done = soon(upload().gzip().bytes("hello")).await.unwrap();
    assert_eq!((storage.content_encoding().as_str(), storage.hash()), ("gzip", Some(sha256(b"hello"))));
    assert_eq!(done.sha256, sha256(&storage.take_content()));
}

#[tokio::test]
async fn objects_are_checked_against_their_hash_wherever_they_are_cut() {
    let content = content();
    let storage = Storage::start(content.clone()).await;
    storage.state_hash(&sha256(&content));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("object");
    for place in places(content.len()) {
        storage.faults([Fault::CutAnswer(place), Fault::Expire]);
        let done = soon(artifacts(&storage).download(&TaskId::new(), 0, OBJECT).to_file(&path)).await.unwrap();
        assert!(done.verified && done.sha256 == sha256(&content), "cut at {place}");
        storage.faults([Fault::Flip(place)]);
        soon(artifacts(&storage).download(&TaskId::new(), 0, OBJECT).to_file(&path)).await.unwrap();
        assert!(std::fs::read(&path).unwrap() == content, "another byte at {place}");
    }
    storage.faults((0..4).map(|_| Fault::Flip(7)));
    std::fs::remove_file(&path).unwrap();
    let corrupt = soon(artifacts(&storage).download(&TaskId::new(), 0, OBJECT).to_file(&path)).await.unwrap_err();
    assert!(matches!(corrupt, ArtifactError::Corrupt { .. }), "{corrupt}");
    assert!(names_in(folder.path()).is_empty());
    storage.faults([Fault::Flip(7)]);
    let corrupt = soon(artifacts(&storage).download(&TaskId::new(), 0, OBJECT).to_writer(&mut Vec::new())).await;
    assert!(matches!(corrupt, Err(ArtifactError::Corrupt { .. })), "{corrupt:?}");
}

#[tokio::test]
async fn a_large_file_comes_in_parts_and_is_right_or_absent() {
    const MIB: usize = 1024 * 1024;
    let content: Vec<u8> = (0..(9 * MIB) as u32).flat_map(|n| n.to_le_bytes()).collect();
    let storage = Storage::start(content.clone()).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large");
    let download = || artifacts(&storage).download(&TaskId::new(), 0, OBJECT);
    storage.state_hash(&sha256(&content));

    // The first answer tells only how large it is.
    storage.faults([
        Fault::CutAnswer(0),
        Fault::CutAnswer(0),
        Fault::CutAnswer(100),
        Fault::Expire,
        Fault::CutAnswer(MIB),
    ]);
    let done = soon(download().to_file(&path)).await.unwrap();
    assert!(done.verified && done.length == content.len() as u64);
    assert!(std::fs::read(&path).unwrap() == content);
    assert!(storage.take_sent().len() > 6);

    // Other content midway: from the beginning, in one go.
    let other: Vec<u8> = content.iter().rev().copied().collect();
    storage.state_hash(&sha256(&other));
    let changes = Fault::CutAnswerThenChange(MIB, other.clone());
    storage.faults([Fault::CutAnswer(0), Fault::CutAnswer(MIB), changes]);
    soon(download().to_file(&path)).await.unwrap();
    assert!(std::fs::read(&path).unwrap() == other);

    // Nothing is left of it where the other content is shorter, nor of what was there before.
    storage.content(content.clone());
    storage.state_hash(&sha256(b"short"));
    let changes = Fault::CutAnswerThenChange(MIB, b"short".to_vec());
    storage.faults([Fault::CutAnswer(0), Fault::CutAnswer(MIB), changes]);
    let done = soon(download().to_file(&path)).await.unwrap();
    assert_eq!((done.length, std::fs::read(&path).unwrap()), (5, b"short".to_vec()));

    storage.content(content.clone());
    storage.state_hash(&sha256(&content));
    std::fs::remove_file(&path).unwrap();
    storage.faults((0..400).map(|_| Fault::CutAnswer(0)));
    soon(download().to_file(&path)).await.unwrap_err();
    assert!(names_in(folder.path()).is_empty());
}
