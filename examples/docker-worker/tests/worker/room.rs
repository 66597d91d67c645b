//! Images that make room on the disk: the worker's own, which nobody uses, the least recently used first.

use std::sync::Arc;

use serde_json::json;
use taskcluster_core::ids::TaskId;
use taskcluster_docker_worker::{DockerEngine, DockerWorker, Options, Shutdown};
use taskcluster_worker::{Engine as _, Event, Identity, Settings};

use crate::docker;
use crate::images::{Bench, Registry, task_image};

const PATH: &str = "public/image.tar";

impl Bench {
    /// A worker's engine after a kill: it knows what stands in the file.
    async fn engine(&self) -> DockerEngine {
        let mut options = Options::new(docker::label());
        options.image_record = Some(self.dir.path().join("work/images.json"));
        DockerEngine::connect(&self.there.host, options).await.unwrap()
    }

    /// Run a task in the image of another one; gives the image's id.
    async fn uses(&self, task_id: &TaskId) -> String {
        let (reason, log) = self.run(task_image(task_id, PATH), &[]).await;
        assert_eq!(reason, "completed", "{log}");
        let line = log.lines().find_map(|line| line.split_once("image: sha256:")).unwrap_or_else(|| panic!("{log}"));
        format!("sha256:{}", line.1.trim())
    }

    /// An image that is nobody else's, by this name.
    fn make(&self, name: &str) -> String {
        let container = String::from_utf8(self.docker(&["create", &self.there.image, "/bin/true"])).unwrap();
        let id = self.docker(&["commit", "-c", &format!("LABEL of={name}"), container.trim(), name]);
        self.docker(&["rm", container.trim()]);
        String::from_utf8(id).unwrap().trim().to_owned()
    }

    fn is_here(&self, image: &str) -> bool {
        let all = self.docker(&["images", "--all", "--no-trunc", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}"]);
        String::from_utf8(all).unwrap().lines().any(|line| line.split(' ').any(|part| part == image))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_least_recently_used_image_goes_first_also_after_a_kill() {
    let Some(bench) = Bench::new().await else { return };
    let first = bench.artifact(PATH, &bench.archive("taskcluster-test-room-a:1")).await;
    let second = bench.artifact(PATH, &bench.archive("taskcluster-test-room-b:1")).await;
    let (first_image, second_image) = (bench.uses(&first).await, bench.uses(&second).await);
    assert_eq!(bench.uses(&first).await, first_image);
    // Each engine is another life.
    assert!(bench.engine().await.make_room().await.unwrap());
    assert!(bench.is_here(&first_image) && !bench.is_here(&second_image));
    assert!(bench.engine().await.make_room().await.unwrap());
    assert!(!bench.is_here(&first_image));
    assert!(!bench.engine().await.make_room().await.unwrap(), "what somebody else brought in stays");
    assert!(bench.is_here(&bench.there.image));
    assert_eq!(bench.uses(&first).await, first_image, "it is fetched again");
    assert!(bench.engine().await.make_room().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_which_there_is_a_container_stays() {
    let Some(bench) = Bench::new().await else { return };
    let task_id = bench.artifact(PATH, &bench.archive("taskcluster-test-room-used:1")).await;
    let image = bench.uses(&task_id).await;
    let container = String::from_utf8(bench.docker(&["create", &image, "/bin/true"])).unwrap();
    assert!(!bench.engine().await.make_room().await.unwrap());
    assert!(bench.is_here(&image));
    bench.docker(&["rm", container.trim()]);
    assert!(bench.engine().await.make_room().await.unwrap());
    assert!(!bench.is_here(&image));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_somebody_else_gave_stays_theirs() {
    let Some(bench) = Bench::new().await else { return };
    let Some(registry) = Registry::start() else { return };
    let [theirs, ours] = ["theirs", "ours"].map(|name| format!("{}/team/{name}:1", registry.name));
    for image in [&theirs, &ours] {
        bench.make(image);
        bench.docker(&["push", image]);
    }
    bench.docker(&["rmi", &ours]);
    for image in [&theirs, &ours] {
        let (reason, log) = bench.run(json!(image), &[]).await;
        assert_eq!(reason, "completed", "{log}");
    }
    assert!(bench.engine().await.make_room().await.unwrap());
    assert!(bench.is_here(&theirs) && !bench.is_here(&ours));
    assert!(!bench.engine().await.make_room().await.unwrap());
    bench.docker(&["rmi", &theirs]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_whose_tag_has_moved_is_still_known() {
    let Some(bench) = Bench::new().await else { return };
    let Some(registry) = Registry::start() else { return };
    let image = format!("{}/team/moved:1", registry.name);
    let id = || String::from_utf8(bench.docker(&["image", "inspect", "--format", "{{.Id}}", &image])).unwrap();
    let mut ids = Vec::new();
    for number in 0..2 {
        bench.make(&image);
        ids.push(id().trim().to_owned());
        bench.docker(&["push", &image]);
        bench.docker(&["rmi", &image]);
        if number == 1 {
            // What the worker had got by the name.
            bench.docker(&["tag", &ids[0], &image]);
        }
        let (reason, log) = bench.run(json!(image), &[]).await;
        assert_eq!(reason, "completed", "{log}");
        assert_eq!(id().trim(), ids[number]);
        if number == 0 {
            // Kept by another name while the test makes the second image.
            bench.docker(&["tag", &image, "taskcluster-test-moved:kept"]);
        }
    }
    bench.docker(&["rmi", "taskcluster-test-moved:kept"]);
    while bench.engine().await.make_room().await.unwrap() {}
    assert!(ids.iter().all(|id| !bench.is_here(id)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_disk_is_short_removes_its_images_before_it_claims() {
    let Some(bench) = Bench::new().await else { return };
    let task_id = bench.artifact(PATH, &bench.archive("taskcluster-test-room-short:1")).await;
    let image = bench.uses(&task_id).await;
    let mut worker = DockerWorker::new(&bench.there.host);
    worker.options = Some(Options::new(docker::label()));
    let settings = Settings::new(bench.dir.path().join("work")).with_required_disk_space(u64::MAX);
    let identity = Identity::new("test/docker".parse().unwrap(), "group", "worker");
    let shutdown = Shutdown::new();
    let stop = shutdown.clone();
    let told = Arc::new(std::sync::Mutex::new(String::new()));
    let heard = told.clone();
    let worker = worker
        .builder(bench.fake.root_url(), identity, settings)
        .await
        .unwrap()
        .credentials(bench.fake.credentials())
        .events(Arc::new(move |event| {
            if let Event::Trouble { message } = event {
                *heard.lock().unwrap() = message;
                stop.now();
            }
        }))
        .build()
        .unwrap();
    tokio::time::timeout(std::time::Duration::from_secs(60), worker.run(shutdown)).await.expect("it ends").unwrap();
    assert!(told.lock().unwrap().contains("MiB are required"));
    assert!(!bench.is_here(&image));
    assert!(bench.is_here(&bench.there.image));
}
