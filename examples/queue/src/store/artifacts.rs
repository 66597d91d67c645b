//! Artifacts.

use taskcluster_core::ids::{RunId, TaskId};
use taskcluster_core::time::Timestamp;

use super::outbox::write_messages;
use super::sql::Arg;
use super::work::Unit;
use super::{Store, StoreError, rows};
use crate::artifact::{Artifact, ArtifactRefusal, Kind};
use crate::messages;
use crate::task::Task;

const FIND: &str =
    "SELECT task_id, run_id, name, content_type, content_length, expires, present, storage FROM artifacts
    WHERE task_id = $1 AND run_id = $2 AND name = $3";

const LIST: &str =
    "SELECT task_id, run_id, name, content_type, content_length, expires, present, storage FROM artifacts
    WHERE task_id = $1 AND run_id = $2 AND name > $3 ORDER BY name LIMIT $4";

const PUT: &str = "INSERT INTO artifacts (task_id, run_id, name, content_type, content_length, expires, present, storage)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    ON CONFLICT (task_id, run_id, name) DO UPDATE SET content_type = excluded.content_type, content_length = excluded.content_length,
        expires = excluded.expires, present = excluded.present, storage = excluded.storage";

const FINISH: &str = "UPDATE artifacts SET present = 1 WHERE task_id = $1 AND run_id = $2 AND name = $3
    RETURNING task_id, run_id, name, content_type, content_length, expires, present, storage";

impl Unit<'_> {
    /// See [`Store::put_artifact`].
    pub(super) async fn put_artifact(
        &mut self,
        new: &Artifact,
        now: Timestamp,
    ) -> Result<Result<Artifact, ArtifactRefusal>, StoreError> {
        self.with_locks()?;
        let id = new.task_id.to_string();
        let run = i64::from(new.run_id.get());
        self.load([new.task_id]).await?;
        let Some(task) = self.task(new.task_id) else { return Ok(Err(ArtifactRefusal::NoSuchTask(new.task_id))) };
        let task = task.clone();
        if let Err(refusal) = new.check(&task, now) {
            return Ok(Err(refusal));
        }
        let before = self.sql().rows(FIND, &[Arg::from(&id), run.into(), Arg::from(&new.name)]).await?;
        let kept = match before.first() {
            None => new.clone(),
            Some(row) => match new.clone().replacing(&rows::artifact(row)?, now) {
                Ok(kept) => kept,
                Err(refusal) => return Ok(Err(refusal)),
            },
        };
        let storage = serde_json::to_string(&kept.storage).expect("storage is plain data");
        let args = [
            Arg::from(&id),
            run.into(),
            Arg::from(&kept.name),
            Arg::from(&kept.content_type),
            kept.content_length.into(),
            kept.expires.into(),
            Arg::from(i64::from(kept.present)),
            Arg::from(&storage),
        ];
        self.sql().run(PUT, &args).await?;
        match kept.storage.kind() {
            // Bytes that are still to be uploaded are not told of.
            Kind::Blob | Kind::Object => {}
            Kind::Reference | Kind::Link | Kind::Error => self.publish(messages::artifact_created(&task, &kept)),
        }
        Ok(Ok(kept))
    }
}

impl Store {
    /// An artifact by its name.
    ///
    /// # Errors
    /// The store's.
    pub async fn artifact(&self, task_id: TaskId, run: RunId, name: &str) -> Result<Option<Artifact>, StoreError> {
        let args = [Arg::from(task_id.to_string()), Arg::from(i64::from(run.get())), Arg::from(name)];
        self.reader().await?.rows(FIND, &args).await?.first().map(rows::artifact).transpose()
    }

    /// Notes that an artifact of this task has been uploaded to its end, and tells of it; also when that was known
    /// already. Answers what is kept now, if it is there still.
    ///
    /// # Errors
    /// The store's.
    pub async fn finish_artifact(&self, task: Task, run: RunId, name: String) -> Result<Option<Artifact>, StoreError> {
        let dialect = self.backend.dialect();
        let kept = self
            .transaction(move |sql| {
                Box::pin(async move {
                    let id = task.task_id.to_string();
                    let args = [Arg::from(&id), Arg::from(i64::from(run.get())), Arg::from(&name)];
                    let kept = sql.rows(FINISH, &args).await?.first().map(rows::artifact).transpose()?;
                    if let Some(kept) = &kept {
                        write_messages(sql, dialect, &[messages::artifact_created(&task, kept)]).await?;
                    }
                    Ok(kept)
                })
            })
            .await?;
        self.new_events.send_modify(|count| *count += 1);
        Ok(kept)
    }

    /// Artifacts of a run by name, those after the given name.
    ///
    /// # Errors
    /// The store's.
    pub async fn artifacts(
        &self,
        task_id: TaskId,
        run: RunId,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Artifact>, StoreError> {
        let args = [
            Arg::from(task_id.to_string()),
            Arg::from(i64::from(run.get())),
            Arg::from(after),
            Arg::from(i64::from(limit)),
        ];
        self.reader().await?.rows(LIST, &args).await?.iter().map(rows::artifact).collect()
    }
}
