//! The processors that this process may use.

use std::io;

/// Their numbers.
///
/// # Errors
/// The system does not tell.
pub(crate) fn usable() -> io::Result<Vec<u32>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    list.and_then(|list| parse(list.trim())).ok_or_else(|| io::Error::other("/proc/self/status does not list them"))
}

/// A list as the kernel writes it: `0-3,8`.
fn parse(list: &str) -> Option<Vec<u32>> {
    let mut numbers = Vec::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        numbers.extend(first.parse::<u32>().ok()?..=last.parse::<u32>().ok()?);
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_the_kernel_are_read() {
        assert_eq!(parse("0-2,8,10-11"), Some(vec![0, 1, 2, 8, 10, 11]));
        assert_eq!((parse(""), parse("0-")), (None, None));
        assert!(!usable().unwrap().is_empty());
    }
}
