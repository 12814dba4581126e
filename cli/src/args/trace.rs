//! `tidegate trace`.

use clap::Args;

use super::Project;

/// Options of `trace`.
#[derive(Clone, Debug, Args)]
#[command(after_help = TRACE)]
pub struct Trace {
    /// The object, as for kubectl: deployment/web, deployments.apps/web, deploy/web.
    #[arg(value_name = "KIND/NAME", value_parser = object)]
    pub object: (String, String),
    /// Its namespace [default: any].
    #[arg(short, long, value_name = "NAME")]
    pub namespace: Option<String>,
    /// The cluster in which it is.
    #[arg(short, long, value_name = "NAME")]
    pub cluster: String,
    /// The project of the application [default: any].
    #[command(flatten)]
    pub project: Project,
}

const TRACE: &str = "\
Says which application, release and commit an object of a cluster comes from, who made the commit,
and which run brought it. What was made by a controller, such as a Pod, is not found; what made it is
named.

Examples:
  tidegate trace deployment/web -n shop --cluster prod-1
  tidegate trace cm/flags --cluster prod-1 -o json";

/// KIND/NAME.
fn object(text: &str) -> Result<(String, String), String> {
    match text.split_once('/') {
        Some((kind, name)) if !kind.is_empty() && !name.is_empty() && !name.contains('/') => {
            Ok((kind.to_owned(), name.to_owned()))
        }
        _ => Err("expected KIND/NAME, such as deployment/web".to_owned()),
    }
}
