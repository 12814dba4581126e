//! `tidegate get`.

use clap::{Args, ValueEnum};

use super::{Project, Watching};

/// Options of `get`.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Get {
    /// What to show.
    #[arg(value_name = "WHAT")]
    pub what: What,
    /// Only the one of this name: a run's or hold's id, a release's number (or SET/NUMBER), a
    /// source's URL, a pinned application. As `-o name` prints it is fine too.
    pub name: Option<String>,
    /// Only in this project.
    #[command(flatten)]
    pub project: Project,
    /// Only of this application set.
    #[arg(short, long, value_name = "NAME")]
    pub set: Option<String>,
    /// Only in this cluster.
    #[arg(short, long, value_name = "NAME")]
    pub cluster: Option<String>,
    /// At most so many; all when absent.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
    /// Whether to go on.
    #[command(flatten)]
    pub watching: Watching,
}

impl Get {
    /// All of a kind.
    pub fn of(what: What) -> Self {
        Self {
            what,
            name: None,
            project: Project { project: None },
            set: None,
            cluster: None,
            limit: None,
            watching: Watching::default(),
        }
    }
}

const EXAMPLES: &str = "\
Examples:
  tidegate get apps --set web --cluster prod-eu
  tidegate get runs --set web --limit 5
  tidegate get apps --set web --watch
  tidegate get run 0197f1c2-6a90-7cc3-98c5-aeb0cf6f5c0e -o yaml
  tidegate get sets -o json | jq '.items[].name'";

/// What can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// Application sets.
    #[value(aliases = ["set", "applicationsets", "applicationset", "appsets", "appset"])]
    Sets,
    /// Wave plans: strategies that many sets name.
    #[value(name = "waveplans", aliases = ["waveplan", "wave-plans", "wave-plan", "wp"])]
    WavePlans,
    /// Applications: one of a set in one cluster.
    #[value(aliases = ["application", "apps", "app"])]
    Applications,
    /// Clusters.
    #[value(aliases = ["cluster", "cl"])]
    Clusters,
    /// Releases, newest first.
    #[value(aliases = ["release", "rel"])]
    Releases,
    /// Runs, newest first.
    #[value(aliases = ["run"])]
    Runs,
    /// Git sources.
    #[value(aliases = ["source", "src"])]
    Sources,
    /// Results that wait for a person.
    #[value(aliases = ["hold"])]
    Holds,
    /// Applications that a rollback pinned.
    #[value(aliases = ["pin"])]
    Pins,
    /// The audit log of a project, oldest first; project _ is the fleet's: clusters, tokens, people,
    /// sources.
    Audit,
}

impl What {
    /// Whether things of this kind belong to a set.
    pub fn has_set(self) -> bool {
        !matches!(
            self,
            Self::WavePlans | Self::Clusters | Self::Sources | Self::Audit
        )
    }

    /// Whether things of this kind are in one cluster.
    pub fn has_cluster(self) -> bool {
        matches!(self, Self::Applications | Self::Clusters | Self::Pins)
    }

    /// The singular, as `-o name` prints it.
    pub fn singular(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            other => other.plural().trim_end_matches('s'),
        }
    }

    /// The plural, as the user may write it.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Sets => "sets",
            Self::WavePlans => "waveplans",
            Self::Applications => "applications",
            Self::Clusters => "clusters",
            Self::Releases => "releases",
            Self::Runs => "runs",
            Self::Sources => "sources",
            Self::Holds => "holds",
            Self::Pins => "pins",
            Self::Audit => "audit",
        }
    }
}
