//! What a container may do beyond others: asked for by the payload, granted by scopes, allowed by the worker.

use std::sync::Arc;

use bollard::models::{HostConfig, Mount, MountType};
use taskcluster_worker::TaskContext;
use taskcluster_worker::error::{Error, Result};

use crate::devices::{Device, Kind, Pools};
use crate::payload::ContainerPayload;

/// What tasks may ask for at all. Default: to trace their own processes, and to have their containers saved; nothing else.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Allowed {
    /// `capabilities.privileged`: the task can do everything on this machine.
    pub privileged: bool,
    /// `capabilities.disableSeccomp`.
    pub disable_seccomp: bool,
    /// `features.allowPtrace`.
    pub ptrace: bool,
    /// `capabilities.devices.hostSharedMemory`.
    pub host_shared_memory: bool,
    /// `capabilities.devices.kvm`.
    pub kvm: bool,
    /// `features.dockerSave`.
    pub docker_save: bool,
}

impl Default for Allowed {
    fn default() -> Self {
        Self {
            privileged: false,
            disable_seccomp: false,
            ptrace: true,
            host_shared_memory: false,
            kvm: false,
            docker_save: true,
        }
    }
}

/// What a task was granted, before it has any of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Privileges {
    privileged: bool,
    no_seccomp: bool,
    ptrace: bool,
    host_shared_memory: bool,
    kvm: bool,
    loopback_video: bool,
    loopback_audio: bool,
}

impl Privileges {
    /// # Errors
    /// [`Error::Payload`]: each thing that the worker does not allow, and each scope that the task lacks.
    pub(crate) fn of(payload: &ContainerPayload, task: &TaskContext, allowed: Allowed, pools: &Pools) -> Result<Self> {
        let pool = &task.identity().task_queue_id;
        let mut reasons = Vec::new();
        let mut granted = |asked: bool, what: &str, allowed: bool, scope: &str| {
            if asked && !allowed {
                reasons.push(format!("payload/{what} is not allowed by this worker"));
            } else if asked && !task.has_scope(scope) && !task.has_scope(&format!("{scope}:{pool}")) {
                reasons.push(format!("payload/{what} needs the scope {scope}"));
            }
            asked
        };
        let (capabilities, devices) = (&payload.capabilities, &payload.capabilities.devices);
        let device =
            |name: &str| (format!("capabilities/devices/{name}"), format!("docker-worker:capability:device:{name}"));
        let mut device_granted = |asked: bool, name: &str, allowed: bool| {
            let (what, scope) = device(name);
            granted(asked, &what, allowed, &scope)
        };
        // The two loopback devices need drivers that the worker does not load: whoever does so says where they are.
        let (video, audio) = (pools.has(Kind::LoopbackVideo), pools.has(Kind::LoopbackAudio));
        let kvm = allowed.kvm && pools.has(Kind::Kvm);
        let privileges = Self {
            loopback_video: device_granted(devices.loopback_video, "loopbackVideo", video),
            loopback_audio: device_granted(devices.loopback_audio, "loopbackAudio", audio),
            host_shared_memory: device_granted(
                devices.host_shared_memory,
                "hostSharedMemory",
                allowed.host_shared_memory,
            ),
            kvm: device_granted(devices.kvm, "kvm", kvm),
            privileged: granted(
                capabilities.privileged,
                "capabilities/privileged",
                allowed.privileged,
                "docker-worker:capability:privileged",
            ),
            no_seccomp: granted(
                capabilities.disable_seccomp,
                "capabilities/disableSeccomp",
                allowed.disable_seccomp,
                "docker-worker:capability:disableSeccomp",
            ),
            ptrace: granted(
                payload.features.allow_ptrace,
                "features/allowPtrace",
                allowed.ptrace,
                "docker-worker:feature:allowPtrace",
            ),
        };
        if reasons.is_empty() { Ok(privileges) } else { Err(Error::Payload(reasons)) }
    }

    /// The devices that are the task's from now on.
    pub(crate) fn devices(self, pools: &Arc<Pools>) -> Result<Vec<Device>> {
        let asked = [
            (self.loopback_video, Kind::LoopbackVideo),
            (self.loopback_audio, Kind::LoopbackAudio),
            (self.kvm, Kind::Kvm),
            // Nobody asks for one; where they are counted, everybody gets one.
            (pools.has(Kind::Processor), Kind::Processor),
        ];
        asked.into_iter().filter(|(asked, _)| *asked).map(|(_, kind)| pools.take(kind)).collect()
    }

    /// Write what is not a device into the description of a container.
    pub(crate) fn apply(self, config: &mut HostConfig) {
        if self.privileged {
            config.privileged = Some(true);
        }
        if self.no_seccomp {
            config.security_opt.get_or_insert_default().push("seccomp=unconfined".to_owned());
        }
        if self.ptrace {
            config.cap_add.get_or_insert_default().push("SYS_PTRACE".to_owned());
        }
        if self.host_shared_memory {
            config.mounts.get_or_insert_default().push(Mount {
                target: Some("/dev/shm".to_owned()),
                source: Some("/dev/shm".to_owned()),
                typ: Some(MountType::BIND),
                ..Mount::default()
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_granted_stands_in_the_description_of_the_container() {
        let mut config = HostConfig::default();
        Privileges::default().apply(&mut config);
        assert_eq!(config, HostConfig::default());
        let all = Privileges {
            privileged: true,
            no_seccomp: true,
            ptrace: true,
            host_shared_memory: true,
            ..Privileges::default()
        };
        all.apply(&mut config);
        assert_eq!(config.privileged, Some(true));
        assert_eq!(config.security_opt.unwrap(), ["seccomp=unconfined"]);
        assert_eq!(config.cap_add.unwrap(), ["SYS_PTRACE"]);
        assert_eq!(config.mounts.unwrap()[0].source.as_deref(), Some("/dev/shm"));
    }
}
