//! A PostgreSQL server of our own, with `fsync` on, for as long as a bench runs.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use sqlx::{Connection, PgConnection, Row};
use tempfile::TempDir;

pub(crate) struct Postgres {
    server: Child,
    port: u16,
    bin: PathBuf,
    folder: TempDir,
}

/// What the server has counted since it was started.
#[derive(Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) statements: f64,
    pub(crate) syncs: f64,
}

impl Postgres {
    /// Starts one; `None` where PostgreSQL is not installed.
    pub(crate) async fn start() -> Result<Option<Self>> {
        let Some(bin) = bin() else { return Ok(None) };
        let folder = tempfile::tempdir()?;
        if rustix::process::geteuid().is_root() {
            let ours = Command::new("chown").arg("postgres:").arg(folder.path()).status()?;
            ensure!(ours.success(), "there is no user postgres");
        }
        let data = folder.path().join("data");
        let made = unprivileged(&bin.join("initdb"))
            .args(["-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8", "-D"])
            .arg(&data)
            .current_dir(folder.path())
            .output()?;
        ensure!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = unprivileged(&bin.join("postgres"));
        command.arg("-D").arg(&data).args(["-p", &port.to_string(), "-k"]).arg(folder.path());
        for setting in
            ["listen_addresses=127.0.0.1", "shared_preload_libraries=pg_stat_statements", "max_connections=200"]
        {
            command.args(["-c", setting]);
        }
        let server = command.current_dir(folder.path()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let mut postgres = Self { server, port, bin, folder };
        postgres.ready().await?;
        postgres.run("CREATE EXTENSION pg_stat_statements").await?;
        Ok(Some(postgres))
    }

    async fn ready(&mut self) -> Result<()> {
        for _ in 0..600 {
            if PgConnection::connect(&self.url("postgres")).await.is_ok() {
                return Ok(());
            }
            if let Some(status) = self.server.try_wait()? {
                bail!("PostgreSQL ended with {status}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("PostgreSQL does not come up")
    }

    pub(crate) fn id(&self) -> u32 {
        self.server.id()
    }

    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    pub(crate) async fn run(&self, statement: &'static str) -> Result<()> {
        let mut connection = PgConnection::connect(&self.url("postgres")).await?;
        sqlx::query(statement).execute(&mut connection).await?;
        Ok(connection.close().await?)
    }

    pub(crate) async fn counts(&self) -> Result<Counts> {
        let mut connection = PgConnection::connect(&self.url("postgres")).await?;
        let row = sqlx::query(
            "SELECT (SELECT SUM(calls)::FLOAT8 FROM pg_stat_statements), (SELECT wal_sync::FLOAT8 FROM pg_stat_wal)",
        )
        .fetch_one(&mut connection)
        .await?;
        connection.close().await?;
        Ok(Counts { statements: row.try_get(0)?, syncs: row.try_get(1)? })
    }

    /// What has taken most of the server's time since [`forget`](Self::forget), one line each.
    pub(crate) async fn costliest(&self, at_most: i64) -> Result<Vec<String>> {
        let mut connection = PgConnection::connect(&self.url("postgres")).await?;
        let rows = sqlx::query(
            "SELECT calls, total_exec_time + total_plan_time, rows, shared_blks_hit, regexp_replace(query, '\\s+', ' ', 'g')
             FROM pg_stat_statements ORDER BY 2 DESC LIMIT $1",
        )
        .bind(at_most)
        .fetch_all(&mut connection)
        .await?;
        connection.close().await?;
        rows.iter()
            .map(|row| {
                let (calls, ms): (i64, f64) = (row.try_get(0)?, row.try_get(1)?);
                let (rows, blocks): (i64, i64) = (row.try_get(2)?, row.try_get(3)?);
                let text: String = row.try_get(4)?;
                let each = |total: f64| total / calls as f64;
                Ok(format!(
                    "{ms:>8.0} ms {calls:>7} calls {:>7.3} ms, {:>6.1} rows, {:>7.1} blocks each: {}",
                    each(ms),
                    each(rows as f64),
                    each(blocks as f64),
                    text.chars().take(150).collect::<String>()
                ))
            })
            .collect()
    }

    /// Counts from here on.
    pub(crate) async fn forget(&self) -> Result<()> {
        self.run("SELECT pg_stat_statements_reset()").await
    }

    /// Transactions a second of pgbench with 8 clients, each transaction one inserted row.
    pub(crate) async fn single_row_inserts(&self) -> Result<f64> {
        self.run(
            "CREATE TABLE IF NOT EXISTS inserted (id BIGSERIAL PRIMARY KEY, at TIMESTAMPTZ DEFAULT now(), body TEXT)",
        )
        .await?;
        let script = self.folder.path().join("insert.sql");
        std::fs::write(&script, "INSERT INTO inserted (body) VALUES (repeat('x', 100));\n")?;
        let output = Command::new(self.bin.join("pgbench"))
            .args(["-n", "-M", "prepared", "-c", "8", "-j", "2", "-T", "5", "-h", "127.0.0.1", "-U", "postgres", "-p"])
            .arg(self.port.to_string())
            .arg("-f")
            .arg(&script)
            .arg("postgres")
            .output()?;
        let report = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = report.lines().find_map(|line| line.strip_prefix("tps = ")).context("pgbench gives no tps")?;
        Ok(line.split_whitespace().next().context("pgbench gives no tps")?.parse()?)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(id) = rustix::process::Pid::from_raw(self.server.id().cast_signed()) {
            let _ = rustix::process::kill_process(id, rustix::process::Signal::INT);
        }
        let _ = self.server.wait();
    }
}

/// The folder with the programs of the newest server that is installed.
fn bin() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?.flatten().map(|entry| entry.path().join("bin"));
    versions.filter(|bin| bin.join("postgres").is_file()).max()
}

/// The server refuses to run as root: then it runs as the user postgres.
fn unprivileged(program: &Path) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "postgres", "--regid", "postgres", "--init-groups"]).arg(program);
    command
}
