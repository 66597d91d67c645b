//! What is listed: members, runs that wait, workers, queues.

use super::fixture::*;
use super::prelude::*;

pub(super) async fn members_and_dependents_come_in_pages(f: &Fixture) {
    let group = f.create(json!({})).await;
    let mut expected = BTreeSet::new();
    for _ in 0..7 {
        expected.insert(f.create(json!({"taskGroupId": group, "dependencies": [group]})).await.to_string());
    }
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = f.store.dependents(group, &after, 3).await.unwrap();
        let Some((last, _)) = page.rows.last() else { break };
        after = last.task_id.to_string();
        seen.extend(page.rows.iter().map(|(task, _)| task.task_id.to_string()));
    }
    assert_eq!(seen, expected.iter().cloned().collect::<Vec<_>>());
    expected.insert(group.to_string());
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = f.store.members(group, &after, 3).await.unwrap();
        let Some((last, _)) = page.rows.last() else { break };
        after = last.task_id.to_string();
        seen.extend(page.rows.iter().map(|(task, _)| task.task_id.to_string()));
    }
    assert_eq!(seen, expected.into_iter().collect::<Vec<_>>());
    let wanted = [group.to_string(), TaskId::new().to_string()];
    assert_eq!(f.store.tasks(&wanted).await.unwrap().rows.len(), 1);
}

pub(super) async fn pending_and_claimed_come_in_pages(f: &Fixture) {
    let mut created = Vec::new();
    for _ in 0..5 {
        created.push(f.create(json!({})).await);
    }
    let first = f.store.pending("proj/ci", 0, 3, f.now()).await.unwrap().rows;
    let second = f.store.pending("proj/ci", first[2].position, 3, f.now()).await.unwrap().rows;
    let listed: Vec<TaskId> = first.iter().chain(&second).map(|run| run.task_id).collect();
    assert_eq!(listed, created);
    assert_eq!(f.store.pending("other/queue", 0, 3, f.now()).await.unwrap(), Part { rows: Vec::new(), more: false });
    let queues = ["proj/ci".to_owned(), "other/queue".to_owned()];
    assert_eq!(f.store.with_work(&queues, f.now()).await.unwrap(), ["proj/ci"]);
    for number in 0..5 {
        f.clock.advance(minutes(1));
        assert_eq!(f.claim_as(&format!("w{number}"), 1).await.len(), 1);
    }
    let first =
        f.store.claimed("proj/ci", &Place { claimed: 0, task_id: String::new() }, 3, f.now()).await.unwrap().rows;
    let place = Place { claimed: first[2].claimed.as_millis(), task_id: first[2].task_id.to_string() };
    let second = f.store.claimed("proj/ci", &place, 3, f.now()).await.unwrap().rows;
    let listed: Vec<TaskId> = first.iter().chain(&second).map(|run| run.task_id).collect();
    assert_eq!(listed, created);
    assert_eq!(first[0].worker, worker_named("w0"));
    assert_eq!(f.store.with_work(&queues, f.now()).await.unwrap(), Vec::<String>::new());
}

pub(super) async fn big_definitions_make_short_pages(f: &Fixture) {
    let group = f.create(json!({"taskQueueId": "other/queue"})).await;
    let end = f.now() + minutes(20);
    assert_eq!(f.store.claim("other/queue", &worker_named("one"), 1, end, f.now()).await.unwrap().len(), 1);
    f.apply(group, complete()).await;
    let mut created = Vec::new();
    // Two of the small ones fit together, and the big one only alone.
    for megabytes in [3, 3, 9, 3, 3] {
        let payload = json!({"much": "x".repeat(megabytes << 20)});
        created.push(f.create(json!({"taskGroupId": group, "dependencies": [group], "payload": payload})).await);
    }
    let sizes = |part: &Part<(Task, String)>| part.rows.iter().map(|(_, text)| text.len()).sum::<usize>();
    let fits = |part: &Part<(Task, String)>| part.rows.len() == 1 || sizes(part) <= 8 << 20;
    let by_id: Vec<String> = created.iter().map(TaskId::to_string).collect::<BTreeSet<_>>().into_iter().collect();
    let (mut members, mut dependents, mut wanted) = (Vec::new(), Vec::new(), Vec::new());
    let last = |seen: &[String]| seen.last().cloned().unwrap_or_default();
    let names =
        |part: &Part<(Task, String)>| part.rows.iter().map(|(task, _)| task.task_id.to_string()).collect::<Vec<_>>();
    loop {
        let part = f.store.members(group, &last(&members), 100).await.unwrap();
        assert!(fits(&part));
        members.extend(names(&part));
        if !part.more {
            break;
        }
    }
    loop {
        let part = f.store.dependents(group, &last(&dependents), 100).await.unwrap();
        assert!(fits(&part));
        dependents.extend(names(&part));
        if !part.more {
            break;
        }
    }
    loop {
        let rest: Vec<String> = by_id.iter().filter(|id| **id > last(&wanted)).cloned().collect();
        let part = f.store.tasks(&rest).await.unwrap();
        assert!(fits(&part));
        wanted.extend(names(&part));
        if !part.more {
            break;
        }
    }
    members.retain(|id| *id != group.to_string());
    assert_eq!((&members, &dependents, &wanted), (&by_id, &by_id, &by_id));
    let (mut after, mut pages) = (0, Vec::new());
    loop {
        let part = f.store.pending("proj/ci", after, 100, f.now()).await.unwrap();
        after = part.rows.last().unwrap().position;
        pages.push(part.rows.iter().map(|run| run.task_id).collect::<Vec<_>>());
        if !part.more {
            break;
        }
    }
    assert_eq!(pages, [&created[..2], &created[2..3], &created[3..]]);
    for _ in 0..5 {
        f.clock.advance(minutes(1));
        assert_eq!(f.claim(1).await.len(), 1);
    }
    let (mut place, mut pages) = (Place { claimed: 0, task_id: String::new() }, Vec::new());
    loop {
        let part = f.store.claimed("proj/ci", &place, 100, f.now()).await.unwrap();
        let last = part.rows.last().unwrap();
        place = Place { claimed: last.claimed.as_millis(), task_id: last.task_id.to_string() };
        pages.push(part.rows.iter().map(|run| run.task_id).collect::<Vec<_>>());
        if !part.more {
            break;
        }
    }
    assert_eq!(pages, [&created[..2], &created[2..3], &created[3..]]);
    let statuses = f.store.statuses(&by_id).await.unwrap();
    assert_eq!(statuses.iter().map(|task| task.task_id.to_string()).collect::<Vec<_>>(), by_id);
}

/// Tasks of so many megabytes.
async fn create_big(f: &Fixture, megabytes: &[usize]) -> Vec<TaskId> {
    let mut created = Vec::new();
    for megabytes in megabytes {
        created.push(f.create(json!({"payload": {"much": "x".repeat(megabytes << 20)}})).await);
    }
    created
}

pub(super) async fn big_definitions_make_short_claims(f: &Fixture) {
    // Two of the small ones fit together, and the big one only alone.
    let created = create_big(f, &[3, 3, 9, 3, 3]).await;
    let urgent = f.create(json!({"priority": "high"})).await;
    assert_eq!(ids(&f.claim(32).await), [urgent, created[0], created[1]]);
    assert_eq!(ids(&f.claim(32).await), created[2..3]);
    assert_eq!(f.state(created[3]).await, State::Pending);
    assert_eq!(ids(&f.claim(1).await), created[3..4]);
    assert_eq!(ids(&f.claim(32).await), created[4..]);
    assert_eq!(ids(&f.claim(32).await), []);
    assert_eq!(f.store.counts("proj/ci", f.now()).await.unwrap(), Counts { pending: 0, claimed: 6 });

    // Many at once: whoever gets nothing may come once more, and nothing is given twice.
    let mut left: BTreeSet<TaskId> = create_big(f, &[5; 4]).await.into_iter().collect();
    while !left.is_empty() {
        let names: Vec<String> = (0..6).map(|n| format!("w{n}")).collect();
        let claims = futures_util::future::join_all(names.iter().map(|name| f.claim_as(name, 32))).await;
        assert!(claims.iter().all(|claimed| claimed.len() <= 1));
        let got = ids(&claims.concat());
        assert!(!got.is_empty() && got.iter().all(|id| left.remove(id)), "{got:?}");
    }
}

pub(super) async fn what_a_claim_leaves_wakes_others(f: &Fixture) {
    let created = create_big(f, &[5, 5]).await;
    let bell = f.store.waiters().bell("proj/ci");
    let mut rung = std::pin::pin!(bell.notified());
    rung.as_mut().enable();
    assert_eq!(ids(&f.claim(32).await), created[..1]);
    tokio::time::timeout(minutes(2), rung).await.expect("somebody is woken");
    assert_eq!(ids(&f.claim(32).await), created[1..]);
}

pub(super) async fn workers_are_remembered(f: &Fixture) {
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

pub(super) async fn quarantined_workers_are_listed(f: &Fixture) {
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

pub(super) async fn provisioners_are_seen_through_their_queues(f: &Fixture) {
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
