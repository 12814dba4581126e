//! `tidegate-hub init`: a new hub and its first administrator.
//!
//! Owns the order: authority, store, administrator, configuration file; an interrupted `init` is
//! told apart from a finished hub. Never touches a directory that holds a hub.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde::Serialize;
use tidegate_model::API_VERSION;
use tidegate_store::blob::Files;
use tokio_util::sync::CancellationToken;

use crate::{
    changes::{Changes, Decision},
    clock::Clock,
    config::{InitOptions, StoreKind},
    db::{self, Db},
    files::{self, IfThere},
    identity::{self, Authority, NewUser},
    layout::Layout,
    records::{FLEET, Role, UserRecord},
    storage,
};

/// How often, and how many times, it is looked whether the new store is closed.
const RELEASE_LOOK: Duration = Duration::from_millis(1);
const RELEASE_LOOKS: u32 = 5_000;

/// Why there is no new hub.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be written.
    #[error("failed to write {path}")]
    Write {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The administrator's configuration could not be written as YAML.
    #[error("failed to write the administrator's configuration: {0}")]
    Yaml(String),
    /// Certificates.
    #[error(transparent)]
    Identity(#[from] identity::Error),
    /// The store.
    #[error(transparent)]
    Storage(#[from] storage::Error),
    /// The blob store.
    #[error(transparent)]
    Blob(#[from] tidegate_store::blob::Error),
    /// The first records.
    #[error(transparent)]
    Db(#[from] db::Error),
}

/// The command line's configuration file, in the form that `tidegate` reads.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ClientConfig<'a> {
    api_version: &'static str,
    kind: &'static str,
    current_context: &'a str,
    contexts: Vec<ClientContext<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ClientContext<'a> {
    name: &'a str,
    server: &'a str,
    ca_data: &'a str,
    certificate_data: &'a str,
    key_data: &'a str,
}

/// Makes the hub.
pub async fn run(options: &InitOptions) -> Result<(), Error> {
    let layout = Layout::new(&options.state_dir);
    let write = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Write { path, source }
    };
    fs::create_dir_all(layout.root()).map_err(write(layout.root()))?;
    storage::check_new(&layout, &options.store).await?;
    let clock = Clock::default();
    let now = clock.now();
    let names = &options.names;
    let authority = Authority::create(&layout.identity(), &options.trust_domain, names, now)?;
    let admin = authority.new_user(&options.admin, now)?;
    write_config(options, &authority, &admin)?;
    // Last, because it is what tells a finished hub: whatever failed before can be done again.
    let store = storage::create(&layout, &options.store).await?;
    let blobs = Arc::new(Files::open(layout.blobs()).await?);
    let cancel = CancellationToken::new();
    let db = Db::open(
        store,
        blobs,
        clock.clone(),
        "init".to_owned(),
        cancel.clone(),
    )
    .await?;
    let mut changes = Changes::default();
    changes.create(&UserRecord {
        name: options.admin.clone(),
        role: Role::Admin,
        created_at: clock.now(),
        created_by: "init".to_owned(),
        groups: Vec::new(),
    });
    let subject = format!("user/{} role/admin", options.admin);
    changes.decide(Decision::by(
        "init",
        FLEET,
        "user.sign",
        subject,
        "first administrator".to_owned(),
    ));
    db.commit(changes).await?;
    storage::finish(&layout, &options.store)?;
    cancel.cancel();
    drop(db);
    released(&layout.store()).await;
    Ok(())
}

/// Waits until nobody has the store's file any more: a process that makes a hub may go on to run it,
/// and the store's own threads end a moment after its last user. redb locks its file as this does.
async fn released(path: &Path) {
    for _ in 0..RELEASE_LOOKS {
        let free = fs::File::open(path).map(|file| file.try_lock().is_ok());
        // An etcd leaves no file.
        if free.unwrap_or(true) {
            return;
        }
        tokio::time::sleep(RELEASE_LOOK).await;
    }
    tracing::warn!("the store is still open after the hub was made");
}

/// Says what was made and what comes next, on standard output.
pub fn tell(options: &InitOptions) {
    let (state, config) = (options.state_dir.display(), options.admin_config.display());
    let store = match options.store.store {
        StoreKind::Redb => String::new(),
        StoreKind::Etcd => {
            let endpoints = options.store.etcd.etcd_endpoints.join(",");
            format!(" --store etcd --etcd-endpoints {endpoints}")
        }
    };
    // Whoever closed standard output does not want to know.
    let _ = writeln!(
        io::stdout(),
        "made a hub in {state}, and {config} for {}\nrun it:  tidegate-hub serve --state-dir {state}{store}\nuse it:  export TIDEGATE_CONFIG={config}",
        options.admin
    );
}

fn write_config(
    options: &InitOptions,
    authority: &Authority,
    admin: &NewUser,
) -> Result<(), Error> {
    let config = ClientConfig {
        api_version: API_VERSION,
        kind: "Config",
        current_context: &options.admin,
        contexts: vec![ClientContext {
            name: &options.admin,
            server: &options.server,
            ca_data: authority.ca_pem(),
            certificate_data: &admin.certificate_pem,
            key_data: &admin.key_pem,
        }],
    };
    let text = serde_yaml::to_string(&config).map_err(|error| Error::Yaml(error.to_string()))?;
    let path = &options.admin_config;
    let written = files::write(path, text.as_bytes(), IfThere::Replace);
    written.map(drop).map_err(|source| Error::Write {
        path: path.clone(),
        source,
    })
}
