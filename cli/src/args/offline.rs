//! Commands that ask no hub: `expand`, `render`.

use std::path::PathBuf;

use clap::Args;

/// Options of `expand`.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXPAND)]
pub struct Expand {
    /// A YAML or JSON file with application sets, a directory of such, or - for standard input. May
    /// be repeated.
    #[arg(short, long = "filename", value_name = "FILE|DIR|-", required = true)]
    pub files: Vec<PathBuf>,
    /// Go into the directories of a directory too.
    #[arg(short = 'R', long)]
    pub recursive: bool,
    /// What stands in for the fleet and the repositories.
    #[command(flatten)]
    pub inputs: Inputs,
}

const EXPAND: &str = "\
Nobody is asked: the clusters are those of a file, the repositories are directories, as they are now.
Ends with 8 when an application cannot be made; those that can are shown all the same.

Examples:
  tidegate get clusters -o yaml > clusters.yaml
  tidegate expand -f web.yaml --clusters clusters.yaml --repo .
  tidegate expand -f web.yaml --clusters clusters.yaml --repo https://git.example.com/a.git=../a -o yaml";

/// What stands in for the fleet and the repositories.
#[derive(Clone, Debug, Args)]
pub struct Inputs {
    /// Clusters, as `tidegate get clusters -o yaml` shows them: name and labels are enough.
    #[arg(long, value_name = "FILE")]
    pub clusters: Option<PathBuf>,
    /// A directory that stands in for every repository, or for the one at URL. May be repeated.
    #[arg(long = "repo", value_name = "[URL=]DIR")]
    pub repos: Vec<String>,
}

/// Options of `render`.
#[derive(Clone, Debug, Args)]
#[command(after_help = RENDER)]
pub struct Render {
    /// A directory with manifests, taken as the root of a repository.
    #[arg(
        value_name = "DIR",
        required_unless_present = "files",
        conflicts_with = "files"
    )]
    pub dir: Option<PathBuf>,
    /// Go into the directories below, too.
    #[arg(long, requires = "dir")]
    pub recurse: bool,
    /// Take only files that this glob matches.
    #[arg(
        long,
        value_name = "GLOB",
        default_value = "",
        hide_default_value = true,
        requires = "dir"
    )]
    pub include: String,
    /// Leave out files that this glob matches.
    #[arg(
        long,
        value_name = "GLOB",
        default_value = "",
        hide_default_value = true,
        requires = "dir"
    )]
    pub exclude: String,
    /// A file with application sets instead: render one of their applications.
    #[arg(short, long = "filename", value_name = "FILE|-", requires = "app")]
    pub files: Vec<PathBuf>,
    /// That application.
    #[arg(short, long, value_name = "NAME", requires = "files")]
    pub app: Option<String>,
    /// What stands in for the fleet and the repositories.
    #[command(flatten)]
    pub inputs: Inputs,
}

const RENDER: &str = "\
Prints the objects as the hub would send them to an agent: one YAML document each, or {\"items\": […]}
with -o json. What people should look at goes to standard error. Ends with 8 when it cannot be rendered.

Examples:
  tidegate render deploy/web
  tidegate render -f web.yaml --app web-dev-1 --clusters clusters.yaml --repo .
  tidegate render deploy/web -o name";
