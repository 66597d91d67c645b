//! The scheduler over the network, with the real queue behind it.

use std::collections::BTreeMap;

use futures_util::TryStreamExt as _;
use harness::{Backend, Claimed, Deployment, Options, Tester, soon, task, until};
use taskcluster::events::{Binding, Bus as _, Subscription};
use taskcluster::scheduler::{
    CreateTaskGraphRequest, ExtendTaskGraphRequest, TaskGraphNode, TaskGraphStatus, TaskGraphTask,
};
use taskcluster::time::{hours, minutes};
use taskcluster::{Error, ManualClock, TaskId, Timestamp};

/// What the tasks of these tests need.
const SCOPES: [&str; 3] =
    ["queue:scheduler-id:task-graph-scheduler", "queue:create-task:project:none", "queue:create-task:lowest:test/e2e"];

/// A graph whose tasks have names.
struct Graph {
    id: TaskId,
    nodes: Vec<TaskGraphNode>,
    scopes: Vec<String>,
}

impl Graph {
    fn new() -> Self {
        Self { id: TaskId::new(), nodes: Vec::new(), scopes: SCOPES.map(str::to_owned).to_vec() }
    }

    /// Build, two tests, and a report.
    fn of_four(now: Timestamp) -> Self {
        let mut graph = Self::new();
        graph.add(now, "build", &[]);
        graph.add(now, "one", &["build"]);
        graph.add(now, "two", &["build"]).reruns = Some(1);
        graph.add(now, "report", &["one", "two"]);
        graph
    }

    fn task(&self, name: &str) -> TaskId {
        TaskId::derive(&self.id, name)
    }

    fn node(&self, now: Timestamp, name: &str, requires: &[&str]) -> TaskGraphNode {
        let mut definition = task(now);
        name.clone_into(&mut definition.metadata.name);
        TaskGraphNode::new(self.task(name), definition).with_requires(requires.iter().map(|name| self.task(name)))
    }

    fn add(&mut self, now: Timestamp, name: &str, requires: &[&str]) -> &mut TaskGraphNode {
        self.nodes.push(self.node(now, name, requires));
        self.nodes.last_mut().unwrap()
    }

    fn request(&self) -> CreateTaskGraphRequest {
        let metadata = self.nodes[0].task.metadata.clone();
        CreateTaskGraphRequest::new(self.nodes.clone(), metadata).with_scopes(self.scopes.clone())
    }

    async fn submit(&self, by: &Tester) -> Result<TaskGraphStatus, Error> {
        let request = self.request();
        let answer = soon(by.scheduler().create_task_graph(&self.id.to_string(), &request).into_future()).await;
        Ok(answer?.status)
    }

    async fn extend(&self, by: &Tester, nodes: Vec<TaskGraphNode>) -> Result<TaskGraphStatus, Error> {
        let request = ExtendTaskGraphRequest::new(nodes);
        let answer = soon(by.scheduler().extend_task_graph(&self.id.to_string(), &request).into_future()).await;
        Ok(answer?.status)
    }

    async fn state(&self, by: &Tester) -> String {
        let answer = soon(by.scheduler().status(&self.id.to_string()).into_future()).await.unwrap();
        answer.status.state.to_string()
    }

    async fn becomes(&self, by: &Tester, state: &str) {
        until(|| async { (self.state(by).await == state).then_some(()) }).await;
    }

    async fn inspect(&self, by: &Tester, name: &str) -> TaskGraphTask {
        soon(by.scheduler().inspect_task(&self.id.to_string(), &self.task(name)).into_future()).await.unwrap()
    }

    /// Claims the next task, which must be this one.
    async fn claim(&self, by: &Tester, name: &str) -> Claimed {
        let claim = until(|| async { by.claim_up_to(1).await.pop() }).await;
        assert_eq!(claim.task_id, self.task(name), "it is the turn of {name}");
        claim
    }

    async fn complete(&self, by: &Tester, name: &str) {
        self.claim(by, name).await.completed().await.unwrap();
    }
}

/// What is told of graphs: the last word of each exchange and the state.
async fn told(heard: &mut Subscription) -> (String, String) {
    let message = soon(heard.next()).await.unwrap().unwrap();
    let body: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
    let name = message.exchange.rsplit('-').next().unwrap().to_owned();
    (name, body["status"]["state"].as_str().unwrap().to_owned())
}

async fn listen(deployment: &Deployment) -> Subscription {
    let exchange = |name: &str| Binding::everything(format!("exchange/taskcluster-scheduler/v1/task-graph-{name}"));
    deployment.bus().subscribe(["running", "extended", "blocked", "finished"].map(exchange).to_vec()).await.unwrap()
}

/// Faults of a refused request: the tasks, and what is said of each.
fn faults(error: &Error) -> Vec<(TaskId, String)> {
    let api = error.api().expect("the service refuses it");
    assert_eq!((api.status.as_u16(), api.code.to_string().as_str()), (400, "InputError"), "{error}");
    let body: serde_json::Value = serde_json::from_slice(&api.body).unwrap();
    let list = body["error"].as_array().expect("a list of faults");
    list.iter()
        .map(|fault| {
            (fault["taskId"].as_str().unwrap().parse().unwrap(), fault["message"].as_str().unwrap().to_owned())
        })
        .collect()
}

#[tokio::test]
async fn a_failure_is_run_again_until_the_graph_is_green() {
    for backend in Backend::available() {
        let deployment = Deployment::start(Options::on(backend)).await.unwrap();
        let root = deployment.root();
        let mut heard = listen(&deployment).await;
        let graph = Graph::of_four(root.now());
        assert_eq!(graph.submit(&root).await.unwrap().state.as_str(), "running");
        graph.complete(&root, "build").await;
        let claims = until(|| async {
            let claims = root.claim_up_to(2).await;
            (!claims.is_empty()).then_some(claims)
        })
        .await;
        let mut claims = claims;
        while claims.len() < 2 {
            claims.extend(root.claim_up_to(2).await);
        }
        claims.sort_by_key(|claim| claim.task_id != graph.task("one"));
        claims[0].completed().await.unwrap();
        claims[1].failed().await.unwrap();
        // By itself.
        let again = graph.claim(&root, "two").await;
        assert_eq!(again.run_id.to_string(), "1");
        assert_eq!(graph.inspect(&root, "two").await.reruns_left, 0);
        again.failed().await.unwrap();
        graph.becomes(&root, "blocked").await;
        assert_eq!(graph.inspect(&root, "two").await.state.as_str(), "failed");
        // By hand.
        let answer = soon(root.scheduler().rerun_task_graph(&graph.id.to_string()).into_future()).await.unwrap();
        assert_eq!((answer.status.state.as_str(), answer.task_ids), ("running", vec![graph.task("two")]));
        graph.complete(&root, "two").await;
        graph.complete(&root, "report").await;
        graph.becomes(&root, "finished").await;
        let expected =
            [("running", "running"), ("blocked", "blocked"), ("running", "running"), ("finished", "finished")];
        for (exchange, state) in expected {
            assert_eq!(told(&mut heard).await, (exchange.to_owned(), state.to_owned()));
        }
        deployment.stop().await;
    }
}

#[tokio::test]
async fn everything_that_is_wrong_is_told_at_once_by_task() {
    for backend in Backend::available() {
        let deployment = Deployment::start(Options::on(backend)).await.unwrap();
        let root = deployment.root();
        let now = root.now();
        let mut graph = Graph::new();
        graph.add(now, "fine", &[]);
        graph.add(now, "one", &["two"]);
        graph.add(now, "two", &["three"]);
        graph.add(now, "three", &["one"]);
        graph.add(now, "dangling", &["nowhere"]);
        graph.add(now, "twice", &["fine", "fine"]);
        graph.add(now, "greedy", &[]).task.scopes = Some(vec!["secrets:get:everything".to_owned()]);
        graph.add(now, "routed", &[]).task.routes = Some(vec!["index.mine".to_owned()]);
        graph.add(now, "late", &[]).task.deadline = now + hours(24 * 30);
        graph.add(now, "elsewhere", &[]).task.task_group_id = Some(TaskId::new());
        graph.add(now, "foreign", &[]).task.scheduler_id = Some("another".to_owned());
        graph.add(now, "needy", &[]).task.dependencies = Some(vec![graph.id]);
        let error = graph.submit(&root).await.unwrap_err();
        let faults: BTreeMap<TaskId, String> = faults(&error).into_iter().collect();
        let says = |name: &str, text: &str| {
            let said = faults.get(&graph.task(name)).unwrap_or_else(|| panic!("nothing about {name}: {faults:#?}"));
            assert!(said.contains(text), "{name}: {said}");
        };
        for required in ["one", "two", "three"] {
            let circle = faults.values().find(|said| said.contains("circle")).unwrap();
            assert!(circle.contains(&graph.task(required).to_string()), "{circle}");
        }
        says("dangling", "which does not exist");
        says("twice", "twice");
        says("greedy", "the scopes of the graph do not cover \"secrets:get:everything\"");
        says("routed", "queue:route:index.mine");
        says("late", "deadline");
        says("elsewhere", "task group");
        says("foreign", "scheduler");
        says("needy", "say them by `requires`");
        assert!(!faults.contains_key(&graph.task("fine")), "{faults:#?}");
        assert!(error.to_string().contains(&graph.task("dangling").to_string()), "{error}");

        let unknown = soon(root.scheduler().status(&graph.id.to_string()).into_future()).await.unwrap_err();
        assert!(unknown.is_not_found());
        assert!(root.try_claim(5).await.unwrap().is_empty());
        assert!(soon(root.queue().status(&graph.task("fine")).into_future()).await.unwrap_err().is_not_found());
        deployment.stop().await;
    }
}

#[tokio::test]
async fn nothing_runs_unless_the_queue_takes_all() {
    for backend in Backend::available() {
        let deployment = Deployment::start(Options::on(backend)).await.unwrap();
        let root = deployment.root();
        let graph = Graph::of_four(root.now());
        // Somebody has a task of this id.
        let other = task(root.now());
        soon(root.queue().create_task(&graph.task("two"), &other).into_future()).await.unwrap();
        let taken = root.claim().await;
        let mut heard = deployment.listen("exchange/taskcluster-queue/v1/task-pending").await;

        let error = graph.submit(&root).await.unwrap_err();
        let faults = faults(&error);
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].0 == graph.task("two") && faults[0].1.contains("the queue refuses it"), "{faults:?}");
        for name in ["build", "one"] {
            let status = root.status(&graph.task(name)).await;
            assert_eq!((status.state.as_str(), status.runs.len()), ("exception", 1), "{name} was cancelled");
        }
        assert!(soon(root.queue().status(&graph.task("report")).into_future()).await.unwrap_err().is_not_found());
        assert_eq!(root.state(&graph.task("two")).await, "running", "which is none of ours");
        // With the same identifiers it cannot be tried again.
        let again = self::faults(&graph.submit(&root).await.unwrap_err());
        let ended = again.iter().filter(|(_, said)| said.contains("use a fresh identifier"));
        assert_eq!(ended.map(|(task, _)| *task).collect::<Vec<_>>(), [graph.task("build")], "{again:?}");
        taken.completed().await.unwrap();
        let marker = root.create_task().await;
        let message = soon(heard.next()).await.unwrap().unwrap();
        assert!(message.routing_key.contains(&marker.to_string()), "nothing of the graph was pending before");
        deployment.stop().await;
    }
}

#[tokio::test]
async fn a_graph_can_do_no_more_than_its_submitter_and_its_tasks_no_more_than_the_graph() {
    for backend in Backend::available() {
        let deployment = Deployment::start(Options::on(backend)).await.unwrap();
        let root = deployment.root();
        let with = |scopes: &[&str]| {
            let credentials = root.queue().caller().credentials().unwrap();
            deployment
                .with(credentials.temporary(scopes, root.now() - minutes(5), root.now() + hours(1), None).unwrap())
        };
        let graph = Graph::of_four(root.now());
        let mut all: Vec<&str> = SCOPES.to_vec();
        all.push("scheduler:create-task-graph");
        for without in 0..all.len() {
            let mut some = all.clone();
            some.remove(without);
            let error = graph.submit(&with(&some)).await.unwrap_err();
            assert!(error.is_forbidden(), "{error}");
        }
        let mut routed = graph.request();
        routed.routes = Some(vec!["a.b".to_owned()]);
        let id = graph.id.to_string();
        let refused = soon(with(&all).scheduler().create_task_graph(&id, &routed).into_future()).await;
        assert!(refused.unwrap_err().is_forbidden());

        // Who submits it may do more than the graph, and its tasks may not.
        let mut narrow = Graph::new();
        narrow.add(root.now(), "build", &[]).task.scopes = Some(vec!["one:scope".to_owned()]);
        assert!(faults(&narrow.submit(&root).await.unwrap_err())[0].1.contains("one:scope"));
        narrow.scopes.push("one:*".to_owned());
        narrow.submit(&root).await.unwrap();
        let claim = narrow.claim(&root, "build").await;
        assert_eq!(soon(root.queue().task(&claim.task_id).into_future()).await.unwrap().scopes, ["one:scope"]);
        // A task needs a scope to extend its graph, and then it cannot leave the graph's.
        let more = narrow.node(root.now(), "more", &[]);
        assert!(narrow.extend(claim.worker(), vec![more]).await.unwrap_err().is_forbidden());
        let mut greedy = narrow.node(root.now(), "greedy", &["build"]);
        greedy.task.scopes = Some(vec!["two:scope".to_owned()]);
        assert!(faults(&narrow.extend(&root, vec![greedy]).await.unwrap_err())[0].1.contains("two:scope"));
        for (name, call) in [("cancel", 0), ("rerun", 1)] {
            let id = narrow.id.to_string();
            let scheduler = with(&all).scheduler();
            let refused = match call {
                0 => soon(scheduler.cancel_task_graph(&id).into_future()).await.map(|_| ()),
                _ => soon(scheduler.rerun_task_graph(&id).into_future()).await.map(|_| ()),
            };
            assert!(refused.unwrap_err().is_forbidden(), "{name}");
        }
        deployment.stop().await;
    }
}

#[tokio::test]
async fn a_graph_may_be_submitted_again_and_extended_from_within() {
    for backend in Backend::available() {
        let deployment = Deployment::start(Options::on(backend)).await.unwrap();
        let root = deployment.root();
        let mut graph = Graph::new();
        let extend = format!("scheduler:extend-task-graph:{}", graph.id);
        graph.add(root.now(), "decide", &[]).task.scopes = Some(vec![extend.clone()]);
        graph.scopes.push(extend);
        graph.submit(&root).await.unwrap();
        let decide = graph.claim(&root, "decide").await;
        // The whole of it depends on what is done by who creates it.
        let nodes = vec![
            graph.node(root.now(), "begin", &[]),
            graph.node(root.now(), "after", &["decide"]),
            graph.node(root.now(), "last", &["begin", "after"]),
        ];
        let mut heard = listen(&deployment).await;
        graph.extend(decide.worker(), nodes.clone()).await.unwrap();
        assert_eq!(told(&mut heard).await.0, "extended");
        graph.complete(&root, "begin").await;
        assert!(root.try_claim(1).await.unwrap().is_empty(), "after waits for the decision");
        decide.completed().await.unwrap();
        graph.complete(&root, "after").await;
        // An answer may have been lost.
        graph.submit(&root).await.unwrap();
        assert_eq!(told(&mut heard).await.0, "running");
        graph.extend(&root, nodes.clone()).await.unwrap();
        let mut other = nodes[1].clone();
        other.task.payload.insert("another".to_owned(), true.into());
        let conflict = graph.extend(&root, vec![other]).await.unwrap_err();
        assert!(
            conflict.is_conflict() && conflict.to_string().contains(&graph.task("after").to_string()),
            "{conflict}"
        );
        let mut other = Graph { id: graph.id, nodes: graph.nodes.clone(), scopes: graph.scopes.clone() };
        other.nodes[0].reruns = Some(3);
        assert!(other.submit(&root).await.unwrap_err().is_conflict());
        graph.complete(&root, "last").await;
        graph.becomes(&root, "finished").await;
        assert_eq!(told(&mut heard).await.0, "finished");

        let more = vec![graph.node(root.now(), "more", &["last"])];
        assert_eq!(graph.extend(&root, more).await.unwrap().state.as_str(), "running");
        graph.complete(&root, "more").await;
        graph.becomes(&root, "finished").await;
        let unknown = Graph::of_four(root.now());
        assert!(unknown.extend(&root, Vec::new()).await.unwrap_err().is_not_found());
        deployment.stop().await;
    }
}

#[tokio::test]
async fn a_cancelled_graph_ends_and_can_be_brought_back() {
    for backend in Backend::available() {
        let deployment = Deployment::start(Options::on(backend)).await.unwrap();
        let root = deployment.root();
        let graph = Graph::of_four(root.now());
        let id = graph.id.to_string();
        graph.submit(&root).await.unwrap();
        let claim = graph.claim(&root, "build").await;
        soon(root.scheduler().cancel_task_graph(&id).into_future()).await.unwrap();
        for name in ["build", "one", "two", "report"] {
            until(|| async { (root.state(&graph.task(name)).await == "exception").then_some(()) }).await;
        }
        graph.becomes(&root, "blocked").await;
        assert!(claim.completed().await.unwrap_err().is_conflict());
        let more = vec![graph.node(root.now(), "more", &[])];
        assert!(graph.extend(&root, more).await.unwrap_err().is_conflict());

        let again = soon(root.scheduler().rerun_task_graph(&id).into_future()).await.unwrap();
        assert_eq!(again.task_ids.len(), 4);
        graph.complete(&root, "build").await;
        let mut both = Vec::new();
        while both.len() < 2 {
            both.extend(until(|| async { root.claim_up_to(1).await.pop() }).await.completed().await);
        }
        graph.complete(&root, "report").await;
        graph.becomes(&root, "finished").await;
        // One that has succeeded.
        let again = soon(root.scheduler().rerun_task(&id, &graph.task("report")).into_future()).await.unwrap();
        assert_eq!((again.status.state.as_str(), again.task_ids), ("running", vec![graph.task("report")]));
        graph.complete(&root, "report").await;
        graph.becomes(&root, "finished").await;
        deployment.stop().await;
    }
}

#[tokio::test]
async fn what_happens_at_the_queue_alone_is_noticed() {
    for backend in Backend::available() {
        let clock = ManualClock::at(Timestamp::now());
        let deployment = Deployment::start(Options::on(backend).with_clock(clock.clone())).await.unwrap();
        let root = deployment.root();
        let graph = Graph::of_four(root.now());
        graph.submit(&root).await.unwrap();
        let build = graph.claim(&root, "build").await;
        soon(root.queue().cancel_task(&build.task_id).into_future()).await.unwrap();
        graph.becomes(&root, "blocked").await;
        soon(root.queue().rerun_task(&build.task_id).into_future()).await.unwrap();
        graph.becomes(&root, "running").await;
        // Nobody works: at the deadline everything ends.
        clock.advance(hours(1) + minutes(2));
        graph.becomes(&root, "blocked").await;
        until(|| async { (graph.inspect(&root, "report").await.state.as_str() == "exception").then_some(()) }).await;
        // And cannot be brought back.
        let again = soon(root.scheduler().rerun_task_graph(&graph.id.to_string()).into_future()).await.unwrap();
        assert_eq!(again.task_ids.len(), 4);
        graph.becomes(&root, "blocked").await;
        deployment.stop().await;
    }
}

#[tokio::test]
async fn graphs_can_be_looked_at() {
    for backend in Backend::available() {
        let deployment = Deployment::start(Options::on(backend)).await.unwrap();
        let root = deployment.root();
        let graph = Graph::of_four(root.now());
        let id = graph.id.to_string();
        let tags = BTreeMap::from([("kind".to_owned(), "nightly".to_owned())]);
        let request = graph.request().with_routes(["a.b"]).with_tags(tags.clone());
        soon(root.scheduler().create_task_graph(&id, &request).into_future()).await.unwrap();
        Graph::of_four(root.now()).submit(&root).await.unwrap();

        let anonymous = deployment.anonymous();
        let info = soon(anonymous.scheduler().info(&id).into_future()).await.unwrap();
        assert_eq!((info.metadata, info.tags), (request.metadata.clone(), tags));
        let mut tasks = Vec::new();
        let mut token = None;
        loop {
            let page = anonymous.scheduler().inspect(&id).limit(3);
            let page = match &token {
                Some(token) => page.continuation_token(token),
                None => page,
            };
            let page = soon(page.into_future()).await.unwrap();
            tasks.extend(page.tasks);
            token = page.continuation_token;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(tasks.len(), 4);
        let report = tasks.iter().find(|task| task.name == "report").unwrap();
        assert_eq!((report.requires.len(), report.requires_left.len(), report.satisfied), (2, 2, false));
        let alone = graph.inspect(&anonymous, "report").await;
        assert_eq!(&alone, report);

        assert!(soon(anonymous.scheduler().list_task_graphs().into_future()).await.unwrap_err().is_forbidden());
        let list = || root.scheduler().list_task_graphs();
        let count = async |list: taskcluster::scheduler::ListTaskGraphsRequest| {
            let graphs: Vec<_> = soon(list.limit(1).stream().try_collect()).await.unwrap();
            graphs.len()
        };
        assert_eq!(count(list()).await, 2);
        assert_eq!(count(list().route("a.b").tag("kind=nightly").state("running")).await, 1);
        assert_eq!(count(list().state("finished")).await, 0);
        assert!(soon(list().state("odd").into_future()).await.is_err());

        let drawn = soon(anonymous.scheduler().mermaid(&id).into_future()).await.unwrap();
        let drawn = String::from_utf8(drawn.0.to_vec()).unwrap();
        assert!(drawn.starts_with("flowchart LR\n") && drawn.matches(" --> ").count() == 4, "{drawn}");
        let drawn = soon(anonymous.scheduler().graphviz(&id).into_future()).await.unwrap();
        let drawn = String::from_utf8(drawn.0.to_vec()).unwrap();
        assert!(drawn.starts_with("digraph ") && drawn.matches(" -> ").count() == 4, "{drawn}");
        let nothing = soon(anonymous.scheduler().info(&TaskId::new().to_string()).into_future()).await;
        assert!(nothing.unwrap_err().is_not_found());
        deployment.stop().await;
    }
}
