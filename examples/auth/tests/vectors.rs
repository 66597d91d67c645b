//! Role expansion held against sets of roles whose expansions were computed elsewhere.

use serde::Deserialize;
use std::collections::BTreeMap;
use taskcluster_auth::cycles;
use taskcluster_auth::expand::{Resolver, Rule};

#[derive(Deserialize)]
struct Vectors {
    expansions: Vec<RoleSet>,
    cycles: Vec<BTreeMap<String, Vec<String>>>,
}

#[derive(Deserialize)]
struct RoleSet {
    roles: BTreeMap<String, Vec<String>>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    given: Vec<String>,
    expanded: Vec<String>,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("fixtures/role-expansion.json")).unwrap()
}

fn rules(roles: &BTreeMap<String, Vec<String>>) -> Vec<Rule> {
    roles.iter().map(|(id, scopes)| Rule::new(id, scopes)).collect()
}

#[test]
fn every_set_of_roles_expands_as_computed_elsewhere() {
    let sets = vectors().expansions;
    assert_eq!(sets.len(), 340);
    for set in sets {
        let rules = rules(&set.roles);
        assert_eq!(cycles::check(&rules), Ok(()), "{:?}", set.roles);
        let resolver = Resolver::new(rules);
        assert_eq!(set.cases.len(), 4);
        for case in set.cases {
            let expanded = resolver.expand(&case.given);
            let expanded: Vec<&str> = expanded.iter().map(AsRef::as_ref).collect();
            assert_eq!(expanded, case.expanded, "{:?} given {:?}", set.roles, case.given);
        }
    }
}

#[test]
fn every_set_with_a_cycle_is_refused() {
    let sets = vectors().cycles;
    assert_eq!(sets.len(), 60);
    for roles in sets {
        let rules = rules(&roles);
        let cycle = cycles::check(&rules).expect_err("a cycle").0;
        assert!(cycle.len() > 1 && cycle.first() == cycle.last(), "{cycle:?}");
        assert!(cycles::check_through(&rules, &cycle[0]).is_err());
    }
}
