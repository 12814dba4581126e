//! One watch for each kind that some application uses, on objects that carry our label.
//!
//! Owns: streams, their restarts, and the reduction of each event to what a task needs; the object
//! itself is dropped at once, so memory grows with the number of objects, not with their size. A
//! task sees the latest of each object, never a queue. Never decides about drift.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use futures::StreamExt as _;
use kube::{
    Api, ResourceExt as _,
    api::DynamicObject,
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::Value;
use tidegate_model::{digest::Digest, ids::AppUid, names::LABEL_APP_ID, object::ObjectId};
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    clock,
    cluster::{Cluster, Kind},
    drift, fields,
    health::{self, Assessment, Context},
    metrics::Metrics,
    volumes,
};

/// How long a broken watch may be silent before its objects count as unknown.
const BLIND: Duration = Duration::from_secs(30);

/// What an event said about a live object.
#[derive(Clone, Debug)]
pub(crate) struct Observation {
    pub(crate) uid: String,
    /// `metadata.generation`, for kinds that have one.
    pub(crate) generation: Option<i64>,
    /// [`fields::fingerprint`].
    pub(crate) fingerprint: Digest,
    /// Names all its content but status: changes with any edit, whoever owns what was edited.
    pub(crate) content: Digest,
    /// Health at its own generation.
    pub(crate) assessment: Assessment,
    /// Whether it is being deleted.
    pub(crate) terminating: bool,
}

impl Observation {
    /// Reduces a live object.
    pub(crate) async fn of(cluster: &Cluster, live: &Value) -> Self {
        let context = Context {
            now: clock::wall(),
            applied_generation: None,
            wait_for_first_consumer: volumes::waits_for_consumer(cluster, live).await,
        };
        let metadata = |field: &str| {
            live.get("metadata")
                .and_then(|metadata| metadata.get(field))
        };
        Self {
            uid: metadata("uid")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
            generation: metadata("generation").and_then(Value::as_i64),
            fingerprint: fields::fingerprint(live),
            content: drift::content(live),
            assessment: health::assess(live, &context),
            terminating: metadata("deletionTimestamp").is_some(),
        }
    }
}

/// The latest about one object.
#[derive(Clone, Debug)]
pub(crate) enum Seen {
    /// It is there.
    Live(Observation),
    /// It is gone, or it lost our label: only a read can tell.
    Left,
}

/// Where the events for one application arrive.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    /// The objects it wants to hear of.
    interest: RwLock<Arc<BTreeSet<ObjectId>>>,
    seen: Mutex<BTreeMap<ObjectId, Seen>>,
    arrived: Notify,
}

impl Inbox {
    /// Waits for events, and takes them.
    pub(crate) async fn take(&self) -> BTreeMap<ObjectId, Seen> {
        loop {
            let seen =
                std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner));
            if !seen.is_empty() {
                return seen;
            }
            self.arrived.notified().await;
        }
    }

    fn interest(&self) -> Arc<BTreeSet<ObjectId>> {
        self.interest
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn put(&self, id: &ObjectId, seen: impl FnOnce() -> Seen) {
        if self.interest().contains(id) {
            let mut all = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            all.insert(id.clone(), seen());
            self.arrived.notify_one();
        }
    }
}

type KindKey = (String, String, String);

/// One running watch.
#[derive(Debug)]
struct Stream {
    users: BTreeSet<AppUid>,
    health: Arc<StreamHealth>,
    /// The latest of each object, for an application that joins later.
    latest: Arc<Mutex<BTreeMap<ObjectId, Observation>>>,
    _guard: DropGuard,
}

#[derive(Debug, Default)]
struct StreamHealth {
    broken_since: Mutex<Option<Instant>>,
}

/// All watches of the agent.
#[derive(Debug)]
pub(crate) struct WatchHub {
    cluster: Cluster,
    inboxes: Arc<RwLock<BTreeMap<AppUid, Arc<Inbox>>>>,
    streams: Mutex<BTreeMap<KindKey, Stream>>,
    metrics: Metrics,
    cancel: CancellationToken,
}

impl WatchHub {
    pub(crate) fn new(cluster: Cluster, metrics: Metrics, cancel: CancellationToken) -> Self {
        Self {
            cluster,
            metrics,
            inboxes: Arc::default(),
            streams: Mutex::default(),
            cancel,
        }
    }

    /// The inbox of an application.
    pub(crate) fn inbox(&self, app: AppUid) -> Arc<Inbox> {
        let mut inboxes = self.inboxes.write().unwrap_or_else(PoisonError::into_inner);
        inboxes.entry(app).or_default().clone()
    }

    /// Watches exactly these objects, of exactly these kinds, for an application.
    pub(crate) fn follow(&self, app: AppUid, interest: BTreeSet<ObjectId>, kinds: &[Kind]) {
        let inbox = self.inbox(app);
        *inbox
            .interest
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(interest);
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted: BTreeMap<KindKey, &Kind> = kinds
            .iter()
            .filter(|kind| kind.watchable)
            .map(|kind| (key(kind), kind))
            .collect();
        for (key, stream) in streams.iter_mut() {
            if !wanted.contains_key(key) {
                stream.users.remove(&app);
            }
        }
        streams.retain(|_, stream| !stream.users.is_empty());
        for (key, kind) in wanted {
            let stream = streams
                .entry(key)
                .or_insert_with(|| self.start(kind.clone()));
            if stream.users.insert(app) {
                let latest = stream.latest.lock().unwrap_or_else(PoisonError::into_inner);
                for (id, observation) in latest.iter() {
                    inbox.put(id, || Seen::Live(observation.clone()));
                }
            }
        }
    }

    /// Ends everything for an application.
    pub(crate) fn forget(&self, app: AppUid) {
        self.follow(app, BTreeSet::new(), &[]);
        self.inboxes
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&app);
    }

    /// A kind that cannot be watched at the moment, long enough that nobody knows its objects.
    pub(crate) fn blind(&self, app: AppUid) -> Option<String> {
        let streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock::monotonic();
        streams.iter().find_map(|((_, _, kind), stream)| {
            let broken = *stream
                .health
                .broken_since
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let long = broken.is_some_and(|since| now.saturating_duration_since(since) > BLIND);
            (long && stream.users.contains(&app)).then(|| kind.clone())
        })
    }

    fn start(&self, kind: Kind) -> Stream {
        let cancel = self.cancel.child_token();
        let health = Arc::new(StreamHealth::default());
        let latest = Arc::default();
        let follower = Follower {
            cluster: self.cluster.clone(),
            inboxes: self.inboxes.clone(),
            health: health.clone(),
            latest: Arc::clone(&latest),
            metrics: self.metrics.clone(),
            kind,
        };
        let guard = cancel.clone().drop_guard();
        tokio::spawn(async move { cancel.run_until_cancelled(Box::pin(follower.run())).await });
        Stream {
            users: BTreeSet::new(),
            health,
            latest,
            _guard: guard,
        }
    }
}

fn key(kind: &Kind) -> KindKey {
    let resource = &kind.resource;
    (
        resource.group.clone(),
        resource.version.clone(),
        resource.kind.clone(),
    )
}

/// The task behind one stream.
struct Follower {
    cluster: Cluster,
    kind: Kind,
    inboxes: Arc<RwLock<BTreeMap<AppUid, Arc<Inbox>>>>,
    health: Arc<StreamHealth>,
    latest: Arc<Mutex<BTreeMap<ObjectId, Observation>>>,
    metrics: Metrics,
}

impl Follower {
    async fn run(self) {
        let api: Api<DynamicObject> = Api::all_with(self.cluster.client(), &self.kind.resource);
        let config = watcher::Config::default().labels(LABEL_APP_ID);
        // The watcher itself lists anew after "410 Gone" and notices connections that went silent.
        let mut events = pin!(watcher(api, config).default_backoff());
        let mut listed = BTreeSet::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    self.set_broken(None);
                    self.handle(event, &mut listed).await;
                }
                Err(error) => {
                    tracing::warn!(kind = %self.kind.resource.kind, %error, "a watch broke and starts again");
                    self.metrics.watch_restarted();
                    self.set_broken(Some(clock::monotonic()));
                }
            }
        }
    }

    fn set_broken(&self, since: Option<Instant>) {
        let mut broken = self
            .health
            .broken_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *broken = since.map(|now| broken.unwrap_or(now));
    }

    async fn handle(&self, event: watcher::Event<DynamicObject>, listed: &mut BTreeSet<ObjectId>) {
        match event {
            watcher::Event::Init => listed.clear(),
            watcher::Event::InitApply(object) => {
                listed.insert(self.id(&object));
                self.live(object).await;
            }
            watcher::Event::InitDone => self.end_of_list(listed),
            watcher::Event::Apply(object) => self.live(object).await,
            watcher::Event::Delete(object) => self.left(&self.id(&object)),
        }
    }

    async fn live(&self, object: DynamicObject) {
        let id = self.id(&object);
        let Ok(mut value) = serde_json::to_value(&object) else {
            return;
        };
        if let Some(map) = value.as_object_mut() {
            // Items of a list do not repeat what they are.
            map.insert(
                "apiVersion".to_owned(),
                self.kind.resource.api_version.clone().into(),
            );
            map.insert("kind".to_owned(), self.kind.resource.kind.clone().into());
        }
        let observation = Observation::of(&self.cluster, &value).await;
        {
            let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
            latest.insert(id.clone(), observation.clone());
        }
        self.tell(&id, || Seen::Live(observation.clone()));
    }

    fn left(&self, id: &ObjectId) {
        self.latest
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(id);
        self.tell(id, || Seen::Left);
    }

    /// What a complete list does not show has left while nobody watched.
    fn end_of_list(&self, listed: &BTreeSet<ObjectId>) {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let gone: Vec<_> = latest
            .keys()
            .filter(|id| !listed.contains(*id))
            .cloned()
            .collect();
        drop(latest);
        for id in gone {
            self.left(&id);
        }
    }

    fn tell(&self, id: &ObjectId, seen: impl Fn() -> Seen) {
        let inboxes = self.inboxes.read().unwrap_or_else(PoisonError::into_inner);
        for inbox in inboxes.values() {
            inbox.put(id, &seen);
        }
    }

    fn id(&self, object: &DynamicObject) -> ObjectId {
        ObjectId {
            group: self.kind.resource.group.clone(),
            kind: self.kind.resource.kind.clone(),
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
        }
    }
}
