//! Continuation tokens: where the next page starts, as text that means nothing to its reader.
//!
//! A token holds the last key of the page before, not how many rows came before it. So rows that come or go between two pages
//! neither repeat nor hide others.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use taskcluster_server::Failure;

/// A continuation token that the service did not give out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("The continuation token is not one that this method gave out")]
#[non_exhaustive]
pub struct NoToken;

impl From<NoToken> for Failure {
    fn from(error: NoToken) -> Self {
        Self::input_error(error.to_string())
    }
}

/// Rows of one page, and how to get the next.
#[derive(Debug)]
#[non_exhaustive]
pub struct Cut<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// What leads to the next page, if there is one.
    pub continuation_token: Option<String>,
}

/// Reads the key that a token holds; none without a token.
///
/// # Errors
/// When it is no token of ours.
pub fn after<K: DeserializeOwned>(token: Option<&str>) -> Result<Option<K>, NoToken> {
    let Some(token) = token else { return Ok(None) };
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| NoToken)?;
    // No key holds a NUL character, and PostgreSQL does not take one.
    if bytes.windows(6).any(|text| text == br"\u0000") {
        return Err(NoToken);
    }
    serde_json::from_slice(&bytes).map(Some).map_err(|_| NoToken)
}

/// A page whose rows hold more text than this ends before its limit; one row always fits.
const PAGE_BYTES: usize = 8 << 20;

/// Cuts one page out of rows of which one more was fetched than it holds.
#[must_use]
pub fn cut<T, K: Serialize>(rows: Vec<T>, limit: usize, key: impl FnOnce(&T) -> K) -> Cut<T> {
    cut_within(rows, limit, |_| 0, key)
}

/// The same, also cut where the rows become too large.
#[must_use]
pub fn cut_within<T, K: Serialize>(
    mut rows: Vec<T>,
    limit: usize,
    bytes: impl Fn(&T) -> usize,
    key: impl FnOnce(&T) -> K,
) -> Cut<T> {
    let mut sum = 0;
    let fits = |(place, row): &(usize, &T)| {
        sum += bytes(row);
        *place == 0 || (*place < limit && sum <= PAGE_BYTES)
    };
    let count = rows.iter().enumerate().take_while(fits).count();
    let more = rows.len() > count;
    rows.truncate(count);
    let last = rows.last().filter(|_| more).map(|row| serde_json::json!(key(row)).to_string());
    Cut { rows, continuation_token: last.map(|last| URL_SAFE_NO_PAD.encode(last)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_to_the_row_after_the_page() {
        let page = cut(vec!["a", "b", "c"], 2, |row| (*row).to_owned());
        assert_eq!(page.rows, ["a", "b"]);
        let key: Option<String> = after(page.continuation_token.as_deref()).unwrap();
        assert_eq!(key.as_deref(), Some("b"));
    }

    #[test]
    fn the_last_page_has_no_token() {
        assert_eq!(cut(vec![1, 2], 2, |row| *row).continuation_token, None);
        assert_eq!(cut(Vec::<i64>::new(), 2, |row| *row).continuation_token, None);
    }

    #[test]
    fn a_page_of_large_rows_is_short() {
        let mega = 1 << 20;
        let cut = |rows: &[usize]| cut_within(rows.to_vec(), 10, |row| *row, |row| *row);
        let page = cut(&[3 * mega, 3 * mega, 3 * mega]);
        assert_eq!(page.rows.len(), 2);
        assert_eq!(after::<usize>(page.continuation_token.as_deref()).unwrap(), Some(3 * mega));
        assert_eq!(cut(&[9 * mega, 1]).rows, [9 * mega]);
        assert_eq!(cut(&[9 * mega]).continuation_token, None);
        assert_eq!(cut(&[4 * mega, 4 * mega]).continuation_token, None);
    }

    #[test]
    fn a_made_up_token_is_refused() {
        assert!(after::<i64>(Some("no token")).is_err());
        assert!(after::<i64>(Some(&URL_SAFE_NO_PAD.encode("\"text\""))).is_err());
        assert!(after::<String>(Some(&URL_SAFE_NO_PAD.encode(r#""a\u0000b""#))).is_err());
        assert_eq!(after::<i64>(None).unwrap(), None);
    }
}
