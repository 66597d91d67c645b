//! Artifacts by the names of their tasks.

use harness::{Backend, Deployment, Options, soon};
use taskcluster::auth::CreateRoleRequest;
use taskcluster::index::InsertTaskRequest;
use taskcluster::queue::{LinkArtifactRequest, PostArtifactRequest};
use taskcluster::time::{days, hours};
use taskcluster::{Caller, object};

/// The status, and the bytes that the links lead to.
async fn get(caller: &Caller, url: &str) -> (u16, String) {
    let mut url = url.to_owned();
    loop {
        let answer = crate::wire::get(caller, &url).await;
        let status = answer.status().as_u16();
        if status != 303 {
            let body = answer.into_body().collect(1 << 20).await.unwrap();
            return (status, String::from_utf8_lossy(&body).into_owned());
        }
        url = answer.headers()["location"].to_str().unwrap().to_owned();
    }
}

#[tokio::test]
async fn whoever_may_get_an_artifact_gets_it_by_name_and_nothing_else() {
    for backend in Backend::available() {
        let deployment = Deployment::start(Options::on(backend)).await.unwrap();
        let root = deployment.root();
        let role = CreateRoleRequest::new("Everybody.", ["queue:get-artifact:public/*"]);
        soon(root.auth().create_role("anonymous", &role).into_future()).await.unwrap();
        root.create_task().await;
        let claim = root.claim().await;
        let (task_id, run_id, expires) = (claim.task_id, claim.run_id, root.now() + hours(3));
        for (name, content) in [("public/a b.txt", "public"), ("private/c", "private")] {
            soon(claim.artifacts().upload(&task_id, run_id, name, expires).bytes(content)).await.unwrap();
        }
        for (name, target) in [("public/link", "public/a b.txt"), ("public/out", "private/c")] {
            let link = PostArtifactRequest::Link(LinkArtifactRequest::new(expires, target));
            soon(claim.queue().create_artifact(&task_id, run_id, name, &link).into_future()).await.unwrap();
        }
        claim.completed().await.unwrap();
        let request = InsertTaskRequest::new(task_id, 0.0, object! {}, root.now() + days(1));
        soon(root.index().insert_task("x.y", &request).into_future()).await.unwrap();

        let caller = deployment.anonymous().caller().clone();
        let url = |name: &str| format!("{}/api/index/v1/task/{name}", deployment.root_url());
        assert_eq!(get(&caller, &url("x.y/artifacts/public/a%20b.txt")).await, (200, "public".to_owned()));
        assert_eq!(get(&caller, &url("x.y/artifacts/public/link")).await, (200, "public".to_owned()));
        assert_eq!(get(&caller, &url("x.z/artifacts/public/a%20b.txt")).await.0, 404);
        assert_eq!(get(&caller, &url("x.y/artifacts/public/none")).await.0, 404);
        assert_eq!(get(&caller, &url("x.y/artifacts/private/c")).await.0, 403);
        // Not through a link that leads out of what the caller may get, either, though the index may get everything.
        assert_eq!(get(&caller, &url("x.y/artifacts/public/out")).await.0, 403);
        let signed = root.index().find_artifact_from_task("x.y", "private/c").signed_for(hours(1)).unwrap();
        assert_eq!(get(&caller, signed.as_str()).await, (200, "private".to_owned()));
        deployment.stop().await;
    }
}
