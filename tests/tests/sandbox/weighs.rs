//! What sandboxes cost: at most 2 MiB each with 100 objects, and 1,000 of them fit in one process.
//!
//! Measured in processes of their own, by what the kernel says they hold.

use std::{fs, process::Command, time::Duration};

use serde_json::json;
use tidegate_sandbox::{Options, Sandbox};

use super::{
    alone::start,
    recorder::{DEPLOYMENTS, JSON, MAPS, Recorder, STRATEGIC},
    writes::deployment,
};

/// Bytes of one cluster.
const LIMIT: u64 = 2 * 1024 * 1024;

const ALONE: &str = "TIDEGATE_TEST_ALONE";

/// What this process holds in memory, in bytes.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    kib.unwrap().parse::<u64>().unwrap() * 1024
}

/// Whether this is the process to measure in; if not, the test has been run in one.
async fn alone(test: &str) -> bool {
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    let test = format!("weighs::{test}");
    command.args(["--exact", &*test, "--nocapture"]);
    command.env(ALONE, "1");
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = output.await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let figures = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}{figures}"
    );
    eprintln!("{figures}");
    false
}

/// The table of kinds is shared by all clusters and counts once.
async fn warm() {
    let (_, client, _stop) = start("warm", Duration::ZERO);
    let r = Recorder::new(client, "warm").await;
    r.ask("POST", DEPLOYMENTS, JSON, &deployment("a", "nginx:1"))
        .await;
}

/// 60 Deployments of two replicas and 40 config maps.
async fn inhabit(r: &Recorder) {
    for index in 0..60 {
        let mut body = deployment(&format!("d{index}"), "nginx:1");
        body["spec"]["replicas"] = json!(2);
        let (code, answer) = r.ask("POST", DEPLOYMENTS, JSON, &body).await;
        assert_eq!(code, 201, "{answer}");
    }
    for index in 0..40 {
        let body =
            json!({"metadata": {"name": format!("m{index}")}, "data": {"k": "v".repeat(200)}});
        let (code, answer) = r.ask("POST", MAPS, JSON, &body).await;
        assert_eq!(code, 201, "{answer}");
    }
}

/// With a full history behind them.
#[tokio::test]
async fn a_hundred_objects_cost_less_than_two_mebibytes() {
    const CLUSTERS: u64 = 10;
    if !alone("a_hundred_objects_cost_less_than_two_mebibytes").await {
        return;
    }
    warm().await;
    let before = resident();
    let mut kept = Vec::new();
    for number in 0..CLUSTERS {
        let (sandbox, client, stop) = start(&format!("memory-{number}"), Duration::ZERO);
        let r = Recorder::new(client, "memory").await;
        inhabit(&r).await;
        for index in 0..60 {
            let image = json!({"spec": {"template": {"spec": {
                "containers": [{"name": "main", "image": "nginx:2"}]}}}});
            let path = format!("{DEPLOYMENTS}/d{index}");
            let (code, answer) = r.ask("PATCH", &path, STRATEGIC, &image).await;
            assert_eq!(code, 200, "{answer}");
        }
        kept.push((sandbox, r, stop));
    }
    let each = resident().saturating_sub(before) / CLUSTERS;
    eprintln!(
        "{} KiB for each of {CLUSTERS} clusters with history",
        each / 1024
    );
    assert!(each < LIMIT, "{each} bytes for each of {CLUSTERS} clusters");
}

/// All at once; each was restored, and then one of its objects was changed.
#[tokio::test]
async fn a_thousand_clusters_fit() {
    const CLUSTERS: u64 = 1_000;
    if !alone("a_thousand_clusters_fit").await {
        return;
    }
    let (first, client, _stop) = start("first", Duration::ZERO);
    let r = Recorder::new(client, "memory").await;
    inhabit(&r).await;
    let bytes = first.snapshot();
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap();
    let head = std::str::from_utf8(&bytes[..end]).unwrap().to_owned();
    let before = resident();
    let restore = |number: u64| {
        let name = format!("cluster-{number}");
        let head = head.replacen("\"first\"", &format!("{name:?}"), 1);
        let copy = [head.as_bytes(), &bytes[end..]].concat();
        Sandbox::restored(Options::named(&name), &copy).unwrap()
    };
    // Two at a time, because it is work for a processor alone.
    let half = CLUSTERS / 2;
    let kept: Vec<Sandbox> = std::thread::scope(|scope| {
        let other = scope.spawn(|| (half..CLUSTERS).map(restore).collect::<Vec<_>>());
        let mut all: Vec<_> = (0..half).map(restore).collect();
        all.extend(other.join().unwrap());
        all
    });
    for sandbox in &kept {
        let r = r.also_on(kube::Client::new(sandbox.clone(), "default"));
        let patch = json!({"data": {"k": "w"}});
        let path = format!("{MAPS}/m1");
        let (code, answer) = r.ask("PATCH", &path, STRATEGIC, &patch).await;
        assert_eq!(code, 200, "{answer}");
    }
    let all = resident().saturating_sub(before);
    let each = all / CLUSTERS;
    eprintln!(
        "{} KiB for each of {CLUSTERS} clusters, {} MiB for all",
        each / 1024,
        all / 1024 / 1024
    );
    assert!(each < LIMIT, "{each} bytes for each of {CLUSTERS} clusters");
    assert!(kept.iter().all(|it| it.revision() > first.revision()));
}
