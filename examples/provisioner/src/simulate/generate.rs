//! Tasks that are made up, the same again for the same recipe: more by day than by night, fewer at weekends, now and then a crowd.

use serde::{Deserialize, Serialize};

use super::trace::Arrival;

const SECOND: f64 = 1000.0;
const HOUR: f64 = 3600.0 * SECOND;
const DAY: f64 = 24.0 * HOUR;

/// What tasks are made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[allow(clippy::exhaustive_structs, reason = "tests and tools make it")]
pub struct Recipe {
    /// Another one gives other tasks of the same kind.
    pub seed: u64,
    /// How many days.
    pub days: u32,
    /// How many tasks come by themselves on a day, on average.
    pub tasks_per_day: f64,
    /// How much more by day and less by night, from 0 (as many at all times) to 1 (none at night).
    #[serde(default)]
    pub rhythm: f64,
    /// What share of a day's tasks comes on a day of a weekend.
    #[serde(default = "whole")]
    pub weekend: f64,
    /// How many crowds come on a day, on average.
    #[serde(default)]
    pub crowds_per_day: f64,
    /// How many tasks a crowd has, on average; they come within a minute.
    #[serde(default)]
    pub crowd: f64,
    /// How long half of the tasks run at most, in seconds.
    pub median: f64,
    /// By how much the logarithm of that varies (standard deviation).
    pub spread: f64,
}

fn whole() -> f64 {
    1.0
}

/// The tasks of a recipe.
#[must_use]
pub fn arrivals(recipe: &Recipe) -> Vec<Arrival> {
    let mut chance = Chance::new(recipe.seed);
    let mut times = Vec::new();
    let end = f64::from(recipe.days) * DAY;
    // The busiest moment's rate, thinned out at all others: Lewis and Shedler's method.
    let most = recipe.tasks_per_day * (1.0 + recipe.rhythm) / DAY;
    let mut time = chance.interval(most);
    while time < end {
        if chance.part() * most < rate(recipe, time) {
            times.push(time);
        }
        time += chance.interval(most);
    }
    let crowds = recipe.crowds_per_day / DAY;
    let mut time = chance.interval(crowds);
    while time < end {
        let size = chance.interval(1.0 / recipe.crowd.max(1.0)).ceil();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "crowds are not that large")]
        times.extend((0..size as u32).map(|_| time + chance.part() * 60.0 * SECOND));
        time += chance.interval(crowds);
    }
    times.sort_by(f64::total_cmp);
    times.into_iter().map(|time| Arrival(whole_number(time), chance.duration(recipe.median, recipe.spread))).collect()
}

/// How many tasks come in a millisecond at this time. Days begin at midnight, the first is a Monday, and most comes at two in the afternoon.
fn rate(recipe: &Recipe, time: f64) -> f64 {
    let wave = ((time / DAY - 14.0 / 24.0) * std::f64::consts::TAU).cos();
    let is_weekend = (time / DAY) % 7.0 >= 5.0;
    let share = if is_weekend { recipe.weekend } else { 1.0 };
    recipe.tasks_per_day / DAY * (1.0 + recipe.rhythm * wave) * share
}

/// Numbers by chance. Written down here since traces have to stay what they are: SplitMix64, as Steele, Lea and Flood described it.
#[derive(Clone, Debug)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to 1, and never 1.
    pub(super) fn part(&mut self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
        let part = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        part
    }

    /// How long until the next of what comes so often; of what never comes, for ever.
    pub(super) fn interval(&mut self, rate: f64) -> f64 {
        -(1.0 - self.part()).ln() / rate
    }

    /// A time in milliseconds whose logarithm is normally distributed (Box and Muller); `median` is in seconds.
    pub(super) fn duration(&mut self, median: f64, spread: f64) -> u64 {
        let radius = (-2.0 * (1.0 - self.part()).ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * self.part()).cos();
        whole_number(median * SECOND * (spread * normal).exp()).max(1)
    }

    /// One of so many.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap_or_default()
    }
}

fn whole_number(number: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "times are not negative")]
    let whole = number as u64;
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe() -> Recipe {
        Recipe {
            seed: 7,
            days: 14,
            tasks_per_day: 1000.0,
            rhythm: 0.8,
            weekend: 0.3,
            crowds_per_day: 2.0,
            crowd: 50.0,
            median: 300.0,
            spread: 0.8,
        }
    }

    #[test]
    fn a_recipe_gives_the_same_tasks_again_and_another_seed_others() {
        assert_eq!(arrivals(&recipe()), arrivals(&recipe()));
        assert_ne!(arrivals(&recipe()), arrivals(&Recipe { seed: 8, ..recipe() }));
    }

    #[test]
    fn tasks_come_when_the_recipe_says() {
        let arrivals = arrivals(&Recipe { crowds_per_day: 0.0, ..recipe() });
        assert!(arrivals.is_sorted_by_key(|arrival| arrival.0));
        let hour = |arrival: &Arrival| arrival.0 / 3_600_000 % 24;
        let by_day = arrivals.iter().filter(|arrival| (8..20).contains(&hour(arrival))).count();
        assert!(by_day * 10 > arrivals.len() * 7, "{by_day} of {}", arrivals.len());
        let weekend = arrivals.iter().filter(|arrival| arrival.0 / 86_400_000 % 7 >= 5).count();
        assert!((weekend as f64 / arrivals.len() as f64 - 0.6 / 5.6).abs() < 0.02, "{weekend}");
        let mut runs: Vec<u64> = arrivals.iter().map(|arrival| arrival.1).collect();
        runs.sort_unstable();
        assert!((280_000..320_000).contains(&runs[runs.len() / 2]), "{}", runs[runs.len() / 2]);
    }
}
