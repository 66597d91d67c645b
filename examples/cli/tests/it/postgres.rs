//! `taskcluster up --database postgres://…`.

use crate::fixture::Fixture;

#[cfg(feature = "postgres")]
mod with {
    use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};
    use taskcluster::queue::Queue;
    use taskcluster_core::ids::TaskId;

    use super::*;
    use crate::bad_input::complaint;
    use crate::deployment::Up;
    use crate::task::definition;

    /// A new database on the server of the tests.
    async fn database() -> Option<String> {
        let Some(server) = std::env::var("TEST_POSTGRES").ok().filter(|url| !url.is_empty()) else {
            println!("skipped: TEST_POSTGRES is not set");
            return None;
        };
        let name = format!("cli_{}", TaskId::new().to_string().replace(['-', '_'], "x").to_lowercase());
        let mut connection = PgConnection::connect(&server).await.unwrap();
        connection.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
        let mut url = url::Url::parse(&server).unwrap();
        url.set_path(&name);
        Some(url.into())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn everything_is_kept_in_that_database() {
        let Some(database) = database().await else { return };
        let fixture = Fixture::empty();
        let up = Up::start(&fixture, &["--database", &database]);
        let task_id = TaskId::new();
        let queue = Queue::new(up.caller());
        queue.create_task(&task_id, &definition("local/nobody")).await.unwrap();
        up.stop();
        assert!(!fixture.data().join("queue.sqlite").exists());

        let up = Up::start(&fixture, &["--database", &database]);
        let status = Queue::new(up.caller()).status(&task_id).await.unwrap().status;
        assert_eq!(status.state.as_str(), "pending");
        up.stop();

        let mut connection = PgConnection::connect(&database).await.unwrap();
        let schemas = "SELECT DISTINCT table_schema::text FROM information_schema.tables WHERE table_name = 'migrations' ORDER BY 1";
        let schemas = connection.fetch_all(schemas).await.unwrap();
        let schemas: Vec<String> = schemas.iter().map(|row| row.get(0)).collect();
        assert_eq!(schemas, ["auth", "index", "object", "provisioner", "purge_cache", "queue", "scheduler"]);
    }

    #[test]
    fn a_server_that_does_not_answer_is_one_line() {
        let fixture = Fixture::empty();
        let data = fixture.data();
        // Nobody listens on the port of a listener that is gone.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let database = format!("postgres://tc:hunter2@127.0.0.1:{port}/tc");
        let args = ["up", "--listen", "127.0.0.1:0", "--data", data.to_str().unwrap(), "--database", &database];
        let line = complaint(&fixture, &args);
        assert!(line.contains(&format!("cannot open the database postgres://tc:***@127.0.0.1:{port}/tc: ")), "{line}");
        assert!(!line.contains("hunter2"), "{line}");
    }
}

#[cfg(not(feature = "postgres"))]
#[test]
fn a_build_without_the_feature_says_so() {
    let fixture = Fixture::empty();
    let data = fixture.data();
    let args = ["up", "--listen", "127.0.0.1:0", "--data", data.to_str().unwrap(), "--database", "postgres://tc@db/tc"];
    let line = crate::bad_input::complaint(&fixture, &args);
    assert!(line.contains("postgres://tc@db/tc") && line.contains("feature"), "{line}");
}
