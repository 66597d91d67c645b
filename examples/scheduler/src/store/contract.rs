//! What the store has to do, on each kind of database.

use std::collections::BTreeMap;

use service_kit::store::{Database, StoreError};
use service_kit::testing;
use taskcluster::events::{Binding, Bus as _, MemoryBus};
use taskcluster::queue::{Requires, TaskDefinitionRequest};
use taskcluster::scheduler::{
    CreateTaskGraphRequest, TaskGraphBlockedMessage, TaskGraphNode, TaskGraphState, TaskGraphTaskState,
};
use taskcluster_core::ids::TaskId;
use taskcluster_core::time::{Timestamp, days, hours, minutes};

use super::{Accepted, Begun, Filter, Place, Placed, SCHEMA, SILENCE, Store, Wanted};
use crate::graph::Graph;
use crate::messages::EXCHANGES;
use crate::node::{Seen, State};
use crate::submission::Submission;

mod order;

use order::what_is_heard_comes_to_the_same_in_any_order;

service_kit::contract! { SCHEMA, open =>
    a_graph_is_read_back_as_it_was_submitted,
    nothing_is_part_of_a_graph_before_it_is_accepted,
    what_was_held_is_wanted_and_what_waits_is_not,
    a_graph_finishes_with_its_leaves,
    a_failure_is_run_again_and_then_blocks,
    a_blocked_graph_runs_when_somebody_runs_it_again,
    a_finished_graph_runs_when_it_is_extended,
    what_extends_a_graph_waits_for_what_it_requires,
    all_that_ended_is_enough_for_who_says_so,
    what_is_cancelled_is_wanted_and_comes_back,
    what_was_held_when_its_graph_was_cancelled_is_held_when_it_goes_on,
    a_graph_that_is_blocked_by_being_extended_says_so,
    who_runs_again_waits_for_what_it_requires,
    a_run_that_cannot_be_had_blocks,
    what_was_not_heard_of_is_due,
    graphs_are_listed_by_what_they_were_submitted_with,
    a_graph_is_forgotten_as_a_whole,
    requests_left_behind_are_found,
    what_is_heard_comes_to_the_same_in_any_order,
}

async fn open(database: &Database) -> Result<Store, StoreError> {
    Store::open(database, "test-scheduler").await
}

fn now() -> Timestamp {
    "2026-03-04T05:06:07.008Z".parse().unwrap()
}

/// The same id for the same name.
fn id(name: &str) -> TaskId {
    TaskId::derive(&"fN1SbArXTPSVFNUvaOlinQ".parse().unwrap(), name)
}

fn node(name: &str, requires: &[&str]) -> TaskGraphNode {
    let definition: TaskDefinitionRequest = serde_json::from_value(serde_json::json!({
        "taskQueueId": "p/w", "created": now(), "deadline": now() + hours(2), "expires": now() + days(1), "payload": {},
        "metadata": {"name": name, "description": "", "owner": "me@example.com", "source": "https://example.com"},
    }))
    .unwrap();
    TaskGraphNode::new(id(name), definition).with_requires(requires.iter().map(|name| id(name)))
}

fn request(nodes: Vec<TaskGraphNode>) -> CreateTaskGraphRequest {
    let metadata = nodes[0].task.metadata.clone();
    CreateTaskGraphRequest::new(nodes, metadata)
}

async fn submit(store: &Store, graph: &str, request: CreateTaskGraphRequest) -> Graph {
    accept(store, &Submission::create(id(graph), request, "test-scheduler")).await
}

async fn accept(store: &Store, submission: &Submission) -> Graph {
    assert_eq!(store.begin(submission, now()).await.unwrap(), Begun::Yes);
    match store.accept(submission, now()).await.unwrap() {
        Accepted::Yes(graph) => graph,
        other => panic!("{other:?}"),
    }
}

async fn extend(store: &Store, graph: &str, nodes: Vec<TaskGraphNode>) -> Graph {
    accept(store, &Submission::extend(id(graph), Vec::new(), nodes, "test-scheduler")).await
}

/// Build, two tests that require it, and a report that requires both.
fn four() -> Vec<TaskGraphNode> {
    vec![
        node("build", &[]),
        node("one", &["build"]).with_reruns(1),
        node("two", &["build"]),
        node("report", &["one", "two"]),
    ]
}

async fn hear(store: &Store, graph: &str, task: &str, runs: u32, state: State, failed: u32) {
    store.observe(id(graph), id(task), Seen { runs, state, failed }, now()).await.unwrap();
}

async fn complete(store: &Store, graph: &str, tasks: &[&str]) {
    for task in tasks {
        hear(store, graph, task, 1, State::Completed, 0).await;
    }
}

async fn state(store: &Store, graph: &str) -> String {
    store.graph(id(graph)).await.unwrap().unwrap().state.to_string()
}

async fn placed(store: &Store, graph: &str, task: &str) -> Placed {
    store.node(id(graph), id(task)).await.unwrap().unwrap()
}

async fn shown(store: &Store, graph: &str, task: &str) -> TaskGraphTaskState {
    placed(store, graph, task).await.node.shown()
}

/// What the queue is to do, by task: a run beyond so many, or none.
async fn wanted(store: &Store) -> BTreeMap<TaskId, Option<u32>> {
    let mut all = BTreeMap::new();
    let mut last: Option<Wanted> = None;
    while let Some(next) = store.wanted(last, 1).await.unwrap().pop() {
        all.insert(next.task_id, next.run_after);
        last = Some(next);
    }
    all
}

fn wants<const N: usize>(tasks: [(&str, Option<u32>); N]) -> BTreeMap<TaskId, Option<u32>> {
    tasks.into_iter().map(|(task, run)| (id(task), run)).collect()
}

/// What was told since this was last asked for: the last word of each exchange, in order, and who blocks.
async fn told(store: &Store) -> Vec<String> {
    let bus = MemoryBus::new();
    let bindings = EXCHANGES.iter().map(|exchange| Binding::everything(exchange.exchange)).collect();
    let mut heard = bus.subscribe(bindings).await.unwrap();
    let outbox = store.outbox();
    let mut told = Vec::new();
    for _ in 0..outbox.publish(&bus, 1000).await.unwrap() {
        let message = heard.next().await.unwrap().unwrap();
        let name = message.exchange.rsplit('-').next().unwrap();
        told.push(match serde_json::from_slice::<TaskGraphBlockedMessage>(&message.payload) {
            Ok(message) => format!("{name} by {}", message.task_id),
            Err(_) => name.to_owned(),
        });
    }
    told
}

async fn a_graph_is_read_back_as_it_was_submitted(store: &Store) {
    let mut tags = BTreeMap::new();
    tags.insert("a".to_owned(), "ü\" '%\\".to_owned());
    let request = request(four()).with_scopes(["b", "a*"]).with_routes(["x.y", "z"]).with_tags(tags.clone());
    let graph = submit(store, "g", request).await;
    assert_eq!(store.graph(id("g")).await.unwrap(), Some(graph.clone()));
    assert_eq!(
        (graph.origin.scopes, graph.origin.routes),
        (vec!["b".into(), "a*".into()], vec!["x.y".into(), "z".into()])
    );
    assert_eq!((graph.origin.tags, graph.state, graph.submitted), (tags, TaskGraphState::Running, now()));
    assert_eq!(graph.expires, now() + days(1));
    let nodes = store.nodes(id("g"), "", 100).await.unwrap();
    assert_eq!(nodes.len(), 4);
    assert!(nodes.is_sorted_by_key(|node| node.task_id.to_string()));
    let report = placed(store, "g", "report").await;
    let mut required = vec![(id("one"), false), (id("two"), false)];
    required.sort_by_key(|(id, _)| id.to_string());
    assert_eq!((report.name.as_str(), report.requires, report.dependents), ("report", required, vec![]));
    assert_eq!(placed(store, "g", "build").await.dependents.len(), 2);
    assert_eq!(placed(store, "g", "one").await.node.reruns_left(), 1);
    assert_eq!(store.nodes(id("g"), &nodes[1].task_id.to_string(), 1).await.unwrap(), [nodes[2].clone()]);
    assert_eq!(store.node(id("g"), id("unknown")).await.unwrap(), None);
    assert_eq!(store.graph(id("unknown")).await.unwrap(), None);
    assert_eq!(told(store).await, ["running"]);
}

async fn nothing_is_part_of_a_graph_before_it_is_accepted(store: &Store) {
    let submission = Submission::create(id("g"), request(four()), "test-scheduler");
    assert_eq!(store.begin(&submission, now()).await.unwrap(), Begun::Yes);
    assert_eq!(store.begin(&submission, now()).await.unwrap(), Begun::Yes, "it may be repeated");
    let other = Submission::create(id("g"), request(vec![node("other", &[])]), "test-scheduler");
    assert_eq!(store.begin(&other, now()).await.unwrap(), Begun::Other);
    assert_eq!(store.graph(id("g")).await.unwrap(), None);
    assert!(wanted(store).await.is_empty() && told(store).await.is_empty());
    store.refuse(&submission).await.unwrap();
    assert_eq!(store.begin(&other, now()).await.unwrap(), Begun::Yes);
    let graph = store.accept(&other, now()).await.unwrap();
    assert_eq!(store.accept(&other, now()).await.unwrap(), graph, "and so may this");
    assert_eq!(store.accept(&submission, now()).await.unwrap(), Accepted::Gone);
    assert_eq!(told(store).await, ["running"]);
}

async fn what_was_held_is_wanted_and_what_waits_is_not(store: &Store) {
    submit(store, "g", request(four())).await;
    assert_eq!(wanted(store).await, wants([("build", Some(0))]));
    assert_eq!(shown(store, "g", "build").await, TaskGraphTaskState::Scheduled);
    assert_eq!(shown(store, "g", "one").await, TaskGraphTaskState::Unscheduled);
    hear(store, "g", "build", 1, State::Pending, 0).await;
    assert!(wanted(store).await.is_empty());
    complete(store, "g", &["build"]).await;
    assert!(wanted(store).await.is_empty(), "the queue begins what waits");
    assert_eq!(placed(store, "g", "one").await.requires, [(id("build"), true)]);
}

async fn a_graph_finishes_with_its_leaves(store: &Store) {
    submit(store, "g", request(four())).await;
    complete(store, "g", &["build", "one", "two"]).await;
    assert_eq!(state(store, "g").await, "running");
    complete(store, "g", &["report", "report"]).await;
    assert_eq!(state(store, "g").await, "finished");
    assert_eq!(told(store).await, ["running", "finished"]);
}

async fn a_failure_is_run_again_and_then_blocks(store: &Store) {
    submit(store, "g", request(four())).await;
    complete(store, "g", &["build"]).await;
    hear(store, "g", "one", 1, State::Failed, 1).await;
    hear(store, "g", "one", 1, State::Failed, 1).await;
    assert_eq!(wanted(store).await, wants([("one", Some(1))]));
    assert_eq!((state(store, "g").await, placed(store, "g", "one").await.node.reruns_left()), ("running".into(), 0));
    hear(store, "g", "one", 2, State::Failed, 2).await;
    assert!(wanted(store).await.is_empty());
    assert_eq!(
        (state(store, "g").await, shown(store, "g", "one").await),
        ("blocked".into(), TaskGraphTaskState::Failed)
    );
    assert_eq!(told(store).await, ["running".to_owned(), format!("blocked by {}", id("one"))]);
    hear(store, "g", "two", 1, State::Exception, 0).await;
    assert!(told(store).await.is_empty(), "it was blocked before");
}

async fn a_blocked_graph_runs_when_somebody_runs_it_again(store: &Store) {
    submit(store, "g", request(four())).await;
    complete(store, "g", &["build", "one"]).await;
    hear(store, "g", "two", 1, State::Exception, 0).await;
    assert_eq!(state(store, "g").await, "blocked");
    // At the queue.
    hear(store, "g", "two", 2, State::Pending, 0).await;
    assert_eq!(state(store, "g").await, "running");
    hear(store, "g", "two", 2, State::Failed, 1).await;
    // Here.
    let (graph, again) = store.rerun_all(id("g"), now()).await.unwrap().unwrap();
    assert_eq!((graph.state, again), (TaskGraphState::Running, vec![id("two")]));
    assert_eq!(wanted(store).await, wants([("two", Some(2))]));
    assert_eq!(store.rerun_all(id("g"), now()).await.unwrap().unwrap().1, []);
    hear(store, "g", "two", 3, State::Completed, 1).await;
    complete(store, "g", &["report"]).await;
    let blocked = format!("blocked by {}", id("two"));
    assert_eq!(told(store).await, ["running", &blocked, "running", &blocked, "running", "finished"]);
    assert_eq!(store.rerun_all(id("unknown"), now()).await.unwrap(), None);
}

async fn a_finished_graph_runs_when_it_is_extended(store: &Store) {
    submit(store, "g", request(vec![node("build", &[])])).await;
    complete(store, "g", &["build"]).await;
    let graph = extend(store, "g", vec![node("more", &["build"])]).await;
    assert_eq!(graph.state, TaskGraphState::Running);
    assert_eq!(wanted(store).await, wants([("more", Some(0))]));
    complete(store, "g", &["more"]).await;
    assert_eq!(told(store).await, ["running", "finished", "extended", "running", "finished"]);
    let repeated = Submission::extend(id("g"), Vec::new(), vec![node("more", &["build"])], "test-scheduler");
    assert_eq!(accept(store, &repeated).await.state, TaskGraphState::Finished);
    assert!(told(store).await.is_empty());
}

async fn what_extends_a_graph_waits_for_what_it_requires(store: &Store) {
    submit(store, "g", request(vec![node("build", &[]), node("slow", &[])])).await;
    hear(store, "g", "build", 1, State::Running, 0).await;
    hear(store, "g", "slow", 1, State::Running, 0).await;
    extend(store, "g", vec![node("more", &["build", "slow"]), node("last", &["more"])]).await;
    assert!(wanted(store).await.is_empty());
    assert_eq!(shown(store, "g", "more").await, TaskGraphTaskState::Unscheduled);
    complete(store, "g", &["build"]).await;
    assert!(wanted(store).await.is_empty());
    complete(store, "g", &["slow"]).await;
    assert_eq!(wanted(store).await, wants([("more", Some(0))]));
    assert_eq!(told(store).await, ["running", "extended"]);
}

async fn all_that_ended_is_enough_for_who_says_so(store: &Store) {
    submit(store, "g", request(vec![node("build", &[])])).await;
    let mut report = node("report", &["build"]);
    report.task.requires = Some(Requires::AllResolved);
    extend(store, "g", vec![report]).await;
    hear(store, "g", "build", 1, State::Failed, 1).await;
    assert_eq!(wanted(store).await, wants([("report", Some(0))]));
    assert_eq!(placed(store, "g", "report").await.requires, [(id("build"), true)]);
    assert_eq!(state(store, "g").await, "blocked");
    complete(store, "g", &["report"]).await;
    assert_eq!(state(store, "g").await, "finished", "the only leaf has completed");
}

async fn what_is_cancelled_is_wanted_and_comes_back(store: &Store) {
    submit(store, "g", request(four())).await;
    complete(store, "g", &["build"]).await;
    hear(store, "g", "one", 1, State::Running, 0).await;
    let graph = store.cancel(id("g"), now()).await.unwrap().unwrap();
    assert!(graph.cancelled);
    assert_eq!(wanted(store).await, wants([("one", None), ("two", None), ("report", None)]));
    // What fails meanwhile is not run again.
    hear(store, "g", "one", 1, State::Failed, 1).await;
    hear(store, "g", "two", 1, State::Exception, 0).await;
    assert_eq!(wanted(store).await, wants([("report", None)]));
    let more = Submission::extend(id("g"), Vec::new(), vec![node("more", &[])], "test-scheduler");
    store.begin(&more, now()).await.unwrap();
    assert_eq!(store.accept(&more, now()).await.unwrap(), Accepted::Cancelled);
    store.refuse(&more).await.unwrap();

    let (graph, mut again) = store.rerun_all(id("g"), now()).await.unwrap().unwrap();
    again.sort();
    let mut both = [id("one"), id("two")];
    both.sort();
    assert_eq!((graph.cancelled, again), (false, both.to_vec()));
    assert_eq!(wanted(store).await, wants([("one", Some(1)), ("two", Some(1))]), "the report lives on");
    assert_eq!(store.cancel(id("unknown"), now()).await.unwrap(), None);
}

async fn what_was_held_when_its_graph_was_cancelled_is_held_when_it_goes_on(store: &Store) {
    submit(store, "g", request(vec![node("build", &[]), node("other", &[])])).await;
    hear(store, "g", "other", 1, State::Running, 0).await;
    extend(store, "g", vec![node("more", &["other"])]).await;
    store.cancel(id("g"), now()).await.unwrap();
    assert_eq!(wanted(store).await, wants([("build", None), ("other", None), ("more", None)]));
    // Before the queue was asked to.
    assert_eq!(store.rerun_all(id("g"), now()).await.unwrap().unwrap().1, []);
    assert_eq!(wanted(store).await, wants([("build", Some(0))]));
    complete(store, "g", &["other"]).await;
    assert_eq!(wanted(store).await, wants([("build", Some(0)), ("more", Some(0))]));
}

async fn a_graph_that_is_blocked_by_being_extended_says_so(store: &Store) {
    submit(store, "g", request(vec![node("build", &[]), node("report", &["build"])])).await;
    // Somebody had the report scheduled at the queue.
    hear(store, "g", "build", 1, State::Failed, 1).await;
    complete(store, "g", &["report"]).await;
    let blocked = format!("blocked by {}", id("build"));
    assert_eq!(told(store).await, ["running", &blocked, "finished"]);
    extend(store, "g", vec![node("more", &["report"])]).await;
    assert_eq!((state(store, "g").await, told(store).await), ("blocked".into(), vec!["extended".into(), blocked]));
}

async fn who_runs_again_waits_for_what_it_requires(store: &Store) {
    submit(store, "g", request(four())).await;
    hear(store, "g", "build", 1, State::Failed, 1).await;
    for task in ["one", "two", "report"] {
        hear(store, "g", task, 1, State::Exception, 0).await;
    }
    let (_, again) = store.rerun_all(id("g"), now()).await.unwrap().unwrap();
    assert_eq!(again.len(), 4);
    assert_eq!(wanted(store).await, wants([("build", Some(1))]));
    assert_eq!(shown(store, "g", "one").await, TaskGraphTaskState::Unscheduled);
    hear(store, "g", "build", 2, State::Completed, 1).await;
    assert_eq!(wanted(store).await, wants([("one", Some(1)), ("two", Some(1))]));

    // One alone, which has succeeded: it is not satisfied until it has done so again.
    let (graph, runs) = store.rerun(id("g"), id("build"), now()).await.unwrap().unwrap();
    assert_eq!((graph.state, runs), (TaskGraphState::Running, true));
    assert_eq!(wanted(store).await.get(&id("build")), Some(&Some(2)));
    assert!(!placed(store, "g", "build").await.node.is_satisfied());
    assert!(!store.rerun(id("g"), id("one"), now()).await.unwrap().unwrap().1, "it has not ended");
    assert_eq!(store.rerun(id("g"), id("unknown"), now()).await.unwrap(), None);
}

async fn a_run_that_cannot_be_had_blocks(store: &Store) {
    submit(store, "g", request(four())).await;
    hear(store, "g", "one", 1, State::Failed, 1).await;
    store.give_up(id("g"), id("one"), 0, now()).await.unwrap();
    assert_eq!(state(store, "g").await, "running", "that was about another run");
    store.give_up(id("g"), id("one"), 1, now()).await.unwrap();
    assert_eq!(
        (state(store, "g").await, shown(store, "g", "one").await),
        ("blocked".into(), TaskGraphTaskState::Failed)
    );
    store.cancel(id("g"), now()).await.unwrap();
    store.cannot_cancel(id("g"), id("two"), now()).await.unwrap();
    assert!(!wanted(store).await.contains_key(&id("two")));
}

async fn what_was_not_heard_of_is_due(store: &Store) {
    submit(store, "g", request(four())).await;
    assert!(store.due(now() + minutes(4), 10).await.unwrap().is_empty());
    let later = now() + SILENCE;
    let due = store.due(later, 10).await.unwrap();
    assert_eq!(due.len(), 4);
    assert_eq!(store.due(later, 3).await.unwrap().len(), 3);
    store.looked(&due, later).await.unwrap();
    assert!(store.due(later, 10).await.unwrap().is_empty());
    complete(store, "g", &["build"]).await;
    assert_eq!(store.due(later + SILENCE, 10).await.unwrap().len(), 3, "what has ended is left alone");
    store.look_again(now()).await.unwrap();
    assert_eq!(store.due(now(), 10).await.unwrap().len(), 4, "but for this");
    store.looked(&due, now()).await.unwrap();
    store.look_again(now() + hours(3)).await.unwrap();
    assert!(store.due(now() + minutes(1), 10).await.unwrap().is_empty(), "after the deadline nothing comes any more");
}

async fn graphs_are_listed_by_what_they_were_submitted_with(store: &Store) {
    for (graph, route, value) in [("a", "x", "1"), ("b", "x", "2"), ("c", "y", "2")] {
        let tags = BTreeMap::from([("kind".to_owned(), value.to_owned())]);
        let request = request(vec![node(graph, &[])]).with_routes([route]).with_tags(tags);
        submit(store, graph, request).await;
    }
    complete(store, "b", &["b"]).await;
    let found = async |filter: Filter| {
        let graphs = store.list(&filter, &Place::first(), 10, now()).await.unwrap();
        let mut names: Vec<&str> =
            graphs.iter().map(|graph| ["a", "b", "c"].into_iter().find(|name| id(name) == graph.id).unwrap()).collect();
        names.sort_unstable();
        names.concat()
    };
    let route = |route: &str| Filter { route: Some(route.to_owned()), ..Filter::default() };
    let tag = |tag: &str| Filter { tag: Some(tag.to_owned()), ..Filter::default() };
    let state = |state| Filter { state: Some(state), ..Filter::default() };
    assert_eq!(found(Filter::default()).await, "abc");
    assert_eq!((found(route("x")).await, found(route("kind=2")).await), ("ab".into(), String::new()));
    assert_eq!((found(tag("kind=2")).await, found(tag("x")).await), ("bc".into(), String::new()));
    assert_eq!(found(state(TaskGraphState::Finished)).await, "b");
    assert_eq!(found(state(TaskGraphState::Running)).await, "ac");
    assert_eq!(found(Filter { state: Some(TaskGraphState::Running), ..tag("kind=2") }).await, "c");
    assert!(store.list(&Filter::default(), &Place::first(), 10, now() + days(1)).await.unwrap().is_empty());

    let mut paged = Vec::new();
    let mut after = Place::first();
    while let Some(graph) = store.list(&Filter::default(), &after, 1, now()).await.unwrap().pop() {
        after = Place::of(&graph);
        paged.push(graph);
    }
    assert_eq!(paged, store.list(&Filter::default(), &Place::first(), 10, now()).await.unwrap());
}

async fn a_graph_is_forgotten_as_a_whole(store: &Store) {
    submit(store, "a", request(four())).await;
    submit(store, "b", request(vec![node("other", &[])])).await;
    assert_eq!(store.expire(now(), 10).await.unwrap(), 0);
    assert_eq!(store.expire(now() + days(1), 1).await.unwrap(), 1);
    assert_eq!(store.expire(now() + days(1), 10).await.unwrap(), 1);
    for graph in ["a", "b"] {
        assert_eq!(store.graph(id(graph)).await.unwrap(), None);
        assert!(store.nodes(id(graph), "", 10).await.unwrap().is_empty());
    }
    assert!(wanted(store).await.is_empty() && store.due(now() + days(9), 10).await.unwrap().is_empty());
    hear(store, "a", "build", 1, State::Completed, 0).await;
}

async fn requests_left_behind_are_found(store: &Store) {
    let submission = Submission::create(id("g"), request(four()).with_scopes(["a"]), "test-scheduler");
    store.begin(&submission, now()).await.unwrap();
    assert!(store.begun(now() - minutes(1), 10).await.unwrap().is_empty());
    assert_eq!(store.begun(now(), 10).await.unwrap(), std::slice::from_ref(&submission));
    store.touch(&submission, now() + minutes(5)).await.unwrap();
    assert!(store.begun(now(), 10).await.unwrap().is_empty());
    store.accept(&submission, now()).await.unwrap();
    assert!(store.begun(now() + hours(1), 10).await.unwrap().is_empty());
}

/// Rows as the first version of this service left them.
const SAMPLE: &str = include_str!("../../migrations/0001_graphs.sample.sql");

#[tokio::test]
async fn a_database_of_the_first_version_is_brought_up_to_date() {
    for fresh in testing::left(&SCHEMA.of_version(1), SAMPLE).await {
        let store = open(&fresh.database).await.unwrap();
        let graph: TaskId = "fN1SbArXTPSVFNUvaOlinQ".parse().unwrap();
        assert_eq!(store.graph(graph).await.unwrap().unwrap().state, TaskGraphState::Running);
        let tasks = store.nodes(graph, "", 10).await.unwrap();
        assert_eq!(tasks.len(), 2);
        assert_eq!(tasks.iter().map(|task| task.requires.len()).sum::<usize>(), 1);
        store.close().await;
    }
}
