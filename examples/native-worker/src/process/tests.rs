use super::*;

fn patient(mut done: impl FnMut() -> bool) {
    let patience = Instant::now();
    while !done() {
        assert!(patience.elapsed() < Duration::from_secs(60), "took too long");
        std::thread::sleep(POLL);
    }
}

#[test]
fn a_daemon_outside_of_the_group_is_found_and_killed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().canonicalize().unwrap();
    let mut child = Command::new("sh")
        .args(["-c", "cd /; setsid sleep 1000 & sleep 1000"])
        .env("TASK_WORKDIR", &path)
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    let mut tree = Tree::new(&path, None);
    tree.add_leader(child.id());
    patient(|| tree.find().len() >= 3);
    tree.kill();
    assert_eq!(tree.find(), []);
    child.wait().unwrap();
}

#[test]
fn who_was_there_before_the_task_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().canonicalize().unwrap();
    let mut child = Command::new("sleep").arg("1000").current_dir(&path).stdin(Stdio::null()).spawn().unwrap();
    patient(|| Tree::new(&path, None).find().len() == 1);
    let start = Process::from(Tree::new(&path, None).find()[0]).stat().unwrap().start;
    patient(|| ticks_since_boot().unwrap() > start + SLACK);
    let tree = Tree::new(&path, None).since_now();
    assert_eq!(tree.find(), []);
    let mut own = Command::new("sleep").arg("1000").current_dir(&path).stdin(Stdio::null()).spawn().unwrap();
    patient(|| tree.find().len() == 1);
    for child in [&mut child, &mut own] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

/// Starts in `dir` what sheds everything that tells it, and goes on when what started it has ended by a word on its input.
fn shedding(dir: &Path) -> std::process::Child {
    let script = "cd /; env -i setsid sh -c 'sleep 1000 & exec sleep 1000' & read go; exit 0";
    let mut command = Command::new("sh");
    command.args(["-c", script]).current_dir(dir).stdin(Stdio::piped()).process_group(0);
    command.spawn().unwrap()
}

#[test]
fn where_there_are_control_groups_nothing_gets_away() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().canonicalize().unwrap();
    let mut tree = Tree::new(&path, None).with_cgroups(100);
    if tree.cgroups().is_empty() {
        println!("skipped: no control groups to use");
        return;
    }
    // It sheds all else that tells it, once it is in the group.
    let mut child = Command::new("sh")
        .args(["-c", "read go; cd /; env -i setsid sh -c 'sleep 1000 & sleep 1000' & exit"])
        .stdin(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    tree.add_leader(child.id());
    drop(child.stdin.take());
    child.wait().unwrap();
    tree.forget_empty_groups();
    patient(|| tree.find().len() >= 3);
    assert_eq!(Tree::new(&path, None).find(), [], "nothing else tells");
    tree.kill();
    assert_eq!(tree.find(), []);
}

#[test]
fn a_control_group_holds_no_more_than_it_may_and_counts_what_it_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().canonicalize().unwrap();
    let mut tree = Tree::new(&path, None).with_cgroups(4);
    if tree.first(Cgroup::count).is_none() {
        println!("skipped: no control groups that count processes");
        return;
    }
    let mut child = Command::new("sh")
        .args(["-c", "read go; for n in 1 2 3 4 5 6; do sleep 1000 & done"])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    tree.add_leader(child.id());
    drop(child.stdin.take());
    assert!(!child.wait().unwrap().success(), "it could not start them all");
    assert_eq!(tree.look().processes, 3, "all but the one that has ended");
    assert!(tree.first(Cgroup::refused).unwrap() > 0);
    tree.kill();
    // The dead count until somebody has taken notice.
    patient(|| tree.look().processes == 0);
}

#[test]
fn who_was_seen_beside_its_parent_is_found_when_that_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().canonicalize().unwrap();
    let mut tree = Tree::new(&path, None).since_now();
    let mut child = shedding(&path);
    tree.add_leader(child.id());
    patient(|| tree.find().len() == 3);
    drop(child.stdin.take());
    child.wait().unwrap();
    tree.forget_empty_groups();
    assert_eq!(Tree::new(&path, None).find(), [], "nothing else tells");
    assert_eq!(tree.find().len(), 2);
    tree.kill();
    assert_eq!(tree.find(), []);
}

#[test]
fn who_is_in_a_directory_that_was_deleted_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().canonicalize().unwrap().join("task");
    std::fs::create_dir(&path).unwrap();
    let mut command = Command::new("sleep");
    let mut child = command.arg("1000").env_clear().current_dir(&path).stdin(Stdio::null()).spawn().unwrap();
    std::fs::remove_dir(&path).unwrap();
    for tree in [Tree::new(&path, None), Tree::of_all_below(path.parent().unwrap())] {
        assert_eq!(tree.find(), [Pid::from_child(&child)]);
    }
    Tree::of_all_below(path.parent().unwrap()).kill();
    assert!(!child.wait().unwrap().success());
}

#[test]
fn of_all_tasks_means_none_that_is_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().canonicalize().unwrap();
    let start = |work_dir: &Path| {
        Command::new("sleep").arg("1000").env("TASK_WORKDIR", work_dir).stdin(Stdio::null()).spawn().unwrap()
    };
    let mut beside = path.clone().into_os_string();
    beside.push("-beside/task");
    let (mut own, mut other) = (start(&path.join("task")), start(Path::new(&beside)));
    assert_eq!(Tree::of_all_below(&path).find(), [Pid::from_child(&own)]);
    assert_eq!(Tree::new(&path, None).find(), []);
    for child in [&mut own, &mut other] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[tokio::test]
async fn a_process_may_end_politely() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().canonicalize().unwrap();
    let script = "trap 'touch polite; exit 0' TERM; touch ready; while :; do sleep 0.01; done";
    let mut child = Command::new("sh")
        .args(["-c", script])
        .env("TASK_WORKDIR", &path)
        .current_dir(&path)
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    let mut tree = Tree::new(&path, None);
    tree.add_leader(child.id());
    patient(|| path.join("ready").exists());
    let reaper = std::thread::spawn(move || child.wait().unwrap());
    tree.terminate().await;
    reaper.join().unwrap();
    assert!(path.join("polite").exists());
}
