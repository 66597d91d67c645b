//! The Docker engine that the tests use, and a small image on it.

use std::process::Command;

/// A Docker engine.
pub(crate) struct There {
    /// Its address.
    pub(crate) host: String,
    /// An image with busybox.
    pub(crate) image: String,
}

/// The engine that `TEST_DOCKER` names, with the image made; `None`, which is said, where there is none.
pub(crate) async fn find() -> Option<There> {
    let Ok(host) = std::env::var("TEST_DOCKER") else {
        println!("skipped: TEST_DOCKER names no Docker engine");
        return None;
    };
    let image = "taskcluster-test-busybox:1".to_owned();
    let made = image.clone();
    let address = host.clone();
    tokio::task::spawn_blocking(move || make_image(&address, &made)).await.unwrap();
    Some(There { host, image })
}

/// A label of this test alone.
pub(crate) fn label() -> String {
    format!("test-{}-{}", std::process::id(), taskcluster_core::TaskId::new())
}

/// There is no registry: the image is made of the machine's own busybox.
fn make_image(host: &str, name: &str) {
    let script = r#"
        set -e
        if docker image inspect "$1" >/dev/null 2>&1; then exit 0; fi
        dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
        mkdir -p "$dir/bin" "$dir/tmp"; chmod 1777 "$dir/tmp"
        cp "$(command -v busybox)" "$dir/bin/busybox"
        for name in $("$dir/bin/busybox" --list); do [ "$name" = busybox ] || ln -s busybox "$dir/bin/$name"; done
        tar -C "$dir" -c . | docker import -c 'ENV PATH=/bin' -c 'CMD ["/bin/sh"]' - "$1" >/dev/null
    "#;
    let status = Command::new("sh").args(["-c", script, "sh", name]).env("DOCKER_HOST", host).status().unwrap();
    assert!(status.success(), "the image for the tests cannot be made");
}
