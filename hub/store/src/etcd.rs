//! The store in an etcd cluster, for more than one hub.
//!
//! Owns the connection, and the history: every few minutes all but the last revisions are
//! compacted away, as the embedded store does with each commit, because an etcd that nobody
//! compacts grows until it refuses to write. The etcd is Tidegate's own: another program's writes
//! do no harm, but its history would be cut too. Keys are stored as they are. Never tries a
//! transaction again that may have been committed.
//!
//! `lead` is which hub may work, `wire` translates to etcd's messages and back, `watching` is the watch, `fault` says what went
//! wrong.

mod fault;
mod lead;
mod watching;
mod wire;

use std::{fmt, sync::Arc, time::Duration};

use etcd_client::{
    Certificate, Client, ConnectOptions, GetOptions, GetResponse, Identity, KvClient, TlsOptions,
};
use futures::{FutureExt as _, future::BoxFuture};
use tokio::{sync::watch, time};
use tokio_util::sync::{CancellationToken, DropGuard};

pub use self::{
    fault::Fault,
    lead::{LEADER, Lead},
};
use crate::{
    entry::{Entry, Page, Range},
    error::Error,
    key,
    store::{Changes, Store},
    txn::{Outcome, Txn},
};

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a silent connection is tried; etcd refuses more than one try in 5 s.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// How long a tried connection may stay silent.
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// How long before the next endpoint is tried.
const PAUSE: Duration = Duration::from_millis(50);
/// Entries asked for at once; a longer range is read in pieces of one revision.
const PIECE: usize = 256;
/// How often a range is begun anew because its revision was compacted meanwhile.
const RANGE_ATTEMPTS: usize = 3;

/// Where the etcd is, and how to speak to it.
#[derive(Clone)]
pub struct Options {
    /// URLs of its members, `http://…` or `https://…`.
    pub endpoints: Vec<String>,
    /// PEM certificates of the authorities that `https://` endpoints are verified with.
    pub ca_pem: Option<String>,
    /// PEM certificate and PEM key of this client.
    pub identity: Option<(String, String)>,
    /// User and password, where etcd's authentication is on.
    pub user: Option<(String, String)>,
    /// How long one call may take.
    pub timeout: Duration,
    /// How many revisions back a watch can start, at least.
    pub history_revisions: u64,
    /// How often older revisions are compacted away.
    pub compact_interval: Duration,
}

impl Options {
    /// Options for these endpoints, without TLS and user.
    pub fn new(endpoints: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            endpoints: endpoints.into_iter().map(Into::into).collect(),
            ca_pem: None,
            identity: None,
            user: None,
            timeout: Duration::from_secs(10),
            history_revisions: 1000,
            compact_interval: Duration::from_mins(5),
        }
    }

    fn connect_options(&self) -> Result<ConnectOptions, Fault> {
        let mut options = ConnectOptions::new()
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_keep_alive(PING_INTERVAL, PING_TIMEOUT)
            .with_keep_alive_while_idle(true)
            // A member that lost its cluster says so instead of answering from its past.
            .with_require_leader(true);
        if let Some((user, password)) = &self.user {
            // etcd forgets a token after five minutes; a call that it refuses for that was not done.
            options = options
                .with_user(user, password)
                .with_auto_token_refresh(true);
        }
        let wrong = |detail| Err(Fault::Options { detail });
        let https = self
            .endpoints
            .iter()
            .filter(|url| url.starts_with("https://"));
        match (https.count(), &self.ca_pem) {
            (0, None) if self.identity.is_none() => {}
            (0, _) => return wrong("certificates are for https:// endpoints; there is none"),
            (_, None) => return wrong("https:// endpoints need the authority's certificate"),
            (n, Some(_)) if n < self.endpoints.len() => {
                return wrong("either all endpoints are https:// or none is");
            }
            (_, Some(ca)) => {
                let mut tls = TlsOptions::new().ca_certificate(Certificate::from_pem(ca));
                if let Some((certificate, key)) = &self.identity {
                    tls = tls.identity(Identity::from_pem(certificate, key));
                }
                options = options.with_tls(tls);
            }
        }
        Ok(options)
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No key and no password.
        f.debug_struct("Options")
            .field("endpoints", &self.endpoints)
            .finish_non_exhaustive()
    }
}

/// A store in etcd. Dropping it ends its watches.
#[derive(Debug)]
pub struct Etcd {
    link: Arc<Link>,
    closed: CancellationToken,
    _close: DropGuard,
}

/// The connection, shared with watches.
struct Link {
    client: Client,
    options: Options,
    /// The highest revision that a caller was told and that a watch may not come to by itself,
    /// because nothing under its prefix changed: watches ask etcd how far they are.
    told: watch::Sender<u64>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.options.fmt(f)
    }
}

impl Etcd {
    /// Connects and reads once, so that a wrong address or password is found at the start.
    ///
    /// # Errors
    /// [`Error::Etcd`].
    pub async fn open(options: Options) -> Result<Self, Error> {
        let connect = options.connect_options()?;
        let connecting = Client::connect(&options.endpoints, Some(connect));
        let client = match time::timeout(options.timeout, connecting).await {
            Ok(Ok(client)) => client,
            Ok(Err(error)) => return Err(options.fault("connect", &error).into()),
            Err(_) => return Err(options.silence("connect").into()),
        };
        let link = Arc::new(Link {
            client,
            options,
            told: watch::Sender::new(0),
        });
        link.revision().await?;
        let closed = CancellationToken::new();
        tokio::spawn(keep_short(Arc::clone(&link), closed.clone()));
        Ok(Self {
            link,
            closed: closed.clone(),
            _close: closed.drop_guard(),
        })
    }

    /// Compacts all but the last [`Options::history_revisions`] revisions away. Done every
    /// [`Options::compact_interval`] as well; two hubs that do it do no harm.
    ///
    /// # Errors
    /// [`Error::Etcd`].
    pub async fn compact(&self) -> Result<(), Error> {
        self.link.compact().await
    }
}

async fn keep_short(link: Arc<Link>, closed: CancellationToken) {
    let pause = link.options.compact_interval;
    while closed
        .run_until_cancelled(time::sleep(pause))
        .await
        .is_some()
    {
        if let Err(error) = link.compact().await {
            tracing::warn!(%error, "failed to compact the store's history; trying again in {pause:?}");
        }
    }
}

impl Link {
    fn kv(&self) -> KvClient {
        // A value is as large as a transaction may be, and there are several in an answer.
        self.client
            .kv_client()
            .max_decoding_message_size(usize::MAX)
    }

    /// Makes a call within the time that one may take. Where no connection was made nothing was
    /// sent, so the next endpoint is tried; where the token was too old nothing was done, so a new
    /// one is taken.
    async fn call<T, Answer>(
        &self,
        action: &'static str,
        call: impl Fn(KvClient) -> Answer,
    ) -> Result<T, Fault>
    where
        Answer: Future<Output = Result<T, etcd_client::Error>>,
    {
        let calling = async {
            let mut left = 2 * self.options.endpoints.len();
            loop {
                let fault = match call(self.kv()).await {
                    Ok(answer) => return Ok(answer),
                    Err(error) => self.options.fault(action, &error),
                };
                left -= 1;
                match fault {
                    _ if left == 0 => return Err(fault),
                    Fault::Unreachable { .. } => time::sleep(PAUSE).await,
                    Fault::Stale { .. } => self.renew_token(action).await?,
                    _ => return Err(fault),
                }
            }
        };
        time::timeout(self.options.timeout, calling)
            .await
            .unwrap_or_else(|_| Err(self.options.silence(action)))
    }

    /// Takes a new token; the client does so by itself only where etcd has forgotten the old one.
    async fn renew_token(&self, action: &'static str) -> Result<(), Fault> {
        let renewed = self.client.refresh_token().await;
        renewed.map_err(|error| self.options.fault(action, &error))
    }

    /// Waits for one call no longer than one may take.
    async fn within<T>(
        &self,
        action: &'static str,
        calling: impl Future<Output = Result<T, etcd_client::Error>>,
    ) -> Result<T, Fault> {
        match time::timeout(self.options.timeout, calling).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.options.fault(action, &error)),
            Err(_) => Err(self.options.silence(action)),
        }
    }

    async fn revision(&self) -> Result<u64, Error> {
        let answer = self
            .call("read the revision", |mut kv| async move {
                let only = GetOptions::new().with_count_only();
                kv.get(key::ROOT, Some(only)).await
            })
            .await?;
        Ok(wire::header_revision(answer.header()))
    }

    /// Has watches find out that they are at `revision`.
    fn tell(&self, revision: u64) {
        self.told.send_if_modified(|told| {
            let higher = revision > *told;
            *told = revision.max(*told);
            higher
        });
    }

    async fn compact(&self) -> Result<(), Error> {
        let oldest = self
            .revision()
            .await?
            .saturating_sub(self.options.history_revisions);
        if oldest == 0 {
            return Ok(());
        }
        let compacted = self
            .call("compact the history", |mut kv| async move {
                kv.compact(wire::to_etcd(oldest), None).await
            })
            .await;
        match compacted {
            // Another hub did it, or etcd by itself.
            Ok(_) | Err(Fault::Compacted) => Ok(()),
            Err(fault) => Err(fault.into()),
        }
    }

    /// The entry, as of a revision of etcd's counting; 0 is now.
    async fn get(&self, key: &str, revision: i64) -> Result<Option<Entry>, Fault> {
        let answer = self
            .call("read", |mut kv| async move {
                let options = GetOptions::new().with_revision(revision);
                kv.get(key, Some(options)).await
            })
            .await?;
        answer.kvs().first().map(wire::entry).transpose()
    }

    /// At most `count` entries from `start` on and before `end`, as of `revision`.
    async fn piece(
        &self,
        start: &[u8],
        end: &[u8],
        count: usize,
        revision: i64,
    ) -> Result<GetResponse, Fault> {
        let options = GetOptions::new().with_revision(revision);
        let options = if count == 0 || start >= end {
            options.with_count_only()
        } else {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            options.with_range(end).with_limit(count)
        };
        self.call("list", |mut kv| {
            let (start, options) = (start.to_vec(), options.clone());
            async move { kv.get(start, Some(options)).await }
        })
        .await
    }

    async fn range(&self, range: &Range) -> Result<Page, Fault> {
        let end = wire::prefix_end(&range.prefix);
        let mut start = wire::start(range);
        let mut entries = Vec::new();
        let mut pinned = 0;
        loop {
            let left = range.limit.map(|limit| limit - entries.len());
            let piece = left.unwrap_or(PIECE).min(PIECE);
            let answer = self.piece(&start, &end, piece, pinned).await?;
            if pinned == 0 {
                pinned = answer
                    .header()
                    .map_or(0, etcd_client::ResponseHeader::revision);
            }
            for found in answer.kvs() {
                entries.push(wire::entry(found)?);
            }
            let more = answer.more();
            if !more || left.is_some_and(|left| left <= piece) {
                let last = entries.last().map(|entry: &Entry| entry.key.clone());
                return Ok(Page {
                    next: last.filter(|_| more),
                    entries,
                    revision: wire::from_etcd(pinned),
                });
            }
            if let Some(last) = entries.last() {
                start = wire::behind(&last.key);
            }
        }
    }

    async fn transact(&self, txn: &Txn) -> Result<Outcome, Error> {
        let request = wire::request(txn);
        let answer = self
            .call("commit", |mut kv| {
                let request = request.clone();
                async move { kv.txn(request).await }
            })
            .await?;
        let at = answer
            .header()
            .map_or(0, etcd_client::ResponseHeader::revision);
        if answer.succeeded() {
            let revision = wire::from_etcd(at);
            if !wire::has_changed(&answer) {
                self.tell(revision);
            }
            return Ok(Outcome::Committed { revision });
        }
        let mut conflict = wire::conflict(txn, &answer)?;
        if let Some(current) = &mut conflict.current {
            // The value as it was then. Where that is compacted, what is there now is as good.
            conflict.current = match self.get(&current.key, at).await {
                Err(Fault::Compacted) => self.get(&current.key, 0).await?,
                found => found?,
            };
        }
        Ok(Outcome::Conflict(conflict))
    }
}

impl Store for Etcd {
    fn revision(&self) -> BoxFuture<'_, Result<u64, Error>> {
        async {
            let revision = self.link.revision().await?;
            self.link.tell(revision);
            Ok(revision)
        }
        .boxed()
    }

    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, Error>> {
        async move {
            key::check(key)?;
            Ok(self.link.get(key, 0).await?)
        }
        .boxed()
    }

    fn range(&self, range: Range) -> BoxFuture<'_, Result<Page, Error>> {
        async move {
            key::check_prefix(&range.prefix)?;
            for _ in 1..RANGE_ATTEMPTS {
                match self.link.range(&range).await {
                    Err(Fault::Compacted) => {}
                    page => return Ok(page?),
                }
            }
            Ok(self.link.range(&range).await?)
        }
        .boxed()
    }

    fn transact(&self, txn: Txn) -> BoxFuture<'_, Result<Outcome, Error>> {
        async move {
            txn.check()?;
            self.link.transact(&txn).await
        }
        .boxed()
    }

    fn watch(&self, prefix: &str, after: u64) -> Changes {
        watching::watch(&self.link, &self.closed, prefix, after)
    }
}
