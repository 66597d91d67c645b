//! What is asked before anything is started, and lists that are long.

use serde_json::json;
use taskcluster_core::time::{Timestamp, hours};
use taskcluster_provisioner::provider::ec2::api::Query;
use taskcluster_provisioner::provider::{Provider, ProviderError};

use crate::moto::{Moto, REGION, definition};

#[tokio::test]
async fn offers_come_from_prices_and_zones() {
    let Some(moto) = Moto::start().await else { return };
    let offers = moto.provider("ours").offers(&definition(|_| {})).await.unwrap();
    let zones = |spot: bool| -> Vec<&str> {
        offers.iter().filter(|offer| offer.bid.is_some() == spot).map(|offer| &*offer.place.zone).collect()
    };
    let all = ["us-west-2a", "us-west-2b", "us-west-2c", "us-west-2d"];
    assert_eq!((zones(true), zones(false)), (all.to_vec(), all.to_vec()));
    let spot = offers.iter().find(|offer| offer.bid.is_some()).unwrap();
    // What moto says that everything costs.
    assert_eq!((spot.price, spot.bid), (0.000_01, Some(0.000_02)));
    let full = offers.iter().find(|offer| offer.bid.is_none()).unwrap();
    assert_eq!((full.price, &*full.worker_group), (0.085, REGION));
    let cheap = definition(|sent| sent["provider"]["maxPrice"] = json!(0.000_001));
    assert_eq!(moto.provider("ours").offers(&cheap).await.unwrap(), []);
}

#[tokio::test]
async fn prices_are_those_of_the_types_that_are_asked_for() {
    let Some(moto) = Moto::start().await else { return };
    let types = ["c5.large", "m5.large"].map(str::to_owned);
    let prices = moto.client().spot_prices(REGION, &types, Timestamp::now() - hours(1)).await.unwrap();
    for name in &types {
        assert!(prices.iter().any(|price| price.instance_type == *name), "{name}");
    }
    assert!(prices.iter().all(|price| types.contains(&price.instance_type) && price.price > 0.0));
}

#[tokio::test]
async fn a_definition_is_rehearsed() {
    let Some(moto) = Moto::start().await else { return };
    let ec2 = moto.provider("rehearsing");
    let told = ec2.specify(&definition(|_| {})).await.unwrap();
    assert_eq!((told.len(), told[0].fault.as_deref()), (1, None));
    // What moto looks at before it says that it would do it.
    let unknown = definition(|sent| {
        sent["provider"]["launchSpec"] = json!({"IamInstanceProfile": {"Name": "nobody"}});
        let other = json!({"instanceType": "m5.large", "capacity": 1, "utility": 0});
        sent["provider"]["instanceTypes"].as_array_mut().unwrap().push(other);
    });
    let told = ec2.specify(&unknown).await.unwrap();
    assert!(told[0].fault.as_ref().unwrap().contains("RunInstances with NoSuchEntity"), "{:?}", told[0].fault);
    assert_eq!(told[1].fault.as_deref(), Some("the utility of m5.large is not above 0"));
    let started = Query::new().with_filter("tag:taskcluster:provisioner", ["rehearsing"]);
    assert_eq!(moto.client().describe_instances(REGION, started).await.unwrap(), []);
}

#[tokio::test]
async fn lists_of_many_pages_are_read_to_their_end() {
    const THEIRS: &str = "eu-central-1"; // No other test starts anything there.
    let Some(moto) = Moto::start().await else { return };
    let client = moto.client().with_page(5);
    let tag = |query: Query, value: &str| {
        let query = query.with("TagSpecification.1.ResourceType", "instance");
        query.with("TagSpecification.1.Tag.1.Key", "batch").with("TagSpecification.1.Tag.1.Value", value)
    };
    for n in 0..23 {
        let query = Query::new().with("ImageId", "ami-1").with("InstanceType", "c5.large");
        client.run_instance(THEIRS, tag(query, if n % 2 == 0 { "even" } else { "odd" })).await.unwrap();
    }
    let count = async |query| {
        let found = client.describe_instances(THEIRS, query).await.unwrap();
        let different: std::collections::HashSet<_> = found.iter().map(|found| found.id.clone()).collect();
        assert_eq!(different.len(), found.len());
        found
    };
    assert_eq!(count(Query::new()).await.len(), 23);
    let even = count(Query::new().with_filter("tag:batch", ["even"])).await;
    assert_eq!(even.len(), 12);
    let ids: Vec<_> = even.into_iter().map(|found| found.id).collect();
    client.terminate_instances(THEIRS, &ids).await.unwrap();
    let running = Query::new().with_filter("instance-state-name", ["running"]);
    assert_eq!(count(running).await.len(), 11);
}

#[tokio::test]
async fn an_endpoint_where_nobody_is_is_away() {
    let Some(moto) = Moto::start().await else { return };
    let config = moto.config(|config| config["endpoint"] = "ftp://nowhere".into());
    let clock = taskcluster_core::clock::SystemClock::shared();
    let ec2 = taskcluster_provisioner::provider::ec2::Ec2::new(config, "ours", moto.transport.clone(), clock).unwrap();
    assert!(matches!(ec2.list().await, Err(ProviderError::Away { .. })));
    assert!(matches!(ec2.offers(&definition(|_| {})).await, Err(ProviderError::Away { .. })));
}
