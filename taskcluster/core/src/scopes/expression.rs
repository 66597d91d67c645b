use std::fmt;

use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ScopeSet;

/// What a caller must have: a scope, all of several things, or any of several.
///
/// On the wire a string, `{"AllOf": […]}` or `{"AnyOf": […]}`. `Display` gives the form of the services' error
/// messages: a single scope bare, otherwise JSON indented by two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScopeExpression {
    /// This scope.
    Scope(String),
    /// All of these; nothing to ask for, if there are none.
    AllOf(Vec<ScopeExpression>),
    /// One of these; never to be had, if there are none.
    AnyOf(Vec<ScopeExpression>),
}

impl ScopeExpression {
    /// Whether somebody with these scopes has what is asked for.
    #[must_use]
    pub fn satisfied_by(&self, held: &ScopeSet) -> bool {
        match self {
            Self::Scope(scope) => held.satisfies(scope),
            Self::AllOf(parts) => parts.iter().all(|part| part.satisfied_by(held)),
            Self::AnyOf(parts) => parts.iter().any(|part| part.satisfied_by(held)),
        }
    }

    /// What somebody with these scopes lacks, as short as it can be said; `None` if nothing.
    ///
    /// The rule is that of the services' messages: what is satisfied is left out, and a list of one stands for its
    /// element.
    pub fn remainder(&self, held: &ScopeSet) -> Option<Self> {
        if self.satisfied_by(held) {
            return None;
        }
        let collapse = |parts: &[Self], list: fn(Vec<Self>) -> Self| {
            let mut left: Vec<Self> = parts.iter().filter_map(|part| part.remainder(held)).collect();
            match left.len() {
                1 => left.pop(),
                _ => Some(list(left)),
            }
        };
        match self {
            Self::Scope(_) => Some(self.clone()),
            Self::AllOf(parts) => collapse(parts, Self::AllOf),
            Self::AnyOf(parts) => collapse(parts, Self::AnyOf),
        }
    }

    /// As few rights as possible that satisfy this, to issue credentials for just one purpose. `None` if nothing can
    /// satisfy it.
    ///
    /// Where there is a choice, a way that grants no more than another one is better; of those that remain, the one with the
    /// fewest scopes; of those, the one whose alternatives are named first. The choice is made for the whole expression: an
    /// alternative that something else asks for anyway costs nothing. (At most 32 ways are followed at a time, those with
    /// the fewest scopes. What is beyond that may be missed, so that a hostile expression costs no more than that.)
    ///
    /// ```
    /// use taskcluster_core::{ScopeSet, scopes::{Params, ScopeTemplate}};
    /// let template = ScopeTemplate::AnyOf(&[ScopeTemplate::Scope("queue:*"), ScopeTemplate::Scope("queue:<x>")]);
    /// let needed = template.render(&Params::new().text("x", "a"))?.unwrap();
    /// assert_eq!(needed.least(), Some(ScopeSet::from_iter(["queue:a"])));
    /// # Ok::<(), taskcluster_core::scopes::RenderError>(())
    /// ```
    #[must_use]
    pub fn least(&self) -> Option<ScopeSet> {
        super::least::ways(self).into_iter().min_by_key(ScopeSet::len)
    }

    /// Every scope that is named, in order, whichever way they are combined.
    pub fn scopes(&self) -> Vec<&str> {
        match self {
            Self::Scope(scope) => vec![scope],
            Self::AllOf(parts) | Self::AnyOf(parts) => parts.iter().flat_map(Self::scopes).collect(),
        }
    }
}

impl fmt::Display for ScopeExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scope(scope) => f.write_str(scope),
            Self::AllOf(_) | Self::AnyOf(_) => {
                f.write_str(&serde_json::to_string_pretty(self).map_err(|_| fmt::Error)?)
            }
        }
    }
}

impl Serialize for ScopeExpression {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (key, parts) = match self {
            Self::Scope(scope) => return serializer.serialize_str(scope),
            Self::AllOf(parts) => ("AllOf", parts),
            Self::AnyOf(parts) => ("AnyOf", parts),
        };
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(key, parts)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for ScopeExpression {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a scope, or an object with AllOf or AnyOf")]
        enum Wire {
            Scope(String),
            List(List),
        }

        #[derive(Deserialize)]
        enum List {
            AllOf(Vec<ScopeExpression>),
            AnyOf(Vec<ScopeExpression>),
        }

        Ok(match Wire::deserialize(deserializer)? {
            Wire::Scope(scope) => Self::Scope(scope),
            Wire::List(List::AllOf(parts)) => Self::AllOf(parts),
            Wire::List(List::AnyOf(parts)) => Self::AnyOf(parts),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    fn remainder(expression: serde_json::Value, held: &[&str]) -> Option<serde_json::Value> {
        let expression: ScopeExpression = from_value(expression).unwrap();
        let rest = expression.remainder(&held.iter().copied().collect());
        assert_eq!(rest.is_none(), expression.satisfied_by(&held.iter().copied().collect()));
        rest.map(|rest| serde_json::to_value(rest).unwrap())
    }

    #[test]
    fn the_remainder_leaves_out_what_is_held() {
        assert_eq!(remainder(json!("a"), &["a"]), None);
        assert_eq!(remainder(json!("a"), &[]), Some(json!("a")));
        assert_eq!(remainder(json!({"AllOf": ["a", "b", "c"]}), &["b"]), Some(json!({"AllOf": ["a", "c"]})));
        assert_eq!(remainder(json!({"AllOf": ["a", "b"]}), &["b"]), Some(json!("a")));
        assert_eq!(remainder(json!({"AllOf": ["a", {"AnyOf": ["b", "c"]}]}), &["c"]), Some(json!("a")));
        assert_eq!(
            remainder(json!({"AnyOf": [{"AllOf": ["a", "b"]}, "c"]}), &["a"]),
            Some(json!({"AnyOf": ["b", "c"]}))
        );
        assert_eq!(remainder(json!({"AnyOf": [{"AnyOf": []}]}), &["a"]), Some(json!({"AnyOf": []})));
        assert_eq!(remainder(json!({"AllOf": []}), &[]), None);
        assert_eq!(remainder(json!({"AnyOf": []}), &["*"]), Some(json!({"AnyOf": []})));
    }

    #[test]
    fn displays_as_the_services_do() {
        assert_eq!(ScopeExpression::Scope("a".into()).to_string(), "a");
        let all: ScopeExpression = from_value(json!({"AllOf": ["a", {"AnyOf": ["b", "c"]}]})).unwrap();
        assert_eq!(
            all.to_string(),
            "{\n  \"AllOf\": [\n    \"a\",\n    {\n      \"AnyOf\": [\n        \"b\",\n        \"c\"\n      ]\n    }\n  ]\n}"
        );
        assert_eq!(all.scopes(), ["a", "b", "c"]);
    }

    #[test]
    fn other_shapes_are_refused() {
        for wrong in [json!(1), json!({"NoneOf": []}), json!({"AllOf": "a"}), json!(["a"])] {
            assert!(from_value::<ScopeExpression>(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
