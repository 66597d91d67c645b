//! What a set of scopes is worth: the scopes themselves and everything that roles add to them.
//!
//! Having `assume:X` grants the scopes of every role whose id is `X`, and of every role `P*` with `P` a prefix of `X`.
//! Having `assume:X*` also grants the roles whose id starts with `X`, since it stands for every `assume:X…`. This goes
//! on until nothing new appears. A role whose id ends in a star may use `<..>` in its scopes: it becomes the text that
//! the star stood for.
//!
//! The resolver is immutable. A change of the roles makes a new one, so that its caches never hold something old: one
//! for what a single `assume:…` scope is worth (many requests share a few), one for whole sets (a client asks with the
//! same set each time).

mod found;

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use taskcluster_core::scopes::ScopeSet;

use found::{Found, Worth};
pub(crate) use found::{MAX_BYTES, MAX_SCOPES};

/// How scopes that name a role begin.
pub(crate) const ASSUME: &str = "assume:";

/// Stands, in a scope of a role whose id ends in a star, for the text that the star matched.
pub(crate) const PARAMETER: &str = "<..>";

/// A role as far as expansion is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The id of the role.
    pub role_id: String,
    /// The scopes that it grants.
    pub scopes: Vec<String>,
}

impl Rule {
    /// The role of this id with these scopes.
    pub fn new(role_id: impl Into<String>, scopes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { role_id: role_id.into(), scopes: scopes.into_iter().map(Into::into).collect() }
    }

    /// Whether the id ends in a star, so that it stands for many.
    pub(crate) fn is_prefix(&self) -> bool {
        self.role_id.ends_with('*')
    }

    /// The scopes of this role for the text that its star stood for.
    fn render<'a>(&'a self, text: Option<&'a str>) -> impl Iterator<Item = Cow<'a, str>> {
        self.scopes.iter().map(move |scope| match text {
            Some(text) => substitute(scope, text),
            None => Cow::Borrowed(scope.as_str()),
        })
    }
}

/// Puts `text` in the place of the parameter. A text that itself ends in a star stands for many: what comes after is
/// not known, so the scope ends in that star.
pub(crate) fn substitute<'a>(scope: &'a str, text: &str) -> Cow<'a, str> {
    match scope.split_once(PARAMETER) {
        None => Cow::Borrowed(scope),
        Some((before, _)) if text.ends_with('*') => Cow::Owned(format!("{before}{text}")),
        Some((before, after)) => Cow::Owned(format!("{before}{text}{after}")),
    }
}

/// Roles, findable by what scopes say of them.
#[derive(Debug)]
pub(crate) struct Index {
    rules: Vec<Rule>,
    /// Ids without a final star.
    literal: HashMap<String, usize>,
    /// Ids with a final star, which is left out here.
    prefix: HashMap<String, usize>,
    /// The lengths that occur among the keys of `prefix`, ascending.
    prefix_lengths: Vec<usize>,
    /// Every id without its final star, in byte order, for finding those that start with something.
    sorted: Vec<(String, usize)>,
}

impl Index {
    pub(crate) fn new(rules: Vec<Rule>) -> Self {
        let mut literal = HashMap::new();
        let mut prefix = HashMap::new();
        let mut sorted = Vec::with_capacity(rules.len());
        for (number, rule) in rules.iter().enumerate() {
            let stem = match rule.role_id.strip_suffix('*') {
                Some(stem) => {
                    prefix.insert(stem.to_owned(), number);
                    stem
                }
                None => {
                    literal.insert(rule.role_id.clone(), number);
                    &rule.role_id
                }
            };
            sorted.push((stem.to_owned(), number));
        }
        sorted.sort_unstable();
        let mut prefix_lengths: Vec<usize> = prefix.keys().map(String::len).collect();
        prefix_lengths.sort_unstable();
        prefix_lengths.dedup();
        Self { rules, literal, prefix, prefix_lengths, sorted }
    }

    pub(crate) fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The bytes that finding the roles of a scope looks at: its start is looked up for each length that occurs.
    fn price(&self, scope: &str) -> usize {
        scope.len().saturating_mul(self.prefix_lengths.len())
    }

    /// Calls `found` with the number of each role that this scope grants, and the text that the role's star stands for.
    pub(crate) fn granted(&self, scope: &str, mut found: impl FnMut(usize, Option<&str>)) {
        match named(scope) {
            Named::Nothing => {}
            Named::One(id) => {
                if let Some(&number) = self.literal.get(id) {
                    found(number, None);
                }
                self.prefixes_of(id, |number, rest| found(number, Some(rest)));
            }
            Named::Many(stem) => {
                let from = self.sorted.partition_point(|(id, _)| id.as_str() < stem);
                for (id, number) in self.sorted[from..].iter().take_while(|(id, _)| id.starts_with(stem)) {
                    // A shorter or equal `P*` is found below, with the text that is known.
                    if !self.rules[*number].is_prefix() {
                        found(*number, None);
                    } else if id.len() > stem.len() {
                        found(*number, Some("*"));
                    }
                }
                self.prefixes_of(stem, |number, rest| found(number, Some(&format!("{rest}*"))));
            }
        }
    }

    /// Calls `found` with each role `P*` where `P` is a prefix of `id`, and the rest of `id`.
    fn prefixes_of(&self, id: &str, mut found: impl FnMut(usize, &str)) {
        for &length in self.prefix_lengths.iter().take_while(|&&length| length <= id.len()) {
            let Some((start, rest)) = id.split_at_checked(length) else {
                continue;
            };
            if let Some(&number) = self.prefix.get(start) {
                found(number, rest);
            }
        }
    }
}

/// What a scope says of roles.
enum Named<'a> {
    /// No role; or `*`, which has everything already.
    Nothing,
    /// The role of this id.
    One(&'a str),
    /// Every role whose id starts so.
    Many(&'a str),
}

fn named(scope: &str) -> Named<'_> {
    match (scope.strip_prefix(ASSUME), scope.strip_suffix('*')) {
        (Some(id), stem) => match stem {
            Some(_) => Named::Many(&id[..id.len() - 1]),
            None => Named::One(id),
        },
        // `a*` … `assume*`
        (None, Some(stem)) if !stem.is_empty() && ASSUME.starts_with(stem) => Named::Many(""),
        (None, _) => Named::Nothing,
    }
}

/// Whether a role could add something to what this scope grants.
fn names_roles(scope: &str) -> bool {
    !matches!(named(scope), Named::Nothing)
}

/// Expands scopes by a fixed set of roles.
///
/// ```
/// use taskcluster_auth::expand::{Resolver, Rule};
///
/// let resolver = Resolver::new(vec![
///     Rule::new("repo:*", ["assume:project", "index:insert:<..>.*"]),
///     Rule::new("project", ["queue:create-task:lowest:*"]),
/// ]);
/// let worth = resolver.expand(&["assume:repo:blue".to_owned()]);
/// assert_eq!(
///     worth.as_slice(),
///     ["assume:project", "assume:repo:blue", "index:insert:blue.*", "queue:create-task:lowest:*"]
/// );
/// ```
///
/// The roles must be free of cycles ([`cycles`](crate::cycles) refuses those). What roles add has a limit, far beyond
/// what roles are usually worth ([`size`](crate::size) refuses such roles): the rest of a larger expansion is left out,
/// so that it is worth less than it could be, and never more.
#[derive(Debug)]
pub struct Resolver {
    index: Index,
    /// What one scope that names roles is worth, itself left out.
    pieces: Kept<String, Worth>,
    /// What a whole set is worth.
    sets: Kept<Arc<[String]>, ScopeSet>,
}

/// Results that are kept while there is room: a cache that counts bytes.
type Kept<Key, Value> = Cache<Key, Arc<Value>, Bytes>;

/// The bytes that all pieces may have together, and so may all whole sets.
const ROOM: u64 = 32 << 20;

/// A cache has this many parts, each with a lock of its own: few, so that the largest worth fits into one.
const PARTS: usize = 2;

impl Resolver {
    /// A resolver for these roles.
    pub fn new(rules: Vec<Rule>) -> Self {
        Self { index: Index::new(rules), pieces: kept(), sets: kept() }
    }

    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    /// Everything that these scopes are worth, themselves included, in normal form.
    pub fn expand(&self, scopes: &[String]) -> Arc<ScopeSet> {
        if let Some(known) = self.sets.get(scopes) {
            return known;
        }
        let expanded = Arc::new(self.compute(scopes));
        self.sets.insert(scopes.into(), Arc::clone(&expanded));
        expanded
    }

    /// Whether everything that this scope is worth is within the limits.
    pub(crate) fn is_complete(&self, scope: &str) -> bool {
        self.piece(scope).complete
    }

    fn compute(&self, scopes: &[String]) -> ScopeSet {
        let mut found = Found::default();
        for scope in scopes.iter().filter(|scope| names_roles(scope)) {
            if found.is_full() {
                break;
            }
            found.add_all(&self.piece(scope));
        }
        found.into_worth().scopes.into_vec().into_iter().chain(scopes.iter().cloned()).collect()
    }

    /// What one scope is worth.
    fn piece(&self, scope: &str) -> Arc<Worth> {
        if let Some(known) = self.pieces.get(scope) {
            return known;
        }
        let worth = Arc::new(self.walk(scope));
        if !worth.complete {
            let start: String = scope.chars().take(100).collect();
            tracing::warn!(scope = start, "roles add more to this scope than an expansion may have: some is left out");
        }
        self.pieces.insert(scope.to_owned(), Arc::clone(&worth));
        worth
    }

    /// Goes over the roles that a scope reaches. That takes nothing from the caches: what is left out when a limit is
    /// met must not depend on what others have asked for.
    fn walk(&self, scope: &str) -> Worth {
        let mut found = Found::default();
        let mut to_visit = vec![scope.to_owned()];
        while let Some(current) = to_visit.pop() {
            if !found.look(self.index.price(&current)) {
                break;
            }
            self.index.granted(&current, |number, text| {
                if !found.look(0) {
                    return;
                }
                for granted in self.index.rules[number].render(text) {
                    if !found.look(granted.len()) {
                        return;
                    }
                    if found.add(&granted) && names_roles(&granted) {
                        to_visit.push(granted.into_owned());
                    }
                }
            });
        }
        found.into_worth()
    }
}

fn kept<Key: Eq + Hash, Value>() -> Kept<Key, Value>
where
    Bytes: Weighter<Key, Arc<Value>>,
{
    let options = OptionsBuilder::new()
        .shards(PARTS)
        .estimated_items_capacity(1000)
        .weight_capacity(ROOM)
        .build()
        .expect("both sizes are given");
    Cache::with_options(options, Bytes, DefaultHashBuilder::default(), DefaultLifecycle::default())
}

/// Weighs what a cache keeps by the memory that it takes.
#[derive(Clone, Debug)]
struct Bytes;

impl Weighter<String, Arc<Worth>> for Bytes {
    fn weight(&self, scope: &String, worth: &Arc<Worth>) -> u64 {
        (scope.len() + worth.bytes()) as u64
    }
}

impl Weighter<Arc<[String]>, Arc<ScopeSet>> for Bytes {
    fn weight(&self, given: &Arc<[String]>, set: &Arc<ScopeSet>) -> u64 {
        (bytes(given) + bytes(set.as_slice())) as u64
    }
}

/// What keeping these scopes takes, about.
fn bytes(scopes: &[String]) -> usize {
    scopes.iter().map(|scope| scope.len() + size_of::<String>()).sum::<usize>() + size_of::<ScopeSet>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(rules: &[(&str, &[&str])], given: &[&str]) -> Vec<String> {
        let rules = rules.iter().map(|(id, scopes)| Rule::new(*id, scopes.iter().copied())).collect();
        let given: Vec<String> = given.iter().map(ToString::to_string).collect();
        Resolver::new(rules).expand(&given).as_slice().to_vec()
    }

    #[test]
    fn a_star_in_the_request_takes_longer_and_shorter_ids() {
        let rules: &[(&str, &[&str])] = &[("a", &["A"]), ("aa", &["AA"]), ("ab", &["AB"]), ("a*", &["ASTAR"])];
        assert_eq!(expand(rules, &["assume:a*"]), ["A", "AA", "AB", "ASTAR", "assume:a*"]);
        assert_eq!(expand(rules, &["assume:a"]), ["A", "ASTAR", "assume:a"]);
        assert_eq!(expand(rules, &["assume:abc"]), ["ASTAR", "assume:abc"]);
        assert_eq!(expand(rules, &["assume:ab*"]), ["AB", "ASTAR", "assume:ab*"]);
    }

    #[test]
    fn short_stars_take_every_role_but_the_lone_star_needs_none() {
        let rules: &[(&str, &[&str])] = &[("x", &["X"]), ("y*", &["Y<..>"])];
        for scope in ["a*", "as*", "ass*", "assu*", "assum*", "assume*", "assume:*"] {
            assert_eq!(expand(rules, &[scope]), ["X", "Y*", scope], "{scope}");
        }
        assert_eq!(expand(rules, &["*"]), ["*"]);
        assert_eq!(expand(rules, &["assum"]), ["assum"]);
        assert_eq!(expand(rules, &["b*"]), ["b*"]);
    }

    #[test]
    fn a_star_inside_an_id_is_a_character() {
        let rules: &[(&str, &[&str])] = &[("a*a", &["found"])];
        assert_eq!(expand(rules, &["assume:aba"]), ["assume:aba"]);
        assert_eq!(expand(rules, &["assume:a*a"]), ["assume:a*a", "found"]);
    }

    #[test]
    fn the_parameter_becomes_what_the_star_stood_for() {
        let rules: &[(&str, &[&str])] = &[("e*", &["E<..>F"])];
        assert_eq!(expand(rules, &["assume:eX"]), ["EXF", "assume:eX"]);
        assert_eq!(expand(rules, &["assume:eXY*"]), ["EXY*", "assume:eXY*"]);
        assert_eq!(expand(rules, &["assume:e*"]), ["E*", "assume:e*"]);
        assert_eq!(expand(rules, &["assume:e"]), ["EF", "assume:e"]);
        let rules: &[(&str, &[&str])] = &[("project-admin:*", &["secrets:get:project/<..>/*"]), ("plain", &["<..>"])];
        assert_eq!(
            expand(rules, &["assume:project-admin:ops*"]),
            ["assume:project-admin:ops*", "secrets:get:project/ops*"]
        );
        assert_eq!(expand(rules, &["assume:plain"]), ["<..>", "assume:plain"]);
    }

    #[test]
    fn a_long_chain_does_not_exhaust_the_stack() {
        let rules: Vec<Rule> = (0..20_000)
            .map(|n| Rule::new(format!("r{n:05}"), [format!("assume:r{:05}", n + 1), format!("s:{n:05}")]))
            .collect();
        let expanded = Resolver::new(rules).expand(&["assume:r00000".to_owned()]);
        assert_eq!(expanded.iter().count(), 40_001);
    }

    /// Each role names the next one twice, with another text.
    fn doubling(count: usize) -> Resolver {
        let scopes = |n: usize| ["a", "b"].map(|end| format!("assume:r{:02}:<..>{end}", n + 1));
        Resolver::new((0..count).map(|n| Rule::new(format!("r{n:02}:*"), scopes(n))).collect())
    }

    #[test]
    fn an_expansion_stops_at_the_limit() {
        let expanded = doubling(64).expand(&["assume:r00:x".to_owned(), "y".to_owned()]);
        assert_eq!(expanded.len(), MAX_SCOPES + 2);
        assert!(expanded.satisfies("assume:r00:x") && expanded.satisfies("y"), "what was given stays");
        assert!(expanded.iter().all(|scope| scope.starts_with("assume:r") || scope == "y"));
    }

    #[test]
    fn what_was_worked_out_is_kept_even_the_largest() {
        let (resolver, given) = (doubling(64), ["assume:r00:x".to_owned()]);
        assert!(Arc::ptr_eq(&resolver.expand(&given), &resolver.expand(&given)));
        assert!(Arc::ptr_eq(&resolver.piece(&given[0]), &resolver.piece(&given[0])));
    }

    #[test]
    fn many_scopes_together_have_the_same_limit() {
        let given: Vec<String> = (0..100).map(|n| format!("assume:r04:{n}")).collect();
        let resolver = doubling(14);
        assert_eq!(resolver.expand(&given[..1]).len(), (1 << 11) - 1);
        assert_eq!(resolver.expand(&given).len(), MAX_SCOPES + given.len());
        assert_eq!(resolver.expand(&vec![given[0].clone(); 300]).len(), (1 << 11) - 1, "the same again adds nothing");
    }

    #[test]
    fn long_scopes_have_a_limit_too() {
        let long = |n: usize| [format!("assume:r{}:<..>{}", n + 1, "x".repeat(100_000))];
        let resolver = Resolver::new((0..100).map(|n| Rule::new(format!("r{n}:*"), long(n))).collect());
        let expanded = resolver.expand(&["assume:r0:".to_owned()]);
        assert!(expanded.len() > 5 && bytes(expanded.as_slice()) < MAX_BYTES + 1000, "{}", expanded.len());
    }
}
