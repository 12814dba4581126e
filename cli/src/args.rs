//! What may be asked: the command line as types.
//!
//! Owns names, aliases, environment variables and help texts. Never asks anybody anything.

mod admin;
mod audit;
mod condition;
mod config;
mod describe;
mod diff;
mod events;
mod get;
mod name;
mod offline;
mod plan;
mod release;
mod run;
mod set;
mod trace;
mod tree;
mod up;
mod wait;
mod watching;
mod why;

pub use admin::{
    ClusterCommand, JoinToken, Label, LabelChange, Remove, RoleName, Rotate, UserCommand,
    UserCreate,
};
pub use audit::{
    AuditCommand, AuditExport, AuditLog, AuditReplay, AuditVerify, Noted, Pattern, Since,
};
pub use condition::Condition;
pub use config::{AddContexts, ConfigCommand, ContextName, RenameContext};
pub use describe::{Describe, Thing};
pub use diff::{Diff, Only};
pub use events::Events;
pub use get::{Get, What};
pub use name::bare;
pub use offline::{Expand, Inputs, Render};
pub use plan::Plan;
pub use release::{ReleaseCommand, ReleaseDiff, ReleaseList, ReleaseShow};
pub use run::{Approve, BreakGlass, Control, Reject, RunCommand, RunName, Skip, Watch};
pub use set::{
    Apply, Delete, DeleteCommand, DeleteWavePlan, HoldApprove, HoldCommand, Opens, Refresh,
    Rollback, Sync, Unpin,
};
pub use trace::Trace;
pub use tree::Tree;
pub use up::{Down, Example, NamedContext, Up};
pub use wait::{Subject, Wait};
pub use watching::Watching;
pub use why::Why;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use tidegate_model::duration::Span;

use crate::exit;

/// Drives a Tidegate hub: apply application sets, watch and steer the runs that roll them out.
#[derive(Debug, Parser)]
#[command(
    name = "tidegate",
    version,
    propagate_version = true,
    after_help = exit::help(),
    after_long_help = format!("{}\n\n{}", EXAMPLES, exit::help())
)]
pub struct Cli {
    /// What every command understands.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  tidegate apply -f web.yaml                      write an application set
  tidegate diff web                               what would the newest commit change?
  tidegate run watch --set web                    follow its latest run to the end
  tidegate run explain --set web                  what does it wait for?
  tidegate run approve --set web --reason 'seen'  open the gate it waits at
  tidegate rollback web --reason 'bad image'      back to the last known good
  tidegate wait set web --for healthy             for scripts; see the exit codes";

/// What every command understands.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// Configuration file [default: `$XDG_CONFIG_HOME/tidegate/config.yaml`].
    #[arg(long, global = true, env = "TIDEGATE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Context of the configuration file [default: its currentContext].
    #[arg(long, global = true, env = "TIDEGATE_CONTEXT", value_name = "NAME")]
    pub context: Option<String>,
    /// Address of the hub, instead of the context's: https://HOST:PORT.
    #[arg(long, global = true, env = "TIDEGATE_SERVER", value_name = "URL")]
    pub server: Option<String>,
    /// How long to wait for one answer of the hub: 90s, 5m.
    #[arg(
        long,
        global = true,
        env = "TIDEGATE_REQUEST_TIMEOUT",
        value_name = "DURATION",
        default_value = "1m",
        value_parser = Span::parse
    )]
    pub request_timeout: Span,
    /// How to print.
    #[arg(
        short,
        long,
        global = true,
        value_name = "FORMAT",
        default_value = "table"
    )]
    pub output: Format,
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people; fits 80 columns.
    Table,
    /// The API's messages as JSON (protobuf's JSON mapping); lists as {"items": […]}.
    Json,
    /// The same as YAML.
    Yaml,
    /// KIND/NAME, one a line.
    Name,
}

/// In which project a thing is.
#[derive(Clone, Debug, Args)]
pub struct Project {
    /// The project [default: the hub's `default`; lists show every project].
    #[arg(short, long, env = "TIDEGATE_PROJECT", value_name = "NAME")]
    pub project: Option<String>,
}

impl Project {
    /// As the API takes it: empty when none is named.
    pub fn name(&self) -> String {
        self.project.clone().unwrap_or_default()
    }
}

/// Why something is done; kept in the audit log.
#[derive(Clone, Debug, Args)]
pub struct RequiredReason {
    /// Why; kept in the audit log.
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}

/// Why something is done, if the user says so; kept in the audit log.
#[derive(Clone, Debug, Args)]
pub struct Reason {
    /// Why; kept in the audit log.
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub reason: String,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Bring up a whole fleet on this machine, to look at and to play with.
    Up(Up),
    /// Remove a fleet that `up` made.
    Down(Down),
    /// Write application sets from files: all of them or, if one is wrong, none.
    Apply(Apply),
    /// Show the applications that sets make; asks no hub.
    Expand(Expand),
    /// Show the objects of a directory or an application; asks no hub.
    Render(Render),
    /// Show what a commit or a file would change; changes nothing.
    Diff(Diff),
    /// Show in which waves and when a set would roll out; changes nothing.
    Plan(Plan),
    /// Show things.
    Get(Get),
    /// Show the objects of an application with their live state.
    Tree(Tree),
    /// Say why an application is in its state, and what would change that.
    Why(Why),
    /// Say which commit an object in a cluster comes from.
    Trace(Trace),
    /// Show one thing with everything that is known about it and its neighbours.
    Describe(Describe),
    /// Show what happens in the fleet.
    Events(Events),
    /// Delete things.
    #[command(subcommand)]
    Delete(DeleteCommand),
    /// Follow and steer runs.
    #[command(subcommand)]
    Run(RunCommand),
    /// Take a set back to what last ran healthy, and pin it there.
    Rollback(Rollback),
    /// Lift pins and denies, so that a set follows Git again.
    Unpin(Unpin),
    /// Look at the Git sources of a set now.
    Refresh(Refresh),
    /// Let agents reconcile applications now.
    Sync(Sync),
    /// Let through what the hub holds.
    #[command(subcommand)]
    Hold(HoldCommand),
    /// Wait until something is so.
    Wait(Wait),
    /// Let clusters join, label and forget them.
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Look at releases.
    #[command(subcommand)]
    Release(ReleaseCommand),
    /// Read and check what was decided, by whom and why.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Let people use the hub.
    #[command(subcommand)]
    User(UserCommand),
    /// Look at and change the contexts of the configuration file.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Show who you are to the hub.
    Whoami,
    /// Show the version of this command.
    Version,
    /// Print a completion script.
    #[command(after_help = COMPLETION)]
    Completion {
        /// For this shell.
        shell: Shell,
    },
}

const COMPLETION: &str = "\
Examples:
  source <(tidegate completion bash)
  tidegate completion zsh > \"${fpath[1]}/_tidegate\"
  tidegate completion fish > ~/.config/fish/completions/tidegate.fish";

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_and_option_has_a_help_text() {
        fn check(command: &clap::Command, path: &str) {
            let path = format!("{path} {}", command.get_name());
            assert!(command.get_about().is_some(), "{path} has no help text");
            for argument in command.get_arguments() {
                assert!(
                    argument.get_help().is_some(),
                    "{path} {} has no help",
                    argument.get_id()
                );
            }
            for inner in command.get_subcommands() {
                check(inner, &path);
            }
        }
        check(&Cli::command(), "");
    }

    #[test]
    fn every_command_that_does_something_shows_an_example() {
        fn check(command: &clap::Command, path: &str) {
            let path = format!("{path} {}", command.get_name());
            let inner: Vec<_> = command.get_subcommands().collect();
            let plain = ["whoami", "version"].contains(&command.get_name());
            if inner.is_empty() && !plain {
                let shown = command
                    .get_after_help()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                assert!(shown.contains("tidegate "), "{path} shows no example");
            }
            for inner in inner {
                check(inner, &path);
            }
        }
        check(&Cli::command(), "");
    }
}
