//! A moto server of the tests, which ends with them.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use taskcluster::provisioner::CreateWorkerTypeRequest;
use taskcluster_core::clock::SystemClock;
use taskcluster_core::transport::Transport;
use taskcluster_core::transport::http::HttpTransport;
use taskcluster_provisioner::provider::ec2::api::{Client, Credentials, CredentialsSource};
use taskcluster_provisioner::provider::ec2::{Ec2, Ec2Config};
use taskcluster_provisioner::provider::{Launch, Offer};
use taskcluster_provisioner::worker_type::Definition;
use tokio::sync::OnceCell;

pub(crate) const TIMEOUT: Duration = Duration::from_secs(120);
pub(crate) const REGION: &str = "us-west-2";

/// Starts a server, and ends it when nobody holds its input any more: when the tests have ended, however they did.
const GUARDED: &str = r#"
"$0" "$@" & server=$!
exec 2>&-
read -r _
kill $server
"#;

/// A server. All tests have the same, which takes seconds to start: each has a provisioner of its own, or a region.
pub(crate) struct Moto {
    pub(crate) url: String,
    pub(crate) transport: Transport,
}

impl Moto {
    /// The server; `None`, which is said, where moto is not installed.
    pub(crate) async fn start() -> Option<Self> {
        let Ok(installed) = std::env::var("TEST_EC2") else {
            println!("skipped: TEST_EC2 does not say where moto is installed");
            return None;
        };
        static SERVER: OnceCell<(String, Child)> = OnceCell::const_new();
        let begun = async || tokio::task::spawn_blocking(move || begin(&installed)).await.unwrap();
        let (url, _) = tokio::time::timeout(TIMEOUT, SERVER.get_or_init(begun)).await.expect("moto starts");
        Some(Self { url: url.clone(), transport: HttpTransport::new().unwrap().into_transport() })
    }

    pub(crate) fn config(&self, change: impl FnOnce(&mut Value)) -> Ec2Config {
        let mut config = json!({
            "regions": [REGION, "us-east-1"], "access_key_id": "key", "secret_access_key": "secret", "endpoint": self.url,
            "on_demand_prices": {REGION: {"c5.large": 0.085}},
        });
        change(&mut config);
        serde_json::from_value(config).unwrap()
    }

    /// The provider of a provisioner of that name, which has just started.
    pub(crate) fn provider(&self, name: &str) -> Ec2 {
        Ec2::new(self.config(|_| {}), name, self.transport.clone(), SystemClock::shared()).unwrap()
    }

    pub(crate) fn client(&self) -> Client {
        let credentials =
            Credentials { access_key_id: "key".to_owned(), secret_access_key: "secret".into(), session_token: None };
        let source = CredentialsSource::Static(credentials);
        Client::new(self.transport.clone(), SystemClock::shared(), source).with_endpoint(&*self.url)
    }
}

/// A server, and the process whose input keeps it.
fn begin(installed: &str) -> (String, Child) {
    let mut server = Command::new("sh")
        .args(["-c", GUARDED])
        .arg(Path::new(installed).join("bin/moto_server"))
        .args(["-H", "127.0.0.1", "-p", "0"])
        .env("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("there is a shell");
    let mut lines = BufReader::new(server.stderr.take().unwrap()).lines();
    let url = lines.find_map(|line| Some(line.unwrap().split_once("Running on ")?.1.trim().to_owned()));
    // It writes a line for each request.
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
    (url.expect("moto says where it is"), server)
}

pub(crate) fn definition(change: impl FnOnce(&mut Value)) -> Definition {
    let mut sent = json!({
        "description": "", "owner": "o@example.com", "maxCapacity": 10, "scalingRatio": 0,
        "provider": {
            "kind": "ec2", "minPrice": 0.0, "maxPrice": 0.1, "canUseOndemand": true,
            "launchSpec": {"SecurityGroups": ["default"]},
            "regions": [{"region": REGION, "launchSpec": {"ImageId": "ami-1"}}],
            "instanceTypes": [{"instanceType": "c5.large", "capacity": 1, "utility": 1}],
        },
    });
    change(&mut sent);
    Definition::new(serde_json::from_value::<CreateWorkerTypeRequest>(sent).unwrap())
}

pub(crate) fn launch(instance_id: &str, offer: &Offer) -> Launch {
    Launch {
        instance_id: instance_id.to_owned(),
        worker_type: "builders".to_owned(),
        definition: definition(|_| {}),
        offer: offer.clone(),
        user_data: json!({"instance": instance_id}).as_object().unwrap().clone(),
    }
}
