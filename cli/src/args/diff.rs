//! `tidegate diff` and what `tidegate release diff` shares with it.

use std::path::PathBuf;

use clap::Args;
use tidegate_proto::v1 as wire;

use super::Project;

/// Options of `diff`.
#[derive(Clone, Debug, Args)]
#[command(after_help = DIFF)]
pub struct Diff {
    /// The application set [default: all].
    #[arg(conflicts_with = "set")]
    pub name: Option<String>,
    /// The same as SET.
    #[arg(short, long, value_name = "SET")]
    pub set: Option<String>,
    /// What this commit would change, instead of the newest of what the set follows.
    #[arg(long, value_name = "SHA")]
    pub commit: Option<String>,
    /// The same by branch or tag.
    #[arg(long, value_name = "REVISION", conflicts_with = "commit")]
    pub revision: Option<String>,
    /// Which source the commit is of, if the set has several.
    #[arg(long, value_name = "URL[@REVISION]")]
    pub source: Option<String>,
    /// What applying these files would change: YAML, JSON, a directory of such, or - for standard
    /// input. May be repeated.
    #[arg(
        short,
        long = "filename",
        value_name = "FILE|DIR|-",
        conflicts_with_all = ["name", "set", "commit", "revision", "source"]
    )]
    pub files: Vec<PathBuf>,
    /// Go into the directories of a directory too.
    #[arg(short = 'R', long, requires = "files")]
    pub recursive: bool,
    /// Which applications to tell of.
    #[command(flatten)]
    pub only: Only,
    /// The set's project.
    #[command(flatten)]
    pub project: Project,
}

/// Which applications to tell of, and how to end.
#[derive(Clone, Debug, Args)]
pub struct Only {
    /// Only in this cluster.
    #[arg(short, long, value_name = "NAME")]
    pub cluster: Option<String>,
    /// Only this application.
    #[arg(short, long, value_name = "NAME")]
    pub app: Option<String>,
    /// Exit with 9 if anything differs.
    #[arg(long)]
    pub exit_code: bool,
}

impl Only {
    /// As the API takes it.
    pub fn filter(&self) -> wire::DiffFilter {
        wire::DiffFilter {
            cluster: self.cluster.clone().unwrap_or_default(),
            app: self.app.clone().unwrap_or_default(),
        }
    }
}

const DIFF: &str = "\
Compares with what each application is told to run now, and changes nothing. The hub fetches,
expands and renders as it would for real. Values of Secrets are never shown: a mark tells whether
two are the same. Fails if something cannot be rendered, however much else was compared.

Examples:
  tidegate diff web
  tidegate diff web --commit \"$(git rev-parse HEAD)\" --exit-code
  tidegate diff web --revision my-branch --cluster prod-1
  tidegate diff -f web.yaml";
