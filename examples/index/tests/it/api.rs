//! The API through the generated client. `tests/api/index` of the repository asks the same over the network, on each database.

use taskcluster::index::{FindTasksAtIndexRequest, InsertTaskRequest};
use taskcluster_core::hawk::Presented;
use taskcluster_core::ids::TaskId;
use taskcluster_core::time::{days, minutes};
use url::Url;

use crate::tester::{ROOT, Tester, soon};

#[tokio::test]
async fn an_entry_ends_when_it_expires_and_its_namespace_soon_after() {
    let tester = Tester::new().await;
    tester.insert("a.b.c", 0.0).await;
    tester.clock.advance(days(10) - minutes(1));
    assert!(tester.find("a.b.c").await.is_some());
    tester.clock.advance(minutes(1));
    assert!(tester.find("a.b.c").await.is_none());
    tester.clock.advance(days(1));
    assert!(soon(tester.index.list_namespaces("")).await.unwrap().namespaces.is_empty());
    tester.service.catch_up().await.unwrap();
    tester.clock.set(tester.now() - days(5));
    assert!(tester.find("a.b.c").await.is_none(), "it was removed");
}

#[tokio::test]
async fn many_names_are_found_page_by_page_whatever_they_are() {
    let tester = Tester::new().await;
    for name in ["n.a", "n.b", "n.c"] {
        tester.insert(name, 0.0).await;
    }
    let names = ["n.c", "n.a", "n.a", "n.x", "no name", "", "a\0b", "n.b"];
    let request = FindTasksAtIndexRequest::new().with_indexes(names);
    let all = soon(tester.index.find_tasks_at_index(&request).limit(2).all()).await.unwrap();
    let found: Vec<String> = all.into_iter().map(|task| task.namespace).collect();
    assert_eq!(found, ["n.a", "n.b", "n.c"]);
    assert!(soon(tester.index.find_tasks_at_index(&FindTasksAtIndexRequest::new())).await.unwrap().tasks.is_empty());
}

#[tokio::test]
async fn a_name_that_answers_could_not_show_is_refused() {
    let tester = Tester::new().await;
    let long = "x".repeat(256);
    let request = InsertTaskRequest::new(TaskId::new(), 0.0, serde_json::Map::new(), tester.now() + days(1));
    let refused = soon(tester.index.insert_task(&long, &request)).await.unwrap_err();
    assert_eq!(refused.status().unwrap(), 400);
    assert!(tester.find(&long).await.is_none());
    soon(tester.index.delete_task(&long)).await.unwrap();
    let token = soon(tester.index.list_tasks("").continuation_token("nonsense")).await.unwrap_err();
    assert_eq!(token.status().unwrap(), 400);
}

#[tokio::test]
async fn data_is_a_few_words() {
    let tester = Tester::new().await;
    let insert = async |length: usize| {
        let data = taskcluster::object! { "text": "x".repeat(length) };
        let request = InsertTaskRequest::new(TaskId::new(), 0.0, data, tester.now() + days(10));
        soon(tester.index.insert_task("a.b", &request)).await
    };
    let kept = insert(30_000).await.unwrap();
    let refused = insert(33_000).await.unwrap_err();
    assert!(refused.status().unwrap() == 400 && refused.to_string().contains("32768"), "{refused}");
    assert_eq!(tester.find("a.b").await.unwrap().task_id, kept.task_id);
}

/// Where a request for an artifact is sent to.
async fn location(tester: &Tester, path: &str) -> Result<Url, u16> {
    let request = http::Request::get(format!("{ROOT}/api/index/v1/task/{path}"));
    let answer = soon(tester.caller().transport().send(request.body(Vec::new().into()).unwrap())).await.unwrap();
    match answer.status().as_u16() {
        303 => Ok(answer.headers()["location"].to_str().unwrap().parse().unwrap()),
        status => Err(status),
    }
}

#[tokio::test]
async fn an_artifact_is_reached_by_a_link_that_allows_just_that() {
    let tester = Tester::new().await;
    let task_id = tester.insert("a.b", 0.0).await.task_id;
    let url = location(&tester, "a.b/artifacts/public/logs/a%20b.txt").await.unwrap();
    assert_eq!(url.path(), format!("/api/queue/v1/task/{task_id}/artifacts/public%2Flogs%2Fa%20b.txt"));
    let resource = &url[url::Position::BeforePath..];
    let presented = Presented::find(None, resource).unwrap().unwrap();
    assert_eq!(presented.id, "static/taskcluster/index");
    assert_eq!(presented.authorized_scopes.unwrap(), ["queue:get-artifact:public/logs/a b.txt"]);
    assert_eq!(location(&tester, "a.x/artifacts/public/log").await, Err(404));
    assert_eq!(location(&tester, "a.b/artifacts/private/log").await, Err(403), "everybody may get public ones only");
    let anonymous = soon(tester.anonymous().find_task("a.b")).await.unwrap_err();
    assert!(anonymous.is_forbidden());
}
