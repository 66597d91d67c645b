//! What a container may do beyond others: asked for by the payload, granted by scopes, allowed by the worker.

use bollard::models::{DeviceMapping, HostConfig, Mount, MountType};
use taskcluster_worker::TaskContext;
use taskcluster_worker::error::{Error, Result};

use crate::payload::ContainerPayload;

/// What tasks may ask for at all. Default: to trace their own processes, nothing else.
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
}

impl Default for Allowed {
    fn default() -> Self {
        Self { privileged: false, disable_seccomp: false, ptrace: true, host_shared_memory: false, kvm: false }
    }
}

/// What a task was granted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Privileges {
    privileged: bool,
    no_seccomp: bool,
    ptrace: bool,
    host_shared_memory: bool,
    kvm: bool,
}

impl Privileges {
    /// # Errors
    /// [`Error::Payload`]: each thing that the worker does not allow, and each scope that the task lacks.
    pub(crate) fn of(payload: &ContainerPayload, task: &TaskContext, allowed: Allowed) -> Result<Self> {
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
        // The two loopback devices need drivers that are no part of the kernel.
        device_granted(devices.loopback_video, "loopbackVideo", false);
        device_granted(devices.loopback_audio, "loopbackAudio", false);
        let privileges = Self {
            host_shared_memory: device_granted(
                devices.host_shared_memory,
                "hostSharedMemory",
                allowed.host_shared_memory,
            ),
            kvm: device_granted(devices.kvm, "kvm", allowed.kvm),
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

    /// Write them into the description of a container.
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
        if self.kvm {
            config.devices.get_or_insert_default().push(DeviceMapping {
                path_on_host: Some("/dev/kvm".to_owned()),
                path_in_container: Some("/dev/kvm".to_owned()),
                cgroup_permissions: Some("rwm".to_owned()),
            });
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
        let all = Privileges { privileged: true, no_seccomp: true, ptrace: true, host_shared_memory: true, kvm: true };
        all.apply(&mut config);
        assert_eq!(config.privileged, Some(true));
        assert_eq!(config.security_opt.unwrap(), ["seccomp=unconfined"]);
        assert_eq!(config.cap_add.unwrap(), ["SYS_PTRACE"]);
        assert_eq!(config.devices.unwrap()[0].path_on_host.as_deref(), Some("/dev/kvm"));
        assert_eq!(config.mounts.unwrap()[0].source.as_deref(), Some("/dev/shm"));
    }
}
