//! What policies come to, side by side: a table for terminals, a picture for people.

use std::fmt::Write as _;
use std::time::Duration;

use super::trace::Trace;
use super::world::{Outcome, Settings, run};
use crate::policy::Policy;

/// A policy with its settings, and what it came to.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "reports read it")]
pub struct Row {
    /// The policy.
    pub policy: &'static str,
    /// What it was set to.
    pub settings: Settings,
    /// What it came to.
    pub outcome: Outcome,
}

/// Lets each policy serve the trace with each ratio.
#[must_use]
pub fn compare(trace: &Trace, policies: &[&dyn Policy], ratios: &[f64], idle: Duration) -> Vec<Row> {
    let mut rows = Vec::new();
    for policy in policies {
        for ratio in ratios {
            let settings = Settings { ratio: *ratio, idle };
            rows.push(Row { policy: policy.name(), settings, outcome: run(trace, *policy, settings) });
        }
    }
    rows
}

/// What a policy costs where its tasks wait no longer than so many seconds (p95): the cheapest of its settings that does.
#[must_use]
pub fn cheapest<'a>(rows: &'a [Row], policy: &str, wait_p95: f64) -> Option<&'a Row> {
    let able = rows.iter().filter(|row| row.policy == policy && row.outcome.wait_p95 <= wait_p95);
    able.min_by(|a, b| a.outcome.cost.total_cmp(&b.outcome.cost))
}

/// The rows as a table.
#[must_use]
pub fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "policy       ratio  wait p50  wait p95  wait p99       cost   idle  launches  withdrawn   lost\n",
    );
    for Row { policy, settings, outcome } in rows {
        let _ = writeln!(
            text,
            "{policy:<12} {:>5.2} {:>8.1}s {:>8.1}s {:>8.1}s {:>9.2}$ {:>5.1}% {:>9} {:>10} {:>6}",
            settings.ratio,
            outcome.wait_p50,
            outcome.wait_p95,
            outcome.wait_p99,
            outcome.cost,
            outcome.idle_share * 100.0,
            outcome.launches,
            outcome.withdrawn,
            outcome.lost,
        );
    }
    text
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 420.0;
const MARGIN: f64 = 60.0;
const COLORS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

/// The rows as a picture (SVG): what is paid for which wait. Further down and further left is better.
#[must_use]
pub fn picture(name: &str, rows: &[Row]) -> String {
    let most = |of: fn(&Outcome) -> f64| rows.iter().map(|row| of(&row.outcome)).fold(0.0_f64, f64::max).max(1e-9);
    let (wait, cost) = (most(|outcome| outcome.wait_p95), most(|outcome| outcome.cost));
    let x = |seconds: f64| MARGIN + seconds / wait * (WIDTH - 2.0 * MARGIN);
    let y = |dollars: f64| HEIGHT - MARGIN - dollars / cost * (HEIGHT - 2.0 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{MARGIN}\" y=\"24\" font-size=\"16\">{}: cost and wait</text>\n\
         <path d=\"M{MARGIN} {MARGIN}V{bottom}H{right}\" fill=\"none\" stroke=\"#444\"/>\n\
         <text x=\"{right}\" y=\"{label}\" text-anchor=\"end\">wait p95, up to {wait:.1} s</text>\n\
         <text x=\"{MARGIN}\" y=\"{top}\">dollars, up to {cost:.2}</text>\n",
        escaped(name),
        bottom = HEIGHT - MARGIN,
        right = WIDTH - MARGIN,
        label = HEIGHT - MARGIN + 24.0,
        top = MARGIN - 8.0,
    );
    let mut policies: Vec<&str> = rows.iter().map(|row| row.policy).collect();
    policies.dedup();
    for (number, policy) in policies.iter().enumerate() {
        let color = COLORS[number % COLORS.len()];
        #[expect(clippy::cast_precision_loss, reason = "there are few policies")]
        let line = MARGIN + 20.0 * number as f64;
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{line}\" text-anchor=\"end\" fill=\"{color}\">{}</text>",
            WIDTH - MARGIN,
            escaped(policy),
        );
        for Row { settings, outcome, .. } in rows.iter().filter(|row| row.policy == *policy) {
            let (x, y) = (x(outcome.wait_p95), y(outcome.cost));
            let _ = writeln!(
                svg,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{color}\"><title>{} ratio {}: {:.1} s, {:.2} $</title></circle>\
                 <text x=\"{:.1}\" y=\"{:.1}\" font-size=\"10\" fill=\"{color}\">{}</text>",
                escaped(policy),
                settings.ratio,
                outcome.wait_p95,
                outcome.cost,
                x + 6.0,
                y - 4.0,
                settings.ratio,
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(policy: &'static str, ratio: f64, wait_p95: f64, cost: f64) -> Row {
        let outcome = Outcome {
            tasks: 1,
            wait_p50: 0.0,
            wait_p95,
            wait_p99: 0.0,
            cost,
            idle_share: 0.5,
            launches: 1,
            withdrawn: 0,
            lost: 0,
            hours: Vec::new(),
        };
        Row { policy, settings: Settings { ratio, idle: Duration::ZERO }, outcome }
    }

    #[test]
    fn of_the_settings_that_keep_the_wait_the_cheapest_counts() {
        let rows = [row("a", 0.0, 10.0, 9.0), row("a", 0.5, 20.0, 5.0), row("b", 0.0, 15.0, 7.0)];
        assert_eq!(cheapest(&rows, "a", 15.0).map(|row| row.outcome.cost), Some(9.0));
        assert_eq!(cheapest(&rows, "a", 20.0).map(|row| row.outcome.cost), Some(5.0));
        assert_eq!(cheapest(&rows, "b", 14.0), None);
    }

    #[test]
    fn a_table_has_a_line_for_each_and_a_picture_a_point() {
        let rows = [row("a", 0.0, 10.0, 9.0), row("b", 0.5, 20.0, 5.0)];
        assert_eq!(table(&rows).lines().count(), 3);
        let picture = picture("<trace>", &rows);
        assert_eq!(picture.matches("<circle").count(), 2);
        assert!(picture.contains("&lt;trace&gt;") && !picture.contains("<trace>"));
    }
}
