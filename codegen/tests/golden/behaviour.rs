//! What generated code does.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use taskcluster_core::request::Page as _;
use taskcluster_core::transport::testing::ScriptedTransport;
use taskcluster_core::{Caller, Priority, RunId, ScopeTemplate, TaskId, TaskQueueId};

use super::{constant, domain, tagged_union, titles_alike, two_services, untagged_union};
use super::{
    enumeration, events, maps, methods, nullable, obstacles, pages, plain_union, recursion, scopes, structure,
};

const TASK_ID: &str = "fN1SbArXTPSVFNUvaOlinQ";

fn read<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn write(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap()
}

/// Reads a value, writes it again, and holds the two against each other.
fn there_and_back<T: DeserializeOwned + Serialize>(value: Value) -> T {
    let expected = value.clone();
    let value: T = read(value);
    assert_eq!(write(&value), expected);
    value
}

fn caller() -> Caller {
    let transport = ScriptedTransport::new();
    Caller::builder("https://tc.example").transport(&transport).build().unwrap()
}

fn fixture() -> methods::fixture::Fixture {
    methods::fixture::Fixture::new(caller())
}

#[test]
fn what_is_required_is_asked_for_and_the_rest_can_be_set() {
    use structure::fixture::{InnerThing, Structure};
    let built = Structure::new("a", true, InnerThing::new("b")).with_count(3);
    let expected = json!({"name": "a", "flag": true, "inner": {"deep": "b"}, "count": 3});
    assert_eq!(write(&built), expected);
    assert_eq!(there_and_back::<Structure>(expected), built);
}

#[test]
fn a_field_of_a_later_version_is_kept() {
    use structure::fixture::Structure;
    let structure: Structure =
        there_and_back(json!({"name": "a", "flag": true, "inner": {"deep": "b", "new": 1}, "later": {}}));
    assert_eq!(structure.inner.deep, "b");
    assert_eq!(structure.inner.unknown_fields.get("new"), Some(&json!(1)));
    assert!(serde_json::from_value::<Structure>(json!({"name": "a", "flag": true})).is_err(), "inner is required");
}

#[test]
fn a_field_of_a_later_version_can_be_sent() {
    use structure::fixture::InnerThing;
    let mut thing = InnerThing::new("b");
    thing.unknown_fields.insert("new", true);
    assert_eq!(write(&thing), json!({"deep": "b", "new": true}));
    assert_eq!(format!("{thing:?}"), r#"InnerThing { deep: "b", unknown_fields: {"new"} }"#);
    thing.unknown_fields.remove("new");
    assert_eq!(thing, InnerThing::new("b"));
    assert_eq!(format!("{thing:?}"), r#"InnerThing { deep: "b" }"#);
}

#[test]
fn a_field_of_a_later_version_leaves_the_branch_of_a_union_as_it_is() {
    use untagged_union::fixture::{Proof, Untagged, UntaggedAnswer};
    let value: Untagged = there_and_back(json!({"proof": {"document": "d", "later": 1}, "answer": {"later": 2}}));
    assert!(matches!(value.proof, Proof::Document(_)));
    assert!(matches!(value.answer, Some(UntaggedAnswer::Empty(_))));
    let value: tagged_union::fixture::Tagged =
        there_and_back(json!({"reason": "r", "storageType": "error", "later": 1}));
    let tagged_union::fixture::Tagged::Error(thing) = value else { panic!("{value:?}") };
    assert_eq!(thing.unknown_fields.len(), 1, "the mark is none of them");
}

#[test]
fn a_value_of_a_later_version_is_kept() {
    use enumeration::fixture::{Enumeration, EnumerationState};
    let value: Enumeration = there_and_back(json!({"state": "very-high", "one": "only"}));
    assert_eq!(value.state, EnumerationState::VeryHigh);
    let value: Enumeration = there_and_back(json!({"state": "paused", "one": "only", "priority": "urgent"}));
    assert_eq!(value.state, EnumerationState::Unknown("paused".to_owned()));
    assert!(matches!(value.priority, Some(Priority::Unknown(_))));
    let known: EnumerationState = read(json!("unknown"));
    assert_eq!((known.as_str(), &known), ("unknown", &EnumerationState::UnknownValue));
    assert_eq!(EnumerationState::from("2nd"), EnumerationState::N2nd);
}

#[test]
fn constants_need_not_be_given() {
    use constant::fixture::Constant;
    assert_eq!(write(&Constant::new()), json!({"version": 1, "kind": "fixed", "on": true}));
}

#[test]
fn a_union_is_told_apart_by_its_mark() {
    use tagged_union::fixture::{ErrorThing, OpenThing, Tagged};
    let value: Tagged = there_and_back(json!({"storageType": "s3", "expires": "2026-01-02T03:04:05.678Z"}));
    assert!(matches!(value, Tagged::S3(_)));
    let later = json!({"storageType": "tape", "shelf": 3});
    assert_eq!(there_and_back::<Tagged>(later.clone()), Tagged::Unknown(later));
    assert!(matches!(there_and_back(json!({"storageType": "unknown"})), Tagged::UnknownValue(_)));
    let error = Tagged::from(ErrorThing::new("gone"));
    assert_eq!(write(&error), json!({"storageType": "error", "reason": "gone"}));
    let open: Tagged = there_and_back(json!({"storageType": "open", "other": 1}));
    assert!(matches!(&open, Tagged::Open(thing) if thing.additional == *json!({"other": 1}).as_object().unwrap()));
    assert_eq!(write(&OpenThing::new()), json!({"storageType": "open"}));
    assert!(serde_json::from_value::<Tagged>(json!({"storageType": "s3"})).is_err(), "expires is missing");
}

#[test]
fn a_union_without_a_mark_is_told_apart_by_what_is_there() {
    use untagged_union::fixture::{Identity, Proof, Untagged, UntaggedAnswer, UntaggedByNumber};
    let value: Untagged = there_and_back(json!({"proof": {"document": "d", "signature": "s"}}));
    assert!(matches!(value.proof, Proof::SignedDocument(_)));
    let value: Untagged = there_and_back(json!({"proof": {"document": "d"}, "answer": {}, "by_number": {"kind": 2}}));
    assert!(matches!(value.proof, Proof::Document(_)));
    assert!(matches!(value.answer, Some(UntaggedAnswer::Empty(_))));
    assert!(matches!(value.by_number, Some(UntaggedByNumber::B(_))));
    let value: Untagged = there_and_back(json!({"proof": {"later": 1}, "answer": {"taskId": TASK_ID}}));
    assert!(matches!(value.proof, Proof::Unknown(_)));
    assert!(matches!(value.answer, Some(UntaggedAnswer::TaskId(_))));
    let identity = |value| there_and_back::<Untagged>(json!({"proof": {"token": "t"}, "identity": value})).identity;
    assert!(matches!(identity(json!({"document": "d", "signature": "s"})), Some(Identity::Aws(_))));
    assert!(matches!(identity(json!({"document": "d"})), Some(Identity::Azure(_))));
}

#[test]
fn a_union_of_plain_values() {
    use plain_union::fixture::{Inner, Plain, PlainNested, PlainValue};
    let value: Plain = there_and_back(json!({"value": ["a"], "names": "c", "nested": 3, "kinds": true}));
    assert_eq!(value.value, Some(PlainValue::List(vec!["a".to_owned()])));
    assert_eq!(value.nested, Some(PlainNested::Inner(Inner::Integer(3))));
    let value: Plain = there_and_back(json!({"value": 4, "nested": "x", "names": "later"}));
    assert_eq!((value.value, value.nested), (Some(PlainValue::Integer(4)), Some(PlainNested::Text("x".to_owned()))));
}

#[test]
fn absent_and_null_are_told_apart() {
    use nullable::fixture::Nullable;
    let value: Nullable = there_and_back(json!({"a": null, "c": null, "b": null}));
    assert_eq!((value.a, value.b), (None, Some(None)));
    let value: Nullable = there_and_back(json!({"a": "x", "c": "2026-01-02T03:04:05.678Z"}));
    assert_eq!((value.a.as_deref(), value.b, value.d), (Some("x"), None, None));
}

#[test]
fn other_properties_are_kept_where_the_schema_invites_them() {
    use maps::fixture::{Maps, Typed};
    let value: Maps =
        there_and_back(json!({"free": {"a": [1]}, "texts": {"b": "c"}, "open": {"sha256": "x", "md5": 1}}));
    assert_eq!(value.open.unwrap().additional["md5"], 1);
    assert_eq!(write(&Typed::new().with_a(true).with_additional([("b", 2)])), json!({"a": true, "b": 2}));
}

#[test]
fn what_contains_itself_is_read_and_written() {
    use recursion::fixture::Node;
    let value = json!({"children": [{"children": []}], "parent": {"children": []}, "next": null, "nested": [[], [[]]],
        "tree": {"a": {}}, "value": [["x"], {"other": "y", "node": {"children": []}}]});
    let node: Node = there_and_back(value);
    assert_eq!(node.children.len(), 1);
}

#[test]
fn well_known_properties_have_types_of_their_own() {
    let task_id: TaskId = TASK_ID.parse().unwrap();
    let value: domain::fixture::Domain = there_and_back(json!({"taskId": TASK_ID, "runId": 0, "taskQueueId": "a/b",
        "accessToken": "hunter2", "token": "hunter2", "staticSecret": "hunter2", "secret": {"password": "hunter2"},
        "created": "2026-01-02T03:04:05.678Z", "taskIds": [TASK_ID]}));
    assert_eq!((value.task_id, value.run_id), (task_id, RunId::from(0_u32)));
    assert!(!format!("{value:?}").contains("hunter2"), "a secret is not shown");
}

#[test]
fn types_that_are_alike_are_one_type() {
    use titles_alike::fixture::{Alike, Twin};
    let alike = Alike::new().with_one(Twin::new().with_x("1")).with_two(Twin::new());
    assert_eq!(write(&alike), json!({"one": {"x": "1"}, "two": {}}));
}

#[test]
fn a_type_of_another_service_is_the_same_type() {
    use two_services::{queue, scheduler};
    let graph = scheduler::Graph::new([queue::Task::new("a")]);
    assert_eq!(graph.tasks[0].name, "a");
}

#[test]
fn arguments_go_into_the_path_and_the_query() {
    let task_id: TaskId = TASK_ID.parse().unwrap();
    let url = fixture().get_thing(&task_id, 2, "public/a b").url().unwrap();
    assert_eq!(url.as_str(), format!("https://tc.example/api/fixture/v1/task/{TASK_ID}/runs/2/public%2Fa%20b"));
    let url = fixture().flags().quarantined(true).worker_state("a&b").limit(3).url().unwrap();
    assert_eq!(url.query(), Some("quarantined=true&workerState=a%26b&limit=3"));
    let search = pages::fixture::Fixture::new(caller()).search();
    let url = search.prefix("x").limit(5).continuation_token("t").url().unwrap();
    assert_eq!(url.query(), Some("prefix=x&limit=5&continuationToken=t"));
}

#[tokio::test]
async fn each_call_takes_settings_of_its_own() {
    use std::time::Duration;
    use taskcluster_core::transport::testing::Answer;

    let busy = || Answer::error(503, "", "busy");
    let script = ScriptedTransport::new().on("fixture.flags", busy()).on("fixture.search", busy());
    let caller = Caller::builder("https://tc.example").transport(&script).build().unwrap();
    let fixture = methods::fixture::Fixture::new(caller.clone());
    // Those with a query and those without, lists and others.
    fixture.flags().retries(0).quarantined(true).await.unwrap_err();
    pages::fixture::Fixture::new(caller)
        .search()
        .limit(1)
        .retries(1)
        .deadline(Duration::from_secs(60))
        .all()
        .await
        .unwrap_err();
    let _ = fixture.act(&read(json!({"name": "a"}))).idempotent(true).attempt_timeout(Duration::from_secs(1));
    assert_eq!(script.calls().len(), 3);
}

#[test]
fn pages_give_their_items() {
    let page: pages::fixture::Page = read(json!({"items": [{"name": "a"}], "continuationToken": "t"}));
    assert_eq!(page.continuation_token(), Some("t"));
    assert_eq!(page.into_items()[0].name, "a");
    let page: pages::fixture::OptionalPage = read(json!({}));
    assert_eq!(page.continuation_token(), None);
    assert!(page.into_items().is_empty());
}

#[test]
fn operations_are_data() {
    use methods::fixture::operations;
    let names: Vec<&str> = operations::ALL.iter().map(|operation| operation.name).collect();
    assert_eq!(names, ["getThing", "putThing", "act", "badge", "picture", "old", "content", "free", "flags"]);
    let operation = &operations::GET_THING;
    assert_eq!(operation.args, ["taskId", "runId", "name"]);
    assert!(operation.idempotent && !operations::ACT.idempotent);
    assert_eq!(operation.output, Some("/schemas/fixture/v1/thing.json#"));
    let lists = scopes::fixture::operations::LISTS.scopes.unwrap();
    assert!(matches!(lists, ScopeTemplate::AnyOf([ScopeTemplate::AllOf(_), ScopeTemplate::Scope("c")])));
    assert!(scopes::fixture::operations::PUBLIC.scopes.is_none());
}

#[tokio::test]
async fn content_of_any_kind_is_given_as_it_came() {
    let svg = || http::Response::new(bytes::Bytes::from_static(b"<svg/>"));
    let script = ScriptedTransport::new().on("fixture.badge", svg()).on("fixture.picture", svg());
    let caller = Caller::builder("https://tc.example").transport(&script).build().unwrap();
    let fixture = methods::fixture::Fixture::new(caller);
    assert_eq!(fixture.badge("x").branch("main").await.unwrap().0, "<svg/>");
    assert_eq!(fixture.picture().await.unwrap().0, "<svg/>");
    assert_eq!(script.calls()[0].query, "branch=main");
}

#[test]
fn routing_keys_are_made_and_matched_word_by_word() {
    use events::fixture::events::{Changed, Queued, TaskDefined};
    let task_id: TaskId = TASK_ID.parse().unwrap();
    assert_eq!(TaskDefined::EXCHANGE.exchange, "exchange/fixture/v1/task-defined");
    assert_eq!(TaskDefined::key(&task_id, None, "group", Some("t")), format!("primary.{TASK_ID}._.group.t._"));
    assert_eq!(TaskDefined::binding().pattern(), "primary.*.*.*.*.#");
    let pattern = TaskDefined::binding().task_id(&task_id).run_id(1).pattern();
    assert_eq!(pattern, format!("primary.{TASK_ID}.1.*.*.#"));
    assert_eq!(Changed::binding().to_string(), "#");
    let task_queue_id = TaskQueueId::from_parts("proj-misc", "build").unwrap();
    assert_eq!(Queued::binding().task_queue_id(&task_queue_id).pattern(), "proj-misc.build");
    fn exchange<E: taskcluster_core::operation::Event>() -> &'static str {
        E::EXCHANGE.name
    }
    assert_eq!(exchange::<Changed>(), "changed");
}

#[test]
fn awkward_names_can_be_called() {
    use obstacles::fixture::{Fixture, Words};
    let client = Fixture::new(caller());
    let url = client.clone().r#type("a", "b", "c").url().unwrap();
    assert_eq!(url.path(), "/api/fixture/v1/a/b/c");
    let url = client.builder_methods().with_url("1").with_raw("2").limit(3).url().unwrap();
    assert_eq!(url.query(), Some("url=1&raw=2&limit=3"));
    let words = Words::new("type", "self", "async", "new", "one", "empty", "value");
    let value = write(&words);
    assert_eq!(
        (&value["type"], &value["self"], &value["1"], &value[""]),
        (&json!("type"), &json!("self"), &json!("one"), &json!("empty"))
    );
    assert_eq!(read::<Words>(value), words);
}
