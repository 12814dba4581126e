//! What hub and agents tell of themselves, seen from outside: a real OTLP receiver, the shipped
//! binaries, their metrics and logs.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "observability/bench.rs"]
mod bench;
#[path = "observability/names.rs"]
mod names;
#[path = "observability/receiver.rs"]
mod receiver;
#[path = "observability/unread.rs"]
mod unread;

use std::{fs, net::TcpListener, time::Duration};

use bench::Bench;
use receiver::{Receiver, Trace};
use tidegate_tests::harness::{Port, Signal};
use tokio::time::Instant;

/// What every trace of a commit is made of, and what each is below.
const TREE: &[(&str, &str)] = &[
    ("commit", ""),
    ("publish", "commit"),
    ("expand", "publish"),
    ("render", "publish"),
    ("run", "publish"),
    ("wave", "run"),
    ("assign", "wave"),
    ("accept", "assign"),
    ("apply", "assign"),
    ("stage", "apply"),
    ("observe", "assign"),
    ("healthy", "assign"),
];

fn all_names() -> Vec<&'static str> {
    TREE.iter().map(|(name, _)| *name).collect()
}

/// Which process each span comes from.
fn holds_services(trace: &Trace) {
    for seen in &trace.0 {
        let agents = ["accept", "apply", "stage", "observe"];
        let service = if agents.contains(&seen.name()) {
            "tidegate-agent"
        } else {
            "tidegate-hub"
        };
        assert_eq!(seen.service, service, "{}", seen.name());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_commit_is_one_trace_from_the_fetch_to_the_healthy_cluster() {
    let receiver = Receiver::start().await;
    let headers = tempfile::NamedTempFile::new().unwrap();
    fs::write(headers.path(), "x-tenant: fleet\n").unwrap();
    let headers = headers.path().to_str().unwrap();
    let flags = ["--otlp-endpoint", receiver.endpoint()];
    let with_headers = [&flags[..], &["--otlp-headers-file", headers]].concat();
    let delay = Duration::from_millis(300);
    let mut bench = Bench::start(delay, &with_headers, &with_headers).await;
    bench.apply();
    bench.run_is(1, "Succeeded").await;
    let commit = bench.commit("two");
    bench.tidegate(&["refresh", "web"]);
    bench.run_is(2, "Succeeded").await;

    let trace = receiver.trace(&commit, &all_names()).await;
    trace.stands(TREE);
    holds_services(&trace);
    let assign = trace.one("assign");
    assert_eq!(assign.attribute("tidegate.application"), "web-dev");
    assert_eq!(assign.attribute("tidegate.cluster"), "dev");
    assert_eq!(assign.attribute("tidegate.generation"), "2");
    assert_eq!(
        trace.one("run").attribute("tidegate.run.state"),
        "Succeeded"
    );
    assert_eq!(trace.one("wave").attribute("tidegate.wave"), "all");
    let apply = trace.one("apply");
    assert_eq!(apply.attribute("tidegate.phase"), "Applied");
    assert_eq!(apply.attribute("tidegate.objects"), "2");
    let begins = |name| trace.one(name).span.start_time_unix_nano;
    for (first, then) in [
        ("commit", "publish"),
        ("assign", "accept"),
        ("accept", "apply"),
    ] {
        assert!(begins(first) <= begins(then), "{then} before {first}");
    }
    assert!(receiver.tenants().iter().all(|tenant| tenant == "fleet"));

    // A log line leads to the trace.
    let id = format!("\"trace_id\":\"{}\"", trace.id());
    let log = bench.log("agent");
    let line = log.lines().find(|line| line.contains(&id));
    let line: serde_json::Value = serde_json::from_str(line.unwrap_or(&log)).unwrap();
    assert_eq!(line["fields"]["message"], "a new generation is through");

    numbers_moved(&bench).await;
    let (hub, agent) = (bench.metrics("hub").await, bench.metrics("agent").await);
    names::hold(&[hub.unwrap(), agent.unwrap()]);

    // What was not sent yet is sent at the end: the call is told within the second before it.
    bench.tidegate(&["get", "sets"]);
    let lists = |receiver: &Receiver| {
        let spans = receiver.spans();
        let method = "tidegate.v1.Fleet/ListApplicationSets";
        let lists = spans.iter().filter(|s| s.attribute("rpc.method") == method);
        lists.count()
    };
    bench.end_hub(Signal::Terminate).await;
    assert_eq!(lists(&receiver), 1);
}

/// What happened so far has moved the numbers that are about it.
async fn numbers_moved(bench: &Bench) {
    let hub = [
        ("tidegate_hub_leader", 1.0),
        ("tidegate_hub_agents_connected", 1.0),
        ("tidegate_hub_clusters", 1.0),
        ("tidegate_hub_application_sets", 1.0),
        ("tidegate_hub_applications{health=\"Healthy\"}", 1.0),
        ("tidegate_hub_runs{state=\"Succeeded\"}", 1.0),
        ("tidegate_hub_sources{state=\"ready\"}", 1.0),
        ("tidegate_hub_assignments_total", 2.0),
        (
            "tidegate_hub_finished_runs_total{outcome=\"Succeeded\"}",
            2.0,
        ),
        ("tidegate_hub_wave_duration_seconds_count", 2.0),
        ("tidegate_hub_application_healthy_delay_seconds_count", 2.0),
        ("tidegate_hub_renders_total{outcome=\"succeeded\"}", 2.0),
        ("tidegate_hub_git_fetches_total{outcome=\"changed\"}", 2.0),
    ];
    for (name, value) in hub {
        bench
            .metric("hub", name, |found| (found - value).abs() < 0.5)
            .await;
    }
    for name in [
        "tidegate_hub_store_transactions_total{outcome=\"committed\"}",
        "tidegate_hub_controller_passes_total{outcome=\"succeeded\"}",
        "tidegate_hub_publish_duration_seconds_count",
        "tidegate_hub_expand_duration_seconds_count",
        "tidegate_hub_step_duration_seconds_count",
        "tidegate_hub_api_requests_total{method=\"tidegate.v1.Fleet/Apply\",code=\"OK\"}",
        "tidegate_hub_trace_spans_total{outcome=\"sent\"}",
        "process_resident_memory_bytes",
    ] {
        bench.metric("hub", name, |found| found > 0.0).await;
    }
    let agent = [
        ("tidegate_agent_link_connected", 1.0),
        ("tidegate_agent_applications{health=\"Healthy\"}", 1.0),
        (
            "tidegate_agent_reconciles_total{action=\"apply\",outcome=\"succeeded\"}",
            2.0,
        ),
        ("tidegate_agent_objects_total{outcome=\"applied\"}", 4.0),
        (
            "tidegate_agent_link_assignments_total{outcome=\"accepted\"}",
            2.0,
        ),
    ];
    for (name, value) in agent {
        bench
            .metric("agent", name, |found| (found - value).abs() < 0.5)
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_is_killed_in_the_middle_goes_on_in_the_same_trace() {
    let receiver = Receiver::start().await;
    let flags = ["--otlp-endpoint", receiver.endpoint()];
    let mut bench = Bench::start(Duration::ZERO, &flags, &flags).await;
    bench.sandbox().hold();
    let commit = bench.commit("two");
    bench.apply();
    let begun = receiver
        .trace(&commit, &["publish", "render", "assign"])
        .await;
    assert!(begun.named("healthy").is_empty(), "{begun:#?}");
    bench.end_hub(Signal::Kill).await;
    bench.start_hub(&flags).await;
    bench.run_is(1, "Rolling").await;
    // Measured when a hub begins, and what the first one rendered is there.
    let bytes = "tidegate_hub_blob_store_bytes";
    bench.metric("hub", bytes, |found| found > 0.0).await;
    bench.sandbox().release();
    bench.run_is(1, "Succeeded").await;

    let trace = receiver.trace(&commit, &all_names()).await;
    trace.stands(TREE);
    assert_eq!(trace.id(), begun.id());
    for name in ["publish", "render", "assign", "run", "wave", "healthy"] {
        trace.one(name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_away_or_hangs_disturbs_nothing() {
    // The hub's never answers, the agent's is not there.
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let deaf = format!("http://{}", deaf.local_addr().unwrap());
    let away = Port::lease().unwrap();
    let away = format!("http://127.0.0.1:{}", away.number());
    let delay = Duration::from_millis(300);
    let hub = ["--otlp-endpoint", deaf.as_str()];
    let agent = ["--otlp-endpoint", away.as_str()];
    let mut bench = Bench::start(delay, &hub, &agent).await;
    bench.apply();
    bench.run_is(1, "Succeeded").await;
    // Lost more than once, and said once.
    let lost = "tidegate_agent_trace_spans_total{outcome=\"lost\"}";
    let first = bench.metric("agent", lost, |lost| lost > 0.0).await;
    bench.commit("two");
    bench.tidegate(&["refresh", "web"]);
    bench.run_is(2, "Succeeded").await;
    bench.metric("agent", lost, |lost| lost > first).await;
    // Its log is whole when it is over.
    bench.end_agent(Signal::Terminate).await;
    let log = bench.log("agent");
    let told = log.lines().filter(|line| line.contains("traces are lost"));
    assert_eq!(told.count(), 1, "{log}");
    let begun = Instant::now();
    bench.end_hub(Signal::Terminate).await;
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(8), "{took:?}");
}
