//! Devices of which the machine has few: each is one task's at a time.
//!
//! What a task asks for is only known once it is claimed, and a task that finds no device left could only wait, or go back to the
//! queue and use up one of its retries there. So no more tasks are claimed than could all have one of each kind, as ever with
//! docker-worker: as long as none is left, the worker claims nothing, although tasks that need none could run.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use bollard::models::DeviceMapping;
use taskcluster_worker::error::{Error, Result};

/// The devices that the machine has for tasks. Default: none that are counted.
///
/// ```
/// use taskcluster_docker_worker::Devices;
///
/// let devices = Devices::default().with_loopback_video(["/dev/video0", "/dev/video1"]).with_loopback_audio_cards([16]);
/// assert_eq!(devices.loopback_audio[0].len(), 5);
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Devices {
    /// The nodes for `capabilities.devices.loopbackVideo`, one for each task.
    pub loopback_video: Vec<PathBuf>,
    /// The nodes for `capabilities.devices.loopbackAudio`, those of a card for each task.
    pub loopback_audio: Vec<Vec<PathBuf>>,
    /// How many tasks may have `/dev/kvm` at once. Default: all.
    pub kvm_tasks: Option<usize>,
    /// The numbers of processors of which each task gets one to itself, whatever its payload says. Default: none, and all tasks share
    /// all processors.
    pub processors: Vec<u32>,
}

impl Devices {
    /// With these video devices.
    #[must_use]
    pub fn with_loopback_video(mut self, nodes: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        self.loopback_video = nodes.into_iter().map(Into::into).collect();
        self
    }

    /// With one of these processors for each task.
    #[must_use]
    pub fn with_processors(mut self, numbers: impl IntoIterator<Item = u32>) -> Self {
        self.processors = numbers.into_iter().collect();
        self
    }

    /// With the sound cards of these numbers, as the kernel's loopback driver makes them.
    #[must_use]
    pub fn with_loopback_audio_cards(mut self, cards: impl IntoIterator<Item = u32>) -> Self {
        let nodes = |card: u32| {
            let names = ["controlC{}", "pcmC{}D0c", "pcmC{}D0p", "pcmC{}D1c", "pcmC{}D1p"];
            names.map(|name| Path::new("/dev/snd").join(name.replace("{}", &card.to_string()))).to_vec()
        };
        self.loopback_audio = cards.into_iter().map(nodes).collect();
        self
    }
}

/// A kind of device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    LoopbackVideo,
    LoopbackAudio,
    Kvm,
    Processor,
}

/// All devices, and which of them tasks have.
#[derive(Debug)]
pub(crate) struct Pools {
    video: Pool,
    audio: Pool,
    kvm: Pool,
    processors: Pool,
    /// The number that the machine has for each of those.
    numbers: Vec<u32>,
}

/// The devices of one kind.
#[derive(Debug)]
struct Pool {
    kind: &'static str,
    /// There are as many as anybody wants.
    unlimited: bool,
    nodes: Vec<Vec<PathBuf>>,
    /// The numbers of those that nobody has.
    free: Mutex<Vec<usize>>,
}

/// A device that is a task's until this is dropped.
#[derive(Debug)]
pub(crate) struct Device {
    pools: Arc<Pools>,
    kind: Kind,
    number: Option<usize>,
}

impl Pools {
    pub(crate) fn new(devices: Devices) -> Arc<Self> {
        let kvm = vec![vec![PathBuf::from("/dev/kvm")]; devices.kvm_tasks.unwrap_or(1)];
        let video = devices.loopback_video.into_iter().map(|node| vec![node]).collect();
        Arc::new(Self {
            video: Pool::new("loopbackVideo", video, false),
            audio: Pool::new("loopbackAudio", devices.loopback_audio, false),
            kvm: Pool::new("kvm", kvm, devices.kvm_tasks.is_none()),
            processors: Pool::new("processor", vec![Vec::new(); devices.processors.len()], false),
            numbers: devices.processors,
        })
    }

    /// Whether there is any of that kind at all.
    pub(crate) fn has(&self, kind: Kind) -> bool {
        !self.of(kind).nodes.is_empty()
    }

    /// How many more tasks could have whatever they ask for; `None` if nothing is counted.
    pub(crate) fn spare(&self) -> Option<usize> {
        let all = [&self.video, &self.audio, &self.kvm, &self.processors];
        let counted = all.into_iter().filter(|pool| !pool.unlimited && !pool.nodes.is_empty());
        counted.map(|pool| pool.free().len()).min()
    }

    /// A device for a task.
    ///
    /// # Errors
    /// [`Error::Worker`]: none is left, though no more tasks should have been claimed.
    pub(crate) fn take(self: &Arc<Self>, kind: Kind) -> Result<Device> {
        let pool = self.of(kind);
        let number = if pool.unlimited {
            None
        } else {
            let first = pool.free().pop();
            Some(first.ok_or_else(|| Error::worker(format!("no device {} is left", pool.kind)))?)
        };
        Ok(Device { pools: self.clone(), kind, number })
    }

    fn of(&self, kind: Kind) -> &Pool {
        match kind {
            Kind::LoopbackVideo => &self.video,
            Kind::LoopbackAudio => &self.audio,
            Kind::Kvm => &self.kvm,
            Kind::Processor => &self.processors,
        }
    }
}

impl Pool {
    fn new(kind: &'static str, nodes: Vec<Vec<PathBuf>>, unlimited: bool) -> Self {
        // The first is given first.
        let free = (0..nodes.len()).rev().collect();
        Self { kind, unlimited, nodes, free: Mutex::new(free) }
    }

    fn free(&self) -> MutexGuard<'_, Vec<usize>> {
        self.free.lock().expect("nothing panics holding it")
    }
}

impl Device {
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Its nodes, which the container has at the same places.
    pub(crate) fn nodes(&self) -> &[PathBuf] {
        &self.pools.of(self.kind).nodes[self.number.unwrap_or(0)]
    }

    /// The machine's number of it, if it is a processor.
    pub(crate) fn processor(&self) -> Option<u32> {
        let is_one = self.kind == Kind::Processor;
        self.number.filter(|_| is_one).and_then(|number| self.pools.numbers.get(number)).copied()
    }

    /// What stands of it in the description of a container.
    pub(crate) fn mappings(&self) -> impl Iterator<Item = DeviceMapping> {
        self.nodes().iter().map(|node| {
            let path = Some(node.to_string_lossy().into_owned());
            DeviceMapping {
                path_on_host: path.clone(),
                path_in_container: path,
                cgroup_permissions: Some("rwm".to_owned()),
            }
        })
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.pools.of(self.kind).free().push(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_one_tasks_at_a_time() {
        let pools = Pools::new(Devices::default().with_loopback_video(["/dev/a", "/dev/b"]));
        assert_eq!(pools.spare(), Some(2));
        let first = pools.take(Kind::LoopbackVideo).unwrap();
        let second = pools.take(Kind::LoopbackVideo).unwrap();
        assert_eq!((first.nodes(), second.nodes()), (&[PathBuf::from("/dev/a")][..], &[PathBuf::from("/dev/b")][..]));
        assert!(matches!(pools.take(Kind::LoopbackVideo), Err(Error::Worker { .. })));
        assert_eq!(pools.spare(), Some(0));
        drop(second);
        assert_eq!(pools.take(Kind::LoopbackVideo).unwrap().nodes(), [PathBuf::from("/dev/b")]);
        assert_eq!(pools.spare(), Some(1));
    }

    #[test]
    fn the_kind_of_which_there_are_fewest_counts() {
        let mut devices =
            Devices::default().with_loopback_video(["/dev/a", "/dev/b"]).with_loopback_audio_cards([16, 17, 18]);
        assert_eq!(Pools::new(devices.clone()).spare(), Some(2));
        devices.kvm_tasks = Some(1);
        let pools = Pools::new(devices);
        assert_eq!(pools.spare(), Some(1));
        let card = pools.take(Kind::LoopbackAudio).unwrap();
        let nodes: Vec<_> = card.mappings().filter_map(|mapping| mapping.path_in_container).collect();
        assert_eq!(nodes[0], "/dev/snd/controlC16");
        assert_eq!(nodes[4], "/dev/snd/pcmC16D1p");
        assert_eq!(pools.take(Kind::Kvm).unwrap().nodes(), [PathBuf::from("/dev/kvm")]);
    }

    #[test]
    fn a_processor_is_known_by_the_machines_number() {
        let pools = Pools::new(Devices::default().with_processors([2, 5]));
        let both = [(); 2].map(|()| pools.take(Kind::Processor).unwrap());
        assert_eq!(both.each_ref().map(Device::processor), [Some(2), Some(5)]);
        assert_eq!((pools.spare(), both[0].mappings().count()), (Some(0), 0));
        assert_eq!(pools.take(Kind::Kvm).unwrap().processor(), None);
    }

    #[test]
    fn what_is_not_counted_limits_nothing() {
        let pools = Pools::new(Devices::default());
        let _all = [(); 9].map(|()| pools.take(Kind::Kvm).unwrap());
        assert_eq!(pools.spare(), None);
        assert!(!pools.has(Kind::LoopbackVideo) && pools.has(Kind::Kvm));
    }
}
