//! The benchmarks run and say what they promise: names and shapes, never a speed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{path::Path, process::Command};

use serde_json::Value;
use tidegate_tests::harness::command_for;

/// The one document of a benchmark.
fn run(arguments: &[&str]) -> Value {
    let command = command_for(Path::new(env!("CARGO_BIN_EXE_bench")));
    // Whatever hangs, the test ends.
    let output = Command::new("timeout")
        .arg("300")
        .arg(command.get_program())
        .args(command.get_args())
        .args(arguments)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn figures(document: &Value, names: &[&str]) {
    for name in names {
        let value = document["values"][name].as_f64();
        assert!(value.is_some_and(|value| value > 0.0), "{name}: {document}");
    }
}

#[test]
fn waves_tell_their_figures() {
    let arguments = "waves --clusters 6 --groups 2 --parallel 2 --repeat 1 --json";
    let document = run(&arguments.split(' ').collect::<Vec<_>>());
    assert_eq!(document["bench"], "waves");
    // One alone, and three percentiles of the two at once.
    assert_eq!(document["rows"].as_array().unwrap().len(), 4);
    figures(
        &document,
        &[
            "single_s",
            "parallel_100_p90_s",
            "gate_p99_ms",
            "between_clusters_p99_ms",
            "hub_rss_mib",
        ],
    );
}

#[test]
fn up_tells_its_figures() {
    let document = run(&["up", "--repeat", "1", "--clusters", "3", "--json"]);
    assert_eq!(document["bench"], "up");
    assert_eq!(document["rows"].as_array().unwrap().len(), 1);
    figures(&document, &["ready_s", "first_run_s", "rss_mib"]);
}
