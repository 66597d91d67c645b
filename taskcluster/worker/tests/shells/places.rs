//! How many shells there may be, and that they do not get into each other's way.

use std::sync::atomic::Ordering;

use taskcluster_worker::plugins::SHELL;
use taskcluster_worker::shell::ShellRequest;
use taskcluster_worker::shell::client::ShellError;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};

use crate::client::Client;
use crate::own::{Visit, visit};
use crate::stage::{Flood, Program, Stage};
use crate::{v1, v2};

/// Wait until nothing more of a flood is taken, while a neighbour works as if there were none. Gives how much was.
pub(crate) async fn settled(stage: &mut Stage, flood: &Flood) -> usize {
    let neighbour = v2::open(stage).await;
    settled_beside(neighbour, flood).await
}

pub(crate) async fn settled_beside<S>((mut client, mut program): (Client<S>, Program), flood: &Flood) -> usize
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        let before = flood.count();
        for _ in 0..300 {
            client.says(b"\x01ping").await;
            assert_eq!(program.reads(4).await, b"ping");
            program.prints(b"pong").await;
            assert_eq!(client.message().await, b"pong");
        }
        if flood.count() == before {
            client.closes().await;
            program.is_ended().await;
            return before;
        }
    }
}

#[tokio::test]
async fn the_eleventh_shell_is_refused_whatever_it_speaks() {
    let mut stage = Stage::set().await;
    let (mut clients, mut visits, mut programs): (_, Vec<Visit>, Vec<Program>) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..4 {
        clients.push(v1::connect(&stage, "tty=true").await);
        programs.push(stage.program().await);
        clients.push(v2::connect(&stage).await);
        programs.push(stage.program().await);
    }
    for _ in 0..2 {
        visits.push(visit(&stage.leads_to(SHELL), ShellRequest::default()));
        programs.push(stage.program().await);
    }

    let mut refused = v1::connect(&stage, "tty=true").await;
    let said = refused.message().await;
    assert!(said[0] == 202 && String::from_utf8_lossy(&said).contains("too many"), "{said:?}");
    assert_eq!(refused.end().await.0, 1013);
    let mut refused = v2::connect(&stage).await;
    assert!(String::from_utf8(refused.message().await).unwrap().contains("too many"));
    assert_eq!(refused.end().await.0, 1013);
    let error = visit(&stage.leads_to(SHELL), ShellRequest::default()).ends().await.unwrap_err();
    assert!(matches!(&error, ShellError::Refused(why) if why.contains("too many")), "{error}");

    // Whoever goes makes room.
    clients.remove(1).closes().await;
    programs[1].is_ended().await;
    let mut next = loop {
        let mut next = v1::connect(&stage, "tty=true").await;
        if next.message().await == [100] {
            break next;
        }
    };
    let mut program = stage.program().await;
    program.exits(3);
    assert_eq!(next.message().await, [200, 3]);
    assert_eq!(stage.end().await, "completed");
}

#[tokio::test]
async fn a_page_that_never_reads_is_sent_little_and_holds_up_only_its_own_program() {
    let mut stage = Stage::set().await;
    let (_client, mut program) = v2::open(&mut stage).await;
    let flood = program.floods();
    let taken = settled(&mut stage, &flood).await;
    assert!(taken < 400_000, "{taken} bytes are held for a page that does not read");
    // Nor does it hold up the end of the task.
    assert_eq!(stage.end().await, "completed");
}

#[tokio::test]
async fn a_visitor_that_never_reads_is_sent_no_more_than_the_window() {
    let mut stage = Stage::set().await;
    let mut silent = crate::own::Raw::open(&stage).await;
    let mut program = stage.program().await;
    let flood = program.floods();
    let taken = settled(&mut stage, &flood).await;
    assert!(taken <= 64 * 1024 + 2000, "{taken} bytes are held for a visitor that does not read");
    // What it was sent is what was printed, so far and no further.
    let mut read = 0;
    while read < 64 * 1024 {
        let said = silent.0.message().await;
        assert!(said[9..].iter().enumerate().all(|(at, byte)| *byte == Flood::byte(read + at)));
        read += said.len() - 9;
    }
    assert_eq!(stage.end().await, "completed");
}

#[tokio::test]
async fn a_page_that_reads_byte_by_byte_is_sent_no_more_than_it_reads() {
    let mut stage = Stage::set().await;
    let (mut client, mut program) = v2::open(&mut stage).await;
    let flood = program.floods();
    let before = settled(&mut stage, &flood).await;
    let mut byte = [0; 1];
    for _ in 0..2000 {
        client.stream().read_exact(&mut byte).await.unwrap();
    }
    let after = settled(&mut stage, &flood).await;
    assert!(after - before < 200_000, "{} bytes are taken for 2000 that are read", after - before);
    stage.end().await;
}

#[tokio::test]
async fn who_types_without_end_into_a_program_that_does_not_read_is_made_to_wait() {
    let mut stage = Stage::set().await;
    // Standard input in the one protocol, what is typed in the other.
    for code in [0, 1] {
        let mut client = if code == 0 { v1::connect(&stage, "tty=true").await } else { v2::connect(&stage).await };
        let mut program = stage.program().await;
        let flood = Flood::of(move |count| async move {
            let message = [&[code][..], &[b'x'; 9999]].concat();
            while client.tries_to_say(message.clone().into()).await {
                count.fetch_add(9999, Ordering::SeqCst);
            }
        });
        let taken = settled(&mut stage, &flood).await;
        // A megabyte, and what the system holds.
        assert!(taken < 8_000_000, "{taken} bytes are held for a program that does not read");
        program.reads(1_500_000).await;
        settled(&mut stage, &flood).await;
        assert!(flood.count() > taken, "it goes on when the program reads");
    }
    stage.end().await;
}
