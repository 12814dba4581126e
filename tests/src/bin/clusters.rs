//! Real Kubernetes control planes for a person's hands, on this machine, until Ctrl-C.
//!
//! Owns the command line of the test bed's fleet. Pods become ready without running; see
//! [`tidegate_tests::harness`].

use std::{error::Error, fs, io::Write as _, path::PathBuf};

use clap::Parser;
use tidegate_tests::harness::{Fleet, require_real};

/// Starts Kubernetes control planes with scripted nodes: Deployments become available, images named
/// `bad:*` crash-loop, nothing runs. Ends with Ctrl-C; nothing is left.
#[derive(Debug, Parser)]
#[command(name = "clusters")]
struct Options {
    /// One cluster for each name.
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// Where the kubeconfigs go: DIR/NAME.kubeconfig.
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let Some(binaries) = require_real("clusters") else {
        return Err("the control plane cannot be built here; the reason is above".into());
    };
    let fleet = Fleet::named(&binaries, &options.names).await?;
    fs::create_dir_all(&options.dir)?;
    let mut out = std::io::stdout();
    if let Some(kubectl) = &binaries.kubectl {
        writeln!(out, "kubectl: {}", kubectl.display())?;
    }
    for cluster in fleet.clusters() {
        let path = options.dir.join(format!("{}.kubeconfig", cluster.name()));
        fs::copy(cluster.kubeconfig(), &path)?;
        writeln!(
            out,
            "{}: export KUBECONFIG={}",
            cluster.name(),
            path.display()
        )?;
    }
    writeln!(out, "ready; Ctrl-C ends them")?;
    out.flush()?;
    tokio::signal::ctrl_c().await?;
    Ok(())
}
