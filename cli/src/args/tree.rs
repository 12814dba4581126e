//! `tidegate tree`.

use clap::Args;

use super::Project;

/// Options of `tree`.
#[derive(Clone, Debug, Args)]
#[command(after_help = TREE)]
pub struct Tree {
    /// The application.
    #[arg(value_name = "APPLICATION")]
    pub name: String,
    /// At most so many objects.
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Its project.
    #[command(flatten)]
    pub project: Project,
}

const TREE: &str = "\
Asks the agent of the application's cluster, now. If it cannot be asked, what it was told stands in,
with what its last report says; the health of that is Unknown.

Examples:
  tidegate tree web-prod-1
  tidegate tree web-prod-1 -o json | jq '.items[] | select(.health != \"HEALTH_HEALTHY\")'";
