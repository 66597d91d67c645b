//! Which part of a log a reader asks for (RFC 9110, section 14), also of one that still grows (RFC 8673).

use http::HeaderValue;

/// The last position of a part that has no end yet: RFC 8673 wants a number there, and names this one.
const FAR: u64 = (1 << 53) - 1;

/// What part of a log is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Its first byte.
    pub(super) from: u64,
    /// The byte after its last; `None`: whatever comes until the log is closed.
    pub(super) end: Option<u64>,
}

/// There is no such part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unsatisfiable;

/// How much of a log there is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    pub(super) length: u64,
    pub(super) closed: bool,
}

impl Extent {
    /// The whole log.
    pub(super) fn whole(self) -> Part {
        Part { from: 0, end: self.closed.then_some(self.length) }
    }

    /// What the value of a `Range` header asks for. `None` where it is to be ignored: another unit, several ranges, no range.
    pub(super) fn part(self, range: &HeaderValue) -> Option<Result<Part, Unsatisfiable>> {
        let (first, last) = range.to_str().ok()?.trim().strip_prefix("bytes=")?.split_once('-')?;
        if first.is_empty() {
            return Some(self.last(number(last)?));
        }
        let first = number(first)?;
        let last = if last.is_empty() { u64::MAX } else { number(last)? };
        (first <= last).then(|| self.between(first, last))
    }

    fn last(self, wanted: u64) -> Result<Part, Unsatisfiable> {
        if wanted == 0 {
            return Err(Unsatisfiable);
        }
        self.between(self.length.saturating_sub(wanted), u64::MAX)
    }

    fn between(self, first: u64, last: u64) -> Result<Part, Unsatisfiable> {
        let follows = last >= FAR && !self.closed;
        // Somebody who has all that there is may wait for what comes.
        if first > self.length || first == self.length && !follows {
            return Err(Unsatisfiable);
        }
        Ok(Part { from: first, end: (!follows).then(|| last.saturating_add(1).min(self.length)) })
    }

    /// The value of `Content-Range` for a part.
    pub(super) fn content_range(self, part: Part) -> String {
        let last = part.end.map_or(FAR, |end| end.saturating_sub(1));
        if self.closed {
            format!("bytes {}-{last}/{}", part.from, self.length)
        } else {
            format!("bytes {}-{last}/*", part.from)
        }
    }

    /// The value of `Content-Range` where there is no such part.
    pub(super) fn unsatisfied(self) -> String {
        format!("bytes */{}", self.length)
    }
}

/// Digits only. What is too large for any log is as far as can be.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(extent: Extent, range: &'static str) -> String {
        match extent.part(&HeaderValue::from_static(range)) {
            None => "all".to_owned(),
            Some(Err(Unsatisfiable)) => extent.unsatisfied(),
            Some(Ok(part)) => extent.content_range(part),
        }
    }

    #[test]
    fn parts_of_a_log_that_grows() {
        let extent = Extent { length: 10, closed: false };
        for (range, answer) in [
            ("bytes=0-", "bytes 0-9007199254740991/*"),
            ("bytes=10-", "bytes 10-9007199254740991/*"),
            ("bytes=11-", "bytes */10"),
            ("bytes=2-9007199254740991", "bytes 2-9007199254740991/*"),
            ("bytes=2-4", "bytes 2-4/*"),
            ("bytes=2-400", "bytes 2-9/*"),
            ("bytes=10-12", "bytes */10"),
            ("bytes=-4", "bytes 6-9007199254740991/*"),
            ("bytes=-40", "bytes 0-9007199254740991/*"),
            ("bytes=-0", "bytes */10"),
            ("bytes=99999999999999999999-", "bytes */10"),
        ] {
            assert_eq!(part(extent, range), answer, "{range}");
        }
    }

    #[test]
    fn parts_of_a_log_that_is_closed() {
        let extent = Extent { length: 10, closed: true };
        for (range, answer) in [
            ("bytes=0-", "bytes 0-9/10"),
            ("bytes=9-", "bytes 9-9/10"),
            ("bytes=10-", "bytes */10"),
            ("bytes=-4", "bytes 6-9/10"),
            ("bytes=2-99999999999999999999", "bytes 2-9/10"),
        ] {
            assert_eq!(part(extent, range), answer, "{range}");
        }
    }

    #[test]
    fn what_is_no_single_range_of_bytes_is_ignored() {
        let extent = Extent { length: 10, closed: false };
        for range in
            ["lines=1-2", "bytes=", "bytes=-", "bytes=1-2,4-5", "bytes=4-2", "bytes=+1-2", "bytes=a-b", "bytes"]
        {
            assert_eq!(part(extent, range), "all", "{range}");
        }
    }

    #[test]
    fn an_empty_log_can_be_waited_for() {
        let extent = Extent { length: 0, closed: false };
        assert_eq!(part(extent, "bytes=0-"), "bytes 0-9007199254740991/*");
        assert_eq!(part(extent, "bytes=-5"), "bytes 0-9007199254740991/*");
        assert_eq!(part(Extent { closed: true, ..extent }, "bytes=0-"), "bytes */0");
    }
}
