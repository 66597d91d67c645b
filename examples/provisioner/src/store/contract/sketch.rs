//! Worker types and instances in a few words.

use taskcluster::provisioner::{CreateWorkerTypeRequest, LocalProcessProvider};
use taskcluster_core::time::{Timestamp, hours};

use super::super::{Lead, Store, Wish};
use crate::instance::{Instance, Place, State};
use crate::life::Change;
use crate::provider::Offer;
use crate::worker_type::Definition;

pub(super) fn now() -> Timestamp {
    "2026-03-04T05:06:07.008Z".parse().unwrap()
}

/// One that differs from others in its maximum.
/// Each of another maximum, and of other workers.
pub(super) fn definition(max: u32) -> Definition {
    bounded(max, max)
}

/// The workers of that definition, between other bounds.
pub(super) fn bounded(of: u32, max: u32) -> Definition {
    let provider = LocalProcessProvider::new(["ü\" '%\\".to_owned(), of.to_string()]);
    Definition::new(CreateWorkerTypeRequest::new("about \u{1f600}", "me@example.com", max, 0.5, provider))
}

pub(super) fn lead(holder: &str) -> Lead {
    Lead { holder: holder.to_owned() }
}

/// One that is wished for, of capacity 1.
pub(super) fn wish(id: &str, worker_type: &str) -> Wish {
    let place = Place { region: "r".to_owned(), zone: "r-z".to_owned(), ..Place::default() };
    let instance = Instance {
        id: id.to_owned(),
        worker_type: worker_type.to_owned(),
        version: 1,
        provider: "local-process".to_owned(),
        worker_group: "g".to_owned(),
        place: place.clone(),
        capacity: 1,
        price: 0.125,
        provider_id: None,
        state: State::Requested,
        created: now(),
        since: now(),
        started: None,
        reason: None,
    };
    let worker_group = "g".to_owned();
    let offer = Offer { worker_group, place, capacity: 1, price: 0.125, utility: 1.5, bias: 1.0, bid: Some(0.3) };
    Wish { instance, offer }
}

/// Notes wishes of who leads. Their names stand for the digests of their tokens.
pub(super) async fn wished(store: &Store, wishes: &[Wish]) {
    assert!(store.lead(&lead("us"), now() + hours(1), now()).await.unwrap());
    let wishes = wishes.iter().map(|wish| (wish.clone(), wish.instance.id.clone())).collect();
    assert!(store.wish(&lead("us"), wishes, now() + hours(1), now()).await.unwrap());
}

pub(super) fn change(id: &str, from: State, to: State) -> Change {
    Change { instance_id: id.to_owned(), from, to, reason: None, failed: false }
}
