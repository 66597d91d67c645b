//! The store over a database that understands the SQL of [`rows`](super::rows); both do, so it is written once.
//!
//! A macro and not a generic type: what differs is the type of connection, and bounds that let sqlx be generic over
//! that would be longer than the statements themselves.

/// Implements [`Store`](super::Store) for `$store`, which has a `kit`, the service-kit's handle.
macro_rules! implement_store {
    ($store:ty, $connection:ty) => {
        impl $store {
            /// Carries out a change in a transaction and answers after the commit.
            async fn change<T, F>(&self, change: F) -> Result<T, StoreError>
            where
                T: Send + 'static,
                F: for<'c> FnOnce(&'c mut $connection) -> BoxFuture<'c, Result<T, StoreError>> + Send + 'static,
            {
                self.kit.write(change).await
            }
        }

        #[async_trait]
        impl Store for $store {
            async fn object(&self, name: &str) -> Result<Option<Object>, StoreError> {
                let query = sqlx::query_as(rows::SELECT).bind(name);
                query.fetch_optional(&mut *self.kit.reader().await?).await?.map(rows::object).transpose()
            }

            async fn add(&self, object: Object) -> Result<bool, StoreError> {
                self.change(move |connection| {
                    Box::pin(async move {
                        let inserted = sqlx::query(rows::INSERT)
                            .bind(&object.name)
                            .bind(&object.project_id)
                            .bind(object.upload_id.to_string())
                            .bind(&object.blob_key)
                            .bind(rows::hashes(&object.hashes))
                            .bind(object.expires.as_millis())
                            .bind(object.finished)
                            .bind(object.gone_from.as_millis())
                            .execute(&mut *connection)
                            .await?;
                        Ok(inserted.rows_affected() > 0)
                    })
                })
                .await
            }

            async fn replace(&self, before: Object, after: Object) -> Result<bool, StoreError> {
                self.change(move |connection| {
                    Box::pin(async move {
                        let updated = sqlx::query(rows::REPLACE)
                            .bind(rows::hashes(&after.hashes))
                            .bind(after.finished)
                            .bind(after.gone_from.as_millis())
                            .bind(&before.name)
                            .bind(&before.blob_key)
                            .bind(rows::hashes(&before.hashes))
                            .bind(before.finished)
                            .execute(&mut *connection)
                            .await?;
                        Ok(updated.rows_affected() > 0)
                    })
                })
                .await
            }

            async fn gone(
                &self,
                before: Timestamp,
                after: Option<&Object>,
                limit: usize,
            ) -> Result<Vec<Object>, StoreError> {
                let (gone_from, name) = rows::place(after);
                let query = sqlx::query_as(rows::SELECT_GONE)
                    .bind(before.as_millis())
                    .bind(gone_from)
                    .bind(name)
                    .bind(rows::limit(limit));
                let found = query.fetch_all(&mut *self.kit.reader().await?).await?;
                found.into_iter().map(rows::object).collect()
            }

            async fn forget(&self, objects: Vec<Object>) -> Result<(), StoreError> {
                self.change(move |connection| {
                    Box::pin(async move {
                        for object in &objects {
                            let delete = sqlx::query(rows::DELETE).bind(&object.name).bind(&object.blob_key);
                            delete.execute(&mut *connection).await?;
                        }
                        Ok(())
                    })
                })
                .await
            }

            async fn close(&self) {
                self.kit.clone().close().await;
            }
        }
    };
}
pub(super) use implement_store;
