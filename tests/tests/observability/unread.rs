//! Whoever stops reading what hub and agent log stops neither them nor their end.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::Stdio,
    time::Duration,
};

use tidegate_tests::{
    harness::{Process, Signal, command_for},
    story::product,
};

use crate::bench::{Bench, ended};

/// What the end may take: ten seconds for the parts of an agent are not needed.
const SOON: Duration = Duration::from_secs(8);

/// A standard error, and whoever reads it.
fn stderr() -> (Stdio, UnixStream, UnixStream) {
    let (reader, writer) = UnixStream::pair().unwrap();
    let stderr = OwnedFd::from(writer.try_clone().unwrap()).into();
    (stderr, reader, writer)
}

/// Writes until nothing more fits: the next line waits for a reader.
fn fill(mut writer: &UnixStream) {
    writer.set_nonblocking(true).unwrap();
    let full = loop {
        if let Err(error) = writer.write(b".") {
            break error;
        }
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    writer.set_nonblocking(false).unwrap();
}

async fn connected(bench: &Bench) {
    let one = |found: f64| (found - 1.0).abs() < 0.5;
    bench
        .metric("hub", "tidegate_hub_agents_connected", one)
        .await;
}

async fn end_both(bench: &mut Bench) {
    let begun = tokio::time::Instant::now();
    let agent = bench.end_agent(Signal::Terminate).await;
    assert!(agent.success(), "{agent}");
    let hub = bench.end_hub(Signal::Terminate).await;
    assert!(hub.success(), "{hub}");
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nobody_reads_any_more_keeps_nobody_from_ending() {
    let mut bench = Bench::start(Duration::ZERO, &[], &[]).await;
    connected(&bench).await;
    end_both(&mut bench).await;

    let (hub, _hub_reader, hub_writer) = stderr();
    let (agent, _agent_reader, agent_writer) = stderr();
    bench.start_hub_telling(&[], Some(hub)).await;
    bench.start_agent_telling(&[], Some(agent));
    connected(&bench).await;
    fill(&hub_writer);
    fill(&agent_writer);
    end_both(&mut bench).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_closed_disturbs_nothing() {
    let mut bench = Bench::start(Duration::ZERO, &[], &[]).await;
    connected(&bench).await;
    end_both(&mut bench).await;

    let (hub, hub_reader, _) = stderr();
    let (agent, agent_reader, _) = stderr();
    drop((hub_reader, agent_reader));
    bench.start_hub_telling(&[], Some(hub)).await;
    bench.start_agent_telling(&[], Some(agent));
    bench.apply();
    bench.run_is(1, "Succeeded").await;
    end_both(&mut bench).await;
}

/// Starts what cannot begin, here, and returns what it said when it is over.
async fn why_not(program: &str, arguments: &[&str], is_read: bool) -> String {
    let folder = tempfile::tempdir().unwrap();
    let (stderr, mut reader, writer) = stderr();
    if !is_read {
        fill(&writer);
    }
    let mut command = command_for(&product(program).unwrap());
    command.args(arguments).current_dir(folder.path());
    let log = folder.path().join("log");
    let process = Process::start_telling(program, command, &log, Some(stderr)).unwrap();
    let status = ended(&process).await;
    assert!(status.code().is_some_and(|code| code > 0), "{status}");
    drop(writer);
    let mut said = String::new();
    reader.read_to_string(&mut said).unwrap();
    said
}

#[tokio::test]
async fn why_a_process_cannot_begin_is_said_if_somebody_reads() {
    let agent = ["--hub", "https://localhost:1", "--state-dir", "agent"];
    let with = |flag| [&agent[..], &[flag, "nowhere"]].concat();
    let hub = ["serve", "--state-dir", "nowhere"];
    for (program, arguments, words) in [
        ("tidegate-hub", hub.to_vec(), "tidegate-hub: failed to"),
        (
            "tidegate-agent",
            with("--otlp-endpoint"),
            "tidegate-agent: failed to",
        ),
        // In its log, whose last line it is.
        ("tidegate-agent", with("--kubeconfig"), "the agent stops"),
    ] {
        let said = why_not(program, &arguments, true).await;
        assert!(said.contains(words) && said.contains("nowhere"), "{said}");
        let said = why_not(program, &arguments, false).await;
        assert!(!said.contains(words), "{said}");
    }
}
