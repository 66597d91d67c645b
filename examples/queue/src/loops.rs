//! What the queue does by itself.
//!
//! Every loop looks again and again ([`service_kit::sweep`]). Any number of processes may run them on one database: the life cycle
//! ignores what another has done already.

use std::time::Duration;

use service_kit::sweep::Next;
use taskcluster_core::time::Timestamp;

mod claim_resolver;
mod deadline_resolver;
mod expiry;
mod waker;

pub use claim_resolver::ClaimResolver;
pub use deadline_resolver::DeadlineResolver;
pub use expiry::Expiry;
pub use waker::{Listener, Waker};

/// How much one step does at most, so that others get their turn.
const PORTION: u32 = 100;

/// A loop does not sleep longer than this: somebody may have claimed a run for, or created a task with, less time than
/// what was due next when it looked.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);

/// After a step that found so many things to do: the rest, or what is due next.
fn after(found: usize, due: Option<Timestamp>, now: Timestamp) -> Next {
    if found == PORTION as usize {
        return Next::Now;
    }
    let latest = now + LONGEST_SLEEP;
    Next::At(due.map_or(latest, |due| due.min(latest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_looks_again_before_a_short_claim_is_long_over() {
        let now = Timestamp::from_millis(1_800_000_000_000);
        let (soon, late) = (now + Duration::from_secs(1), now + Duration::from_secs(1200));
        assert_eq!(after(0, None, now), Next::At(now + Duration::from_secs(5)));
        assert_eq!(after(1, Some(late), now), Next::At(now + Duration::from_secs(5)));
        assert_eq!(after(1, Some(soon), now), Next::At(soon));
        assert_eq!(after(PORTION as usize, Some(late), now), Next::Now);
    }
}
