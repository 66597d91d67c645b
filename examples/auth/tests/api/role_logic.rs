//! What roles add to scopes, through the API: a change holds from the moment it is answered.

use crate::deployment::Deployment;

/// Makes roles, each after those that it may depend on, and expands.
async fn expanded(roles: &[(&str, &[&str])], given: &[&str]) -> Vec<String> {
    let auth = Deployment::start().await;
    for (id, scopes) in roles {
        auth.role(id, scopes).await;
    }
    auth.expand(given).await
}

macro_rules! expands {
    ($name:ident, $roles:expr, $given:expr => $expected:expr) => {
        #[tokio::test]
        async fn $name() {
            let roles: &[(&str, &[&str])] = &$roles;
            let expected: &[&str] = &$expected;
            assert_eq!(expanded(roles, &$given).await, expected);
        }
    };
}

expands!(what_names_no_role_stays, [("r", &["x"])], ["a", "assume", "assume:q"] => ["a", "assume", "assume:q"]);
expands!(a_role_adds_its_scopes, [("r", &["x", "y"])], ["assume:r"] => ["assume:r", "x", "y"]);
expands!(an_empty_role_adds_nothing, [("r", &[])], ["assume:r"] => ["assume:r"]);
expands!(results_are_normalised, [("r", &["x*", "xy", "a"])], ["assume:r", "x"] => ["a", "assume:r", "x*"]);
expands!(a_star_in_the_scope_takes_all_that_begin_so,
    [("rx", &["x"]), ("ry", &["y"]), ("s", &["z"])], ["assume:r*"] => ["assume:r*", "x", "y"]);
expands!(a_star_in_the_id_takes_all_that_begin_so, [("r*", &["x"])], ["assume:rest"] => ["assume:rest", "x"]);
expands!(the_prefix_itself_counts, [("r*", &["x"])], ["assume:r"] => ["assume:r", "x"]);
expands!(a_wider_star_takes_a_narrower_one, [("rest*", &["x"])], ["assume:re*"] => ["assume:re*", "x"]);
expands!(a_narrower_star_takes_a_wider_one, [("re*", &["x"])], ["assume:rest*"] => ["assume:rest*", "x"]);
expands!(roles_lead_to_roles,
    [("c", &["x"]), ("b", &["assume:c"]), ("a", &["assume:b"])], ["assume:a"] => ["assume:a", "assume:b", "assume:c", "x"]);
expands!(parameters_travel_along,
    [("in:*", &["x:<..>"]), ("out:*", &["assume:in:<..>/sub"])], ["assume:out:1"] => ["assume:in:1/sub", "assume:out:1", "x:1/sub"]);
expands!(an_open_parameter_stays_open,
    [("in:*", &["x:<..>:y"]), ("out:*", &["assume:in:<..>/sub"])], ["assume:out:1*"] => ["assume:in:1*", "assume:out:1*", "x:1*"]);
expands!(short_stars_take_every_role, [("r", &["x"]), ("s:*", &["y:<..>"])], ["a*"] => ["a*", "x", "y:*"]);
expands!(almost_assume_takes_none, [("r", &["x"])], ["assum", "assumed*"] => ["assum", "assumed*"]);
expands!(everything_is_everything, [("r", &["x"])], ["*", "a"] => ["*"]);

#[tokio::test]
async fn a_chain_of_many_roles() {
    let auth = Deployment::start().await;
    for number in (0..40).rev() {
        let next = format!("assume:chain:{}", number + 1);
        auth.role(&format!("chain:{number}"), &[&next, &format!("x:{number}")]).await;
    }
    assert_eq!(auth.expand(&["assume:chain:0"]).await.len(), 41 + 40);
}

#[tokio::test]
async fn a_change_holds_at_once() {
    let auth = Deployment::start().await;
    auth.role("r", &["x"]).await;
    assert_eq!(auth.expand(&["assume:r"]).await, ["assume:r", "x"]);
    auth.by_root().update_role("r", &crate::deployment::role(&["y"])).await.unwrap();
    assert_eq!(auth.expand(&["assume:r"]).await, ["assume:r", "y"]);
}
