//! From what a definition says to what the engine is asked for.

use std::collections::{BTreeMap, HashMap};
use std::path::{Component, Path};

use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigLogConfig, Mount, MountBindOptions, MountType, RestartPolicy,
    RestartPolicyNameEnum,
};
use taskcluster::provisioner::{DockerProvider, DockerVolume};

use super::image::Image;
use super::volumes::Allowed;
use super::{Options, USER_DATA};

/// What a container may have written, before the engine forgets the older half of it.
const LOG: [(&str, &str); 2] = [("max-size", "5m"), ("max-file", "2")];

/// What is to be asked of the engine.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) image: Image,
    /// All but what is an instance's own: its labels, and what it is told.
    pub(super) body: ContainerCreateBody,
}

/// What a definition comes to, or everything that is wrong with it.
pub(super) async fn plan(wanted: &DockerProvider, allowed: &Allowed, options: &Options) -> Result<Plan, Vec<String>> {
    let mut faults = Vec::new();
    let image = Image::parse(&wanted.image).map_err(|fault| faults.push(fault)).ok();
    let env = env(wanted.env.as_ref(), &mut faults);
    let mounts = mounts(wanted.volumes.as_deref().unwrap_or_default(), allowed, &mut faults).await;
    let Some(image) = image.filter(|_| faults.is_empty()) else { return Err(faults) };
    let body = ContainerCreateBody {
        image: Some(image.to_string()),
        // In place of the image's program and arguments, where `cmd` would take the place of the arguments alone.
        entrypoint: wanted.command.clone(),
        env: Some(env),
        host_config: Some(host_config(mounts, options)),
        ..ContainerCreateBody::default()
    };
    Ok(Plan { image, body })
}

/// The variables; that of what the worker is told is not the definition's.
fn env(wanted: Option<&BTreeMap<String, String>>, faults: &mut Vec<String>) -> Vec<String> {
    let mut env = Vec::new();
    for (name, value) in wanted.into_iter().flatten() {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            faults.push(format!("no variable can be called or hold what {name:?} is or does"));
        } else if name != USER_DATA {
            env.push(format!("{name}={value}"));
        }
    }
    env
}

async fn mounts(wanted: &[DockerVolume], allowed: &Allowed, faults: &mut Vec<String>) -> Vec<Mount> {
    let mut mounts = Vec::new();
    for volume in wanted {
        if !is_target(&volume.target) {
            faults.push(format!("{:?} is no absolute path in a container", volume.target));
        }
        match allowed.source(&volume.source).await {
            Ok(source) => mounts.push(mount(source, volume)),
            Err(fault) => faults.push(fault),
        }
    }
    mounts
}

fn is_target(path: &str) -> bool {
    let path = Path::new(path);
    path.is_absolute() && path != Path::new("/") && path.components().all(|part| part != Component::ParentDir)
}

fn mount(source: String, volume: &DockerVolume) -> Mount {
    let read_only = volume.read_only.unwrap_or(false);
    // What is mounted below would not be read-only with it: older engines know of no way.
    let bind_options = read_only.then(|| MountBindOptions { non_recursive: Some(true), ..MountBindOptions::default() });
    Mount {
        target: Some(volume.target.clone()),
        source: Some(source),
        typ: Some(MountType::BIND),
        read_only: Some(read_only),
        bind_options,
        ..Mount::default()
    }
}

fn host_config(mounts: Vec<Mount>, options: &Options) -> HostConfig {
    let Options { network, hosts, .. } = options;
    let log: HashMap<_, _> = LOG.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    HostConfig {
        mounts: Some(mounts),
        network_mode: (!network.is_empty()).then(|| network.clone()),
        extra_hosts: (!hosts.is_empty()).then(|| hosts.clone()),
        // Something has to reap what workers leave behind, and to hear signals for them.
        init: Some(true),
        // What ended has ended: whether there shall be another is for the provisioner to say.
        restart_policy: Some(RestartPolicy { name: Some(RestartPolicyNameEnum::NO), ..RestartPolicy::default() }),
        log_config: Some(HostConfigLogConfig { typ: Some("json-file".to_owned()), config: Some(log) }),
        ..HostConfig::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_that_is_wrong_is_said_at_once() {
        let wanted = DockerProvider::new("Not an image")
            .with_env([("A=B", "")])
            .with_volumes([DockerVolume::new("/etc", "relative")]);
        let faults = plan(&wanted, &Allowed::new(&[], true), &Options::default()).await.unwrap_err();
        assert_eq!(faults.len(), 4, "{faults:?}");
    }

    #[tokio::test]
    async fn what_a_worker_is_told_is_not_the_definitions() {
        let wanted = DockerProvider::new("image").with_env([(USER_DATA, "false"), ("WORD", "true")]);
        let plan = plan(&wanted, &Allowed::new(&[], true), &Options::default()).await.unwrap();
        assert_eq!(plan.body.env, Some(vec!["WORD=true".to_owned()]));
        assert_eq!(plan.body.host_config.unwrap().network_mode, None);
    }
}
