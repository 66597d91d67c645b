//! Workers and task queues, as far as they have been seen.

use taskcluster_core::time::{Timestamp, days};

use super::sql::{Arg, Sql};
use super::{Store, StoreError, rows};
use crate::task::Worker;
use crate::worker::{Provisioner, Quarantine, RecentTask, SeenWorker, TaskQueue};

const SEE_QUEUE: &str =
    "INSERT INTO task_queues (task_queue_id, provisioner_id, expires, last_date_active, description, stability)
    VALUES ($1, $2, $3, $4, '', 'experimental')
    ON CONFLICT (task_queue_id) DO UPDATE SET
        last_date_active = CASE WHEN excluded.last_date_active > task_queues.last_date_active
            THEN excluded.last_date_active ELSE task_queues.last_date_active END,
        expires = CASE WHEN excluded.expires > task_queues.expires THEN excluded.expires ELSE task_queues.expires END";

const SEE_WORKER: &str = "INSERT INTO workers (task_queue_id, worker_group, worker_id, expires, first_claim, last_date_active, quarantine_until,
        quarantine_details)
    VALUES ($1, $2, $3, $4, $5, $5, NULL, '[]')
    ON CONFLICT (task_queue_id, worker_group, worker_id) DO UPDATE SET
        last_date_active = excluded.last_date_active,
        expires = CASE WHEN excluded.expires > workers.expires THEN excluded.expires ELSE workers.expires END";

const DECLARE_WORKER: &str =
    "INSERT INTO workers (task_queue_id, worker_group, worker_id, expires, first_claim, last_date_active,
        quarantine_until, quarantine_details)
    VALUES ($1, $2, $3, $4, $5, NULL, NULL, '[]')
    ON CONFLICT (task_queue_id, worker_group, worker_id) DO UPDATE SET
        expires = CASE WHEN excluded.expires > workers.expires THEN excluded.expires ELSE workers.expires END";

const QUARANTINE: &str = "UPDATE workers SET quarantine_until = $4, quarantine_details = $5,
        expires = CASE WHEN expires < $6 THEN $6 ELSE expires END
    WHERE task_queue_id = $1 AND worker_group = $2 AND worker_id = $3";

const WORKER: &str = "SELECT task_queue_id, worker_group, worker_id, expires, first_claim, last_date_active, quarantine_until, quarantine_details
    FROM workers WHERE task_queue_id = $1 AND worker_group = $2 AND worker_id = $3";

const QUARANTINE_OF: &str =
    "SELECT quarantine_until FROM workers WHERE task_queue_id = $1 AND worker_group = $2 AND worker_id = $3";

const RECENT: &str =
    "SELECT task_id, run_id FROM recent_tasks WHERE task_queue_id = $1 AND worker_group = $2 AND worker_id = $3
    ORDER BY position DESC LIMIT 20";

const WORKERS: &str =
    "SELECT w.task_queue_id, w.worker_group, w.worker_id, w.expires, w.first_claim, w.last_date_active,
        w.quarantine_until, w.quarantine_details, r.task_id, r.run_id
    FROM workers w LEFT JOIN recent_tasks r ON r.position = (SELECT max(l.position) FROM recent_tasks l
        WHERE l.task_queue_id = w.task_queue_id AND l.worker_group = w.worker_group AND l.worker_id = w.worker_id)
    WHERE w.task_queue_id = $1 AND (w.worker_group > $2 OR (w.worker_group = $2 AND w.worker_id > $3))
        AND (w.expires > $4 OR w.quarantine_until > $4)
        AND ($5 < 0 OR (CASE WHEN w.quarantine_until > $4 THEN 1 ELSE 0 END) = $5)
    ORDER BY w.worker_group, w.worker_id LIMIT $6";

const QUEUE: &str = "SELECT task_queue_id, expires, last_date_active, description, stability FROM task_queues
    WHERE task_queue_id = $1 AND expires > $2";

const QUEUES: &str = "SELECT task_queue_id, expires, last_date_active, description, stability FROM task_queues
    WHERE task_queue_id > $1 AND expires > $2 ORDER BY task_queue_id LIMIT $3";

const QUEUES_OF: &str = "SELECT task_queue_id, expires, last_date_active, description, stability FROM task_queues
    WHERE provisioner_id = $1 AND task_queue_id > $2 AND expires > $3 ORDER BY task_queue_id LIMIT $4";

const PROVISIONERS: &str =
    "SELECT provisioner_id, max(expires) AS expires, max(last_date_active) AS last_date_active FROM task_queues
    WHERE provisioner_id > $1 AND expires > $2 GROUP BY provisioner_id ORDER BY provisioner_id LIMIT $3";

const PROVISIONER: &str =
    "SELECT provisioner_id, max(expires) AS expires, max(last_date_active) AS last_date_active FROM task_queues
    WHERE provisioner_id = $1 AND expires > $2 GROUP BY provisioner_id";

fn provisioner_of(task_queue_id: &str) -> &str {
    task_queue_id.split_once('/').map_or(task_queue_id, |(provisioner, _)| provisioner)
}

fn provisioner(row: &super::sql::Row) -> Result<Provisioner, StoreError> {
    Ok(Provisioner {
        provisioner_id: row.text("provisioner_id")?,
        expires: row.time("expires")?,
        last_date_active: row.time("last_date_active")?,
    })
}

/// What a worker claimed last, oldest first.
async fn recent(sql: &mut dyn Sql, seen: &SeenWorker) -> Result<Vec<RecentTask>, StoreError> {
    let args = [Arg::from(&seen.task_queue_id), Arg::from(&seen.worker.group), Arg::from(&seen.worker.id)];
    let found = sql.rows(RECENT, &args).await?;
    found
        .iter()
        .rev()
        .map(|row| Ok(RecentTask { task_id: row.parsed("task_id")?, run_id: row.number("run_id")?.into() }))
        .collect()
}

async fn find(sql: &mut dyn Sql, task_queue_id: &str, worker: &Worker) -> Result<Option<SeenWorker>, StoreError> {
    let args = [Arg::from(task_queue_id), Arg::from(&worker.group), Arg::from(&worker.id)];
    let found = sql.rows(WORKER, &args).await?;
    let Some(row) = found.first() else { return Ok(None) };
    let seen = rows::worker(row)?;
    let recent_tasks = recent(sql, &seen).await?;
    Ok(Some(SeenWorker { recent_tasks, ..seen }))
}

impl Store {
    /// Remembers that a worker has asked for work in a task queue; expiries only grow.
    ///
    /// # Errors
    /// The store's.
    pub async fn saw_worker(&self, task_queue_id: &str, worker: &Worker, now: Timestamp) -> Result<(), StoreError> {
        let (queue, worker) = (task_queue_id.to_owned(), worker.clone());
        self.transaction(move |sql| {
            Box::pin(async move {
                let expires = now + days(1);
                let args = [Arg::from(&queue), Arg::from(provisioner_of(&queue)), expires.into(), now.into()];
                sql.run(SEE_QUEUE, &args).await?;
                let args =
                    [Arg::from(&queue), Arg::from(&worker.group), Arg::from(&worker.id), expires.into(), now.into()];
                sql.run(SEE_WORKER, &args).await?;
                Ok(())
            })
        })
        .await
    }

    /// Remembers that a task queue has been used.
    ///
    /// # Errors
    /// The store's.
    pub async fn saw_queue(&self, task_queue_id: &str, expires: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        let queue = task_queue_id.to_owned();
        self.transaction(move |sql| {
            Box::pin(async move {
                sql.run(SEE_QUEUE, &[Arg::from(&queue), Arg::from(provisioner_of(&queue)), expires.into(), now.into()])
                    .await?;
                Ok(())
            })
        })
        .await
    }

    /// Makes a worker, and its task queue, known until the given time at least.
    ///
    /// # Errors
    /// The store's.
    pub async fn declare_worker(
        &self,
        task_queue_id: &str,
        worker: &Worker,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<SeenWorker, StoreError> {
        let (queue, worker) = (task_queue_id.to_owned(), worker.clone());
        self.transaction(move |sql| {
            Box::pin(async move {
                sql.run(SEE_QUEUE, &[Arg::from(&queue), Arg::from(provisioner_of(&queue)), expires.into(), now.into()])
                    .await?;
                let args =
                    [Arg::from(&queue), Arg::from(&worker.group), Arg::from(&worker.id), expires.into(), now.into()];
                sql.run(DECLARE_WORKER, &args).await?;
                find(sql, &queue, &worker).await?.ok_or(StoreError::Lost("a worker"))
            })
        })
        .await
    }

    /// Keeps work from a worker until the given time; a time in the past lifts it. Each time is added to the worker's
    /// history.
    ///
    /// # Errors
    /// The store's. `None` for a worker that nobody has seen.
    pub async fn quarantine_worker(
        &self,
        task_queue_id: &str,
        worker: &Worker,
        quarantine: Quarantine,
        now: Timestamp,
    ) -> Result<Option<SeenWorker>, StoreError> {
        let (queue, worker) = (task_queue_id.to_owned(), worker.clone());
        self.transaction(move |sql| {
            Box::pin(async move {
                let Some(seen) = find(sql, &queue, &worker).await? else { return Ok(None) };
                let until = quarantine.quarantine_until;
                let mut details = seen.quarantine_details;
                details.push(quarantine);
                let details = serde_json::to_string(&details).expect("a history is plain data");
                let args = [
                    Arg::from(&queue),
                    Arg::from(&worker.group),
                    Arg::from(&worker.id),
                    until.into(),
                    Arg::from(&details),
                    (now + days(1)).into(),
                ];
                sql.run(QUARANTINE, &args).await?;
                find(sql, &queue, &worker).await
            })
        })
        .await
    }

    /// Until when a worker is to get no work, if that was ever said.
    ///
    /// # Errors
    /// The store's.
    pub async fn quarantine_of(&self, task_queue_id: &str, worker: &Worker) -> Result<Option<Timestamp>, StoreError> {
        let args = [Arg::from(task_queue_id), Arg::from(&worker.group), Arg::from(&worker.id)];
        let found = self.reader().await?.rows(QUARANTINE_OF, &args).await?;
        Ok(found.first().map(|row| row.time_or_null("quarantine_until")).transpose()?.flatten())
    }

    /// A worker, also one that has expired.
    ///
    /// # Errors
    /// The store's.
    pub async fn worker(&self, task_queue_id: &str, worker: &Worker) -> Result<Option<SeenWorker>, StoreError> {
        find(&mut *self.reader().await?, task_queue_id, worker).await
    }

    /// Workers of a task queue by group and id, those after the given one; expired ones only while they are
    /// quarantined.
    ///
    /// # Errors
    /// The store's.
    pub async fn workers(
        &self,
        task_queue_id: &str,
        quarantined: Option<bool>,
        after: &Worker,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<SeenWorker>, StoreError> {
        let quarantined = quarantined.map_or(-1, i64::from);
        let args = [
            Arg::from(task_queue_id),
            Arg::from(&after.group),
            Arg::from(&after.id),
            now.into(),
            Arg::from(quarantined),
            limit.into(),
        ];
        let found = self.reader().await?.rows(WORKERS, &args).await?;
        let read = found.iter().map(|row| {
            let latest = match row.int_or_null("run_id")? {
                Some(_) => vec![RecentTask { task_id: row.parsed("task_id")?, run_id: row.number("run_id")?.into() }],
                None => Vec::new(),
            };
            Ok(SeenWorker { recent_tasks: latest, ..rows::worker(row)? })
        });
        read.collect()
    }

    /// A task queue that has been used.
    ///
    /// # Errors
    /// The store's.
    pub async fn task_queue(&self, task_queue_id: &str, now: Timestamp) -> Result<Option<TaskQueue>, StoreError> {
        self.reader()
            .await?
            .rows(QUEUE, &[Arg::from(task_queue_id), now.into()])
            .await?
            .first()
            .map(rows::task_queue)
            .transpose()
    }

    /// Task queues by name, those after the given one.
    ///
    /// # Errors
    /// The store's.
    pub async fn task_queues(&self, after: &str, limit: u32, now: Timestamp) -> Result<Vec<TaskQueue>, StoreError> {
        let args = [Arg::from(after), now.into(), limit.into()];
        self.reader().await?.rows(QUEUES, &args).await?.iter().map(rows::task_queue).collect()
    }

    /// Task queues of a provisioner by name, those after the given one.
    ///
    /// # Errors
    /// The store's.
    pub async fn task_queues_of(
        &self,
        provisioner: &str,
        after: &str,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<TaskQueue>, StoreError> {
        let args = [Arg::from(provisioner), Arg::from(after), now.into(), limit.into()];
        self.reader().await?.rows(QUEUES_OF, &args).await?.iter().map(rows::task_queue).collect()
    }

    /// A provisioner, seen through its task queues.
    ///
    /// # Errors
    /// The store's.
    pub async fn provisioner(&self, id: &str, now: Timestamp) -> Result<Option<Provisioner>, StoreError> {
        self.reader().await?.rows(PROVISIONER, &[Arg::from(id), now.into()]).await?.first().map(provisioner).transpose()
    }

    /// Provisioners by name, those after the given one.
    ///
    /// # Errors
    /// The store's.
    pub async fn provisioners(&self, after: &str, limit: u32, now: Timestamp) -> Result<Vec<Provisioner>, StoreError> {
        let args = [Arg::from(after), now.into(), limit.into()];
        self.reader().await?.rows(PROVISIONERS, &args).await?.iter().map(provisioner).collect()
    }
}
