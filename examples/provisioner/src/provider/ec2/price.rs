//! What a machine may cost. No I/O.
//!
//! Definitions speak of dollars an hour for a unit of utility, EC2 of dollars an hour for a machine: between them stands the utility
//! of the instance type. What costs more than `maxPrice` is not started, whatever it would be worth otherwise. A bid is twice the
//! price that was highest lately, so that the machine is not lost to the next small rise; it is never more than `maxPrice` and never
//! less than `minPrice` allow. Nobody pays a bid: EC2 takes the price of the market.

/// A millionth of a dollar, the smallest step of a bid.
const STEPS: f64 = 1e6;

/// What a machine of an instance type may cost, in dollars an hour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Limits {
    min: f64,
    max: f64,
}

impl Limits {
    /// Those of a definition, for a machine of this utility.
    pub(super) fn new(min_price: f64, max_price: f64, utility: f64) -> Self {
        // Down and up to what a bid can say, so that it lies between them.
        let max = steps(max_price * utility).floor() / STEPS;
        Self { min: (steps(min_price * utility).ceil() / STEPS).min(max), max }
    }

    /// Whether a machine of that price may be started.
    pub(super) fn allow(&self, price: f64) -> bool {
        price.is_finite() && price >= 0.0 && price <= self.max
    }

    /// What to bid for a machine of that price.
    pub(super) fn bid(&self, price: f64) -> f64 {
        (steps(2.0 * price).ceil() / STEPS).clamp(self.min, self.max)
    }
}

/// A price in steps. What lies next to a whole number is one: 0.1 · 3 is 0.3.
fn steps(price: f64) -> f64 {
    let steps = price * STEPS;
    let whole = steps.round();
    if (steps - whole).abs() < 1e-6 * whole.max(1.0) { whole } else { steps }
}

/// A bid as EC2 reads it.
pub(super) fn written(bid: f64) -> String {
    format!("{bid:.6}")
}

/// By how much a price is to be taken for higher, if of `started` machines of its place `lost` were taken away within a day. Where
/// nobody has been lately it is worth a try.
pub(super) fn bias(started: usize, lost: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "there are not so many machines")]
    match (started, lost) {
        (0, 0) => 0.95,
        // Those that are lost may have been started before that day: all of them, then.
        (started, lost) => 1.0 + 4.0 * lost as f64 / started.max(lost) as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bid_is_twice_the_price_within_the_limits() {
        let limits = Limits::new(0.1, 1.0, 2.0);
        assert_eq!(written(limits.bid(0.3)), "0.600000");
        assert_eq!(written(limits.bid(0.123_456_7)), "0.246914", "rounded up");
        assert_eq!(written(limits.bid(0.01)), "0.200000", "no less than minPrice by its utility");
        assert_eq!(written(limits.bid(1.7)), "2.000000", "no more than maxPrice by its utility");
        assert_eq!(written(Limits::new(0.0, 0.1, 3.0).bid(1.0)), "0.300000");
        assert_eq!(written(Limits::new(5.0, 0.1, 1.0).bid(0.01)), "0.100000", "the maximum wins");
    }

    #[test]
    fn what_costs_more_than_allowed_is_not_started() {
        let limits = Limits::new(0.0, 0.1, 3.0);
        assert!(limits.allow(0.3) && limits.allow(0.0));
        assert!(!limits.allow(0.300_001) && !limits.allow(f64::NAN) && !limits.allow(-1.0));
        assert!(Limits::new(0.0, 0.0, 1.0).allow(0.0), "what costs nothing");
    }

    #[test]
    fn a_bid_is_never_below_the_price_that_is_allowed() {
        for thousandths in 1..3000 {
            let price = f64::from(thousandths) / 1000.0;
            let limits = Limits::new(0.01, price / 3.0, 3.0);
            assert!(!limits.allow(price) || limits.bid(price) >= price, "{price}");
        }
    }

    #[test]
    fn places_where_machines_are_lost_count_as_dearer() {
        assert_eq!([bias(0, 0), bias(5, 0), bias(4, 1), bias(4, 4), bias(0, 2)], [0.95, 1.0, 2.0, 5.0, 5.0]);
    }
}
