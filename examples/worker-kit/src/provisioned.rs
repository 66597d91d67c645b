//! Workers that a provisioner has started: nothing of the image or the machine holds a secret.
//!
//! What such a worker is told is its *user data*, and in them a token for its secret. It fetches that, says that it is up, and has it
//! removed before it claims a task, so that the token is of no use to anything that runs later. The order allows for being killed between
//! any two steps: until the secret is removed, a worker that is started anew with the same user data can fetch it again.

mod credentials;
mod oversight;
mod secret;
mod source;
mod user_data;

use std::time::Duration;

use anyhow::{Context, Result};
use taskcluster::Taskcluster;
use taskcluster_core::credentials::Credentials;

use crate::program::{ConfigOptions, Program};
use oversight::Oversight;
use secret::Door;
pub use source::UserDataSource;
pub(crate) use user_data::UserData;

/// How long a worker that begins waits for its user data, where they come over the network. Machines have their network late.
pub(crate) const AT_THE_START: Duration = Duration::from_secs(120);

/// How long whoever only wants to know waits for them.
pub(crate) const FOR_A_LOOK: Duration = Duration::from_secs(10);

/// What a worker that a provisioner has started knows from it.
#[derive(Clone, Debug)]
pub(crate) struct Provisioned {
    pub(crate) user_data: UserData,
    /// Those of its secret, once it has been fetched.
    pub(crate) credentials: Option<Credentials>,
}

impl Provisioned {
    /// The worker's credentials, or some that are none for whoever does not fetch the secret.
    pub(crate) fn credentials(&self) -> Credentials {
        self.credentials.clone().unwrap_or_else(|| Credentials::new("not-fetched-yet", ""))
    }
}

/// The configuration, with what user data say if there are any. The secret is left where it is.
pub(crate) async fn described<P: Program>(options: &ConfigOptions<P::Config>, patience: Duration) -> Result<P::Config> {
    let mut config = options.over(Vec::new())?;
    let worker = P::common(&mut config);
    let Some(source) = worker.user_data.or_else(UserDataSource::usual) else { return Ok(config) };
    let user_data = source.read(worker.metadata_url.as_deref(), patience).await?;
    let mut config = options.over(vec![user_data.layer()?])?;
    P::common(&mut config).provisioned = Some(Provisioned { user_data, credentials: None });
    Ok(config)
}

/// A worker that begins: its configuration, with what its secret says, and what is still to be said to the provisioner.
pub(crate) async fn begin<P: Program>(options: &ConfigOptions<P::Config>) -> Result<(P::Config, Option<Beginning>)> {
    let mut config = described::<P>(options, AT_THE_START).await?;
    // What is wrong already is told before anything is fetched.
    P::check(&config, options.path())?;
    let Some(Provisioned { user_data, .. }) = P::common(&mut config).provisioned.clone() else {
        return Ok((config, None));
    };
    tracing::info!(
        root_url = user_data.root_url,
        worker.id = user_data.worker_id,
        worker_type = user_data.worker_type,
        "a provisioner has started this worker: fetching its secret",
    );
    let door = Door::new(&user_data)?;
    let secret = door.fetch().await?;
    let mut config = options.over(vec![user_data.layer()?, secret.layer()?])?;
    let credentials = secret.credentials;
    P::common(&mut config).provisioned =
        Some(Provisioned { user_data: user_data.clone(), credentials: Some(credentials.clone()) });
    P::check(&config, options.path()).context("the secret of this worker does not go with its configuration")?;
    Ok((config, Some(Beginning { door, user_data, credentials })))
}

/// A worker that has its secret, which is still there.
pub(crate) struct Beginning {
    door: Door,
    user_data: UserData,
    credentials: Credentials,
}

impl Beginning {
    /// Who says how long it is needed.
    pub(crate) fn oversight(&self) -> Result<Oversight> {
        let tc = Taskcluster::builder(self.user_data.provisioner()).credentials(self.credentials.clone()).build()?;
        let expires = self.credentials.certificate.as_ref().map(|certificate| certificate.expires());
        Ok(Oversight::new(tc.provisioner(), &self.user_data.worker_type, &self.user_data.worker_id).until(expires))
    }

    /// Say that the worker is up, and have its secret removed. Only after that may it claim a task.
    pub(crate) async fn end(self) -> Result<()> {
        self.door.started().await?;
        self.door.remove().await?;
        tracing::info!(
            worker.id = self.user_data.worker_id,
            "the secret of this worker is removed from the provisioner"
        );
        Ok(())
    }
}
