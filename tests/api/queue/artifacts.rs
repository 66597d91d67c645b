//! Artifacts: made with a claim's credentials, read by whoever may.

use harness::{Backend, Deployment, Options, Tester, soon};
use taskcluster::artifacts::ArtifactError;
use taskcluster::auth::CreateRoleRequest;
use taskcluster::queue::{ErrorArtifactRequest, LinkArtifactRequest, PostArtifactRequest};
use taskcluster::time::{hours, minutes};

const LARGE: usize = 3_000_000;

/// What every deployment does.
async fn let_everybody_read_public_artifacts(root: &Tester) {
    let role = CreateRoleRequest::new("Everybody.", ["queue:get-artifact:public/*", "queue:list-artifacts:*"]);
    soon(root.auth().create_role("anonymous", &role).into_future()).await.unwrap();
}

#[tokio::test]
async fn what_a_worker_uploads_is_what_readers_get() {
    for backend in Backend::available() {
        let deployment = Deployment::start(Options::on(backend)).await.unwrap();
        let root = deployment.root();
        let_everybody_read_public_artifacts(&root).await;
        root.create_task().await;
        let claim = root.claim().await;
        let (task_id, run_id, expires) = (claim.task_id, claim.run_id, root.now() + hours(3));
        let content: Vec<u8> = (0..LARGE).map(|n| (n * 31 % 251) as u8).collect();
        for (name, content) in [("public/large.bin", content.clone()), ("private/empty.txt", Vec::new())] {
            soon(claim.artifacts().upload(&task_id, run_id, name, expires).bytes(content)).await.unwrap();
        }
        claim.completed().await.unwrap();

        let anonymous = deployment.anonymous();
        let read = soon(anonymous.artifacts().download(&task_id, run_id, "public/large.bin").to_memory(LARGE));
        assert!(read.await.unwrap() == content);
        let read = soon(root.artifacts().download_latest(&task_id, "private/empty.txt").to_memory(0));
        assert!(read.await.unwrap().is_empty());
        let refused = soon(anonymous.artifacts().download_latest(&task_id, "private/empty.txt").to_memory(0)).await;
        let Err(ArtifactError::Queue { source, .. }) = refused else { panic!("{refused:?}") };
        assert!(source.is_forbidden(), "{source}");

        let listed = soon(root.queue().list_artifacts(&task_id, run_id).into_future()).await.unwrap().artifacts;
        let names: Vec<&str> = listed.iter().map(|artifact| artifact.name.as_str()).collect();
        assert_eq!(names, ["private/empty.txt", "public/large.bin"]);
        deployment.stop().await;
    }
}

#[tokio::test]
async fn a_signed_url_lets_whoever_has_it_read_one_artifact() {
    for backend in Backend::available() {
        let deployment = Deployment::start(Options::on(backend)).await.unwrap();
        let root = deployment.root();
        root.create_task().await;
        let claim = root.claim().await;
        let upload =
            claim.artifacts().upload(&claim.task_id, claim.run_id, "private/a b/100%.txt", root.now() + hours(3));
        soon(upload.bytes("hello")).await.unwrap();
        let url = root.queue().get_artifact(&claim.task_id, claim.run_id, "private/a b/100%.txt");
        let url = url.signed_for(minutes(15)).unwrap();
        let answer = crate::wire::get(root.caller(), url.as_str()).await;
        assert_eq!(answer.status(), 303);
        let target = answer.headers()["location"].to_str().unwrap().to_owned();
        let answer = crate::wire::get(root.caller(), &target).await;
        assert_eq!(answer.into_body().collect(100).await.unwrap(), "hello");
        deployment.stop().await;
    }
}

#[tokio::test]
async fn links_lead_on_and_notes_say_why_there_is_nothing() {
    for backend in Backend::available() {
        let deployment = Deployment::start(Options::on(backend)).await.unwrap();
        let root = deployment.root();
        root.create_task().await;
        let claim = root.claim().await;
        let (task_id, run_id, expires) = (claim.task_id, claim.run_id, root.now() + hours(3));
        soon(claim.artifacts().upload(&task_id, run_id, "public/target", expires).bytes("hello")).await.unwrap();
        let link = PostArtifactRequest::Link(LinkArtifactRequest::new(expires, "public/target"));
        soon(claim.queue().create_artifact(&task_id, run_id, "public/link", &link).into_future()).await.unwrap();
        let note = ErrorArtifactRequest::new(expires, "file-missing-on-worker", "there was no such file");
        let note = PostArtifactRequest::Error(note);
        soon(claim.queue().create_artifact(&task_id, run_id, "public/note", &note).into_future()).await.unwrap();

        let read = soon(root.artifacts().download(&task_id, run_id, "public/link").to_memory(10)).await;
        assert_eq!(read.unwrap(), "hello");
        let noted = soon(root.artifacts().download(&task_id, run_id, "public/note").to_memory(10)).await;
        assert!(matches!(noted, Err(ArtifactError::NeverCreated { .. })), "{noted:?}");
        let refused = soon(root.queue().get_artifact(&task_id, run_id, "public/note").into_future()).await.unwrap_err();
        assert_eq!(refused.status().unwrap(), 424);
        deployment.stop().await;
    }
}
