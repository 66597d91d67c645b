//! The store over a database that understands the SQL of [`rows`](super::rows); both do, so it is written once.
//!
//! A macro and not a generic type: what differs is the type of connection, and bounds that let sqlx be generic over
//! that would be longer than the statements themselves.

/// Implements [`Store`](super::Store) for `$store`, which has a `kit` (the service-kit's handle) and a `sealer`.
///
/// `$begin` runs at the start of each change, `$send` puts a message into the outbox; both get the connection inside its
/// transaction.
macro_rules! implement_store {
    ($store:ty, $connection:ty, $begin:path, $send:path, shared: $shared:literal) => {
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

        /// Writes down what was changed, and what to tell of it.
        async fn leave_trail(connection: &mut $connection, record: &Record) -> Result<(), StoreError> {
            sqlx::query(rows::INSERT_ENTRY)
                .bind(record.entity.as_str())
                .bind(&record.entity_id)
                .bind(record.action.as_str())
                .bind(&record.client_id)
                .bind(record.created.as_millis())
                .execute(&mut *connection)
                .await?;
            $send(connection, &[message::of(record)]).await?;
            Ok(())
        }

        #[async_trait]
        impl Store for $store {
            async fn everything(&self) -> Result<Everything, StoreError> {
                // The position first: what changes while the rest is read comes after it and is read again.
                let position =
                    sqlx::query_scalar(rows::SELECT_POSITION).fetch_one(&mut *self.kit.reader().await?).await?;
                let clients =
                    sqlx::query_as(rows::SELECT_ALL_CLIENTS).fetch_all(&mut *self.kit.reader().await?).await?;
                Ok(Everything { position, clients: rows::clients(&self.sealer, clients)?, roles: self.roles().await? })
            }

            async fn client(&self, client_id: &str) -> Result<Option<Client>, StoreError> {
                let query = sqlx::query_as(rows::SELECT_CLIENT).bind(client_id);
                let row = query.fetch_optional(&mut *self.kit.reader().await?).await?;
                row.map(|row| rows::client(&self.sealer, row)).transpose()
            }

            async fn clients(
                &self,
                prefix: &str,
                after: Option<&str>,
                limit: usize,
            ) -> Result<Vec<Client>, StoreError> {
                let query = sqlx::query_as(rows::SELECT_CLIENTS)
                    .bind(prefix)
                    .bind(rows::beyond(prefix))
                    .bind(after.unwrap_or_default())
                    .bind(rows::limit(limit));
                rows::clients(&self.sealer, query.fetch_all(&mut *self.kit.reader().await?).await?)
            }

            async fn create_client(&self, client: Client, record: Record) -> Result<Created<Client>, StoreError> {
                let sealer = Arc::clone(&self.sealer);
                self.change(move |connection| {
                    Box::pin(async move {
                        let inserted = sqlx::query(rows::INSERT_CLIENT)
                            .bind(&client.client_id)
                            .bind(sealer.seal(&client.client_id, &client.access_token)?)
                            .bind(&client.description)
                            .bind(rows::scopes(&client.scopes))
                            .bind(client.expires.as_millis())
                            .bind(client.disabled)
                            .bind(client.delete_on_expiration)
                            .bind(client.created.as_millis())
                            .bind(client.last_modified.as_millis())
                            .bind(client.last_date_used.as_millis())
                            .bind(client.last_rotated.as_millis())
                            .bind(client.version)
                            .execute(&mut *connection)
                            .await?;
                        if inserted.rows_affected() > 0 {
                            leave_trail(connection, &record).await?;
                            return Ok(Created::New);
                        }
                        let query = sqlx::query_as(rows::SELECT_CLIENT).bind(&client.client_id);
                        let existing = rows::client(&sealer, query.fetch_one(&mut *connection).await?)?;
                        Ok(Created::Exists(Box::new(existing)))
                    })
                })
                .await
            }

            async fn update_client(&self, client: Client, record: Record) -> Result<bool, StoreError> {
                let sealer = Arc::clone(&self.sealer);
                self.change(move |connection| {
                    Box::pin(async move {
                        let updated = sqlx::query(rows::UPDATE_CLIENT)
                            .bind(&client.client_id)
                            .bind(sealer.seal(&client.client_id, &client.access_token)?)
                            .bind(&client.description)
                            .bind(rows::scopes(&client.scopes))
                            .bind(client.expires.as_millis())
                            .bind(client.disabled)
                            .bind(client.delete_on_expiration)
                            .bind(client.last_modified.as_millis())
                            .bind(client.last_rotated.as_millis())
                            .bind(client.version)
                            .execute(&mut *connection)
                            .await?;
                        let changed = updated.rows_affected() > 0;
                        if changed {
                            leave_trail(connection, &record).await?;
                        }
                        Ok(changed)
                    })
                })
                .await
            }

            async fn delete_client(&self, client_id: &str, record: Record) -> Result<bool, StoreError> {
                let client_id = client_id.to_owned();
                self.change(move |connection| {
                    Box::pin(async move {
                        let delete = sqlx::query(rows::DELETE_CLIENT).bind(&client_id);
                        let deleted = delete.execute(&mut *connection).await?.rows_affected() > 0;
                        if deleted {
                            leave_trail(connection, &record).await?;
                        }
                        Ok(deleted)
                    })
                })
                .await
            }

            async fn note_uses(&self, uses: Vec<(String, Timestamp)>) -> Result<(), StoreError> {
                self.change(move |connection| {
                    Box::pin(async move {
                        for (client_id, at) in uses {
                            let note = sqlx::query(rows::NOTE_USE).bind(client_id).bind(at.as_millis());
                            note.execute(&mut *connection).await?;
                        }
                        Ok(())
                    })
                })
                .await
            }

            async fn roles(&self) -> Result<Roles, StoreError> {
                // The version first: roles that change between the two statements then belong to an old version, which
                // no change can start from.
                let version =
                    sqlx::query_scalar(rows::SELECT_ROLES_VERSION).fetch_one(&mut *self.kit.reader().await?).await?;
                let found: Vec<rows::RoleRow> =
                    sqlx::query_as(rows::SELECT_ROLES).fetch_all(&mut *self.kit.reader().await?).await?;
                Ok(Roles { version, roles: found.into_iter().map(rows::role).collect::<Result<_, _>>()? })
            }

            async fn put_role(&self, version: i64, role: Role, record: Record) -> Result<bool, StoreError> {
                self.change(move |connection| {
                    Box::pin(async move {
                        let raise = sqlx::query(rows::RAISE_ROLES_VERSION).bind(version);
                        if raise.execute(&mut *connection).await?.rows_affected() == 0 {
                            return Ok(false);
                        }
                        sqlx::query(rows::PUT_ROLE)
                            .bind(&role.role_id)
                            .bind(rows::scopes(&role.scopes))
                            .bind(&role.description)
                            .bind(role.created.as_millis())
                            .bind(role.last_modified.as_millis())
                            .execute(&mut *connection)
                            .await?;
                        leave_trail(connection, &record).await?;
                        Ok(true)
                    })
                })
                .await
            }

            async fn delete_role(&self, role_id: &str, record: Record) -> Result<bool, StoreError> {
                let role_id = role_id.to_owned();
                self.change(move |connection| {
                    Box::pin(async move {
                        let delete = sqlx::query(rows::DELETE_ROLE).bind(&role_id);
                        let deleted = delete.execute(&mut *connection).await?.rows_affected() > 0;
                        if deleted {
                            sqlx::query(rows::RAISE_ANY_ROLES_VERSION).execute(&mut *connection).await?;
                            leave_trail(connection, &record).await?;
                        }
                        Ok(deleted)
                    })
                })
                .await
            }

            async fn history(&self, of: &Of, after: i64, limit: usize) -> Result<Vec<Entry>, StoreError> {
                let query = match of {
                    Of::Entity { entity_type, entity_id } => sqlx::query_as(rows::SELECT_ENTRIES_OF_ENTITY)
                        .bind(after)
                        .bind(rows::limit(limit))
                        .bind(entity_type)
                        .bind(entity_id),
                    Of::Client(client_id) => sqlx::query_as(rows::SELECT_ENTRIES_OF_CLIENT)
                        .bind(after)
                        .bind(rows::limit(limit))
                        .bind(client_id),
                };
                Ok(query.fetch_all(&mut *self.kit.reader().await?).await?.into_iter().map(rows::entry).collect())
            }

            async fn changes_since(&self, after: i64, limit: usize) -> Result<Vec<Entry>, StoreError> {
                let query = sqlx::query_as(rows::SELECT_ENTRIES).bind(after).bind(rows::limit(limit));
                Ok(query.fetch_all(&mut *self.kit.reader().await?).await?.into_iter().map(rows::entry).collect())
            }

            async fn purge_expired_clients(
                &self,
                now: Timestamp,
                by: &str,
                limit: usize,
            ) -> Result<Vec<String>, StoreError> {
                let by = by.to_owned();
                self.change(move |connection| {
                    Box::pin(async move {
                        let select =
                            sqlx::query_scalar(rows::SELECT_EXPIRED).bind(now.as_millis()).bind(rows::limit(limit));
                        let expired: Vec<String> = select.fetch_all(&mut *connection).await?;
                        for client_id in &expired {
                            sqlx::query(rows::DELETE_CLIENT).bind(client_id).execute(&mut *connection).await?;
                            let record = Record {
                                entity: Entity::Client,
                                entity_id: client_id.clone(),
                                action: Action::Expired,
                                client_id: by.clone(),
                                created: now,
                            };
                            leave_trail(connection, &record).await?;
                        }
                        Ok(expired)
                    })
                })
                .await
            }

            async fn purge_history(&self, before: Timestamp) -> Result<u64, StoreError> {
                self.change(move |connection| {
                    Box::pin(async move {
                        let purge = sqlx::query(rows::PURGE_ENTRIES).bind(before.as_millis());
                        Ok(purge.execute(&mut *connection).await?.rows_affected())
                    })
                })
                .await
            }

            fn commits(&self) -> watch::Receiver<u64> {
                self.kit.commits()
            }

            fn is_shared(&self) -> bool {
                $shared
            }

            async fn close(&self) {
                self.kit.clone().close().await;
            }
        }
    };
}
pub(super) use implement_store;
