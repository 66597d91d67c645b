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

/// What policies are set to.
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_structs, reason = "tools make it")]
pub struct Trials {
    /// How many tasks may wait for each unit that runs.
    pub ratios: Vec<f64>,
    /// What is kept ready, where no task may wait.
    pub spares: Vec<f64>,
    /// How long a worker has nothing to do before it asks whether it is needed.
    pub idle: Duration,
}

impl Trials {
    /// Those that make a difference for a policy. Whoever lets tasks wait keeps nothing ready for them.
    fn of(&self, policy: &dyn Policy) -> Vec<Settings> {
        let idle = self.idle;
        let ready = self.spares.iter().filter(|spare| **spare > 0.0 && policy.keeps_spare());
        let ready = ready.map(|spare| Settings { ratio: 0.0, spare: *spare, idle });
        let waiting = self.ratios.iter().map(|ratio| Settings { ratio: *ratio, spare: 0.0, idle });
        ready.chain(waiting).collect()
    }
}

/// Lets each policy serve the trace with each of its settings.
#[must_use]
pub fn compare(trace: &Trace, policies: &[&dyn Policy], trials: &Trials) -> Vec<Row> {
    let mut rows = Vec::new();
    for policy in policies {
        for settings in trials.of(*policy) {
            rows.push(Row { policy: policy.name(), settings, outcome: run(trace, *policy, settings) });
        }
    }
    rows
}

/// What a policy costs where its tasks wait for so many seconds (p95), in US dollars: between two settings that wait less and more, as much
/// of each as it takes. Nothing if it waits longer with each of its settings.
#[must_use]
pub fn cost_at(rows: &[Row], policy: &str, wait_p95: f64) -> Option<f64> {
    let frontier = frontier(rows, policy);
    let above = frontier.partition_point(|(wait, _)| *wait <= wait_p95);
    let (wait, cost) = *frontier.get(above.checked_sub(1)?)?;
    let Some((longer, cheaper)) = frontier.get(above) else { return Some(cost) };
    Some(cost + (wait_p95 - wait) / (longer - wait) * (cheaper - cost))
}

/// Waits (p95) and costs of those settings of a policy of which none is better in both.
fn frontier(rows: &[Row], policy: &str) -> Vec<(f64, f64)> {
    let own = rows.iter().filter(|row| row.policy == policy);
    let mut points: Vec<(f64, f64)> = own.map(|row| (row.outcome.wait_p95, row.outcome.cost)).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut least = f64::INFINITY;
    points.retain(|(_, cost)| {
        let better = *cost < least;
        least = least.min(*cost);
        better
    });
    points
}

/// The rows as a table.
#[must_use]
pub fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "policy       ratio  spare  wait p50  wait p95  wait p99       cost   idle  launches  withdrawn   lost\n",
    );
    for Row { policy, settings, outcome } in rows {
        let _ = writeln!(
            text,
            "{policy:<12} {:>5.2} {:>6.2} {:>8.1}s {:>8.1}s {:>8.1}s {:>9.2}$ {:>5.1}% {:>9} {:>10} {:>6}",
            settings.ratio,
            settings.spare,
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
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{color}\"><title>{} {}: {:.1} s, {:.2} $</title></circle>\
                 <text x=\"{:.1}\" y=\"{:.1}\" font-size=\"10\" fill=\"{color}\">{}</text>",
                escaped(policy),
                label(settings),
                outcome.wait_p95,
                outcome.cost,
                x + 6.0,
                y - 4.0,
                label(settings),
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn label(settings: &Settings) -> String {
    if settings.spare > 0.0 { format!("spare {}", settings.spare) } else { settings.ratio.to_string() }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Historical, Steady};

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
        Row { policy, settings: Settings { ratio, spare: 0.0, idle: Duration::ZERO }, outcome }
    }

    #[test]
    fn costs_are_compared_where_tasks_wait_as_long() {
        let rows =
            [row("a", 0.0, 10.0, 9.0), row("a", 0.5, 20.0, 5.0), row("a", 0.4, 18.0, 9.5), row("b", 0.0, 15.0, 7.0)];
        assert_eq!(cost_at(&rows, "a", 10.0), Some(9.0));
        assert_eq!(cost_at(&rows, "a", 15.0), Some(7.0), "what is worse in both does not count");
        assert_eq!(cost_at(&rows, "a", 30.0), Some(5.0));
        assert_eq!(cost_at(&rows, "b", 14.0), None);
    }

    #[test]
    fn only_who_keeps_something_ready_is_tried_with_it() {
        let trials = Trials { ratios: vec![0.0, 0.1], spares: vec![0.0, 1.0], idle: Duration::ZERO };
        assert_eq!((trials.of(&Steady).len(), trials.of(&Historical).len()), (3, 2));
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
