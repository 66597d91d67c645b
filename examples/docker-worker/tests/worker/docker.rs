//! The Docker engine that the tests use, and a small image on it.

use std::process::Command;

/// A Docker engine.
pub(crate) struct There {
    /// Its address.
    pub(crate) host: String,
    /// An image with busybox.
    pub(crate) image: String,
    /// The same, with a command that says hello.
    pub(crate) greeter: String,
}

/// The engine that `TEST_DOCKER` names, with the image made; `None`, which is said, where there is none.
pub(crate) async fn find() -> Option<There> {
    let Ok(host) = std::env::var("TEST_DOCKER") else {
        println!("skipped: TEST_DOCKER names no Docker engine");
        return None;
    };
    let image = "taskcluster-test-busybox:1".to_owned();
    let greeter = "taskcluster-test-greeter:1".to_owned();
    let (address, images) =
        (host.clone(), [(image.clone(), r#"["/bin/sh"]"#), (greeter.clone(), r#"["echo", "hello from the image"]"#)]);
    tokio::task::spawn_blocking(move || {
        for (name, command) in images {
            make_image(&address, &name, command);
        }
    })
    .await
    .unwrap();
    Some(There { host, image, greeter })
}

/// A label of this test alone.
pub(crate) fn label() -> String {
    format!("test-{}-{}", std::process::id(), taskcluster::TaskId::new())
}

/// There is no registry: the image is made of the machine's own busybox.
fn make_image(host: &str, name: &str, command: &str) {
    let script = r#"
        set -e
        if docker image inspect "$1" >/dev/null 2>&1; then exit 0; fi
        dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
        mkdir -p "$dir/bin" "$dir/tmp"; chmod 1777 "$dir/tmp"
        cp "$(command -v busybox)" "$dir/bin/busybox"
        for name in $("$dir/bin/busybox" --list); do [ "$name" = busybox ] || ln -s busybox "$dir/bin/$name"; done
        tar -C "$dir" -c . | docker import -c 'ENV PATH=/bin' -c "CMD $2" - "$1" >/dev/null
    "#;
    let status =
        Command::new("sh").args(["-c", script, "sh", name, command]).env("DOCKER_HOST", host).status().unwrap();
    assert!(status.success(), "the image for the tests cannot be made");
}

/// The name of an image with busybox of which a line of a Dockerfile says more.
pub(crate) fn image_with(there: &There, line: &str) -> String {
    image_of(there, &[], &["-c", line])
}

/// The same of one that is made by these flags of `docker create` and `docker commit`.
pub(crate) fn image_of(there: &There, create: &[&str], commit: &[&str]) -> String {
    let name = format!("taskcluster-test-with:{}", label());
    let created = call(&there.host, &[&["create"], create, &[&there.image, "/bin/sh"]].concat());
    let container = String::from_utf8(created).unwrap();
    call(&there.host, &[&["commit"], commit, &[container.trim(), &name]].concat());
    call(&there.host, &["rm", container.trim()]);
    name
}

/// The archive of a new image, which is then no longer here; `tag` is what it says its name is.
pub(crate) fn archive(there: &There, tag: &str) -> Vec<u8> {
    let container = String::from_utf8(call(&there.host, &["create", &there.image, "/bin/sh"])).unwrap();
    // Another one for each archive.
    let label = format!("LABEL of={tag}");
    call(&there.host, &["commit", "-c", &label, container.trim(), tag]);
    let archive = call(&there.host, &["save", tag]);
    call(&there.host, &["rm", container.trim()]);
    call(&there.host, &["rmi", tag]);
    archive
}

/// What `docker` prints, called with these arguments.
pub(crate) fn call(host: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("docker").args(arguments).env("DOCKER_HOST", host).output().unwrap();
    assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// What the engine has with this label: the ids of containers and networks.
pub(crate) fn things_of(host: &str, label: &str) -> Vec<String> {
    let filter = format!("label=taskcluster.worker={label}");
    let containers = call(host, &["ps", "-aq", "--filter", &filter]);
    let networks = call(host, &["network", "ls", "-q", "--filter", &filter]);
    let text = String::from_utf8([containers, networks].concat()).unwrap();
    text.lines().map(str::to_owned).collect()
}
