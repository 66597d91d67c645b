//! What both databases have to do alike. Each test runs on SQLite, and on PostgreSQL where `TEST_POSTGRES` names a
//! server.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};
use service_kit::store::Database;
use taskcluster_core::clock::{Clock as _, ManualClock};
use taskcluster_core::ids::{Priority, RunId, TaskId};
use taskcluster_core::time::{Timestamp, days, hours, minutes};

use super::*;
use crate::artifact::Storage;
use crate::definition::{Definition, Limits};
use crate::task::{Event, ExceptionReason, State};
use crate::worker::Quarantine;

/// A store of its own for one test, and a clock.
struct Fixture {
    store: Store,
    clock: ManualClock,
    database: Database,
    _directory: Option<tempfile::TempDir>,
    #[cfg(feature = "postgres")]
    server: Option<(String, String)>,
    #[cfg(feature = "postgres")]
    _permit: Option<tokio::sync::SemaphorePermit<'static>>,
}

/// A server has so many connections and not more, however many tests run at the same time.
#[cfg(feature = "postgres")]
static SERVER: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(3);

fn start() -> Timestamp {
    "2026-03-04T05:06:07.000Z".parse().unwrap()
}

impl Fixture {
    async fn sqlite() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::Sqlite(directory.path().join("queue.db"));
        let store = Store::open(&database).await.unwrap();
        Some(Self {
            store,
            clock: ManualClock::at(start()),
            database,
            _directory: Some(directory),
            #[cfg(feature = "postgres")]
            server: None,
            #[cfg(feature = "postgres")]
            _permit: None,
        })
    }

    #[cfg(feature = "postgres")]
    async fn postgres() -> Option<Self> {
        use sqlx::Connection as _;
        let Ok(server) = std::env::var("TEST_POSTGRES") else {
            println!("skipped: TEST_POSTGRES is not set");
            return None;
        };
        let permit = SERVER.acquire().await.unwrap();
        let name = format!("queue_{}", TaskId::new().to_string().replace('-', "_").to_lowercase());
        let mut connection = sqlx::PgConnection::connect(&server).await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        let mut url = url::Url::parse(&server).unwrap();
        url.set_path(&name);
        let database = Database::Postgres(url);
        let store = Store::open(&database).await.unwrap();
        Some(Self {
            store,
            clock: ManualClock::at(start()),
            database,
            _directory: None,
            server: Some((server, name)),
            _permit: Some(permit),
        })
    }

    async fn end(self) {
        self.store.close().await;
        #[cfg(feature = "postgres")]
        if let Some((server, name)) = self.server {
            use sqlx::Connection as _;
            let mut connection = sqlx::PgConnection::connect(&server).await.unwrap();
            sqlx::raw_sql(sqlx::AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)")))
                .execute(&mut connection)
                .await
                .unwrap();
        }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn define(&self, id: TaskId, changes: &Value) -> NewTask {
        let mut body = json!({
            "taskQueueId": "proj/ci", "schedulerId": "-", "projectId": "none", "dependencies": [], "requires": "all-completed",
            "routes": [], "priority": "lowest", "retries": 1, "created": self.now(), "deadline": self.now() + hours(3),
            "expires": self.now() + days(30), "scopes": [], "payload": {}, "extra": {}, "tags": {"kind": "test"},
            "metadata": {"name": "a", "description": "b", "owner": "c", "source": "https://example.com"}
        });
        for (key, value) in changes.as_object().unwrap() {
            body[key] = value.clone();
        }
        Definition::complete(&body.to_string(), id, &Limits::default()).unwrap()
    }

    async fn try_create(&self, id: TaskId, changes: &Value) -> Result<Task, CreateRefusal> {
        self.store.create(self.define(id, changes), self.now()).await.unwrap()
    }

    async fn create(&self, changes: Value) -> TaskId {
        let id = TaskId::new();
        self.try_create(id, &changes).await.unwrap();
        id
    }

    async fn apply(&self, id: TaskId, event: Event) -> Task {
        self.try_apply(id, event).await.unwrap()
    }

    async fn try_apply(&self, id: TaskId, event: Event) -> Result<Task, ApplyRefusal> {
        self.store.apply(id, event, self.now()).await.unwrap()
    }

    async fn claim(&self, count: u32) -> Vec<Claimed> {
        self.claim_as("one", count).await
    }

    async fn claim_as(&self, worker: &str, count: u32) -> Vec<Claimed> {
        let until = self.now() + minutes(20);
        self.store.claim("proj/ci", &worker_named(worker), count, until, self.now()).await.unwrap()
    }

    /// Claims the task, which must be the only pending one, and lets it end.
    async fn run(&self, id: TaskId, event: Event) -> Task {
        let claimed = self.claim(1).await;
        assert_eq!(claimed.iter().map(|claimed| claimed.task.task_id).collect::<Vec<_>>(), [id]);
        self.apply(id, event).await
    }

    async fn state(&self, id: TaskId) -> State {
        self.store.status(id).await.unwrap().unwrap().state()
    }

    /// The events since the last look: the last part of the exchange, the routing key, the copies, the body.
    async fn events(&self) -> Vec<(String, String, Vec<String>, Value)> {
        let rows = self
            .store
            .reader()
            .await
            .unwrap()
            .rows("SELECT exchange, routing_key, cc, payload FROM outbox ORDER BY id", &[])
            .await
            .unwrap();
        self.store.transaction(|sql| Box::pin(async move { sql.run("DELETE FROM outbox", &[]).await })).await.unwrap();
        rows.iter()
            .map(|row| {
                let exchange = row.text("exchange").unwrap();
                let name = exchange.strip_prefix("exchange/taskcluster-queue/v1/").unwrap().to_owned();
                (name, row.text("routing_key").unwrap(), row.json("cc").unwrap(), row.json("payload").unwrap())
            })
            .collect()
    }

    async fn event_names(&self) -> Vec<String> {
        self.events().await.into_iter().map(|(name, ..)| name).collect()
    }
}

fn worker_named(id: &str) -> Worker {
    Worker { group: "group".to_owned(), id: id.to_owned() }
}

fn complete() -> Event {
    Event::Complete { run: 0.into() }
}

fn priority(priority: Priority) -> Event {
    Event::ChangePriority { priority, announce: true }
}

fn ids(claimed: &[Claimed]) -> Vec<TaskId> {
    claimed.iter().map(|claimed| claimed.task.task_id).collect()
}

macro_rules! contract {
    ($($name:ident)*) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let Some(fixture) = super::Fixture::sqlite().await else { return };
                super::$name(&fixture).await;
                fixture.end().await;
            })*
        }

        #[cfg(feature = "postgres")]
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let Some(fixture) = super::Fixture::postgres().await else { return };
                super::$name(&fixture).await;
                fixture.end().await;
            })*
        }
    };
}

contract! {
    created_task_is_pending_and_told_of
    repeated_creation_succeeds_and_a_different_one_conflicts
    repeated_creation_succeeds_in_a_sealed_group
    group_has_one_scheduler
    group_expiry_follows_its_tasks
    definition_keeps_what_was_sent
    claims_are_in_order_of_priority_and_then_of_age
    claims_skip_tasks_past_their_deadline
    claimed_and_completed_life_is_told_of
    many_claimers_get_each_task_once
    retry_queues_behind_others
    chain_of_dependencies_runs_in_order
    diamond_releases_its_end_once
    fan_out_is_released_together
    self_dependency_waits_for_schedule
    dependencies_must_exist_and_last
    failure_releases_only_those_who_take_it
    satisfied_edges_stay_satisfied
    dependents_past_their_deadline_are_not_released
    required_tasks_resolved_at_once_release_exactly_once
    dependents_created_while_the_required_is_resolved_are_not_missed
    expired_lease_is_found_and_retried
    renewed_lease_is_not_expired
    overdue_tasks_are_found
    group_is_resolved_with_its_last_task
    whole_group_is_cancelled
    whole_group_changes_priority
    changed_priority_counts_for_claims
    sealed_group_takes_no_tasks
    members_and_dependents_come_in_pages
    pending_and_claimed_come_in_pages
    artifacts_are_created_listed_and_replaced
    late_artifacts_are_refused
    workers_are_remembered
    quarantined_workers_are_listed
    provisioners_are_seen_through_their_queues
    expired_things_are_forgotten
    state_outlives_the_process
    requests_in_one_batch_see_one_another
    other_processes_are_woken
    the_same_task_created_by_two_processes_is_one
}

async fn created_task_is_pending_and_told_of(f: &Fixture) {
    let group = TaskId::new();
    let id = f.create(json!({"taskGroupId": group, "routes": ["index.a", "index.b"], "schedulerId": "sched"})).await;
    let (task, definition) = f.store.task(id).await.unwrap().unwrap();
    assert_eq!(task.state(), State::Pending);
    assert_eq!(serde_json::from_str::<Value>(&definition).unwrap()["taskGroupId"], group.to_string());
    let events = f.events().await;
    let names: Vec<&str> = events.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, ["task-defined", "task-pending"]);
    assert_eq!(events[0].1, format!("primary.{id}._._._.proj.ci.sched.{group}._"));
    assert_eq!(events[1].1, format!("primary.{id}.0._._.proj.ci.sched.{group}._"));
    assert_eq!(events[1].2, ["route.index.a", "route.index.b"]);
    assert_eq!(events[0].3["status"]["state"], "unscheduled");
    assert_eq!(events[0].3["version"], 1);
    assert_eq!(events[1].3["status"]["state"], "pending");
    assert_eq!(events[1].3["task"]["tags"]["kind"], "test");
    assert_eq!(f.store.task(TaskId::new()).await.unwrap(), None);
}

async fn repeated_creation_succeeds_and_a_different_one_conflicts(f: &Fixture) {
    let id = TaskId::new();
    f.try_create(id, &json!({})).await.unwrap();
    f.events().await;
    let again = f.try_create(id, &json!({})).await.unwrap();
    assert_eq!(again.state(), State::Pending);
    assert_eq!(f.event_names().await, ["task-defined", "task-pending"]);
    assert_eq!(f.try_create(id, &json!({"payload": {"a": 1}})).await, Err(CreateRefusal::Exists(id)));
    assert_eq!(f.store.counts("proj/ci", f.now()).await.unwrap(), Counts { pending: 1, claimed: 0 });
    let group = f.store.group(id).await.unwrap().unwrap();
    assert_eq!(group.unresolved, 1);
}

async fn repeated_creation_succeeds_in_a_sealed_group(f: &Fixture) {
    let id = TaskId::new();
    f.try_create(id, &json!({})).await.unwrap();
    f.apply(id, priority(Priority::High)).await;
    f.store.seal_group(id, f.now()).await.unwrap().unwrap();
    assert_eq!(f.try_create(id, &json!({})).await.unwrap().priority, Priority::High);
}

async fn group_has_one_scheduler(f: &Fixture) {
    let group = TaskId::new();
    f.create(json!({"taskGroupId": group, "schedulerId": "one"})).await;
    let refused = f.try_create(TaskId::new(), &json!({"taskGroupId": group, "schedulerId": "two"})).await;
    assert_eq!(refused, Err(CreateRefusal::OtherScheduler { group, scheduler_id: "one".to_owned() }));
    assert_eq!(f.store.group(group).await.unwrap().unwrap().unresolved, 1);
}

async fn group_expiry_follows_its_tasks(f: &Fixture) {
    let group = TaskId::new();
    f.create(json!({"taskGroupId": group})).await;
    assert_eq!(f.store.group(group).await.unwrap().unwrap().expires, f.now() + days(30) + hours(1));
    f.create(json!({"taskGroupId": group, "expires": f.now() + days(40)})).await;
    assert_eq!(f.store.group(group).await.unwrap().unwrap().expires, f.now() + days(40) + hours(1));
    f.create(json!({"taskGroupId": group, "expires": f.now() + days(20)})).await;
    assert_eq!(f.store.group(group).await.unwrap().unwrap().expires, f.now() + days(40) + hours(1));
}

async fn definition_keeps_what_was_sent(f: &Fixture) {
    let payload = json!({"z": 1, "a": "\u{0} é \u{1f600} ' \\ \"", "n": 12345678901234567890_u64, "f": 0.1, "deep": [[{}], null]});
    let id = f.create(json!({"payload": payload})).await;
    let (_, definition) = f.store.task(id).await.unwrap().unwrap();
    assert_eq!(serde_json::from_str::<Value>(&definition).unwrap()["payload"], payload);
    assert_eq!(f.claim(1).await[0].definition, definition);
}

async fn claims_are_in_order_of_priority_and_then_of_age(f: &Fixture) {
    let mut made = Vec::new();
    for priority in ["low", "high", "lowest", "high", "low"] {
        made.push(f.create(json!({"priority": priority})).await);
    }
    assert_eq!(ids(&f.claim(2).await), [made[1], made[3]]);
    assert_eq!(ids(&f.claim(32).await), [made[0], made[4], made[2]]);
    assert_eq!(f.claim(1).await, Vec::new());
}

async fn claims_skip_tasks_past_their_deadline(f: &Fixture) {
    f.create(json!({"deadline": f.now() + minutes(1)})).await;
    let other = f.create(json!({})).await;
    f.clock.advance(minutes(2));
    assert_eq!(ids(&f.claim(2).await), [other]);
    assert_eq!(f.store.counts("proj/ci", f.now()).await.unwrap(), Counts { pending: 0, claimed: 1 });
}

async fn claimed_and_completed_life_is_told_of(f: &Fixture) {
    let id = f.create(json!({})).await;
    f.events().await;
    let claimed = f.claim(1).await;
    assert_eq!(claimed[0].run, RunId::from(0_u32));
    let task = f.apply(id, complete()).await;
    assert_eq!(task.state(), State::Completed);
    let events = f.events().await;
    let names: Vec<&str> = events.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, ["task-running", "task-completed", "task-group-resolved"]);
    assert_eq!(events[0].1, format!("primary.{id}.0.group.one.proj.ci.-.{id}._"));
    assert_eq!(events[0].3["takenUntil"], (f.now() + minutes(20)).to_string());
    assert_eq!(events[1].3["workerId"], "one");
    assert_eq!(events[2].1, format!("primary.{id}.-._"));
    assert_eq!(f.store.counts("proj/ci", f.now()).await.unwrap(), Counts { pending: 0, claimed: 0 });
    // A repeat is told of again, and nothing else happens.
    f.apply(id, complete()).await;
    assert_eq!(f.event_names().await, ["task-completed"]);
    assert!(matches!(f.try_apply(id, Event::Fail { run: 0.into() }).await, Err(ApplyRefusal::Refused(_))));
    let unknown = TaskId::new();
    assert_eq!(f.try_apply(unknown, complete()).await, Err(ApplyRefusal::NoSuchTask(unknown)));
}

async fn many_claimers_get_each_task_once(f: &Fixture) {
    let tasks = 120;
    let other = second_handle(f).await;
    let created = futures_util::future::join_all((0..tasks).map(|_| f.create(json!({})))).await;
    let other = &other;
    let claimers = (0..24).map(|number| async move {
        let worker = worker_named(&format!("w{number}"));
        let store = if number % 2 == 0 { &f.store } else { other };
        let mut got = Vec::new();
        loop {
            let claimed =
                store.claim("proj/ci", &worker, 1 + number % 4, f.now() + minutes(20), f.now()).await.unwrap();
            if claimed.is_empty() {
                // What another claimer holds back it may still give up; the count is the truth.
                if store.counts("proj/ci", f.now()).await.unwrap().pending == 0 {
                    return got;
                }
                tokio::task::yield_now().await;
            }
            for claimed in claimed {
                assert_eq!(claimed.task.run(claimed.run).unwrap().claim().unwrap().worker, worker);
                got.push(claimed.task.task_id);
            }
        }
    });
    let got: Vec<TaskId> = futures_util::future::join_all(claimers).await.into_iter().flatten().collect();
    assert_eq!(got.len(), tasks);
    assert_eq!(got.into_iter().collect::<BTreeSet<_>>(), created.into_iter().collect());
    assert_eq!(f.store.counts("proj/ci", f.now()).await.unwrap(), Counts { pending: 0, claimed: tasks as u64 });
    end_second_handle(f, other).await;
}

async fn retry_queues_behind_others(f: &Fixture) {
    let first = f.create(json!({})).await;
    let second = f.create(json!({})).await;
    assert_eq!(ids(&f.claim(1).await), [first]);
    f.events().await;
    let shutdown = |run: u32| Event::Except { run: run.into(), reason: ExceptionReason::WorkerShutdown };
    f.apply(first, shutdown(0)).await;
    assert_eq!(f.event_names().await, ["task-exception", "task-pending"]);
    assert_eq!(ids(&f.claim(2).await), [second, first]);
    let task = f.apply(first, shutdown(1)).await;
    assert_eq!((task.state(), task.retries_left, task.runs.len()), (State::Exception, 0, 2));
}

async fn chain_of_dependencies_runs_in_order(f: &Fixture) {
    let one = f.create(json!({})).await;
    let two = f.create(json!({"dependencies": [one]})).await;
    let three = f.create(json!({"dependencies": [two]})).await;
    assert_eq!(f.state(two).await, State::Unscheduled);
    f.run(one, complete()).await;
    assert_eq!(f.state(three).await, State::Unscheduled);
    f.run(two, complete()).await;
    f.run(three, complete()).await;
    // What is done already is not waited for.
    let four = f.create(json!({"dependencies": [one, three]})).await;
    f.run(four, complete()).await;
}

async fn diamond_releases_its_end_once(f: &Fixture) {
    let top = f.create(json!({})).await;
    let left = f.create(json!({"dependencies": [top]})).await;
    let right = f.create(json!({"dependencies": [top]})).await;
    let end = f.create(json!({"dependencies": [left, right, top]})).await;
    f.run(top, complete()).await;
    assert_eq!(f.claim(2).await.len(), 2);
    f.apply(left, complete()).await;
    assert_eq!(f.state(end).await, State::Unscheduled);
    f.apply(right, complete()).await;
    assert_eq!(f.state(end).await, State::Pending);
    assert_eq!(f.store.status(end).await.unwrap().unwrap().runs.len(), 1);
}

async fn fan_out_is_released_together(f: &Fixture) {
    let top = f.create(json!({})).await;
    let created = futures_util::future::join_all((0..150).map(|_| f.create(json!({"dependencies": [top]})))).await;
    f.run(top, complete()).await;
    assert_eq!(f.store.counts("proj/ci", f.now()).await.unwrap().pending, created.len() as u64);
}

async fn self_dependency_waits_for_schedule(f: &Fixture) {
    let (id, other) = (TaskId::new(), f.create(json!({})).await);
    let task = f.try_create(id, &json!({"dependencies": [id, other]})).await.unwrap();
    assert_eq!((task.state(), task.unsatisfied), (State::Unscheduled, 2));
    f.run(other, complete()).await;
    assert_eq!(f.state(id).await, State::Unscheduled);
    f.apply(id, Event::Schedule).await;
    let task = f.run(id, complete()).await;
    assert_eq!(task.runs.len(), 1);
    assert_eq!(f.state(id).await, State::Completed);
}

async fn dependencies_must_exist_and_last(f: &Fixture) {
    let missing = TaskId::new();
    let short = f.create(json!({"deadline": f.now() + minutes(10), "expires": f.now() + minutes(20)})).await;
    let id = TaskId::new();
    let refused = f.try_create(id, &json!({"dependencies": [missing, short]})).await;
    assert_eq!(refused, Err(CreateRefusal::Dependencies { missing: vec![missing], expiring: vec![short] }));
    assert_eq!(f.store.task(id).await.unwrap(), None);
    // The group was made for the task, but counts nothing.
    assert_eq!(f.store.group(id).await.unwrap().map_or(0, |group| group.unresolved), 0);
}

async fn failure_releases_only_those_who_take_it(f: &Fixture) {
    let top = f.create(json!({})).await;
    let wants_success = f.create(json!({"dependencies": [top]})).await;
    let wants_any = f.create(json!({"dependencies": [top], "requires": "all-resolved"})).await;
    f.run(top, Event::Fail { run: 0.into() }).await;
    assert_eq!(f.state(wants_success).await, State::Unscheduled);
    assert_eq!(f.state(wants_any).await, State::Pending);
    // Cancelling counts as an exception.
    let other = f.create(json!({})).await;
    let after_cancel = f.create(json!({"dependencies": [other], "requires": "all-resolved"})).await;
    f.apply(other, Event::Cancel).await;
    assert_eq!(f.state(after_cancel).await, State::Pending);
    // A rerun that works out satisfies what the failure did not.
    f.apply(wants_any, Event::Cancel).await;
    f.apply(after_cancel, Event::Cancel).await;
    f.apply(top, Event::Rerun).await;
    f.run(top, Event::Complete { run: 1.into() }).await;
    assert_eq!(f.state(wants_success).await, State::Pending);
}

async fn satisfied_edges_stay_satisfied(f: &Fixture) {
    let one = f.create(json!({})).await;
    f.run(one, complete()).await;
    let two = f.create(json!({})).await;
    let end = f.create(json!({"dependencies": [one, two]})).await;
    assert_eq!(f.store.status(end).await.unwrap().unwrap().unsatisfied, 1);
    f.run(two, complete()).await;
    f.apply(two, Event::Rerun).await;
    f.claim(5).await;
    f.apply(two, Event::Fail { run: 1.into() }).await;
    assert_eq!(f.state(end).await, State::Running);
}

async fn dependents_past_their_deadline_are_not_released(f: &Fixture) {
    let one = f.create(json!({})).await;
    let two = f.create(json!({"dependencies": [one], "deadline": f.now() + minutes(5)})).await;
    f.claim(1).await;
    f.clock.advance(minutes(6));
    f.apply(one, complete()).await;
    assert_eq!(f.state(two).await, State::Unscheduled);
}

/// Another handle to the same data, as a second process would have it: the locks of the database have to hold, not
/// those of one process.
async fn second_handle(f: &Fixture) -> Store {
    match f.database {
        Database::Postgres(_) => Store::open(&f.database).await.unwrap(),
        Database::Sqlite(_) | Database::Memory => f.store.clone(),
    }
}

async fn end_second_handle(f: &Fixture, other: &Store) {
    match f.database {
        Database::Postgres(_) => other.close().await,
        Database::Sqlite(_) | Database::Memory => {}
    }
}

async fn required_tasks_resolved_at_once_release_exactly_once(f: &Fixture) {
    let other = second_handle(f).await;
    let groups = 25;
    let mut all = Vec::new();
    for _ in 0..groups {
        let required = [f.create(json!({})).await, f.create(json!({})).await, f.create(json!({})).await];
        let end = f.create(json!({"dependencies": required})).await;
        all.push((required, end));
    }
    while !f.claim(32).await.is_empty() {}
    let now = f.now();
    let resolutions = all.iter().flat_map(|(required, _)| required.iter().enumerate()).map(|(number, id)| {
        let store = if number % 2 == 0 { &f.store } else { &other };
        async move { store.apply(*id, complete(), now).await.unwrap().unwrap() }
    });
    futures_util::future::join_all(resolutions).await;
    for (_, end) in &all {
        let task = f.store.status(*end).await.unwrap().unwrap();
        assert_eq!((task.state(), task.unsatisfied, task.runs.len()), (State::Pending, 0, 1));
    }
    assert_eq!(f.store.counts("proj/ci", now).await.unwrap().pending, groups);
    let mut pending: BTreeMap<String, usize> = BTreeMap::new();
    for (name, key, ..) in f.events().await {
        if name == "task-pending" {
            *pending.entry(key).or_default() += 1;
        }
    }
    assert!(pending.values().all(|count| *count == 1), "a task was made pending twice: {pending:?}");
    end_second_handle(f, &other).await;
}

async fn dependents_created_while_the_required_is_resolved_are_not_missed(f: &Fixture) {
    let other = second_handle(f).await;
    for _ in 0..20 {
        let required = f.create(json!({})).await;
        f.claim(1).await;
        let now = f.now();
        let resolve = async { other.apply(required, complete(), now).await.unwrap().unwrap() };
        let create = futures_util::future::join_all((0..6).map(|_| f.create(json!({"dependencies": [required]}))));
        let (_, dependents) = tokio::join!(resolve, create);
        for dependent in dependents {
            let task = f.store.status(dependent).await.unwrap().unwrap();
            assert_eq!((task.state(), task.unsatisfied), (State::Pending, 0), "a dependent was missed");
        }
        while !f.claim(32).await.is_empty() {}
    }
    end_second_handle(f, &other).await;
}

async fn expired_lease_is_found_and_retried(f: &Fixture) {
    let id = f.create(json!({})).await;
    f.claim(1).await;
    assert_eq!(f.store.expired_leases(f.now(), 10).await.unwrap(), []);
    assert_eq!(f.store.next_lease_end(f.now()).await.unwrap(), Some(f.now() + minutes(20)));
    f.clock.advance(minutes(20));
    let expired = f.store.expired_leases(f.now(), 10).await.unwrap();
    assert_eq!(expired, [LeaseEnd { task_id: id, run_id: 0.into(), taken_until: f.now() }]);
    let task = f.apply(id, Event::ClaimExpired { run: 0.into(), taken_until: f.now() }).await;
    assert_eq!((task.state(), task.retries_left), (State::Pending, 0));
    f.claim(1).await;
    f.clock.advance(minutes(20));
    let task = f.apply(id, Event::ClaimExpired { run: 1.into(), taken_until: f.now() }).await;
    assert_eq!(task.state(), State::Exception);
    assert_eq!(f.store.expired_leases(f.now(), 10).await.unwrap(), []);
    assert_eq!(f.store.next_lease_end(f.now()).await.unwrap(), None);
}

async fn renewed_lease_is_not_expired(f: &Fixture) {
    let id = f.create(json!({})).await;
    f.claim(1).await;
    f.clock.advance(minutes(15));
    f.apply(id, Event::Reclaim { run: 0.into(), taken_until: f.now() + minutes(20) }).await;
    f.clock.advance(minutes(10));
    assert_eq!(f.store.expired_leases(f.now(), 10).await.unwrap(), []);
    assert_eq!(f.store.counts("proj/ci", f.now()).await.unwrap(), Counts { pending: 0, claimed: 1 });
}

async fn overdue_tasks_are_found(f: &Fixture) {
    let pending = f.create(json!({"deadline": f.now() + minutes(1)})).await;
    let unscheduled = f.create(json!({"deadline": f.now() + minutes(2), "dependencies": [pending]})).await;
    let done = f.create(json!({"priority": "high", "deadline": f.now() + minutes(3)})).await;
    f.run(done, complete()).await;
    assert_eq!(f.store.next_deadline().await.unwrap(), Some(f.now() + minutes(1)));
    f.clock.advance(minutes(5));
    assert_eq!(f.store.overdue(f.now(), 10).await.unwrap(), [pending, unscheduled]);
    f.events().await;
    for id in [pending, unscheduled, done] {
        f.apply(id, Event::DeadlinePassed).await;
    }
    assert_eq!(f.state(unscheduled).await, State::Exception);
    assert_eq!(f.state(done).await, State::Completed);
    assert_eq!(f.store.overdue(f.now(), 10).await.unwrap(), []);
    assert_eq!(f.event_names().await.iter().filter(|name| *name == "task-exception").count(), 2);
}

async fn group_is_resolved_with_its_last_task(f: &Fixture) {
    let group = TaskId::new();
    let one = f.create(json!({"taskGroupId": group})).await;
    let two = f.create(json!({"taskGroupId": group})).await;
    f.run_all(&[one, two]).await;
    f.events().await;
    f.apply(one, complete()).await;
    assert_eq!(f.event_names().await, ["task-completed"]);
    f.apply(two, Event::Fail { run: 0.into() }).await;
    assert_eq!(f.event_names().await, ["task-failed", "task-group-resolved"]);
    // A rerun does not take it back, and its end tells once more.
    f.apply(two, Event::Rerun).await;
    assert_eq!(f.event_names().await, ["task-pending"]);
    f.run(two, Event::Complete { run: 1.into() }).await;
    assert_eq!(f.event_names().await, ["task-running", "task-completed", "task-group-resolved"]);
}

impl Fixture {
    async fn run_all(&self, expected: &[TaskId]) {
        assert_eq!(ids(&self.claim(32).await), expected);
    }
}

async fn whole_group_is_cancelled(f: &Fixture) {
    let group = TaskId::new();
    let done = f.create(json!({"taskGroupId": group})).await;
    f.run(done, complete()).await;
    let running = f.create(json!({"taskGroupId": group})).await;
    f.claim(1).await;
    let pending = f.create(json!({"taskGroupId": group})).await;
    let waiting = f.create(json!({"taskGroupId": group, "dependencies": [pending]})).await;
    let stranger = f.create(json!({})).await;
    let cancelled: BTreeSet<TaskId> = f.store.cancel_group(group, f.now()).await.unwrap().into_iter().collect();
    assert_eq!(cancelled, BTreeSet::from([running, pending, waiting]));
    assert_eq!(f.store.group_size(group).await.unwrap(), 4);
    assert_eq!(f.state(waiting).await, State::Exception);
    assert_eq!(f.state(stranger).await, State::Pending);
    assert_eq!(f.store.cancel_group(group, f.now()).await.unwrap(), []);
    assert_eq!(f.event_names().await.iter().filter(|name| *name == "task-group-resolved").count(), 2);
}

async fn whole_group_changes_priority(f: &Fixture) {
    let group = TaskId::new();
    let done = f.create(json!({"taskGroupId": group})).await;
    f.run(done, complete()).await;
    let one = f.create(json!({"taskGroupId": group})).await;
    let other = f.create(json!({"priority": "medium"})).await;
    f.events().await;
    let found = f.store.group(group).await.unwrap().unwrap();
    assert_eq!(f.store.change_group_priority(&found, &Priority::High, f.now()).await.unwrap(), [one]);
    let events = f.events().await;
    let (name, key, _, body) = events.last().unwrap();
    assert_eq!((name.as_str(), key.as_str()), ("task-group-priority-changed", format!("primary.{group}.-._").as_str()));
    assert_eq!((&body["tasksAffected"], &body["newPriority"]), (&json!(1), &json!("high")));
    assert_eq!(ids(&f.claim(2).await), [one, other]);
}

async fn changed_priority_counts_for_claims(f: &Fixture) {
    let one = f.create(json!({})).await;
    let two = f.create(json!({})).await;
    f.events().await;
    f.apply(two, priority(Priority::Highest)).await;
    let events = f.events().await;
    assert_eq!(events[0].0, "task-priority-changed");
    assert_eq!((&events[0].3["oldPriority"], &events[0].3["newPriority"]), (&json!("lowest"), &json!("highest")));
    // The same once more succeeds and tells nothing.
    f.apply(two, priority(Priority::Highest)).await;
    assert_eq!(f.event_names().await, Vec::<String>::new());
    assert_eq!(ids(&f.claim(2).await), [two, one]);
    f.apply(two, complete()).await;
    assert!(f.try_apply(two, priority(Priority::Low)).await.is_err());
}

async fn sealed_group_takes_no_tasks(f: &Fixture) {
    let group = f.create(json!({})).await;
    let first = f.store.seal_group(group, f.now()).await.unwrap().unwrap();
    let sealed = f.now();
    f.clock.advance(minutes(1));
    assert_eq!(f.store.seal_group(group, f.now()).await.unwrap().unwrap(), first);
    assert_eq!(first.sealed, Some(sealed));
    let refused = f.try_create(TaskId::new(), &json!({"taskGroupId": group})).await;
    assert_eq!(refused, Err(CreateRefusal::Sealed(group)));
    assert_eq!(f.store.seal_group(TaskId::new(), f.now()).await.unwrap(), None);
    assert_eq!(f.store.group(group).await.unwrap().unwrap().unresolved, 1);
}

async fn members_and_dependents_come_in_pages(f: &Fixture) {
    let group = f.create(json!({})).await;
    let mut expected = BTreeSet::new();
    for _ in 0..7 {
        expected.insert(f.create(json!({"taskGroupId": group, "dependencies": [group]})).await.to_string());
    }
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = f.store.dependents(group, &after, 3).await.unwrap();
        let Some((last, _)) = page.last() else { break };
        after = last.task_id.to_string();
        seen.extend(page.iter().map(|(task, _)| task.task_id.to_string()));
    }
    assert_eq!(seen, expected.iter().cloned().collect::<Vec<_>>());
    expected.insert(group.to_string());
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = f.store.members(group, &after, 3).await.unwrap();
        let Some((last, _)) = page.last() else { break };
        after = last.task_id.to_string();
        seen.extend(page.iter().map(|(task, _)| task.task_id.to_string()));
    }
    assert_eq!(seen, expected.into_iter().collect::<Vec<_>>());
    let wanted = [group.to_string(), TaskId::new().to_string()];
    assert_eq!(f.store.tasks(&wanted).await.unwrap().len(), 1);
}

async fn pending_and_claimed_come_in_pages(f: &Fixture) {
    let mut created = Vec::new();
    for _ in 0..5 {
        created.push(f.create(json!({})).await);
    }
    let first = f.store.pending("proj/ci", 0, 3, f.now()).await.unwrap();
    let second = f.store.pending("proj/ci", first[2].position, 3, f.now()).await.unwrap();
    let listed: Vec<TaskId> = first.iter().chain(&second).map(|run| run.task_id).collect();
    assert_eq!(listed, created);
    assert_eq!(f.store.pending("other/queue", 0, 3, f.now()).await.unwrap(), []);
    let queues = ["proj/ci".to_owned(), "other/queue".to_owned()];
    assert_eq!(f.store.with_work(&queues, f.now()).await.unwrap(), ["proj/ci"]);
    for number in 0..5 {
        f.clock.advance(minutes(1));
        assert_eq!(f.claim_as(&format!("w{number}"), 1).await.len(), 1);
    }
    let first = f.store.claimed("proj/ci", &Place { claimed: 0, task_id: String::new() }, 3, f.now()).await.unwrap();
    let place = Place { claimed: first[2].claimed.as_millis(), task_id: first[2].task_id.to_string() };
    let second = f.store.claimed("proj/ci", &place, 3, f.now()).await.unwrap();
    let listed: Vec<TaskId> = first.iter().chain(&second).map(|run| run.task_id).collect();
    assert_eq!(listed, created);
    assert_eq!(first[0].worker, worker_named("w0"));
    assert_eq!(f.store.with_work(&queues, f.now()).await.unwrap(), Vec::<String>::new());
}

fn artifact(id: TaskId, name: &str, expires: Timestamp, storage: Storage) -> Artifact {
    Artifact {
        task_id: id,
        run_id: 0.into(),
        name: name.to_owned(),
        content_type: "text/plain".to_owned(),
        content_length: Some(5),
        expires,
        present: true,
        storage,
    }
}

async fn artifacts_are_created_listed_and_replaced(f: &Fixture) {
    let id = f.create(json!({})).await;
    f.claim(1).await;
    f.events().await;
    let reference = |url: &str| Storage::Reference { url: url.to_owned() };
    let put =
        |name: &'static str, storage| f.store.put_artifact(artifact(id, name, f.now() + days(1), storage), f.now());
    for name in ["public/c", "public/a", "public/b"] {
        put(name, reference("https://example.com")).await.unwrap().unwrap();
    }
    put("public/d", Storage::Blob { key: "k".to_owned() }).await.unwrap().unwrap();
    let events = f.events().await;
    assert_eq!(events.len(), 3);
    assert_eq!(events[0].0, "artifact-created");
    assert_eq!(
        events[0].3["artifact"],
        json!({"storageType": "reference", "name": "public/c", "expires": f.now() + days(1), "contentType": "text/plain"})
    );
    let names = |page: &[Artifact]| page.iter().map(|artifact| artifact.name.clone()).collect::<Vec<_>>();
    let page = f.store.artifacts(id, 0.into(), "", 2).await.unwrap();
    assert_eq!(names(&page), ["public/a", "public/b"]);
    assert_eq!(names(&f.store.artifacts(id, 0.into(), "public/b", 5).await.unwrap()), ["public/c", "public/d"]);
    put("public/a", reference("https://example.org")).await.unwrap().unwrap();
    let found = f.store.artifact(id, 0.into(), "public/a").await.unwrap().unwrap();
    assert_eq!(found.storage, reference("https://example.org"));
    assert!(put("public/d", reference("https://example.org")).await.unwrap().is_err());
    assert_eq!(f.store.artifact(id, 1.into(), "public/a").await.unwrap(), None);
}

async fn late_artifacts_are_refused(f: &Fixture) {
    let id = f.create(json!({})).await;
    let storage = || Storage::Reference { url: "https://example.com".to_owned() };
    let put = |name: &'static str| f.store.put_artifact(artifact(id, name, f.now() + days(1), storage()), f.now());
    assert_eq!(put("a").await.unwrap(), Err(ArtifactRefusal::NotClaimed(0.into())));
    f.claim(1).await;
    let outlives = artifact(id, "a", f.now() + days(31), storage());
    assert!(matches!(
        f.store.put_artifact(outlives, f.now()).await.unwrap(),
        Err(ArtifactRefusal::OutlivesTask { .. })
    ));
    let missing = artifact(TaskId::new(), "a", f.now(), storage());
    assert!(matches!(f.store.put_artifact(missing, f.now()).await.unwrap(), Err(ArtifactRefusal::NoSuchTask(_))));
    f.apply(id, Event::Except { run: 0.into(), reason: ExceptionReason::InternalError }).await;
    f.clock.advance(minutes(24));
    put("log").await.unwrap().unwrap();
    f.clock.advance(minutes(2));
    assert_eq!(put("more").await.unwrap(), Err(ArtifactRefusal::NotRunning(0.into())));
}

async fn workers_are_remembered(f: &Fixture) {
    let one = worker_named("one");
    assert_eq!(f.store.worker("proj/ci", &one).await.unwrap(), None);
    f.store.saw_worker("proj/ci", &one, f.now()).await.unwrap();
    let mut expected = Vec::new();
    for _ in 0..22 {
        let id = f.create(json!({})).await;
        f.claim(1).await;
        expected.push(id);
    }
    let seen = f.store.worker("proj/ci", &one).await.unwrap().unwrap();
    assert_eq!((seen.first_claim, seen.last_date_active, seen.expires), (f.now(), Some(f.now()), f.now() + days(1)));
    assert_eq!(seen.recent_tasks.iter().map(|recent| recent.task_id).collect::<Vec<_>>(), expected[2..]);
    f.clock.advance(hours(1));
    f.store.saw_worker("proj/ci", &one, f.now()).await.unwrap();
    let later = f.store.worker("proj/ci", &one).await.unwrap().unwrap();
    assert_eq!((later.first_claim, later.last_date_active), (seen.first_claim, Some(f.now())));
    let declared = f.store.declare_worker("proj/ci", &worker_named("two"), f.now() + days(3), f.now()).await.unwrap();
    assert_eq!((declared.last_date_active, declared.expires), (None, f.now() + days(3)));
    let listed = f
        .store
        .workers("proj/ci", None, &Worker { group: String::new(), id: String::new() }, 10, f.now())
        .await
        .unwrap();
    assert_eq!(listed.iter().map(|seen| seen.worker.id.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    let latest =
        |seen: &crate::worker::SeenWorker| seen.recent_tasks.iter().map(|recent| recent.task_id).collect::<Vec<_>>();
    assert_eq!((latest(&listed[0]), latest(&listed[1])), (vec![expected[21]], Vec::new()));
    let page = f.store.workers("proj/ci", None, &one, 10, f.now()).await.unwrap();
    assert_eq!(page.len(), 1);
}

async fn quarantined_workers_are_listed(f: &Fixture) {
    let one = worker_named("one");
    let quarantine = |until| Quarantine {
        client_id: "me".to_owned(),
        updated_at: f.now(),
        quarantine_until: until,
        quarantine_info: "smoke".to_owned(),
    };
    let nobody = f.store.quarantine_worker("proj/ci", &one, quarantine(f.now() + days(9)), f.now()).await.unwrap();
    assert_eq!(nobody, None);
    f.store.saw_worker("proj/ci", &one, f.now()).await.unwrap();
    f.store.saw_worker("proj/ci", &worker_named("two"), f.now()).await.unwrap();
    let seen =
        f.store.quarantine_worker("proj/ci", &one, quarantine(f.now() + days(9)), f.now()).await.unwrap().unwrap();
    assert!(seen.is_quarantined(f.now()));
    assert_eq!(seen.quarantine_details.len(), 1);
    let nobody = Worker { group: String::new(), id: String::new() };
    let list = |quarantined| f.store.workers("proj/ci", quarantined, &nobody, 10, f.now());
    let names = |page: Vec<crate::worker::SeenWorker>| page.into_iter().map(|seen| seen.worker.id).collect::<Vec<_>>();
    assert_eq!(names(list(Some(true)).await.unwrap()), ["one"]);
    assert_eq!(names(list(Some(false)).await.unwrap()), ["two"]);
    f.clock.advance(days(2));
    assert_eq!(names(list(None).await.unwrap()), ["one"]);
    let lifted =
        f.store.quarantine_worker("proj/ci", &one, quarantine(f.now() - days(1)), f.now()).await.unwrap().unwrap();
    assert!(!lifted.is_quarantined(f.now()));
    assert_eq!(lifted.expires, f.now() + days(1));
}

async fn provisioners_are_seen_through_their_queues(f: &Fixture) {
    for queue in ["a/one", "a/two", "b/one"] {
        f.store.saw_queue(queue, f.now() + days(5), f.now()).await.unwrap();
        f.clock.advance(minutes(1));
    }
    let provisioners = f.store.provisioners("", 10, f.now()).await.unwrap();
    assert_eq!(provisioners.iter().map(|each| each.provisioner_id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(provisioners[0].last_date_active, start() + minutes(1));
    assert_eq!(f.store.provisioners("a", 10, f.now()).await.unwrap().len(), 1);
    assert_eq!(f.store.provisioner("c", f.now()).await.unwrap(), None);
    let queues =
        |list: Vec<crate::worker::TaskQueue>| list.into_iter().map(|each| each.task_queue_id).collect::<Vec<_>>();
    assert_eq!(queues(f.store.task_queues("", 10, f.now()).await.unwrap()), ["a/one", "a/two", "b/one"]);
    assert_eq!(queues(f.store.task_queues_of("a", "a/one", 10, f.now()).await.unwrap()), ["a/two"]);
    assert!(f.store.task_queue("a/one", f.now()).await.unwrap().is_some());
    f.clock.advance(days(6));
    assert_eq!(f.store.task_queue("a/one", f.now()).await.unwrap(), None);
    assert_eq!(f.store.provisioners("", 10, f.now()).await.unwrap(), []);
}

async fn expired_things_are_forgotten(f: &Fixture) {
    let id = f.create(json!({})).await;
    let open = f.create(json!({"priority": "very-low", "taskGroupId": id})).await;
    f.claim(2).await;
    let storage = Storage::Reference { url: "https://example.com".to_owned() };
    f.store.put_artifact(artifact(id, "a", f.now() + days(1), storage), f.now()).await.unwrap().unwrap();
    f.store.saw_worker("proj/ci", &worker_named("one"), f.now()).await.unwrap();
    f.apply(id, complete()).await;
    f.clock.advance(days(2));
    let expired = f.store.expired_artifacts(f.now(), 10).await.unwrap();
    assert_eq!(expired.len(), 1);
    f.store.forget_artifacts(expired).await.unwrap();
    assert_eq!(f.store.artifacts(id, 0.into(), "", 10).await.unwrap(), []);
    assert_eq!(f.store.expire_tasks(f.now(), 10).await.unwrap(), 0);
    f.clock.advance(days(60));
    assert_eq!(f.store.expire_tasks(f.now(), 10).await.unwrap(), 1);
    assert_eq!(f.store.task(id).await.unwrap(), None);
    f.store.expire_others(f.now()).await.unwrap();
    // The group stays as long as a task of it does.
    assert!(f.store.group(id).await.unwrap().is_some());
    assert_eq!(f.store.worker("proj/ci", &worker_named("one")).await.unwrap(), None);
    f.apply(open, Event::DeadlinePassed).await;
    assert_eq!(f.store.expire_tasks(f.now(), 10).await.unwrap(), 1);
    f.store.expire_others(f.now()).await.unwrap();
    assert_eq!(f.store.group(id).await.unwrap(), None);
}

async fn state_outlives_the_process(f: &Fixture) {
    let id = f.create(json!({})).await;
    f.claim(1).await;
    let before = f.store.task(id).await.unwrap();
    f.store.close().await;
    assert!(matches!(f.store.apply(id, complete(), f.now()).await, Err(StoreError::Closed)));
    let again = Store::open(&f.database).await.unwrap();
    assert_eq!(again.task(id).await.unwrap(), before);
    assert_eq!(again.apply(id, complete(), f.now()).await.unwrap().unwrap().state(), State::Completed);
    again.close().await;
}

async fn requests_in_one_batch_see_one_another(f: &Fixture) {
    let id = TaskId::new();
    let same = futures_util::future::join_all((0..10).map(|_| async { f.try_create(id, &json!({})).await })).await;
    assert!(same.iter().all(Result::is_ok));
    let task = f.store.status(id).await.unwrap().unwrap();
    assert_eq!(task.runs.len(), 1);
    assert_eq!(f.store.group(id).await.unwrap().unwrap().unresolved, 1);
    f.claim(1).await;
    let store = Arc::new(f.store.clone());
    let reports = (0..10).map(|number| {
        let store = Arc::clone(&store);
        let event = if number % 2 == 0 { complete() } else { Event::Fail { run: 0.into() } };
        async move { store.apply(id, event, start()).await.unwrap().is_ok() }
    });
    let successes = futures_util::future::join_all(reports).await.into_iter().filter(|ok| *ok).count();
    assert_eq!(successes, 5);
    assert_eq!(f.store.group(id).await.unwrap().unwrap().unresolved, 0);
}

async fn other_processes_are_woken(f: &Fixture) {
    if !matches!(f.database, Database::Postgres(_)) {
        return;
    }
    let other = second_handle(f).await;
    f.create(json!({})).await;
    let woken = tokio::time::timeout(minutes(2), other.next_wake()).await.expect("a notification comes");
    // After a connection that was made anew it says that it may have been any.
    assert!(woken.is_none_or(|queue| queue == "proj/ci"));
    other.close().await;
}

async fn the_same_task_created_by_two_processes_is_one(f: &Fixture) {
    let other = second_handle(f).await;
    for _ in 0..10 {
        let id = TaskId::new();
        let (new, now) = (f.define(id, &json!({})), f.now());
        let (one, two) = tokio::join!(f.store.create(new.clone(), now), other.create(new, now));
        assert_eq!(one.unwrap().unwrap().runs.len(), 1);
        assert_eq!(two.unwrap().unwrap().runs.len(), 1);
        assert_eq!(f.store.group(id).await.unwrap().unwrap().unresolved, 1);
    }
    assert_eq!(f.store.counts("proj/ci", f.now()).await.unwrap().pending, 10);
    end_second_handle(f, &other).await;
}
