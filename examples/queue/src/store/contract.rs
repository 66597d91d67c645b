//! What both databases have to do alike. Each test runs on SQLite, and on PostgreSQL where `TEST_POSTGRES` names a
//! server.

mod artifacts;
mod dependencies;
mod fixture;
mod groups;
mod lists;
#[cfg(feature = "postgres")]
mod lost;
mod races;
mod sample;
mod tasks;
mod time;

/// What the files of the suite speak of.
#[allow(unused_imports, reason = "each file needs another part of it")]
mod prelude {
    pub(super) use std::collections::{BTreeMap, BTreeSet};
    pub(super) use std::sync::Arc;

    pub(super) use serde_json::{Value, json};
    pub(super) use service_kit::store::Database;
    pub(super) use taskcluster_core::ids::{Priority, RunId, TaskId};
    pub(super) use taskcluster_core::time::{Timestamp, days, hours, minutes};

    pub(super) use crate::artifact::{Artifact, ArtifactRefusal, Storage};
    pub(super) use crate::store::{
        ApplyRefusal, Claimed, Counts, CreateRefusal, LeaseEnd, Part, Place, Store, StoreError,
    };
    pub(super) use crate::task::{Event, ExceptionReason, State, Task, Worker};
    pub(super) use crate::worker::Quarantine;
}

macro_rules! contract {
    ($($group:ident: $($name:ident)*;)*) => {
        mod on_sqlite {
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let Some(fixture) = super::fixture::Fixture::sqlite().await else { return };
                super::$group::$name(&fixture).await;
                fixture.end().await;
            })*)*
        }

        #[cfg(feature = "postgres")]
        mod on_postgres {
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let Some(fixture) = super::fixture::Fixture::postgres().await else { return };
                super::$group::$name(&fixture).await;
                fixture.end().await;
            })*)*
        }
    };
}

contract! {
    tasks:
        created_task_is_pending_and_told_of
        repeated_creation_succeeds_and_a_different_one_conflicts
        repeated_creation_succeeds_in_a_sealed_group
        definition_keeps_what_was_sent
        claims_are_in_order_of_priority_and_then_of_age
        claims_skip_tasks_past_their_deadline
        claimed_and_completed_life_is_told_of
        many_claimers_get_each_task_once
        retry_queues_behind_others
        changed_priority_counts_for_claims
        state_outlives_the_process
        requests_in_one_batch_see_one_another
        other_processes_are_woken
        the_same_task_created_by_two_processes_is_one;
    dependencies:
        chain_of_dependencies_runs_in_order
        diamond_releases_its_end_once
        fan_out_is_released_together
        self_dependency_waits_for_schedule
        dependencies_must_exist_and_last
        failure_releases_only_those_who_take_it
        satisfied_edges_stay_satisfied
        dependents_past_their_deadline_are_not_released
        required_tasks_resolved_at_once_release_exactly_once
        dependents_created_while_the_required_is_resolved_are_not_missed;
    time:
        expired_lease_is_found_and_retried
        renewed_lease_is_not_expired
        overdue_tasks_are_found
        expired_things_are_forgotten
        artifacts_that_cannot_be_deleted_do_not_block_others;
    groups:
        group_has_one_scheduler
        schedulers_that_come_at_once_do_not_share_a_group
        group_expiry_follows_its_tasks
        group_is_resolved_with_its_last_task
        whole_group_is_cancelled
        big_group_is_cancelled_while_it_works
        whole_group_changes_priority
        sealed_group_takes_no_tasks;
    races:
        group_whose_tasks_end_at_once_is_resolved_once
        task_that_is_ended_twice_at_once_ends_one_way;
    lists:
        members_and_dependents_come_in_pages
        pending_and_claimed_come_in_pages
        big_definitions_make_short_pages
        big_definitions_make_short_claims
        what_a_claim_leaves_wakes_others
        workers_are_remembered
        quarantined_workers_are_listed
        provisioners_are_seen_through_their_queues;
    artifacts:
        artifacts_are_created_listed_and_replaced
        late_artifacts_are_refused;
}
