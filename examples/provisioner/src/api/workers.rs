//! What workers ask: their secrets, whether they are needed.

use taskcluster::provisioner as wire;
use taskcluster_core::credentials::Credentials;
use taskcluster_core::scopes::Params;
use taskcluster_core::secret::SecretObject;
use taskcluster_core::time::days;
use taskcluster_server::provisioner::ShouldTerminateQuery;
use taskcluster_server::{Call, Failure};

use super::Api;
use crate::store::{Found, Hint, Put, Secret};
use crate::tokens::{self, digest};

impl Api {
    pub(super) async fn store_secret(
        &self,
        call: &Call,
        token: &str,
        payload: wire::CreateSecretRequest,
    ) -> Result<(), Failure> {
        call.authorize(Params::new().list("scopes", payload.scopes.iter().cloned())).await?;
        // Its worker gets the type's role as well.
        call.authorize_scopes(&[tokens::role(&self.provisioner_id, &payload.worker_type)]).await?;
        self.can_give(&payload.scopes).await?;
        let now = self.clock.now();
        if payload.token.to_string() != token {
            return Err(Failure::input_error("`token` is not the one in the path"));
        }
        if payload.expiration > now + days(4) {
            return Err(Failure::input_error("`expiration` is more than four days from now"));
        }
        let secret = Secret { worker_type: payload.worker_type, secrets: payload.secrets, scopes: payload.scopes };
        match self.store.put_secret(&digest(token), &secret, payload.expiration, now).await? {
            Put::New | Put::Same => Ok(()),
            Put::Other => Err(Failure::conflict("there is something else under this token")),
        }
    }

    pub(super) async fn secret(&self, token: &str) -> Result<wire::GetSecretResponse, Failure> {
        let found = self.store.secret(&digest(token), self.clock.now()).await?.ok_or_else(no_token)?;
        let (secrets, scopes) = match found {
            Found::Instance(id) => self.secret_of(&id).await?,
            Found::Stored(secret) => {
                let scopes = tokens::scopes_of_type(&self.provisioner_id, &secret.worker_type, &secret.scopes);
                (secret.secrets, scopes)
            }
        };
        let credentials =
            tokens::credentials(&self.credentials, &scopes, self.clock.now()).map_err(Failure::internal)?;
        Ok(wire::GetSecretResponse::new(secrets, scopes, shown(credentials)?))
    }

    /// What the worker of an instance gets.
    async fn secret_of(&self, instance_id: &str) -> Result<(SecretObject, Vec<String>), Failure> {
        let instance = self.store.instance(instance_id).await?.ok_or_else(no_token)?;
        if !instance.state.counts() {
            return Err(no_token());
        }
        let version = self.store.version(&instance.worker_type, instance.version).await?.ok_or_else(no_token)?;
        let provider = self.providers.get(&instance.provider)?;
        let fragments = provider.fragments(&version.definition, &instance.place);
        let scopes = tokens::scopes_of_instance(&self.provisioner_id, &instance, &fragments.scopes);
        self.store.started(&instance.id, self.clock.now()).await?;
        Ok((fragments.secrets, scopes))
    }

    pub(super) async fn started(&self, instance_id: &str, token: &str) -> Result<(), Failure> {
        let now = self.clock.now();
        match self.store.secret(&digest(token), now).await? {
            Some(Found::Instance(id)) if id == instance_id => {
                self.store.started(&id, now).await?;
                Ok(())
            }
            // Of a worker that was started in another way nothing is kept.
            Some(Found::Stored(_)) => Ok(()),
            _ => Err(no_token()),
        }
    }

    pub(super) async fn hint(
        &self,
        worker_type: &str,
        instance_id: &str,
        query: ShouldTerminateQuery,
    ) -> Result<wire::ShouldTerminateResponse, Failure> {
        let idle = match query.idle.as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(other) => {
                return Err(Failure::input_error(format!("`idle` is {other:?}; it can be true or false")));
            }
        };
        let none = || Failure::not_found("there is no such instance");
        let hint = self.store.hint(worker_type, instance_id, idle, self.clock.now()).await?.ok_or_else(none)?;
        Ok(match hint {
            Hint::GoOn(reason) => wire::ShouldTerminateResponse::new(false, reason),
            Hint::End(reason) => wire::ShouldTerminateResponse::new(true, reason),
        })
    }
}

fn no_token() -> Failure {
    Failure::not_found("there is nothing under this token")
}

fn shown(credentials: Credentials) -> Result<wire::WorkerCredentials, Failure> {
    let certificate =
        credentials.certificate.ok_or_else(|| Failure::internal("temporary credentials have a certificate"))?;
    let token = credentials.access_token.expose().to_owned();
    Ok(wire::WorkerCredentials::new(credentials.client_id, token, certificate.to_json()))
}
