//! `tidegate plan`.

use std::path::PathBuf;

use clap::Args;
use tidegate_model::duration::Span;

use super::Project;

/// Options of `plan`.
#[derive(Clone, Debug, Args)]
#[command(after_help = PLAN)]
pub struct Plan {
    /// The application set.
    #[arg(
        value_name = "SET",
        required_unless_present = "files",
        conflicts_with = "files"
    )]
    pub name: Option<String>,
    /// How these files would roll out if they were applied: YAML, JSON, a directory of such, or - for
    /// standard input. May be repeated.
    #[arg(short, long = "filename", value_name = "FILE|DIR|-")]
    pub files: Vec<PathBuf>,
    /// Go into the directories of a directory too.
    #[arg(short = 'R', long, requires = "files")]
    pub recursive: bool,
    /// How long a member takes from its assignment to health, beside its wave's health window.
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = Span::parse)]
    pub member_takes: Span,
    /// The set's project.
    #[command(flatten)]
    pub project: Project,
}

const PLAN: &str = "\
Times are the earliest: nobody fails, and whoever must approve does so at once. -o name prints the clusters in their order. Ends with 1 where
something keeps a set from being planned as a whole.

Examples:
  tidegate plan web --member-takes 45s
  tidegate plan -f web.yaml -f waves.yaml
  tidegate plan web -o json | jq -r '.plans[].waves[] | \"\\(.name): \\(.clusters | join(\" \"))\"'";
