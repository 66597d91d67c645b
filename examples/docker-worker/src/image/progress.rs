//! How far it is until an image is here, told in the log now and then: whoever waits for a large one wants to know.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bollard::models::CreateImageInfo;
use taskcluster_core::time::Timestamp;
use taskcluster_worker::{TaskContext, size};

/// How often it is told.
const INTERVAL: Duration = Duration::from_secs(5);

/// Tells no more often than that.
#[derive(Debug)]
pub(super) struct Pace {
    next: Mutex<Timestamp>,
}

impl Pace {
    /// What takes less than that is not told of at all.
    pub(super) fn new(now: Timestamp) -> Self {
        Self { next: Mutex::new(now + INTERVAL) }
    }

    /// Whether it is time to tell.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        let mut next = self.next.lock().expect("nothing panics holding it");
        let due = *next <= now;
        if due {
            *next = now + INTERVAL;
        }
        due
    }
}

/// An image on its way from a registry.
#[derive(Debug, Default)]
pub(super) struct Pulling {
    layers: BTreeMap<String, Layer>,
}

#[derive(Debug, Default)]
struct Layer {
    done: u64,
    total: u64,
    step: Step,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Step {
    #[default]
    Coming,
    /// All of it has come; it may still be unpacked.
    Here,
    Done,
}

impl Pulling {
    /// What Docker says of it.
    pub(super) fn hear(&mut self, info: &CreateImageInfo) {
        let (Some(id), Some(status)) = (&info.id, &info.status) else { return };
        // It says the same of the whole, by its tag.
        if status.starts_with("Pulling from") {
            return;
        }
        let layer = self.layers.entry(id.clone()).or_default();
        let amount = |amount: Option<i64>| amount.and_then(|amount| u64::try_from(amount).ok()).unwrap_or(0);
        if let Some(progress) = &info.progress_detail
            && status == "Downloading"
        {
            layer.total = layer.total.max(amount(progress.total));
            layer.done = layer.done.max(amount(progress.current));
        }
        match &**status {
            "Download complete" | "Extracting" => layer.arrive(Step::Here),
            "Pull complete" | "Already exists" => layer.arrive(Step::Done),
            _ => {}
        }
    }
}

impl Layer {
    fn arrive(&mut self, step: Step) {
        self.done = self.done.max(self.total);
        self.step = step;
    }
}

impl fmt::Display for Pulling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |step: Step| self.layers.values().filter(|layer| layer.step == step).count();
        let sum = |amount: fn(&Layer) -> u64| self.layers.values().map(amount).fold(0, u64::saturating_add);
        let (done, here, all) = (count(Step::Done), count(Step::Here), self.layers.len());
        write!(f, "{done} of {all} layers are unpacked")?;
        if here > 0 {
            write!(f, ", {here} more are fetched")?;
        }
        // The sizes of layers that wait are not known yet.
        write!(f, "; {} of {} or more have come", size(sum(|layer| layer.done)), size(sum(|layer| layer.total)))
    }
}

/// Bytes on their way to Docker, counted where they pass.
#[derive(Debug, Default)]
pub(super) struct Passed(AtomicU64);

impl Passed {
    pub(super) fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Tell of them as long as this is polled.
    pub(super) async fn tell(&self, task: &TaskContext, what: &str) -> std::convert::Infallible {
        loop {
            task.clock().sleep(INTERVAL).await;
            let bytes = size(self.0.load(Ordering::Relaxed));
            task.log().info(format!("loading {what}: {bytes} are unpacked"));
        }
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::ProgressDetail;

    use super::*;

    fn said(id: &str, status: &str, progress: Option<(i64, i64)>) -> CreateImageInfo {
        let progress_detail =
            progress.map(|(current, total)| ProgressDetail { current: Some(current), total: Some(total) });
        CreateImageInfo {
            id: Some(id.to_owned()),
            status: Some(status.to_owned()),
            progress_detail,
            ..CreateImageInfo::default()
        }
    }

    #[test]
    fn layers_and_bytes_are_counted() {
        let mut pulling = Pulling::default();
        for info in [
            said("12", "Pulling from library/debian", None),
            said("a", "Pulling fs layer", None),
            said("b", "Pulling fs layer", None),
            said("c", "Already exists", None),
            said("a", "Downloading", Some((10 << 20, 40 << 20))),
            said("b", "Downloading", Some((2 << 20, 2 << 20))),
            said("b", "Download complete", None),
            CreateImageInfo { status: Some("Digest: sha256:x".to_owned()), ..CreateImageInfo::default() },
        ] {
            pulling.hear(&info);
        }
        let text = pulling.to_string();
        assert_eq!(text, "1 of 3 layers are unpacked, 1 more are fetched; 12 MiB of 42 MiB or more have come");
        for info in [said("b", "Extracting", Some((1, 2))), said("b", "Pull complete", None)] {
            pulling.hear(&info);
        }
        assert!(pulling.to_string().starts_with("2 of 3 layers are unpacked; 12 MiB"), "{pulling}");
    }

    #[test]
    fn it_is_told_now_and_then() {
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1000);
        let pace = Pace::new(at(0));
        let due: Vec<bool> = [0, 4, 5, 6, 9, 11, 12].map(|second| pace.is_due(at(second))).to_vec();
        assert_eq!(due, [false, false, true, false, false, true, false]);
    }
}
