//! Bytes as people read them.

/// In KiB, MiB or GiB, rounded down; small numbers in bytes.
#[must_use]
pub fn size(bytes: u64) -> String {
    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;
    match bytes {
        ..KIB => format!("{bytes} bytes"),
        KIB..MIB => format!("{} KiB", bytes / KIB),
        _ => match bytes / MIB {
            mib @ ..10_240 => format!("{mib} MiB"),
            mib => format!("{} GiB", mib / 1024),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_told_in_the_unit_that_fits() {
        let told = [0, 1023, 1024, (1 << 20) - 1, 1 << 20, 32 << 20, 10_239 << 20, 10 << 30].map(size);
        let expected = ["0 bytes", "1023 bytes", "1 KiB", "1023 KiB", "1 MiB", "32 MiB", "10239 MiB", "10 GiB"];
        assert_eq!(told, expected);
    }
}
