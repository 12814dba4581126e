//! `tidegate why`.

use clap::Args;

use super::Project;

/// Options of `why`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  tidegate why web-prod-1\n  tidegate why web-prod-1 -p shop -o json | jq '.reasons[].code'"
)]
pub struct Why {
    /// The application.
    #[arg(value_name = "APPLICATION")]
    pub name: String,
    /// Its project.
    #[command(flatten)]
    pub project: Project,
}
