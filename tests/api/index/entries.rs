//! Names, ranks, lists.

use harness::{Backend, Deployment, Options, Tester, soon};
use taskcluster::auth::CreateRoleRequest;
use taskcluster::index::{FindTasksAtIndexRequest, IndexedTask, InsertTaskRequest};
use taskcluster::time::{days, hours, minutes};
use taskcluster::{Error, ManualClock, TaskId, Timestamp, object};

async fn insert(tester: &Tester, path: &str, rank: f64) -> Result<IndexedTask, Error> {
    let request = InsertTaskRequest::new(TaskId::new(), rank, object! { "for": path }, tester.now() + days(1));
    soon(tester.index().insert_task(path, &request).into_future()).await
}

#[tokio::test]
async fn the_task_of_the_highest_rank_is_found() {
    for backend in Backend::available() {
        let deployment = Deployment::start(Options::on(backend)).await.unwrap();
        let root = deployment.root();
        let first = insert(&root, "a.b.c", 1.5).await.unwrap();
        assert_eq!((first.namespace.as_str(), first.rank, first.data["for"].as_str()), ("a.b.c", 1.5, Some("a.b.c")));
        let lower = insert(&root, "a.b.c", 1.0).await.unwrap();
        assert_eq!(lower, first);
        let equal = insert(&root, "a.b.c", 1.5).await.unwrap();
        assert_ne!(equal.task_id, first.task_id);
        assert_eq!(soon(root.index().find_task("a.b.c").into_future()).await.unwrap(), equal);
        let missing = soon(root.index().find_task("a.b").into_future()).await.unwrap_err();
        assert!(missing.is_not_found(), "{missing}");
        for _ in 0..2 {
            soon(root.index().delete_task("a.b.c").into_future()).await.unwrap();
            assert!(soon(root.index().find_task("a.b.c").into_future()).await.unwrap_err().is_not_found());
        }
        deployment.stop().await;
    }
}

#[tokio::test]
async fn what_is_there_is_listed_page_by_page() {
    for backend in Backend::available() {
        let deployment = Deployment::start(Options::on(backend)).await.unwrap();
        let root = deployment.root();
        for path in ["top", "n.b", "n.A", "n.a", "n.a.deep.er", "m.x"] {
            insert(&root, path, 0.0).await.unwrap();
        }
        let index = root.index();
        for limit in [1, 2, 1000] {
            let tasks = async |namespace: &str| {
                let all = soon(index.list_tasks(namespace).limit(limit).all()).await.unwrap();
                all.into_iter().map(|task| task.namespace).collect::<Vec<_>>()
            };
            assert_eq!(tasks("n").await, ["n.A", "n.a", "n.b"]);
            assert_eq!(tasks("").await, ["top"]);
            assert!(tasks("nothing.here").await.is_empty());
            let spaces = async |namespace: &str| {
                let all = soon(index.list_namespaces(namespace).limit(limit).all()).await.unwrap();
                all.into_iter().map(|space| (space.namespace, space.name)).collect::<Vec<_>>()
            };
            let pair = |namespace: &str, name: &str| (namespace.to_owned(), name.to_owned());
            assert_eq!(spaces("").await, [pair("m", "m"), pair("n", "n")]);
            assert_eq!(spaces("n.a").await, [pair("n.a.deep", "deep")]);
            let wanted = FindTasksAtIndexRequest::new().with_indexes(["top", "n.b", "n.x", "n.A"]);
            let found = soon(index.find_tasks_at_index(&wanted).limit(limit).all()).await.unwrap();
            let mut found: Vec<String> = found.into_iter().map(|task| task.namespace).collect();
            found.sort();
            assert_eq!(found, ["n.A", "n.b", "top"]);
        }
        deployment.stop().await;
    }
}

#[tokio::test]
async fn each_name_takes_its_scope() {
    for backend in Backend::available() {
        let deployment = Deployment::start(Options::on(backend)).await.unwrap();
        let root = deployment.root();
        insert(&root, "a.b", 0.0).await.unwrap();
        insert(&root, "x.y", 0.0).await.unwrap();
        let anonymous = deployment.anonymous();
        assert!(soon(anonymous.index().find_task("a.b").into_future()).await.unwrap_err().is_forbidden());
        let role = CreateRoleRequest::new("Everybody.", ["index:find-task:a.*", "index:list-tasks:"]);
        soon(root.auth().create_role("anonymous", &role).into_future()).await.unwrap();
        assert!(soon(anonymous.index().find_task("a.b").into_future()).await.is_ok());
        assert!(soon(anonymous.index().find_task("x.y").into_future()).await.unwrap_err().is_forbidden());
        assert!(soon(anonymous.index().list_tasks("").into_future()).await.is_ok());
        assert!(soon(anonymous.index().list_tasks("a").into_future()).await.unwrap_err().is_forbidden());
        assert!(soon(anonymous.index().list_namespaces("").into_future()).await.unwrap_err().is_forbidden());
        assert!(insert(&anonymous, "a.b", 0.0).await.unwrap_err().is_forbidden());
        assert!(soon(anonymous.index().delete_task("a.b").into_future()).await.unwrap_err().is_forbidden());
        for (names, allowed) in [(vec!["a.b", "a.x"], true), (vec!["a.b", "x.y"], false)] {
            let wanted = FindTasksAtIndexRequest::new().with_indexes(names);
            let found = soon(anonymous.index().find_tasks_at_index(&wanted).into_future()).await;
            assert_eq!(found.is_ok(), allowed, "{found:?}");
        }
        deployment.stop().await;
    }
}

#[tokio::test]
async fn entries_end_when_they_expire() {
    for backend in Backend::available() {
        let clock = ManualClock::at(Timestamp::now());
        let deployment = Deployment::start(Options::on(backend).with_clock(clock.clone())).await.unwrap();
        let root = deployment.root();
        insert(&root, "a.b", 9.0).await.unwrap();
        clock.advance(hours(24) - minutes(1));
        assert!(soon(root.index().find_task("a.b").into_future()).await.is_ok());
        clock.advance(minutes(1));
        assert!(soon(root.index().find_task("a.b").into_future()).await.unwrap_err().is_not_found());
        assert!(soon(root.index().list_tasks("a").into_future()).await.unwrap().tasks.is_empty());
        // Its rank is forgotten with it.
        assert_eq!(insert(&root, "a.b", 0.0).await.unwrap().rank, 0.0);
        deployment.stop().await;
    }
}

#[tokio::test]
async fn it_says_that_it_is_there() {
    let deployment = Deployment::start(Options::on(Backend::Sqlite)).await.unwrap();
    let index = deployment.anonymous().index();
    for call in [index.ping(), index.lbheartbeat(), index.heartbeat(), index.version()] {
        soon(call.into_future()).await.unwrap();
    }
    deployment.stop().await;
}
