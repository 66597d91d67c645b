//! Workers on machines of EC2: moto keeps the machines, and the double makes each of them a process of this program, which finds its user
//! data and the notice of its end where a machine of EC2 does.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use taskcluster_provisioner::provider::ec2::api::{Ec2State, Query};
use tokio::time::timeout;

use super::gated::{Gate, Gated, Held, MOST, TASKS, until};
use crate::deployment::Up;
use crate::fixture::{Fixture, PATIENCE};

#[path = "../../../../provisioner/tests/ec2/double.rs"]
#[allow(clippy::disallowed_methods, reason = "what it spawns ends with it")]
#[expect(dead_code, reason = "the provider's own tests need more of it")]
mod double;
#[path = "../../../../provisioner/tests/ec2/moto.rs"]
#[expect(dead_code, reason = "the provider's own tests need more of it")]
mod moto;

use double::{Double, Doubled};
use moto::{Moto, REGION};

/// What a machine does: it works, and then turns itself off; unless somebody has put a file of that name, for a machine that stays on
/// until it is taken away.
const BOOT: &str = r#""$@"; while [ -e "$0" ]; do sleep 0.1; done"#;

/// How long EC2 lets a machine go on that it takes away.
const NOTICE: Duration = Duration::from_secs(120);

/// What EC2 knows machines of this deployment by.
async fn mark(gated: &Gated) -> String {
    let specified = gated.tc.provisioner().get_launch_specs("spot").all().await.unwrap();
    let launch = Value::Object(specified[0].launch_spec.clone());
    let tags = launch["TagSpecification"][0]["Tag"].as_array().unwrap();
    let tag = tags.iter().find(|tag| tag["Key"] == "taskcluster:provisioner").unwrap();
    tag["Value"].as_str().unwrap().to_owned()
}

struct Cloud {
    moto: Moto,
    double: Double,
    mark: String,
    folder: PathBuf,
}

impl Cloud {
    /// With machines that are processes, whose files are in a folder.
    fn with_machines(moto: Moto, mark: String, folder: &Path) -> Self {
        let here = folder.display();
        let boot = ["sh".to_owned(), "-c".to_owned(), BOOT.to_owned(), format!("{here}/stays-{{instance}}")];
        let run = [env!("CARGO_BIN_EXE_taskcluster"), "native-worker", "run", "--isolation", "none"];
        let told = ["--user-data", "ec2", "--metadata-url", "{metadata}", "--termination-notices", "ec2"];
        let room = ["--required-disk-space", "1000000", "--work-dir"];
        let work = format!("{here}/work-{{instance}}");
        let words = run.into_iter().chain(told).chain(room).map(str::to_owned);
        let doubled = Doubled {
            url: moto.url.clone(),
            regions: vec![REGION.to_owned()],
            provisioner: mark.clone(),
            command: boot.into_iter().chain(words).chain([work]).collect(),
            env: vec![("RUST_LOG".to_owned(), "warn".to_owned())],
        };
        let double = Double::start(doubled, moto.client(), moto.transport.clone());
        Self { moto, double, mark, folder: folder.to_owned() }
    }

    /// EC2's name of the machine that does a task.
    async fn machine(&self, gated: &Gated, held: &Held) -> String {
        let instance = gated.instances().await.into_iter().find(|instance| instance.instance_id == held.worker_id);
        instance.and_then(|instance| instance.provider_instance_id).expect("EC2 has given it a name")
    }

    /// Has a machine stay on when its worker has ended.
    fn keep_on(&self, machine: &str) {
        std::fs::write(self.folder.join(format!("stays-{machine}")), "").unwrap();
    }

    /// The machines that have not ended.
    async fn machines(&self) -> Vec<String> {
        let ours = Query::new().with_filter("tag:taskcluster:provisioner", [&*self.mark]);
        let mut found = self.moto.client().describe_instances(REGION, ours).await.unwrap();
        found.retain(|found| found.state != Ec2State::Terminated);
        found.into_iter().map(|found| found.id).collect()
    }
}

/// A deployment that has its machines of moto.
fn up_at(address: &str, fixture: &Fixture, moto: &Moto) -> Up {
    let variables =
        [("AWS_ENDPOINT_URL_EC2", &*moto.url), ("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    Up::start_at(fixture, address, &["--provider", &format!("ec2?region={REGION}")], &variables)
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_come_and_go_also_those_that_are_taken_away_meanwhile() {
    let Some(moto) = Moto::start().await else { return };
    let fixture = Fixture::empty();
    let gate = Gate::closed(fixture.folder().join("gate"));
    let up = up_at("127.0.0.1:0", &fixture, &moto);
    let spot = json!({
        "kind": "ec2", "minPrice": 0.0, "maxPrice": 0.1, "canUseOndemand": false, "launchSpec": {},
        "regions": [{"region": REGION, "launchSpec": {"ImageId": "ami-1"}}],
        "instanceTypes": [{"instanceType": "c5.large", "capacity": 1, "utility": 1}],
    });
    let mut gated = Gated::define(&up, "spot", spot).await;
    let cloud = Cloud::with_machines(moto, mark(&gated).await, fixture.folder());
    gated.create(TASKS, gate.folder().to_str().unwrap()).await;

    // kill -9, while machines are being started or have just begun.
    until(|| async { (!cloud.machines().await.is_empty()).then_some(()) }).await;
    let address = up.address();
    drop(up);
    let up = up_at(&address, &fixture, &cloud.moto);
    let gated = gated.again(&up);

    let held = gated.held(MOST).await;
    assert_eq!(cloud.machines().await.len(), MOST);
    let taken = [cloud.machine(&gated, &held[0]).await, cloud.machine(&gated, &held[1]).await];
    cloud.keep_on(&taken[0]);
    for machine in &taken {
        assert!(cloud.double.interrupt(machine, NOTICE));
    }
    for held in &held[..2] {
        assert_eq!(gated.reason(held).await, "worker-shutdown");
    }
    // The second one turned itself off. For the first one the time is over.
    assert!(cloud.machines().await.contains(&taken[0]));
    cloud.double.interrupt(&taken[0], Duration::ZERO);
    until(|| async { (!cloud.machines().await.iter().any(|machine| taken.contains(machine))).then_some(()) }).await;
    // Others take their places.
    let now = gated.held(MOST).await;
    assert!(now.iter().all(|now| held[..2].iter().all(|held| held.worker_id != now.worker_id)), "{now:?}");

    gate.open();
    assert_eq!(gated.completed().await, ["worker-shutdown"; 2]);
    gated.forsaken().await;
    until(|| async { cloud.machines().await.is_empty().then_some(()) }).await;
    timeout(PATIENCE, cloud.double.until(0)).await.unwrap();
    up.stop();
    cloud.double.stop().await;
}
