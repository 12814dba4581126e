//! Benchmarks of what ships; see [`tidegate_tests::bench`].
//!
//! Owns the command line. Prints a table, or with `--json` one document.

use std::io::Write as _;

use clap::{Args, Parser, Subcommand};
use tidegate_tests::bench::{Error, up, waves};

/// Measures Tidegate on this machine. Run it built for release, and with nothing else running.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Options {
    #[command(subcommand)]
    bench: Bench,
    /// Print one JSON document instead of a table.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// How long `tidegate up` takes until it answers, and until its first run has succeeded.
    Up(UpOptions),
    /// `KubeFleet`'s staged rollout over simulated clusters, alone and many at once.
    Waves(WavesOptions),
}

#[derive(Debug, Args)]
struct UpOptions {
    /// How many times.
    #[arg(long, default_value_t = 5)]
    repeat: usize,
    /// Simulated clusters.
    #[arg(long, default_value_t = 6)]
    clusters: usize,
}

#[derive(Debug, Args)]
struct WavesOptions {
    /// Rollouts alone.
    #[arg(long, default_value_t = 10)]
    repeat: usize,
    /// Simulated clusters of a rollout.
    #[arg(long, default_value_t = 100)]
    clusters: usize,
    /// Such groups of clusters: each rollout goes to one of them.
    #[arg(long, default_value_t = 10)]
    groups: usize,
    /// Rollouts at the same time.
    #[arg(long, default_value_t = 100)]
    parallel: usize,
}

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let options = Options::parse();
    // Fails only when one is installed already, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let report = match options.bench {
        Bench::Up(it) => up::run(it.repeat, it.clusters).await?,
        Bench::Waves(it) => {
            Box::pin(waves::run(waves::Options {
                clusters: it.clusters,
                groups: it.groups,
                parallel: it.parallel,
                repeat: it.repeat,
            }))
            .await?
        }
    };
    let mut out = std::io::stdout();
    if options.json {
        serde_json::to_writer(&mut out, &report)?;
        writeln!(out)?;
    } else {
        write!(out, "{}", report.table())?;
    }
    Ok(())
}
