//! However a test ends, nothing of its fleet stays; a test that cannot have
//! one says so.

use std::{
    env, fs,
    process::{Command, Stdio},
    time::Duration,
};

use tidegate_tests::harness::{Fleet, eventually, is_alive, require_real, require_servers};

use super::support::text;

#[tokio::test]
async fn a_fleet_leaves_no_process_and_no_file() {
    let Some(binaries) = require_real("endings::a_fleet_leaves_no_process_and_no_file") else {
        return;
    };
    let fleet = Fleet::start(&binaries, 1).await.unwrap();
    let (pids, folder) = (fleet.pids(), fleet.folder().to_owned());
    assert_eq!(pids.len(), 3, "etcd, API server, controller manager");
    assert!(pids.iter().all(|&pid| is_alive(pid)) && folder.is_dir());
    // Paused, it could not end by itself; and a panic is how tests fail.
    fleet.clusters()[0].pause().await.unwrap();
    let failed = tokio::spawn(async move {
        let _fleet = fleet;
        panic!("as a failing test does");
    });
    assert!(failed.await.unwrap_err().is_panic());
    assert!(!pids.iter().any(|&pid| is_alive(pid)), "{pids:?}");
    assert!(!folder.exists());
}

/// Runs itself in a second process, which starts a fleet and is killed.
#[tokio::test]
async fn a_killed_test_leaves_no_process() {
    const REPORT: &str = "TIDEGATE_TEST_REPORT";
    const NAME: &str = "endings::a_killed_test_leaves_no_process";
    let Some(binaries) = require_servers(NAME) else {
        return;
    };
    if let Some(report) = env::var_os(REPORT) {
        let fleet = Fleet::start(&binaries, 1).await.unwrap();
        fs::write(&report, format!("{:?}\n", fleet.pids())).unwrap();
        std::future::pending::<()>().await;
    }
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("pids");
    let mut second = again(NAME);
    second.env(REPORT, &report).stdout(Stdio::null());
    let mut child = second.spawn().unwrap();
    let pids = eventually(
        "the second process's fleet",
        Duration::from_mins(3),
        || async {
            let text = fs::read_to_string(&report).map_err(|e| e.to_string())?;
            let list = text.strip_suffix('\n').ok_or("half written")?;
            serde_json::from_str::<Vec<u32>>(list).map_err(|e| e.to_string())
        },
    )
    .await;
    child.kill().unwrap();
    child.wait().unwrap();
    let pids = pids.unwrap();
    assert!(pids.len() >= 2, "{pids:?}");
    eventually(
        "the end of its servers",
        Duration::from_secs(10),
        || async {
            let alive: Vec<&u32> = pids.iter().filter(|&&pid| is_alive(pid)).collect();
            if alive.is_empty() {
                Ok(())
            } else {
                Err(format!("{alive:?} run"))
            }
        },
    )
    .await
    .unwrap();
}

/// Runs another test in a process that cannot have a control plane.
#[test]
fn a_missing_control_plane_is_reported_by_name() {
    let test = "workloads::three_clusters_run_workloads";
    let nothing = tempfile::tempdir().unwrap();
    let run = |require: &str| {
        // The tools of the script but Go.
        let tools = nothing.path().join("bin");
        fs::create_dir_all(&tools).unwrap();
        for tool in ["bash", "cut", "dirname", "sed", "sha256sum"] {
            let found = env::split_paths(&env::var_os("PATH").unwrap())
                .map(|folder| folder.join(tool))
                .find(|path| path.is_file());
            let _ = std::os::unix::fs::symlink(found.unwrap(), tools.join(tool));
        }
        again(test)
            .env("PATH", &tools)
            .env("TIDEGATE_CACHE_DIR", nothing.path())
            .env("TIDEGATE_REQUIRE_REAL", require)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .output()
            .unwrap()
    };
    let skipped = run("0");
    let words = text(&skipped.stderr);
    assert!(skipped.status.success(), "{skipped:?}");
    assert!(
        words.contains(&format!("test {test} ... skipped: ")),
        "{words}"
    );
    assert!(words.contains("Go is not installed"), "{words}");

    let required = run("1");
    assert!(
        !required.status.success(),
        "a skip passed although real servers are required"
    );
    assert!(text(&required.stdout).contains(test), "{required:?}");
}

/// This test binary, to run one test of it in a process of its own.
fn again(test: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", test, "--test-threads=1"])
        .stdin(Stdio::null());
    for name in [
        "ETCD",
        "KUBE_APISERVER",
        "KUBE_CONTROLLER_MANAGER",
        "KUBECTL",
    ] {
        if test != "endings::a_killed_test_leaves_no_process" {
            command
                .env_remove(format!("TIDEGATE_{name}"))
                .env_remove("KUBEBUILDER_ASSETS");
        }
    }
    command
}
