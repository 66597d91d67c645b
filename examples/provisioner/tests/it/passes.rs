//! Passes: whatever is lost, delayed or cut off, the next pass is right.

use std::time::Duration;

use service_kit::testing::Kind;
use taskcluster::object;
use taskcluster::provisioner::{FixedProvider, FixedWorker, RollBackRequest, RollOutRequest, WorkerLifecycle};
use taskcluster::queue::QuarantineWorkerRequest;
use taskcluster_core::time::{hours, minutes};
use taskcluster_provisioner::instance::State;
use taskcluster_provisioner::provider::Phase;

use crate::cloud::Point;
use crate::world::{World, definition, of_other, of_provider, soon};

mod random;

/// The process is gone when its pass comes there, and another begins when it is known to say nothing.
async fn is_gone_at(world: &mut World, point: Point) {
    world.cloud.hold(point);
    tokio::select! {
        passed = world.service.catch_up() => panic!("it does not come there: {passed:?}"),
        () = soon(world.cloud.held()) => {}
    }
    world.restart().await;
    world.advance(minutes(1)).await;
}

#[tokio::test]
async fn what_waits_gets_workers_and_these_go_when_nothing_does() {
    let mut world = World::new().await;
    world.define("w", &definition(10)).await;
    world.tasks("w", 3).await;
    world.pass().await;
    assert_eq!(world.cloud.alive().len(), 3);
    world.passes(2).await;
    assert_eq!(world.states().await, [(State::Pending, 3)].into());
    world.work().await;
    world.passes(1).await;
    assert_eq!(world.states().await, [(State::Running, 3)].into());
    assert!(world.cloud.alive().iter().all(|id| world.is_working(id)));
    world.until_quiet(10).await;
    assert_eq!(world.cloud.sky().started, 3, "none was started in vain");
}

#[tokio::test]
async fn no_more_is_started_than_may_run_or_less_than_must() {
    let mut world = World::new().await;
    world.define("w", &definition(4).with_min_capacity(2)).await;
    world.passes(2).await;
    assert_eq!(world.cloud.alive().len(), 2);
    world.tasks("w", 50).await;
    for _ in 0..10 {
        world.passes(1).await;
        world.work().await;
        assert!(world.cloud.alive().len() <= 4);
    }
    for _ in 0..20 {
        world.passes(1).await;
        world.work().await;
    }
    assert_eq!(world.cloud.alive().len(), 2, "{}", world.why("w").await);
}

#[tokio::test]
async fn an_answer_that_is_lost_starts_nothing_twice() {
    for lists_after in [Duration::ZERO, minutes(5)] {
        let mut world = World::new().await;
        world.define("w", &definition(10)).await;
        world.tasks("w", 3).await;
        world.cloud.sky().loses_answers = true;
        world.cloud.sky().lists_after = lists_after;
        world.passes(5).await;
        world.cloud.sky().loses_answers = false;
        world.passes(2).await;
        let live = world.live().await.len();
        assert_eq!((world.cloud.sky().started, live), (3, 3));
        assert!(world.live().await.iter().all(|instance| instance.provider_id.is_some()));
        world.work().await;
        assert_eq!(world.states().await, [(State::Running, 3)].into());
        // Their workers are quicker than the list.
        world.passes(2).await;
        assert_eq!(world.states().await, [(State::Running, 3)].into(), "{}", world.why("w").await);
        assert_eq!(world.cloud.sky().started, 3);
    }
}

#[tokio::test]
async fn a_process_that_is_gone_has_started_nothing_twice_and_forgotten_nothing() {
    for point in [Point::List, Point::Offers, Point::BeforeLaunch, Point::AfterLaunch] {
        let mut world = World::new().await;
        world.define("w", &definition(10)).await;
        world.tasks("w", 3).await;
        is_gone_at(&mut world, point).await;
        world.passes(2).await;
        let live = world.live().await.len();
        assert_eq!((world.cloud.sky().started, live), (3, 3), "{point:?}");
        world.until_quiet(20).await;
        assert_eq!(world.cloud.sky().started, 3, "{point:?}");
    }
}

#[tokio::test]
async fn what_should_have_ended_when_the_process_was_gone_ends() {
    let mut world = World::new().await;
    world.define("w", &definition(10)).await;
    world.tasks("w", 3).await;
    world.passes(1).await;
    soon(world.api().terminate_all_instances_of_worker_type("w")).await.unwrap();
    let before = world.cloud.alive();
    is_gone_at(&mut world, Point::End).await;
    world.passes(2).await;
    assert!(world.cloud.alive().iter().all(|id| !before.contains(id)));
    world.until_quiet(20).await;
}

#[tokio::test]
async fn what_nobody_knows_of_is_ended() {
    let world = World::new().await;
    world.define("w", &definition(10)).await;
    world.tasks("w", 1).await;
    world.passes(1).await;
    let known = world.cloud.alive();
    let stray = world.cloud.sky().machines[&known[0]].clone();
    for cloud in [&world.cloud, &world.other] {
        cloud.sky().machines.insert("stray".to_owned(), stray.clone());
    }
    world.passes(1).await;
    assert_eq!((world.cloud.alive(), world.other.alive()), (known, Vec::new()));
}

#[tokio::test]
async fn a_provider_that_is_away_stops_its_own_worker_types_and_no_others() {
    let mut world = World::new().await;
    world.define("w", &definition(10)).await;
    world.define("x", &of_other(10)).await;
    world.tasks("w", 1).await;
    world.tasks("x", 1).await;
    world.passes(1).await;
    world.work().await;
    let before = world.live().await;
    world.cloud.sky().away = true;
    world.tasks("w", 2).await;
    world.tasks("x", 2).await;
    world.advance(hours(1)).await;
    world.passes(2).await;
    let of = |instances: &[taskcluster_provisioner::instance::Instance], name: &str| -> Vec<_> {
        instances.iter().filter(|instance| instance.worker_type == name).cloned().collect()
    };
    let now = world.live().await;
    assert_eq!(of(&now, "w"), of(&before, "w"), "nobody can say that they are gone");
    assert!(world.why("w").await.contains("does not answer"), "{}", world.why("w").await);
    assert!(of(&now, "x").len() >= 2);
    assert!(world.other.sky().started >= 3);
    world.cloud.sky().away = false;
    world.passes(2).await;
    assert!(world.cloud.sky().started >= 3);
}

#[tokio::test]
async fn without_the_queue_nothing_is_started_and_nothing_ended() {
    let mut world = World::new().await;
    world.define("w", &definition(10)).await;
    world.tasks("w", 2).await;
    world.passes(1).await;
    world.work().await;
    let before = world.live().await;
    world.restart_without_queue().await;
    world.advance(hours(5)).await;
    world.passes(3).await;
    assert_eq!(world.live().await, before);
    assert!(world.why("w").await.contains("the queue does not say"), "{}", world.why("w").await);
    assert_eq!(world.cloud.alive().len(), 2);
}

#[tokio::test]
async fn of_two_processes_one_leads_and_the_other_takes_over() {
    let Some(world) = World::on(Kind::Postgres).await else { return };
    let other = world.another().await;
    world.define("w", &definition(100)).await;
    for count in 1..4 {
        world.tasks("w", 5).await;
        let (one, two) = tokio::join!(world.service.catch_up(), other.catch_up());
        one.unwrap();
        two.unwrap();
        assert_eq!(world.cloud.sky().started, 5 * count);
        world.advance(Duration::from_secs(10)).await;
    }
    // It is not known which of them leads. One falls silent, and then the other.
    for silent_one in [true, false] {
        world.tasks("w", 5).await;
        world.advance(minutes(1)).await;
        let before = world.cloud.sky().started;
        let left = if silent_one { &other } else { &world.service };
        soon(left.catch_up()).await.unwrap();
        assert_eq!(world.cloud.sky().started, before + 5);
        let silent = if silent_one { &world.service } else { &other };
        soon(silent.catch_up()).await.unwrap();
        assert_eq!(world.cloud.sky().started, before + 5);
    }
}

#[tokio::test]
async fn a_process_that_was_slow_does_nothing_by_what_it_saw_before_another_led() {
    let Some(world) = World::on(Kind::Postgres).await else { return };
    let other = world.another().await;
    // In this order.
    world.define("v", &definition(100)).await;
    world.define("w", &of_other(100)).await;
    world.tasks("v", 1).await;
    world.tasks("w", 3).await;
    world.cloud.hold(Point::Offers);
    let slow = world.service.catch_up();
    let meanwhile = async {
        world.cloud.held().await;
        world.advance(minutes(2)).await;
        other.catch_up().await.unwrap();
        other.store().leave(&taskcluster_provisioner::store::Lead { holder: leader(&world).await }).await.unwrap();
        world.cloud.go_on();
    };
    let (slow, ()) = soon(async { tokio::join!(slow, meanwhile) }).await;
    slow.unwrap();
    assert_eq!((world.cloud.sky().started, world.other.sky().started), (1, 3));
}

/// Whoever leads.
async fn leader(world: &World) -> String {
    world.service.store().leader().await.unwrap().expect("somebody leads")
}

#[tokio::test]
async fn two_passes_of_one_process_start_nothing_twice() {
    let world = World::new().await;
    world.define("w", &definition(100)).await;
    world.tasks("w", 5).await;
    let passes = [(); 4].map(|()| world.service.catch_up());
    for passed in soon(futures_util::future::join_all(passes)).await {
        passed.unwrap();
    }
    assert_eq!(world.cloud.sky().started, 5);
}

#[tokio::test]
async fn a_worker_type_that_is_removed_leaves_nothing() {
    let mut world = World::new().await;
    world.define("w", &definition(10)).await;
    world.tasks("w", 4).await;
    world.passes(1).await;
    world.work().await;
    // In the midst of a pass that has decided already.
    world.tasks("w", 4).await;
    world.cloud.hold(Point::Offers);
    let removal = async {
        world.cloud.held().await;
        world.api().remove_worker_type("w").await.unwrap();
        world.cloud.go_on();
    };
    let (passed, ()) = soon(async { tokio::join!(world.service.catch_up(), removal) }).await;
    passed.unwrap();
    world.passes(2).await;
    assert!(world.live().await.is_empty() && world.cloud.sky().machines.is_empty(), "{:?}", world.live().await);
    assert_eq!(world.cloud.sky().started, 4);
    world.passes(2).await;
    assert_eq!(world.cloud.sky().started, 4);
}

#[tokio::test]
async fn what_ends_at_once_is_started_ever_more_rarely() {
    // Before its worker has begun, and when it has and asks for nothing.
    for begins in [false, true] {
        let mut world = World::new().await;
        world.define("w", &definition(1)).await;
        world.tasks("w", 1).await;
        world.cloud.sky().stillborn = !begins;
        let mut paused = false;
        for _ in 0..(60 * 6) {
            world.passes(1).await;
            let pass = world.service.store().pass("w").await.unwrap().unwrap();
            paused |= pass.why.iter().any(|line| line.contains("Nothing is started before"));
            for id in world.cloud.alive() {
                world.begin(&id).await;
                world.breaks(&id);
            }
        }
        let started = world.cloud.sky().started;
        assert!((6..=16).contains(&started), "{started} in an hour, begins: {begins}");
        assert!(paused, "it says so");
        // Once one is of use, all is as before.
        world.cloud.sky().stillborn = false;
        world.until_quiet(100).await;
    }
}

#[tokio::test]
async fn a_provider_that_ends_nothing_does_not_make_the_fleet_grow() {
    let world = World::new().await;
    world.define("w", &definition(2)).await;
    world.tasks("w", 2).await;
    world.cloud.sky().stubborn = true;
    for _ in 0..20 {
        // None of the workers begins.
        world.advance(minutes(10)).await;
        world.pass().await;
    }
    let why = world.why("w").await;
    assert_eq!(world.cloud.sky().started, 2, "{why}");
    assert!(world.why("w").await.contains("as much runs as may"), "{}", world.why("w").await);
    world.cloud.sky().stubborn = false;
    world.passes(6).await;
    assert_eq!(world.cloud.sky().started, 4);
}

/// All workers are busy for long.
async fn busy(world: &mut World, count: usize) {
    world.tasks("w", count).await;
    world.passes(1).await;
    for id in world.cloud.alive() {
        world.begin(&id).await;
        assert!(world.claim(&id).await);
    }
    world.passes(1).await;
}

/// How many of each version take tasks or start.
async fn versions(world: &World) -> Vec<(u32, usize)> {
    let mut counts = std::collections::BTreeMap::new();
    for instance in world.live().await.iter().filter(|instance| instance.state.counts()) {
        *counts.entry(instance.version).or_insert(0) += 1;
    }
    counts.into_iter().collect()
}

/// Workers go on with their tasks, and those that drain finish theirs and end.
async fn turn_over(world: &mut World) {
    for _ in 0..25 {
        for instance in world.live().await {
            if instance.state == State::Draining {
                world.complete(&instance.id).await;
                world.is_idle(&instance.id).await;
            } else if !world.is_working(&instance.id) {
                world.begin(&instance.id).await;
                world.claim(&instance.id).await;
            }
        }
        world.passes(1).await;
    }
}

#[tokio::test]
async fn a_new_version_gets_its_share_and_is_taken_back_by_one_call() {
    let mut world = World::new().await;
    let of = |colour: &str| definition(8).with_user_data(object! { "colour": colour });
    world.define("w", &definition(8)).await;
    // There is always something to do.
    world.tasks("w", 100).await;
    busy(&mut world, 8).await;
    assert_eq!(versions(&world).await, [(1, 8)]);
    soon(world.api().update_worker_type("w", &of("red")).share(0.25)).await.unwrap();
    turn_over(&mut world).await;
    assert_eq!(versions(&world).await, [(1, 6), (2, 2)], "{}", world.why("w").await);
    soon(world.api().roll_back("w", &RollBackRequest::new(2))).await.unwrap();
    turn_over(&mut world).await;
    assert_eq!(versions(&world).await, [(1, 8)], "{}", world.why("w").await);
    soon(world.api().update_worker_type("w", &of("green")).share(0.5)).await.unwrap();
    turn_over(&mut world).await;
    assert_eq!(versions(&world).await, [(1, 4), (3, 4)], "{}", world.why("w").await);
    soon(world.api().roll_out("w", &RollOutRequest::new(1.0))).await.unwrap();
    turn_over(&mut world).await;
    assert_eq!(versions(&world).await, [(3, 8)], "{}", world.why("w").await);
}

#[tokio::test]
async fn who_is_quarantined_or_silent_is_replaced() {
    let mut world = World::new().await;
    world.define("w", &definition(3).with_min_capacity(3)).await;
    busy(&mut world, 3).await;
    let all = world.cloud.alive();
    world.complete(&all[0]).await;
    world.complete(&all[1]).await;
    let quarantine = QuarantineWorkerRequest::new(world.now() + hours(10));
    soon(world.queue.quarantine_worker("prov", "w", "sky", &all[0], &quarantine)).await.unwrap();
    world.passes(1).await;
    assert_eq!(world.states().await[&State::Draining], 1);
    assert!(world.is_idle(&all[0]).await, "it is told to go");
    // The second says nothing more, the third works on.
    for _ in 0..4 {
        world.advance(minutes(5)).await;
        let (task_id, run_id) = world.task_of(&all[2]);
        soon(world.queue.reclaim_task(&task_id, run_id)).await.unwrap();
        world.pass().await;
        for id in world.cloud.alive().iter().filter(|id| !all.contains(id)) {
            world.begin(id).await;
            world.claim(id).await;
        }
    }
    world.passes(2).await;
    let alive = world.cloud.alive();
    assert!(!alive.contains(&all[0]) && !alive.contains(&all[1]), "{}", world.why("w").await);
    assert!(alive.contains(&all[2]));
    assert_eq!(alive.len(), 3);
}

#[tokio::test]
async fn who_is_old_is_replaced() {
    let mut world = World::new().await;
    let lifecycle = WorkerLifecycle::new().with_max_age(3600);
    world.define("w", &definition(2).with_min_capacity(1).with_lifecycle(lifecycle)).await;
    world.passes(1).await;
    let first = world.cloud.alive();
    for _ in 0..7 {
        world.work().await;
        world.advance(minutes(10)).await;
        world.pass().await;
    }
    world.work().await;
    world.passes(2).await;
    let second = world.cloud.alive();
    assert_eq!((first.len(), second.len()), (1, 1));
    assert_ne!(first, second);
}

#[tokio::test]
async fn a_worker_type_that_comes_to_be_a_fixed_one_lets_its_instances_go() {
    let mut world = World::new().await;
    world.define("w", &definition(4)).await;
    busy(&mut world, 2).await;
    world.tasks("w", 1).await;
    world.passes(1).await;
    assert_eq!(world.cloud.alive().len(), 3);
    let fixed = of_provider(4, FixedProvider::new([FixedWorker::new("rack", "one", 1)]));
    soon(world.api().update_worker_type("w", &fixed)).await.unwrap();
    world.passes(2).await;
    assert_eq!(world.states().await, [(State::Draining, 2)].into());
    world.work().await;
    for id in world.cloud.alive() {
        world.complete(&id).await;
        world.is_idle(&id).await;
    }
    world.passes(8).await;
    assert!(world.live().await.is_empty() && world.cloud.sky().machines.is_empty());
}

#[tokio::test]
async fn a_provider_that_the_deployment_does_not_have_is_named() {
    let world = World::new().await;
    let definition = of_provider(
        4,
        serde_json::from_value::<taskcluster::provisioner::WorkerTypeProvider>(
            serde_json::json!({"kind": "ec2", "regions": [{"region": "r", "launchSpec": {"ImageId": "i"}}],
            "instanceTypes": [{"instanceType": "t", "capacity": 1, "utility": 1}], "minPrice": 0, "maxPrice": 1}),
        )
        .unwrap(),
    );
    let refused = soon(world.api().create_worker_type("w", &definition)).await.unwrap_err();
    assert_eq!(refused.status().map(|status| status.as_u16()), Some(400), "{refused}");
    assert!(refused.to_string().contains("no provider \"ec2\""), "{refused}");
    // It was there once.
    let definition = taskcluster_provisioner::worker_type::Definition::new(definition);
    world.service.store().create("w", &definition, world.now()).await.unwrap();
    world.tasks("w", 2).await;
    world.passes(2).await;
    assert!(world.live().await.is_empty());
    assert!(world.why("w").await.contains("no provider \"ec2\""), "{}", world.why("w").await);
}

#[tokio::test]
async fn what_a_provider_takes_away_is_replaced() {
    let mut world = World::new().await;
    world.define("w", &definition(4).with_min_capacity(1)).await;
    world.passes(1).await;
    world.work().await;
    let first = world.cloud.alive();
    world.cloud.sky().machines.get_mut(&first[0]).unwrap().phase = Phase::Ending;
    world.passes(2).await;
    assert_eq!(world.cloud.alive().len(), 1);
    assert_ne!(world.cloud.alive(), first);
}
