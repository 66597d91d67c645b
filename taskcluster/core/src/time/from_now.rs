//! Relative times in TaskCluster's own small language.

use super::Timestamp;

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Units in the order in which they may follow each other, with their length in milliseconds.
const UNITS: &[(&[&str], i64)] = &[
    (&["y", "year", "years"], 365 * DAY),
    (&["mo", "month", "months"], 30 * DAY),
    (&["w", "week", "weeks"], 7 * DAY),
    (&["d", "day", "days"], DAY),
    (&["h", "hour", "hours"], HOUR),
    (&["m", "min", "minute", "minutes"], MINUTE),
    (&["s", "sec", "second", "seconds"], SECOND),
];

/// A relative time that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a relative time such as '2 days 3 hours': {reason}")]
pub struct InvalidOffset {
    text: String,
    reason: &'static str,
}

/// The time that lies `offset` after `now`, or before it where the text begins with a minus.
///
/// The language is that of every TaskCluster client's `fromNow`: whole numbers with the units years (365 days), months
/// (30 days), weeks, days, hours, minutes and seconds, from the largest to the smallest, each at most once. Units may
/// be shortened to `y`, `mo`, `w`, `d`, `h`, `min` or `m`, `sec` or `s`. Spaces do not matter; an empty text is no
/// offset.
///
/// # Errors
/// Anything else, and a sum beyond 9999 years.
///
/// ```
/// use taskcluster_core::time::{Timestamp, from_now};
/// let now: Timestamp = "2026-01-02T03:04:05Z".parse()?;
/// assert_eq!(from_now("2 days 3 hours", now)?.to_string(), "2026-01-04T06:04:05.000Z");
/// assert_eq!(from_now("-1h", now)?.to_string(), "2026-01-02T02:04:05.000Z");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn from_now(offset: &str, now: Timestamp) -> Result<Timestamp, InvalidOffset> {
    let invalid = |reason| InvalidOffset { text: offset.to_owned(), reason };
    let millis = parse(offset).map_err(invalid)?;
    let sum = now.as_millis().checked_add(millis).ok_or_else(|| invalid("it is too long"))?;
    let time = Timestamp::from_millis(sum);
    if time.as_millis() == sum { Ok(time) } else { Err(invalid("it is too long")) }
}

/// The offset in milliseconds.
fn parse(text: &str) -> Result<i64, &'static str> {
    let mut rest = text.trim();
    let mut sign = 1;
    if let Some(after) = rest.strip_prefix('-') {
        sign = -1;
        rest = after.trim_start();
    } else if let Some(after) = rest.strip_prefix('+') {
        rest = after.trim_start();
    }

    let mut sum: i64 = 0;
    let mut allowed = UNITS;
    while !rest.is_empty() {
        let (number, after) = split_while(rest, |c| c.is_ascii_digit());
        let (unit, after) = split_while(after.trim_start(), |c| c.is_ascii_alphabetic());
        if number.is_empty() {
            return Err("a whole number is missing");
        }
        if unit.is_empty() {
            return Err("a unit is missing");
        }
        let number: i64 = number.parse().map_err(|_| "it is too long")?;
        let place = allowed.iter().position(|(names, _)| names.iter().any(|name| name.eq_ignore_ascii_case(unit)));
        let place = place.ok_or("a unit is unknown, repeated or out of order")?;
        let length = number.checked_mul(allowed[place].1).ok_or("it is too long")?;
        sum = sum.checked_add(length).ok_or("it is too long")?;
        allowed = &allowed[place + 1..];
        rest = after.trim_start();
    }
    Ok(sign * sum)
}

fn split_while(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_has_its_length() {
        assert_eq!(
            parse("1 year 1 month 1 week 1 day 1 hour 1 minute 1 second"),
            Ok(365 * DAY + 30 * DAY + 7 * DAY + DAY + HOUR + MINUTE + SECOND)
        );
        assert_eq!(parse("1y1mo1w1d1h1m1s"), parse("1 YEAR 1 Month 1 week 1 day 1 hour 1 min 1 sec"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let now = Timestamp::UNIX_EPOCH;
        for (text, reason) in [
            ("days", "a whole number is missing"),
            ("1.5 days", "a unit is missing"),
            ("2", "a unit is missing"),
            ("1 fortnight", "a unit is unknown, repeated or out of order"),
            ("1 hour 1 day", "a unit is unknown, repeated or out of order"),
            ("1 day 1 day", "a unit is unknown, repeated or out of order"),
            ("99999999999999999999 days", "it is too long"),
            ("9000000000000 years", "it is too long"),
            ("9000 years", "it is too long"),
        ] {
            let error = from_now(text, now).unwrap_err();
            assert_eq!(error, InvalidOffset { text: text.to_owned(), reason });
            assert!(error.to_string().contains(text));
        }
    }
}
