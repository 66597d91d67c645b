//! Docker's own registry, on loopback.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A registry, as long as this lives.
pub(crate) struct Registry {
    process: Child,
    /// What the names of its images begin with.
    pub(crate) name: String,
    _dir: tempfile::TempDir,
}

impl Registry {
    /// With the program that `TEST_DOCKER_REGISTRY` names; `None`, which is said, where there is none.
    pub(crate) async fn start() -> Option<Self> {
        let Ok(program) = std::env::var("TEST_DOCKER_REGISTRY") else {
            println!("skipped: TEST_DOCKER_REGISTRY names no registry server");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (config, storage) = (dir.path().join("config.yml"), dir.path().join("data"));
        let text = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: 127.0.0.1:{port}}}\n",
            storage.display()
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new(program);
        let process = command.arg("serve").arg(&config).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let registry = Self { process, name: format!("127.0.0.1:{port}"), _dir: dir };
        let ready = async {
            while tokio::net::TcpStream::connect(&registry.name).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), ready).await.expect("the registry starts");
        Some(registry)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
