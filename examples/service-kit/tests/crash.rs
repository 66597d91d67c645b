//! What was answered survives a process that is killed.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use service_kit::data_dir::DataDir;
use service_kit::store::{Database, SqliteStore, StoreError};

const FOLDER: &str = "SERVICE_KIT_CRASH_TEST_FOLDER";
const MIGRATIONS: [(&str, &str); 1] =
    [("0001_numbers.sql", "CREATE TABLE numbers (number INTEGER PRIMARY KEY) STRICT")];

async fn open(folder: &Path) -> SqliteStore {
    let database = Database::Sqlite(folder.join("numbers.db"));
    SqliteStore::open(&database, "numbers", &MIGRATIONS).await.unwrap()
}

/// The process that is killed: this same program, told by a variable. By itself it is no test.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn victim() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let _data = DataDir::open(Path::new(&folder)).unwrap();
    let store = open(Path::new(&folder)).await;
    for first in (0..1_000_000_i64).step_by(4) {
        let jobs = (first..first + 4).map(|number| {
            store.write(move |connection| {
                Box::pin(async move {
                    sqlx::query("INSERT INTO numbers (number) VALUES (?)").bind(number).execute(connection).await?;
                    Ok::<_, StoreError>(number)
                })
            })
        });
        for number in futures_util::future::try_join_all(jobs).await.unwrap() {
            println!("\nanswered {number}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_is_there_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "victim", "--nocapture"])
        .env(FOLDER, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut answered = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| line.strip_prefix("answered ")?.parse::<i64>().ok());
    let mut last = answered.by_ref().nth(20).expect("the child answers");
    let error = DataDir::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains(&format!("process {}", child.id())), "{error}");
    child.kill().unwrap();
    child.wait().unwrap();
    last = answered.last().unwrap_or(last);

    DataDir::open(folder.path()).unwrap();
    let store = open(folder.path()).await;
    let kept: Vec<i64> =
        sqlx::query_scalar("SELECT number FROM numbers ORDER BY number").fetch_all(store.readers()).await.unwrap();
    assert!(kept.len() as i64 > last, "{last} was answered, {} are there", kept.len());
    assert!(kept.iter().copied().eq(0..kept.len() as i64), "nothing is missing in between");
}
