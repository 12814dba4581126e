//! Commands of administrators: `cluster …`, `user …`.

use std::{path::PathBuf, str::FromStr};

use clap::{Args, Subcommand, ValueEnum};
use tidegate_model::duration::Span;
use tidegate_proto::v1 as wire;

use super::{Reason, Watching};

/// Let clusters join, label and forget them.
#[derive(Clone, Debug, Subcommand)]
pub enum ClusterCommand {
    /// Show the clusters.
    #[command(after_help = "Examples:\n  tidegate cluster list")]
    List(ClusterList),
    /// Register a cluster and print a one-time token with which its agent joins.
    JoinToken(JoinToken),
    /// Set and remove labels of a cluster.
    Label(Label),
    /// Have a cluster's agent make a new key and certificate; the former is refused then.
    Rotate(Rotate),
    /// Forget a cluster; what runs there stays.
    Remove(Remove),
}

/// Options of `cluster list`.
#[derive(Clone, Debug, Args)]
pub struct ClusterList {
    /// Whether to go on.
    #[command(flatten)]
    pub watching: Watching,
}

/// Options of `cluster join-token`.
#[derive(Clone, Debug, Args)]
#[command(after_help = JOIN)]
pub struct JoinToken {
    /// The cluster.
    pub name: String,
    /// A label, by which waves and generators select it: KEY=VALUE. May be repeated.
    #[arg(short, long = "label", value_name = "KEY=VALUE")]
    pub labels: Vec<Pair>,
    /// An address by which application sets may name this cluster in destination.server. May be
    /// repeated.
    #[arg(long = "destination-server", value_name = "URL")]
    pub servers: Vec<String>,
    /// How long the token can be used [default: the hub's, one hour].
    #[arg(long, value_name = "DURATION", value_parser = Span::parse)]
    pub ttl: Option<Span>,
    /// Write the certificates that sign the hub's to this file, for the agent to trust.
    #[arg(long, value_name = "FILE")]
    pub ca_out: Option<PathBuf>,
}

const JOIN: &str = "\
Only the token goes to standard output.

Examples:
  tidegate cluster join-token prod-eu --label env=prod --label rank=2 > token
  tidegate cluster join-token prod-eu --ttl 15m --ca-out hub-ca.pem";

/// KEY=VALUE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The label's key.
    pub key: String,
    /// Its value; may be empty.
    pub value: String,
}

impl FromStr for Pair {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok(Self {
                key: key.to_owned(),
                value: value.to_owned(),
            }),
            _ => Err("write it as KEY=VALUE".to_owned()),
        }
    }
}

/// A change of one label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelChange {
    /// KEY=VALUE.
    Set(Pair),
    /// KEY-.
    Remove(String),
}

impl FromStr for LabelChange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_suffix('-') {
            Some(key) if !key.is_empty() && !key.contains('=') => Ok(Self::Remove(key.to_owned())),
            _ => text
                .parse()
                .map(Self::Set)
                .map_err(|_| "write it as KEY=VALUE, or KEY- to remove it".to_owned()),
        }
    }
}

/// Options of `cluster label`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  tidegate cluster label prod-eu rank=3 canary-")]
pub struct Label {
    /// The cluster.
    pub name: String,
    /// KEY=VALUE sets a label, KEY- removes it.
    #[arg(required = true, value_name = "KEY=VALUE|KEY-")]
    pub changes: Vec<LabelChange>,
}

/// Options of `cluster rotate`.
#[derive(Clone, Debug, Args)]
#[command(after_help = ROTATE)]
pub struct Rotate {
    /// The cluster.
    pub name: String,
    /// Why.
    #[command(flatten)]
    pub reason: Reason,
    /// Wait until the new certificate is in use and the former is refused.
    #[arg(long)]
    pub wait: bool,
    /// Stop waiting after this long, with exit code 6: 5m, 1h. Never when absent.
    #[arg(long, value_name = "DURATION", value_parser = Span::parse, requires = "wait")]
    pub timeout: Option<Span>,
}

const ROTATE: &str = "\
The order stands until it is carried out: an agent that is away does it when it comes. The agent asks
for the new certificate with the former one. Who has stolen that could do so too: remove such a
cluster and let it join anew.

Examples:
  tidegate cluster rotate prod-eu --reason 'key was on a lent laptop' --wait
  tidegate cluster rotate prod-eu --wait --timeout 5m";

/// Options of `cluster remove`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  tidegate cluster remove prod-eu --reason 'decommissioned'")]
pub struct Remove {
    /// The cluster.
    pub name: String,
    /// Why.
    #[command(flatten)]
    pub reason: Reason,
}

/// Let people use the hub.
#[derive(Clone, Debug, Subcommand)]
pub enum UserCommand {
    /// Make a certificate for a person and write their configuration file.
    Create(UserCreate),
}

/// Options of `user create`.
#[derive(Clone, Debug, Args)]
#[command(after_help = USER)]
pub struct UserCreate {
    /// The person.
    pub name: String,
    /// What they may do.
    #[arg(long, value_name = "ROLE")]
    pub role: RoleName,
    /// A group that gates may name; repeat it for several. For a person who is known already it
    /// replaces their groups.
    #[arg(long = "group", value_name = "NAME")]
    pub groups: Vec<String>,
    /// Take a person who is known already out of all groups.
    #[arg(long, conflicts_with = "groups")]
    pub no_groups: bool,
    /// Where to write their configuration; a private key is in it, so only you may read it.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

const USER: &str = "\
The key is made here and never sent to the hub.

Examples:
  tidegate user create kim --role operator --out kim.yaml
  tidegate user create kim --role operator --group sre --group release-managers --out kim.yaml";

/// What a person may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RoleName {
    /// Look.
    Viewer,
    /// Look, apply, and steer runs.
    Operator,
    /// Everything, clusters and users included.
    Admin,
}

impl From<RoleName> for wire::Role {
    fn from(role: RoleName) -> Self {
        match role {
            RoleName::Viewer => Self::Viewer,
            RoleName::Operator => Self::Operator,
            RoleName::Admin => Self::Admin,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_read_as_kubectl_reads_them() {
        let pair = |key: &str, value: &str| {
            LabelChange::Set(Pair {
                key: key.to_owned(),
                value: value.to_owned(),
            })
        };
        assert_eq!("a=b".parse(), Ok(pair("a", "b")));
        assert_eq!("a=".parse(), Ok(pair("a", "")));
        assert_eq!("a=b-".parse(), Ok(pair("a", "b-")));
        assert_eq!("a-".parse(), Ok(LabelChange::Remove("a".to_owned())));
        for wrong in ["a", "=b", "-", ""] {
            assert!(wrong.parse::<LabelChange>().is_err(), "{wrong:?}");
        }
    }
}
