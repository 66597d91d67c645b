//! Many tests in few tasks that take about equally long.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// Distributes tests over at most `count` chunks so that each takes about equally long: the longest test first, always to
/// the chunk that has the least to do. A test whose duration is not known counts as the median of the known ones.
///
/// The same tests in any order give the same chunks, each in order; none is empty. No chunk takes more than 4/3 of what
/// the best distribution would take.
///
/// ```
/// use std::time::Duration;
/// use taskcluster::graph::chunks;
///
/// let seconds = |seconds| Some(Duration::from_secs(seconds));
/// let tests = [("a", seconds(90)), ("b", seconds(20)), ("c", seconds(30)), ("d", None)]; // d: 30 s
/// assert_eq!(chunks(tests, 2), [vec!["a"], vec!["b", "c", "d"]]);
/// ```
pub fn chunks<T: Ord>(tests: impl IntoIterator<Item = (T, Option<Duration>)>, count: usize) -> Vec<Vec<T>> {
    let mut tests: Vec<(T, Option<Duration>)> = tests.into_iter().collect();
    let median = median(tests.iter().filter_map(|(_, duration)| *duration).collect());
    tests.sort_by(|(one, _), (other, _)| one.cmp(other));
    // Stable: those that take equally long stay in order.
    tests.sort_by_key(|(_, duration)| Reverse(duration.unwrap_or(median)));

    let count = count.clamp(1, tests.len().max(1));
    let mut chunks: Vec<Vec<T>> = (0..count).map(|_| Vec::new()).collect();
    // By what there is to do, then by how many tests: also tests that take no time are spread.
    let mut loads: BinaryHeap<_> = (0..count).map(|at| Reverse((Duration::ZERO, 0_usize, at))).collect();
    for (test, duration) in tests {
        let Some(Reverse((load, length, at))) = loads.pop() else { break };
        chunks[at].push(test);
        loads.push(Reverse((load + duration.unwrap_or(median), length + 1, at)));
    }
    chunks.retain(|chunk| !chunk.is_empty());
    chunks.iter_mut().for_each(|chunk| chunk.sort());
    chunks
}

/// The middle one; of two in the middle, what lies between them. A second where there is none.
fn median(mut durations: Vec<Duration>) -> Duration {
    durations.sort();
    match (durations.len() / 2, durations.len() % 2) {
        (0, 0) => Duration::from_secs(1),
        (middle, 0) => (durations[middle - 1] + durations[middle]) / 2,
        (middle, _) => durations[middle],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(chunk: &[u64]) -> u64 {
        chunk.iter().sum()
    }

    #[test]
    fn chunks_are_about_equal_and_do_not_depend_on_the_order() {
        let tests: Vec<u64> = (1..=100).collect();
        let given = |tests: &[u64]| chunks(tests.iter().map(|n| (*n, Some(Duration::from_secs(*n)))), 7);
        let cut = given(&tests);
        let backwards: Vec<u64> = tests.iter().rev().copied().collect();
        assert_eq!(given(&backwards), cut);
        let mut all = cut.concat();
        all.sort_unstable();
        assert_eq!(all, tests);
        let loads = cut.iter().map(|chunk| load(chunk));
        assert!(loads.clone().max().unwrap() - loads.min().unwrap() <= 10, "{cut:?}");
    }

    #[test]
    fn unknown_durations_are_the_median_and_few_tests_make_few_chunks() {
        assert_eq!(median(vec![]), Duration::from_secs(1));
        assert_eq!(median([4, 1, 3, 2].map(Duration::from_secs).to_vec()), Duration::from_millis(2500));
        assert_eq!(chunks([("b", None), ("a", None)], 5), [vec!["a"], vec!["b"]]);
        assert_eq!(chunks([("b", None), ("a", None)], 0), [vec!["a", "b"]]);
        assert!(chunks(Vec::<(u8, _)>::new(), 3).is_empty());
        let none = Some(Duration::ZERO);
        assert_eq!(chunks([(1, none), (2, none), (3, none), (4, none)], 2), [vec![1, 3], vec![2, 4]]);
    }
}
