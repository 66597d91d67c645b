use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use http::Response;
use taskcluster_core::clock::ManualClock;

use super::instances::read_instances;
use super::spot::{read_prices, read_requests};
use super::*;

/// EC2 as a list of answers, and what it was asked.
fn scripted(answers: &[(u16, &str)]) -> (Client, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let answers: VecDeque<_> = answers.iter().map(|(status, body)| (*status, (*body).to_owned())).collect();
    let (heard, answers) = (Arc::clone(&asked), Arc::new(Mutex::new(answers)));
    let service = tower::service_fn(move |request: Request<Body>| {
        let body = request.into_body().as_bytes().map(|body| String::from_utf8(body.to_vec()).unwrap()).unwrap();
        heard.lock().unwrap().push(body);
        let answer = answers.lock().unwrap().pop_front();
        async move {
            let broken = || TransportError::new(TransportErrorKind::Interrupted, "no more answers");
            let (status, body) = answer.ok_or_else(broken)?;
            Ok(Response::builder().status(status).body(Body::from(body)).unwrap())
        }
    });
    let credentials =
        Credentials { access_key_id: "key".to_owned(), secret_access_key: "secret".into(), session_token: None };
    let clock = ManualClock::default().shared();
    (Client::new(Transport::new(service), clock, CredentialsSource::Static(credentials)), asked)
}

fn refusal(code: &str) -> String {
    format!("<Response><Errors><Error><Code>{code}</Code><Message>m</Message></Error></Errors></Response>")
}

const STARTED: &str = "<RunInstancesResponse><instancesSet><item><instanceId>i-1</instanceId></item></instancesSet></RunInstancesResponse>";

#[tokio::test(start_paused = true)]
async fn what_passes_is_asked_again_and_what_does_not_is_not() {
    let (throttled, lacking) = (refusal("RequestLimitExceeded"), refusal("InsufficientInstanceCapacity"));
    let (ec2, asked) = scripted(&[(503, &throttled), (500, "<html>"), (200, "<Run"), (200, STARTED)]);
    assert_eq!(ec2.run_instance("r", Query::new()).await.unwrap(), "i-1");
    assert_eq!(asked.lock().unwrap().len(), 4);
    let (ec2, asked) = scripted(&[(500, &lacking), (200, STARTED)]);
    assert!(ec2.run_instance("r", Query::new()).await.unwrap_err().is_capacity());
    assert_eq!(asked.lock().unwrap().len(), 1);
    let (ec2, asked) = scripted(&[]);
    let error = ec2.run_instance("r", Query::new()).await.unwrap_err();
    assert!(matches!(error, ApiError::Transport { .. }), "{error}");
    assert_eq!(asked.lock().unwrap().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_ever() {
    let silent = tower::service_fn(|_: Request<Body>| std::future::pending::<Result<Response<Body>, TransportError>>());
    let (ec2, _) = scripted(&[]);
    let ec2 = Client { transport: Transport::new(silent), ..ec2 };
    let begun = tokio::time::Instant::now();
    let error = ec2.available_zones("r").await.unwrap_err();
    assert!(matches!(error, ApiError::Transport { source, .. } if source.kind() == TransportErrorKind::Timeout));
    assert_eq!(begun.elapsed(), DEADLINE);
}

#[tokio::test]
async fn lists_are_read_to_their_end() {
    let page = |id: &str, next: &str| {
        format!(
            "<A><reservationSet><item><instancesSet><item><instanceId>{id}</instanceId><instanceState><name>running</name>\
             </instanceState></item></instancesSet></item></reservationSet><nextToken>{next}</nextToken></A>"
        )
    };
    let (ec2, asked) = scripted(&[(200, &page("i-1", "more")), (200, &page("i-2", ""))]);
    let found = ec2.describe_instances("r", Query::new()).await.unwrap();
    assert_eq!(found.iter().map(|found| &*found.id).collect::<Vec<_>>(), ["i-1", "i-2"]);
    assert!(asked.lock().unwrap()[1].ends_with("&NextToken=more"));
    let (ec2, _) = scripted(&[(200, &page("i-1", "more")), (200, &page("i-2", "more"))]);
    assert!(ec2.describe_instances("r", Query::new()).await.is_err(), "it would go on for ever");
}

#[tokio::test]
async fn what_is_unknown_has_ended_and_does_not_keep_the_others_on() {
    let unknown = refusal("InvalidInstanceID.NotFound");
    let ids: Vec<String> = ["i-1", "i-2", "i-3"].map(str::to_owned).into();
    // All three; then the last two, of which the last is unknown; then the first.
    let (ec2, asked) = scripted(&[(400, &unknown), (400, &unknown), (400, &unknown), (200, "<A/>"), (200, "<A/>")]);
    ec2.terminate_instances("r", &ids).await.unwrap();
    let asked: Vec<_> =
        asked.lock().unwrap().iter().map(|body| body.split_once("2016-11-15&").unwrap().1.to_owned()).collect();
    assert_eq!(
        asked,
        [
            "InstanceId.1=i-1&InstanceId.2=i-2&InstanceId.3=i-3",
            "InstanceId.1=i-2&InstanceId.2=i-3",
            "InstanceId.1=i-3",
            "InstanceId.1=i-2",
            "InstanceId.1=i-1",
        ]
    );
    // One that is protected is told, after the others have ended.
    let protected = refusal("OperationNotPermitted");
    let (ec2, asked) = scripted(&[(400, &protected), (400, &protected), (200, "<A/>")]);
    let error = ec2.terminate_instances("r", &ids[..2]).await.unwrap_err();
    assert_eq!(error.code(), Some("OperationNotPermitted"));
    assert_eq!(asked.lock().unwrap().len(), 3);
}

#[test]
fn regions_have_addresses_of_their_own() {
    let (ec2, _) = scripted(&[]);
    assert_eq!(ec2.url("us-west-2"), "https://ec2.us-west-2.amazonaws.com/");
    assert_eq!(ec2.url("cn-north-1"), "https://ec2.cn-north-1.amazonaws.com.cn/");
    assert_eq!(ec2.with_endpoint("http://127.0.0.1:1/{region}").url("r"), "http://127.0.0.1:1/r");
}

#[test]
fn machines_are_read() {
    let answer = r#"<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
        <requestId>8f7724cf-496f-496e-8fe3-example</requestId>
        <reservationSet><item><reservationId>r-1234567890abcdef0</reservationId><ownerId>123456789012</ownerId>
        <instancesSet><item>
            <instanceId>i-1234567890abcdef0</instanceId><imageId>ami-bff32ccc</imageId>
            <instanceState><code>48</code><name>terminated</name></instanceState>
            <reason>Server.SpotInstanceTermination: Spot Instance termination</reason>
            <instanceType>c5.large</instanceType><launchTime>2026-01-02T03:04:05.000Z</launchTime>
            <placement><availabilityZone>us-west-2b</availabilityZone><tenancy>default</tenancy></placement>
            <stateReason><code>Server.SpotInstanceTermination</code><message>Spot Instance termination</message></stateReason>
            <instanceLifecycle>spot</instanceLifecycle><spotInstanceRequestId>sir-1</spotInstanceRequestId>
            <tagSet><item><key>Name</key><value>a type</value></item><item><key>empty</key><value/></item></tagSet>
        </item><item><instanceId>i-2</instanceId><instanceState><code>0</code><name>pending</name></instanceState></item>
        </instancesSet></item></reservationSet></DescribeInstancesResponse>"#;
    let mut found = Vec::new();
    read_instances(&Element::parse(answer).unwrap(), &mut found).unwrap();
    assert_eq!(found.len(), 2);
    let first = &found[0];
    assert_eq!((&*first.id, first.state, first.spot), ("i-1234567890abcdef0", Ec2State::Terminated, true));
    assert_eq!((&*first.zone, &*first.instance_type, &*first.image), ("us-west-2b", "c5.large", "ami-bff32ccc"));
    assert_eq!(first.launched, Some("2026-01-02T03:04:05Z".parse().unwrap()));
    assert_eq!(first.reason_code.as_deref(), Some("Server.SpotInstanceTermination"));
    assert_eq!((first.tag("Name"), first.tag("empty"), first.tag("none")), (Some("a type"), Some(""), None));
    assert_eq!((found[1].state, found[1].spot), (Ec2State::Pending, false));
}

#[test]
fn a_list_that_is_not_understood_is_none() {
    let answer = "<A><reservationSet><item><instancesSet><item><instanceId>i-1</instanceId><instanceState><name>dreaming</name>\
                  </instanceState></item></instancesSet></item></reservationSet></A>";
    assert!(read_instances(&Element::parse(answer).unwrap(), &mut Vec::new()).is_err());
    let answer = "<A><spotInstanceRequestSet><item><state>open</state></item></spotInstanceRequestSet></A>";
    assert!(read_requests(&Element::parse(answer).unwrap(), &mut Vec::new()).is_err());
}

#[test]
fn bids_and_prices_are_read() {
    let answer = r#"<DescribeSpotInstanceRequestsResponse><spotInstanceRequestSet><item>
            <spotInstanceRequestId>sir-8dfasdf</spotInstanceRequestId><spotPrice>0.050000</spotPrice><type>one-time</type>
            <state>open</state><status><code>capacity-not-available</code><updateTime>2026-01-02T03:04:05.000Z</updateTime>
            <message>There is none.</message></status><createTime>2026-01-02T03:00:00.000Z</createTime>
            <launchSpecification><imageId>ami-1</imageId><instanceType>c5.large</instanceType>
            <placement><availabilityZone>us-west-2a</availabilityZone></placement></launchSpecification>
        </item></spotInstanceRequestSet></DescribeSpotInstanceRequestsResponse>"#;
    let mut found = Vec::new();
    read_requests(&Element::parse(answer).unwrap(), &mut found).unwrap();
    assert_eq!(
        (&*found[0].state, &*found[0].status, &*found[0].zone),
        ("open", "capacity-not-available", "us-west-2a")
    );
    assert_eq!(found[0].created, Some("2026-01-02T03:00:00Z".parse().unwrap()));
    let answer = r#"<DescribeSpotPriceHistoryResponse><spotPriceHistorySet>
        <item><instanceType>c5.large</instanceType><productDescription>Linux/UNIX</productDescription>
            <spotPrice>0.034300</spotPrice><timestamp>2026-01-02T03:04:05.000Z</timestamp>
            <availabilityZone>us-west-2a</availabilityZone></item>
        <item><instanceType>c5.large</instanceType><spotPrice>none</spotPrice><availabilityZone>us-west-2b</availabilityZone></item>
        </spotPriceHistorySet><nextToken/></DescribeSpotPriceHistoryResponse>"#;
    let mut prices = Vec::new();
    read_prices(&Element::parse(answer).unwrap(), &mut prices).unwrap();
    let price = SpotPrice { instance_type: "c5.large".to_owned(), zone: "us-west-2a".to_owned(), price: 0.0343 };
    assert_eq!(prices, [price]);
}
