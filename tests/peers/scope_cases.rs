//! Writes 100,000 questions about scopes, each with our answer, for a client that is not ours to check.
//!
//! A line is `{"held": […], "needed": [[…], …], "satisfied": …}`: `needed` is satisfied by all scopes of one of its lists, as
//! the Python client's `scopeMatch` puts it.

use std::io::{BufWriter, Write as _};

use serde_json::json;
use taskcluster::{ScopeExpression, ScopeSet};

const CASES: usize = 100_000;

/// The words that scopes are made of: few, so that they meet often, with stars wherever one can stand.
const WORDS: [&str; 8] = ["a", "ab", ":", "a:b", "*", "**", "a*", "b*c"];

/// A small generator, always the same: a case that fails is found again.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits fit") % n
    }

    fn scope(&mut self) -> String {
        (0..self.below(4)).map(|_| WORDS[self.below(WORDS.len())]).collect()
    }

    fn scopes(&mut self, at_most: usize) -> Vec<String> {
        (0..self.below(at_most + 1)).map(|_| self.scope()).collect()
    }
}

fn main() -> std::io::Result<()> {
    let mut dice = Dice(1);
    let mut out = BufWriter::new(std::io::stdout().lock());
    for _ in 0..CASES {
        let held = dice.scopes(6);
        let needed: Vec<Vec<String>> = (0..dice.below(4)).map(|_| dice.scopes(3)).collect();
        let all =
            |scopes: &Vec<String>| ScopeExpression::AllOf(scopes.iter().cloned().map(ScopeExpression::Scope).collect());
        let expression = ScopeExpression::AnyOf(needed.iter().map(all).collect());
        let set: ScopeSet = held.iter().cloned().collect();
        let satisfied = expression.satisfied_by(&set);
        writeln!(out, "{}", json!({ "held": held, "needed": needed, "satisfied": satisfied }))?;
    }
    out.flush()
}
