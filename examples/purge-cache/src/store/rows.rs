//! Rows and the SQL that both databases understand alike.

use taskcluster_core::time::Timestamp;

use super::StoreError;
use crate::request::PurgeRequest;

pub(super) const PUT: &str = "INSERT INTO requests (worker_pool, cache_name, requested) VALUES ($1, $2, $3) \
     ON CONFLICT (worker_pool, cache_name) DO UPDATE SET requested = excluded.requested \
     WHERE requests.requested < excluded.requested";

pub(super) const SELECT_OF_POOL: &str = "SELECT worker_pool, cache_name, requested FROM requests \
     WHERE worker_pool = $1 AND requested >= $2 ORDER BY cache_name";

pub(super) const SELECT_ALL: &str = "SELECT worker_pool, cache_name, requested FROM requests \
     WHERE (worker_pool, cache_name) > ($1, $2) AND requested >= $3 ORDER BY worker_pool, cache_name LIMIT $4";

pub(super) const EXPIRE: &str = "DELETE FROM requests WHERE (worker_pool, cache_name) IN \
     (SELECT worker_pool, cache_name FROM requests WHERE requested < $1 ORDER BY requested LIMIT $2)";

pub(super) type Row = (String, String, i64);

pub(super) fn requests(rows: Vec<Row>) -> Result<Vec<PurgeRequest>, StoreError> {
    rows.into_iter().map(request).collect()
}

fn request((worker_pool, cache_name, requested): Row) -> Result<PurgeRequest, StoreError> {
    let worker_pool = worker_pool.parse().map_err(|_| StoreError::WorkerPool(worker_pool))?;
    Ok(PurgeRequest { worker_pool, cache_name, before: Timestamp::from_millis(requested) })
}

/// A limit as the databases take it.
pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
