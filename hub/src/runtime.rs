//! The assembly of a running hub, and its orderly end.
//!
//! Owns which component gets what and in which order they begin and end: view of the store, poller,
//! controller, then the doors; on SIGTERM or SIGINT agents are asked to come back later, calls under
//! way finish, and only then the rest stops. Never decides anything else.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tidegate_store::{Store, blob::Files};
use tokio::{net::TcpListener, signal::unix, sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::{self, Clock},
    config::{AnalysisOptions, ServeOptions},
    controller::Controller,
    db::{self, Db},
    doors::Doors,
    events,
    evidence::Evidence,
    garbage,
    git::{self, Git},
    health,
    home::{self, Home},
    identity::{self, Authority, tls::ServerKey},
    layout::Layout,
    link::Sessions,
    measure::{self, Measurer, Provider},
    poller::Poller,
    settled::Settled,
    standby, storage,
};

/// How often the listener's certificate is looked at.
const RENEWAL_CHECK: Duration = Duration::from_hours(6);

/// Why the hub does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address cannot be listened on.
    #[error("failed to listen on {address}: is another process there? choose with {flag}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The flag that changes it.
        flag: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Signals cannot be received.
    #[error("failed to wait for signals")]
    Signals(#[source] io::Error),
    /// The clock of a test.
    #[error(transparent)]
    Clock(#[from] clock::Error),
    /// Certificates.
    #[error(transparent)]
    Identity(#[from] identity::Error),
    /// The store.
    #[error(transparent)]
    Storage(#[from] storage::Error),
    /// The store and the state directory are not of one hub.
    #[error(transparent)]
    Home(#[from] home::Error),
    /// Waiting for the leadership.
    #[error(transparent)]
    Standby(#[from] standby::Error),
    /// The leadership went to another hub, or may have.
    #[error(
        "failed to go on: this hub no longer leads, because its lease in etcd was not renewed in \
         time; start it again, it then stands by"
    )]
    LostLead,
    /// The blob store.
    #[error(transparent)]
    Blob(#[from] tidegate_store::blob::Error),
    /// The records.
    #[error(transparent)]
    Db(#[from] db::Error),
    /// The repositories.
    #[error(transparent)]
    Git(#[from] git::Error),
    /// The client that asks for samples.
    #[error(transparent)]
    Measure(#[from] measure::Error),
    /// The gRPC server.
    #[error("failed to serve")]
    Serve(#[from] tonic::transport::Error),
}

/// Runs the hub until a signal, or until it may no longer write.
pub async fn run(options: ServeOptions) -> Result<(), Error> {
    let cancel = CancellationToken::new();
    let signals = signals(cancel.clone()).map_err(Error::Signals)?;
    tokio::spawn(signals);
    serve(options, cancel).await
}

/// Cancels on the first SIGTERM or SIGINT.
fn signals(cancel: CancellationToken) -> io::Result<impl Future<Output = ()>> {
    let mut term = unix::signal(unix::SignalKind::terminate())?;
    let mut int = unix::signal(unix::SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = term.recv() => tracing::info!("SIGTERM: ending"),
            _ = int.recv() => tracing::info!("SIGINT: ending"),
        }
        cancel.cancel();
    })
}

/// Runs the hub until `cancel`.
///
/// On a store that several hubs may have it first waits until it leads, and steps down when it no
/// longer does.
pub async fn serve(options: ServeOptions, cancel: CancellationToken) -> Result<(), Error> {
    Box::pin(serve_on(options, None, cancel)).await
}

/// Like [`serve`], on a gRPC port that is bound already: a process that embeds the hub learns the
/// port before it runs. Without one, `options.listen` is bound when the hub leads.
///
/// # Errors
///
/// Those of [`serve`].
pub async fn serve_on(
    options: ServeOptions,
    listener: Option<TcpListener>,
    cancel: CancellationToken,
) -> Result<(), Error> {
    let layout = Layout::new(&options.state_dir);
    storage::check_made(&layout, &options.store)?;
    // What a flag can have wrong is found before a standby waits.
    let git = Git::new(git_options(&options, &layout))?;
    let provider = Provider::new(measure_options(&options))?;
    let clock = clock(&options)?;
    let authority = Authority::load(&layout.identity(), clock.wall())?;
    let holder = format!("hub/{}", clock.id());
    let ready = Ready {
        options,
        layout,
        clock,
        authority,
        git,
        provider,
        holder,
        listener,
    };
    let health = listen(ready.options.health_listen, "--health-listen").await?;
    let opened = storage::open(&ready.layout, &ready.options.store).await?;
    let home = || {
        home::check(
            &*opened.store,
            &ready.layout,
            &ready.authority,
            &ready.clock,
        )
    };
    let Some(etcd) = opened.shared.clone() else {
        let home = home().await?;
        return Box::pin(work(ready, home, opened.store, health, cancel)).await;
    };
    // Found before it waits, and looked at again when it leads: the first leader names it.
    home().await?;
    let leading = standby::lead(&etcd, &ready.holder, health, &cancel).await?;
    let Some((lead, health)) = leading else {
        return Ok(());
    };
    let home = home().await?;
    let (lost, ended) = (lead.lost().clone(), cancel.clone());
    let stepping_down = tokio::spawn(async move {
        lost.cancelled().await;
        ended.cancel();
    });
    let outcome = Box::pin(work(ready, home, opened.store, health, cancel)).await;
    stepping_down.abort();
    if lead.lost().is_cancelled() {
        return Err(Error::LostLead);
    }
    if let Err(error) = lead.resign().await {
        tracing::warn!(%error, "failed to hand the leadership over; it ends with its lease");
    }
    outcome
}

/// The wall clock, unless a test says otherwise.
fn clock(options: &ServeOptions) -> Result<Clock, clock::Error> {
    let Some(file) = &options.test_clock_file else {
        return Ok(Clock::default());
    };
    tracing::warn!(file = %file.display(), "the hub's clock is moved by a file, as a test wants it");
    Clock::shifted(file)
}

/// What a hub has before it leads.
struct Ready {
    options: ServeOptions,
    layout: Layout,
    clock: Clock,
    authority: Authority,
    git: Git,
    provider: Provider,
    holder: String,
    listener: Option<TcpListener>,
}

/// Takes the term and works until `cancel`.
async fn work(
    ready: Ready,
    home: Home,
    store: Arc<dyn Store>,
    health_listener: TcpListener,
    cancel: CancellationToken,
) -> Result<(), Error> {
    let Ready {
        options,
        layout,
        clock,
        authority,
        git,
        provider,
        holder,
        listener,
    } = ready;
    let listener = bound(listener, options.listen).await?;
    let authority = Arc::new(authority);
    let certificate = authority.server_certificate(&layout.identity(), clock.wall())?;
    let key = ServerKey::new(&authority, &certificate)?;
    // Components outlive the doors: what a last call writes is still followed and recorded.
    let inner = CancellationToken::new();
    // And the view outlives the components: one that commits while it is asked to end waits for it.
    let following = CancellationToken::new();
    let db = open(&layout, store, &clock, holder, following.clone()).await?;
    let _following = following.drop_guard();
    home::settle(&db, home).await?;
    let sessions = Sessions::new(clock.clone());
    let heartbeat = options.heartbeat_interval.0;
    let evidence = Evidence::new(sessions.clone(), clock, heartbeat);
    let measurer = Measurer::new(db.clone(), evidence.measured().clone(), provider);
    let (poller, handle) = Poller::new(db.clone(), git, options.git_poll_interval.0);
    let doors = Doors {
        db,
        evidence,
        sessions,
        poller: handle,
        settled: Settled::default(),
        authority,
        key,
        heartbeat,
    };
    let mut tasks = background(
        &doors,
        poller,
        health_listener,
        measurer,
        options.blob_sweep_interval.0,
        &inner,
        &cancel,
    );
    tasks.spawn(renew(
        doors.key.clone(),
        Arc::clone(&doors.authority),
        layout,
        inner.clone(),
    ));
    let mut outcome = Box::pin(doors.serve(listener, cancel)).await;
    inner.cancel();
    while let Some(task) = tasks.join_next().await {
        if let Ok(Err(error)) = task {
            outcome = Err(error.into());
        }
    }
    outcome
}

/// How repositories are fetched.
fn git_options(options: &ServeOptions, layout: &Layout) -> git::Options {
    let git = options.git.clone();
    git::Options {
        allow_file: options.allow_file_sources,
        credentials_file: git.credentials_file,
        ca_file: git.ca_file,
        ssh_key: git.ssh_key,
        ssh_known_hosts: git.ssh_known_hosts,
        timeout: git.timeout.0,
        ..git::Options::new(layout.repositories())
    }
}

/// Whom analyses may ask.
fn measure_options(options: &ServeOptions) -> measure::Options {
    let AnalysisOptions { hosts, ca_file } = options.analysis.clone();
    measure::Options { hosts, ca_file }
}

/// Opens the blobs and takes the term.
async fn open(
    layout: &Layout,
    store: Arc<dyn Store>,
    clock: &Clock,
    holder: String,
    cancel: CancellationToken,
) -> Result<Db, Error> {
    let blobs = Arc::new(Files::open(layout.blobs()).await?);
    let db = Db::open(store, blobs, clock.clone(), holder, cancel).await?;
    tracing::info!(epoch = %db.epoch(), "took the term");
    Ok(db)
}

/// Everything that works behind the doors, until `inner` is cancelled. A controller that may no
/// longer write cancels `cancel`: the hub must not go on as if it could.
fn background(
    doors: &Doors,
    poller: Poller,
    health_listener: TcpListener,
    measurer: Measurer,
    sweep_interval: Duration,
    inner: &CancellationToken,
    cancel: &CancellationToken,
) -> JoinSet<Result<(), db::Error>> {
    let (db, evidence) = (doors.db.clone(), doors.evidence.clone());
    let controller = Controller::new(
        db.clone(),
        evidence.clone(),
        doors.sessions.clone(),
        doors.poller.clone(),
        doors.settled.clone(),
    );
    let sweeper = garbage::Sweeper::new(db.clone(), controller.content(), sweep_interval);
    let mut tasks = JoinSet::new();
    tasks.spawn(measure(measurer, inner.clone()));
    let (control, ended) = (inner.clone(), cancel.clone());
    tasks.spawn(async move {
        let outcome = controller.run(control).await;
        ended.cancel();
        outcome
    });
    tasks.spawn(watchdog(db.failed(), inner.clone(), cancel.clone()));
    let (polling, sweeping) = (inner.clone(), inner.clone());
    tasks.spawn(async move {
        poller.run(polling).await;
        Ok(())
    });
    tasks.spawn(async move {
        sweeper.run(sweeping).await;
        Ok(())
    });
    let recording = events::record(db.clone(), &doors.sessions, inner.clone());
    tasks.spawn(async move {
        recording.await;
        Ok(())
    });
    let health = health::serve(health_listener, db, evidence, inner.clone());
    tasks.spawn(async move {
        let failed = |error| db::Error::Following(format!("the health port failed: {error}"));
        health.await.map_err(failed)
    });
    tasks
}

/// Cancels `cancel` when the view can no longer follow the store: what such a hub showed would be
/// old, and what it decided wrong.
async fn watchdog(
    mut failed: watch::Receiver<Option<String>>,
    inner: CancellationToken,
    cancel: CancellationToken,
) -> Result<(), db::Error> {
    let failure = failed.wait_for(Option::is_some);
    let why = match inner.run_until_cancelled(failure).await {
        Some(Ok(why)) => why.clone().unwrap_or_default(),
        Some(Err(_)) | None => return Ok(()),
    };
    cancel.cancel();
    Err(db::Error::Following(why))
}

/// Measures while the hub works.
async fn measure(measurer: Measurer, cancel: CancellationToken) -> Result<(), db::Error> {
    measurer.run(cancel).await;
    Ok(())
}

/// Renews the listener's certificate while the hub runs; the authority decides when it is time.
async fn renew(
    key: ServerKey,
    authority: Arc<Authority>,
    layout: Layout,
    cancel: CancellationToken,
) -> Result<(), db::Error> {
    let clock = Clock::default();
    loop {
        tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            () = tokio::time::sleep(RENEWAL_CHECK) => {}
        }
        let renewed = authority
            .server_certificate(&layout.identity(), clock.wall())
            .and_then(|certificate| key.replace(&certificate));
        if let Err(error) = renewed {
            tracing::error!(%error, "failed to renew the listener's certificate; trying again");
        }
    }
}

/// The gRPC port, bound now unless it is already.
async fn bound(listener: Option<TcpListener>, address: SocketAddr) -> Result<TcpListener, Error> {
    match listener {
        Some(listener) => Ok(listener),
        None => listen(address, "--listen").await,
    }
}

async fn listen(address: SocketAddr, flag: &'static str) -> Result<TcpListener, Error> {
    TcpListener::bind(address)
        .await
        .map_err(|source| Error::Listen {
            address,
            flag,
            source,
        })
}

#[cfg(test)]
mod tests;
