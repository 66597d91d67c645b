//! Points in time as TaskCluster writes them, and relative times such as `2 days 3 hours`.

mod from_now;

use std::fmt;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::str::FromStr;
use std::time::Duration;

use jiff::fmt::temporal::Pieces;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use from_now::{InvalidOffset, from_now};

/// A point in time, to the millisecond.
///
/// Reads RFC 3339 with any offset and any number of fraction digits; always writes the form that TaskCluster's own
/// services write, `YYYY-MM-DDTHH:MM:SS.mmmZ`. What is finer than a millisecond is cut off at once, so that a time is
/// equal to itself after a round trip. The last time that can be said is some hours before the end of the year 9999;
/// later ones are read as that.
///
/// ```
/// use taskcluster_core::Timestamp;
/// let time: Timestamp = "2026-01-02T04:04:05+01:00".parse()?;
/// assert_eq!(time.to_string(), "2026-01-02T03:04:05.000Z");
/// # Ok::<(), taskcluster_core::time::InvalidTimestamp>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(jiff::Timestamp);

/// A text that is not an RFC 3339 time with its offset.
#[derive(Debug, thiserror::Error)]
#[error("'{text}' is not a time such as 2026-01-02T03:04:05.000Z")]
pub struct InvalidTimestamp {
    text: String,
    #[source]
    source: jiff::Error,
}

impl Timestamp {
    /// 1970-01-01T00:00:00.000Z.
    pub const UNIX_EPOCH: Self = Self(jiff::Timestamp::UNIX_EPOCH);

    /// The time that the system's clock says, to the millisecond. Code whose tests move the time asks a
    /// [`Clock`](crate::Clock) instead.
    #[must_use]
    pub fn now() -> Self {
        jiff::Timestamp::now().into()
    }

    /// The time that lies this far from now by the system's clock: `"2 days 3 hours"`, `"-1h"`. [`from_now`] says what may
    /// stand there, and takes the time of another clock.
    ///
    /// ```
    /// use taskcluster_core::Timestamp;
    /// let deadline = Timestamp::from_now("2 days 3 hours")?;
    /// assert!(deadline > Timestamp::now());
    /// # Ok::<(), taskcluster_core::time::InvalidOffset>(())
    /// ```
    ///
    /// # Errors
    /// The text is not such a time.
    pub fn from_now(offset: &str) -> Result<Self, InvalidOffset> {
        from_now(offset, Self::now())
    }

    /// The time `millis` milliseconds after 1970-01-01T00:00:00Z (before, if negative); the last time that can be said,
    /// where it is beyond the year 9999.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        let end = if millis < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
        Self::from(jiff::Timestamp::from_millisecond(millis).unwrap_or(end))
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn as_millis(self) -> i64 {
        self.0.as_millisecond()
    }

    /// Whole seconds since 1970-01-01T00:00:00Z, rounded down.
    #[must_use]
    pub fn as_seconds(self) -> i64 {
        self.as_millis().div_euclid(1000)
    }

    /// How long after `earlier` this is; nothing if it is not.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.as_millis() - earlier.as_millis()).unwrap_or(0))
    }

    /// How far the two are apart, whichever is first.
    #[must_use]
    pub fn distance(self, other: Self) -> Duration {
        Duration::from_millis(self.as_millis().abs_diff(other.as_millis()))
    }
}

impl From<jiff::Timestamp> for Timestamp {
    fn from(time: jiff::Timestamp) -> Self {
        // Rounding down, also before 1970. At the very ends of what can be said, whole seconds have to do.
        let millis = time.as_nanosecond().div_euclid(1_000_000);
        let cut = i64::try_from(millis).ok().and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
        let second = || jiff::Timestamp::from_second(time.as_second()).ok();
        Self(cut.or_else(second).unwrap_or(jiff::Timestamp::UNIX_EPOCH))
    }
}

impl From<Timestamp> for jiff::Timestamp {
    fn from(time: Timestamp) -> Self {
        time.0
    }
}

impl From<std::time::SystemTime> for Timestamp {
    fn from(time: std::time::SystemTime) -> Self {
        let end = if time < std::time::UNIX_EPOCH { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
        jiff::Timestamp::try_from(time).unwrap_or(end).into()
    }
}

impl From<Timestamp> for std::time::SystemTime {
    fn from(time: Timestamp) -> Self {
        let distance = time.distance(Timestamp::UNIX_EPOCH);
        if time < Timestamp::UNIX_EPOCH { Self::UNIX_EPOCH - distance } else { Self::UNIX_EPOCH + distance }
    }
}

/// Stops at the year 9999 instead of overflowing.
impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self::from_millis(self.as_millis().saturating_add(millis))
    }
}

/// Stops at the year −9999 instead of overflowing.
impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self::from_millis(self.as_millis().saturating_sub(millis))
    }
}

impl AddAssign<Duration> for Timestamp {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl SubAssign<Duration> for Timestamp {
    fn sub_assign(&mut self, duration: Duration) {
        *self = *self - duration;
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        match text.parse::<jiff::Timestamp>() {
            Ok(time) => Ok(time.into()),
            Err(source) => beyond_the_ends(text).ok_or_else(|| InvalidTimestamp { text: text.to_owned(), source }),
        }
    }
}

/// The nearest time that can be said, for a well-formed one that cannot. RFC 3339 goes to the end of the year 9999 and
/// people write that for "never", but jiff stops some hours earlier.
fn beyond_the_ends(text: &str) -> Option<Timestamp> {
    let pieces = Pieces::parse(text).ok()?;
    let time = pieces.date().to_datetime(pieces.time()?);
    let offset = pieces.to_numeric_offset()?;
    offset.to_timestamp(time).err()?;
    let end = if time.year() < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    Some(end.into())
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.0)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TimestampText)
    }
}

/// Reads a time without a copy of its text.
struct TimestampText;

impl Visitor<'_> for TimestampText {
    type Value = Timestamp;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time such as 2026-01-02T03:04:05.000Z")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Timestamp, E> {
        text.parse().map_err(E::custom)
    }
}

/// `n` minutes.
#[must_use]
pub const fn minutes(n: u64) -> Duration {
    Duration::from_secs(60 * n)
}

/// `n` hours.
#[must_use]
pub const fn hours(n: u64) -> Duration {
    minutes(60 * n)
}

/// `n` days of 24 hours.
#[must_use]
pub const fn days(n: u64) -> Duration {
    hours(24 * n)
}

/// The time of an HTTP `Date` header (RFC 9110 §5.6.7), such as `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(crate) fn parse_http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok().map(Timestamp::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn writes_three_digits_and_z() {
        assert_eq!(at("2026-01-02T03:04:05Z").to_string(), "2026-01-02T03:04:05.000Z");
        assert_eq!(at("2026-01-02T03:04:05.1Z").to_string(), "2026-01-02T03:04:05.100Z");
        assert_eq!(at("2026-01-02T03:04:05.123456789-02:30").to_string(), "2026-01-02T05:34:05.123Z");
        assert_eq!(serde_json::to_string(&at("2026-01-02T03:04:05Z")).unwrap(), "\"2026-01-02T03:04:05.000Z\"");
    }

    #[test]
    fn is_cut_to_milliseconds_when_read() {
        let time: Timestamp = serde_json::from_str("\"2026-01-02T03:04:05.123999Z\"").unwrap();
        assert_eq!(time, at("2026-01-02T03:04:05.123Z"));
        assert_eq!(at("1969-12-31T23:59:59.9999Z").as_millis(), -1);
    }

    #[test]
    fn the_end_of_the_year_9999_is_read_as_the_last_time_there_is() {
        let last = Timestamp::from_millis(i64::MAX);
        assert_eq!(at("9999-12-30T22:00:00.999Z"), last);
        for never in ["9999-12-31T23:59:59.999Z", "9999-12-30T22:00:01Z", "9999-12-31T23:59:59-23:59"] {
            assert_eq!(at(never), last, "{never}");
            assert_eq!(serde_json::from_str::<Timestamp>(&format!("\"{never}\"")).unwrap(), last, "{never}");
        }
        assert_eq!(at(&last.to_string()), last);
        assert_eq!(at("9999-12-30T21:59:59.123Z").to_string(), "9999-12-30T21:59:59.123Z");
        for wrong in ["9999-12-31T23:59:59.999", "9999-12-32T00:00:00Z", "9999-12-31", "10000-01-01T00:00:00Z"] {
            assert!(wrong.parse::<Timestamp>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn needs_an_offset() {
        let error = "2026-01-02T03:04:05".parse::<Timestamp>().unwrap_err();
        assert!(error.to_string().contains("'2026-01-02T03:04:05'"));
        assert!(serde_json::from_str::<Timestamp>("\"yesterday\"").is_err());
    }

    #[test]
    fn arithmetic_stops_at_the_ends() {
        let time = at("2026-01-02T03:04:05Z");
        assert_eq!((time + days(1)).to_string(), "2026-01-03T03:04:05.000Z");
        assert_eq!((time + days(1)).since(time), hours(24));
        assert_eq!(time.since(time + minutes(1)), Duration::ZERO);
        assert_eq!(time.distance(time + minutes(1)), minutes(1));
        assert!((time + Duration::MAX).to_string().starts_with("9999-12-"));
        assert!((time - Duration::MAX).to_string().starts_with("-009999-01-"));
        assert!(time - Duration::MAX < Timestamp::UNIX_EPOCH);
        assert_eq!(Timestamp::from_millis(i64::MAX), time + Duration::MAX);
    }

    #[test]
    fn is_a_time_of_the_standard_library_and_back() {
        for time in [at("2026-01-02T03:04:05.678Z"), at("1969-12-31T23:59:59.999Z")] {
            assert_eq!(Timestamp::from(std::time::SystemTime::from(time)), time);
        }
        assert!(Timestamp::from_now("soon").is_err());
    }

    #[test]
    fn reads_the_dates_of_http() {
        assert_eq!(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(at("1994-11-06T08:49:37Z")));
        assert_eq!(parse_http_date("soon"), None);
    }
}
