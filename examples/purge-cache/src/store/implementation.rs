//! The store over a database that understands the SQL of [`rows`](super::rows); both do, so it is written once.
//!
//! A macro and not a generic type: what differs is the type of connection, and bounds that let sqlx be generic over
//! that would be longer than the statements themselves.

/// Implements [`Store`](super::Store) for `$store`, which has a `kit` (the service-kit's handle). `$begin` runs at the start of
/// each change, inside its transaction.
macro_rules! implement_store {
    ($store:ty, $begin:path) => {
        #[async_trait]
        impl Store for $store {
            async fn put(&self, request: PurgeRequest) -> Result<(), StoreError> {
                self.kit
                    .write(move |connection| {
                        Box::pin(async move {
                            $begin(connection).await?;
                            let put = sqlx::query(rows::PUT)
                                .bind(request.worker_pool.as_str())
                                .bind(&request.cache_name)
                                .bind(request.before.as_millis());
                            put.execute(connection).await?;
                            Ok(())
                        })
                    })
                    .await
            }

            async fn of_pool(
                &self,
                worker_pool: &TaskQueueId,
                since: Timestamp,
            ) -> Result<Vec<PurgeRequest>, StoreError> {
                let query = sqlx::query_as(rows::SELECT_OF_POOL).bind(worker_pool.as_str()).bind(since.as_millis());
                rows::requests(query.fetch_all(&mut *self.kit.reader().await?).await?)
            }

            async fn all(&self, after: &Key, limit: usize, since: Timestamp) -> Result<Vec<PurgeRequest>, StoreError> {
                let query = sqlx::query_as(rows::SELECT_ALL)
                    .bind(&after.0)
                    .bind(&after.1)
                    .bind(since.as_millis())
                    .bind(rows::limit(limit));
                rows::requests(query.fetch_all(&mut *self.kit.reader().await?).await?)
            }

            async fn expire(&self, since: Timestamp, limit: usize) -> Result<u64, StoreError> {
                self.kit
                    .write(move |connection| {
                        Box::pin(async move {
                            $begin(connection).await?;
                            let expire = sqlx::query(rows::EXPIRE).bind(since.as_millis()).bind(rows::limit(limit));
                            Ok(expire.execute(connection).await?.rows_affected())
                        })
                    })
                    .await
            }

            async fn close(&self) {
                self.kit.close().await;
            }
        }
    };
}
pub(super) use implement_store;
