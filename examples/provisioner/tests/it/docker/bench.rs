//! The engine that the tests use, a small image on it, and the provider of one test.

use std::process::Command;
use std::time::Duration;

use taskcluster::TaskId;
use taskcluster_provisioner::provider::docker::{Docker, Options};
use taskcluster_provisioner::provider::{Launch, Phase, Provider, ProviderError, Sighting};

const PATIENCE: Duration = Duration::from_secs(120);

/// The label that tells containers of different owners apart.
const OWNER: &str = "taskcluster.provisioner";

/// What one test has: its containers end with it.
pub(crate) struct Bench {
    host: String,
    owner: String,
    /// An image with busybox.
    pub(crate) image: String,
}

impl Bench {
    /// On the engine that `TEST_DOCKER` names; `None`, which is said, where there is none.
    pub(crate) async fn find() -> Option<Self> {
        let Ok(host) = std::env::var("TEST_DOCKER") else {
            println!("skipped: TEST_DOCKER names no Docker engine");
            return None;
        };
        let (owner, image) = (format!("test of {}", TaskId::new()), "taskcluster-test-busybox:1".to_owned());
        let bench = Self { host, owner, image };
        bench.make_image();
        Some(bench)
    }

    /// There is no registry: the image is made of the machine's own busybox.
    fn make_image(&self) {
        let script = r#"
            set -e
            if docker image inspect "$1" >/dev/null 2>&1; then exit 0; fi
            dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
            mkdir -p "$dir/bin" "$dir/tmp"; chmod 1777 "$dir/tmp"
            cp "$(command -v busybox)" "$dir/bin/busybox"
            for name in $("$dir/bin/busybox" --list); do [ "$name" = busybox ] || ln -s busybox "$dir/bin/$name"; done
            tar -C "$dir" -c . | docker import -c 'ENV PATH=/bin' -c 'CMD ["/bin/sh"]' - "$1" >/dev/null
        "#;
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh", &self.image]).env("DOCKER_HOST", &self.host);
        assert!(command.status().unwrap().success(), "the image for the tests cannot be made");
    }

    /// An image that has these instructions besides.
    pub(crate) fn image_with(&self, instructions: &[&str]) -> String {
        let image = format!("taskcluster-test-image:{}", TaskId::new());
        let made = self.docker(&["create", &self.image]);
        let mut words = vec!["commit"];
        words.extend(instructions.iter().flat_map(|instruction| ["-c", instruction]));
        words.extend([made.trim(), &image]);
        self.docker(&words);
        self.docker(&["rm", made.trim()]);
        image
    }

    /// The provider of this test, as after a restart.
    pub(crate) fn connect(&self, options: Options) -> Docker {
        Docker::connect(&self.host, self.owner.as_str()).unwrap().with_options(options)
    }

    /// One of somebody else.
    pub(crate) fn stranger(&self) -> Docker {
        Docker::connect(&self.host, format!("stranger to the {}", self.owner)).unwrap()
    }

    /// A container as it is left by a provisioner that was killed before it started it; the engine's name of it.
    pub(crate) async fn made_by_hand(&self, provider: &Docker, name: &str, script: &str) -> String {
        let (owner, instance) = (format!("{OWNER}={}", self.owner), format!("taskcluster.instance={name}"));
        let name = provider.container_name(name);
        let words =
            ["create", "--name", &name, "--label", &owner, "--label", &instance, &self.image, "/bin/sh", "-c", script];
        self.docker(&words).trim().to_owned()
    }

    /// What `docker` prints, called with these arguments.
    pub(crate) fn docker(&self, arguments: &[&str]) -> String {
        let output = Command::new("docker").args(arguments).env("DOCKER_HOST", &self.host).output().unwrap();
        assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) async fn sighting(&self, provider: &Docker, name: &str) -> Option<Sighting> {
        provider.list().await.unwrap().into_iter().find(|sighting| sighting.instance_id == name)
    }

    /// Wait until it has got so far.
    pub(crate) async fn until(&self, provider: &Docker, name: &str, phase: Phase) -> Sighting {
        let reached = async {
            loop {
                match self.sighting(provider, name).await {
                    Some(sighting) if sighting.phase == phase => return sighting,
                    _ => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        };
        tokio::time::timeout(PATIENCE, reached).await.unwrap_or_else(|_| panic!("{name} does not get so far"))
    }

    /// Ask for it until there is an answer: the engine's name of it, or why there will be none.
    pub(crate) async fn answer(&self, provider: &Docker, launch: &Launch) -> Result<String, String> {
        let answered = async {
            loop {
                match provider.launch(launch).await {
                    Ok(id) => return Ok(id),
                    Err(ProviderError::Refused(reason)) => return Err(reason),
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        };
        tokio::time::timeout(PATIENCE, answered).await.expect("there is an answer")
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let script = r#"docker ps -aq --filter "label=$1" | xargs -r docker rm -fv >/dev/null"#;
        let label = format!("{OWNER}={}", self.owner);
        let _ = Command::new("sh").args(["-c", script, "sh", &label]).env("DOCKER_HOST", &self.host).status();
    }
}
