//! What comes to its end by the clock: secrets, the lead, numbers.

use std::time::Duration;

use taskcluster_core::object;
use taskcluster_core::time::{Timestamp, days, hours, minutes};

use super::super::{Found, Pass, Put, Secret, Store};
use super::create;
use super::sketch::{lead, now, wish, wished};
use crate::fleet::{Gauge, Numbers, begin};

fn secret(worker_type: &str) -> Secret {
    let secrets = object! { "password": "ü\u{1f600}" }.into();
    Secret { worker_type: worker_type.to_owned(), secrets, scopes: vec!["a".to_owned(), "b*".to_owned()] }
}

pub(super) async fn a_secret_is_found_by_its_digest_until_it_expires(store: &Store) {
    create(store, "w").await;
    wished(store, &[wish("i-1", "w")]).await;
    assert_eq!(store.secret("i-1", now()).await.unwrap(), Some(Found::Instance("i-1".to_owned())));
    assert_eq!(store.secret("i-1", now() + hours(1)).await.unwrap(), None, "it has expired");
    assert_eq!(store.put_secret("d", &secret("w"), now() + minutes(1), now()).await.unwrap(), Put::New);
    assert_eq!(store.secret("d", now()).await.unwrap(), Some(Found::Stored(secret("w"))));
    assert_eq!(store.secret("D", now()).await.unwrap(), None);
    for _ in 0..2 {
        store.remove_secret("d").await.unwrap();
        assert_eq!(store.secret("d", now()).await.unwrap(), None);
    }
    store.put_secret("d", &secret("w"), now() + minutes(1), now()).await.unwrap();
    assert_eq!(store.expire(now(), now(), 10).await.unwrap(), 0);
    assert_eq!(store.expire(now() + minutes(1), now(), 10).await.unwrap(), 1);
    assert!(store.secret("d", now()).await.unwrap().is_none() && store.secret("i-1", now()).await.unwrap().is_some());
    // With its worker type all that was stored for it goes.
    store.put_secret("d", &secret("w"), now() + hours(1), now()).await.unwrap();
    store.remove("w", now()).await.unwrap();
    assert_eq!(store.secret("d", now()).await.unwrap(), None);
}

pub(super) async fn a_secret_may_be_stored_again_but_no_other_in_its_place(store: &Store) {
    create(store, "w").await;
    wished(store, &[wish("i-1", "w")]).await;
    let put = async |digest: &str, secret: Secret, at: Timestamp| {
        store.put_secret(digest, &secret, at + minutes(10), at).await.unwrap()
    };
    assert_eq!(put("d", secret("w"), now()).await, Put::New);
    assert_eq!(put("d", secret("w"), now() + minutes(1)).await, Put::Same);
    assert_eq!(put("d", secret("x"), now()).await, Put::Other);
    assert_eq!(put("d", Secret { scopes: Vec::new(), ..secret("w") }, now()).await, Put::Other);
    assert_eq!(put("i-1", secret("w"), now()).await, Put::Other, "an instance's token is its own");
    assert_eq!(put("d", secret("x"), now() + minutes(10)).await, Put::New, "what was there has expired");
    assert_eq!(store.secret("d", now() + minutes(15)).await.unwrap(), Some(Found::Stored(secret("x"))));
}

pub(super) async fn the_lead_is_taken_over_only_from_who_is_silent_or_left(store: &Store) {
    let (one, two) = (lead("one"), lead("two"));
    let until = now() + minutes(1);
    assert_eq!(store.last_pass().await.unwrap(), None);
    let takes = [&one, &two].map(|lead| store.lead(lead, until, now()));
    let taken = futures_util::future::join_all(takes).await;
    assert_eq!(taken.iter().filter(|taken| taken.as_ref().is_ok_and(|taken| *taken)).count(), 1);
    let (one, two) = if *taken[0].as_ref().unwrap() { (one, two) } else { (two, one) };
    assert_eq!(store.last_pass().await.unwrap(), Some(now()), "when the first began");
    assert!(store.lead(&one, until + minutes(1), now() + Duration::from_secs(59)).await.unwrap(), "it goes on");
    assert!(!store.lead(&two, until + hours(1), until).await.unwrap());
    store.pass_ended(&one, until).await.unwrap();
    store.pass_ended(&two, until + hours(1)).await.unwrap();
    assert_eq!(store.last_pass().await.unwrap(), Some(until), "who does not lead makes no passes");
    assert!(store.lead(&two, until + hours(1), until + minutes(1)).await.unwrap(), "it was silent");
    assert!(!store.lead(&one, until + hours(2), until + minutes(2)).await.unwrap());
    store.leave(&one).await.unwrap();
    assert!(!store.lead(&one, until + hours(2), until + minutes(2)).await.unwrap(), "that was not its to leave");
    store.leave(&two).await.unwrap();
    assert!(store.lead(&one, until + hours(2), until + minutes(2)).await.unwrap());
}

pub(super) async fn who_is_late_keeps_the_lead_unless_another_had_it(store: &Store) {
    let (one, two) = (lead("one"), lead("two"));
    assert!(!store.keep_lead(&one, now()).await.unwrap());
    store.lead(&one, now(), now()).await.unwrap();
    assert!(store.keep_lead(&one, now() + minutes(1)).await.unwrap(), "nobody else has had it");
    assert!(store.lead(&two, now() + hours(1), now() + minutes(1)).await.unwrap());
    assert!(!store.keep_lead(&one, now() + hours(1)).await.unwrap());
    store.leave(&two).await.unwrap();
    assert!(!store.keep_lead(&one, now() + hours(1)).await.unwrap(), "what it has seen is old");
    assert!(store.lead(&one, now() + hours(1), now() + minutes(1)).await.unwrap(), "it has to look anew");
}

pub(super) async fn a_pass_is_noted_in_place_of_the_one_before(store: &Store) {
    assert_eq!(store.pass("w").await.unwrap(), None);
    let none = Pass { ended: now(), desired: 1, why: Vec::new() };
    store.put_pass("w", &none).await.unwrap();
    assert_eq!(store.pass("w").await.unwrap(), None, "there is no such worker type");
    create(store, "w").await;
    for (desired, why) in [(1, vec!["ü\n".to_owned()]), (2, Vec::new())] {
        let pass = Pass { ended: now() + minutes(u64::from(desired)), desired, why };
        store.put_pass("w", &pass).await.unwrap();
        assert_eq!(store.pass("w").await.unwrap(), Some(pass));
    }
    assert_eq!(store.pass("x").await.unwrap(), None);
}

/// A minute in which a task began and this much ran.
fn minute(running: u32) -> Numbers {
    let mut numbers = Numbers::default();
    numbers.held(&Gauge { running, ..Gauge::default() }, minutes(1));
    numbers.began(Duration::from_secs(u64::from(running)));
    numbers
}

/// Adds a minute for each step back from now.
async fn every(store: &Store, step: Duration, count: u32) {
    for n in 0..count {
        store.add_numbers("w", begin(now() - step * n, 60), &minute(1)).await.unwrap();
    }
}

async fn all(store: &Store) -> Vec<(Timestamp, u32, Numbers)> {
    store.numbers("w", Timestamp::UNIX_EPOCH, now(), 100_000, now()).await.unwrap()
}

pub(super) async fn longer_stretches_are_the_sums_of_shorter_ones(store: &Store) {
    // Of an hour that is over for more than a week, and of the present minute, which comes in two parts.
    let old = begin(now() - days(8), 3600);
    for n in 0..60 {
        store.add_numbers("w", old + minutes(n), &minute(2)).await.unwrap();
    }
    for _ in 0..2 {
        store.add_numbers("w", begin(now(), 60), &minute(3)).await.unwrap();
    }
    store.add_numbers("x", begin(now(), 60), &minute(9)).await.unwrap();
    let (hour, present) = match &all(store).await[..] {
        [hour, present] => (hour.clone(), present.clone()),
        other => panic!("{other:?}"),
    };
    assert_eq!((hour.0, hour.1, hour.2.covered), (old, 3600, 3600.0));
    let wire = hour.2.to_wire(old, 3600);
    assert_eq!((wire.running_capacity, wire.started_tasks), (2.0, 60));
    assert_eq!((present.1, present.2.covered), (60, 120.0));
}

pub(super) async fn pages_of_numbers_have_neither_gaps_nor_doubles(store: &Store) {
    // Every ten minutes over eight days and three hours: across both borders.
    let count = 8 * 24 * 6 + 18;
    every(store, minutes(10), count).await;
    let (mut after, mut pages) = (Timestamp::UNIX_EPOCH, Vec::new());
    loop {
        let page = store.numbers("w", after, now(), 97, now()).await.unwrap();
        let Some((begins, ..)) = page.last() else { break };
        after = *begins;
        pages.extend(page);
    }
    assert_eq!(pages, all(store).await);
    let covered: f64 = pages.iter().map(|(_, _, numbers)| numbers.covered).sum();
    assert_eq!(covered, f64::from(count) * 60.0, "each minute is told once");
    for pair in pages.windows(2) {
        assert!(pair[0].0 + Duration::from_secs(u64::from(pair[0].1)) <= pair[1].0, "{pair:?}");
    }
    let finest =
        |time: Timestamp| pages.iter().rev().find(|(begins, ..)| *begins <= time).map(|(_, seconds, _)| *seconds);
    assert_eq!(finest(now() - hours(23)), Some(60));
    assert_eq!(finest(now() - days(2)), Some(600));
    assert_eq!(finest(now() - days(8)), Some(3600));
    let some = store.numbers("w", now() - hours(1), now() - minutes(30), 100, now()).await.unwrap();
    assert_eq!(some.len(), 3);
}

pub(super) async fn numbers_are_kept_for_thirty_days(store: &Store) {
    every(store, hours(12), 70).await;
    let before = all(store).await;
    store.expire(now(), now(), 10).await.unwrap();
    let after = all(store).await;
    let oldest = now() - days(30);
    let kept: Vec<_> = before.into_iter().filter(|(begins, ..)| *begins >= oldest - hours(1)).collect();
    assert_eq!(after, kept, "nothing is forgotten before its time");
    assert!(after.len() >= 60 && after[0].0 <= oldest + hours(12), "{} of 60", after.len());
}

pub(super) async fn the_numbers_of_now_are_neither_old_nor_of_what_was_removed(store: &Store) {
    for name in ["w", "quiet", "removed"] {
        create(store, name).await;
    }
    let this = begin(now(), 60);
    for (name, minute_of, running) in [
        ("w", this - minutes(1), 1),
        ("w", this, 2),
        ("quiet", this - minutes(20), 3),
        ("removed", this, 4),
        ("never", this, 5),
    ] {
        store.add_numbers(name, minute_of, &minute(running)).await.unwrap();
    }
    store.remove("removed", now()).await.unwrap();
    let last = store.last_numbers(now() - minutes(10)).await.unwrap();
    assert_eq!(last, [("w".to_owned(), (this, 60, minute(2)))]);
}
