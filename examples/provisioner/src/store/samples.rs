//! Numbers over time.

use service_kit::store::{Row, StoreError};
use taskcluster_core::time::Timestamp;

use super::Store;
use crate::fleet::{LEVELS, Numbers, begin};

const SELECT: &str = "SELECT numbers FROM samples WHERE worker_type = $1 AND seconds = $2 AND begins = $3";
const PUT: &str = "INSERT INTO samples (worker_type, seconds, begins, numbers) VALUES ($1, $2, $3, $4)
     ON CONFLICT (worker_type, seconds, begins) DO UPDATE SET numbers = excluded.numbers";
/// Of each time the finest numbers that there are; those of an hour that is not over are left to the finer ones.
const SELECT_PAGE: &str = "SELECT seconds, begins, numbers FROM samples
     WHERE worker_type = $1 AND begins > $2 AND begins < $3
       AND ((seconds = 60 AND begins >= $4) OR (seconds = 600 AND begins >= $5 AND begins < $4) OR (seconds = 3600 AND begins < $5))
     ORDER BY begins LIMIT $6";
const SELECT_LAST: &str = "SELECT s.worker_type, s.seconds, s.begins, s.numbers FROM samples s
     WHERE s.seconds = 60 AND s.begins >= $1 AND s.begins =
       (SELECT MAX(l.begins) FROM samples l WHERE l.worker_type = s.worker_type AND l.seconds = 60)
       AND EXISTS (SELECT 1 FROM worker_types t WHERE t.name = s.worker_type)
     ORDER BY s.worker_type";
const EXPIRE: &str = "DELETE FROM samples WHERE seconds = $1 AND begins < $2";

/// A stretch of time with its numbers.
pub type Sample = (Timestamp, u32, Numbers);

impl Store {
    /// Adds the numbers of a minute, or of a part of it, to what is known of it, and to what is known of longer stretches.
    pub async fn add_numbers(&self, worker_type: &str, minute: Timestamp, numbers: &Numbers) -> Result<(), StoreError> {
        let (worker_type, numbers) = (worker_type.to_owned(), numbers.clone());
        self.kit
            .write(move |sql| {
                Box::pin(async move {
                    for (seconds, _) in LEVELS {
                        let begins = begin(minute, seconds);
                        let key = [(&worker_type).into(), seconds.into(), begins.into()];
                        let there = sql.row(SELECT, &key).await?;
                        let mut sum: Numbers = there.map(|row| row.json("numbers")).transpose()?.unwrap_or_default();
                        sum.add(&numbers);
                        let text = serde_json::to_string(&sum).expect("numbers can be written as JSON");
                        let [worker_type, seconds, begins] = key;
                        sql.run(PUT, &[worker_type, seconds, begins, text.into()]).await?;
                    }
                    Ok(())
                })
            })
            .await
    }

    /// Numbers of stretches that begin after `after` and before `to`, the oldest first, at most `limit`: as fine as they are kept now.
    pub async fn numbers(
        &self,
        worker_type: &str,
        after: Timestamp,
        to: Timestamp,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Sample>, StoreError> {
        // From one whole stretch of the coarser numbers on, so that none is told twice.
        let minutes = begin(now - LEVELS[0].1, LEVELS[1].0);
        let tens = begin(now - LEVELS[1].1, LEVELS[2].0);
        let args = [worker_type.into(), after.into(), to.into(), minutes.into(), tens.into(), limit.into()];
        self.kit.rows(SELECT_PAGE, &args).await?.iter().map(sample).collect()
    }

    /// The last minute that there are numbers of, of each worker type that is there; none of one that nobody has looked at since.
    pub async fn last_numbers(&self, since: Timestamp) -> Result<Vec<(String, Sample)>, StoreError> {
        let found = self.kit.rows(SELECT_LAST, &[since.into()]).await?;
        found.iter().map(|row| Ok((row.text("worker_type")?, sample(row)?))).collect()
    }

    /// Forgets numbers that are too old.
    pub(super) async fn expire_samples(&self, now: Timestamp) -> Result<(), StoreError> {
        for (seconds, kept) in LEVELS {
            // A little longer than they are told: see above.
            let before = now - kept - std::time::Duration::from_secs(3600);
            self.kit.run(EXPIRE, &[seconds.into(), before.into()]).await?;
        }
        Ok(())
    }
}

fn sample(row: &Row) -> Result<Sample, StoreError> {
    Ok((row.time("begins")?, row.number("seconds")?, row.json("numbers")?))
}
