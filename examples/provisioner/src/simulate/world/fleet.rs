//! The workers of a simulation, and what they add up to. Every question is answered from sums: a month has millions of them.

use super::super::generate::Chance;

const HOUR: u64 = 3_600_000;

/// A worker.
#[derive(Clone, Debug)]
pub(super) struct Worker {
    capacity: u32,
    price: f64,
    created: u64,
    state: State,
    tasks: Vec<usize>,
    idle_since: u64,
    /// Where it stands among those that have room, if it has.
    place: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Starting,
    Running,
    /// It does what it has, takes nothing new, and ends.
    Draining,
    Gone,
}

impl Worker {
    pub(super) fn new(capacity: u32, price: f64, created: u64) -> Self {
        let (state, tasks) = (State::Starting, Vec::new());
        Self { capacity, price, created, state, tasks, idle_since: created, place: None }
    }
}

/// What a fleet has come to.
#[derive(Clone, Debug, Default)]
pub(super) struct Totals {
    pub(super) cost: f64,
    pub(super) launches: usize,
    pub(super) withdrawn: usize,
    pub(super) lost: usize,
    pub(super) hours: Vec<(f64, f64)>,
    running: f64,
    busy: f64,
}

impl Totals {
    pub(super) fn idle_share(&self) -> f64 {
        if self.running > 0.0 { 1.0 - self.busy / self.running } else { 0.0 }
    }
}

/// All workers.
#[derive(Debug, Default)]
pub(super) struct Fleet {
    workers: Vec<Worker>,
    /// Those that have room and take tasks.
    free: Vec<usize>,
    /// Those that start, the oldest first; some may have begun already.
    starters: Vec<usize>,
    starting: u32,
    running: u32,
    busy: u32,
    /// What drains, and how much of that is busy.
    draining: u32,
    finishing: u32,
    /// How far the time has come.
    clock: u64,
    totals: Totals,
}

impl Fleet {
    /// What starts and runs.
    pub(super) fn counted(&self) -> u32 {
        self.starting + self.running
    }

    /// All that is there, what drains included.
    pub(super) fn there(&self) -> u32 {
        self.counted() + self.draining
    }

    pub(super) fn starting(&self) -> u32 {
        self.starting
    }

    pub(super) fn running(&self) -> u32 {
        self.running
    }

    pub(super) fn busy(&self) -> u32 {
        self.busy
    }

    pub(super) fn capacity_of(&self, worker: usize) -> u32 {
        self.workers[worker].capacity
    }

    pub(super) fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Adds up what was there for so long.
    pub(super) fn pass_time(&mut self, mut time: u64) {
        while time > 0 {
            let hour = usize::try_from(self.clock / HOUR).unwrap_or(usize::MAX);
            let part = time.min(HOUR - self.clock % HOUR);
            if self.totals.hours.len() <= hour {
                self.totals.hours.resize(hour + 1, (0.0, 0.0));
            }
            #[expect(clippy::cast_precision_loss, reason = "an hour has not that many milliseconds")]
            let weight = part as f64 / HOUR as f64;
            let (running, busy) = (self.running + self.draining, self.busy + self.finishing);
            let (running, busy) = (f64::from(running) * weight, f64::from(busy) * weight);
            let sums = &mut self.totals.hours[hour];
            *sums = (sums.0 + running, sums.1 + busy);
            self.totals.running += running;
            self.totals.busy += busy;
            self.clock += part;
            time -= part;
        }
    }

    pub(super) fn launch(&mut self, worker: Worker) -> usize {
        self.starting += worker.capacity;
        self.totals.launches += 1;
        self.workers.push(worker);
        self.starters.push(self.workers.len() - 1);
        self.workers.len() - 1
    }

    /// A worker takes tasks from now on, unless it was taken back.
    pub(super) fn begin(&mut self, worker: usize, now: u64) -> bool {
        let it = &mut self.workers[worker];
        if it.state != State::Starting {
            return false;
        }
        it.state = State::Running;
        it.idle_since = now;
        self.starting -= it.capacity;
        self.running += it.capacity;
        self.show(worker);
        true
    }

    /// Gives a task to any worker that has room.
    pub(super) fn take(&mut self, task: usize, chance: &mut Chance) -> Option<usize> {
        if self.free.is_empty() {
            return None;
        }
        let worker = self.free[chance.below(self.free.len())];
        let it = &mut self.workers[worker];
        it.tasks.push(task);
        self.busy += 1;
        if it.tasks.len() >= it.capacity as usize {
            self.hide(worker);
        }
        Some(worker)
    }

    /// A worker is done with a task, if it still has it.
    pub(super) fn done(&mut self, worker: usize, task: usize, now: u64) -> bool {
        let it = &mut self.workers[worker];
        let Some(place) = it.tasks.iter().position(|own| *own == task) else { return false };
        it.tasks.swap_remove(place);
        it.idle_since = now;
        let empty = it.tasks.is_empty();
        if it.state == State::Draining {
            self.finishing -= 1;
            if empty {
                self.end(worker, now);
            }
        } else {
            self.busy -= 1;
            self.show(worker);
        }
        true
    }

    /// Since when a worker has had nothing to do, if it has not.
    pub(super) fn idle_since(&self, worker: usize) -> Option<u64> {
        let it = &self.workers[worker];
        (it.state == State::Running && it.tasks.is_empty()).then_some(it.idle_since)
    }

    /// Takes back what starts and is too much, the youngest first.
    pub(super) fn withdraw(&mut self, desired: u32, now: u64) {
        self.starters.retain(|worker| self.workers[*worker].state == State::Starting);
        for place in (0..self.starters.len()).rev() {
            let worker = self.starters[place];
            if self.counted().saturating_sub(self.workers[worker].capacity) >= desired {
                self.totals.withdrawn += 1;
                self.end(worker, now);
            }
        }
    }

    /// The worker with room that has the smallest share of its capacity in use, its capacity and how much of that is in use.
    pub(super) fn emptiest(&self) -> Option<(usize, u32, u32)> {
        let with_room = self.free.iter().map(|worker| {
            let it = &self.workers[*worker];
            (*worker, it.capacity, u32::try_from(it.tasks.len()).unwrap_or(u32::MAX))
        });
        // The youngest of those that are as empty.
        with_room.min_by(|a, b| {
            let (left, right) = (u64::from(a.2) * u64::from(b.1), u64::from(b.2) * u64::from(a.1));
            left.cmp(&right).then(b.0.cmp(&a.0))
        })
    }

    /// A worker takes no more tasks, and ends when it has none.
    pub(super) fn drain(&mut self, worker: usize, now: u64) {
        self.hide(worker);
        let it = &mut self.workers[worker];
        if it.tasks.is_empty() {
            return self.end(worker, now);
        }
        let tasks = u32::try_from(it.tasks.len()).unwrap_or(u32::MAX);
        it.state = State::Draining;
        self.running -= it.capacity;
        self.draining += it.capacity;
        self.busy -= tasks;
        self.finishing += tasks;
    }

    /// A worker is gone, and these tasks with it.
    pub(super) fn lose(&mut self, worker: usize, now: u64) -> Vec<usize> {
        if self.workers[worker].state == State::Gone {
            return Vec::new();
        }
        self.totals.lost += 1;
        let tasks = std::mem::take(&mut self.workers[worker].tasks);
        let count = u32::try_from(tasks.len()).unwrap_or(u32::MAX);
        if self.workers[worker].state == State::Draining {
            self.finishing -= count;
        } else {
            self.busy -= count;
        }
        self.end(worker, now);
        tasks
    }

    /// A worker ends, and has been paid for until now.
    pub(super) fn end(&mut self, worker: usize, now: u64) {
        self.hide(worker);
        let it = &mut self.workers[worker];
        match it.state {
            State::Starting => self.starting -= it.capacity,
            State::Running => self.running -= it.capacity,
            State::Draining => self.draining -= it.capacity,
            State::Gone => return,
        }
        it.state = State::Gone;
        #[expect(clippy::cast_precision_loss, reason = "no worker lives that long")]
        let hours = (now - it.created) as f64 / HOUR as f64;
        self.totals.cost += hours * it.price;
    }

    pub(super) fn end_all(&mut self, now: u64) {
        for worker in 0..self.workers.len() {
            self.end(worker, now);
        }
    }

    /// It has room.
    fn show(&mut self, worker: usize) {
        let it = &mut self.workers[worker];
        if it.state == State::Running && it.place.is_none() {
            it.place = Some(self.free.len());
            self.free.push(worker);
        }
    }

    /// It has none.
    fn hide(&mut self, worker: usize) {
        if let Some(place) = self.workers[worker].place.take() {
            self.free.swap_remove(place);
            if let Some(moved) = self.free.get(place) {
                self.workers[*moved].place = Some(place);
            }
        }
    }
}
