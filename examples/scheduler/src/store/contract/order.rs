//! What is heard late, twice and in any order comes to the same.

use super::{id, node, now, placed, request, state, submit};
use crate::node::{Seen, State};
use crate::store::{Placed, Store};

/// Numbers that look as if by chance, and are the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

/// The statuses that a task goes through, by chance.
fn life(chance: &mut Chance) -> Vec<Seen> {
    let mut life = Vec::new();
    let mut failed = 0;
    for runs in 1..=(1 + u32::try_from(chance.below(3)).unwrap()) {
        for state in [State::Pending, State::Running] {
            life.push(Seen { runs, state, failed });
        }
        let state = [State::Completed, State::Failed, State::Exception][chance.below(3)];
        failed += u32::from(state == State::Failed);
        life.push(Seen { runs, state, failed });
    }
    life.truncate(1 + chance.below(life.len()));
    life
}

pub(super) async fn what_is_heard_comes_to_the_same_in_any_order(store: &Store) {
    let mut chance = Chance(42);
    for round in 0..6 {
        let (orderly, chaotic) = (format!("orderly {round}"), format!("chaotic {round}"));
        let names: Vec<String> = (0..12).map(|n| format!("{n}")).collect();
        let nodes: Vec<(Vec<usize>, u32)> = (0..names.len())
            .map(|at| {
                let requires = (0..at).filter(|_| chance.below(4) == 0).collect();
                (requires, u32::try_from(chance.below(3)).unwrap())
            })
            .collect();
        for graph in [&orderly, &chaotic] {
            let name = |at: usize| format!("{graph} {at}");
            let nodes = nodes.iter().enumerate().map(|(at, (requires, reruns))| {
                let requires: Vec<String> = requires.iter().map(|at| name(*at)).collect();
                let requires: Vec<&str> = requires.iter().map(String::as_str).collect();
                node(&name(at), &requires).with_reruns(*reruns)
            });
            submit(store, graph, request(nodes.collect())).await;
        }
        let lives: Vec<Vec<Seen>> = names.iter().map(|_| life(&mut chance)).collect();
        let mut events: Vec<(usize, Seen)> =
            lives.iter().enumerate().flat_map(|(at, life)| life.iter().map(move |seen| (at, *seen))).collect();
        let hear = async |graph: &str, at: usize, seen: Seen| {
            let task = id(&format!("{graph} {at}"));
            store.observe(id(graph), task, seen, now()).await.unwrap();
        };
        for (at, seen) in &events {
            hear(&orderly, *at, *seen).await;
        }
        for at in (1..events.len()).rev() {
            events.swap(at, chance.below(at + 1));
        }
        for (at, seen) in events {
            for _ in 0..chance.below(3) {
                hear(&chaotic, at, seen).await;
            }
        }
        // What was lost altogether is found by asking.
        for (at, life) in lives.iter().enumerate() {
            hear(&chaotic, at, life[life.len() - 1]).await;
        }
        assert_eq!(state(store, &orderly).await, state(store, &chaotic).await, "round {round}");
        for at in 0..names.len() {
            let one = placed(store, &orderly, &format!("{orderly} {at}")).await;
            let other = placed(store, &chaotic, &format!("{chaotic} {at}")).await;
            assert_eq!(one.node, other.node, "round {round}, task {at}");
            let left = |placed: &Placed| placed.requires.iter().filter(|(_, met)| !met).count();
            assert_eq!(left(&one), left(&other), "round {round}, task {at}");
        }
    }
}
