//! What a worker has done when it stops.

/// What a worker has done, and why it stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Done {
    /// Runs that it has claimed and ended.
    pub runs: u64,
    /// Why it stopped.
    pub why: WhyDone,
}

/// Why a worker stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhyDone {
    /// It was told to.
    Shutdown,
    /// It has run as many tasks as it was to run.
    TaskLimit,
    /// There was nothing to do for long enough, and no [overseer](crate::Overseer) that needed it still.
    Idle,
    /// Its [overseer](crate::Overseer) needs it no more, whether there was something to do or not.
    Dismissed,
}
