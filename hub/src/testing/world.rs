//! A set that is promoted by hand: a test makes its releases and speaks for its agents.
//!
//! Every transaction is committed to the store, so one beyond its limits fails a test.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tidegate_model::{
    audit::{Decided, Replay},
    deny::Deny,
    digest::Digest,
    health::Health,
    ids::ReleaseId,
    release::{EntryContent, ReleaseEntry, content_id},
    run::{Run, RunState},
};

use super::{Hub, app, bundle, cluster, cluster_uid, report, set};
use crate::{
    backend::Backend,
    link::{port::LinkBackend as _, testing::Agent},
    promote::{View, pass, wanted_release, with_denies},
    records::{AppRecord, ClusterRecord, MemberRecord, ReleaseRecord, SetRecord},
    state::{Row, State},
};

/// A hub with one set whose releases a test makes.
pub(crate) struct World {
    pub(crate) hub: Hub,
    pub(crate) entries: BTreeMap<Digest, Vec<ReleaseEntry>>,
    /// What any rollback denies.
    pub(crate) denied: BTreeSet<Deny>,
    pub(crate) agents: Vec<Agent>,
    /// Operations of the largest transaction.
    pub(crate) largest: usize,
}

impl World {
    /// `apps` applications in each of `clusters` clusters.
    pub(crate) async fn new(strategy: &Value, clusters: u128, apps: u128) -> Self {
        let hub = Hub::new().await;
        let set = set(1, "web", strategy);
        hub.create((1..=clusters).map(cluster)).await;
        let place = |n: u128| app(&set, n, (n - 1) / apps + 1);
        hub.create((1..=clusters * apps).map(place)).await;
        hub.create([set]).await;
        Self {
            hub,
            entries: BTreeMap::new(),
            denied: BTreeSet::new(),
            agents: Vec::new(),
            largest: 0,
        }
    }

    pub(crate) async fn restart(self) -> Self {
        let agents = Vec::new();
        let hub = self.hub.restart().await;
        Self {
            hub,
            agents,
            ..self
        }
    }

    pub(crate) fn set(&self) -> Row<SetRecord> {
        self.hub.db.read().set("default", "web").unwrap().clone()
    }

    pub(crate) fn run(&self) -> Run {
        let state = self.hub.db.read();
        let id = Self::set_of(&state).latest_run.unwrap();
        state.run(id).unwrap().record.run.clone()
    }

    pub(crate) fn set_of(state: &State) -> SetRecord {
        SetRecord::clone(&state.set("default", "web").unwrap().record)
    }

    pub(crate) fn members(&self) -> Vec<MemberRecord> {
        let state = self.hub.db.read();
        let run = self.run();
        let records = state.members.iter().filter(|member| member.run == run.id);
        records.map(|member| MemberRecord::clone(member)).collect()
    }

    pub(crate) fn apps(&self) -> Vec<AppRecord> {
        let state = self.hub.db.read();
        state.apps.iter().map(|app| AppRecord::clone(app)).collect()
    }

    /// A release that brings this content to these applications.
    pub(crate) async fn publish_to(&mut self, content: &str, apps: &[AppRecord]) {
        let entry = |app: &AppRecord| ReleaseEntry {
            app: app.uid,
            name: app.app.name.clone(),
            cluster: app.app.cluster,
            content: EntryContent::Bundle(bundle(content)),
            policy: app.app.policy.clone(),
            namespace: String::new(),
            prune_approved: false,
        };
        let entries: Vec<_> = apps.iter().map(entry).collect();
        let row = self.set();
        let record = SetRecord {
            last_release: row.record.last_release + 1,
            ..SetRecord::clone(&row.record)
        };
        let release = ReleaseRecord {
            project: record.project.clone(),
            id: ReleaseId(self.hub.clock.id()),
            set: record.uid,
            number: record.last_release,
            content: content_id(&entries),
            entries: Digest::of("entries", &json!([content, record.last_release])),
            sources: Vec::new(),
            set_version: 1,
            cause: "git".to_owned(),
            authors: Vec::new(),
            created_at: self.hub.clock.now(),
        };
        self.entries.insert(release.entries, entries);
        self.hub
            .write(|changes| {
                changes.create(&release);
                changes.update(&row, &record);
            })
            .await;
    }

    pub(crate) async fn publish(&mut self, content: &str) {
        let apps = self.apps();
        self.publish_to(content, &apps).await;
    }

    /// One pass as the controller makes it; says whether it changed anything.
    pub(crate) async fn pass(&mut self) -> bool {
        let wanted = self.wanted();
        self.pass_with(wanted).await
    }

    /// The entries that the next pass will need.
    pub(crate) fn wanted(&self) -> Option<Digest> {
        let state = self.hub.db.read();
        wanted_release(&state, state.set("default", "web").unwrap())
    }

    /// The same, where these are the entries that were read for it.
    pub(crate) async fn pass_with(&mut self, wanted: Option<Digest>) -> bool {
        let changes = {
            let state = self.hub.db.read();
            let set = state.set("default", "web").unwrap();
            let entries = wanted.map(|digest| self.entries[&digest].clone());
            let clock = self.hub.clock.clone();
            let view = View {
                state: &state,
                evidence: &self.hub.evidence,
                set,
                entries: &entries.unwrap_or_default(),
                release: wanted,
                epoch: self.hub.db.epoch(),
                now: clock.now(),
            };
            let pass = pass(&view, &mut || clock.id());
            let denied = if pass.deny.is_empty() {
                BTreeSet::new()
            } else {
                self.denied.clone()
            };
            with_denies(pass, &set.record, denied, &state)
        };
        self.largest = self.largest.max(changes.operations());
        let some = !changes.is_empty();
        self.hub.db.commit(changes).await.unwrap();
        some
    }

    /// Passes until nothing changes; says how many did. What was decided must then be what is held.
    pub(crate) async fn settle(&mut self) -> usize {
        for passes in 0..400 {
            if !self.pass().await {
                self.replays().await;
                return passes;
            }
        }
        panic!("the passes never come to rest");
    }

    /// Holds the runs to what the audit records say from the first one on (invariant 40).
    pub(crate) async fn replays(&self) {
        let mut replay = Replay::default();
        let records = self.hub.audit("default").await;
        for record in &records {
            replay.take(record);
        }
        let state = self.hub.db.read();
        for row in state.runs_of(&Self::set_of(&state)) {
            let members = state.members_of(&row.record);
            let members: Vec<_> = members.map(|row| row.record.member.clone()).collect();
            let held = Decided::of(&row.record.run, &members);
            let id = row.record.run.id;
            assert_eq!(replay.runs().get(&id), Some(&held), "run {id}");
            assert!(!replay.is_partial(id), "run {id}");
        }
    }

    /// Release 1 has gone through without cluster 2, which was silent.
    pub(crate) async fn in_debt() -> Self {
        let more = json!({"unreachable": {"grace": "1m", "then": "defer"}});
        let mut world = Self::new(&waves(&["edge"], &more), 2, 1).await;
        world.label(1, "edge").await;
        world.label(2, "edge").await;
        world.connect_only(&[1]);
        world.publish("a").await;
        world.settle().await;
        world.recover().await;
        world.recover().await;
        let run = world.run();
        assert_eq!((run.state, run.owes), (RunState::Succeeded, true));
        assert_eq!(world.running()["web-2"], None);
        world
    }

    /// The agents of these clusters have a session, and no others.
    pub(crate) fn connect_only(&mut self, clusters: &[u128]) {
        let connect = |n: &u128| Agent::connect(&self.hub.sessions, cluster_uid(*n));
        self.agents = clusters.iter().map(connect).collect();
    }

    /// Every agent opens a session, and says nothing.
    pub(crate) fn connect(&mut self) {
        let clusters: BTreeSet<_> = self.apps().iter().map(|app| app.app.cluster).collect();
        let connect = |cluster| Agent::connect(&self.hub.sessions, cluster);
        self.agents = clusters.into_iter().map(connect).collect();
    }

    /// Every agent is there and has carried out its last word, with this health.
    pub(crate) async fn report(&mut self, health: Health) {
        let backend = Backend::new(self.hub.db.clone());
        for app in self.apps().iter().filter(|app| app.assignment.is_some()) {
            backend
                .report(app.app.cluster, report(app, health))
                .await
                .unwrap();
        }
        if self.agents.is_empty() {
            self.connect();
        }
        self.agents.iter_mut().for_each(Agent::confirm);
        self.settle().await;
    }

    /// All agents report health, and it lasts.
    pub(crate) async fn recover(&mut self) {
        for _ in 0..3 {
            self.report(Health::Healthy).await;
            self.hub.clock.wind(jiff::SignedDuration::from_secs(60));
            self.agents.iter_mut().for_each(Agent::confirm);
            self.settle().await;
        }
    }

    /// The set's first release reaches everybody.
    pub(crate) async fn roll_out(&mut self, content: &str) {
        self.publish(content).await;
        self.settle().await;
        self.recover().await;
        assert_eq!(self.run().state, RunState::Succeeded, "{:?}", self.run());
    }

    /// Bundles that the applications are told to run.
    pub(crate) fn running(&self) -> BTreeMap<String, Option<Digest>> {
        let apps = self.apps().into_iter();
        apps.map(|app| (app.app.name, app.assignment.and_then(|last| last.bundle())))
            .collect()
    }

    pub(crate) async fn actions(&self) -> Vec<String> {
        let audit = self.hub.audit("default").await;
        audit.into_iter().map(|record| record.action).collect()
    }

    /// Whether every application is told to run this content.
    pub(crate) fn all_run(&self, content: &str) -> bool {
        self.running()
            .values()
            .all(|run| *run == Some(bundle(content)))
    }

    /// Gives cluster `n` the label `env`.
    pub(crate) async fn label(&self, n: u128, env: &str) {
        let row = self.hub.db.read().cluster(cluster_uid(n)).unwrap().clone();
        let mut record = ClusterRecord::clone(&row.record);
        record
            .cluster
            .labels
            .insert("env".to_owned(), env.to_owned());
        self.hub
            .write(|changes| changes.update(&row, &record))
            .await;
    }
}

/// Waves by the label `env`, all members at once, with this added to each.
pub(crate) fn waves(names: &[&str], more: &Value) -> Value {
    let wave = |name: &&str| {
        let mut wave = json!({"name": name, "maxConcurrency": "100%", "failureBudget": {"mode": "fast"},
            "select": {"clusters": {"matchLabels": {"env": name}}}});
        if let (Some(wave), Some(more)) = (wave.as_object_mut(), more.as_object()) {
            wave.extend(more.clone());
        }
        wave
    };
    json!({"type": "Waves", "waves": names.iter().map(wave).collect::<Vec<_>>()})
}
