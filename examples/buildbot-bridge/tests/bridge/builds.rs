//! Builds that come to their end.

use serde_json::json;

use crate::bench::Bench;

#[tokio::test(flavor = "multi_thread")]
async fn a_build_is_followed_as_it_prints_and_leaves_its_properties() {
    let Some(bench) = Bench::new().await else { return };
    let _bridge = bench.bridge();
    let payload = json!({
        "buildername": "script",
        "properties": {"script": bench.waiting(), "count": 7},
        "sourcestamp": {"branch": "https://hg.example.org/projects/larch", "revision": "abc123", "repository": "r"},
    });
    let task_id = bench.task(payload, &[]).await;
    bench.printed(&task_id, 0, "\nREADY\n").await;
    bench.let_go();
    assert_eq!(bench.resolved(&task_id).await, ["completed"]);
    let log = bench.log(&task_id, 0).await;
    assert!(log.contains("\nGONE ON\n") && log.contains("/#/builders/") && log.contains("ends with SUCCESS"), "{log}");
    let properties = bench.properties(&task_id, 0).await;
    assert_eq!(properties["taskId"][0], json!(task_id));
    assert_eq!((&properties["count"][0], &properties["branch"][0]), (&json!(7), &json!("projects/larch")));
    assert_eq!((&properties["revision"][0], &properties["buildername"][0]), (&json!("abc123"), &json!("script")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_says_how_the_run_ends() {
    let Some(bench) = Bench::new().await else { return };
    let _bridge = bench.bridge();
    for (code, reason) in [(0, "completed"), (1, "failed"), (64, "failed"), (65, "completed"), (66, "internal-error")] {
        let task_id = bench.script(&format!("echo printed by {code}; exit {code}")).await;
        assert_eq!(bench.resolved(&task_id).await, [reason], "{code}: {}", bench.log(&task_id, 0).await);
        assert!(bench.log(&task_id, 0).await.contains(&format!("\nprinted by {code}\n")), "{code}");
        assert_eq!(bench.properties(&task_id, 0).await["runId"][0], "0", "{code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_log_is_whole() {
    let Some(bench) = Bench::new().await else { return };
    let _bridge = bench.bridge();
    let task_id = bench.script("seq 1 20000; echo 'ünïcode' >&2").await;
    assert_eq!(bench.resolved(&task_id).await, ["completed"]);
    let log = bench.log(&task_id, 0).await;
    let numbers: Vec<u32> = log.lines().filter_map(|line| line.parse().ok()).collect();
    let wrong = numbers.iter().zip(1..).find(|(is, ought)| **is != *ought);
    assert_eq!((numbers.len(), wrong), (20_000, None));
    assert!(log.contains("\nünïcode\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_may_take_any_properties() {
    let Some(bench) = Bench::new().await else { return };
    let _bridge = bench.bridge_with(&["--scheduler", "any-properties"]);
    let properties = json!({"script": "true", "owner": "me", "deep": {"list": [1, null]}});
    let task_id = bench.task(json!({"buildername": "script", "properties": properties}), &[]).await;
    assert_eq!(bench.resolved(&task_id).await, ["completed"]);
    let left = bench.properties(&task_id, 0).await;
    let all: serde_json::Value = serde_json::from_str(left["properties"][0].as_str().unwrap()).unwrap();
    assert_eq!(all, properties);
}
