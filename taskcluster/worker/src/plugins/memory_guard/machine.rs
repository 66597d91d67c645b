//! How much memory the machine has and uses.

use std::fmt;
use std::io;

use super::MemoryLimits;
use crate::size::size;

/// In bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Memory {
    total: u64,
    available: u64,
}

impl Memory {
    pub(super) fn of_machine() -> io::Result<Self> {
        let text = std::fs::read_to_string("/proc/meminfo")?;
        Self::parse(&text).ok_or_else(|| io::Error::other("/proc/meminfo does not say how much memory is available"))
    }

    fn parse(text: &str) -> Option<Self> {
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
            kib.checked_mul(1024)
        };
        Some(Self { total: field("MemTotal")?, available: field("MemAvailable")? })
    }

    fn used_percent(self) -> u64 {
        let used = self.total.saturating_sub(self.available);
        (u128::from(used) * 100 / u128::from(self.total.max(1))) as u64
    }

    pub(super) fn is_short(self, limits: &MemoryLimits) -> bool {
        self.used_percent() > u64::from(limits.max_used_percent) && self.available < limits.min_available
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} % of it are used, {} are available", self.used_percent(), size(self.available))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_own_table_is_read() {
        let text = "MemTotal:       2048 kB\nMemFree:         100 kB\nMemAvailable:    512 kB\n";
        let memory = Memory::parse(text).unwrap();
        assert_eq!(memory, Memory { total: 2048 << 10, available: 512 << 10 });
        assert_eq!(memory.used_percent(), 75);
        assert_eq!(Memory::parse("MemTotal: 2048 kB\n"), None);
        Memory::of_machine().unwrap();
    }

    #[test]
    fn a_machine_is_short_of_memory_by_both_limits() {
        let memory = Memory { total: 1000, available: 50 };
        let short = |percent, available| {
            memory.is_short(&MemoryLimits::default().with_max_used_percent(percent).with_min_available(available))
        };
        assert!(short(94, 51));
        assert!(!short(95, 51), "it may use as much");
        assert!(!short(94, 50), "there is as much left as there should be");
    }
}
