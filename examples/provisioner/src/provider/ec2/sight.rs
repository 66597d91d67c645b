//! What EC2 tells, in the words of the provisioner. No I/O.

use std::collections::HashSet;
use std::time::Duration;

use taskcluster_core::time::Timestamp;

use super::api::{Ec2State, FoundInstance, FoundRequest};
use super::memory::Market;
use crate::instance::Place;
use crate::provider::{Phase, Sighting};

/// The tag that says which provisioner has started it.
pub(super) const PROVISIONER: &str = "taskcluster:provisioner";

/// The tag that says under which name.
pub(super) const INSTANCE: &str = "taskcluster:instance";

/// How long a bid may take to succeed.
const STALLED: Duration = Duration::from_secs(20 * 60);

/// Codes of bids that do not come to anything soon:
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-request-status.html>.
const HOPELESS: [&str; 8] = [
    "az-group-constraint",
    "capacity-not-available",
    "capacity-oversubscribed",
    "constraint-not-fulfillable",
    "launch-group-constraint",
    "not-scheduled-yet",
    "placement-group-constraint",
    "price-too-low",
];

/// Codes of bids whose machines are about to be taken away.
const MARKED: [&str; 2] = ["marked-for-stop", "marked-for-termination"];

/// Why EC2 takes spare machines away.
const TAKEN_AWAY: [&str; 3] =
    ["Server.InsufficientInstanceCapacity", "Server.SpotInstanceShutdown", "Server.SpotInstanceTermination"];

/// The machines that EC2 is about to take away, as their bids say.
pub(super) fn marked(requests: &[FoundRequest]) -> HashSet<&str> {
    let marked = requests.iter().filter(|request| MARKED.contains(&&*request.status));
    marked.filter_map(|request| request.instance.as_deref()).collect()
}

/// Whether EC2 has taken it away from us, or is about to.
pub(super) fn is_lost(found: &FoundInstance, marked: &HashSet<&str>) -> bool {
    let taken = found.reason_code.as_deref().is_some_and(|code| TAKEN_AWAY.contains(&code));
    found.spot && (taken || marked.contains(&*found.id))
}

/// A machine. Nothing if it has no name of ours, and so is none.
pub(super) fn sighting(region: &str, found: &FoundInstance, marked: &HashSet<&str>) -> Option<Sighting> {
    let (phase, says) = match found.state {
        Ec2State::Pending | Ec2State::Running if marked.contains(&*found.id) => {
            (Phase::Ending, Some("EC2 takes the spot instance away".to_owned()))
        }
        Ec2State::Pending | Ec2State::Running => (Phase::Alive, None),
        Ec2State::ShuttingDown | Ec2State::Stopping => (Phase::Ending, says(found)),
        Ec2State::Terminated | Ec2State::Stopped => (Phase::Gone, says(found)),
    };
    Some(Sighting {
        provider_id: found.id.clone(),
        instance_id: found.tag(INSTANCE)?.to_owned(),
        phase,
        place: Some(place(region, &found.zone, &found.instance_type, &found.image)),
        says,
    })
}

fn says(found: &FoundInstance) -> Option<String> {
    match (&found.reason_code, &found.reason) {
        (Some(code), Some(text)) if !text.contains(&**code) => Some(format!("{code}: {text}")),
        (code, text) => text.clone().or_else(|| code.clone()),
    }
}

/// What is asked for with such a machine.
pub(super) fn market(region: &str, found: &FoundInstance) -> Market {
    Market {
        region: region.to_owned(),
        zone: found.zone.clone(),
        instance_type: found.instance_type.clone(),
        spot: found.spot,
    }
}

/// A bid of which no machine has come yet. Nothing if one has, or if it has no name of ours.
pub(super) fn bid(region: &str, request: &FoundRequest, now: Timestamp) -> Option<Sighting> {
    if request.state != "open" || request.instance.is_some() {
        return None;
    }
    let stalled = is_stalled(request, now);
    let says = request.says.clone().unwrap_or_else(|| request.status.clone());
    Some(Sighting {
        provider_id: request.id.clone(),
        instance_id: request.tag(INSTANCE)?.to_owned(),
        phase: if stalled { Phase::Ending } else { Phase::Requested },
        place: Some(place(region, &request.zone, &request.instance_type, &request.image)),
        says: Some(if stalled { format!("the bid comes to nothing: {says}") } else { says }),
    })
}

/// Whether a bid is open and will not succeed.
pub(super) fn is_stalled(request: &FoundRequest, now: Timestamp) -> bool {
    let old = request.created.is_some_and(|created| now.since(created) > STALLED);
    request.state == "open" && (old || HOPELESS.contains(&&*request.status))
}

fn place(region: &str, zone: &str, instance_type: &str, image: &str) -> Place {
    Place {
        region: region.to_owned(),
        zone: zone.to_owned(),
        instance_type: instance_type.to_owned(),
        image: image.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use taskcluster_core::time::minutes;

    use super::*;

    fn found(state: Ec2State) -> FoundInstance {
        FoundInstance {
            id: "i-1".to_owned(),
            state,
            zone: "us-west-2a".to_owned(),
            instance_type: "c5.large".to_owned(),
            image: "ami-1".to_owned(),
            launched: None,
            spot: true,
            spot_request: None,
            reason_code: None,
            reason: None,
            tags: vec![(INSTANCE.to_owned(), "ours".to_owned())],
        }
    }

    fn request(status: &str) -> FoundRequest {
        FoundRequest {
            id: "sir-1".to_owned(),
            state: "open".to_owned(),
            status: status.to_owned(),
            says: None,
            created: Some(now()),
            instance: None,
            zone: "us-west-2a".to_owned(),
            instance_type: "c5.large".to_owned(),
            image: "ami-1".to_owned(),
            tags: vec![(INSTANCE.to_owned(), "ours".to_owned())],
        }
    }

    fn now() -> Timestamp {
        "2026-03-04T05:06:07Z".parse().unwrap()
    }

    #[test]
    fn states_of_ec2_are_phases() {
        let phase = |state| sighting("us-west-2", &found(state), &HashSet::new()).unwrap().phase;
        assert_eq!([phase(Ec2State::Pending), phase(Ec2State::Running)], [Phase::Alive; 2]);
        assert_eq!([phase(Ec2State::ShuttingDown), phase(Ec2State::Stopping)], [Phase::Ending; 2]);
        assert_eq!([phase(Ec2State::Terminated), phase(Ec2State::Stopped)], [Phase::Gone; 2]);
        let nameless = FoundInstance { tags: Vec::new(), ..found(Ec2State::Running) };
        assert_eq!(sighting("us-west-2", &nameless, &HashSet::new()), None);
    }

    #[test]
    fn why_it_is_gone_is_told_and_whether_it_was_lost() {
        let mut gone = found(Ec2State::Terminated);
        gone.reason_code = Some("Client.InstanceInitiatedShutdown".to_owned());
        gone.reason = Some("Client.InstanceInitiatedShutdown: Instance initiated shutdown".to_owned());
        assert_eq!(says(&gone), gone.reason);
        assert!(!is_lost(&gone, &HashSet::new()));
        gone.reason_code = Some("Server.SpotInstanceTermination".to_owned());
        gone.reason = Some("Spot Instance termination".to_owned());
        assert_eq!(says(&gone).unwrap(), "Server.SpotInstanceTermination: Spot Instance termination");
        assert!(is_lost(&gone, &HashSet::new()));
        assert!(!is_lost(&FoundInstance { spot: false, ..gone }, &HashSet::new()));
    }

    #[test]
    fn what_is_marked_is_about_to_end() {
        let requests = [FoundRequest {
            state: "active".to_owned(),
            instance: Some("i-1".to_owned()),
            ..request("marked-for-termination")
        }];
        let marked = marked(&requests);
        let running = found(Ec2State::Running);
        assert_eq!(sighting("us-west-2", &running, &marked).unwrap().phase, Phase::Ending);
        assert!(is_lost(&running, &marked));
        assert_eq!(bid("us-west-2", &requests[0], now()), None, "it has its machine");
    }

    #[test]
    fn a_bid_that_comes_to_nothing_is_given_up() {
        let phase = |request: &FoundRequest, time| bid("us-west-2", request, time).unwrap().phase;
        assert_eq!(phase(&request("pending-fulfillment"), now() + minutes(19)), Phase::Requested);
        assert_eq!(phase(&request("pending-fulfillment"), now() + minutes(21)), Phase::Ending);
        for status in HOPELESS {
            assert_eq!(phase(&request(status), now()), Phase::Ending, "{status}");
        }
        let cancelled = FoundRequest { state: "cancelled".to_owned(), ..request("canceled-before-fulfillment") };
        assert_eq!(bid("us-west-2", &cancelled, now()), None);
        assert!(!is_stalled(&FoundRequest { state: "active".to_owned(), ..request("fulfilled") }, now() + minutes(60)));
    }
}
