//! `tidegate run …`.

use clap::{Args, Subcommand};
use tidegate_model::duration::Span;
use tidegate_proto::v1 as wire;

use super::{Project, Reason, RequiredReason, bare};

/// Follow and steer runs.
#[derive(Clone, Debug, Subcommand)]
pub enum RunCommand {
    /// Follow a run until it ends; exits with 0 only if it succeeded.
    Watch(Watch),
    /// Say what a run waits for, and what would clear each cause.
    #[command(after_help = "Examples:\n  tidegate run explain --set web")]
    Explain(RunName),
    /// Open the gate at which a run waits.
    Approve(Approve),
    /// Keep the gate at which a run waits closed until you approve it.
    Reject(Reject),
    /// Start nothing new in a run until it is resumed.
    #[command(after_help = "Examples:\n  tidegate run pause --set web --reason 'incident 4711'")]
    Pause(Control),
    /// Go on with a paused run.
    #[command(after_help = "Examples:\n  tidegate run resume --set web")]
    Resume(Control),
    /// Stop a run for good; what it has brought stays.
    #[command(after_help = "Examples:\n  tidegate run cancel --set web --reason 'wrong commit'")]
    Cancel(Control),
    /// Open the windows of the wave at which a run stands, for this run only.
    #[command(after_help = BREAK_GLASS)]
    BreakGlass(BreakGlass),
    /// Try what failed in a run that ended or is paused again, at the same content.
    #[command(after_help = RETRY)]
    Retry(Control),
    /// Wait for a cluster no longer; it keeps what it runs.
    #[command(after_help = SKIP)]
    Skip(Skip),
}

const RETRY: &str = "\
Whoever failed or timed out is assigned the same content anew, from the first wave that failed on; its
gates and soaks are asked again. A paused run stays paused. Content never gets older by it.

Examples:
  tidegate run retry --set web --reason 'quota raised' && tidegate run watch --set web";

const SKIP: &str = "\
It counts as left out, not as healthy: a wave still needs its minHealthy of the others, and somebody
in it must be left. A rollback takes it back like everybody; the next run asks it again.

Examples:
  tidegate run skip --set web --cluster edge-7 --reason 'shop is closed'";

/// Names a run: by its id, or as the latest of a set.
#[derive(Clone, Debug, Args)]
pub struct RunName {
    /// The run's id.
    #[arg(required_unless_present = "set", conflicts_with = "set")]
    pub run_id: Option<String>,
    /// The latest run of this application set.
    #[arg(short, long, value_name = "NAME")]
    pub set: Option<String>,
    /// The set's project.
    #[command(flatten)]
    pub project: Project,
}

impl RunName {
    /// As the API takes it.
    pub fn request(&self) -> wire::GetRunRequest {
        let run_id = self.run_id.as_deref().unwrap_or_default();
        wire::GetRunRequest {
            run_id: bare(run_id, "run").to_owned(),
            project: self.project.name(),
            set: self.set.clone().unwrap_or_default(),
        }
    }
}

/// Options of `run watch`.
#[derive(Clone, Debug, Args)]
#[command(after_help = WATCH)]
pub struct Watch {
    /// Which run.
    #[command(flatten)]
    pub run: RunName,
    /// Give up after this long: 30m, 2h. Never when absent.
    #[arg(long, value_name = "DURATION", value_parser = Span::parse)]
    pub timeout: Option<Span>,
}

const WATCH: &str = "\
On a terminal one view is drawn anew; elsewhere each change is a line. With -o json each state of
the run is one line of JSON.

Examples:
  tidegate run watch --set web
  tidegate run watch --set web --timeout 30m -o json | jq -r .state";

/// Options of `run approve`.
#[derive(Clone, Debug, Args)]
#[command(after_help = APPROVE)]
pub struct Approve {
    /// Which run.
    #[command(flatten)]
    pub run: RunName,
    /// The wave whose gate to open [default: the one that waits].
    #[arg(short, long, value_name = "NAME")]
    pub wave: Option<String>,
    /// Refuse if the run brings other content than this, as `get runs -o json` shows it.
    #[arg(long, value_name = "DIGEST")]
    pub content: Option<String>,
    /// Why.
    #[command(flatten)]
    pub reason: Reason,
}

const APPROVE: &str = "\
Examples:
  tidegate run approve --set web --reason 'canary looks good'
  tidegate run approve --set web --wave prod";

/// Options of `run reject`.
#[derive(Clone, Debug, Args)]
#[command(after_help = REJECT)]
pub struct Reject {
    /// Which run.
    #[command(flatten)]
    pub run: RunName,
    /// The wave whose gate to keep closed [default: the one that waits].
    #[arg(short, long, value_name = "NAME")]
    pub wave: Option<String>,
    /// Why; everybody who waits for the gate sees it.
    #[command(flatten)]
    pub reason: RequiredReason,
}

impl Reject {
    /// As a word on a gate.
    pub fn word(&self) -> Approve {
        Approve {
            run: self.run.clone(),
            wave: self.wave.clone(),
            content: None,
            reason: Reason {
                reason: self.reason.reason.clone(),
            },
        }
    }
}

const REJECT: &str = "\
Examples:
  tidegate run reject --set web --reason 'error rate doubled in the canary'
  tidegate run reject --set web --wave prod --reason 'not before the audit'";

/// Options of `run skip`.
#[derive(Clone, Debug, Args)]
pub struct Skip {
    /// Which run.
    #[command(flatten)]
    pub run: RunName,
    /// The cluster to leave out.
    #[arg(short, long, value_name = "NAME")]
    pub cluster: String,
    /// Why.
    #[command(flatten)]
    pub reason: Reason,
}

/// Options of `run pause`, `resume`, `cancel` and `retry`.
#[derive(Clone, Debug, Args)]
pub struct Control {
    /// Which run.
    #[command(flatten)]
    pub run: RunName,
    /// Why.
    #[command(flatten)]
    pub reason: Reason,
}

/// Options of `run break-glass`.
#[derive(Clone, Debug, Args)]
pub struct BreakGlass {
    /// Which run.
    #[command(flatten)]
    pub run: RunName,
    /// Why it cannot wait; kept with the run and in the audit log.
    #[command(flatten)]
    pub reason: RequiredReason,
}

const BREAK_GLASS: &str = "\
Needs the role admin. Approvals, soaks and budgets hold as before; the next wave's windows too.

Examples:
  tidegate run break-glass --set web --reason 'fixes CVE-2026-1234, agreed with the on-call'";
