//! Machines come, are listed, and go.

use taskcluster_core::time::Timestamp;
use taskcluster_provisioner::provider::ec2::api::{Ec2State, Query};
use taskcluster_provisioner::provider::{Phase, Provider, Sighting};

use crate::moto::{Moto, REGION, definition, launch};

fn names(listed: &[Sighting], phase: Phase) -> Vec<&str> {
    let mut names: Vec<_> = listed.iter().filter(|s| s.phase == phase).map(|s| &*s.instance_id).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn a_launch_of_the_same_name_is_the_same_machine() {
    let Some(moto) = Moto::start().await else { return };
    let ec2 = moto.provider("twice");
    let offers = ec2.offers(&definition(|_| {})).await.unwrap();
    let id = ec2.launch(&launch("a", &offers[0])).await.unwrap();
    assert_eq!(ec2.launch(&launch("a", &offers[0])).await.unwrap(), id);
    let listed = ec2.list().await.unwrap();
    assert_eq!((listed.len(), &*listed[0].provider_id, listed[0].phase), (1, &*id, Phase::Alive));
    assert_eq!(listed[0].place.as_ref().unwrap(), &offers[0].place);
    // One that has started anew and looked around knows it, too.
    let anew = moto.provider("twice");
    anew.list().await.unwrap();
    assert_eq!(anew.launch(&launch("a", &offers[0])).await.unwrap(), id);
    assert_eq!(anew.list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn machines_are_what_was_offered_and_carry_our_marks() {
    let Some(moto) = Moto::start().await else { return };
    let ec2 = moto.provider("marks");
    let offers = ec2.offers(&definition(|_| {})).await.unwrap();
    let full = offers.iter().find(|offer| offer.bid.is_none()).unwrap();
    let spot = offers.iter().find(|offer| offer.bid.is_some() && offer.place.zone == "us-west-2b").unwrap();
    ec2.launch(&launch("full", full)).await.unwrap();
    ec2.launch(&launch("spot", spot)).await.unwrap();
    let marked = Query::new().with_filter("tag:taskcluster:provisioner", ["marks"]);
    let mut found = moto.client().describe_instances(REGION, marked).await.unwrap();
    found.sort_by_key(|found| found.spot);
    let [full, spot] = &found[..] else { panic!("{found:?}") };
    for (machine, name) in [(full, "full"), (spot, "spot")] {
        let tags = ["Name", "Owner", "taskcluster:provisioner", "taskcluster:instance"].map(|key| machine.tag(key));
        assert_eq!(tags, ["builders", "o@example.com", "marks", name].map(Some));
        assert_eq!((machine.state, &*machine.instance_type), (Ec2State::Running, "c5.large"));
        assert!(machine.launched.is_some_and(|launched| launched <= Timestamp::now()));
    }
    assert_eq!((full.spot, spot.spot, &*spot.zone), (false, true, "us-west-2b"));
}

#[tokio::test]
async fn what_somebody_else_has_started_is_not_listed_and_what_a_removed_type_has_left_is() {
    let Some(moto) = Moto::start().await else { return };
    let ours = moto.provider("alone");
    let offers = ours.offers(&definition(|_| {})).await.unwrap();
    ours.launch(&launch("orphan", &offers[0])).await.unwrap();
    let theirs = moto.provider("theirs").launch(&launch("theirs", &offers[0])).await.unwrap();
    let plain = Query::new().with("ImageId", "ami-1").with("InstanceType", "c5.large");
    let plain = moto.client().run_instance(REGION, plain).await.unwrap();
    // One that knows neither definitions nor what was launched.
    let anew = moto.provider("alone");
    let listed = anew.list().await.unwrap();
    assert_eq!(names(&listed, Phase::Alive), ["orphan"]);
    anew.end(&listed).await.unwrap();
    let ids = [&theirs, &plain, &listed[0].provider_id];
    let found = Query::new().with_filter("instance-id", ids);
    let found = moto.client().describe_instances(REGION, found).await.unwrap();
    let state = |id: &str| found.iter().find(|found| found.id == *id).unwrap().state;
    assert_eq!(ids.map(|id| state(id)), [Ec2State::Running, Ec2State::Running, Ec2State::Terminated]);
}

#[tokio::test]
async fn what_is_ended_is_told_of_until_it_is_forgotten() {
    let Some(moto) = Moto::start().await else { return };
    let ec2 = moto.provider("ended");
    let offers = ec2.offers(&definition(|_| {})).await.unwrap();
    for name in ["a", "b", "c"] {
        ec2.launch(&launch(name, &offers[0])).await.unwrap();
    }
    let mut listed = ec2.list().await.unwrap();
    listed.retain(|sighting| sighting.instance_id != "c");
    // To end what does not exist is to have ended it, and keeps nothing else on.
    let unknown = Sighting { provider_id: "i-0123456789abcdef0".to_owned(), ..listed[0].clone() };
    listed.insert(1, unknown);
    ec2.end(&listed).await.unwrap();
    let after = ec2.list().await.unwrap();
    assert_eq!((names(&after, Phase::Alive), names(&after, Phase::Gone)), (vec!["c"], vec!["a", "b"]));
    let says = after.iter().find_map(|sighting| sighting.says.as_deref());
    assert!(says.is_some_and(|says| says.contains("Client.UserInitiatedShutdown")), "{says:?}");
    let gone: Vec<_> = after.into_iter().filter(|sighting| sighting.phase == Phase::Gone).collect();
    ec2.end(&gone).await.unwrap();
    assert_eq!(ec2.list().await.unwrap().len(), 1);
    ec2.end(&[]).await.unwrap();
}

#[tokio::test]
async fn machines_of_all_regions_are_listed() {
    let Some(moto) = Moto::start().await else { return };
    let ec2 = moto.provider("regions");
    let both = |sent: &mut serde_json::Value| {
        let there = serde_json::json!({"region": "us-east-1", "launchSpec": {"ImageId": "ami-2"}});
        sent["provider"]["regions"].as_array_mut().unwrap().push(there);
    };
    let offers = ec2.offers(&definition(both)).await.unwrap();
    for region in [REGION, "us-east-1"] {
        let offer = offers.iter().find(|offer| offer.place.region == region).unwrap();
        let mut launch = launch(region, offer);
        launch.definition = definition(both);
        ec2.launch(&launch).await.unwrap();
    }
    let listed = moto.provider("regions").list().await.unwrap();
    assert_eq!(names(&listed, Phase::Alive), ["us-east-1", "us-west-2"]);
    for sighting in &listed {
        assert_eq!(sighting.place.as_ref().unwrap().region, sighting.instance_id);
    }
    // Whoever does not know where they are ends them nevertheless.
    let homeless: Vec<_> = listed.into_iter().map(|sighting| Sighting { place: None, ..sighting }).collect();
    ec2.end(&homeless).await.unwrap();
    assert_eq!(names(&ec2.list().await.unwrap(), Phase::Alive), [""; 0]);
}
