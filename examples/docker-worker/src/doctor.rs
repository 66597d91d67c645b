//! What this worker needs of its machine: a Docker engine that does what it is asked.

use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use bollard::errors::Error as ApiError;
use bollard::models::{NetworkCreateRequest, SystemInfo};
use taskcluster_core::TaskId;
use taskcluster_core::chain;
use worker_kit::Examination;

use crate::devices::Devices;
use crate::docker::Docker;

/// Ask the engine at `host` who it is and what it can, and make a network, as tasks with a proxy get one.
pub(crate) async fn examine(host: &str, examination: &mut Examination) {
    let what = "Docker";
    let docker = match Docker::connect(host).await {
        Ok(docker) => docker,
        Err(error) => {
            let remedy = "Start it, set `docker` to where it listens, and let the worker's user use it (group docker).";
            return examination.wrong(what, chain(&error), remedy);
        }
    };
    match docker.api.info().await {
        Ok(info) => {
            let version = info.server_version.as_deref().unwrap_or("unknown");
            let driver = info.driver.as_deref().unwrap_or("unknown");
            examination.good(what, format!("version {version} at {host}, storage driver {driver}"));
            limits(&info, examination);
            store(&info, examination);
        }
        Err(error) => return examination.wrong(what, chain(&error), "See what the engine's own log says."),
    }
    match try_network(&docker).await {
        Ok(()) => examination.good("networks", "one was made and removed"),
        Err(error) => {
            let remedy = "The engine needs iptables and the right to make bridges; see its own log.";
            examination.wrong("networks", format!("none can be made: {}", chain(&error)), remedy);
        }
    }
}

/// Look whether the devices that are configured are there.
pub(crate) fn examine_devices(devices: &Devices, examination: &mut Examination) {
    let nodes = devices.loopback_video.iter().chain(devices.loopback_audio.iter().flatten());
    let (there, missing): (Vec<&PathBuf>, Vec<&PathBuf>) = nodes.partition(|node| is_device(node));
    if missing.is_empty() && there.is_empty() {
        return;
    }
    match &*missing {
        [] => examination.good("devices", format!("{} nodes are there", there.len())),
        missing => {
            let names: Vec<String> = missing.iter().map(|node| node.display().to_string()).collect();
            let remedy = "Load the drivers (v4l2loopback, snd-aloop), or leave out what this machine has not.";
            examination.wrong("devices", format!("{} are no devices", names.join(", ")), remedy);
        }
    }
}

fn is_device(node: &Path) -> bool {
    std::fs::metadata(node).is_ok_and(|found| found.file_type().is_char_device())
}

fn limits(info: &SystemInfo, examination: &mut Examination) {
    let can = [("memory", info.memory_limit), ("processors", info.cpu_cfs_quota), ("processes", info.pids_limit)];
    let cannot: Vec<&str> = can.iter().filter(|(_, can)| *can == Some(false)).map(|(what, _)| *what).collect();
    if cannot.is_empty() {
        examination.good("limits", "memory, processors and processes of containers can be limited");
    } else {
        examination.note("limits", format!("this system cannot limit the {} of containers", cannot.join(", ")));
    }
}

/// Images make room only where the worker sees how full their disk is.
fn store(info: &SystemInfo, examination: &mut Examination) {
    match info.docker_root_dir.as_deref() {
        Some(folder) if Path::new(folder).is_dir() => {
            examination.good("images", format!("are kept in {folder}, where the worker sees how full the disk is"));
        }
        _ => examination
            .note("images", "are kept where the worker cannot see how full the disk is: none is removed for room"),
    }
}

async fn try_network(docker: &Docker) -> Result<(), ApiError> {
    let name = format!("taskcluster-doctor-{}", TaskId::new());
    let request = NetworkCreateRequest { name: name.clone(), ..NetworkCreateRequest::default() };
    docker.api.create_network(request).await?;
    docker.api.remove_network(&name).await
}
