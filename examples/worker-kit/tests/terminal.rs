//! A terminal that was made raw is given back however the program ends.

use std::io::{BufRead as _, Write as _};
use std::time::Duration;

use rustix::termios::{LocalModes, tcgetattr};
use taskcluster_worker_kit::terminal::Raw;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const TIMEOUT: Duration = Duration::from_secs(120);

/// Reads what a terminal shows until it shows this.
async fn until(pty: &mut pty_process::Pty, what: &str) -> String {
    let (mut said, mut buffer) = (String::new(), [0; 1000]);
    while !said.contains(what) {
        let reading = tokio::time::timeout(TIMEOUT, pty.read(&mut buffer)).await;
        let read = reading.unwrap_or_else(|_| panic!("{what:?} does not come: {said:?}")).unwrap();
        said.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    said
}

#[tokio::test]
async fn a_panic_gives_the_terminal_back_before_it_says_anything() {
    let (mut pty, inside) = pty_process::open().unwrap();
    let name = rustix::pty::ptsname(&pty, Vec::new()).unwrap();
    // So that the terminal stays when the program has ended.
    let _kept = std::fs::File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    let before = format!("{:?}", tcgetattr(&pty).unwrap());
    let command = pty_process::Command::new(std::env::current_exe().unwrap());
    let command = command.args(["--exact", "panics_while_the_terminal_is_raw", "--ignored", "--nocapture"]);
    let mut child = command.kill_on_drop(true).spawn(inside).unwrap();
    until(&mut pty, "READY").await;
    let raw = tcgetattr(&pty).unwrap().local_modes;
    assert!(!raw.intersects(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG), "{raw:?}");
    pty.write_all(b"\n").await.unwrap();
    let said = until(&mut pty, "the end of the test program\r\n").await;
    assert!(said.contains("panicked"), "{said}");
    let status = tokio::time::timeout(TIMEOUT, child.wait()).await.expect("it ends").unwrap();
    assert!(!status.success());
    assert_eq!(format!("{:?}", tcgetattr(&pty).unwrap()), before);
}

#[test]
#[ignore = "another test starts it, in a terminal of its own"]
fn panics_while_the_terminal_is_raw() {
    // What a panic would drop is not what gives the terminal back: where panics abort, nothing is dropped.
    std::mem::forget(Raw::enter().unwrap());
    print!("READY");
    std::io::stdout().flush().unwrap();
    std::io::stdin().lock().read_line(&mut String::new()).unwrap();
    panic!("the end of the test program");
}
