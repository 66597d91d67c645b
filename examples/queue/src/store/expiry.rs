//! Forgetting what has expired.

use taskcluster_core::time::Timestamp;

use super::sql::Arg;
use super::{Store, StoreError, rows};
use crate::artifact::Artifact;

const EXPIRED_ARTIFACTS: &str =
    "SELECT task_id, run_id, name, content_type, content_length, expires, present, storage FROM artifacts
    WHERE expires < $1 AND expires >= $2 AND (expires > $2 OR (task_id, run_id, name) > ($3, $4, $5))
    ORDER BY expires, task_id, run_id, name LIMIT $6";

const FORGET_ARTIFACT: &str = "DELETE FROM artifacts WHERE task_id = $1 AND run_id = $2 AND name = $3 AND expires = $4";

const EXPIRED_TASKS: &str = "SELECT task_id FROM tasks WHERE expires < $1 AND is_open = 0 ORDER BY expires LIMIT $2";

const GROUPS: &str = "DELETE FROM task_groups WHERE expires < $1 AND NOT EXISTS
    (SELECT 1 FROM tasks t WHERE t.task_group_id = task_groups.task_group_id)";

const QUEUES: &str = "DELETE FROM task_queues WHERE expires < $1";

const WORKERS: &str = "DELETE FROM workers WHERE expires < $1 AND (quarantine_until IS NULL OR quarantine_until < $1)";

const FORGOTTEN_CLAIMS: &str = "DELETE FROM recent_tasks WHERE NOT EXISTS (SELECT 1 FROM workers w WHERE
    w.task_queue_id = recent_tasks.task_queue_id AND w.worker_group = recent_tasks.worker_group AND w.worker_id = recent_tasks.worker_id)";

const OLD_CLAIMS: &str = "DELETE FROM recent_tasks WHERE position IN (SELECT position FROM (
    SELECT position, row_number() OVER (PARTITION BY task_queue_id, worker_group, worker_id ORDER BY position DESC) AS age FROM recent_tasks
    ) AS aged WHERE age > 20)";

impl Store {
    /// Up to `limit` artifacts that expired before the given time, those that expired first; after the given one, which
    /// need not exist any more.
    ///
    /// # Errors
    /// The store's.
    pub async fn expired_artifacts(
        &self,
        before: Timestamp,
        after: Option<&Artifact>,
        limit: u32,
    ) -> Result<Vec<Artifact>, StoreError> {
        let (expires, task_id, run_id, name) = match after {
            None => (i64::MIN, String::new(), 0, ""),
            Some(last) => {
                (last.expires.as_millis(), last.task_id.to_string(), i64::from(last.run_id.get()), last.name.as_str())
            }
        };
        let args =
            [before.into(), Arg::from(expires), Arg::from(&task_id), Arg::from(run_id), Arg::from(name), limit.into()];
        self.reader().await?.rows(EXPIRED_ARTIFACTS, &args).await?.iter().map(rows::artifact).collect()
    }

    /// Forgets artifacts, unless their expiry has been put off meanwhile. Their bytes are deleted before, by the
    /// caller: so nothing stays behind that nobody knows of.
    ///
    /// # Errors
    /// The store's.
    pub async fn forget_artifacts(&self, artifacts: Vec<Artifact>) -> Result<(), StoreError> {
        self.transaction(move |sql| {
            Box::pin(async move {
                for artifact in &artifacts {
                    let args = [
                        Arg::from(artifact.task_id.to_string()),
                        Arg::from(i64::from(artifact.run_id.get())),
                        Arg::from(&artifact.name),
                        artifact.expires.into(),
                    ];
                    sql.run(FORGET_ARTIFACT, &args).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Forgets up to `limit` resolved tasks that expired before the given time, with their definitions and
    /// dependencies, and says how many.
    ///
    /// A task that is not resolved stays until its deadline has resolved it.
    ///
    /// # Errors
    /// The store's.
    pub async fn expire_tasks(&self, before: Timestamp, limit: u32) -> Result<usize, StoreError> {
        let statements = self.backend.dialect().delete_tasks;
        self.transaction(move |sql| {
            Box::pin(async move {
                let found = sql.rows(EXPIRED_TASKS, &[before.into(), limit.into()]).await?;
                let ids = found.iter().map(|row| row.text("task_id")).collect::<Result<Vec<_>, _>>()?;
                if !ids.is_empty() {
                    let list = serde_json::to_string(&ids).expect("a list of texts");
                    for statement in statements {
                        sql.run(statement, &[Arg::from(&list)]).await?;
                    }
                }
                Ok(ids.len())
            })
        })
        .await
    }

    /// Forgets groups without tasks, task queues and workers that expired before the given time, and what workers
    /// claimed long ago.
    ///
    /// # Errors
    /// The store's.
    pub async fn expire_others(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.transaction(move |sql| {
            Box::pin(async move {
                let mut count = 0;
                for statement in [GROUPS, QUEUES, WORKERS] {
                    count += sql.run(statement, &[before.into()]).await?;
                }
                for statement in [FORGOTTEN_CLAIMS, OLD_CLAIMS] {
                    count += sql.run(statement, &[]).await?;
                }
                Ok(count)
            })
        })
        .await
    }
}
