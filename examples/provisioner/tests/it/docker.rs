//! Containers on a real engine, which `TEST_DOCKER` names.

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use taskcluster::provisioner::{CreateWorkerTypeRequest, DockerProvider, DockerVolume};
use taskcluster_provisioner::provider::contract::{self, Subject};
use taskcluster_provisioner::provider::docker::Options;
use taskcluster_provisioner::provider::{Launch, Phase, Provider, ProviderError, Sighting};
use taskcluster_provisioner::worker_type::Definition;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

mod bench;
mod registry;

use bench::Bench;
use registry::Registry;

/// A definition with this script.
fn script(bench: &Bench, script: &str) -> DockerProvider {
    DockerProvider::new(&bench.image).with_command(["/bin/sh", "-c", script])
}

fn definition(provider: DockerProvider) -> Definition {
    Definition::new(CreateWorkerTypeRequest::new("", "", 1, 0.0, provider))
}

/// Says what it was told, and goes on for ever.
const LASTING: &str = r#"printf '%s\n' "$TASKCLUSTER_USER_DATA"; while :; do sleep 0.1; done"#;

async fn launch(provider: &dyn Provider, wanted: DockerProvider, name: &str) -> Launch {
    let definition = definition(wanted);
    let offer = provider.offers(&definition).await.unwrap().pop().unwrap();
    let (instance_id, worker_type) = (name.to_owned(), "test".to_owned());
    Launch { instance_id, worker_type, definition, offer, user_data: Map::new() }
}

#[async_trait]
impl Subject for Bench {
    async fn provider(&self) -> Box<dyn Provider> {
        Box::new(self.connect(Options::default()))
    }

    async fn stranger(&self) -> Box<dyn Provider> {
        Box::new(self.stranger())
    }

    fn lasting(&self) -> Definition {
        definition(script(self, LASTING))
    }

    fn passing(&self) -> Option<Definition> {
        Some(definition(script(self, "echo that is all; exit 3")))
    }

    fn useless(&self) -> Definition {
        definition(script(self, LASTING).with_volumes([DockerVolume::new("/etc", "/host")]))
    }

    async fn told(&self, sighting: &Sighting) -> Option<Value> {
        loop {
            let log = self.docker(&["logs", &sighting.provider_id]);
            if let Some(line) = log.lines().next() {
                return Some(serde_json::from_str(line).unwrap());
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test]
async fn containers_keep_the_contract() {
    let Some(bench) = Bench::find().await else { return };
    contract::check(&bench).await;
}

#[tokio::test]
async fn what_was_made_and_not_started_is_started_when_it_is_asked_for_again() {
    let Some(bench) = Bench::find().await else { return };
    let provider = bench.connect(Options::default());
    let made = bench.made_by_hand(&provider, "half", LASTING).await;
    let sighting = bench.sighting(&provider, "half").await.unwrap();
    assert_eq!((sighting.phase, &sighting.provider_id), (Phase::Requested, &made));

    let launch = launch(&provider, script(&bench, LASTING), "half").await;
    assert_eq!(provider.launch(&launch).await.unwrap(), made);
    bench.until(&provider, "half", Phase::Alive).await;
}

#[tokio::test]
async fn what_was_made_and_is_wanted_no_more_goes_without_having_run() {
    let Some(bench) = Bench::find().await else { return };
    let provider = bench.connect(Options::default());
    bench.made_by_hand(&provider, "half", LASTING).await;
    let sighting = bench.sighting(&provider, "half").await.unwrap();
    provider.end(&[sighting]).await.unwrap();
    assert_eq!(bench.sighting(&provider, "half").await, None);
}

#[tokio::test]
async fn processes_that_start_the_same_at_once_start_one() {
    let Some(bench) = Bench::find().await else { return };
    let providers: Vec<_> = (0..4).map(|_| bench.connect(Options::default())).collect();
    let launch = launch(&providers[0], script(&bench, LASTING), "one").await;
    let launched = futures_util::future::join_all(providers.iter().map(|provider| provider.launch(&launch))).await;
    let sighting = bench.until(&providers[0], "one", Phase::Alive).await;
    let mut ids = launched.into_iter().filter_map(Result::ok);
    assert!(ids.all(|id| id == sighting.provider_id));
    assert_eq!(providers[1].launch(&launch).await.unwrap(), sighting.provider_id);
    assert_eq!(providers[2].list().await.unwrap(), [sighting]);
}

#[tokio::test]
async fn what_has_ended_says_how_and_does_not_run_again() {
    let Some(bench) = Bench::find().await else { return };
    let provider = bench.connect(Options::default());
    let launch = launch(&provider, script(&bench, "echo out of; echo luck >&2; exit 7"), "ends").await;
    let id = provider.launch(&launch).await.unwrap();
    let sighting = bench.until(&provider, "ends", Phase::Gone).await;
    assert!(sighting.says.as_deref().unwrap().starts_with("it ended with exit code 7: "), "{sighting:?}");
    let begun = || bench.docker(&["inspect", "--format", "{{.State.StartedAt}}", &id]);
    let first = begun();
    assert_eq!(provider.launch(&launch).await.unwrap(), id);
    assert_eq!(begun(), first);
    assert_eq!(bench.sighting(&provider, "ends").await, Some(sighting));
}

#[tokio::test]
async fn its_volumes_that_nobody_else_has_go_with_it() {
    let Some(bench) = Bench::find().await else { return };
    let provider = bench.connect(Options::default());
    let image = bench.image_with(&["VOLUME /volume"]);
    let wanted = DockerProvider::new(&image).with_command(["/bin/sh", "-c", "echo much >/volume/file"]);
    let id = provider.launch(&launch(&provider, wanted, "volume").await).await.unwrap();
    let sighting = bench.until(&provider, "volume", Phase::Gone).await;
    let volume = bench.docker(&["inspect", "--format", "{{(index .Mounts 0).Name}}", &id]);
    let volumes = || bench.docker(&["volume", "ls", "-q"]);
    assert!(volumes().contains(volume.trim()));
    provider.end(&[sighting]).await.unwrap();
    assert!(!volumes().contains(volume.trim()));
    bench.docker(&["rmi", &image]);
}

#[tokio::test]
async fn only_what_operators_allow_is_shown() {
    let Some(bench) = Bench::find().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    for name in ["allowed/read", "allowed/write", "secret"] {
        std::fs::create_dir_all(at(name)).unwrap();
    }
    std::os::unix::fs::symlink(at("secret"), at("allowed/link")).unwrap();
    let provider = bench.connect(Options::default().with_volumes([at("allowed")]));

    for outside in ["secret", "allowed/link", "allowed/../secret", "allowed/none"] {
        let wanted = script(&bench, LASTING).with_volumes([DockerVolume::new(at(outside), "/volume")]);
        let specified = provider.specify(&definition(wanted.clone())).await.unwrap();
        assert!(specified[0].fault.as_deref().unwrap().contains("volume"), "{specified:?}");
        let mut launch = launch(&provider, script(&bench, LASTING), "outside").await;
        launch.definition = definition(wanted);
        assert!(matches!(provider.launch(&launch).await, Err(ProviderError::Refused(_))), "{outside}");
    }
    assert_eq!(provider.list().await.unwrap(), []);

    let volumes = [
        DockerVolume::new(at("allowed/read"), "/read").with_read_only(true),
        DockerVolume::new(at("allowed/write"), "/write"),
    ];
    let wanted = script(&bench, "echo it >/read/file || echo cannot >/write/file").with_volumes(volumes);
    provider.launch(&launch(&provider, wanted, "shows").await).await.unwrap();
    bench.until(&provider, "shows", Phase::Gone).await;
    assert_eq!(std::fs::read_to_string(at("allowed/write/file")).unwrap(), "cannot\n");
}

#[tokio::test]
async fn an_image_is_pulled_beside_the_passes_and_one_that_nobody_has_is_refused() {
    let Some(bench) = Bench::find().await else { return };
    let Some(registry) = Registry::start().await else { return };
    let provider = bench.connect(Options::default());
    let image = format!("{}/team/worker:1", registry.name);
    bench.docker(&["tag", &bench.image, &image]);
    bench.docker(&["push", &image]);
    bench.docker(&["rmi", &image]);

    let wanted = |image: &str| DockerProvider::new(image).with_command(["/bin/sh", "-c", LASTING]);
    let there = launch(&provider, wanted(&image), "there").await;
    let error = provider.launch(&there).await.unwrap_err();
    assert!(matches!(&error, ProviderError::Away { .. }) && error.to_string().contains("being pulled"), "{error}");
    bench.answer(&provider, &there).await.unwrap();
    bench.until(&provider, "there", Phase::Alive).await;

    let none = launch(&provider, wanted(&format!("{}/team/none", registry.name)), "none").await;
    let refused = bench.answer(&provider, &none).await.unwrap_err();
    assert!(refused.contains("team/none:latest") && refused.contains("cannot be had"), "{refused}");
    bench.docker(&["rm", "-f", &bench.sighting(&provider, "there").await.unwrap().provider_id]);
    bench.docker(&["rmi", &image]);
}

#[tokio::test]
async fn what_cannot_be_started_is_refused_and_leaves_nothing() {
    let Some(bench) = Bench::find().await else { return };
    let provider = bench.connect(Options::default().with_network("no-such-network"));
    let refused = provider.launch(&launch(&provider, script(&bench, LASTING), "none").await).await.unwrap_err();
    assert!(matches!(&refused, ProviderError::Refused(reason) if reason.contains("no-such-network")), "{refused}");
    assert_eq!(provider.list().await.unwrap(), []);
}

#[tokio::test]
async fn a_program_that_is_not_there_is_what_it_ended_for() {
    let Some(bench) = Bench::find().await else { return };
    let provider = bench.connect(Options::default());
    let wanted = DockerProvider::new(&bench.image).with_command(["/no/such/program"]);
    provider.launch(&launch(&provider, wanted, "none").await).await.unwrap();
    let says = bench.until(&provider, "none", Phase::Gone).await.says.unwrap();
    assert!(says.contains("exit code 127") && says.contains("/no/such/program"), "{says}");
}

#[tokio::test]
async fn its_command_takes_the_place_of_what_the_image_would_run() {
    let Some(bench) = Bench::find().await else { return };
    let provider = bench.connect(Options::default());
    let image = bench.image_with(&[r#"ENTRYPOINT ["echo", "image"]"#, r#"CMD ["alone"]"#]);
    let says = async |name: &str, wanted: DockerProvider| {
        provider.launch(&launch(&provider, wanted, name).await).await.unwrap();
        let sighting = bench.until(&provider, name, Phase::Gone).await;
        provider.end(std::slice::from_ref(&sighting)).await.unwrap();
        sighting.says.unwrap()
    };
    let alone = says("alone", DockerProvider::new(&image)).await;
    assert_eq!(alone, "it ended with exit code 0: image alone");
    let other = says("other", DockerProvider::new(&image).with_command(["echo", "other"])).await;
    assert_eq!(other, "it ended with exit code 0: other");
    bench.docker(&["rmi", &image]);
}

#[tokio::test]
async fn a_log_has_a_bound() {
    let Some(bench) = Bench::find().await else { return };
    let provider = bench.connect(Options::default());
    let much = r#"yes "$(yes x | tr -d '\n' | head -c 1000)" | head -c 30000000; echo; echo the end"#;
    let id = provider.launch(&launch(&provider, script(&bench, much), "much").await).await.unwrap();
    let sighting = bench.until(&provider, "much", Phase::Gone).await;
    assert!(sighting.says.as_deref().unwrap().ends_with(" | the end"), "{sighting:?}");
    let kept = bench.docker(&["logs", &id]).len();
    assert!(kept < 11_000_000, "{kept} bytes are kept");
}

#[tokio::test]
async fn what_workers_leave_behind_is_reaped() {
    let Some(bench) = Bench::find().await else { return };
    let provider = bench.connect(Options::default());
    let orphan = r#"sh -c 'sleep 0.2 & echo $! >/orphan'; while [ -e "/proc/$(cat /orphan)" ]; do sleep 0.1; done"#;
    let wanted = script(&bench, &format!("{orphan}; echo reaped"));
    provider.launch(&launch(&provider, wanted, "orphan").await).await.unwrap();
    let sighting = bench.until(&provider, "orphan", Phase::Gone).await;
    assert_eq!(sighting.says.as_deref(), Some("it ended with exit code 0: reaped"));
}

#[tokio::test]
async fn a_deployment_on_loopback_is_reached_in_the_network_of_the_machine() {
    let Some(bench) = Bench::find().await else { return };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = async {
        let (mut caller, _) = listener.accept().await.unwrap();
        let _ = caller.read(&mut [0; 1024]).await.unwrap();
        caller.write_all(b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\npong\n").await.unwrap();
    };
    let options = Options::default().with_network("host").with_hosts(["deployment:127.0.0.1"]);
    let provider = bench.connect(options);
    let wanted = script(&bench, &format!("wget -q -O - http://deployment:{port}/ping"));
    let launch = launch(&provider, wanted, "calls").await;
    let (_, launched) = tokio::join!(serving, provider.launch(&launch));
    launched.unwrap();
    let sighting = bench.until(&provider, "calls", Phase::Gone).await;
    assert_eq!(sighting.says.as_deref(), Some("it ended with exit code 0: pong"));
}

#[tokio::test]
async fn an_engine_that_is_not_there_is_away() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("unix://{}/docker.sock", dir.path().display());
    let provider = taskcluster_provisioner::provider::docker::Docker::connect(&url, "test").unwrap();
    assert!(matches!(provider.list().await, Err(ProviderError::Away { .. })));
    // What a definition comes to can be said all the same.
    let specified = provider.specify(&definition(DockerProvider::new("busybox"))).await.unwrap();
    assert_eq!(specified[0].fault, None);
    assert_eq!(specified[0].launch["Image"], json!("busybox:latest"));
}
