//! The store over a database that understands the SQL of [`rows`](super::rows); both do, so it is written once.
//!
//! A macro and not a generic type: what differs is the type of connection, and bounds that let sqlx be generic over
//! that would be longer than the statements themselves.

/// Implements [`Store`](super::Store) for `$store`, which has a `kit` (the service-kit's handle).
///
/// `$begin` runs at the start of each change, inside its transaction; `$names` takes a JSON text apart into its elements.
macro_rules! implement_store {
    ($store:ty, $connection:ty, $begin:path, $names:literal) => {
        impl $store {
            /// Carries out a change in a transaction and answers after the commit.
            async fn change<T, F>(&self, change: F) -> Result<T, StoreError>
            where
                T: Send + 'static,
                F: for<'c> FnOnce(&'c mut $connection) -> BoxFuture<'c, Result<T, StoreError>> + Send + 'static,
            {
                self.kit
                    .write(|connection| {
                        Box::pin(async move {
                            $begin(connection).await?;
                            change(connection).await
                        })
                    })
                    .await
            }
        }

        /// Puts an entry where it belongs, unless a better one stands there.
        async fn put(
            connection: &mut $connection,
            entry: &Entry,
            now: Timestamp,
            comes_now: bool,
        ) -> Result<(), StoreError> {
            let put = sqlx::query(rows::PUT_ENTRY)
                .bind(&entry.path.namespace)
                .bind(&entry.path.name)
                .bind(entry.task_id.to_string())
                .bind(entry.rank)
                .bind(&entry.data)
                .bind(entry.expires.as_millis())
                .bind(entry.since.as_millis())
                .bind(now.as_millis())
                .bind(comes_now);
            if put.execute(&mut *connection).await?.rows_affected() == 0 {
                return Ok(());
            }
            let expires = Namespace::expires_with(entry.expires).as_millis();
            for (parent, name) in entry.path.namespaces() {
                let put = sqlx::query(rows::PUT_NAMESPACE).bind(parent).bind(name).bind(expires);
                put.execute(&mut *connection).await?;
            }
            Ok(())
        }

        #[async_trait]
        impl Store for $store {
            async fn find(&self, path: &IndexPath, now: Timestamp) -> Result<Option<Entry>, StoreError> {
                let query =
                    sqlx::query_as(rows::SELECT_ENTRY).bind(&path.namespace).bind(&path.name).bind(now.as_millis());
                query.fetch_optional(&mut *self.kit.reader().await?).await?.map(rows::entry).transpose()
            }

            async fn find_all(&self, paths: &[IndexPath], now: Timestamp) -> Result<Vec<Entry>, StoreError> {
                const SELECT: &str = rows::select_entries!(
                    "(namespace, name) IN (SELECT value ->> 0, value ->> 1 FROM ",
                    $names,
                    ") AND expires > $2 ORDER BY namespace, name"
                );
                let query = sqlx::query_as(SELECT).bind(rows::names(paths)).bind(now.as_millis());
                rows::entries(query.fetch_all(&mut *self.kit.reader().await?).await?)
            }

            async fn entries(
                &self,
                namespace: &str,
                after: &str,
                limit: usize,
                now: Timestamp,
            ) -> Result<Vec<Entry>, StoreError> {
                let query = sqlx::query_as(rows::SELECT_ENTRIES)
                    .bind(namespace)
                    .bind(after)
                    .bind(now.as_millis())
                    .bind(rows::limit(limit));
                rows::entries(query.fetch_all(&mut *self.kit.reader().await?).await?)
            }

            async fn namespaces(
                &self,
                parent: &str,
                after: &str,
                limit: usize,
                now: Timestamp,
            ) -> Result<Vec<Namespace>, StoreError> {
                let query = sqlx::query_as(rows::SELECT_NAMESPACES)
                    .bind(parent)
                    .bind(after)
                    .bind(now.as_millis())
                    .bind(rows::limit(limit));
                let found = query.fetch_all(&mut *self.kit.reader().await?).await?;
                Ok(found.into_iter().map(rows::namespace).collect())
            }

            async fn insert(&self, entry: Entry, now: Timestamp) -> Result<Entry, StoreError> {
                self.change(move |connection| {
                    Box::pin(async move {
                        put(connection, &entry, now, true).await?;
                        let query = sqlx::query_as(rows::SELECT_ANY_ENTRY);
                        let query = query.bind(&entry.path.namespace).bind(&entry.path.name);
                        rows::entry(query.fetch_one(&mut *connection).await?)
                    })
                })
                .await
            }

            async fn delete(&self, path: &IndexPath) -> Result<(), StoreError> {
                let path = path.clone();
                self.change(move |connection| {
                    Box::pin(async move {
                        let delete = sqlx::query(rows::DELETE_ENTRY).bind(&path.namespace).bind(&path.name);
                        delete.execute(&mut *connection).await?;
                        Ok(())
                    })
                })
                .await
            }

            async fn remember(&self, finished: Finished) -> Result<(), StoreError> {
                self.change(move |connection| {
                    Box::pin(async move {
                        let note = sqlx::query(rows::REMEMBER).bind(finished.task_id.to_string());
                        note.bind(finished.since.as_millis()).execute(&mut *connection).await?;
                        Ok(())
                    })
                })
                .await
            }

            async fn waiting(&self, after: i64, limit: usize) -> Result<Vec<Waiting>, StoreError> {
                let query = sqlx::query_as(rows::SELECT_WAITING).bind(after).bind(rows::limit(limit));
                let found: Vec<rows::WaitingRow> = query.fetch_all(&mut *self.kit.reader().await?).await?;
                found.into_iter().map(rows::waiting).collect()
            }

            async fn settle(&self, id: i64, entries: Vec<Entry>, now: Timestamp) -> Result<(), StoreError> {
                self.change(move |connection| {
                    Box::pin(async move {
                        for entry in &entries {
                            put(connection, entry, now, false).await?;
                        }
                        sqlx::query(rows::FORGET).bind(id).execute(&mut *connection).await?;
                        Ok(())
                    })
                })
                .await
            }

            async fn expire(&self, now: Timestamp, limit: usize) -> Result<Expired, StoreError> {
                self.change(move |connection| {
                    Box::pin(async move {
                        let (now, limit) = (now.as_millis(), rows::limit(limit));
                        let entries = sqlx::query(rows::EXPIRE_ENTRIES).bind(now).bind(limit);
                        let entries = entries.execute(&mut *connection).await?.rows_affected();
                        let namespaces = sqlx::query(rows::EXPIRE_NAMESPACES).bind(now).bind(limit);
                        let namespaces = namespaces.execute(&mut *connection).await?.rows_affected();
                        Ok(Expired { entries, namespaces })
                    })
                })
                .await
            }

            fn commits(&self) -> watch::Receiver<u64> {
                self.kit.commits()
            }

            async fn close(&self) {
                self.kit.close().await;
            }
        }
    };
}
pub(super) use implement_store;
