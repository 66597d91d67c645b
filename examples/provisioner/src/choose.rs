//! Which offers to take: the cheapest by what they are worth, until there is enough. No I/O.

use crate::provider::Offer;

/// Offers for `units` of capacity, of which no more than `room` may come. The last may bring more than is needed: a task that waits
/// gets a machine, even if there is none as small as itself.
#[must_use]
pub fn choose(offers: &[Offer], units: u32, room: u32) -> Vec<&Offer> {
    let (mut missing, mut room) = (units, room);
    let mut chosen = Vec::new();
    while missing > 0 {
        let fitting = offers.iter().filter(|offer| offer.capacity > 0 && offer.capacity <= room);
        let Some(best) = fitting.min_by(|a, b| cost(a, missing).total_cmp(&cost(b, missing))) else { break };
        missing = missing.saturating_sub(best.capacity);
        room -= best.capacity;
        chosen.push(best);
    }
    chosen
}

/// What an offer costs for the worth that it has here: what it brings beyond what is missing is worth nothing.
fn cost(offer: &Offer, missing: u32) -> f64 {
    let used = f64::from(offer.capacity.min(missing)) / f64::from(offer.capacity);
    // Where nobody asks for money, fewer instances are better.
    let price = if offer.price > 0.0 { offer.price * offer.bias } else { f64::MIN_POSITIVE };
    price / (offer.utility * used)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instance::Place;

    fn offer(name: &str, capacity: u32, utility: f64, price: f64) -> Offer {
        let place = Place { instance_type: name.to_owned(), ..Place::default() };
        Offer { worker_group: "g".to_owned(), place, capacity, price, utility, bias: 1.0, bid: None }
    }

    fn names(offers: &[Offer], units: u32, room: u32) -> Vec<&str> {
        choose(offers, units, room).into_iter().map(|offer| &*offer.place.instance_type).collect()
    }

    #[test]
    fn the_cheapest_by_its_worth_is_taken_until_there_is_enough() {
        let offers = [offer("dear", 1, 1.0, 0.3), offer("cheap", 1, 1.0, 0.1), offer("worth it", 1, 2.0, 0.15)];
        assert_eq!(names(&offers, 3, 10), ["worth it", "worth it", "worth it"]);
        assert_eq!(names(&offers, 3, 2).len(), 2, "there is no room for more");
        assert_eq!(names(&offers, 0, 10).len(), 0);
        assert_eq!(names(&[], 3, 10).len(), 0);
    }

    #[test]
    fn what_nobody_would_use_is_worth_nothing() {
        let offers = [offer("small", 1, 1.0, 0.12), offer("large", 8, 8.0, 0.8)];
        assert_eq!(names(&offers, 9, 16), ["large", "small"]);
        assert_eq!(names(&offers, 1, 16), ["small"]);
        assert_eq!(names(&offers[1..], 1, 16), ["large"], "there is none as small");
        assert_eq!(names(&offers[1..], 1, 7).len(), 0);
    }

    #[test]
    fn what_lasts_less_counts_for_more_than_it_costs() {
        let fleeting = Offer { bias: 3.0, ..offer("fleeting", 1, 1.0, 0.1) };
        assert_eq!(names(&[fleeting, offer("lasting", 1, 1.0, 0.2)], 1, 1), ["lasting"]);
    }
}
