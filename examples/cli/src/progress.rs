//! How far a task group is: a pure reading of the queue's list of its tasks.
//!
//! The queue knows states, not prospects: a task whose dependency failed stays `unscheduled` there until its deadline.
//! Here it counts as *not run*, and a group is over when nothing in it can move any more. For a task that takes failures, what
//! is not run is a failure as well, but the queue makes it wait for that deadline: such tasks are *given up*, see
//! [`Progress::given_up`].

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use taskcluster_core::ids::{TaskId, TaskQueueId};
use taskcluster_core::time::Timestamp;

/// A task as the queue lists it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Member {
    pub(crate) id: TaskId,
    pub(crate) name: String,
    pub(crate) queue: TaskQueueId,
    pub(crate) state: State,
    pub(crate) dependencies: Vec<TaskId>,
    /// Whether a dependency that failed is as good as one that is green.
    pub(crate) takes_failures: bool,
    pub(crate) run: Option<u32>,
    pub(crate) started: Option<Timestamp>,
    pub(crate) resolved: Option<Timestamp>,
}

impl Member {
    /// Whether it was cancelled before anybody began it.
    fn was_given_up(&self) -> bool {
        self.started.is_none() && matches!(&self.state, State::Exception(reason) if reason == CANCELED)
    }
}

/// The reason of a task that was cancelled.
const CANCELED: &str = "canceled";

/// How much of an id tells tasks of the same name apart.
const SHORT_ID: usize = 8;

/// A task's state in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    Unscheduled,
    Pending,
    Running,
    Completed,
    Failed,
    /// With the reason that the last run gives.
    Exception(String),
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unscheduled => "unscheduled",
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Exception(reason) => return write!(f, "exception ({reason})"),
        })
    }
}

/// What a task's state means for somebody who waits for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Waits for tasks that may still end well.
    Waiting,
    Pending,
    Running,
    Green,
    Failed,
    Exception(String),
    /// Never begins, because something it needs is not green.
    NotRun,
    /// Pending in a queue that nobody serves.
    Stranded,
    /// Waits for a task that nobody serves.
    Behind,
}

/// Where a group stands as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Busy,
    Green,
    NotGreen,
    /// Everything else is over, these queues would have to be served.
    Stranded(BTreeSet<TaskQueueId>),
}

impl Verdict {
    /// Whether nothing is left that anybody could do.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self, Self::Green | Self::NotGreen)
    }
}

/// The tasks of a group, in the order in which they were first seen, with their standings.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    members: Vec<(Member, Standing)>,
    /// Names that more than one task has.
    shared_names: HashSet<String>,
    served: BTreeSet<TaskQueueId>,
    /// Whether nobody waits any longer for what nobody serves.
    closed: bool,
}

impl Progress {
    /// Nothing known yet; tasks of other queues than `served` are stranded.
    pub(crate) fn new(served: BTreeSet<TaskQueueId>) -> Self {
        Self { served, ..Self::default() }
    }

    /// Takes a newer list of the group's tasks and gives the ids of those whose standing is another one, in the order in which
    /// that happened.
    pub(crate) fn update(&mut self, listed: Vec<Member>) -> Vec<TaskId> {
        let order: HashMap<TaskId, usize> =
            self.members.iter().enumerate().map(|(at, (member, _))| (member.id, at)).collect();
        let before: HashMap<TaskId, (Standing, Option<u32>)> =
            self.members.iter().map(|(member, standing)| (member.id, (standing.clone(), member.run))).collect();
        let mut listed = listed;
        listed.sort_by_key(|member| order.get(&member.id).copied().unwrap_or(usize::MAX));
        let mut standings = standings(&listed, &self.served);
        if self.closed {
            standings
                .iter_mut()
                .filter(|standing| **standing == Standing::Behind)
                .for_each(|it| *it = Standing::NotRun);
        }
        self.shared_names = shared(listed.iter().map(|member| member.name.as_str()));
        self.members = listed.into_iter().zip(standings).collect();
        let changed = |(member, standing): &&(Member, Standing)| {
            // A task that never began has a run all the same once it is cancelled.
            let began_again = |run: &Option<u32>| *run != member.run && *standing != Standing::NotRun;
            before.get(&member.id).is_none_or(|(old, run)| old != standing || began_again(run))
        };
        let mut changed: Vec<&(Member, Standing)> = self.members.iter().filter(changed).collect();
        // As it came to pass; what follows from it, and has no time of its own, comes last.
        changed.sort_by_key(|(member, _)| {
            let at = member.resolved.or(member.started);
            (at.is_none(), at)
        });
        changed.into_iter().map(|(member, _)| member.id).collect()
    }

    /// What waits for tasks that nobody serves never begins: gives their ids.
    pub(crate) fn close(&mut self) -> Vec<TaskId> {
        self.closed = true;
        self.update(self.members.iter().map(|(member, _)| member.clone()).collect())
    }

    pub(crate) fn members(&self) -> &[(Member, Standing)] {
        &self.members
    }

    /// The name of a task, with the beginning of its id where others have the same name.
    pub(crate) fn name_of(&self, member: &Member) -> String {
        match self.shared_names.contains(&member.name) {
            true => format!("{} ({})", member.name, &member.id.to_string()[..SHORT_ID]),
            false => member.name.clone(),
        }
    }

    pub(crate) fn get(&self, id: TaskId) -> Option<&(Member, Standing)> {
        self.members.iter().find(|(member, _)| member.id == id)
    }

    pub(crate) fn verdict(&self) -> Verdict {
        let mut stranded = BTreeSet::new();
        let mut green = true;
        for (member, standing) in &self.members {
            match standing {
                Standing::Waiting | Standing::Running | Standing::Pending => return Verdict::Busy,
                Standing::Stranded => {
                    stranded.insert(member.queue.clone());
                }
                Standing::Failed | Standing::Exception(_) | Standing::NotRun | Standing::Behind => green = false,
                Standing::Green => {}
            }
        }
        match (stranded.is_empty(), green) {
            (false, _) => Verdict::Stranded(stranded),
            (true, true) => Verdict::Green,
            (true, false) => Verdict::NotGreen,
        }
    }

    /// Tasks that never begin, and that others wait for although they would take a failure: cancelling them lets those begin.
    pub(crate) fn given_up(&self) -> Vec<TaskId> {
        let waiting = self.members.iter().filter(|(_, standing)| *standing == Standing::Waiting);
        let awaited: BTreeSet<TaskId> = waiting
            .filter(|(member, _)| member.takes_failures)
            .flat_map(|(member, _)| member.dependencies.iter().copied())
            .collect();
        let stuck = |(member, standing): &&(Member, Standing)| {
            *standing == Standing::NotRun && member.state == State::Unscheduled && awaited.contains(&member.id)
        };
        self.members.iter().filter(stuck).map(|(member, _)| member.id).collect()
    }

    /// The task whose end keeps another one, which is *not run*, from beginning.
    pub(crate) fn because(&self, member: &Member) -> Option<&Member> {
        let mut at = member;
        for _ in &self.members {
            let needed = at.dependencies.iter().filter_map(|id| self.get(*id));
            let culprit = |(_, standing): &&(Member, Standing)| {
                matches!(standing, Standing::Failed | Standing::Exception(_) | Standing::Stranded)
            };
            if let Some((culprit, _)) = needed.clone().find(culprit) {
                return Some(culprit);
            }
            at = &needed.clone().find(|(_, standing)| *standing == Standing::NotRun)?.0;
        }
        None
    }

    /// How many tasks stand how, for a summary.
    pub(crate) fn counts(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for (_, standing) in &self.members {
            *counts.entry(standing.word()).or_default() += 1;
        }
        counts
    }
}

impl Standing {
    /// The one word for it in every output.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Standing::Waiting | Standing::Behind => "waiting",
            Standing::Pending => "pending",
            Standing::Running => "running",
            Standing::Green => "green",
            Standing::Failed => "failed",
            Standing::Exception(_) => "exception",
            Standing::NotRun => "not run",
            Standing::Stranded => "not served",
        }
    }

    /// Whether the task is over.
    pub(crate) fn is_over(&self) -> bool {
        match self {
            Standing::Waiting | Standing::Pending | Standing::Running | Standing::Stranded | Standing::Behind => false,
            Standing::Green | Standing::Failed | Standing::Exception(_) | Standing::NotRun => true,
        }
    }
}

/// The names that are there more than once.
pub(crate) fn shared<'a>(names: impl Iterator<Item = &'a str>) -> HashSet<String> {
    let mut seen = HashSet::new();
    names.filter(|name| !seen.insert(*name)).map(str::to_owned).collect()
}

fn standings(members: &[Member], served: &BTreeSet<TaskQueueId>) -> Vec<Standing> {
    let mut known: HashMap<TaskId, Standing> = HashMap::new();
    for member in members {
        let standing = match &member.state {
            State::Unscheduled => continue,
            State::Exception(_) if member.was_given_up() => continue,
            State::Pending if served.contains(&member.queue) => Standing::Pending,
            State::Pending => Standing::Stranded,
            State::Running => Standing::Running,
            State::Completed => Standing::Green,
            State::Failed => Standing::Failed,
            State::Exception(reason) => Standing::Exception(reason.clone()),
        };
        known.insert(member.id, standing);
    }
    // A dependency of another group is not ours to judge: it may still move.
    let listed: BTreeSet<TaskId> = members.iter().map(|member| member.id).collect();
    let unsettled: Vec<&Member> = members.iter().filter(|member| !known.contains_key(&member.id)).collect();
    // Each pass settles the tasks whose dependencies are all settled; a circle is what is left.
    loop {
        let settled: Vec<(TaskId, Standing)> = unsettled
            .iter()
            .filter(|member| !known.contains_key(&member.id))
            .filter_map(|member| prospect(member, &known, &listed).map(|standing| (member.id, standing)))
            .collect();
        if settled.is_empty() {
            break;
        }
        known.extend(settled);
    }
    members.iter().map(|member| known.get(&member.id).cloned().unwrap_or(Standing::NotRun)).collect()
}

/// What becomes of an unscheduled task, once it is known what becomes of its dependencies.
fn prospect(member: &Member, known: &HashMap<TaskId, Standing>, listed: &BTreeSet<TaskId>) -> Option<Standing> {
    let mut behind = false;
    let mut open = false;
    for id in member.dependencies.iter().filter(|id| listed.contains(id)) {
        match known.get(id) {
            None => open = true,
            Some(Standing::Failed | Standing::Exception(_) | Standing::NotRun) if !member.takes_failures => {
                return Some(Standing::NotRun);
            }
            Some(Standing::Stranded | Standing::Behind) => behind = true,
            Some(Standing::Failed | Standing::Exception(_) | Standing::NotRun | Standing::Green) => {}
            Some(Standing::Waiting | Standing::Pending | Standing::Running) => {}
        }
    }
    match (open, behind) {
        (true, _) => None,
        (false, _) if member.was_given_up() => Some(Standing::Exception(CANCELED.to_owned())),
        (false, true) => Some(Standing::Behind),
        (false, false) => Some(Standing::Waiting),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, state: State, dependencies: &[&Member]) -> Member {
        Member {
            id: TaskId::new(),
            name: name.into(),
            queue: "local/native".parse().unwrap(),
            run: (state != State::Unscheduled).then_some(0),
            state,
            dependencies: dependencies.iter().map(|member| member.id).collect(),
            takes_failures: false,
            started: None,
            resolved: None,
        }
    }

    fn progress(members: &[&Member]) -> Progress {
        let mut progress = Progress::new(["local/native".parse().unwrap()].into());
        progress.update(members.iter().copied().cloned().collect());
        progress
    }

    fn words(progress: &Progress) -> Vec<&'static str> {
        progress.members().iter().map(|(_, standing)| standing.word()).collect()
    }

    #[test]
    fn what_needs_a_failed_task_is_not_run_and_the_group_is_over() {
        let lint = member("lint", State::Failed, &[]);
        let build = member("build", State::Unscheduled, &[&lint]);
        let test = member("test", State::Unscheduled, &[&build]);
        let docs = member("docs", State::Completed, &[]);
        let progress = progress(&[&test, &build, &lint, &docs]);
        assert_eq!(words(&progress), ["not run", "not run", "failed", "green"]);
        assert_eq!(progress.because(&test).map(|member| &*member.name), Some("lint"));
        assert_eq!(progress.because(&docs), None);
        assert_eq!(progress.verdict(), Verdict::NotGreen);
    }

    #[test]
    fn what_takes_failures_waits_for_the_failed_task_only() {
        let lint = member("lint", State::Exception("malformed-payload".into()), &[]);
        let mut report = member("report", State::Unscheduled, &[&lint]);
        report.takes_failures = true;
        let progress = progress(&[&lint, &report]);
        assert_eq!(words(&progress), ["exception", "waiting"]);
        assert_eq!(progress.verdict(), Verdict::Busy);
    }

    #[test]
    fn what_takes_failures_does_not_wait_for_what_never_begins() {
        let mut lint = member("lint", State::Failed, &[]);
        lint.started = Some("2026-11-28T00:00:00.000Z".parse().unwrap());
        let mut build = member("build", State::Unscheduled, &[&lint]);
        let mut report = member("report", State::Unscheduled, &[&build]);
        report.takes_failures = true;
        let mut progress = progress(&[&report, &build, &lint]);
        assert_eq!(words(&progress), ["waiting", "not run", "failed"]);
        assert_eq!(progress.given_up(), [build.id]);

        // Cancelled, it is still what it was to whoever looks.
        (build.state, build.run) = (State::Exception(CANCELED.into()), Some(0));
        report.state = State::Pending;
        assert_eq!(progress.update(vec![report.clone(), build, lint]), [report.id]);
        assert_eq!(words(&progress), ["pending", "not run", "failed"]);
        assert_eq!(progress.given_up(), []);
    }

    #[test]
    fn what_somebody_cancelled_is_no_success_and_no_victim() {
        let alone = member("alone", State::Exception(CANCELED.into()), &[]);
        let after = member("after", State::Exception(CANCELED.into()), &[&alone]);
        assert_eq!(words(&progress(&[&after, &alone])), ["not run", "exception"]);
    }

    #[test]
    fn a_group_is_stranded_when_only_tasks_of_other_queues_are_left() {
        let mut mac = member("mac", State::Pending, &[]);
        mac.queue = "releng/mac".parse().unwrap();
        let after = member("after", State::Unscheduled, &[&mac]);
        let mut running = member("running", State::Running, &[]);
        assert_eq!(progress(&[&mac, &after, &running]).verdict(), Verdict::Busy);
        running.state = State::Completed;
        let mut progress = progress(&[&mac, &after, &running]);
        assert_eq!(words(&progress), ["not served", "waiting", "green"]);
        assert_eq!(progress.verdict(), Verdict::Stranded(["releng/mac".parse().unwrap()].into()));

        // Nobody waits for somebody who serves it.
        assert_eq!(progress.close(), [after.id]);
        assert_eq!(words(&progress), ["not served", "not run", "green"]);
        assert_eq!(progress.update(vec![mac, after, running]), []);
    }

    #[test]
    fn what_needs_a_failed_task_is_not_run_whoever_serves_its_queue() {
        let lint = member("lint", State::Failed, &[]);
        let mut mac = member("mac", State::Pending, &[]);
        let mut sign = member("sign", State::Unscheduled, &[&mac, &lint]);
        let after = member("after", State::Unscheduled, &[&sign]);
        (mac.queue, sign.queue) = ("releng/mac".parse().unwrap(), "releng/sign".parse().unwrap());
        let progress = progress(&[&mac, &sign, &after, &lint]);
        assert_eq!(words(&progress), ["not served", "not run", "not run", "failed"]);
        assert_eq!(progress.verdict(), Verdict::Stranded(["releng/mac".parse().unwrap()].into()));
    }

    #[test]
    fn a_circle_never_runs_and_a_task_of_another_group_may_still_move() {
        let mut a = member("a", State::Unscheduled, &[]);
        a.dependencies = vec![a.id];
        assert_eq!(progress(&[&a]).verdict(), Verdict::NotGreen);
        a.dependencies = vec![TaskId::new()];
        assert_eq!(progress(&[&a]).verdict(), Verdict::Busy);
    }

    #[test]
    fn an_update_names_what_changed_and_keeps_the_order() {
        let mut a = member("a", State::Pending, &[]);
        let b = member("b", State::Unscheduled, &[&a]);
        let mut progress = progress(&[&b, &a]);
        a.state = State::Running;
        assert_eq!(progress.update(vec![a.clone(), b.clone()]), [a.id]);
        assert_eq!(progress.members().iter().map(|(member, _)| member.name.as_str()).collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(progress.update(vec![a.clone(), b.clone()]), []);
        // A retry is a change even when it stands as before.
        a.run = Some(1);
        assert_eq!(progress.update(vec![a.clone(), b]), [a.id]);
    }

    #[test]
    fn changes_are_told_in_the_order_in_which_they_happened() {
        let time = |second: u8| Some(format!("2026-11-28T00:00:0{second}.000Z").parse().unwrap());
        let mut build = member("build", State::Running, &[]);
        let mut test = member("test", State::Unscheduled, &[&build]);
        let docs = member("docs", State::Unscheduled, &[&test]);
        let mut progress = progress(&[&docs, &test, &build]);
        (build.state, build.started, build.resolved) = (State::Completed, time(1), time(2));
        (test.state, test.started, test.resolved) = (State::Failed, time(3), time(4));
        let ids = [build.id, test.id, docs.id];
        assert_eq!(progress.update(vec![docs, test, build]), ids);
    }

    #[test]
    fn tasks_of_the_same_name_are_told_apart() {
        let (a, b, c) = (
            member("hello", State::Pending, &[]),
            member("hello", State::Running, &[]),
            member("other", State::Running, &[]),
        );
        assert_eq!(progress(&[&a, &c]).name_of(&a), "hello");
        let all = progress(&[&a, &b, &c]);
        assert_eq!(all.name_of(&a), format!("hello ({})", &a.id.to_string()[..8]));
        assert_eq!(all.name_of(&b), format!("hello ({})", &b.id.to_string()[..8]));
        assert_eq!(all.name_of(&c), "other");
    }

    #[test]
    fn an_empty_group_is_green() {
        assert_eq!(progress(&[]).verdict(), Verdict::Green);
    }
}
