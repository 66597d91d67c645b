//! Lists in pages. A continuation token is the place of the last entry, so that nothing is listed twice or left out
//! while the list changes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use taskcluster_server::Failure;

use crate::store::Part;

/// A page never has more entries.
const MOST: u32 = 1000;

/// Which page is wanted.
#[derive(Debug)]
pub(super) struct Page {
    limit: u32,
    place: Vec<String>,
}

impl Page {
    /// Reads the query.
    pub(super) fn new(token: Option<String>, limit: Option<u32>) -> Result<Self, Failure> {
        if limit == Some(0) {
            return Err(Failure::invalid_arguments(
                "limit 0 would give pages without entries; leave it out or ask for at least 1",
            ));
        }
        let place = match token {
            None => Vec::new(),
            Some(token) => {
                let bytes = URL_SAFE_NO_PAD.decode(&token).ok();
                let place = bytes.and_then(|bytes| serde_json::from_slice::<Vec<String>>(&bytes).ok());
                // No name holds a NUL character, and PostgreSQL does not take one.
                place.filter(|place| !place.iter().any(|part| part.contains('\0'))).ok_or_else(|| {
                    Failure::input_error(format!("continuationToken {token:?} is none of those that we gave out"))
                })?
            }
        };
        Ok(Self { limit: limit.unwrap_or(MOST).min(MOST), place })
    }

    /// How many rows to ask for: one more than fit, to know whether the list goes on.
    pub(super) fn rows(&self) -> u32 {
        self.limit + 1
    }

    /// How many entries the page has at most.
    pub(super) fn limit(&self) -> u32 {
        self.limit
    }

    /// A part of the place after which the page begins; empty at the beginning.
    pub(super) fn after(&self, part: usize) -> &str {
        self.place.get(part).map_or("", String::as_str)
    }

    /// A part of the place that is a number.
    pub(super) fn number_after(&self, part: usize) -> i64 {
        self.after(part).parse().unwrap_or(0)
    }

    /// Cuts the rows to the page and gives the token of the next one.
    pub(super) fn cut<T>(&self, rows: &mut Vec<T>, place: impl Fn(&T) -> Vec<String>) -> Option<String> {
        let limit = self.limit as usize;
        if rows.len() <= limit {
            return None;
        }
        rows.truncate(limit);
        Some(token(&place(rows.last()?)))
    }

    /// The token of the page after one that the store has cut.
    pub(super) fn next<T>(part: &Part<T>, place: impl Fn(&T) -> Vec<String>) -> Option<String> {
        part.rows.last().filter(|_| part.more).map(|last| token(&place(last)))
    }
}

fn token(place: &[String]) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(place).expect("a list of texts"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_lead_to_the_next_page() {
        let page = Page::new(None, Some(2)).unwrap();
        assert_eq!((page.rows(), page.after(0)), (3, ""));
        let mut rows = vec!["a", "b", "c"];
        let token = page.cut(&mut rows, |row| vec![(*row).to_owned()]).unwrap();
        assert_eq!(rows, ["a", "b"]);
        let next = Page::new(Some(token), None).unwrap();
        assert_eq!((next.after(0), next.rows()), ("b", 1001));
        assert_eq!(next.cut(&mut rows, |_| Vec::new()), None);
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(Page::new(None, Some(0)).unwrap_err().status(), 400);
        for nonsense in ["nonsense".to_owned(), URL_SAFE_NO_PAD.encode(r#"["a\u0000b"]"#)] {
            assert_eq!(Page::new(Some(nonsense), None).unwrap_err().status(), 400);
        }
        assert_eq!(Page::new(None, Some(5000)).unwrap().rows(), 1001);
    }
}
