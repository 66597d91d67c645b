//! A moto server of a test's own, which ends with it.

use std::path::PathBuf;
use std::process::Stdio;
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
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

pub(crate) const TIMEOUT: Duration = Duration::from_secs(120);
pub(crate) const REGION: &str = "us-west-2";

/// A server, which is killed when it is dropped.
pub(crate) struct Moto {
    _server: Child,
    pub(crate) url: String,
    pub(crate) transport: Transport,
}

impl Moto {
    /// A server; `None`, which is said, where moto is not installed.
    pub(crate) async fn start() -> Option<Self> {
        let Ok(installed) = std::env::var("TEST_EC2") else {
            println!("skipped: TEST_EC2 does not say where moto is installed");
            return None;
        };
        let mut server = Command::new(PathBuf::from(installed).join("bin/moto_server"))
            .args(["-H", "127.0.0.1", "-p", "0"])
            .env("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("moto can be started");
        let mut lines = BufReader::new(server.stderr.take().unwrap()).lines();
        let found = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if let Some((_, url)) = line.split_once("Running on ") {
                    return url.trim().to_owned();
                }
            }
            panic!("moto has ended");
        };
        let url = tokio::time::timeout(TIMEOUT, found).await.expect("moto says where it is");
        // It writes a line for each request.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Some(Self { _server: server, url, transport: HttpTransport::new().unwrap().into_transport() })
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
