//! `--watch`, for everything that lists.

use clap::Args;
use tidegate_model::duration::Span;

/// Whether and how long to go on.
#[derive(Clone, Debug, Default, Args)]
pub struct Watching {
    /// Go on after the list: show each thing anew when it changes.
    #[arg(short, long)]
    pub watch: bool,
    /// Stop watching after this long, with exit code 6: 30m, 2h. Never when absent.
    #[arg(long, value_name = "DURATION", value_parser = Span::parse, requires = "watch")]
    pub timeout: Option<Span>,
}
