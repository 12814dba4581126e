//! `tidegate release …`.

use clap::{Args, Subcommand};

use super::{Project, diff::Only};

/// Look at releases.
#[derive(Clone, Debug, Subcommand)]
pub enum ReleaseCommand {
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
