//! Which files it is no use to compress.

/// The endings of files whose formats compress by themselves: those that today's workers store as they are.
const ENDINGS: [&str; 28] = [
    "7z", "aab", "apk", "bz2", "deb", "dmg", "flv", "gif", "gz", "jar", "jpeg", "jpg", "lz4", "npz", "pkg", "png",
    "swf", "tbz", "tgz", "wasm", "webp", "whl", "woff", "woff2", "xpi", "xz", "zip", "zst",
];

/// Whether a file is compressed already, as far as its name tells.
pub(super) fn is_compressed(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    let ending = file.rsplit_once('.').map(|(_, ending)| ending);
    ending.is_some_and(|ending| ENDINGS.iter().any(|known| known.eq_ignore_ascii_case(ending)))
}

#[cfg(test)]
mod tests {
    use super::is_compressed;

    #[test]
    fn the_ending_tells() {
        for name in ["public/build.tar.gz", "a.ZIP", "image.tar.zst", "x/.lz4"] {
            assert!(is_compressed(name), "{name}");
        }
        for name in ["public/build.log", "zip", "public.zip/list", "gz/", "", "a.gzip"] {
            assert!(!is_compressed(name), "{name}");
        }
    }
}
