//! `doctor` of workers' programs, against a real deployment.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use harness::{Backend, Deployment, Ground, Options, Process, Tester, built, program, soon};
use rustix::process::geteuid;
use taskcluster::auth::CreateClientRequest;
use taskcluster::time::days;
use taskcluster::{Credentials, ManualClock, Timestamp};

/// A worker's program with a place to work, and with what it is told.
struct Doctor {
    worker: PathBuf,
    folder: tempfile::TempDir,
    root_url: String,
    credentials: Credentials,
}

impl Doctor {
    /// The program of this name, if it is built, of a deployment that it is root of.
    fn of(name: &str, root: &Tester) -> Option<Self> {
        let caller = root.caller();
        Some(Self {
            worker: built(name)?,
            folder: tempfile::tempdir().unwrap(),
            root_url: caller.root_url().to_string(),
            credentials: caller.credentials().unwrap(),
        })
    }

    fn with(mut self, credentials: Credentials) -> Self {
        self.credentials = credentials;
        self
    }

    fn command(&self, more: &[(&str, &str)]) -> Command {
        let name = self.worker.file_name().unwrap().to_string_lossy().replace('-', "_").to_uppercase();
        let mut command = Command::new(&self.worker);
        command.args(["doctor", "--worker-id", "w"]).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("TASKCLUSTER_ROOT_URL", &self.root_url);
        command.env("TASKCLUSTER_CLIENT_ID", &self.credentials.client_id);
        command.env("TASKCLUSTER_ACCESS_TOKEN", self.credentials.access_token.expose());
        command.env(format!("{name}_WORK_DIR"), self.folder.path());
        command.env(format!("{name}_REQUIRED_DISK_SPACE"), "0");
        command.env(format!("{name}_TASK_QUEUE_ID"), "a/b").env(format!("{name}_GROUP"), "g");
        command.envs(more.iter().copied());
        command
    }

    /// What it prints, and whether it found nothing wrong.
    fn says(&self, more: &[(&str, &str)]) -> (String, bool) {
        run(&mut self.command(more))
    }
}

fn run(command: &mut Command) -> (String, bool) {
    let output = command.output().unwrap();
    (String::from_utf8(output.stdout).unwrap(), output.status.success())
}

/// Tasks of the native worker run as its own user.
const ALONE: (&str, &str) = ("NATIVE_WORKER_ISOLATION", "none");

#[tokio::test(flavor = "multi_thread")]
async fn it_says_what_is_wrong_and_what_to_do() {
    let Some(program) = program() else { return };
    let process = soon(Process::start(program, Ground::default())).await.unwrap();
    let root = process.root();
    let Some(doctor) = Doctor::of("native-worker", &root) else { return };

    let (said, well) = doctor.says(&[ALONE]);
    assert!(well, "{said}");
    for good in ["deployment", "clock", "credentials", "work directory", "caches"] {
        assert!(said.contains(&format!("ok     {good}: ")), "{good}: {said}");
    }
    assert!(said.contains("note   users: isolation is \"none\""), "{said}");

    let client_id = doctor.credentials.client_id.clone();
    let doctor = doctor.with(Credentials::new(client_id, "not-the-token-not-the-token-not-the-token"));
    let (said, well) = doctor.says(&[ALONE]);
    assert!(
        !well && said.contains("WRONG  credentials: ") && said.contains("Check client_id and access_token"),
        "{said}"
    );

    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap().to_string();
    let more = [("NATIVE_WORKER_LIVE_LOG_ADDRESS", &*address), ("NATIVE_WORKER_CACHE_DIR", "/proc/none")];
    let more = [ALONE, more[0], more[1], ("NATIVE_WORKER_REQUIRED_DISK_SPACE", "1000000000000000")];
    let (said, well) = doctor.says(&more);
    assert!(!well, "{said}");
    for wrong in ["work directory", "caches", "live logs"] {
        assert!(said.contains(&format!("WRONG  {wrong}: ")), "{wrong}: {said}");
    }

    let nobody = [ALONE, ("TASKCLUSTER_ROOT_URL", "http://127.0.0.1:9")];
    let (said, well) = doctor.says(&nobody);
    assert!(!well && said.contains("WRONG  deployment: http://127.0.0.1:9 does not answer"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn scopes_that_are_missing_are_named_with_what_that_means() {
    let deployment = soon(Deployment::start(Options::on(Backend::Sqlite))).await.unwrap();
    let root = deployment.root();
    let scopes = ["auth:current-scopes", "queue:claim-work:a/b", "queue:worker-id:g/*"];
    let client = CreateClientRequest::new("For a test.", root.now() + days(1)).with_scopes(scopes);
    let made = soon(root.auth().create_client("some/worker", &client).into_future()).await.unwrap();
    let Some(doctor) = Doctor::of("native-worker", &root) else { return };
    let doctor = doctor.with(Credentials::new("some/worker", made.access_token));

    // It works, and what it must do without is said.
    let (said, well) = doctor.says(&[ALONE]);
    assert!(well && said.contains("ok     credentials: some/worker is known"), "{said}");
    for price in [
        "queue:quarantine-worker:a/b/g/w is missing: it goes on claiming tasks",
        "queue:claim-task:a/b is missing: runs that it was killed with",
    ] {
        assert!(said.contains(&format!("note   scopes: {price}")), "{price}: {said}");
    }

    let other = [("NATIVE_WORKER_GROUP", "h"), ("NATIVE_WORKER_TASK_QUEUE_ID", "a/c")];
    let (said, well) = doctor.says(&[ALONE, other[0], other[1]]);
    assert!(!well, "{said}");
    for scope in ["queue:claim-work:a/c", "queue:worker-id:h/w"] {
        let wrong = format!(
            "WRONG  scopes: {scope} is missing\n       Add it to the client, or to a role that the client assumes."
        );
        assert!(said.contains(&wrong), "{scope}: {said}");
    }
    deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_off_is_named_with_by_how_much() {
    for (offset, which) in [(7200, "behind"), (-7200, "ahead of")] {
        let now = Timestamp::now();
        let apart = Duration::from_secs(7200);
        let clock = ManualClock::at(if offset > 0 { now + apart } else { now - apart });
        let options = Options::on(Backend::Sqlite).with_clock(clock);
        let deployment = soon(Deployment::start(options)).await.unwrap();
        let Some(doctor) = Doctor::of("native-worker", &deployment.root()) else { return };
        let (said, well) = doctor.says(&[ALONE]);
        let line = said.lines().find(|line| line.starts_with("WRONG  clock: ")).unwrap_or_else(|| panic!("{said}"));
        let seconds: u64 = line.split(' ').find_map(|word| word.parse().ok()).unwrap();
        // The clock of the machine goes on meanwhile, that of the deployment stands.
        assert!(seconds.abs_diff(7200) < 600 && line.ends_with(&format!("{which} the deployment's")), "{said}");
        assert!(!well && said.contains("       Set it, best by a time service"), "{said}");
        deployment.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_made_and_removed_where_tasks_are_to_have_their_own() {
    let deployment = soon(Deployment::start(Options::on(Backend::Sqlite))).await.unwrap();
    let Some(doctor) = Doctor::of("native-worker", &deployment.root()) else { return };
    let users = ("NATIVE_WORKER_ISOLATION", "user");
    if geteuid().is_root() {
        let before = std::fs::read_to_string("/etc/passwd").unwrap();
        let (said, well) = doctor.says(&[users]);
        let line = said.lines().find(|line| line.starts_with("ok     users: ")).unwrap_or_else(|| panic!("{said}"));
        let name = line.trim_start_matches("ok     users: ").trim_end_matches(" was made and removed");
        assert!(well && line.ends_with(" was made and removed") && !before.contains(&format!("{name}:")), "{said}");
        assert!(
            !std::fs::read_to_string("/etc/passwd").unwrap().contains(&format!("{name}:")),
            "{name} is still there"
        );
    }
    let mut command = doctor.command(&[users]);
    if geteuid().is_root() {
        // Whoever may do nothing else.
        command.uid(65534).gid(65534);
        if !may_be_run(&doctor.worker) {
            println!("skipped: {} can be run by root only", doctor.worker.display());
            return;
        }
    }
    let (said, well) = run(&mut command);
    assert!(!well && said.contains("WRONG  users: only root can make users for tasks"), "{said}");
    assert!(said.contains("       Run the worker as root, or set isolation to none"), "{said}");
}

/// Whether any user may run this file.
fn may_be_run(file: &Path) -> bool {
    let mut command = Command::new("test");
    command.arg("-x").arg(file).uid(65534).gid(65534);
    command.status().is_ok_and(|status| status.success())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_docker_engine_it_says_how_to_have_one() {
    let deployment = soon(Deployment::start(Options::on(Backend::Sqlite))).await.unwrap();
    let Some(doctor) = Doctor::of("docker-worker", &deployment.root()) else { return };
    let (said, well) = doctor.says(&[("DOCKER_WORKER_DOCKER", "unix:///nowhere/docker.sock")]);
    assert!(!well && said.contains("WRONG  Docker: ") && said.contains("/nowhere/docker.sock"), "{said}");
    assert!(said.contains("       Start it, set `docker` to where it listens"), "{said}");
    // What does not hang on it was looked at all the same.
    for good in ["deployment", "clock", "credentials", "work directory"] {
        assert!(said.contains(&format!("ok     {good}: ")), "{good}: {said}");
    }
    deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_docker_engine_is_asked_what_it_can() {
    let Ok(host) = std::env::var("TEST_DOCKER") else {
        println!("skipped: TEST_DOCKER names no Docker engine");
        return;
    };
    let deployment = soon(Deployment::start(Options::on(Backend::Sqlite))).await.unwrap();
    let Some(doctor) = Doctor::of("docker-worker", &deployment.root()) else { return };
    let (said, well) = doctor.says(&[("DOCKER_WORKER_DOCKER", &host)]);
    assert!(well, "{said}");
    assert!(
        said.contains("ok     Docker: version ") && said.contains(&format!(" at {host}, storage driver ")),
        "{said}"
    );
    assert!(said.contains("ok     networks: one was made and removed"), "{said}");
    assert!(said.contains("     limits: ") && said.contains("     images: "), "{said}");
    let listed =
        Command::new("docker").args(["network", "ls", "--format", "{{.Name}}"]).env("DOCKER_HOST", &host).output();
    // Where there is a client, it shows that nothing is left.
    if let Ok(listed) = listed {
        let names = String::from_utf8_lossy(&listed.stdout).into_owned();
        assert!(!names.contains("taskcluster-doctor-"), "{names}");
    }
    deployment.stop().await;
}
