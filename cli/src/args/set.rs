//! Commands on application sets: `apply`, `delete`, `rollback`, `unpin`, `refresh`, `sync`, `hold`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Project, RequiredReason};

/// Options of `apply`.
#[derive(Clone, Debug, Args)]
#[command(after_help = APPLY)]
pub struct Apply {
    /// A YAML or JSON file, a directory of such, or - for standard input. May be repeated.
    #[arg(short, long = "filename", value_name = "FILE|DIR|-", required = true)]
    pub files: Vec<PathBuf>,
    /// Go into the directories of a directory too.
    #[arg(short = 'R', long)]
    pub recursive: bool,
    /// Check only; write nothing.
    #[arg(long)]
    pub dry_run: bool,
}

const APPLY: &str = "\
Examples:
  tidegate apply -f web.yaml
  tidegate apply -f sets/ --dry-run
  kustomize build . | tidegate apply -f -";

/// Delete things.
#[derive(Clone, Debug, Subcommand)]
pub enum DeleteCommand {
    /// Delete an application set; its applications go too, unless it preserves them.
    Set(Delete),
    /// Delete a wave plan that no set names.
    #[command(name = "waveplan", alias = "wave-plan")]
    WavePlan(DeleteWavePlan),
}

/// Options of `delete waveplan`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  tidegate delete waveplan standard --reason 'nobody uses it'")]
pub struct DeleteWavePlan {
    /// The plan.
    pub name: String,
    /// Its project.
    #[command(flatten)]
    pub project: Project,
    /// Why.
    #[command(flatten)]
    pub reason: RequiredReason,
}

/// Options of `delete set`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  tidegate delete set web --reason 'moved to team-b'")]
pub struct Delete {
    /// The set.
    pub name: String,
    /// Its project.
    #[command(flatten)]
    pub project: Project,
    /// Why.
    #[command(flatten)]
    pub reason: RequiredReason,
}

/// Options of `rollback`.
#[derive(Clone, Debug, Args)]
#[command(after_help = ROLLBACK)]
pub struct Rollback {
    /// The set.
    pub set: String,
    /// Its project.
    #[command(flatten)]
    pub project: Project,
    /// Everybody to the content of this earlier release, by its number.
    #[arg(long, value_name = "RELEASE", value_parser = clap::value_parser!(u64).range(1..))]
    pub to: Option<u64>,
    /// Only this wave of the last run.
    #[arg(short, long, value_name = "NAME")]
    pub wave: Option<String>,
    /// Only these clusters, by name or by a label selector.
    #[arg(long, value_name = "A,B|SELECTOR")]
    pub clusters: Option<String>,
    /// What lets an application follow Git again, besides unpin.
    #[arg(long, value_name = "WHEN", default_value = "converged")]
    pub release: Opens,
    /// Say what would change; write nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Why.
    #[command(flatten)]
    pub reason: RequiredReason,
}

/// What opens a pin besides `unpin`.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Opens {
    /// Git's content equals the pinned content again.
    Converged,
    /// Git's content is no longer what was taken back.
    Changed,
    /// Nothing else.
    Manual,
}

impl Opens {
    /// As the API takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Converged => "converged",
            Self::Changed => "changed",
            Self::Manual => "manual",
        }
    }
}

const ROLLBACK: &str = "\
Every application that the last run touched goes back to what it last ran healthy, or with --to all of
them to what an earlier release brought, and stays pinned there: see `tidegate get pins`. What differs
is denied, whatever commit brings it again. `tidegate unpin` lets it follow Git again.

Examples:
  tidegate rollback web --reason 'checkout answers 500' && tidegate run watch --set web
  tidegate rollback web --to 7 --dry-run --reason 'as last week'
  tidegate rollback web --wave canary --reason 'error rate doubled'
  tidegate rollback web --clusters region=eu --release manual --reason 'until the audit'";

/// Options of `unpin`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  tidegate unpin web --reason 'fixed in 1.4.2'")]
pub struct Unpin {
    /// The set.
    pub set: String,
    /// Its project.
    #[command(flatten)]
    pub project: Project,
    /// Only this application; the denies of the set then stay.
    #[arg(short, long, value_name = "NAME")]
    pub app: Option<String>,
    /// Why.
    #[command(flatten)]
    pub reason: RequiredReason,
}

/// Options of `refresh`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  git push && tidegate refresh web")]
pub struct Refresh {
    /// The set.
    pub set: String,
    /// Its project.
    #[command(flatten)]
    pub project: Project,
}

/// Options of `sync`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  tidegate sync web-dev-1\n  tidegate sync --cluster dev-1\n  tidegate sync --set web"
)]
#[group(id = "meant", required = true, multiple = true, args = ["name", "set", "cluster"])]
pub struct Sync {
    /// The application.
    #[arg(value_name = "APPLICATION")]
    pub name: Option<String>,
    /// All of this set.
    #[arg(short, long, value_name = "NAME")]
    pub set: Option<String>,
    /// All in this cluster.
    #[arg(short, long, value_name = "NAME")]
    pub cluster: Option<String>,
    /// Its project.
    #[command(flatten)]
    pub project: Project,
}

/// Let through what the hub holds.
#[derive(Clone, Debug, Subcommand)]
pub enum HoldCommand {
    /// Let a held result through; bound to the content that is held now.
    Approve(HoldApprove),
}

/// Options of `hold approve`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  tidegate get holds\n  tidegate hold approve ID --reason 'retired on purpose'"
)]
pub struct HoldApprove {
    /// The hold's id, as `tidegate get holds` shows it.
    pub id: String,
    /// Why.
    #[command(flatten)]
    pub reason: RequiredReason,
}
