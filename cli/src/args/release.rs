//! `tidegate release …`.

use clap::{Args, Subcommand};

use super::{Get, Project, Watching, What, diff::Only};

/// Look at releases.
#[derive(Clone, Debug, Subcommand)]
pub enum ReleaseCommand {
    /// Show releases, newest first.
    List(ReleaseList),
    /// Show one release and what it holds.
    Show(ReleaseShow),
    /// Show what differs between two releases of a set.
    Diff(ReleaseDiff),
}

/// Options of `release diff`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  tidegate release diff web 7 8\n  tidegate release diff web 7 8 --cluster prod-1 --exit-code"
)]
pub struct ReleaseDiff {
    /// The application set.
    pub set: String,
    /// Number of the release to compare with.
    #[arg(value_name = "A")]
    pub from: u64,
    /// Number of the release that is compared.
    #[arg(value_name = "B")]
    pub to: u64,
    /// Which applications to tell of.
    #[command(flatten)]
    pub only: Only,
    /// The set's project.
    #[command(flatten)]
    pub project: Project,
}

/// Options of `release list`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  tidegate release list --set web --limit 5")]
pub struct ReleaseList {
    /// Only in this project.
    #[command(flatten)]
    pub project: Project,
    /// Only of this application set.
    #[arg(short, long, value_name = "NAME")]
    pub set: Option<String>,
    /// At most so many; all when absent.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
    /// Whether to go on.
    #[command(flatten)]
    pub watching: Watching,
}

impl ReleaseList {
    /// The same as `get` has it.
    pub fn get(&self) -> Get {
        Get {
            project: self.project.clone(),
            set: self.set.clone(),
            limit: self.limit,
            watching: self.watching.clone(),
            ..Get::of(What::Releases)
        }
    }
}

/// Options of `release show`.
#[derive(Clone, Debug, Args)]
#[command(after_help = SHOW)]
pub struct ReleaseShow {
    /// The release: SET/NUMBER, or its number with --set; the latest of --set when absent.
    #[arg(value_name = "SET/NUMBER", required_unless_present = "set")]
    pub release: Option<String>,
    /// Its project.
    #[command(flatten)]
    pub project: Project,
    /// Its application set.
    #[arg(short, long, value_name = "NAME")]
    pub set: Option<String>,
}

const SHOW: &str = "\
What an old release held may be gone: the hub keeps that of the last 10 of a set.

Examples:
  tidegate release show web/7
  tidegate release show --set web -o yaml";

impl ReleaseShow {
    /// The same as `get` has it.
    pub fn get(&self) -> Get {
        Get {
            name: self.release.clone(),
            project: self.project.clone(),
            set: self.set.clone(),
            limit: self.release.is_none().then_some(1),
            ..Get::of(What::Releases)
        }
    }
}
