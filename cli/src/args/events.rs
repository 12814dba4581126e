//! `tidegate events`.

use clap::Args;
use tidegate_model::duration::Span;

use super::{Project, Since};

/// Options of `events`.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Events {
    /// Where.
    #[command(flatten)]
    pub project: Project,
    /// Only of this set and its applications.
    #[arg(long, value_name = "SET")]
    pub set: Option<String>,
    /// Only of this cluster and its applications.
    #[arg(long, value_name = "CLUSTER")]
    pub cluster: Option<String>,
    /// Only since then: 10m, 2026-11-27, 2026-11-27T16:00:00Z.
    #[arg(long, value_name = "AGE|TIME")]
    pub since: Option<Since>,
    /// Go on: show each event as it happens.
    #[arg(short, long, visible_alias = "watch", visible_short_alias = 'w')]
    pub follow: bool,
    /// Stop following after this long, with exit code 6: 30m, 2h. Never when absent.
    #[arg(long, value_name = "DURATION", value_parser = Span::parse, requires = "follow")]
    pub timeout: Option<Span>,
}

const EXAMPLES: &str = "\
A hub keeps the newest events in memory. Decisions are in the audit log for good, and a hub that was
restarted tells them again; what agents reported before is not known then, and a line says so.

Examples:
  tidegate events --since 10m
  tidegate events --follow --set web
  tidegate events -f --cluster prod-eu -o json";
