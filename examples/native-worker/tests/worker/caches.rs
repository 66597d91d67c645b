//! Caches: they persist, one task at a time each.

use serde_json::json;

use crate::bench::Bench;

#[tokio::test]
async fn a_cache_is_at_the_same_place_each_time() {
    let bench = Bench::new().await;
    let payload = json!({
        "command": [["/bin/sh", "-c", "cd target && pwd -P && cat left 2>/dev/null; echo was here > left"]],
        "mounts": [{"directory": "target", "cacheName": "build"}],
    });
    let (first, _) = bench.resolve(payload.clone()).await;
    let (second, state) = bench.resolve(payload).await;
    assert_eq!(state, "completed");
    let place = |task_id| bench.log(task_id).lines().find(|line| line.contains("caches/build")).unwrap().to_owned();
    assert_eq!(place(&first), place(&second));
    assert!(bench.log(&second).contains("was here"));
}

#[tokio::test]
async fn a_cache_is_one_tasks_at_a_time() {
    let bench = Bench::new().await;
    // Each says where its instance is, then waits until both have one.
    let payload = |name: &str| {
        let script = format!(
            "echo {name} $(cd target && pwd -P); test -e target/used && echo SHARED; echo > target/used; \
             while ! test -e go; do sleep 0.02; done"
        );
        json!({
            "command": [["/bin/sh", "-c", script]],
            "mounts": [{"directory": "target", "cacheName": "build"}],
        })
    };
    let (first, second) = (bench.add(payload("FIRST")), bench.add(payload("SECOND")));
    let both = async {
        let places = [bench.line("FIRST ").await, bench.line("SECOND ").await];
        bench.touch(&first, "go");
        bench.touch(&second, "go");
        places
    };
    let (_, mut places) = tokio::join!(bench.run_as(|builder| builder.capacity(2).task_limit(2)), both);
    for task_id in [&first, &second] {
        assert_eq!(bench.queue.state(task_id), "completed");
        assert!(!bench.log(task_id).lines().any(|line| line == "SHARED"));
    }
    places.sort();
    let root = bench.dir.path().canonicalize().unwrap().join("work/caches/build");
    assert_eq!(places, [root.join("0"), root.join("1")].map(|place| place.display().to_string()));
}

#[tokio::test]
async fn a_cache_needs_its_scope() {
    let bench = Bench::new().await;
    let payload = json!({"command": [["true"]], "mounts": [{"directory": "d", "cacheName": "of-others"}]});
    let task_id = bench.add_with(payload, |task| task["scopes"] = json!(["generic-worker:cache:mine"]));
    bench.run().await;
    assert_eq!(bench.queue.state(&task_id), "exception malformed-payload");
    assert!(bench.log(&task_id).contains("generic-worker:cache:of-others"));
}
