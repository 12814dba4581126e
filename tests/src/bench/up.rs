//! `bench up`: how long a newcomer waits.
//!
//! Measures the shipped command line from outside: until the hub answers, until the first run has
//! succeeded, and the memory that hub, clusters and agents together took.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{Error, Report, peak_rss_mib, percentile};
use crate::{
    harness::{Process, command_for},
    story::stage::product,
};

/// The longest that one try may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Brings a fleet up so many times, each in a new folder.
///
/// # Errors
///
/// When one does not come up.
pub async fn run(repeat: usize, clusters: usize) -> Result<Report, Error> {
    let mut report = Report::new("up");
    let (mut ready, mut first, mut memory) = (vec![], vec![], vec![]);
    for number in 1..=repeat {
        let (answers, succeeded, mib) = once(clusters).await?;
        report.row([
            ("run", json!(number)),
            ("clusters", json!(clusters)),
            ("ready_s", json!(super::round(answers))),
            ("first_run_s", json!(super::round(succeeded))),
            ("rss_mib", json!(mib.round())),
        ]);
        ready.push(answers);
        first.push(succeeded);
        memory.push(mib);
    }
    report.value("ready_s", percentile(&ready, 50));
    report.value("first_run_s", percentile(&first, 50));
    report.value("rss_mib", percentile(&memory, 50));
    Ok(report)
}

async fn once(clusters: usize) -> Result<(f64, f64, f64), Error> {
    let folder = tempfile::tempdir()?;
    let program = product("tidegate")?;
    let mut command = command_for(&program);
    command
        .args(["up", "--dir", "fleet", "--clusters", &clusters.to_string()])
        .env("HOME", folder.path())
        .current_dir(folder.path());
    let begun = Instant::now();
    let up = Process::start("up", command, &folder.path().join("told"))?;
    let config = folder.path().join("fleet/config.yaml");
    let ask = |arguments: &[&str]| {
        let mut command = tokio::process::Command::from(command_for(&program));
        command.args(arguments).env("TIDEGATE_CONFIG", &config);
        command.kill_on_drop(true);
        async move { command.output().await }
    };
    let succeeded = async {
        while !ask(&["get", "clusters"]).await?.status.success() {
            up.expect_running()?;
            sleep(Duration::from_millis(5)).await;
        }
        let answers = begun.elapsed();
        // One that watches ends with the run; the wait of scripts looks twice a second only.
        while !ask(&["run", "watch", "--set", "guestbook"])
            .await?
            .status
            .success()
        {
            up.expect_running()?;
            sleep(Duration::from_millis(5)).await;
        }
        Ok::<_, Error>((answers, begun.elapsed()))
    };
    let (answers, succeeded) = tokio::time::timeout(PATIENCE, succeeded)
        .await
        .map_err(|_| format!("no first run within {PATIENCE:?}:\n{}", up.log_tail()))??;
    let memory = peak_rss_mib(up.pid())?;
    up.end(Duration::from_secs(20)).await?;
    Ok((answers.as_secs_f64(), succeeded.as_secs_f64(), memory))
}
