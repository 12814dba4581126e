//! Processes start, stop, speak and end as they should.

use std::thread;

use super::*;

fn shell(script: &str, log: &Path) -> Process {
    let mut command = command_for(Path::new("sh"));
    command.args(["-c", script]);
    Process::start("a shell", command, log).unwrap()
}

async fn until(what: &str, mut level: impl FnMut() -> bool) {
    let seen = eventually(what, Duration::from_secs(10), || {
        let reached = level();
        async move { reached.then_some(()).ok_or_else(|| "not yet".to_owned()) }
    });
    seen.await.unwrap();
}

#[tokio::test]
async fn a_dropped_process_is_dead() {
    let folder = tempfile::tempdir().unwrap();
    let process = shell("exec sleep 1000", &folder.path().join("log"));
    let pid = process.pid();
    assert!(is_alive(pid));
    drop(process);
    assert!(!is_alive(pid));
}

#[tokio::test]
async fn a_process_outlives_the_thread_that_asked_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let start = thread::spawn(move || {
        let process = shell("echo up; exec sleep 1000", &log);
        // Only a process that is up can be hit by the end of this thread.
        while process.log_tail() != "up" {
            thread::yield_now();
        }
        process
    });
    let process = start.join().unwrap();
    // The signal, were there one, is sent before another process is done.
    let other = shell("true", &folder.path().join("other"));
    until("the end of another", || other.status().unwrap().is_some()).await;
    process.expect_running().unwrap();
}

#[tokio::test]
async fn an_ended_process_shows_its_last_words() {
    let folder = tempfile::tempdir().unwrap();
    let process = shell("echo why; exit 7", &folder.path().join("log"));
    until("its end", || process.status().unwrap().is_some()).await;
    let error = process.expect_running().unwrap_err().to_string();
    assert!(error.contains("a shell") && error.contains('7') && error.ends_with("why"));
}

#[tokio::test]
async fn a_pause_stops_and_continuing_runs_again() {
    let folder = tempfile::tempdir().unwrap();
    let script = "while :; do echo on; sleep 0.01; done";
    let process = shell(script, &folder.path().join("log"));
    let written = || fs::metadata(process.log()).unwrap().len();
    until("its words", || written() > 0).await;
    // Often, because a process seldom runs on after its signal.
    for _ in 0..100 {
        process.pause().await.unwrap();
        assert_eq!(threads(process.pid()).unwrap(), ['T']);
        let before = written();
        process.signal(Signal::Continue).unwrap();
        until("its going on", || written() > before).await;
    }
}

#[tokio::test]
async fn an_ended_process_cannot_be_paused() {
    let folder = tempfile::tempdir().unwrap();
    let process = shell("exit 0", &folder.path().join("log"));
    until("its end", || process.status().unwrap().is_some()).await;
    assert!(matches!(process.pause().await, Err(Error::Ended { .. })));
}

#[tokio::test]
async fn a_process_that_ignores_its_end_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let process = shell("trap '' TERM; echo set; while :; do sleep 1; done", &log);
    until("its trap", || process.log_tail() == "set").await;
    process.end(Duration::from_millis(300)).await.unwrap();
    assert!(process.status().unwrap().is_some());
}
