//! Numbers over time and of now.

use std::collections::BTreeMap;

use super::*;

/// The numbers of the text format of Prometheus, by name and labels.
fn parsed(text: &str) -> BTreeMap<String, f64> {
    let mut numbers = BTreeMap::new();
    let mut typed = Vec::new();
    for line in text.lines() {
        match line.split_once(' ').unwrap() {
            ("#", comment) => {
                let words: Vec<&str> = comment.splitn(3, ' ').collect();
                assert!(["HELP", "TYPE"].contains(&words[0]), "{line}");
                if words[0] == "TYPE" {
                    assert_eq!(words[2], "gauge", "{line}");
                    typed.push(words[1].to_owned());
                }
            }
            (name, number) => {
                assert!(name.starts_with(typed.last().unwrap()), "{line}");
                assert_eq!(numbers.insert(name.to_owned(), number.parse().unwrap()), None, "{line}");
            }
        }
    }
    numbers
}

/// Without the last digits: means are sums of parts of a minute.
fn near(number: f64) -> f64 {
    (number * 1e6).round() / 1e6
}

async fn metrics(setting: &Setting) -> BTreeMap<String, f64> {
    let response = soon(setting.api().metrics().raw()).await.unwrap();
    parsed(std::str::from_utf8(&response).unwrap())
}

#[tokio::test]
async fn the_numbers_of_a_fleet_are_told_over_time_and_to_prometheus() {
    for backend in Backend::available() {
        let setting = Setting::on(backend).await;
        let api = setting.api();
        setting.define("w", &definition(2)).await;
        setting.define("quiet", &definition(2)).await;
        let begun = setting.root.now();
        setting.tasks("w", 5).await;
        for _ in 0..40 {
            setting.advance(Duration::from_secs(30)).await;
        }
        let samples = soon(api.fleet("w").all()).await.unwrap();
        assert!((18..=21).contains(&samples.len()), "{}", samples.len());
        assert!(samples.is_sorted_by_key(|sample| sample.time));
        let last = samples.last().unwrap();
        assert_eq!((last.seconds, near(last.pending_tasks), last.claimed_tasks), (60, 5.0, 0.0));
        assert_eq!(near(last.requested_capacity + last.pending_capacity), 2.0);
        // Two at half a dollar an hour.
        assert!((last.cost - 1.0 / 60.0).abs() < 1e-6, "{}", last.cost);
        let some = soon(api.fleet("w").since(begun + minutes(5)).until(begun + minutes(10)).all()).await.unwrap();
        assert!((4..=6).contains(&some.len()), "{}", some.len());
        let page = soon(api.fleet("w").limit(7).into_future()).await.unwrap();
        assert!(page.samples.len() == 7 && page.continuation_token.is_some());
        assert_eq!(soon(api.fleet("w").limit(7).all()).await.unwrap(), samples);
        let bad = soon(api.fleet("w").since("yesterday").into_future()).await;
        assert_eq!(refusal(&bad.unwrap_err()).0, 400);

        let now = metrics(&setting).await;
        let of = |name: &str, worker_type: &str| {
            now.get(&format!("taskcluster_provisioner_{name}{{worker_type=\"{worker_type}\"}}")).copied().map(near)
        };
        assert_eq!((of("pending_tasks", "w"), of("pending_tasks", "quiet")), (Some(5.0), Some(0.0)));
        assert!((of("cost_dollars_per_hour", "w").unwrap() - 1.0).abs() < 1e-6);
        assert_eq!(of("wait_p50_seconds", "w"), None, "none has begun");
        soon(api.remove_worker_type("w").into_future()).await.unwrap();
        let now = metrics(&setting).await;
        assert!(now.keys().all(|key| key.contains("quiet")), "{now:?}");
        setting.deployment.stop().await;
    }
}

#[tokio::test]
async fn why_so_much_runs_is_said_and_whether_anybody_looks() {
    let setting = Setting::on(Backend::Sqlite).await;
    let api = setting.api();
    setting.define("w", &definition(2)).await;
    setting.tasks("w", 5).await;
    setting.advance(minutes(1)).await;
    let why = soon(api.explain("w").into_future()).await.unwrap();
    assert_eq!((why.desired_capacity, why.time), (2, Some(setting.root.now())));
    assert!(why.lines.iter().any(|line| line.contains("wants 5, more than the maximum of 2")), "{:?}", why.lines);
    let status = soon(api.backend_status().into_future()).await.unwrap();
    assert_eq!((status.status.as_str(), status.last_checked_in), ("up", setting.root.now()));
    setting.deployment.stop().await;
}
