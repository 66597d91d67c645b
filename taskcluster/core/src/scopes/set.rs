use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::covers;

/// A normalised set of scopes: sorted, and without those that another one of it satisfies.
///
/// It does not know roles: `assume:…` is a scope like any other, until auth expands it.
///
/// ```
/// use taskcluster_core::ScopeSet;
/// let held = ScopeSet::from_iter(["queue:task:b", "queue:*", "auth:a"]);
/// assert_eq!(held.iter().collect::<Vec<_>>(), ["auth:a", "queue:*"]);
/// assert!(held.satisfies("queue:anything"));
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct ScopeSet(Vec<String>);

/// The order of scopes: by what stands before a final star, byte by byte; of two that are equal there, the one with the
/// star first.
///
/// That puts a scope with a star before all those that it satisfies and next to them, which is what normalising and
/// searching build on.
#[must_use]
pub fn compare(a: &str, b: &str) -> Ordering {
    let (stem_a, stem_b) = (a.strip_suffix('*'), b.strip_suffix('*'));
    let by_stem = stem_a.unwrap_or(a).cmp(stem_b.unwrap_or(b));
    by_stem.then_with(|| stem_b.is_some().cmp(&stem_a.is_some()))
}

impl ScopeSet {
    /// The set with no scopes.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Whether one of the scopes satisfies `needed`. Takes logarithmic time.
    #[must_use]
    pub fn satisfies(&self, needed: &str) -> bool {
        // Everything between `p*` and a scope that begins with `p` begins with `p` too, and is therefore not in the
        // set: only the last scope that is not after `needed` can satisfy it. The exception is `x**`, which sorts after
        // the one scope `x*` that it satisfies beside itself.
        let place = self.0.partition_point(|scope| compare(scope, needed).is_le());
        let before = place.checked_sub(1).is_some_and(|last| covers(&self.0[last], needed));
        before || (needed.ends_with('*') && self.contains(&format!("{needed}*")))
    }

    /// Whether the scopes satisfy every one of `needed`.
    pub fn satisfies_all<S: AsRef<str>>(&self, needed: impl IntoIterator<Item = S>) -> bool {
        needed.into_iter().all(|scope| self.satisfies(scope.as_ref()))
    }

    /// Whether this very scope is in the set. A scope that another one satisfies is not.
    #[must_use]
    pub fn contains(&self, scope: &str) -> bool {
        self.0.binary_search_by(|held| compare(held, scope)).is_ok()
    }

    /// The scopes, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, String> {
        self.0.iter()
    }

    /// The scopes, in order.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// How many scopes there are after normalising.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no scopes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What either set has.
    #[must_use]
    pub fn merge(&self, other: &Self) -> Self {
        self.iter().chain(other.iter()).cloned().collect()
    }

    /// What both sets have: the scopes of each with which one could do nothing that the other does not permit.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        let ours = self.iter().filter(|scope| other.includes(scope));
        let theirs = other.iter().filter(|scope| self.includes(scope));
        ours.chain(theirs).cloned().collect()
    }

    /// Whether the scopes satisfy all that `scope` does. That is more than to satisfy it: `a**` satisfies `a*`, but not `a`.
    fn includes(&self, scope: &str) -> bool {
        // What includes it stands before it with nothing of this set between them.
        let place = self.0.partition_point(|held| compare(held, scope).is_le());
        place.checked_sub(1).is_some_and(|last| {
            let held = &self.0[last];
            held == scope || held.ends_with('*') && covers(held, scope.strip_suffix('*').unwrap_or(scope))
        })
    }

    /// The scopes as a list.
    #[must_use]
    pub fn into_vec(self) -> Vec<String> {
        self.0
    }
}

impl<S: Into<String>> FromIterator<S> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = S>>(scopes: I) -> Self {
        let mut scopes: Vec<String> = scopes.into_iter().map(Into::into).collect();
        scopes.sort_unstable_by(|a, b| compare(a, b));
        scopes.dedup_by(|scope, kept| covers(kept, scope));
        Self(scopes)
    }
}

impl<S: Into<String>> Extend<S> for ScopeSet {
    fn extend<I: IntoIterator<Item = S>>(&mut self, scopes: I) {
        let before = std::mem::take(&mut self.0);
        *self = before.into_iter().chain(scopes.into_iter().map(Into::into)).collect();
    }
}

impl<S: Into<String>> From<Vec<S>> for ScopeSet {
    fn from(scopes: Vec<S>) -> Self {
        Self::from_iter(scopes)
    }
}

impl IntoIterator for ScopeSet {
    type Item = String;
    type IntoIter = std::vec::IntoIter<String>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a ScopeSet {
    type Item = &'a String;
    type IntoIter = std::slice::Iter<'a, String>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl fmt::Debug for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(&self.0).finish()
    }
}

impl Serialize for ScopeSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ScopeSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<String>::deserialize(deserializer).map(Self::from_iter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scopes::satisfies;

    /// Every string of up to four characters out of `a`, `b` and `*`.
    fn small_scopes() -> Vec<String> {
        let mut all = vec![String::new()];
        let mut longest = all.clone();
        for _ in 0..4 {
            longest = longest.iter().flat_map(|stem| ['a', 'b', '*'].map(|c| format!("{stem}{c}"))).collect();
            all.extend_from_slice(&longest);
        }
        all
    }

    #[test]
    fn a_normalised_set_satisfies_exactly_what_the_list_did() {
        let all = small_scopes();
        // A walk with a large step through the triples, so that every scope meets every kind of neighbour.
        for step in 0..6000_usize {
            let list: Vec<&String> =
                (0..3).map(|i| &all[(step * 7919 + i * i * 104_729 + i * step) % all.len()]).collect();
            let set: ScopeSet = list.iter().map(|scope| scope.as_str()).collect();
            for needed in &all {
                assert_eq!(set.satisfies(needed), satisfies(&list, needed), "{list:?} {needed}");
            }
            for (i, scope) in set.iter().enumerate() {
                let rest: Vec<&String> =
                    set.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, scope)| scope).collect();
                assert!(!satisfies(&rest, scope) || scope.ends_with('*'), "{set:?}");
            }
        }
    }

    #[test]
    fn sets_merge_and_intersect() {
        let a = ScopeSet::from_iter(["a*", "c", "e:f"]);
        let b = ScopeSet::from_iter(["a:b", "c", "e*", "d"]);
        assert_eq!(a.merge(&b), ScopeSet::from_iter(["a*", "c", "d", "e*"]));
        assert_eq!(a.intersect(&b), ScopeSet::from_iter(["a:b", "c", "e:f"]));
        assert!(a.contains("a*") && !a.contains("a:b"));
        assert!(a.satisfies_all(["a:b", "c"]) && !a.satisfies_all(["a:b", "d"]));
        let (narrow, wide) = (ScopeSet::from_iter(["a**"]), ScopeSet::from_iter(["a*"]));
        assert_eq!(narrow.intersect(&wide), narrow, "what a* permits besides, a** does not");
        assert_eq!(wide.intersect(&narrow), narrow);
        let mut extended = a.clone();
        extended.extend(["*"]);
        assert_eq!(extended, ScopeSet::from_iter(["*"]));
    }

    #[test]
    fn reads_and_writes_a_list() {
        let set: ScopeSet = serde_json::from_str(r#"["b","a","b"]"#).unwrap();
        assert_eq!(serde_json::to_string(&set).unwrap(), r#"["a","b"]"#);
        assert_eq!(format!("{set:?}"), r#"{"a", "b"}"#);
    }
}
