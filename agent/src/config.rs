//! Options of the agent: flags and `TIDEGATE_AGENT_…` variables, nothing else.
//!
//! Owns names, defaults and help texts. Never reads files.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser};
use tidegate_model::names;

use crate::{
    identity::{JoinToken, TokenSource},
    link::Hub,
};

/// Tidegate's agent: reconciles its own cluster with what the hub assigned to it, and reports
/// health. Goes on without the hub, with what it has. Stops on SIGTERM or SIGINT.
#[derive(Clone, Debug, Parser)]
#[command(name = "tidegate-agent", version)]
pub struct Cli {
    /// Address of the hub, https://host:port. Without it the agent keeps what it has and asks
    /// nobody.
    #[arg(long, env = "TIDEGATE_AGENT_HUB", value_name = "URL")]
    pub hub: Option<Hub>,
    /// How to join the hub for the first time.
    #[command(flatten)]
    pub token: TokenOptions,
    /// Where the agent keeps its disk cache and a copy of its identity. Losing it loses nothing
    /// but time: what must survive is in the cluster too.
    #[arg(
        long,
        env = "TIDEGATE_AGENT_STATE_DIR",
        value_name = "DIR",
        default_value = "/var/lib/tidegate-agent"
    )]
    pub state_dir: PathBuf,
    /// Kubeconfig of the agent's own cluster. Without it the agent uses the service account of the
    /// pod that it runs in.
    #[arg(long, env = "TIDEGATE_AGENT_KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig; without it, its current one.
    #[arg(
        long,
        env = "TIDEGATE_AGENT_CONTEXT",
        value_name = "NAME",
        requires = "kubeconfig"
    )]
    pub context: Option<String>,
    /// Namespace of the Secrets in which the agent keeps what must survive.
    #[arg(long, env = "TIDEGATE_AGENT_NAMESPACE", value_name = "NAME", default_value = names::NAMESPACE)]
    pub namespace: String,
    /// Address of the plain port with /livez, /readyz and /metrics.
    #[arg(
        long,
        env = "TIDEGATE_AGENT_HEALTH_LISTEN",
        value_name = "ADDR",
        default_value = "0.0.0.0:8080"
    )]
    pub health_listen: SocketAddr,
    /// How to log.
    #[command(flatten)]
    pub log: LogOptions,
    /// Where traces go.
    #[command(flatten)]
    pub otlp: OtlpOptions,
}

/// Where traces go. Which are kept is the hub's choice.
#[derive(Clone, Debug, Args)]
pub struct OtlpOptions {
    /// OTLP receiver for traces, over gRPC, such as `http://localhost:4317`. Without it nothing is
    /// traced.
    #[arg(
        long = "otlp-endpoint",
        env = "TIDEGATE_AGENT_OTLP_ENDPOINT",
        value_name = "URL"
    )]
    pub endpoint: Option<String>,
    /// File with headers for the receiver, one `name: value` a line.
    #[arg(
        long = "otlp-headers-file",
        env = "TIDEGATE_AGENT_OTLP_HEADERS_FILE",
        value_name = "FILE"
    )]
    pub headers_file: Option<PathBuf>,
    /// PEM file with the certificate authorities that an https:// receiver is verified with; without
    /// it, the system's.
    #[arg(
        long = "otlp-ca-file",
        env = "TIDEGATE_AGENT_OTLP_CA_FILE",
        value_name = "FILE"
    )]
    pub ca_file: Option<PathBuf>,
}

/// How to join the hub for the first time.
#[derive(Clone, Debug, Args)]
#[group(multiple = false)]
pub struct TokenOptions {
    /// Join token, as `tidegate cluster join-token` printed it. Used once; afterwards the agent
    /// has a certificate of its own. Other users of the machine see command lines: prefer the
    /// file or the variable.
    #[arg(
        long,
        env = "TIDEGATE_AGENT_JOIN_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true
    )]
    pub join_token: Option<JoinToken>,
    /// File that holds the join token; it may come later, or be replaced.
    #[arg(long, env = "TIDEGATE_AGENT_JOIN_TOKEN_FILE", value_name = "FILE")]
    pub join_token_file: Option<PathBuf>,
}

impl TokenOptions {
    /// Where the token comes from.
    pub fn source(&self) -> TokenSource {
        match (&self.join_token, &self.join_token_file) {
            (Some(token), _) => TokenSource::Text(token.clone()),
            (None, Some(path)) => TokenSource::File(path.clone()),
            (None, None) => TokenSource::None,
        }
    }
}

/// How to log.
#[derive(Clone, Debug, Args)]
pub struct LogOptions {
    /// What to log: a level, or a filter such as `info,tidegate_agent=debug`.
    #[arg(
        long = "log",
        env = "TIDEGATE_AGENT_LOG",
        value_name = "FILTER",
        default_value = "info"
    )]
    pub filter: String,
    /// In which form.
    #[arg(
        long = "log-format",
        env = "TIDEGATE_AGENT_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "text"
    )]
    pub format: tidegate_telemetry::Format,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_every_option_is_explained() {
        let command = Cli::command();
        command.clone().debug_assert();
        for option in command
            .get_arguments()
            .filter(|option| option.get_id() != "version")
        {
            assert!(
                option.get_help().is_some(),
                "{} has no help",
                option.get_id()
            );
            assert!(
                option.get_env().is_some() || option.get_id() == "help",
                "{} has no variable",
                option.get_id()
            );
        }
    }

    #[test]
    fn bad_options_are_refused_with_what_to_write() {
        let parse = |args: &[&str]| {
            Cli::try_parse_from([&["tidegate-agent"], args].concat())
                .unwrap_err()
                .to_string()
        };
        assert!(parse(&["--hub", "http://hub:1"]).contains("only https is spoken"));
        assert!(parse(&["--join-token", "x"]).contains("expected tgj1."));
        let both = [
            "--join-token-file",
            "x",
            "--join-token",
            &format!("tgj1.a.b.{}", "00".repeat(32)),
        ];
        assert!(parse(&both).contains("cannot be used with"));
    }
}
