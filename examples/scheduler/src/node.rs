//! One task of a graph, and what becomes of it by what the queue says. No I/O.
//!
//! Where a task stands follows from the *latest* status that the queue gave of it, from nothing else: a status knows all runs
//! that there were, and of two the later is told by its content. So it does not matter which events were lost, came
//! twice or out of order, as long as the last one is seen in the end.
//!
//! What the scheduler wants the queue to do is part of the same state: a [*wish*](Node::wish) is for a run that does not exist
//! yet. It is fulfilled when a status shows such a run, whoever made it. A crash between noting a wish and asking the queue,
//! or between its answer and noting that, loses nothing and asks for nothing twice.

use taskcluster::queue::{RunState, TaskState, TaskStatus};
use taskcluster::scheduler::TaskGraphTaskState;

/// The state of a task, in the order in which a run goes through them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(clippy::exhaustive_enums, reason = "the queue's states")]
pub enum State {
    /// It has no run.
    Unscheduled,
    /// Its last run waits for a worker.
    Pending,
    /// Its last run has a worker.
    Running,
    /// Its last run ended as an exception, and the queue makes no other.
    Exception,
    /// Its last run failed.
    Failed,
    /// Its last run succeeded.
    Completed,
}

impl State {
    /// The name that the queue has for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unscheduled => "unscheduled",
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Exception => "exception",
            Self::Failed => "failed",
            Self::Completed => "completed",
        }
    }

    /// The state of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Unscheduled, Self::Pending, Self::Running, Self::Exception, Self::Failed, Self::Completed]
            .into_iter()
            .find(|state| state.as_str() == name)
    }

    /// Whether the last run has ended.
    #[must_use]
    pub fn is_over(self) -> bool {
        match self {
            Self::Unscheduled | Self::Pending | Self::Running => false,
            Self::Exception | Self::Failed | Self::Completed => true,
        }
    }
}

/// What of a task's status matters here. Of two, the greater is the later: runs are only ever added, and the state of the
/// last goes one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(clippy::exhaustive_structs, reason = "the order of the fields is the order of the values")]
pub struct Seen {
    /// How many runs there were.
    pub runs: u32,
    /// The state of the last.
    pub state: State,
    /// How many of all runs failed.
    pub failed: u32,
}

impl Seen {
    /// A task that was created and has not begun.
    pub const NEW: Self = Self { runs: 0, state: State::Unscheduled, failed: 0 };

    /// What a status says. None if it says something that this version does not know.
    #[must_use]
    pub fn of(status: &TaskStatus) -> Option<Self> {
        let state = match status.state {
            TaskState::Unscheduled => State::Unscheduled,
            TaskState::Pending => State::Pending,
            TaskState::Running => State::Running,
            TaskState::Completed => State::Completed,
            TaskState::Failed => State::Failed,
            TaskState::Exception => State::Exception,
            _ => return None,
        };
        let failed = status.runs.iter().filter(|run| run.state == RunState::Failed).count();
        Some(Self { runs: count(status.runs.len()), state, failed: count(failed) })
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// One task of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "rows of the database are read into it")]
pub struct Node {
    /// The latest that is known of it.
    pub seen: Seen,
    /// How often it may be run again after it has failed.
    pub reruns: u32,
    /// How many failures do not count, since somebody had it run again after them.
    pub forgiven: u32,
    /// There shall be a run beyond this many.
    pub wish: Option<u32>,
    /// The wish can be fulfilled: all that the task requires is there.
    pub ready: bool,
    /// It shall be cancelled.
    pub cancel: bool,
}

impl Node {
    /// A task that was created. One that is `held` does not begin before the scheduler says so.
    #[must_use]
    pub fn new(reruns: u32, held: bool) -> Self {
        Self { seen: Seen::NEW, reruns, forgiven: 0, wish: held.then_some(0), ready: false, cancel: false }
    }

    /// What is known now. Nothing changes unless it is news. In a graph that is `stopped` nothing is run again.
    #[must_use]
    pub fn observe(self, seen: Seen, stopped: bool) -> Self {
        if seen <= self.seen {
            return self;
        }
        let fulfilled = self.wish.is_some_and(|after| seen.runs > after);
        let mut node = Self { seen, ..self };
        if fulfilled {
            (node.wish, node.ready) = (None, false);
        }
        if seen.state.is_over() {
            node.cancel = false;
        }
        if seen.state == State::Failed && node.wish.is_none() && !stopped && node.failures() <= node.reruns {
            (node.wish, node.ready) = (Some(seen.runs), true);
        }
        node
    }

    /// The queue does not make a run beyond this many, for good.
    #[must_use]
    pub fn give_up(self, after: u32) -> Self {
        if self.wish == Some(after) { Self { wish: None, ready: false, ..self } } else { self }
    }

    /// Somebody wants it to run again once it is over: all its reruns are given back to it.
    #[must_use]
    pub fn again(self) -> Self {
        Self { wish: Some(self.seen.runs), ready: false, forgiven: self.seen.failed, cancel: false, ..self }
    }

    /// It shall not go on, whatever it does now. What was held back stays so, for the case that the graph goes on before the
    /// queue has cancelled it.
    #[must_use]
    pub fn stop(self) -> Self {
        if self.seen.state.is_over() {
            Self { wish: None, ready: false, cancel: false, ..self }
        } else {
            Self { cancel: true, ..self }
        }
    }

    fn failures(&self) -> u32 {
        self.seen.failed.saturating_sub(self.forgiven)
    }

    /// How often it may still be run again.
    #[must_use]
    pub fn reruns_left(&self) -> u32 {
        self.reruns.saturating_sub(self.failures())
    }

    /// It has ended, and nobody wants another run.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.wish.is_none() && self.seen.state.is_over()
    }

    /// It has succeeded: those that require it need not wait for it any more.
    #[must_use]
    pub fn is_satisfied(&self) -> bool {
        self.is_over() && self.seen.state == State::Completed
    }

    /// It has ended without success.
    #[must_use]
    pub fn blocks(&self) -> bool {
        self.is_over() && self.seen.state != State::Completed
    }

    /// The state that is shown.
    #[must_use]
    pub fn shown(&self) -> TaskGraphTaskState {
        if self.wish.is_some() {
            return if self.ready { TaskGraphTaskState::Scheduled } else { TaskGraphTaskState::Unscheduled };
        }
        match self.seen.state {
            State::Unscheduled => TaskGraphTaskState::Unscheduled,
            State::Pending | State::Running => TaskGraphTaskState::Scheduled,
            State::Exception => TaskGraphTaskState::Exception,
            State::Failed => TaskGraphTaskState::Failed,
            State::Completed => TaskGraphTaskState::Completed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(runs: u32, state: State, failed: u32) -> Seen {
        Seen { runs, state, failed }
    }

    #[test]
    fn a_held_task_waits_until_it_is_ready_and_a_run_is_what_was_wished_for() {
        let held = Node::new(0, true);
        assert_eq!(held.shown(), TaskGraphTaskState::Unscheduled);
        let ready = Node { ready: true, ..held };
        assert_eq!(ready.shown(), TaskGraphTaskState::Scheduled);
        let pending = ready.observe(seen(1, State::Pending, 0), false);
        assert_eq!((pending.wish, pending.shown()), (None, TaskGraphTaskState::Scheduled));
        let done = pending.observe(seen(1, State::Completed, 0), false);
        assert!(done.is_satisfied() && !done.blocks());
    }

    #[test]
    fn a_failure_is_followed_by_another_run_as_often_as_it_may() {
        let node = Node::new(1, false).observe(seen(1, State::Failed, 1), false);
        assert_eq!((node.wish, node.ready, node.reruns_left()), (Some(1), true, 0));
        assert!(!node.blocks() && !node.is_over());
        let node = node.observe(seen(2, State::Failed, 2), false);
        assert_eq!((node.wish, node.shown()), (None, TaskGraphTaskState::Failed));
        assert!(node.blocks());
    }

    #[test]
    fn an_exception_is_not_followed_by_another_run() {
        let node = Node::new(5, false).observe(seen(1, State::Exception, 0), false);
        assert!(node.blocks());
        assert_eq!(node.reruns_left(), 5);
    }

    #[test]
    fn what_is_old_or_comes_twice_changes_nothing() {
        let node = Node::new(1, false).observe(seen(2, State::Running, 1), false);
        for old in [seen(0, State::Unscheduled, 0), seen(1, State::Failed, 1), seen(2, State::Pending, 1), node.seen] {
            assert_eq!(node.observe(old, false), node);
        }
    }

    #[test]
    fn who_asks_again_gives_the_reruns_back() {
        let node = Node::new(1, false).observe(seen(2, State::Failed, 2), false).again();
        assert_eq!((node.wish, node.reruns_left()), (Some(2), 1));
        let node = node.observe(seen(3, State::Failed, 3), false);
        assert_eq!((node.wish, node.reruns_left()), (Some(3), 0));
    }

    #[test]
    fn a_run_that_cannot_be_had_leaves_what_there_was() {
        let node = Node::new(3, false).observe(seen(1, State::Failed, 1), false);
        assert_eq!(node.give_up(0), node);
        assert_eq!(node.give_up(1).shown(), TaskGraphTaskState::Failed);
    }

    #[test]
    fn what_is_stopped_is_cancelled_where_it_runs_and_not_run_again() {
        let running = Node::new(3, false).observe(seen(1, State::Running, 0), false).stop();
        assert!(running.cancel);
        let failed = running.observe(seen(1, State::Failed, 1), true);
        assert!(failed.blocks() && !failed.cancel);
        let wished = Node::new(3, false).observe(seen(1, State::Failed, 1), false).stop();
        assert!(wished.blocks() && !wished.cancel);
    }

    /// All orders of some statuses, each with one left out or doubled, lead to the same as long as the last is seen.
    #[test]
    fn the_last_status_decides() {
        let life = [
            seen(1, State::Pending, 0),
            seen(1, State::Running, 0),
            seen(2, State::Pending, 0),
            seen(2, State::Failed, 1),
            seen(3, State::Running, 1),
            seen(3, State::Failed, 2),
        ];
        let last = Node::new(2, true).observe(life[5], false);
        let mut orders = vec![Vec::new()];
        for status in life {
            let grown = orders.iter().flat_map(|order: &Vec<Seen>| {
                (0..=order.len()).map(|at| {
                    let mut order = order.clone();
                    order.insert(at, status);
                    order
                })
            });
            orders = grown.collect();
        }
        assert_eq!(orders.len(), 720);
        for order in orders {
            for left_out in 0..life.len() {
                let some = order.iter().enumerate().filter(|(at, status)| *at != left_out || **status == life[5]);
                let doubled = some.flat_map(|(_, status)| [status, status]);
                let node = doubled.fold(Node::new(2, true), |node, status| node.observe(*status, false));
                assert_eq!(node, last, "{order:?}");
            }
        }
    }
}
