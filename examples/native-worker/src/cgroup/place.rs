//! Where the group is found that this process is in.

use std::fs;
use std::path::{Path, PathBuf};

/// A tree of control groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hierarchy {
    /// That of version 2.
    Unified,
    /// That of version 1 by which processes are counted.
    Pids,
}

impl Hierarchy {
    /// The directory of the group that this process is in.
    pub(super) fn own_group(self) -> Option<PathBuf> {
        let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        self.place_of(self.group(&groups)?, &mounts)
    }

    /// The group of this hierarchy in a list of a process's groups.
    fn group(self, groups: &str) -> Option<&Path> {
        groups.lines().find_map(|line| {
            let (controllers, group) = line.split_once(':')?.1.split_once(':')?;
            self.is(controllers).then(|| Path::new(group))
        })
    }

    /// Where a group is found, given the table of mounts.
    fn place_of(self, group: &Path, mounts: &str) -> Option<PathBuf> {
        mounts.lines().find_map(|line| {
            let (mount, kind) = line.split_once(" - ")?;
            let mut kind = kind.split(' ');
            let (system, options) = (kind.next()?, kind.nth(1)?);
            let right = match self {
                Self::Unified => system == "cgroup2",
                Self::Pids => system == "cgroup" && self.is(options),
            };
            if !right {
                return None;
            }
            let mut fields = mount.split(' ').skip(3);
            let (root, point) = (fields.next()?, fields.next()?);
            Some(Path::new(point).join(group.strip_prefix(root).ok()?))
        })
    }

    /// Whether a list of words, separated by commas, is that of this hierarchy's controllers.
    fn is(self, words: &str) -> bool {
        match self {
            Self::Unified => words.is_empty(),
            Self::Pids => words.split(',').any(|word| word == "pids"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_found_among_the_mounts() {
        let mounts = "25 1 0:22 / /proc rw - proc proc rw\n\
                      36 32 0:28 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n";
        let place_of = |group: &str, mounts| Hierarchy::Unified.place_of(Path::new(group), mounts);
        let place = place_of("/system.slice/worker.service", mounts);
        assert_eq!(place, Some(PathBuf::from("/sys/fs/cgroup/system.slice/worker.service")));
        let inside = "36 32 0:28 /docker/1 /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n";
        assert_eq!(place_of("/docker/1/a", inside), Some(PathBuf::from("/sys/fs/cgroup/a")));
        assert_eq!(place_of("/elsewhere", inside), None);
        assert_eq!(place_of("/", "25 1 0:22 / /proc rw - proc proc rw\n"), None);
    }

    #[test]
    fn the_hierarchy_of_version_1_is_known_by_its_controller() {
        let groups = "9:name=systemd:/a\n8:cpu,pids:/b\n0::/c\n";
        assert_eq!(Hierarchy::Pids.group(groups), Some(Path::new("/b")));
        assert_eq!(Hierarchy::Unified.group(groups), Some(Path::new("/c")));
        let mounts = "38 31 0:35 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                      39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n";
        assert_eq!(Hierarchy::Pids.place_of(Path::new("/b"), mounts), Some(PathBuf::from("/sys/fs/cgroup/pids/b")));
        assert_eq!(Hierarchy::Unified.place_of(Path::new("/"), mounts), None);
    }
}
