//! Demand, crashes, lost answers and slow lists by chance, over hours; what must hold, holds after each pass.

use std::collections::BTreeSet;
use std::time::Duration;

use taskcluster_core::time::minutes;

use crate::cloud::Point;
use crate::world::{World, definition, soon};

/// Numbers that look as if by chance, and are the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn one_of(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

/// A pass, or the part of one that comes before the process is gone.
async fn pass(world: &mut World, chance: &mut Chance) {
    let points = [Point::List, Point::Offers, Point::BeforeLaunch, Point::AfterLaunch, Point::End];
    if !chance.one_of(4) {
        return world.pass().await;
    }
    world.cloud.hold(points[usize::try_from(chance.below(5)).unwrap()]);
    let gone = tokio::select! {
        passed = soon(world.service.catch_up()) => {
            passed.unwrap();
            false
        }
        () = world.cloud.held() => true,
    };
    world.cloud.hold_nothing();
    if gone {
        world.restart().await;
    }
}

/// How the cloud behaves from now on.
fn weather(world: &World, chance: &mut Chance) {
    let mut sky = world.cloud.sky();
    sky.away = chance.one_of(5);
    sky.loses_answers = chance.one_of(4);
    sky.stillborn = chance.one_of(12);
    sky.lists_after = Duration::from_secs(chance.below(40));
}

fn calm(world: &World) {
    let mut sky = world.cloud.sky();
    (sky.away, sky.loses_answers, sky.stillborn, sky.lists_after) = (false, false, false, Duration::ZERO);
}

/// Each worker does something, or not.
async fn work(world: &mut World, chance: &mut Chance) {
    for id in world.cloud.alive() {
        match chance.below(12) {
            0..4 => {}
            4 if chance.one_of(4) => world.breaks(&id),
            _ => {
                world.begin(&id).await;
                world.complete(&id).await;
                if !world.claim(&id).await {
                    world.is_idle(&id).await;
                }
            }
        }
    }
}

async fn holds(world: &World, max: u32) {
    let live = world.live().await;
    let counted: u32 = live.iter().filter(|instance| instance.state.counts()).map(|instance| instance.capacity).sum();
    assert!(counted <= max, "{counted} are there or on their way");
}

async fn a_long_time(seed: u64) {
    const MAX: u32 = 6;
    let mut chance = Chance(seed);
    let mut world = World::new().await;
    world.define("w", &definition(MAX)).await;
    for _ in 0..3 {
        for _ in 0..80 {
            if chance.one_of(6) {
                weather(&world, &mut chance);
            }
            if chance.one_of(4) {
                let count = usize::try_from(chance.below(5)).unwrap();
                world.tasks("w", count).await;
            }
            if chance.one_of(40) {
                soon(world.api().terminate_all_instances_of_worker_type("w")).await.unwrap();
            }
            work(&mut world, &mut chance).await;
            world.advance(Duration::from_secs(1 + chance.below(20))).await;
            pass(&mut world, &mut chance).await;
            holds(&world, MAX).await;
        }
        calm(&world);
        // Whoever led before the last crash is known to say nothing.
        world.advance(minutes(2)).await;
        world.passes(2).await;
        let known: BTreeSet<String> = world.live().await.into_iter().map(|instance| instance.id).collect();
        let there: BTreeSet<String> = world.cloud.sky().machines.keys().cloned().collect();
        assert!(there.is_subset(&known), "seed {seed}: nobody knows of {:?}", there.difference(&known));
        // All tasks are done, and then nothing is left. A worker that broke holds its task for twenty minutes.
        world.tasks("w", 10).await;
        let mut left = u64::MAX;
        for _ in 0..400 {
            world.passes(1).await;
            world.work().await;
            let counts = soon(world.queue.task_queue_counts("prov/w")).await.unwrap();
            left = counts.pending_tasks + counts.claimed_tasks;
            if left == 0 && world.live().await.is_empty() && world.cloud.sky().machines.is_empty() {
                break;
            }
        }
        assert_eq!(left, 0, "seed {seed}: {}", world.why("w").await);
        assert!(world.live().await.is_empty(), "seed {seed}: {:?}", world.live().await);
        assert!(world.cloud.sky().machines.is_empty(), "seed {seed}");
    }
}

#[tokio::test]
async fn whatever_happens_nothing_is_forgotten_and_all_is_done() {
    for seed in 0..2 {
        a_long_time(seed).await;
    }
}
