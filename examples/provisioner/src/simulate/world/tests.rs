use super::super::trace::{Boot, Good, Surroundings};
use super::*;
use crate::policy::{Historical, Steady};

fn trace(arrivals: &[(u64, u64)]) -> Trace {
    let surroundings = Surroundings {
        name: "test".to_owned(),
        market: vec![Good { name: "m".to_owned(), capacity: 1, price: 3.6 }],
        boot: Boot { median: 60.0, spread: 0.0 },
        losses_per_hour: 0.0,
        max_capacity: 2,
        min_capacity: 0,
        generate: None,
    };
    let arrivals = arrivals.iter().map(|(at, run)| Arrival(at * 1000, run * 1000)).collect();
    Trace { surroundings, arrivals }
}

fn settings() -> Settings {
    Settings { ratio: 0.0, spare: 0.0, idle: Duration::from_secs(30) }
}

#[test]
fn a_task_waits_for_its_worker_and_the_next_one_uses_it() {
    let outcome = run(&trace(&[(0, 100), (200, 100)]), &Steady, settings());
    assert_eq!((outcome.launches, outcome.lost), (2, 0), "the first worker had ended before the second task");
    assert!((60.0..61.0).contains(&outcome.wait_p95), "{}", outcome.wait_p95);
    let outcome = run(&trace(&[(0, 100), (170, 100)]), &Steady, settings());
    assert_eq!((outcome.launches, outcome.wait_p50), (1, 0.0));
    // From the wish until the end of the second task, 270 s.
    assert!((outcome.cost - 0.27).abs() < 1e-6, "{}", outcome.cost);
}

#[test]
fn there_is_never_more_than_the_maximum() {
    let outcome = run(&trace(&[(0, 100), (0, 100), (0, 100), (0, 100)]), &Steady, settings());
    assert_eq!(outcome.launches, 2);
    assert!((160.0..161.0).contains(&outcome.wait_p99), "{}", outcome.wait_p99);
    assert!(outcome.idle_share < 0.01, "{}", outcome.idle_share);
}

#[test]
fn what_is_lost_is_done_again() {
    let mut fleeting = trace(&[(0, 600), (0, 600), (0, 600)]);
    fleeting.surroundings.losses_per_hour = 6.0;
    let outcome = run(&fleeting, &Steady, settings());
    assert!(outcome.lost > 0 && outcome.launches > 2, "{outcome:?}");
    assert_eq!(outcome, run(&fleeting, &Steady, settings()), "the same trace gives the same numbers");
}

#[test]
fn a_minimum_is_there_before_anybody_waits() {
    let mut ready = trace(&[(600, 10)]);
    ready.surroundings.min_capacity = 1;
    let outcome = run(&ready, &Steady, settings());
    assert_eq!((outcome.launches, outcome.wait_p95), (1, 0.0));
}

#[test]
fn large_workers_that_are_nearly_empty_are_emptied() {
    // 40 at once, and then few at a time, which would keep five machines from ever being idle.
    let crowd = (0..40).map(|_| (0, 100));
    let arrivals: Vec<(u64, u64)> = crowd.chain((0..1000).map(|n| (300 + n * 5, 40))).collect();
    let mut large = trace(&arrivals);
    large.surroundings.market[0].capacity = 8;
    large.surroundings.max_capacity = 80;
    let (steady, historical) = (run(&large, &Steady, settings()), run(&large, &Historical, settings()));
    assert!(steady.cost < historical.cost * 0.8, "{} and {}", steady.cost, historical.cost);
    assert!(steady.idle_share < historical.idle_share);
    assert_eq!(steady.tasks, 1040);
}
