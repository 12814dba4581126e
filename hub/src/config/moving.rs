//! Options of `backup`, `restore` and `migrate`.
//!
//! Owns names and help texts. Never reads files.

use std::path::PathBuf;

use clap::Args;

use super::{EtcdOptions, StoreKind, StoreOptions};

const BACKUP_EXAMPLES: &str = "\
Examples:
  tidegate-hub backup --state-dir hub-state --to backups/          # a name is made from the time
  tidegate-hub backup --state-dir hub-state --to hub.tar.zst \\
    --store etcd --etcd-endpoints http://127.0.0.1:2379

On etcd the hub may run meanwhile. A redb file has one writer: stop the hub first; agents go on by
themselves.

Exit status: 0 when the backup is complete and on disk, 1 otherwise; then nothing is left of it.";

const RESTORE_EXAMPLES: &str = "\
Examples:
  tidegate-hub restore --from hub.tar.zst --state-dir hub-state
  tidegate-hub restore --from hub.tar.zst --state-dir hub-state \\
    --store etcd --etcd-endpoints http://127.0.0.1:2379

If it is interrupted, run it again with the same backup.

Exit status: 0 when the hub can be started, 1 otherwise.";

const MIGRATE_EXAMPLES: &str = "\
Examples:
  tidegate-hub migrate --state-dir hub-state --from redb --to etcd \\
    --etcd-endpoints http://127.0.0.1:2379
  tidegate-hub migrate --state-dir hub-state --from etcd --to redb \\
    --etcd-endpoints http://127.0.0.1:2379

If it is interrupted, run it again. The records in the old store stay there, but no hub starts on
them.

Exit status: 0 when the hub can be started on the new store, 1 otherwise.";

/// Options of `backup`.
#[derive(Clone, Debug, Args)]
#[command(after_help = BACKUP_EXAMPLES)]
pub struct BackupOptions {
    /// The hub's state directory.
    #[arg(long, env = "TIDEGATE_HUB_STATE_DIR", value_name = "DIR")]
    pub state_dir: PathBuf,
    /// The file to write, or a directory in which a file named after the time is made. A file that
    /// is there is never replaced.
    #[arg(long, value_name = "FILE|DIR")]
    pub to: PathBuf,
    /// Where records are kept.
    #[command(flatten)]
    pub store: StoreOptions,
}

/// Options of `restore`.
#[derive(Clone, Debug, Args)]
#[command(after_help = RESTORE_EXAMPLES)]
pub struct RestoreOptions {
    /// The backup.
    #[arg(long, value_name = "FILE")]
    pub from: PathBuf,
    /// Where the hub is to keep everything; empty, or not there.
    #[arg(long, env = "TIDEGATE_HUB_STATE_DIR", value_name = "DIR")]
    pub state_dir: PathBuf,
    /// The least term to take. Only where agents say that the restored hub lost its term, because
    /// this machine's clock is behind: give a number above the one that they name.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub term: u64,
    /// Where records are to be kept.
    #[command(flatten)]
    pub store: StoreOptions,
}

/// Options of `migrate`.
#[derive(Clone, Debug, Args)]
#[command(after_help = MIGRATE_EXAMPLES)]
pub struct MigrateOptions {
    /// The hub's state directory.
    #[arg(long, env = "TIDEGATE_HUB_STATE_DIR", value_name = "DIR")]
    pub state_dir: PathBuf,
    /// Where records are now.
    #[arg(long, value_name = "STORE", requires = "etcd_endpoints")]
    pub from: StoreKind,
    /// Where they are to be.
    #[arg(long, value_name = "STORE")]
    pub to: StoreKind,
    /// The etcd that is one of the two.
    #[command(flatten)]
    pub etcd: EtcdOptions,
}
