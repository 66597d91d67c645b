//! Machines that are processes: for each instance that moto has running, a local process is started, which finds a metadata service
//! of its own as a machine of EC2 would, and which ends with its instance, as the instance does with it.
//!
//! Moto tells nobody of what happens, so it is asked, a few times a second.

use std::collections::{BTreeMap, HashMap};
use std::os::unix::process::CommandExt as _;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, put};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Request;
use taskcluster_core::time::Timestamp;
use taskcluster_core::transport::{Body, Transport};
use taskcluster_provisioner::provider::ec2::api::{Client, Ec2State, FoundInstance, Query};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The token of every metadata service, which is nobody's secret.
const TOKEN: &str = "a-session";

/// How often moto is asked.
const INTERVAL: Duration = Duration::from_millis(200);

/// What is to be doubled.
#[derive(Clone, Debug)]
pub(crate) struct Doubled {
    /// Where moto is.
    pub(crate) url: String,
    /// The regions whose machines are processes.
    pub(crate) regions: Vec<String>,
    /// The mark of the provisioner whose machines are processes.
    pub(crate) provisioner: String,
    /// Program and arguments of each process; `{metadata}` in them becomes the address of its metadata service, `{instance}` what EC2
    /// calls the instance.
    pub(crate) command: Vec<String>,
    /// Variables for it, in addition to ours and to `EC2_METADATA`, the address of its metadata service.
    pub(crate) env: Vec<(String, String)>,
}

/// The machines. All of them end when it is dropped.
#[derive(Debug)]
pub(crate) struct Double {
    machines: Machines,
    /// How often moto was looked at.
    passes: watch::Receiver<u64>,
    task: JoinHandle<()>,
    end: DropGuard,
}

/// Why a machine could not be made.
type Failure = Box<dyn std::error::Error + Send + Sync>;

type Machines = Arc<Mutex<BTreeMap<String, Machine>>>;

/// A process that is a machine.
#[derive(Debug)]
struct Machine {
    process: Child,
    group: Option<rustix::process::Pid>,
    facts: Arc<Facts>,
    region: String,
    metadata: JoinHandle<()>,
}

/// What its metadata service tells.
#[derive(Debug)]
struct Facts {
    texts: HashMap<&'static str, String>,
    user_data: Vec<u8>,
    /// When it is to end, once it is to be interrupted.
    ends: Mutex<Option<Timestamp>>,
}

impl Double {
    /// Begin to make processes of machines. `client` asks moto.
    pub(crate) fn start(doubled: Doubled, client: Client, transport: Transport) -> Self {
        let machines = Machines::default();
        let end = CancellationToken::new();
        let (ended, ours) = (end.clone(), Arc::clone(&machines));
        let (passed, passes) = watch::channel(0);
        let task = tokio::spawn(async move {
            let asking = async {
                loop {
                    for region in &doubled.regions {
                        if let Err(error) = pass(&doubled, &client, &transport, region, &ours).await {
                            eprintln!("the double has not seen {region}: {error}");
                        }
                    }
                    passed.send_modify(|passes| *passes += 1);
                    tokio::time::sleep(INTERVAL).await;
                }
            };
            tokio::select! {
                () = ended.cancelled() => {}
                () = asking => {}
            }
            lock(&ours).clear();
        });
        Self { machines, passes, task, end: end.drop_guard() }
    }

    /// The instances whose processes run, by EC2's names.
    pub(crate) fn running(&self) -> Vec<String> {
        lock(&self.machines).keys().cloned().collect()
    }

    /// The metadata service of an instance.
    pub(crate) fn metadata(&self, id: &str) -> Option<String> {
        lock(&self.machines).get(id).map(|machine| machine.facts.texts["metadata"].clone())
    }

    /// Waits until so many processes run. Put it under a timeout.
    pub(crate) async fn until(&self, number: usize) -> Vec<String> {
        let mut passes = self.passes.clone();
        loop {
            let running = self.running();
            if running.len() == number {
                return running;
            }
            passes.changed().await.expect("the double goes on");
        }
    }

    /// Tell an instance that it is to be taken away, which happens after the time of notice, two minutes at EC2. `false` if it is not
    /// there.
    pub(crate) fn interrupt(&self, id: &str, notice: Duration) -> bool {
        let machines = lock(&self.machines);
        let Some(machine) = machines.get(id) else { return false };
        *lock(&machine.facts.ends) = Some(Timestamp::now() + notice);
        true
    }

    /// Kill the process of an instance, as if its machine had turned itself off.
    pub(crate) fn turn_off(&self, id: &str) {
        if let Some(machine) = lock(&self.machines).get(id) {
            machine.kill();
        }
    }

    /// End all processes, and wait until they are told.
    #[allow(dead_code, reason = "for tests that look at what is left")]
    pub(crate) async fn stop(self) {
        let Self { task, end, .. } = self;
        drop(end);
        let _ = task.await;
    }
}

impl Machine {
    fn kill(&self) {
        if let Some(group) = self.group {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.kill();
        self.metadata.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

/// Make the processes of a region what its machines are, and the machines what their processes are.
async fn pass(
    doubled: &Doubled,
    client: &Client,
    transport: &Transport,
    region: &str,
    machines: &Machines,
) -> Result<(), Failure> {
    let ours = Query::new()
        .with_filter("tag:taskcluster:provisioner", [&*doubled.provisioner])
        .with_filter("instance-state-name", ["running"]);
    let running: Vec<_> = client.describe_instances(region, ours).await?;
    for found in running.iter().filter(|found| found.state == Ec2State::Running) {
        if !lock(machines).contains_key(&found.id) {
            let user_data = user_data(doubled, transport, region, &found.id).await?;
            let machine = begin(doubled, region, found, user_data).await?;
            lock(machines).insert(found.id.clone(), machine);
        }
    }
    let there = |id: &String| running.iter().any(|found| found.id == *id);
    let now = Timestamp::now();
    let mut over = Vec::new();
    lock(machines).retain(|id, machine| {
        if machine.region != region {
            return true;
        }
        let ended = machine.process.try_wait().is_ok_and(|status| status.is_some());
        let interrupted = lock(&machine.facts.ends).is_some_and(|ends| ends <= now);
        if there(id) && (ended || interrupted) {
            over.push(id.clone());
        }
        there(id) && !ended && !interrupted
    });
    Ok(client.terminate_instances(region, &over).await?)
}

/// Start the process of a machine.
async fn begin(doubled: &Doubled, region: &str, found: &FoundInstance, user_data: Vec<u8>) -> Result<Machine, Failure> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let texts = HashMap::from([
        ("metadata", url.clone()),
        ("instance-id", found.id.clone()),
        ("instance-type", found.instance_type.clone()),
        ("ami-id", found.image.clone()),
        ("instance-life-cycle", if found.spot { "spot" } else { "on-demand" }.to_owned()),
        ("placement/availability-zone", found.zone.clone()),
        ("placement/region", region.to_owned()),
    ]);
    let facts = Arc::new(Facts { texts, user_data, ends: Mutex::default() });
    let router = router(Arc::clone(&facts));
    let metadata = tokio::spawn(async move {
        let _ = axum::serve(listener, router).await;
    });
    let filled = |text: &String| text.replace("{metadata}", &url).replace("{instance}", &found.id);
    let (program, arguments) = doubled.command.split_first().ok_or("there is no command")?;
    let mut command = std::process::Command::new(filled(program));
    command.args(arguments.iter().map(filled)).envs(doubled.env.iter().map(|(name, value)| (name, filled(value))));
    // A group of its own, so that what it starts ends with it.
    command.env("EC2_METADATA", &url).process_group(0);
    let process = Command::from(command).kill_on_drop(true).spawn()?;
    let group = process.id().and_then(|id| rustix::process::Pid::from_raw(id.try_into().ok()?));
    Ok(Machine { process, group, facts, region: region.to_owned(), metadata })
}

/// What was given to an instance at its launch. Moto wants to know for which region, which the signature says, and does not check it.
async fn user_data(doubled: &Doubled, transport: &Transport, region: &str, id: &str) -> Result<Vec<u8>, Failure> {
    let form = format!("Action=DescribeInstanceAttribute&Version=2016-11-15&Attribute=userData&InstanceId={id}");
    let signature = format!(
        "AWS4-HMAC-SHA256 Credential=key/20260101/{region}/ec2/aws4_request, SignedHeaders=host, Signature=none"
    );
    let request = Request::post(&doubled.url)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("authorization", signature)
        .body(Body::from(form))?;
    let answer = transport.send(request).await?.into_body().collect(1 << 20).await?;
    let answer = String::from_utf8(answer.into())?;
    let text = answer.split_once("<value>").and_then(|(_, rest)| Some(rest.split_once("</value>")?.0));
    Ok(STANDARD.decode(text.unwrap_or_default())?)
}

/// The metadata service of a machine, version 2.
fn router(facts: Arc<Facts>) -> Router {
    let session = put(async |headers: HeaderMap| match headers.get("x-aws-ec2-metadata-token-ttl-seconds") {
        Some(_) => Ok(TOKEN),
        None => Err(StatusCode::BAD_REQUEST),
    });
    Router::new()
        .route("/latest/api/token", session)
        .route("/latest/user-data", get(told_user_data))
        .route("/latest/meta-data/spot/instance-action", get(told_action))
        .route("/latest/meta-data/{*fact}", get(told_fact))
        .with_state(facts)
}

fn allowed(headers: &HeaderMap) -> Result<(), StatusCode> {
    let known = headers.get("x-aws-ec2-metadata-token").is_some_and(|token| token == TOKEN);
    if known { Ok(()) } else { Err(StatusCode::UNAUTHORIZED) }
}

async fn told_user_data(State(facts): State<Arc<Facts>>, headers: HeaderMap) -> Result<Vec<u8>, StatusCode> {
    allowed(&headers)?;
    if facts.user_data.is_empty() { Err(StatusCode::NOT_FOUND) } else { Ok(facts.user_data.clone()) }
}

async fn told_action(State(facts): State<Arc<Facts>>, headers: HeaderMap) -> Result<String, StatusCode> {
    allowed(&headers)?;
    let ends = lock(&facts.ends).ok_or(StatusCode::NOT_FOUND)?;
    Ok(serde_json::json!({"action": "terminate", "time": ends}).to_string())
}

async fn told_fact(
    State(facts): State<Arc<Facts>>,
    Path(fact): Path<String>,
    headers: HeaderMap,
) -> Result<String, StatusCode> {
    allowed(&headers)?;
    facts.texts.get(&*fact).filter(|_| fact != "metadata").cloned().ok_or(StatusCode::NOT_FOUND)
}
