//! What a test that stands on the fake may count on.

use taskcluster::events::listen;
use taskcluster::queue::events::TaskException;
use taskcluster::queue::{ClaimWorkRequest, TaskDefinitionRequest, TaskMetadata};
use taskcluster::time::{days, hours, minutes};
use taskcluster::{ManualClock, TaskId, TaskQueueId, Taskcluster, Timestamp, object};
use taskcluster_fake::Fake;

fn task(now: Timestamp) -> TaskDefinitionRequest {
    let metadata = TaskMetadata::new("task", "A task.", "tests@example.com", "https://example.com/tests");
    TaskDefinitionRequest::new(now, now + hours(1), object! {}, metadata)
        .with_task_queue_id("test/fake".parse::<TaskQueueId>().unwrap())
        .with_expires(now + days(2))
}

async fn state(tc: &Taskcluster, task_id: &TaskId) -> String {
    tc.queue().status(task_id).await.unwrap().status.state.to_string()
}

#[tokio::test]
async fn claims_deadlines_and_expirations_come_when_the_test_says_so() {
    let fake = Fake::start().await.unwrap();
    let tc = fake.handle();
    let mut exceptions = listen::<TaskException>(fake.bus(), "#").await.unwrap();
    let task_id = TaskId::new();
    tc.queue().create_task(&task_id, &task(fake.now())).await.unwrap();
    let claim = ClaimWorkRequest::new("group", "worker", 1);
    let claimed = tc.queue().claim_work("test/fake", &claim).await.unwrap().tasks;
    assert_eq!(claimed.len(), 1);
    assert_eq!(state(&tc, &task_id).await, "running");

    fake.advance(minutes(25)).await.unwrap();
    assert_eq!(state(&tc, &task_id).await, "pending");
    fake.advance(hours(1)).await.unwrap();
    assert_eq!(state(&tc, &task_id).await, "exception");
    let told = exceptions.next().await.unwrap().unwrap();
    assert_eq!(told.message.status.task_id, task_id);
    fake.advance(days(3)).await.unwrap();
    assert!(tc.queue().status(&task_id).await.unwrap_err().is_not_found());
    fake.stop().await.unwrap();
}

/// By the `Date` of the first answer, which refuses a signature that is years off.
#[tokio::test]
async fn a_program_on_the_systems_clock_works_at_any_time_of_the_fake() {
    let long_ago = "2019-05-01T12:00:00Z".parse().unwrap();
    for then in [long_ago, Timestamp::now() + days(4000)] {
        let fake = Fake::builder().clock(ManualClock::at(then)).start().await.unwrap();
        let tc = Taskcluster::builder(fake.root_url()).credentials(fake.credentials()).build().unwrap();
        let task_id = TaskId::new();
        tc.queue().create_task(&task_id, &task(then)).await.unwrap();
        assert_eq!(state(&tc, &task_id).await, "pending");
        fake.advance(days(1)).await.unwrap();
        assert_eq!(state(&tc, &task_id).await, "exception");
        fake.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_client_has_the_scopes_that_the_test_gave_it() {
    let fake = Fake::start().await.unwrap();
    let careful = fake.client("test/careful", ["queue:status:*"]).await.unwrap();
    let tc = fake.handle().to_builder().credentials(careful).build().unwrap();
    let task_id = TaskId::new();
    let refused = tc.queue().create_task(&task_id, &task(fake.now())).await.unwrap_err();
    assert!(refused.is_forbidden(), "{refused}");
    assert!(tc.queue().status(&task_id).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn fakes_beside_each_other_share_nothing() {
    let (one, other) = (Fake::start().await.unwrap(), Fake::start().await.unwrap());
    let task_id = TaskId::new();
    one.handle().queue().create_task(&task_id, &task(one.now())).await.unwrap();
    assert!(other.handle().queue().status(&task_id).await.unwrap_err().is_not_found());
}
