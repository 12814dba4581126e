//! `tidegate audit …`.

use std::{path::PathBuf, str::FromStr};

use clap::{Args, Subcommand};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use tidegate_model::{digest::Digest, duration::Span, glob::Glob, ids::RunId};

use super::Watching;

/// Read and check what was decided, by whom and why.
#[derive(Clone, Debug, Subcommand)]
pub enum AuditCommand {
    /// Show the decisions of a project, oldest first.
    Log(Box<AuditLog>),
    /// Check on this machine that no decision was changed, removed or moved.
    Verify(AuditVerify),
    /// Write every decision of a project into a file that `audit verify` checks without a hub.
    Export(AuditExport),
    /// Show the runs as the decisions alone tell them, and whether the hub holds the same.
    Replay(AuditReplay),
}

/// Options of `audit log`.
#[derive(Clone, Debug, Args)]
#[command(after_help = LOG)]
pub struct AuditLog {
    /// The project [default: `default`]; _ is the fleet's: clusters, tokens, people, sources.
    #[arg(short, long, env = "TIDEGATE_PROJECT", value_name = "NAME")]
    pub project: Option<String>,
    /// Only since then: 24h, 2026-11-27, 2026-11-27T16:00:00Z.
    #[arg(long, value_name = "AGE|TIME")]
    pub since: Option<Since>,
    /// Only of this person, or of those that match: kim, cluster/*.
    #[arg(long, value_name = "NAME")]
    pub actor: Option<Pattern>,
    /// Only of this kind: run.approve, run.*.
    #[arg(long, value_name = "ACTION")]
    pub action: Option<Pattern>,
    /// At most so many, the newest; all when absent.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
    /// Whether to go on.
    #[command(flatten)]
    pub watching: Watching,
}

const LOG: &str = "\
Examples:
  tidegate audit log --since 24h
  tidegate audit log --actor kim --action 'run.*' -o yaml
  tidegate audit log -p _ --limit 20";

/// Options of `audit verify`.
#[derive(Clone, Debug, Args)]
#[command(after_help = VERIFY)]
pub struct AuditVerify {
    /// Only this project; _ is the fleet's [default: the fleet's, `default`, and every project that
    /// has a set].
    #[arg(short, long, env = "TIDEGATE_PROJECT", value_name = "NAME")]
    pub project: Option<String>,
    /// A record that was noted down earlier and must still be there as it was. May be repeated; needs
    /// --project.
    #[arg(long, value_name = "SEQUENCE=HASH")]
    pub noted: Vec<Noted>,
    /// Check an export instead of what a hub tells; - for standard input. No hub is asked.
    #[arg(long, value_name = "FILE|-")]
    pub file: Option<PathBuf>,
}

const VERIFY: &str = "\
Each record holds a digest of itself and of the one before it; they are computed anew here from what
the hub tells. Records that were cut off at the end leave no gap: note down where a chain ends, away
from the hub, and hand it over next time with --noted.

Examples:
  tidegate audit verify
  tidegate audit verify -p shop --noted 41=sha256:0d3c5d8b80b487de089fe77deaf89745f79b99eaecd46b275de5939b896c5880
  tidegate audit verify --file shop.jsonl";

/// Options of `audit export`.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXPORT)]
pub struct AuditExport {
    /// The project [default: `default`]; _ is the fleet's: clusters, tokens, people, sources.
    #[arg(short, long, env = "TIDEGATE_PROJECT", value_name = "NAME")]
    pub project: Option<String>,
    /// A new file to write instead of standard output.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

const EXPORT: &str = "\
Each decision is one line of JSON, oldest first, whatever --output says. The chain is checked on the
way: one that does not hold is written all the same, as far as the hub tells it, and ends with 1.

Examples:
  tidegate audit export -p shop --out shop.jsonl
  tidegate audit export | jq -r 'select(.actor == \"kim\") | .action'";

/// Options of `audit replay`.
#[derive(Clone, Debug, Args)]
#[command(after_help = REPLAY)]
pub struct AuditReplay {
    /// Only this run [default: every run of the project].
    pub run: Option<RunId>,
    /// The project [default: `default`, or the export's].
    #[arg(short, long, env = "TIDEGATE_PROJECT", value_name = "NAME")]
    pub project: Option<String>,
    /// Read an export instead of what a hub tells; - for standard input. No hub is asked, so nothing
    /// is compared.
    #[arg(long, value_name = "FILE|-")]
    pub file: Option<PathBuf>,
}

const REPLAY: &str = "\
Every record says where its run stands after it: read from the first record on, they lead to the state,
wave and attempt of each run, to what it brought each of its members, and to who failed, was left out, is
owed something or was taken back. What agents report in between is no decision and not in it.

The chain is checked on the way, as `audit verify` does. Ends with 1 where it does not hold, or where the
hub holds something else. A run that moves while it is compared is looked at again.

Examples:
  tidegate audit replay -p shop
  tidegate audit replay 01890000-0000-7000-8000-000000000001 -o yaml
  tidegate audit replay --file shop.jsonl";

/// From when on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// So long ago.
    Ago(Span),
    /// At this moment, Unix milliseconds.
    At(i64),
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(span) = Span::parse(text) {
            return Ok(Self::Ago(span));
        }
        if let Ok(at) = text.parse::<Timestamp>() {
            return Ok(Self::At(at.as_millisecond()));
        }
        let date = text.parse::<Date>().ok();
        let at = date.and_then(|date| date.to_zoned(TimeZone::UTC).ok());
        at.map(|at| Self::At(at.timestamp().as_millisecond()))
            .ok_or_else(|| {
                "write an age (90m, 24h, 7d), a day (2026-11-27) or a time (2026-11-27T16:00:00Z)"
                    .to_owned()
            })
    }
}

impl Since {
    /// As Unix milliseconds.
    pub fn at_ms(self, now_ms: i64) -> i64 {
        match self {
            Self::Ago(span) => now_ms.saturating_sub(span.as_millis()),
            Self::At(at_ms) => at_ms,
        }
    }
}

/// A word, or a pattern with `*`.
#[derive(Clone, Debug)]
pub struct Pattern(Glob);

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Glob::new(text)
            .map(Self)
            .map_err(|_| "write a name, or a pattern such as run.*".to_owned())
    }
}

impl Pattern {
    /// Whether a word is meant.
    pub fn is_match(&self, word: &str) -> bool {
        self.0.matches(word)
    }
}

/// A record as somebody noted it down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noted {
    /// Its number.
    pub sequence: u64,
    /// Its hash.
    pub hash: Digest,
}

impl FromStr for Noted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('=');
        let sequence = parts.and_then(|(sequence, _)| sequence.parse().ok());
        let hash = parts.and_then(|(_, hash)| hash.parse().ok());
        match (sequence, hash) {
            (Some(sequence), Some(hash)) if sequence > 0 => Ok(Self { sequence, hash }),
            _ => Err("write it as SEQUENCE=sha256:…, as `audit verify` told it".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_an_age_a_day_or_a_time() {
        let at = |text: &str| text.parse::<Since>().map(|since| since.at_ms(10_000_000));
        assert_eq!(at("1h"), Ok(6_400_000));
        assert_eq!(at("1970-01-02"), Ok(86_400_000));
        assert_eq!(at("1970-01-01T01:00:00+01:00"), Ok(0));
        assert!(at("yesterday").unwrap_err().contains("24h"));
    }
}
