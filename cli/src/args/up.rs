//! Options of the demo: `up`, `down`.

use std::{path::PathBuf, str::FromStr};

use clap::{Args, ValueEnum};

/// Options of `up`.
#[derive(Clone, Debug, Args)]
#[command(after_help = UP)]
pub struct Up {
    /// Folder for everything that the fleet is: hub, clusters, Git repository. One that exists is
    /// gone on with.
    #[arg(long, value_name = "DIR", default_value = DIR)]
    pub dir: PathBuf,
    /// What to roll out.
    #[arg(long, value_name = "NAME", value_enum)]
    pub example: Option<Example>,
    /// How many simulated clusters, in equal parts dev, staging and prod [default: 6].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=200), conflicts_with = "kubeconfig")]
    pub clusters: Option<u16>,
    /// Use real clusters of this kubeconfig instead of simulated ones.
    #[arg(long, value_name = "FILE", requires = "contexts")]
    pub kubeconfig: Option<PathBuf>,
    /// Contexts of the kubeconfig, in equal parts dev, staging and prod, in this order. Where a
    /// context's name is no name for a cluster: NAME=CONTEXT.
    #[arg(
        long,
        value_name = "CONTEXT,…",
        value_delimiter = ',',
        requires = "kubeconfig"
    )]
    pub contexts: Vec<NamedContext>,
    /// Port of the hub on this machine [default: any that is free, and the same one again].
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// End when the first run has ended; the exit code is its outcome. With `-o json` only a
    /// summary is printed.
    #[arg(long)]
    pub once: bool,
}

/// Where `up` keeps everything unless told otherwise.
const DIR: &str = "tidegate-demo";

const UP: &str = "\
Nothing but this process runs the fleet: Ctrl-C stops it, and another `tidegate up` goes on from
there. Simulated clusters answer kubectl on this machine only, and let in whoever asks.

Examples:
  tidegate up
  tidegate up --example canary --clusters 20 --dir canary-demo
  tidegate up --once -o json
  tidegate up --kubeconfig ~/.kube/config --contexts kind-dev,kind-staging,kind-prod";

/// An example to roll out: a folder of `examples/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Example {
    /// One application on every cluster: dev, then staging, then prod.
    Waves,
    /// A folder for each environment; prod waits for an approval.
    Environments,
    /// A cluster add-on on every cluster.
    Addon,
    /// One application per directory of the repository.
    Directories,
    /// One cluster, a tenth, a half, the rest, each after a soak.
    Canary,
}

/// A context of a kubeconfig, and the cluster's name in the fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedContext {
    /// The cluster's name.
    pub name: String,
    /// The context's.
    pub context: String,
}

impl FromStr for NamedContext {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, context) = text.split_once('=').unwrap_or((text, text));
        if name.is_empty() || context.is_empty() {
            return Err("expected CONTEXT or NAME=CONTEXT".to_owned());
        }
        Ok(Self {
            name: name.to_owned(),
            context: context.to_owned(),
        })
    }
}

/// Options of `down`.
#[derive(Clone, Debug, Args)]
#[command(after_help = DOWN)]
pub struct Down {
    /// The folder that `up` made.
    #[arg(long, value_name = "DIR", default_value = DIR)]
    pub dir: PathBuf,
}

const DOWN: &str = "\
Removes the folder, the repository in it too. What runs in real clusters (`up --kubeconfig`) stays
there: delete the set before, and wait, if it should go.

Examples:
  tidegate down
  tidegate down --dir canary-demo";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_may_carry_a_name() {
        let named = |name: &str, context: &str| NamedContext {
            name: name.to_owned(),
            context: context.to_owned(),
        };
        assert_eq!("kind-a".parse(), Ok(named("kind-a", "kind-a")));
        assert_eq!("a=arn:x/y=z".parse(), Ok(named("a", "arn:x/y=z")));
        for wrong in ["", "=b", "a="] {
            assert!(wrong.parse::<NamedContext>().is_err(), "{wrong}");
        }
    }
}
