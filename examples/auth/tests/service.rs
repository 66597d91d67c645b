//! The service as a whole: events, restarts, real HTTP, and the program.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use service_kit::frame::Frame;
use service_kit::service::{self, Loops, Service as _};
use service_kit::store::Database;
use service_kit::testing::{self, output};
use taskcluster::auth::{Auth, CreateClientRequest, CreateRoleRequest, events};
use taskcluster::events::{Binding, Bus, MemoryBus, Message};
use taskcluster_auth::history::{Action, Entity, Record};
use taskcluster_auth::{AuthService, Options, Sealer, StaticClient, sealer_for};
use taskcluster_core::time::{Timestamp, hours};
use taskcluster_core::{Caller, Credentials};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const ROOT_TOKEN: &str = "root-token-of-the-tests-0123456789";

/// Far more than anything here takes.
const TIMEOUT: Duration = Duration::from_secs(120);

fn options(database: &Database, bus: &MemoryBus) -> Options {
    let sealer = sealer_for(database, None).unwrap();
    Options::new(Frame::new("http://auth.test", Arc::new(bus.clone())), database.clone(), sealer)
        .with_static_clients([StaticClient::root(ROOT_TOKEN)])
}

async fn open(database: &Database) -> AuthService {
    AuthService::open(options(database, &MemoryBus::new())).await.unwrap()
}

fn file(dir: &Path) -> Database {
    Database::Sqlite(dir.join("auth.db"))
}

/// Answers over HTTP until the token is cancelled.
async fn serve(auth: &AuthService, stop: &CancellationToken) -> (Auth, tokio::task::JoinHandle<std::io::Result<()>>) {
    let listener = service::listen("127.0.0.1:0").await.unwrap();
    let root_url = format!("http://{}", listener.local_addr().unwrap());
    let serving = service::run(listener, auth.router(), auth.background(), stop.clone());
    let serving = TaskTracker::new().spawn(serving);
    let root = Credentials::new("static/taskcluster/root", ROOT_TOKEN);
    (Auth::new(Caller::builder(&root_url).credentials(root).build().unwrap()), serving)
}

fn in_a_day() -> Timestamp {
    use taskcluster_core::Clock as _;
    taskcluster_core::SystemClock.now() + hours(24)
}

#[tokio::test]
async fn the_world_is_told_of_every_change_in_order() {
    let bus = MemoryBus::new();
    let bindings = events::ALL.iter().map(|event| Binding::everything(event.exchange));
    let mut messages = bus.subscribe(bindings.collect()).await.unwrap();
    let auth = AuthService::open(options(&Database::Memory, &bus)).await.unwrap();
    let stop = CancellationToken::new();
    let loops = Loops::start(auth.background(), &stop);
    let mut next =
        async || -> Message { tokio::time::timeout(TIMEOUT, messages.next()).await.unwrap().unwrap().unwrap() };

    let told = next().await;
    assert_eq!(told.exchange, "exchange/taskcluster-auth/v1/client-created");
    let backend = auth.backend();
    backend.create_role("r", "a role", &[], "somebody").await.unwrap();
    backend.delete_role("r", "somebody").await.unwrap();
    backend.delete_role("r", "somebody").await.unwrap();
    backend.create_role("s", "a role", &["x".to_owned()], "somebody").await.unwrap();
    for (exchange, role_id) in [("role-created", "r"), ("role-deleted", "r"), ("role-created", "s")] {
        let told = next().await;
        assert_eq!(told.exchange, format!("exchange/taskcluster-auth/v1/{exchange}"));
        assert_eq!((told.routing_key.as_str(), told.cc.len()), ("_", 0));
        let payload: serde_json::Value = serde_json::from_slice(&told.payload).unwrap();
        assert_eq!(payload, serde_json::json!({ "version": 1, "roleId": role_id }));
    }
    loops.stop().await.unwrap();
}

#[tokio::test]
async fn a_change_whose_request_was_given_up_holds_all_the_same() {
    let auth = open(&Database::Memory).await;
    let backend = auth.backend();
    backend.create_role("r", "a role", &["x".to_owned()], "somebody").await.unwrap();
    let stop = CancellationToken::new();
    let loops = Loops::start(auth.background(), &stop);
    // What is left of a request that ended between the commit and everything after it.
    let record = Record {
        entity: Entity::Role,
        entity_id: "r".to_owned(),
        action: Action::Deleted,
        client_id: "somebody".to_owned(),
        created: backend.clock().now(),
    };
    assert!(backend.store().delete_role("r", record).await.unwrap());
    let followed = async {
        while backend.expand(&["assume:r".to_owned()]).len() > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, followed).await.unwrap();
    loops.stop().await.unwrap();
}

#[tokio::test]
async fn it_answers_over_http_and_ends_when_told() {
    let auth = open(&Database::Memory).await;
    let stop = CancellationToken::new();
    let (client, serving) = serve(&auth, &stop).await;
    client.create_role("r", &CreateRoleRequest::new("a role", ["x"])).await.unwrap();
    let made = client
        .create_client("c", &CreateClientRequest::new("a client", in_a_day()).with_scopes(["assume:r"]))
        .await
        .unwrap();
    assert_eq!(made.expanded_scopes, ["assume:r", "x"]);
    stop.cancel();
    tokio::time::timeout(TIMEOUT, serving).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let database = file(dir.path());
    let before = open(&database).await;
    before.backend().create_role("r", "a role", &["x".to_owned()], "somebody").await.unwrap();
    before.close().await;
    let after = open(&database).await;
    assert_eq!(after.backend().expand(&["assume:r".to_owned()]).len(), 2);
}

#[tokio::test]
async fn tokens_that_were_sealed_with_another_key_are_not_accepted_silently() {
    let dir = tempfile::tempdir().unwrap();
    let database = file(dir.path());
    open(&database).await.close().await;
    let mut options = options(&database, &MemoryBus::new());
    options.sealer = Sealer::ephemeral().unwrap();
    let error = AuthService::open(options).await.unwrap_err();
    assert!(error.to_string().contains("another key"), "{error}");
}

#[tokio::test]
async fn no_token_stands_in_the_database() {
    let dir = tempfile::tempdir().unwrap();
    open(&file(dir.path())).await.close().await;
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let token = ROOT_TOKEN.as_bytes();
        assert!(!bytes.windows(token.len()).any(|window| window == token));
    }
}

fn program(dir: &Path) -> Command {
    let mut command = testing::program(env!("CARGO_BIN_EXE_taskcluster-auth"), "TC_AUTH", dir);
    command.env_remove("TASKCLUSTER_ROOT_URL");
    command
}

#[test]
fn the_program_checks_its_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let config = "[[static_clients]]\nclient_id = \"static/taskcluster/root\"\naccess_token = \"a-token-of-22-to-66-characters\"\n";
    std::fs::write(dir.path().join("auth.toml"), config).unwrap();
    let (fine, text) =
        output(program(dir.path()).args(["check-config", "--config", "auth.toml"]).env("TC_AUTH_LISTEN", "[::1]:80"));
    assert!(fine, "{text}");
    assert!(text.contains("[::1]:80") && text.contains("static/taskcluster/root"), "{text}");
    assert!(!text.contains("a-token-of"), "{text}");

    std::fs::write(dir.path().join("auth.toml"), config.replace("taskcluster/root", "taskcluster/rot")).unwrap();
    let (fine, text) = output(program(dir.path()).args(["check-config", "--config", "auth.toml"]));
    assert!(!fine && text.contains("static/taskcluster/root"), "{text}");
    std::fs::write(dir.path().join("auth.toml"), "websocktunel_secret = \"x\"").unwrap();
    let (fine, text) = output(program(dir.path()).args(["check-config", "--config", "auth.toml"]));
    assert!(!fine && text.contains("`websocktunnel_secret`"), "{text}");
}

#[test]
fn the_program_migrates_a_database() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let (fine, text) = output(program(dir.path()).args(["migrate", "--database", "sqlite:here.db"]));
        assert!(fine, "{text}");
        assert!(text.contains("sqlite:here.db is up to date"), "{text}");
    }
    assert!(dir.path().join("here.db").exists());
}

#[test]
fn help_ends_with_an_example() {
    let dir = tempfile::tempdir().unwrap();
    let (fine, text) = output(program(dir.path()).arg("--help"));
    assert!(fine && text.contains("Example:\n  taskcluster-auth serve"), "{text}");
}
