//! What the provider remembers while it runs: EC2 tells of what it has done only after a while, and not of what it will do again.
//!
//! Nothing here must survive. After a restart a machine of the last minutes that EC2 does not list yet is not listed at all: the
//! provisioner leaves the wish for it as it is until its start takes too long, and EC2 knows it by its token if it is asked for again.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use taskcluster_core::time::Timestamp;

use super::price::bias;
use crate::instance::Place;
use crate::provider::{Phase, Sighting};

/// How long EC2 may take to list what it has started.
pub(super) const UNLISTED: Duration = Duration::from_secs(5 * 60);

/// How long an offer that was refused is not made again.
pub(super) const REFUSED: Duration = Duration::from_secs(5 * 60);

/// How far back it matters what became of machines.
const LEDGER: Duration = Duration::from_secs(24 * 60 * 60);

/// How long it is remembered that a machine is gone: longer than EC2 tells of it.
const FORGOTTEN: Duration = Duration::from_secs(2 * 60 * 60);

/// What is asked for, apart from the image: offers are refused by it, machines are lost by it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Market {
    pub(super) region: String,
    /// Empty for all of them.
    pub(super) zone: String,
    pub(super) instance_type: String,
    pub(super) spot: bool,
}

#[derive(Debug)]
struct Launched {
    provider_id: String,
    place: Place,
    at: Timestamp,
}

#[derive(Debug)]
struct Entry {
    market: Market,
    started: Timestamp,
    lost: Option<Timestamp>,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// By the names that we give.
    launched: HashMap<String, Launched>,
    /// By the same: what EC2 has listed of it.
    listed: HashMap<String, String>,
    refused: HashMap<Market, Timestamp>,
    /// By the names that EC2 gives.
    ledger: HashMap<String, Entry>,
    /// By the same: of what EC2 lists, that of which there is nothing any more.
    terminated: HashSet<String>,
    forgotten: HashMap<String, Timestamp>,
}

impl Memory {
    /// What EC2 calls what was launched under that name, if it was.
    pub(super) fn known(&self, instance_id: &str) -> Option<String> {
        let launched = self.launched.get(instance_id).map(|launched| &launched.provider_id);
        launched.or_else(|| self.listed.get(instance_id)).cloned()
    }

    /// EC2 has started it.
    pub(super) fn launched(&mut self, instance_id: &str, provider_id: &str, place: Place, now: Timestamp) {
        let launched = Launched { provider_id: provider_id.to_owned(), place, at: now };
        self.launched.insert(instance_id.to_owned(), launched);
    }

    /// EC2 does not start it.
    pub(super) fn refused(&mut self, market: Market, now: Timestamp) {
        self.refused.retain(|_, until| *until > now);
        self.refused.insert(market, now + REFUSED);
    }

    /// Whether EC2 has refused that lately, there or in all of the region.
    pub(super) fn is_refused(&self, market: &Market, now: Timestamp) -> bool {
        let everywhere = Market { zone: String::new(), ..market.clone() };
        [market, &everywhere].iter().any(|market| self.refused.get(market).is_some_and(|until| *until > now))
    }

    /// A machine that EC2 has told of, and whether it was taken away.
    pub(super) fn seen(&mut self, provider_id: &str, market: Market, started: Timestamp, lost: bool, now: Timestamp) {
        let entry = self.ledger.entry(provider_id.to_owned()).or_insert(Entry { market, started, lost: None });
        if lost && entry.lost.is_none() {
            entry.lost = Some(now);
        }
    }

    /// EC2 says that there is nothing any more.
    pub(super) fn terminated(&mut self, provider_id: &str) {
        self.terminated.insert(provider_id.to_owned());
    }

    /// By how much the price there is to be taken for higher.
    pub(super) fn bias(&self, market: &Market, now: Timestamp) -> f64 {
        if !market.spot {
            return 1.0;
        }
        let lately = |time: Timestamp| time + LEDGER > now;
        let there = || self.ledger.values().filter(|entry| entry.market == *market);
        let started = there().filter(|entry| lately(entry.started)).count();
        bias(started, there().filter(|entry| entry.lost.is_some_and(lately)).count())
    }

    /// What EC2 lists, made complete: with what it does not list yet, without what was asked to be forgotten.
    pub(super) fn complete(&mut self, mut listed: Vec<Sighting>, now: Timestamp) -> Vec<Sighting> {
        listed.retain(|sighting| !self.forgotten.contains_key(&sighting.provider_id));
        self.listed = by_name(&listed);
        let there: HashSet<_> = listed.iter().map(|sighting| sighting.provider_id.clone()).collect();
        self.terminated.retain(|id| there.contains(id));
        self.launched.retain(|_, launched| launched.at + UNLISTED > now);
        self.forgotten.retain(|_, at| *at + FORGOTTEN > now);
        self.ledger.retain(|id, entry| {
            there.contains(id) || entry.started.max(entry.lost.unwrap_or(entry.started)) + LEDGER > now
        });
        let missing = self.launched.iter().filter(|(_, launched)| {
            !there.contains(&launched.provider_id) && !self.forgotten.contains_key(&launched.provider_id)
        });
        listed.extend(missing.map(|(instance_id, launched)| Sighting {
            provider_id: launched.provider_id.clone(),
            instance_id: instance_id.clone(),
            phase: Phase::Requested,
            place: Some(launched.place.clone()),
            says: Some("EC2 does not list it yet".to_owned()),
        }));
        listed
    }

    /// Whether EC2 has said that there is nothing any more, so that nothing has to be ended. It is not listed again.
    pub(super) fn forget(&mut self, provider_id: &str, now: Timestamp) -> bool {
        let gone = self.terminated.contains(provider_id);
        if gone {
            self.forgotten.insert(provider_id.to_owned(), now);
        }
        gone
    }
}

/// What of the list goes by which name. Of two, the one that is further from its end: EC2 has started one of them in vain.
fn by_name(listed: &[Sighting]) -> HashMap<String, String> {
    let mut names: HashMap<String, (Phase, String)> = HashMap::new();
    for sighting in listed {
        let (phase, id) = (sighting.phase, &sighting.provider_id);
        let better = names.get(&sighting.instance_id).is_none_or(|(known, _)| rank(phase) < rank(*known));
        if better {
            names.insert(sighting.instance_id.clone(), (phase, id.clone()));
        }
    }
    names.into_iter().map(|(name, (_, id))| (name, id)).collect()
}

fn rank(phase: Phase) -> u8 {
    match phase {
        Phase::Alive => 0,
        Phase::Requested => 1,
        Phase::Ending => 2,
        Phase::Gone => 3,
    }
}

#[cfg(test)]
mod tests {
    use taskcluster_core::time::{hours, minutes};

    use super::*;

    fn start() -> Timestamp {
        "2026-03-04T05:06:07Z".parse().unwrap()
    }

    fn market(zone: &str) -> Market {
        Market { region: "r".to_owned(), zone: zone.to_owned(), instance_type: "t".to_owned(), spot: true }
    }

    fn sighting(provider_id: &str, instance_id: &str, phase: Phase) -> Sighting {
        let (provider_id, instance_id) = (provider_id.to_owned(), instance_id.to_owned());
        Sighting { provider_id, instance_id, phase, place: None, says: None }
    }

    fn phases(listed: &[Sighting]) -> Vec<(&str, Phase)> {
        listed.iter().map(|sighting| (&*sighting.instance_id, sighting.phase)).collect()
    }

    #[test]
    fn what_was_launched_just_now_is_listed_until_ec2_lists_it() {
        let mut memory = Memory::default();
        memory.launched("a", "i-1", Place::default(), start());
        assert_eq!(phases(&memory.complete(Vec::new(), start() + minutes(4))), [("a", Phase::Requested)]);
        assert_eq!(memory.known("a").as_deref(), Some("i-1"));
        let listed = vec![sighting("i-1", "a", Phase::Alive)];
        assert_eq!(phases(&memory.complete(listed.clone(), start() + minutes(4))), [("a", Phase::Alive)]);
        assert_eq!(phases(&memory.complete(Vec::new(), start() + minutes(6))), []);
        assert_eq!(memory.known("a"), None);
        memory.complete(listed, start() + minutes(6));
        assert_eq!(memory.known("a").as_deref(), Some("i-1"), "also what somebody before us has launched");
    }

    #[test]
    fn what_is_gone_is_told_until_it_is_to_be_forgotten() {
        let mut memory = Memory::default();
        let listed = || vec![sighting("i-1", "a", Phase::Gone), sighting("i-2", "b", Phase::Gone)];
        memory.terminated("i-1");
        assert_eq!(memory.complete(listed(), start()).len(), 2);
        assert!(memory.forget("i-1", start()));
        assert!(!memory.forget("i-2", start()), "it is off, and could be turned on");
        assert_eq!(phases(&memory.complete(listed(), start() + minutes(50))), [("b", Phase::Gone)]);
    }

    #[test]
    fn what_is_refused_is_refused_for_a_while() {
        let mut memory = Memory::default();
        memory.refused(market("a"), start());
        assert!(memory.is_refused(&market("a"), start() + minutes(4)));
        assert!(!memory.is_refused(&market("b"), start() + minutes(4)));
        assert!(!memory.is_refused(&market("a"), start() + minutes(6)));
        memory.refused(market(""), start());
        assert!(memory.is_refused(&market("b"), start()), "a limit of the whole region");
        assert!(!memory.is_refused(&Market { spot: false, ..market("b") }, start()));
    }

    #[test]
    fn what_was_lost_within_a_day_counts() {
        let mut memory = Memory::default();
        let bias = |memory: &Memory, after| memory.bias(&market("a"), start() + after);
        assert_eq!(bias(&memory, hours(0)), 0.95);
        for (id, lost) in [("i-1", true), ("i-2", false), ("i-3", false), ("i-4", false)] {
            memory.seen(id, market("a"), start(), lost, start() + minutes(1));
            memory.seen(id, market("a"), start(), lost, start() + hours(2));
        }
        assert_eq!(bias(&memory, hours(3)), 2.0);
        assert_eq!(memory.bias(&market("b"), start()), 0.95);
        assert_eq!(memory.bias(&Market { spot: false, ..market("a") }, start()), 1.0);
        memory.complete(Vec::new(), start() + hours(25));
        assert_eq!(bias(&memory, hours(25)), 0.95);
    }
}
