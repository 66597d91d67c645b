//! Dependencies, and listDependentTasks.

use futures_util::TryStreamExt as _;
use taskcluster::queue::{Requires, TaskState};
use taskcluster_core::ids::TaskId;
use taskcluster_core::time::{hours, minutes};

use crate::tester::{Tester, refusal, refused, soon};

#[tokio::test]
async fn dependent_becomes_pending_with_the_completion() {
    let t = Tester::new().await;
    let first = t.running().await;
    let second = t.create_with(|task| task.dependencies = Some(vec![first])).await;
    t.events().await;
    assert_eq!(t.state(&second).await, "unscheduled");
    soon(t.queue.report_completed(&first, 0)).await.unwrap();
    // There is no moment between the two.
    assert_eq!(t.state(&second).await, "pending");
    let names = t.event_names().await;
    assert!(names.contains(&"task-pending".to_owned()), "{names:?}");
}

#[tokio::test]
async fn failure_keeps_dependents_waiting_unless_any_end_will_do() {
    let t = Tester::new().await;
    let first = t.running().await;
    let success = t.create_with(|task| task.dependencies = Some(vec![first])).await;
    let any = t
        .create_with(|task| {
            task.dependencies = Some(vec![first]);
            task.requires = Some(Requires::AllResolved);
        })
        .await;
    soon(t.queue.report_failed(&first, 0)).await.unwrap();
    assert_eq!((t.state(&success).await, t.state(&any).await), ("unscheduled".to_owned(), "pending".to_owned()));
}

#[tokio::test]
async fn dependencies_that_cannot_work_are_refused() {
    let t = Tester::new().await;
    let missing = TaskId::new();
    let result = t.try_create(&TaskId::new(), |task| task.dependencies = Some(vec![missing])).await;
    let message = result.as_ref().unwrap_err().to_string();
    assert!(message.contains(&format!("{missing} does not exist")), "{message}");
    assert_eq!(refusal(result), refused(400, "InputError"));
    let short = t
        .create_with(|task| {
            task.deadline = task.created + minutes(10);
            task.expires = Some(task.created + hours(1));
        })
        .await;
    let result = t.try_create(&TaskId::new(), |task| task.dependencies = Some(vec![short])).await;
    assert_eq!(refusal(result), refused(400, "InputError"));
    let result = t.try_create(&TaskId::new(), |task| task.dependencies = Some(vec![short, short])).await;
    assert_eq!(refusal(result), refused(400, "InputValidationError"));
}

#[tokio::test]
async fn a_task_waits_for_ten_thousand_others_at_most() {
    let t = Tester::new().await;
    let others = |count: usize| (0..count).map(|_| TaskId::new()).collect::<Vec<_>>();
    // So many it may name, but they must exist: the first that do not are named.
    let result = t.try_create(&TaskId::new(), |task| task.dependencies = Some(others(10_000))).await;
    let message = result.as_ref().unwrap_err().to_string();
    assert!(message.contains(" and 9980 more do not exist") && message.len() < 2000, "{message}");
    assert_eq!(refusal(result), refused(400, "InputError"));
    let result = t.try_create(&TaskId::new(), |task| task.dependencies = Some(others(10_001))).await;
    let message = result.as_ref().unwrap_err().to_string();
    assert!(message.contains("dependencies") && message.contains("10000"), "{message}");
    assert_eq!(refusal(result), refused(400, "InputValidationError"));
}

#[tokio::test]
async fn dependents_are_listed_in_pages() {
    let t = Tester::new().await;
    let first = t.create().await;
    for _ in 0..3 {
        t.create_with(|task| task.dependencies = Some(vec![first])).await;
    }
    let all = soon(t.queue.list_dependent_tasks(&first).limit(2).stream().try_collect::<Vec<_>>()).await.unwrap();
    assert_eq!(all.len(), 3);
    assert!(all.iter().all(|each| each.status.state == TaskState::Unscheduled && each.task.dependencies == [first]));
    assert_eq!(refusal(soon(t.queue.list_dependent_tasks(&TaskId::new())).await).0, 404);
}
