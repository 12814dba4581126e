//! `tidegate wait`.

use clap::{Args, ValueEnum};
use tidegate_model::duration::Span;

use super::{Condition, Project};

/// Options of `wait`.
#[derive(Clone, Debug, Args)]
#[command(after_help = HELP)]
pub struct Wait {
    /// What to look at.
    #[arg(value_name = "WHAT")]
    pub subject: Subject,
    /// Its name; a run's id.
    pub name: String,
    /// Its project.
    #[command(flatten)]
    pub project: Project,
    /// Until when.
    #[arg(long = "for", value_name = "CONDITION")]
    pub condition: Condition,
    /// set: only a run of this commit (or its beginning) counts; fails when that run fails.
    #[arg(long, value_name = "SHA")]
    pub commit: Option<String>,
    /// Give up after this long; 0 looks once.
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = Span::parse)]
    pub timeout: Span,
}

const HELP: &str = "\
Conditions:
  set      succeeded  its latest run succeeded
           healthy    every application runs the hub's last word and is Healthy
           held       something of it waits for a person
           deleted    there is no such set
           state=X    its latest run is in this state
  run      succeeded, terminal, state=X
  app      healthy, synced, pinned, deleted, health=X
  cluster  connected, disconnected, healthy, health=X

What is so already is waited for no longer. A run that can no longer get there ends the wait with
exit code 7, time with 6.

Examples:
  tidegate wait set web --for succeeded --commit $(git rev-parse HEAD) --timeout 30m
  tidegate wait app web-prod-eu --for healthy
  tidegate wait run 0197f1c2-6a90-7cc3-98c5-aeb0cf6f5c0e --for state=WaitingGate";

/// What can be waited on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Subject {
    /// An application set.
    #[value(aliases = ["sets", "applicationset", "appset"])]
    Set,
    /// A run.
    #[value(aliases = ["runs"])]
    Run,
    /// An application.
    #[value(aliases = ["apps", "application", "applications"])]
    App,
    /// A cluster.
    #[value(aliases = ["clusters", "cl"])]
    Cluster,
}
