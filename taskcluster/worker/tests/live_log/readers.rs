//! Readers of all kinds.

use futures_util::future::join_all;

use crate::stage::{Reader, Stage};

/// Bytes that are no text and never end a line.
fn noise(length: usize) -> Vec<u8> {
    (0..length).map(|at| 0x80 | (at % 113) as u8).collect()
}

#[tokio::test]
async fn a_reader_gets_the_log_from_its_beginning_and_follows_it() {
    let mut stage = Stage::set().await;
    stage.log.write(b"early\n");
    let mut reader = stage.ask("GET", "").await;
    let head = reader.head().await;
    assert!(head.starts_with("http/1.0 200") && head.contains("accept-ranges: bytes"), "{head}");
    assert!(head.contains("content-type: text/plain; charset=utf-8") && head.contains("nosniff"), "{head}");
    reader.through(b"early\n").await;
    stage.log.write(b"late\n");
    reader.through(b"late\n").await;
    stage.end().await;
    assert!(stage.kept().ends_with(&reader.rest().await));
}

#[tokio::test]
async fn a_reader_begins_where_it_likes() {
    // From a position in the log, where negative from its end.
    for (range, begins) in [(5, "56789\nand on\n"), (10, "\nand on\n"), (-3, "789\nand on\n")] {
        let mut stage = Stage::set().await;
        let before = stage.log.length();
        stage.log.write(b"0123456789");
        let (range, from) = match u64::try_from(range) {
            Ok(at) => (format!("{}-", before + at), before + at),
            Err(_) => (range.to_string(), before + 7),
        };
        let mut reader = stage.ask("GET", &format!("range: bytes={range}\r\n")).await;
        let head = reader.head().await;
        assert!(head.starts_with("http/1.0 206"), "{range}: {head}");
        assert!(head.contains(&format!("content-range: bytes {from}-9007199254740991/*\r\n")), "{range}: {head}");
        stage.log.write(b"\nand on\n");
        assert_eq!(reader.through(b"and on\n").await, begins.as_bytes(), "{range}");
        stage.end().await;
    }
}

#[tokio::test]
async fn a_part_that_is_there_is_given_at_once() {
    let mut stage = Stage::set().await;
    let from = stage.log.length();
    stage.log.write(b"0123456789");
    let range = |first: u64, last: u64| format!("range: bytes={}-{}\r\n", from + first, from + last);
    let mut reader = stage.ask("GET", &range(2, 4)).await;
    let head = reader.head().await;
    assert!(head.starts_with("http/1.0 206") && head.contains("content-length: 3\r\n"), "{head}");
    assert_eq!(reader.rest().await, b"234");
    let mut reader = stage.ask("GET", &range(8, 4000)).await;
    assert!(reader.head().await.contains(&format!("content-range: bytes {}-{}/*\r\n", from + 8, from + 9)));
    assert_eq!(reader.rest().await, b"89");

    let mut reader = stage.ask("GET", &range(10, 12)).await;
    let head = reader.head().await;
    assert!(head.starts_with("http/1.0 416"), "{head}");
    assert!(head.contains(&format!("content-range: bytes */{}\r\n", from + 10)), "{head}");

    // There is nothing that tells one state of the log from another, so this condition never holds.
    let mut reader = stage.ask("GET", &format!("{}if-range: \"x\"\r\n", range(2, 4))).await;
    assert!(reader.head().await.starts_with("http/1.0 200"));
    stage.end().await;
}

#[tokio::test]
async fn the_head_alone_can_be_had() {
    let mut stage = Stage::set().await;
    let mut reader = stage.ask("HEAD", "range: bytes=2-3\r\n").await;
    let head = reader.head().await;
    assert!(head.starts_with("http/1.0 200") && head.contains("accept-ranges: bytes"), "{head}");
    assert_eq!(reader.rest().await, b"");
    stage.end().await;
}

#[tokio::test]
async fn a_page_of_another_origin_may_read_parts() {
    let mut stage = Stage::set().await;
    let asks =
        "origin: https://ui.example\r\naccess-control-request-method: GET\r\naccess-control-request-headers: range\r\n";
    let head = stage.ask("OPTIONS", asks).await.head().await;
    assert!(head.starts_with("http/1.0 204"), "{head}");
    assert!(head.contains("access-control-allow-headers: range\r\n"), "{head}");
    assert!(head.contains("access-control-allow-methods: get, head\r\n"), "{head}");
    // It may also see what went wrong.
    for headers in ["", "range: bytes=0-3\r\n", "range: bytes=99999999-\r\n"] {
        let head = stage.ask("GET", headers).await.head().await;
        assert!(head.contains("access-control-allow-origin: *\r\n"), "{head}");
        assert!(head.contains("access-control-expose-headers: accept-ranges, content-length, content-range"), "{head}");
    }
    stage.end().await;
}

#[tokio::test]
async fn the_url_ends_with_the_run() {
    let mut stage = Stage::set().await;
    assert!(stage.ask("GET", "").await.head().await.starts_with("http/1.0 200"));
    stage.end().await;
    assert!(stage.ask("GET", "").await.head().await.starts_with("http/1.0 404"));
    assert!(stage.ask("HEAD", "").await.head().await.starts_with("http/1.0 404"));
}

#[tokio::test]
async fn bytes_pass_through_unchanged() {
    let mut stage = Stage::set().await;
    let mut reader = stage.ask("GET", "").await;
    reader.head().await;
    let noise = noise(3 << 20);
    for piece in noise.chunks(100_003) {
        stage.log.write(piece);
    }
    stage.end().await;
    let read = reader.rest().await;
    assert!(read.windows(64).any(|window| window == &noise[..64]));
    let at = read.windows(64).position(|window| window == &noise[..64]).unwrap();
    assert!(read[at..].starts_with(&noise));
    assert!(stage.kept() == read);
}

#[tokio::test]
async fn a_reader_that_stalls_keeps_nobody_waiting_and_misses_nothing() {
    let mut stage = Stage::set().await;
    let mut stalled = stage.ask("GET", "").await;
    let mut quick = stage.ask("GET", "").await;
    stalled.head().await;
    quick.head().await;
    // Far more than all buffers in between.
    for piece in noise(24 << 20).chunks(1 << 20) {
        stage.log.write(piece);
    }
    stage.log.write(b"\nTHE LAST\n");
    quick.through(b"THE LAST\n").await;
    stage.end().await;
    drop(quick);
    assert!(stalled.rest().await == stage.kept());
}

#[tokio::test]
async fn two_hundred_read_at_once() {
    let mut stage = Stage::set().await;
    let readers = join_all((0..200).map(async |_| {
        let mut reader = stage.ask("GET", "").await;
        assert!(reader.head().await.starts_with("http/1.0 200"));
        reader
    }));
    let follow = join_all(readers.await.into_iter().map(Reader::rest));
    let write = async {
        for piece in noise(256 << 10).chunks(10_000) {
            stage.log.write(piece);
            tokio::task::yield_now().await;
        }
        stage.end().await;
    };
    let (read, ()) = tokio::join!(follow, write);
    let kept = stage.kept();
    assert!(read.iter().all(|read| *read == kept));
}

#[tokio::test]
async fn who_only_connects_keeps_nobody_out() {
    let mut stage = Stage::set().await;
    let address = (stage.url.host_str().unwrap().to_owned(), stage.url.port().unwrap());
    let silent = join_all((0..50).map(|_| tokio::net::TcpStream::connect(address.clone()))).await;
    assert!(stage.ask("GET", "").await.head().await.starts_with("http/1.0 200"));
    drop(silent);
    stage.end().await;
}
