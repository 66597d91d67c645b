//! The ways to satisfy an expression that grant no more than they must.

use super::{ScopeExpression, ScopeSet};

/// How many ways are followed at a time.
const AT_MOST: usize = 32;

/// The ways to satisfy an expression of which none grants all that another one does, in the order of the expression.
pub(super) fn ways(expression: &ScopeExpression) -> Vec<ScopeSet> {
    match expression {
        ScopeExpression::Scope(scope) => vec![ScopeSet::from_iter([scope.as_str()])],
        ScopeExpression::AnyOf(parts) => narrowest(parts.iter().flat_map(ways)),
        ScopeExpression::AllOf(parts) => {
            // Tasks have thousands of scopes, and nothing is to be chosen there.
            let fixed = parts.iter().filter_map(|part| match part {
                ScopeExpression::Scope(scope) => Some(scope.as_str()),
                _ => None,
            });
            let choices = parts.iter().filter(|part| !matches!(part, ScopeExpression::Scope(_)));
            choices.fold(vec![fixed.collect()], |so_far, part| {
                let of_part = ways(part);
                narrowest(so_far.iter().flat_map(|way| of_part.iter().map(|more| way.merge(more))))
            })
        }
    }
}

/// Without those that grant all that another one grants; of equal ones the first stays.
fn narrowest(ways: impl Iterator<Item = ScopeSet>) -> Vec<ScopeSet> {
    let mut kept: Vec<ScopeSet> = Vec::new();
    for way in ways {
        if !kept.iter().any(|other| way.satisfies_all(other)) {
            kept.retain(|other| !other.satisfies_all(&way));
            kept.push(way);
        }
        if kept.len() > AT_MOST {
            kept.sort_by_key(ScopeSet::len);
            kept.truncate(AT_MOST);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

    use super::*;

    fn least(expression: Value) -> Option<Vec<String>> {
        let expression: ScopeExpression = from_value(expression).unwrap();
        let least = expression.least()?;
        assert!(expression.satisfied_by(&least), "{expression} by {least:?}");
        Some(least.into_vec())
    }

    fn scopes(scopes: &[&str]) -> Option<Vec<String>> {
        Some(scopes.iter().map(|scope| (*scope).to_owned()).collect())
    }

    #[test]
    fn of_alternatives_the_narrowest_then_the_shortest_then_the_first() {
        assert_eq!(least(json!({"AnyOf": ["a*", "a:b"]})), scopes(&["a:b"]));
        assert_eq!(least(json!({"AnyOf": [{"AllOf": ["a:b", "a:c"]}, "a*"]})), scopes(&["a:b", "a:c"]));
        assert_eq!(least(json!({"AnyOf": [{"AllOf": ["b", "c"]}, "d", "e", {"AnyOf": []}]})), scopes(&["d"]));
        assert_eq!(least(json!({"AnyOf": []})), None);
        assert_eq!(least(json!({"AllOf": []})), scopes(&[]));
        assert_eq!(least(json!({"AllOf": ["a", {"AnyOf": []}]})), None);
    }

    #[test]
    fn what_is_asked_for_anyway_is_chosen() {
        assert_eq!(least(json!({"AllOf": [{"AnyOf": ["x", "y"]}, "y"]})), scopes(&["y"]));
        assert_eq!(
            least(json!({"AllOf": [{"AnyOf": ["a", "b"]}, {"AnyOf": ["c", "b"]}, {"AnyOf": ["d", "b"]}]})),
            scopes(&["b"])
        );
        assert_eq!(least(json!({"AllOf": ["q*", {"AnyOf": ["a", {"AllOf": ["q:1", "q:2"]}]}]})), scopes(&["q*"]));
    }

    /// Against all ways there are, written out.
    #[test]
    fn nothing_smaller_would_do() {
        const SCOPES: [&str; 6] = ["a", "a*", "ab", "b", "b*", "c"];
        for seed in 0..600_usize {
            let pick = |n: usize| json!(SCOPES[(seed * (31 + n * 17) + n * n * 7 + seed / (n + 1)) % SCOPES.len()]);
            let expression: ScopeExpression = from_value(json!({"AllOf": [
                {"AnyOf": [pick(0), {"AllOf": [pick(1), pick(2)]}]}, {"AnyOf": [pick(3), pick(4)]},
                {"AnyOf": [pick(5), pick(6), {"AllOf": [pick(7), {"AnyOf": [pick(8), pick(9)]}]}]},
            ]}))
            .unwrap();
            let least = expression.least().unwrap();
            let subset = |bits: usize| -> ScopeSet {
                SCOPES.iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1).map(|(_, scope)| *scope).collect()
            };
            let will_do: Vec<ScopeSet> =
                (0..1 << SCOPES.len()).map(subset).filter(|set| expression.satisfied_by(set)).collect();
            let is_narrower = |a: &ScopeSet, b: &ScopeSet| b.satisfies_all(a) && !a.satisfies_all(b);
            let narrowest = will_do.iter().filter(|set| !will_do.iter().any(|other| is_narrower(other, set)));
            let fewest = narrowest.clone().map(ScopeSet::len).min();
            assert!(narrowest.clone().any(|set| *set == least), "{expression}: {least:?}");
            assert_eq!(Some(least.len()), fewest, "{expression}: {least:?}");
        }
    }

    #[test]
    fn many_choices_end_soon() {
        let any = |n: usize| json!({"AnyOf": [format!("a{n}"), format!("b{n}"), format!("c{n}")]});
        let all: Vec<Value> = (0..40).map(any).collect();
        assert_eq!(least(json!({"AllOf": all})).unwrap().len(), 40);
    }
}
