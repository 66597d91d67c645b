//! What the calls of a program take, and what came of them: an interceptor that counts by method and status, and tells it in the
//! form that Prometheus reads.
//!
//! ```sh
//! cargo run -p taskcluster --example metrics -- TASK_ID…
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use taskcluster::intercept::{Attempted, Interceptor, Ongoing, Outcome};
use taskcluster::{Report, TaskclusterBuilder};

#[tokio::main]
async fn main() -> Result<(), Report> {
    let metrics = Arc::new(Metrics::default());
    let tc = TaskclusterBuilder::from_env()?.intercept(Arc::clone(&metrics)).build()?;
    tc.queue().ping().await?;
    for task_id in std::env::args().skip(1) {
        match tc.queue().status(&task_id.parse()?).await {
            Ok(answer) => println!("# {task_id} is {}", answer.status.state),
            Err(error) => println!("# {task_id}: {error}"),
        }
    }
    print!("{metrics}");
    Ok(())
}

/// Counts calls and attempts.
#[derive(Debug, Default)]
struct Metrics(Mutex<BTreeMap<String, Counted>>);

#[derive(Debug, Default)]
struct Counted {
    calls: u64,
    repetitions: u64,
    time: Duration,
}

impl Metrics {
    fn count(&self, call: &Ongoing, outcome: Outcome<'_>, add: impl FnOnce(&mut Counted)) {
        let operation = call.operation();
        let status = outcome.status().map_or_else(|| "none".to_owned(), |status| status.to_string());
        let labels = format!(r#"service="{}",method="{}",status="{status}""#, operation.service, operation.name);
        add(self.0.lock().expect("nothing panics holding it").entry(labels).or_default());
    }
}

impl Interceptor for Metrics {
    fn after_attempt(&self, call: &Ongoing, attempt: Attempted<'_>) {
        if attempt.again_after.is_some() {
            self.count(call, attempt.outcome, |counted| counted.repetitions += 1);
        }
    }

    fn after_call(&self, call: &Ongoing, outcome: Outcome<'_>) {
        self.count(call, outcome, |counted| {
            counted.calls += 1;
            counted.time += call.elapsed();
        });
    }
}

impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (labels, counted) in &*self.0.lock().expect("nothing panics holding it") {
            writeln!(f, "taskcluster_calls_total{{{labels}}} {}", counted.calls)?;
            writeln!(f, "taskcluster_repeated_attempts_total{{{labels}}} {}", counted.repetitions)?;
            writeln!(f, "taskcluster_call_seconds_total{{{labels}}} {}", counted.time.as_secs_f64())?;
        }
        Ok(())
    }
}
