//! The double of machines that other tests rely on.

use std::time::Duration;

use http::{Method, Request};
use taskcluster_core::transport::{Body, Transport};
use taskcluster_provisioner::provider::ec2::Ec2;
use taskcluster_provisioner::provider::{Offer, Phase, Provider};
use tokio::time::timeout;

use crate::double::{Double, Doubled};
use crate::moto::{Moto, REGION, TIMEOUT, definition, launch};

async fn doubled(moto: &Moto, provisioner: &str) -> (Ec2, Offer, Double) {
    let doubled = Doubled {
        url: moto.url.clone(),
        regions: vec![REGION.to_owned()],
        provisioner: provisioner.to_owned(),
        command: ["sh", "-c", "test -n \"$EC2_METADATA\" && exec sleep 600"].map(str::to_owned).to_vec(),
        env: Vec::new(),
    };
    let double = Double::start(doubled, moto.client(), moto.transport.clone());
    let ec2 = moto.provider(provisioner);
    let offer = ec2.offers(&definition(|_| {})).await.unwrap().remove(0);
    (ec2, offer, double)
}

/// A question to a metadata service: status and text.
async fn ask(transport: &Transport, method: Method, url: String, header: (&str, &str)) -> (u16, String) {
    let request = Request::builder().method(method).uri(url).header(header.0, header.1);
    let answer = transport.send(request.body(Body::empty()).unwrap()).await.unwrap();
    let status = answer.status().as_u16();
    (status, String::from_utf8(answer.into_body().collect(1 << 20).await.unwrap().into()).unwrap())
}

/// Waits until what is listed under that name is in that phase.
async fn listed(ec2: &Ec2, name: &str, phase: Phase) {
    let there = async {
        while !ec2.list().await.unwrap().iter().any(|s| s.instance_id == name && s.phase == phase) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(TIMEOUT, there).await.unwrap();
}

#[tokio::test]
async fn a_machine_is_a_process_until_one_of_them_ends() {
    let Some(moto) = Moto::start().await else { return };
    let (ec2, offer, double) = doubled(&moto, "processes").await;
    let a = ec2.launch(&launch("a", &offer)).await.unwrap();
    let b = ec2.launch(&launch("b", &offer)).await.unwrap();
    let mut both = [a.clone(), b.clone()];
    both.sort();
    assert_eq!(timeout(TIMEOUT, double.until(2)).await.unwrap(), both);
    let mut there = ec2.list().await.unwrap();
    there.retain(|sighting| sighting.provider_id == a);
    ec2.end(&there).await.unwrap();
    assert_eq!(timeout(TIMEOUT, double.until(1)).await.unwrap(), std::slice::from_ref(&b));
    double.turn_off(&b);
    listed(&ec2, "b", Phase::Gone).await;
    assert_eq!(timeout(TIMEOUT, double.until(0)).await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn a_machine_finds_out_about_itself_and_about_its_end() {
    let Some(moto) = Moto::start().await else { return };
    let notice = Duration::from_secs(1);
    let (ec2, offer, double) = doubled(&moto, "metadata").await;
    let id = ec2.launch(&launch("a", &offer)).await.unwrap();
    timeout(TIMEOUT, double.until(1)).await.unwrap();
    let url = double.metadata(&id).unwrap();
    let ttl = ("x-aws-ec2-metadata-token-ttl-seconds", "60");
    let (_, token) = ask(&moto.transport, Method::PUT, format!("{url}/latest/api/token"), ttl).await;
    let session = ("x-aws-ec2-metadata-token", &*token);
    let told = async |path: &str| ask(&moto.transport, Method::GET, format!("{url}/latest/{path}"), session).await;
    assert_eq!(told("user-data").await, (200, r#"{"instance":"a"}"#.to_owned()));
    assert_eq!(told("meta-data/instance-id").await, (200, id.clone()));
    assert_eq!(told("meta-data/placement/region").await, (200, REGION.to_owned()));
    assert_eq!(told("meta-data/spot/instance-action").await.0, 404);
    let stranger = ask(&moto.transport, Method::GET, format!("{url}/latest/user-data"), ("x-none", "")).await;
    assert_eq!(stranger.0, 401);
    assert!(double.interrupt(&id, Duration::from_secs(600)), "long enough to look at it");
    let (status, action) = told("meta-data/spot/instance-action").await;
    assert_eq!(
        (status, &serde_json::from_str::<serde_json::Value>(&action).unwrap()["action"]),
        (200, &"terminate".into())
    );
    assert!(double.interrupt(&id, notice));
    listed(&ec2, "a", Phase::Gone).await;
    timeout(TIMEOUT, double.until(0)).await.unwrap();
    assert!(!double.interrupt(&id, notice));
}
