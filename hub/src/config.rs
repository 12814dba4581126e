//! Options of the hub: flags and `TIDEGATE_HUB_…` variables, nothing else.
//!
//! Owns names, defaults and help texts. Never reads files.

use std::{fmt, net::SocketAddr, path::PathBuf, time::Duration};

mod moving;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tidegate_model::duration::Span;

pub use self::moving::{BackupOptions, MigrateOptions, RestoreOptions};
use crate::measure;

/// Tidegate's hub: expands application sets, rolls releases out in waves, and speaks to agents and
/// people over one mutually authenticated gRPC port.
#[derive(Debug, Parser)]
#[command(name = "tidegate-hub", version, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the binary can do.
#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is one, at the start")]
pub enum Command {
    /// Make a new hub: certificate authority, store, and a first administrator.
    ///
    /// Refuses to touch a state directory that already holds a hub.
    Init(InitOptions),
    /// Run the hub until SIGTERM or SIGINT.
    Serve(ServeOptions),
    /// Write all that makes this hub into one file, from which `restore` makes it again.
    ///
    /// The file holds the key of the certificate authority: whoever reads it can sign certificates
    /// of this hub for anybody. It is made readable by its owner alone; keep it like a password.
    Backup(BackupOptions),
    /// Make the hub of a backup again, in an empty state directory and store.
    ///
    /// Everything in the backup is verified before anything is written. The restored hub takes a
    /// term above that of the hub that was lost: agents obey it, and no longer the other one. What
    /// they run stays until releases of the restored hub reach them, wave by wave.
    Restore(RestoreOptions),
    /// Move a hub's records from one store to the other. The hub must not run.
    Migrate(MigrateOptions),
}

/// Options of `init`.
#[derive(Clone, Debug, Args)]
pub struct InitOptions {
    /// Where the hub keeps everything: certificates, store, blobs, repositories.
    #[arg(long, env = "TIDEGATE_HUB_STATE_DIR", value_name = "DIR")]
    pub state_dir: PathBuf,
    /// Name of the trust domain in every identity: `spiffe://NAME/…`.
    #[arg(
        long,
        env = "TIDEGATE_HUB_TRUST_DOMAIN",
        value_name = "NAME",
        default_value = "tidegate.local"
    )]
    pub trust_domain: String,
    /// DNS names and addresses under which people and agents reach the hub.
    #[arg(long = "name", env = "TIDEGATE_HUB_NAMES", value_name = "NAME", value_delimiter = ',', default_values_t = ["localhost".to_owned(), "127.0.0.1".to_owned()])]
    pub names: Vec<String>,
    /// Address that goes into the administrator's configuration.
    #[arg(
        long,
        env = "TIDEGATE_HUB_SERVER",
        value_name = "URL",
        default_value = "https://localhost:8443"
    )]
    pub server: String,
    /// Name of the first administrator.
    #[arg(long, value_name = "NAME", default_value = "admin")]
    pub admin: String,
    /// Where to write the administrator's configuration for the command line; a private key is in
    /// it.
    #[arg(long, value_name = "FILE")]
    pub admin_config: PathBuf,
    /// Where records are kept.
    #[command(flatten)]
    pub store: StoreOptions,
}

/// Where records are kept. What they refer to (rendered objects, bundles, releases) is in files of
/// the state directory with either store.
#[derive(Clone, Debug, Args)]
pub struct StoreOptions {
    /// Where records are kept: in a file of the state directory, or in an etcd of Tidegate's own.
    ///
    /// Certificates and rendered content are in the state directory with either store.
    #[arg(
        long,
        env = "TIDEGATE_HUB_STORE",
        value_name = "STORE",
        default_value = "redb",
        requires_if("etcd", "etcd_endpoints")
    )]
    pub store: StoreKind,
    /// Which etcd.
    #[command(flatten)]
    pub etcd: EtcdOptions,
}

/// An etcd.
#[derive(Clone, Debug, Args)]
pub struct EtcdOptions {
    /// URLs of the etcd's members, separated by commas; either all https:// or all http://.
    #[arg(
        long,
        env = "TIDEGATE_HUB_ETCD_ENDPOINTS",
        value_name = "URL",
        value_delimiter = ','
    )]
    pub etcd_endpoints: Vec<String>,
    /// PEM file with the certificate authorities that https:// endpoints are verified with.
    #[arg(long, env = "TIDEGATE_HUB_ETCD_CA_FILE", value_name = "FILE")]
    pub etcd_ca_file: Option<PathBuf>,
    /// PEM file with the hub's certificate for etcd.
    #[arg(
        long,
        env = "TIDEGATE_HUB_ETCD_CERT_FILE",
        value_name = "FILE",
        requires = "etcd_key_file"
    )]
    pub etcd_cert_file: Option<PathBuf>,
    /// PEM file with the key of that certificate.
    #[arg(
        long,
        env = "TIDEGATE_HUB_ETCD_KEY_FILE",
        value_name = "FILE",
        requires = "etcd_cert_file"
    )]
    pub etcd_key_file: Option<PathBuf>,
    /// The user, where etcd's authentication is on; it needs to read and write keys under
    /// /tidegate/.
    #[arg(
        long,
        env = "TIDEGATE_HUB_ETCD_USER",
        value_name = "NAME",
        requires = "etcd_password_file"
    )]
    pub etcd_user: Option<String>,
    /// File with that user's password.
    #[arg(
        long,
        env = "TIDEGATE_HUB_ETCD_PASSWORD_FILE",
        value_name = "FILE",
        requires = "etcd_user"
    )]
    pub etcd_password_file: Option<PathBuf>,
}

/// A backend of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StoreKind {
    /// One file in the state directory, for one hub.
    Redb,
    /// An etcd of version 3.4 or later that nothing else uses.
    Etcd,
}

impl fmt::Display for StoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Redb => "redb",
            Self::Etcd => "etcd",
        })
    }
}

/// Options of `serve`.
#[derive(Clone, Debug, Args)]
pub struct ServeOptions {
    /// Where the hub keeps everything; made by `init`.
    #[arg(long, env = "TIDEGATE_HUB_STATE_DIR", value_name = "DIR")]
    pub state_dir: PathBuf,
    /// Address of the gRPC port for agents and people.
    #[arg(
        long,
        env = "TIDEGATE_HUB_LISTEN",
        value_name = "ADDR",
        default_value = "0.0.0.0:8443"
    )]
    pub listen: SocketAddr,
    /// Address of the plain port with /livez, /readyz and /metrics.
    #[arg(
        long,
        env = "TIDEGATE_HUB_HEALTH_LISTEN",
        value_name = "ADDR",
        default_value = "0.0.0.0:8080"
    )]
    pub health_listen: SocketAddr,
    /// How often each Git source is looked at, give or take 20 %.
    #[arg(long, env = "TIDEGATE_HUB_GIT_POLL_INTERVAL", value_name = "DURATION", default_value = "1m", value_parser = Span::parse)]
    pub git_poll_interval: Span,
    /// How Git sources are fetched.
    #[command(flatten)]
    pub git: GitOptions,
    /// How waves are measured.
    #[command(flatten)]
    pub analysis: AnalysisOptions,
    /// How often agents and hub say that they are there; three missed ones make evidence stale.
    #[arg(long, env = "TIDEGATE_HUB_HEARTBEAT_INTERVAL", value_name = "DURATION", default_value = "10s", value_parser = Span::parse)]
    pub heartbeat_interval: Span,
    /// How often content that nothing refers to any more is looked for; it goes when two looks in a
    /// row found it.
    #[arg(long, env = "TIDEGATE_HUB_BLOB_SWEEP_INTERVAL", value_name = "DURATION", default_value = "1h", value_parser = period)]
    pub blob_sweep_interval: Span,
    /// For tests: how far the hub's clock is from the wall clock, in a file that is looked at again
    /// and again. Certificates are dated by the wall clock all the same.
    #[arg(long, value_name = "FILE", hide = true)]
    pub test_clock_file: Option<PathBuf>,
    /// Let sets name file:// repositories, which the hub reads with its own rights.
    #[arg(long, env = "TIDEGATE_HUB_ALLOW_FILE_SOURCES")]
    pub allow_file_sources: bool,
    /// Where records are kept.
    #[command(flatten)]
    pub store: StoreOptions,
    /// How to log.
    #[command(flatten)]
    pub log: LogOptions,
    /// Where traces go.
    #[command(flatten)]
    pub otlp: OtlpOptions,
}

/// Where traces go.
#[derive(Clone, Debug, Args)]
pub struct OtlpOptions {
    /// OTLP receiver for traces, over gRPC, such as `http://localhost:4317`. Without it nothing is
    /// traced.
    #[arg(
        long = "otlp-endpoint",
        env = "TIDEGATE_HUB_OTLP_ENDPOINT",
        value_name = "URL"
    )]
    pub endpoint: Option<String>,
    /// File with headers for the receiver, one `name: value` a line.
    #[arg(
        long = "otlp-headers-file",
        env = "TIDEGATE_HUB_OTLP_HEADERS_FILE",
        value_name = "FILE"
    )]
    pub headers_file: Option<PathBuf>,
    /// PEM file with the certificate authorities that an https:// receiver is verified with; without
    /// it, the system's.
    #[arg(
        id = "otlp_ca_file",
        long = "otlp-ca-file",
        env = "TIDEGATE_HUB_OTLP_CA_FILE",
        value_name = "FILE"
    )]
    pub ca_file: Option<PathBuf>,
    /// Share of traces that is kept, from 0 to 1; agents follow the hub.
    #[arg(
        long = "otlp-sample-ratio",
        env = "TIDEGATE_HUB_OTLP_SAMPLE_RATIO",
        value_name = "RATIO",
        default_value_t = 1.0
    )]
    pub sample_ratio: f64,
}

/// How Git sources are fetched.
#[derive(Clone, Debug, Args)]
pub struct GitOptions {
    /// The longest time for one fetch of a Git source.
    #[arg(long = "git-timeout", env = "TIDEGATE_HUB_GIT_TIMEOUT", value_name = "DURATION", default_value = "5m", value_parser = period)]
    pub timeout: Span,
    /// Users and passwords for https:// sources: a YAML or JSON list of entries with host, username
    /// and password or passwordFile. Not open to everybody; read anew for each fetch.
    #[arg(
        long = "git-credentials-file",
        env = "TIDEGATE_HUB_GIT_CREDENTIALS_FILE",
        value_name = "FILE"
    )]
    pub credentials_file: Option<PathBuf>,
    /// PEM file with certificate authorities to trust for https:// sources, besides the system's.
    #[arg(
        long = "git-ca-file",
        env = "TIDEGATE_HUB_GIT_CA_FILE",
        value_name = "FILE"
    )]
    pub ca_file: Option<PathBuf>,
    /// Private key for ssh:// sources; without it, ssh's own keys and agent are used.
    #[arg(
        long = "git-ssh-key",
        env = "TIDEGATE_HUB_GIT_SSH_KEY",
        value_name = "FILE"
    )]
    pub ssh_key: Option<PathBuf>,
    /// Known hosts for ssh:// sources; without it, ssh's own files. An unknown host is refused.
    #[arg(
        long = "git-ssh-known-hosts",
        env = "TIDEGATE_HUB_GIT_SSH_KNOWN_HOSTS",
        value_name = "FILE"
    )]
    pub ssh_known_hosts: Option<PathBuf>,
}

/// How waves are measured.
#[derive(Clone, Debug, Args)]
pub struct AnalysisOptions {
    /// The only hosts that analyses, alarms and webhooks of waves may ask, separated by commas: host,
    /// host:port or *.domain. Without it every host is asked that somebody who may write a set names.
    #[arg(
        long = "analysis-hosts",
        env = "TIDEGATE_HUB_ANALYSIS_HOSTS",
        value_name = "HOST",
        value_delimiter = ','
    )]
    pub hosts: Vec<measure::Host>,
    /// PEM file with certificate authorities to trust for https:// providers, besides the system's.
    #[arg(
        id = "analysis_ca_file",
        long = "analysis-ca-file",
        env = "TIDEGATE_HUB_ANALYSIS_CA_FILE",
        value_name = "FILE"
    )]
    pub ca_file: Option<PathBuf>,
}

/// How to log.
#[derive(Clone, Debug, Args)]
pub struct LogOptions {
    /// What to log: a level, or a filter such as `info,tidegate_hub=debug`.
    #[arg(
        long = "log",
        env = "TIDEGATE_HUB_LOG",
        value_name = "FILTER",
        default_value = "info"
    )]
    pub filter: String,
    /// In which form.
    #[arg(
        long = "log-format",
        env = "TIDEGATE_HUB_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "text"
    )]
    pub format: tidegate_telemetry::Format,
}

/// A duration that something is repeated with.
fn period(text: &str) -> Result<Span, String> {
    let span = Span::parse(text).map_err(|error| error.to_string())?;
    if span.0 < Duration::from_secs(1) {
        return Err("it would never rest: at least 1s".to_owned());
    }
    Ok(span)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
