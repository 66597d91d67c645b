//! The log of one run: a file that is appended to, with any number of followers.
//!
//! Writers never wait for readers: a follower reads the file at its own pace and learns from a watch channel that there is
//! more. So a slow reader of the live log costs nothing and loses nothing.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use taskcluster_core::clock::SharedClock;
use taskcluster_core::time::Timestamp;
use tokio::sync::watch;

type Sink = Arc<dyn Fn(Bytes) + Send + Sync>;

/// The log of one run. Cheap to clone; all clones write to the same file.
#[derive(Clone)]
pub struct TaskLog {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    file: Mutex<Appender>,
    state: watch::Sender<State>,
    clock: SharedClock,
    sink: Option<Sink>,
}

struct Appender {
    file: File,
    /// Room on the disk for last words.
    spare: Option<tempfile::TempPath>,
    at_line_start: bool,
    failed: bool,
    last_write: Timestamp,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    length: u64,
    closed: bool,
}

impl TaskLog {
    /// Begin a log in a new file at `path`.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn create(path: &Path, clock: SharedClock) -> io::Result<Self> {
        Self::with_sink(path, clock, None)
    }

    pub(crate) fn with_sink(path: &Path, clock: SharedClock, sink: Option<Sink>) -> io::Result<Self> {
        let file = File::options().create(true).truncate(true).write(true).open(path)?;
        let (spare, last_write) = (Some(spare_beside(path)?), clock.now());
        let appender = Appender { file, spare, at_line_start: true, failed: false, last_write };
        let (state, _) = watch::channel(State::default());
        let inner = Inner { path: path.to_owned(), file: Mutex::new(appender), state, clock, sink };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Append what the task printed, as it is. Once the disk is full, what is printed is lost, and a line of the worker's says so.
    pub fn write(&self, bytes: &[u8]) {
        let mut appender = self.lock();
        if let Some(error) = self.append(&mut appender, bytes) {
            self.append_lines(
                &mut appender,
                ERROR,
                &format!("{error}: what the task printed from here on is not in its log"),
            );
        }
    }

    /// A line of the worker's own: `[taskcluster 2026-01-31T12:00:00.000Z] text`. Several lines get the prefix each.
    pub fn info(&self, text: impl AsRef<str>) {
        let prefix = format!("[taskcluster {}] ", self.inner.clock.now());
        self.lines(&prefix, text.as_ref());
    }

    /// A line that says why the run does not succeed: `[taskcluster:error] text`, which log viewers look for.
    pub fn error(&self, text: impl AsRef<str>) {
        self.lines(ERROR, text.as_ref());
    }

    /// A line about something that may surprise: `[taskcluster:warn 2026-01-31T12:00:00.000Z] text`.
    pub fn warn(&self, text: impl AsRef<str>) {
        let prefix = format!("[taskcluster:warn {}] ", self.inner.clock.now());
        self.lines(&prefix, text.as_ref());
    }

    /// Nothing more will be written; followers come to their end.
    pub fn close(&self) {
        self.inner.state.send_modify(|state| state.closed = true);
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Bytes written until now.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.inner.state.borrow().length
    }

    /// Bytes written until now, and whether there will be no more.
    pub(crate) fn extent(&self) -> (u64, bool) {
        let state = self.inner.state.borrow();
        (state.length, state.closed)
    }

    /// When something was written last, whether or not the disk had room for it; at first, when the log was begun.
    #[must_use]
    pub fn last_write(&self) -> Timestamp {
        self.lock().last_write
    }

    /// Whether a write failed (disk full): the file then lacks what came after.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.lock().failed
    }

    /// Read the log from its beginning, then follow it until it is closed.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn follow(&self) -> io::Result<Follower> {
        self.follow_part(0, None)
    }

    /// Read the log from the byte `from`, and follow it to the byte `end`, or until it is closed.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn follow_part(&self, from: u64, end: Option<u64>) -> io::Result<Follower> {
        let (file, state) = (File::open(&self.inner.path)?, self.inner.state.subscribe());
        Ok(Follower { file, read: from, end: end.unwrap_or(u64::MAX), state })
    }

    fn lines(&self, prefix: &str, text: &str) {
        self.append_lines(&mut self.lock(), prefix, text);
    }

    fn append_lines(&self, appender: &mut Appender, prefix: &str, text: &str) {
        let mut out = String::with_capacity(prefix.len() + text.len() + 2);
        if !appender.at_line_start {
            out.push('\n');
        }
        for line in text.lines() {
            out.push_str(prefix);
            out.push_str(line);
            out.push('\n');
        }
        // Few, and they say why the run ended: they are tried also when the disk is full.
        let full = std::mem::take(&mut appender.failed);
        self.append(appender, out.as_bytes());
        appender.failed |= full;
    }

    /// Gives the error if this is the first time that the disk does not take something.
    fn append(&self, appender: &mut Appender, bytes: &[u8]) -> Option<io::Error> {
        let last = bytes.last()?;
        appender.last_write = self.inner.clock.now();
        let closed = self.inner.state.borrow().closed;
        if closed {
            return None;
        }
        if let Some(sink) = &self.inner.sink {
            sink(Bytes::copy_from_slice(bytes));
        }
        if appender.failed {
            return None;
        }
        let written = appender.file.write_all(bytes);
        appender.at_line_start = written.is_ok() && *last == b'\n';
        // The beginning of what it did not take as a whole is there as well.
        let length = appender.file.stream_position();
        self.inner.state.send_modify(|state| state.length = length.unwrap_or(state.length));
        let error = written.err()?;
        appender.failed = true;
        // Dropped only once: later errors are the same one.
        appender.spare.take()?;
        tracing::error!(path = %self.inner.path.display(), %error, "cannot write a task's log");
        Some(error)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Appender> {
        self.inner.file.lock().expect("no writer of a log panics")
    }
}

/// What lines begin with that say why a run does not succeed.
const ERROR: &str = "[taskcluster:error] ";

/// How much room is kept for what is to be said when the disk is full.
const LAST_WORDS: usize = 16 * 1024;

/// A file that takes up room until it is dropped.
fn spare_beside(log: &Path) -> io::Result<tempfile::TempPath> {
    let mut file = tempfile::NamedTempFile::new_in(log.parent().unwrap_or(Path::new(".")))?;
    file.write_all(&[0; LAST_WORDS])?;
    Ok(file.into_temp_path())
}

impl std::fmt::Debug for TaskLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TaskLog").field("path", &self.inner.path).field("length", &self.length()).finish()
    }
}

/// Reads a log from its beginning to its end, however far apart in time these are. Holds one chunk at a time.
#[derive(Debug)]
pub struct Follower {
    file: File,
    read: u64,
    /// The byte after the last that is wanted.
    end: u64,
    state: watch::Receiver<State>,
}

const CHUNK: u64 = 64 * 1024;

impl Follower {
    /// The next bytes, once there are some; `None` after the last when the log is closed.
    ///
    /// Cancel safe: what was not returned is read again.
    ///
    /// # Errors
    /// The file cannot be read, or everybody who could have closed the log is gone.
    pub async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let state = *self.state.borrow_and_update();
            let length = state.length.min(self.end);
            if length > self.read {
                return self.read_chunk((length - self.read).min(CHUNK)).map(Some);
            }
            if state.closed || self.read >= self.end {
                return Ok(None);
            }
            if self.state.changed().await.is_err() {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the run was dropped in the middle"));
            }
        }
    }

    fn read_chunk(&mut self, length: u64) -> io::Result<Bytes> {
        // Never more than `CHUNK`.
        let mut chunk = vec![0; length as usize];
        self.file.seek(SeekFrom::Start(self.read))?;
        self.file.read_exact(&mut chunk)?;
        self.read += length;
        Ok(chunk.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use taskcluster_core::clock::{ManualClock, SystemClock};

    #[tokio::test]
    async fn a_follower_sees_everything_from_the_beginning_to_the_close() {
        let dir = tempfile::tempdir().unwrap();
        let log = TaskLog::create(&dir.path().join("log"), Arc::new(SystemClock)).unwrap();
        log.write(b"first\n");
        let mut follower = log.follow().unwrap();
        assert_eq!(follower.next().await.unwrap().unwrap(), "first\n");
        let writer = log.clone();
        let late = tokio::spawn(async move {
            writer.write(b"second\n");
            writer.close();
            writer.write(b"lost\n");
        });
        assert_eq!(follower.next().await.unwrap().unwrap(), "second\n");
        assert!(follower.next().await.unwrap().is_none());
        late.await.unwrap();
        assert_eq!(std::fs::read_to_string(log.path()).unwrap(), "first\nsecond\n");
    }

    #[tokio::test]
    async fn a_part_is_read_from_where_to_where_it_is_wanted() {
        let dir = tempfile::tempdir().unwrap();
        let log = TaskLog::create(&dir.path().join("log"), Arc::new(SystemClock)).unwrap();
        log.write(b"0123456789");
        let mut part = log.follow_part(2, Some(5)).unwrap();
        assert_eq!(part.next().await.unwrap().unwrap(), "234");
        assert!(part.next().await.unwrap().is_none(), "although the log goes on");
        let mut rest = log.follow_part(8, None).unwrap();
        assert_eq!(rest.next().await.unwrap().unwrap(), "89");
    }

    #[tokio::test]
    async fn a_log_that_is_dropped_before_its_end_has_none() {
        let dir = tempfile::tempdir().unwrap();
        let log = TaskLog::create(&dir.path().join("log"), Arc::new(SystemClock)).unwrap();
        let mut follower = log.follow().unwrap();
        drop(log);
        assert!(follower.next().await.is_err());
    }

    /// Nothing at all can be written to it.
    #[test]
    fn a_disk_that_is_full_is_said_once_and_heard_by_who_listens() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::os::unix::fs::symlink("/dev/full", &path).unwrap();
        let (heard, clock) = (Arc::new(Mutex::new(Vec::new())), Arc::new(SystemClock));
        let all = heard.clone();
        let sink: Sink = Arc::new(move |chunk| all.lock().unwrap().extend(chunk));
        let log = TaskLog::with_sink(&path, clock, Some(sink)).unwrap();
        for _ in 0..3 {
            log.write(b"printed\n");
        }
        log.error("exit code 3");
        assert!(log.is_truncated());
        let heard = String::from_utf8(heard.lock().unwrap().clone()).unwrap();
        assert_eq!(heard.matches("from here on is not in its log").count(), 1, "{heard}");
        assert!(
            heard.matches("printed\n").count() == 3 && heard.ends_with("[taskcluster:error] exit code 3\n"),
            "{heard}"
        );
    }

    #[test]
    fn lines_of_the_worker_begin_at_the_start_of_a_line() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at("2026-01-31T12:00:00.000Z".parse().unwrap()));
        let log = TaskLog::create(&dir.path().join("log"), clock).unwrap();
        log.write(b"no newline");
        log.error("it broke");
        log.info("two\nlines");
        let text = std::fs::read_to_string(log.path()).unwrap();
        assert_eq!(
            text,
            "no newline\n[taskcluster:error] it broke\n\
             [taskcluster 2026-01-31T12:00:00.000Z] two\n[taskcluster 2026-01-31T12:00:00.000Z] lines\n"
        );
    }
}
