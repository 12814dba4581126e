//! What the command line asks for, done, and what it says on standard output when it is done.
//!
//! Never does the work itself.

use std::{
    error::Error,
    io::{self, Write as _},
};

use crate::{
    backup,
    config::{
        BackupOptions, Command, EtcdOptions, MigrateOptions, RestoreOptions, ServeOptions,
        StoreKind,
    },
    init, migrate, restore, runtime, telemetry,
};

type Outcome = Result<(), Box<dyn Error>>;

/// Does what a command says.
pub async fn run(command: Command) -> Outcome {
    match command {
        Command::Init(options) => {
            init::run(&options).await?;
            init::tell(&options);
            Ok(())
        }
        Command::Serve(options) => serve(options).await,
        Command::Backup(options) => backup(&options).await,
        Command::Restore(options) => restore(&options).await,
        Command::Migrate(options) => migrate(&options).await,
    }
}

async fn serve(options: ServeOptions) -> Outcome {
    let telemetry = telemetry::start(&options)?;
    let ended = runtime::run(options).await;
    telemetry.end().await;
    Ok(ended?)
}

/// Makes a backup.
async fn backup(options: &BackupOptions) -> Outcome {
    let made = backup::run(options).await?;
    say(&format!(
        "wrote {}: {} records at revision {}, {} blobs, and the hub's identity\nthe authority's \
         key is in it: keep it like a password",
        made.path.display(),
        made.records,
        made.revision,
        made.blobs
    ));
    Ok(())
}

/// Restores a hub.
async fn restore(options: &RestoreOptions) -> Outcome {
    let made = restore::run(options).await?;
    let state = options.state_dir.display();
    say(&format!(
        "restored {} records and {} blobs into {state}; the hub's term is {}\nrun it:  \
         tidegate-hub serve --state-dir {state}{}\nthen look at people, clusters and sets: what \
         was changed after the backup is as it was before",
        made.records,
        made.blobs,
        made.term,
        flags(options.store.store, &options.store.etcd)
    ));
    Ok(())
}

/// Moves records.
async fn migrate(options: &MigrateOptions) -> Outcome {
    let records = migrate::run(options).await?;
    let state = options.state_dir.display();
    say(&format!(
        "moved {records} records from {} to {}\nrun it:  tidegate-hub serve --state-dir {state}{}",
        options.from,
        options.to,
        flags(options.to, &options.etcd)
    ));
    Ok(())
}

fn flags(store: StoreKind, etcd: &EtcdOptions) -> String {
    match store {
        StoreKind::Redb => String::new(),
        StoreKind::Etcd => {
            let endpoints = etcd.etcd_endpoints.join(",");
            format!(" --store etcd --etcd-endpoints {endpoints}")
        }
    }
}

fn say(text: &str) {
    // Whoever closed standard output does not want to know.
    let _ = writeln!(io::stdout(), "{text}");
}
