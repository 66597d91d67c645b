use std::collections::VecDeque;
use std::sync::Arc;

use http::{Request, Response};
use taskcluster::provisioner::CreateWorkerTypeRequest;
use taskcluster_core::clock::{Clock, ManualClock};
use taskcluster_core::time::minutes;
use taskcluster_core::transport::{Body, TransportError, TransportErrorKind};
use url::form_urlencoded;

use super::*;

/// EC2 that answers by the action that is asked for: each answer once, the last one for ever.
#[derive(Clone, Debug, Default)]
struct Script(Arc<Mutex<Scripted>>);

#[derive(Debug, Default)]
struct Scripted {
    answers: BTreeMap<String, VecDeque<(u16, String)>>,
    asked: Vec<Vec<(String, String)>>,
}

impl Script {
    /// Answer to `action`, in a region if it is `region/action`.
    fn on(self, action: &str, status: u16, body: impl Into<String>) -> Self {
        self.0.lock().unwrap().answers.entry(action.to_owned()).or_default().push_back((status, body.into()));
        self
    }

    fn refuse(self, action: &str, code: &str) -> Self {
        self.on(action, 400, format!("<R><Errors><Error><Code>{code}</Code><Message>m</Message></Error></Errors></R>"))
    }

    fn transport(&self) -> Transport {
        let script = self.clone();
        Transport::new(tower::service_fn(move |request: Request<Body>| {
            let answer = script.answer(request);
            async move { answer }
        }))
    }

    fn answer(&self, request: Request<Body>) -> std::result::Result<Response<Body>, TransportError> {
        let region = request.uri().path().trim_start_matches('/').to_owned();
        let body = request.into_body().into_bytes().unwrap();
        let asked: Vec<_> = form_urlencoded::parse(&body).into_owned().collect();
        let action = asked[0].1.clone();
        let mut script = self.0.lock().unwrap();
        script.asked.push(asked);
        let key = [format!("{region}/{action}"), action].into_iter().find(|key| script.answers.contains_key(key));
        let refused = || TransportError::new(TransportErrorKind::Request, "there is nothing in the script");
        let answers = script.answers.get_mut(&key.ok_or_else(refused)?).unwrap();
        let (status, body) = if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0].clone() };
        Ok(Response::builder().status(status).body(Body::from(body)).unwrap())
    }

    /// The parameters of all calls of an action.
    fn asked(&self, action: &str) -> Vec<BTreeMap<String, String>> {
        let script = self.0.lock().unwrap();
        script.asked.iter().filter(|asked| asked[0].1 == action).map(|asked| asked.iter().cloned().collect()).collect()
    }

    /// EC2 as a provider, whose clock is ours.
    fn provider(&self, clock: &ManualClock) -> Ec2 {
        let config = serde_json::from_value(json!({
            "regions": ["us-west-2", "us-east-1"], "access_key_id": "k", "secret_access_key": "s",
            "endpoint": "http://ec2.test/{region}",
            "on_demand_prices": {"us-west-2": {"c5.large": 0.085}},
        }));
        Ec2::new(config.unwrap(), "ours", self.transport(), clock.shared()).unwrap()
    }
}

const NOTHING: &str = "<A/>";

fn zones(names: &[&str]) -> String {
    let items: String = names.iter().map(|name| format!("<item><zoneName>{name}</zoneName></item>")).collect();
    format!("<A><availabilityZoneInfo>{items}</availabilityZoneInfo></A>")
}

fn prices(prices: &[(&str, &str, f64)]) -> String {
    let item = |(name, zone, price): &(&str, &str, f64)| {
        format!(
            "<item><instanceType>{name}</instanceType><availabilityZone>{zone}</availabilityZone>\
             <spotPrice>{price}</spotPrice></item>"
        )
    };
    format!("<A><spotPriceHistorySet>{}</spotPriceHistorySet></A>", prices.iter().map(item).collect::<String>())
}

fn machine(id: &str, name: &str, state: &str, more: &str) -> String {
    format!(
        "<item><instancesSet><item><instanceId>{id}</instanceId><instanceState><name>{state}</name></instanceState>\
         <placement><availabilityZone>us-west-2a</availabilityZone></placement><instanceType>c5.large</instanceType>\
         <tagSet><item><key>taskcluster:instance</key><value>{name}</value></item></tagSet>{more}</item></instancesSet></item>"
    )
}

fn machines(machines: &[String]) -> String {
    format!("<A><reservationSet>{}</reservationSet></A>", machines.concat())
}

fn started(id: &str) -> String {
    format!("<A><instancesSet><item><instanceId>{id}</instanceId></item></instancesSet></A>")
}

fn definition(change: impl FnOnce(&mut Value)) -> Definition {
    let mut sent = json!({
        "description": "", "owner": "o@example.com", "maxCapacity": 10, "scalingRatio": 0,
        "provider": {
            "kind": "ec2", "minPrice": 0.0, "maxPrice": 0.1,
            "regions": [{"region": "us-west-2", "launchSpec": {"ImageId": "ami-1", "KeyName": "k"}}],
            "instanceTypes": [
                {"instanceType": "c5.large", "capacity": 1, "utility": 1},
                {"instanceType": "c5.xlarge", "capacity": 2, "utility": 2},
            ],
        },
    });
    change(&mut sent);
    Definition::new(serde_json::from_value::<CreateWorkerTypeRequest>(sent).unwrap())
}

fn offering() -> Script {
    let rates = [
        ("c5.large", "us-west-2a", 0.03),
        ("c5.large", "us-west-2a", 0.04),
        ("c5.large", "us-west-2b", 0.2),
        ("c5.large", "us-west-2x", 0.01),
        ("c5.xlarge", "us-west-2b", 0.12),
    ];
    Script::default().on("us-west-2/DescribeAvailabilityZones", 200, zones(&["us-west-2a", "us-west-2b"])).on(
        "us-west-2/DescribeSpotPriceHistory",
        200,
        prices(&rates),
    )
}

fn launch(offer: Offer) -> Launch {
    Launch {
        instance_id: "an-instance".to_owned(),
        worker_type: "builders".to_owned(),
        definition: definition(|_| {}),
        offer,
        user_data: json!({"token": "t"}).as_object().unwrap().clone(),
    }
}

/// What was offered: where, on what, for how much, and the bid.
fn said(offers: &[Offer]) -> Vec<(&str, &str, f64, Option<f64>)> {
    offers.iter().map(|offer| (&*offer.place.zone, &*offer.place.instance_type, offer.price, offer.bid)).collect()
}

#[tokio::test]
async fn offers_are_what_it_may_cost_in_zones_that_there_are() {
    let (script, clock) = (offering(), ManualClock::default());
    let ec2 = script.provider(&clock);
    let offers = ec2.offers(&definition(|_| {})).await.unwrap();
    assert_eq!(
        said(&offers),
        [("us-west-2a", "c5.large", 0.04, Some(0.08)), ("us-west-2b", "c5.xlarge", 0.12, Some(0.2))]
    );
    assert_eq!((&*offers[1].worker_group, offers[1].capacity, offers[1].utility), ("us-west-2", 2, 2.0));
    let asked = &script.asked("DescribeSpotPriceHistory")[0];
    assert_eq!((&*asked["InstanceType.2"], &*asked["ProductDescription.1"]), ("c5.xlarge", "Linux/UNIX"));
    assert_eq!(asked["StartTime"], (clock.now() - minutes(30)).to_string());
    // All worker types of a pass ask EC2 once.
    ec2.offers(&definition(|_| {})).await.unwrap();
    assert_eq!(script.asked("DescribeSpotPriceHistory").len(), 1);
    clock.advance(minutes(2));
    ec2.offers(&definition(|_| {})).await.unwrap();
    assert_eq!(script.asked("DescribeSpotPriceHistory").len(), 2);
}

#[tokio::test]
async fn machines_at_the_full_price_are_offered_where_they_are_wanted_and_their_price_is_known() {
    let (script, clock) = (offering(), ManualClock::default());
    let ec2 = script.provider(&clock);
    let wanted = |spot: bool| {
        definition(|sent| {
            sent["provider"]["canUseOndemand"] = true.into();
            sent["provider"]["canUseSpot"] = spot.into();
        })
    };
    let full = [("us-west-2a", "c5.large", 0.085, None), ("us-west-2b", "c5.large", 0.085, None)];
    assert_eq!(said(&ec2.offers(&wanted(false)).await.unwrap()), full);
    assert!(script.asked("DescribeSpotPriceHistory").is_empty());
    assert_eq!(ec2.offers(&wanted(true)).await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_zone_that_is_insisted_on_is_the_only_one() {
    let ec2 = offering().provider(&ManualClock::default());
    let there = definition(|sent| {
        sent["provider"]["regions"][0]["launchSpec"]["Placement"] = json!({"AvailabilityZone": "us-west-2b"});
    });
    assert_eq!(said(&ec2.offers(&there).await.unwrap()), [("us-west-2b", "c5.xlarge", 0.12, Some(0.2))]);
}

#[tokio::test]
async fn a_region_that_is_away_does_not_keep_the_others_from_offering() {
    let script = offering().refuse("us-east-1/DescribeAvailabilityZones", "AuthFailure");
    let ec2 = script.provider(&ManualClock::default());
    let both = definition(|sent| {
        let regions = sent["provider"]["regions"].as_array_mut().unwrap();
        regions.push(json!({"region": "us-east-1", "launchSpec": {"ImageId": "ami-2"}}));
    });
    assert_eq!(ec2.offers(&both).await.unwrap().len(), 2);
    let away = definition(|sent| sent["provider"]["regions"][0]["region"] = "us-east-1".into());
    assert!(matches!(ec2.offers(&away).await, Err(ProviderError::Away { .. })));
    let unused = definition(|sent| sent["provider"]["regions"][0]["region"] = "eu-central-1".into());
    let refused = ec2.offers(&unused).await.unwrap_err().to_string();
    assert_eq!(refused, "this deployment does not use the region eu-central-1, only us-west-2, us-east-1");
}

#[tokio::test]
async fn a_launch_says_all_that_ec2_has_to_know() {
    let script = offering().on("RunInstances", 200, started("i-1"));
    let ec2 = script.provider(&ManualClock::default());
    let offer = ec2.offers(&definition(|_| {})).await.unwrap().remove(0);
    assert_eq!(ec2.launch(&launch(offer.clone())).await.unwrap(), "i-1");
    assert_eq!(ec2.launch(&launch(offer)).await.unwrap(), "i-1");
    let asked = script.asked("RunInstances");
    assert_eq!(asked.len(), 1, "a launch of the same name is the same instance");
    let tags = |kind: usize| {
        let said = |tag: usize, what: &str| asked[0][&format!("TagSpecification.{kind}.Tag.{tag}.{what}")].clone();
        let mut tags: Vec<_> = (1..=4).map(|tag| (said(tag, "Key"), said(tag, "Value"))).collect();
        tags.sort();
        tags
    };
    let expected = [
        ("Name", "builders"),
        ("Owner", "o@example.com"),
        ("taskcluster:instance", "an-instance"),
        ("taskcluster:provisioner", "ours"),
    ];
    let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!((tags(1), tags(2)), (expected.to_vec(), expected.to_vec()));
    for (name, value) in [
        ("ClientToken", "an-instance"),
        ("ImageId", "ami-1"),
        ("InstanceInitiatedShutdownBehavior", "terminate"),
        ("InstanceMarketOptions.MarketType", "spot"),
        ("InstanceMarketOptions.SpotOptions.InstanceInterruptionBehavior", "terminate"),
        ("InstanceMarketOptions.SpotOptions.MaxPrice", "0.080000"),
        ("InstanceMarketOptions.SpotOptions.SpotInstanceType", "one-time"),
        ("InstanceType", "c5.large"),
        ("KeyName", "k"),
        ("MaxCount", "1"),
        ("MinCount", "1"),
        ("Placement.AvailabilityZone", "us-west-2a"),
        ("TagSpecification.1.ResourceType", "instance"),
        ("TagSpecification.2.ResourceType", "spot-instances-request"),
        ("UserData", &*STANDARD.encode(r#"{"token":"t"}"#)),
        ("Version", "2016-11-15"),
    ] {
        assert_eq!(asked[0].get(name).map(String::as_str), Some(value), "{name}");
    }
}

#[tokio::test]
async fn a_launch_at_the_full_price_bids_nothing() {
    let script = offering().on("RunInstances", 200, started("i-1"));
    let ec2 = script.provider(&ManualClock::default());
    let mut offer = ec2.offers(&definition(|_| {})).await.unwrap().remove(0);
    offer.bid = None;
    ec2.launch(&launch(offer)).await.unwrap();
    let asked = script.asked("RunInstances").remove(0);
    assert!(!asked.keys().any(|name| name.starts_with("InstanceMarketOptions")));
    assert!(
        !asked.values().any(|value| value == "spot-instances-request"),
        "EC2 refuses tags for what does not come to be"
    );
}

#[tokio::test]
async fn what_is_not_to_be_had_is_not_offered_again_for_a_while() {
    let script = offering().refuse("RunInstances", "InsufficientInstanceCapacity");
    let clock = ManualClock::default();
    let ec2 = script.provider(&clock);
    let offer = ec2.offers(&definition(|_| {})).await.unwrap().remove(0);
    let error = ec2.launch(&launch(offer.clone())).await.unwrap_err();
    assert!(matches!(&error, ProviderError::Refused(text) if text.contains("InsufficientInstanceCapacity")), "{error}");
    assert_eq!(said(&ec2.offers(&definition(|_| {})).await.unwrap()), [("us-west-2b", "c5.xlarge", 0.12, Some(0.2))]);
    clock.advance(minutes(6));
    assert_eq!(ec2.offers(&definition(|_| {})).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_launch_of_an_earlier_request_is_found() {
    let there = machines(&[machine("i-7", "an-instance", "running", "")]);
    let script = offering()
        .refuse("RunInstances", "IdempotentParameterMismatch")
        .on("DescribeInstances", 200, there)
        .on("DescribeInstances", 200, NOTHING);
    let clock = ManualClock::default();
    let offer = script.provider(&clock).offers(&definition(|_| {})).await.unwrap().remove(0);
    assert_eq!(script.provider(&clock).launch(&launch(offer.clone())).await.unwrap(), "i-7");
    let asked = script.asked("DescribeInstances").remove(0);
    assert_eq!((&*asked["Filter.2.Name"], &*asked["Filter.2.Value.1"]), ("tag:taskcluster:instance", "an-instance"));
    let ec2 = script.provider(&clock);
    assert!(matches!(ec2.launch(&launch(offer)).await, Err(ProviderError::Refused(_))));
    assert_eq!(ec2.offers(&definition(|_| {})).await.unwrap().len(), 2, "it is not for lack of machines");
}

#[tokio::test]
async fn a_launch_that_cannot_be_is_not_asked_for() {
    let ec2 = offering().provider(&ManualClock::default());
    let offer = ec2.offers(&definition(|_| {})).await.unwrap().remove(0);
    let mut large = launch(offer.clone());
    large.user_data.insert("x".to_owned(), "x".repeat(20_000).into());
    let mut elsewhere = launch(offer);
    elsewhere.offer.place.region = "us-east-1".to_owned();
    for impossible in [large, elsewhere] {
        assert!(matches!(ec2.launch(&impossible).await, Err(ProviderError::Refused(_))));
    }
}

#[tokio::test]
async fn all_regions_are_listed_and_nothing_is_known_unless_all_answer() {
    let bids = "<A><spotInstanceRequestSet><item><spotInstanceRequestId>sir-1</spotInstanceRequestId><state>active</state>\
                <status><code>marked-for-termination</code></status><instanceId>i-2</instanceId></item>\
                </spotInstanceRequestSet></A>";
    let spot = "<instanceLifecycle>spot</instanceLifecycle>";
    let there = [
        machine("i-1", "a", "running", spot),
        machine("i-2", "b", "running", spot),
        machine("i-3", "c", "terminated", "<stateReason><code>Client.X</code><message>m</message></stateReason>"),
    ];
    let script = offering()
        .on("us-west-2/DescribeSpotInstanceRequests", 200, bids)
        .on("us-west-2/DescribeInstances", 200, machines(&there))
        .on("us-east-1/DescribeSpotInstanceRequests", 200, NOTHING)
        .on("us-east-1/DescribeInstances", 200, machines(&[machine("i-4", "d", "pending", "")]))
        .refuse("us-east-1/DescribeInstances", "AuthFailure");
    let ec2 = script.provider(&ManualClock::default());
    let listed = ec2.list().await.unwrap();
    let told: Vec<_> = listed.iter().map(|s| (&*s.provider_id, &*s.instance_id, s.phase, s.says.as_deref())).collect();
    assert_eq!(
        told,
        [
            ("i-1", "a", Phase::Alive, None),
            ("i-2", "b", Phase::Ending, Some("EC2 takes the spot instance away")),
            ("i-3", "c", Phase::Gone, Some("Client.X: m")),
            ("i-4", "d", Phase::Alive, None),
        ]
    );
    assert_eq!(listed[3].place.as_ref().unwrap().region, "us-east-1");
    assert!(matches!(ec2.list().await, Err(ProviderError::Away { .. })));
    // Of two that were started on that market, one is lost.
    assert_eq!(ec2.offers(&definition(|_| {})).await.unwrap()[0].bias, 3.0);
}

#[tokio::test]
async fn what_was_launched_just_now_is_listed() {
    let script = offering()
        .on("RunInstances", 200, started("i-1"))
        .on("DescribeSpotInstanceRequests", 200, NOTHING)
        .on("DescribeInstances", 200, NOTHING);
    let clock = ManualClock::default();
    let ec2 = script.provider(&clock);
    let offer = ec2.offers(&definition(|_| {})).await.unwrap().remove(0);
    ec2.launch(&launch(offer)).await.unwrap();
    let listed = ec2.list().await.unwrap();
    assert_eq!((listed.len(), &*listed[0].provider_id, listed[0].phase), (1, "i-1", Phase::Requested));
    assert_eq!(listed[0].place.as_ref().unwrap().zone, "us-west-2a");
    clock.advance(minutes(6));
    assert_eq!(ec2.list().await.unwrap(), []);
}

#[tokio::test]
async fn a_bid_that_stalls_is_withdrawn() {
    let bids = "<A><spotInstanceRequestSet><item><spotInstanceRequestId>sir-1</spotInstanceRequestId><state>open</state>\
                <status><code>capacity-not-available</code></status><launchSpecification><instanceType>c5.large</instanceType>\
                <placement><availabilityZone>us-west-2a</availabilityZone></placement></launchSpecification>\
                <tagSet><item><key>taskcluster:instance</key><value>a</value></item></tagSet></item></spotInstanceRequestSet></A>";
    let script = offering()
        .on("us-west-2/DescribeSpotInstanceRequests", 200, bids)
        .on("us-east-1/DescribeSpotInstanceRequests", 200, NOTHING)
        .on("DescribeInstances", 200, NOTHING)
        .on("CancelSpotInstanceRequests", 200, NOTHING);
    let ec2 = script.provider(&ManualClock::default());
    let listed = ec2.list().await.unwrap();
    assert_eq!((&*listed[0].instance_id, listed[0].phase), ("a", Phase::Ending));
    assert_eq!(script.asked("CancelSpotInstanceRequests")[0]["SpotInstanceRequestId.1"], "sir-1");
    assert_eq!(said(&ec2.offers(&definition(|_| {})).await.unwrap()), [("us-west-2b", "c5.xlarge", 0.12, Some(0.2))]);
}

#[tokio::test]
async fn what_is_to_end_is_told_where_it_is_and_what_is_gone_is_forgotten() {
    let there = [
        machine("i-1", "a", "running", ""),
        machine("i-2", "b", "terminated", ""),
        machine("i-3", "c", "shutting-down", ""),
        machine("i-4", "d", "stopped", ""),
    ];
    let script = Script::default()
        .on("DescribeSpotInstanceRequests", 200, NOTHING)
        .on("us-west-2/DescribeInstances", 200, machines(&there))
        .on("us-east-1/DescribeInstances", 200, NOTHING)
        .on("CancelSpotInstanceRequests", 200, NOTHING)
        .on("TerminateInstances", 200, NOTHING);
    let ec2 = script.provider(&ManualClock::default());
    let mut gone = ec2.list().await.unwrap();
    let bid = Sighting { provider_id: "sir-1".to_owned(), ..gone[0].clone() };
    gone.push(bid);
    ec2.end(&gone).await.unwrap();
    assert_eq!(script.asked("TerminateInstances").len(), 1);
    let asked = script.asked("TerminateInstances").remove(0);
    let ids: Vec<_> = asked.iter().filter(|(name, _)| name.starts_with("InstanceId")).map(|(_, id)| &**id).collect();
    assert_eq!(ids, ["i-1", "i-4"], "one that is off could be turned on");
    assert_eq!(script.asked("CancelSpotInstanceRequests")[0]["SpotInstanceRequestId.1"], "sir-1");
    let left: Vec<_> = ec2.list().await.unwrap().into_iter().map(|sighting| sighting.instance_id).collect();
    assert_eq!(left, ["a", "c", "d"]);
    // Nobody knows where it is: it is ended in each region.
    ec2.end(&[Sighting { place: None, ..gone.remove(0) }]).await.unwrap();
    assert_eq!(script.asked("TerminateInstances").len(), 3);
}

#[tokio::test]
async fn a_definition_is_rehearsed_entry_by_entry() {
    let script = Script::default()
        .refuse("RunInstances", "DryRunOperation")
        .refuse("RunInstances", "InvalidAMIID.NotFound")
        .refuse("RunInstances", "AuthFailure");
    let ec2 = script.provider(&ManualClock::default());
    let told = ec2.specify(&definition(|_| {})).await.unwrap();
    let faults: Vec<_> = told.iter().map(|told| told.fault.as_deref()).collect();
    assert_eq!(faults, [None, Some("EC2 answers RunInstances with InvalidAMIID.NotFound: m")]);
    assert_eq!(
        (&*told[1].place.instance_type, told[1].capacity, &told[1].launch["ImageId"]),
        ("c5.xlarge", 2, &json!("ami-1"))
    );
    assert!(script.asked("RunInstances").iter().all(|asked| asked["DryRun"] == "true"));
    assert!(matches!(ec2.specify(&definition(|_| {})).await, Err(ProviderError::Away { .. })));
    // What is wrong without EC2 is not asked.
    let wrong = definition(|sent| sent["provider"]["launchSpec"] = json!({"UserData": "x"}));
    let asked = script.asked("RunInstances").len();
    assert!(ec2.specify(&wrong).await.unwrap().iter().all(|told| told.fault.is_some()));
    assert_eq!(script.asked("RunInstances").len(), asked);
}

#[test]
fn the_provider_asks_for_the_scopes_of_all_fragments() {
    let ec2 = offering().provider(&ManualClock::default());
    let regional = definition(|sent| {
        sent["scopes"] = json!(["general"]);
        sent["provider"]["regions"][0]["scopes"] = json!(["regional"]);
        sent["provider"]["instanceTypes"][1]["scopes"] = json!(["own"]);
    });
    assert_eq!(ec2.scopes(&regional), ["general", "own", "regional"]);
}
