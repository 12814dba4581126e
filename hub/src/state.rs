//! The hub's view of its store: every record decoded, in key order, folded from watch events.
//!
//! Owns reading. Never writes and never decides: passes take it as a value, the API reads it.
//! Audit records are not kept here, only the ends of their chains.

mod touched;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
};

use tidegate_model::{
    cluster::Cluster,
    ids::{AppUid, ClusterUid, RunId, SetUid},
    report::Phase,
    run::MemberId,
    source::RepoRevision,
    strategy,
};

use self::touched::Touched;
use crate::{
    changes::Changes,
    records::{
        AppRecord, AuditHead, ClusterRecord, DenyRecord, EpochRecord, Error, HoldRecord,
        MemberRecord, PinRecord, Record, ReissueRecord, ReleaseRecord, ReportRecord,
        RestoredRecord, RunRecord, SetRecord, SourceRecord, TokenRecord, UserRecord,
        WavePlanRecord,
    },
};

/// A record and the store's revision of its last change.
#[derive(Clone, Debug)]
pub struct Row<R> {
    /// For the compare of a transaction.
    pub revision: u64,
    /// The record.
    pub record: Arc<R>,
}

/// All records of one kind by key.
#[derive(Clone, Debug)]
pub struct Table<R> {
    rows: BTreeMap<String, Row<R>>,
}

impl<R> Default for Table<R> {
    fn default() -> Self {
        Self {
            rows: BTreeMap::new(),
        }
    }
}

impl<R: Record> Table<R> {
    /// The record at this whole key.
    pub fn get(&self, key: &str) -> Option<&Row<R>> {
        self.rows.get(key)
    }

    /// The record at this path, the key after the kind.
    pub fn at(&self, path: &str) -> Option<&Row<R>> {
        self.get(&format!("/tidegate/v1/{}/{path}", R::KIND))
    }

    /// All records in key order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<R>> {
        self.rows.values().map(|row| &row.record)
    }

    /// All rows whose path (the key after the kind) begins with `path`.
    pub fn under<'a>(&'a self, path: &str) -> impl Iterator<Item = &'a Row<R>> + use<'a, R> {
        let prefix = format!("/tidegate/v1/{}/{path}", R::KIND);
        self.rows
            .range(prefix.clone()..)
            .take_while(move |(key, _)| key.starts_with(&prefix))
            .map(|(_, row)| row)
    }

    /// The record at this whole key.
    pub(crate) fn record(&self, key: &str) -> Option<Arc<R>> {
        self.get(key).map(|row| Arc::clone(&row.record))
    }

    /// The first row whose record fits.
    pub fn find(&self, fits: impl Fn(&R) -> bool) -> Option<&Row<R>> {
        self.rows.values().find(|row| fits(&row.record))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn apply(&mut self, key: &str, change: Option<(&[u8], u64)>) -> Result<(), Error> {
        match change {
            Some((bytes, revision)) => {
                let record = Arc::new(R::decode(key, bytes)?);
                self.rows.insert(key.to_owned(), Row { revision, record });
            }
            None => {
                self.rows.remove(key);
            }
        }
        Ok(())
    }
}

/// Everything the hub stores, decoded.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The store's revision up to which changes were folded in.
    pub revision: u64,
    /// The hub's term.
    pub epochs: Table<EpochRecord>,
    /// Registered clusters.
    pub clusters: Table<ClusterRecord>,
    /// Join tokens.
    pub tokens: Table<TokenRecord>,
    /// People.
    pub users: Table<UserRecord>,
    /// Sets.
    pub sets: Table<SetRecord>,
    /// Strategies that sets name.
    pub wave_plans: Table<WavePlanRecord>,
    /// Applications.
    pub apps: Table<AppRecord>,
    /// Last reports.
    pub reports: Table<ReportRecord>,
    /// Sources and their commits.
    pub sources: Table<SourceRecord>,
    /// Headers of releases.
    pub releases: Table<ReleaseRecord>,
    /// Headers of runs.
    pub runs: Table<RunRecord>,
    /// Members of runs.
    pub members: Table<MemberRecord>,
    /// Pins.
    pub pins: Table<PinRecord>,
    /// Denies.
    pub denies: Table<DenyRecord>,
    /// Holds.
    pub holds: Table<HoldRecord>,
    /// Applications whose last word came out of a backup.
    pub restored: Table<RestoredRecord>,
    /// Sets that need another release.
    pub reissues: Table<ReissueRecord>,
    /// Ends of the audit chains.
    pub audit_heads: Table<AuditHead>,
    index: Index,
    touched: Touched,
    /// Listed when it is first asked for after a change of a cluster.
    fleet: OnceLock<Arc<Vec<Cluster>>>,
    /// The same of sources.
    commits: OnceLock<Arc<Commits>>,
}

/// Where each source stands.
pub type Commits = BTreeMap<RepoRevision, Known>;

/// What is known of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The last commit that was fetched.
    pub commit: Option<String>,
    /// Why the last fetch failed.
    pub error: Option<String>,
}

/// Keys of what is asked for without its set, at every report and by every session.
#[derive(Clone, Debug, Default)]
struct Index {
    apps: BTreeMap<AppUid, String>,
    apps_in: BTreeMap<ClusterUid, BTreeSet<String>>,
    /// By project and name: one that is on its way out may have the name of another.
    apps_named: BTreeMap<String, BTreeSet<String>>,
    runs: BTreeMap<RunId, String>,
}

impl Index {
    /// Follows the application at `key` from what it was to what it is.
    fn app(&mut self, key: &str, before: Option<&AppRecord>, after: Option<&AppRecord>) {
        // What a run does to it changes none of that.
        if before.map(place) == after.map(place) {
            return;
        }
        if let Some(app) = before {
            self.apps.remove(&app.uid);
            remove(&mut self.apps_in, &app.app.cluster, key);
            remove(
                &mut self.apps_named,
                &named(&app.app.project, &app.app.name),
                key,
            );
        }
        if let Some(app) = after {
            self.apps.insert(app.uid, key.to_owned());
            let keys = self.apps_in.entry(app.app.cluster).or_default();
            keys.insert(key.to_owned());
            let name = named(&app.app.project, &app.app.name);
            let keys = self.apps_named.entry(name).or_default();
            keys.insert(key.to_owned());
        }
    }

    fn run(&mut self, key: &str, before: Option<&RunRecord>, after: Option<&RunRecord>) {
        if let Some(record) = before {
            self.runs.remove(&record.run.id);
        }
        if let Some(record) = after {
            self.runs.insert(record.run.id, key.to_owned());
        }
    }
}

/// What an application is asked for by.
fn place(record: &AppRecord) -> (AppUid, ClusterUid, &str, &str) {
    let app = &record.app;
    (record.uid, app.cluster, &app.project, &app.name)
}

fn named(project: &str, name: &str) -> String {
    format!("{project}/{name}")
}

fn remove<K: Ord>(all: &mut BTreeMap<K, BTreeSet<String>>, at: &K, key: &str) {
    if let Some(keys) = all.get_mut(at) {
        keys.remove(key);
        if keys.is_empty() {
            all.remove(at);
        }
    }
}

impl State {
    /// Folds in one change: the new value with its revision, or `None` for a deletion.
    pub fn apply(&mut self, key: &str, change: Option<(&[u8], u64)>) -> Result<(), Error> {
        let kind = key.split('/').nth(3).unwrap_or_default();
        if kind == SetRecord::KIND {
            let before = self.sets.record(key);
            self.sets.apply(key, change)?;
            match (self.sets.record(key), before) {
                (Some(set), _) => self.touched.set(set.uid),
                (None, Some(set)) => self.touched.forget(set.uid),
                (None, None) => {}
            }
            return Ok(());
        }
        self.touched.record(kind, key);
        match kind {
            EpochRecord::KIND => self.epochs.apply(key, change),
            ClusterRecord::KIND => {
                self.fleet.take();
                self.clusters.apply(key, change)
            }
            TokenRecord::KIND => self.tokens.apply(key, change),
            UserRecord::KIND => self.users.apply(key, change),
            WavePlanRecord::KIND => self.wave_plans.apply(key, change),
            AppRecord::KIND => {
                let before = self.apps.record(key);
                self.apps.apply(key, change)?;
                let after = self.apps.record(key);
                self.index.app(key, before.as_deref(), after.as_deref());
                Ok(())
            }
            ReportRecord::KIND => self.reports.apply(key, change),
            SourceRecord::KIND => {
                self.commits.take();
                self.sources.apply(key, change)
            }
            ReleaseRecord::KIND => self.releases.apply(key, change),
            RunRecord::KIND => {
                let before = self.runs.record(key);
                self.runs.apply(key, change)?;
                let after = self.runs.record(key);
                self.index.run(key, before.as_deref(), after.as_deref());
                Ok(())
            }
            MemberRecord::KIND => self.members.apply(key, change),
            PinRecord::KIND => self.pins.apply(key, change),
            DenyRecord::KIND => self.denies.apply(key, change),
            HoldRecord::KIND => self.holds.apply(key, change),
            RestoredRecord::KIND => self.restored.apply(key, change),
            ReissueRecord::KIND => self.reissues.apply(key, change),
            AuditHead::KIND => self.audit_heads.apply(key, change),
            // Audit records are read from the store when asked for; other kinds belong to a newer
            // version and are not ours to judge.
            _ => Ok(()),
        }
    }

    /// The view as it would be with these changes: a step of what is only tried out.
    pub fn with(mut self, changes: &Changes) -> Result<Self, Error> {
        self.revision += 1;
        for (key, value) in &changes.writes {
            let change = value.as_deref().map(|bytes| (bytes, self.revision));
            self.apply(key, change)?;
        }
        Ok(self)
    }

    /// Rises with every change of what a set depends on; says nothing of sessions and of time.
    pub fn version(&self, set: &SetRecord) -> u64 {
        self.version_of(set.uid)
    }

    /// The same of the set with this uid.
    pub fn version_of(&self, set: SetUid) -> u64 {
        self.touched.version(set)
    }

    /// The cluster whose agent hears of the record at this key. Of its reports it hears only of those
    /// that say that a tombstone was carried out: all others are what it said itself.
    pub fn cluster_at(&self, key: &str) -> Option<ClusterUid> {
        let of = |uid| self.app(uid).map(|app| app.app.cluster);
        match key.split('/').nth(3)? {
            ClusterRecord::KIND => Some(self.clusters.get(key)?.record.cluster.uid),
            AppRecord::KIND => Some(self.apps.get(key)?.record.app.cluster),
            ReportRecord::KIND => {
                let report = &self.reports.get(key)?.record.report;
                of(report.app).filter(|_| report.phase == Phase::Removed)
            }
            RestoredRecord::KIND => of(self.restored.get(key)?.record.app),
            _ => None,
        }
    }

    /// The cluster with this uid.
    pub fn cluster(&self, uid: ClusterUid) -> Option<&Row<ClusterRecord>> {
        self.clusters.at(&format!("_/{uid}"))
    }

    /// The cluster with this name.
    pub fn cluster_named(&self, name: &str) -> Option<&Arc<ClusterRecord>> {
        self.clusters
            .iter()
            .find(|record| record.cluster.name == name)
    }

    /// All clusters, by name: the order in which generators see them. The same list until one of
    /// them changes: every pass over every set asks for it and compares it with the last.
    pub fn fleet(&self) -> Arc<Vec<Cluster>> {
        let listed = || {
            let clusters = self.clusters.iter();
            let mut clusters: Vec<_> = clusters.map(|record| record.cluster.clone()).collect();
            clusters.sort_by(|a, b| a.name.cmp(&b.name));
            Arc::new(clusters)
        };
        Arc::clone(self.fleet.get_or_init(listed))
    }

    /// Where each source stands. The same list until one of them changes, for the same reason.
    pub fn commits(&self) -> Arc<Commits> {
        let known = |record: &Arc<SourceRecord>| {
            let (commit, error) = (record.commit.clone(), record.error.clone());
            (record.source.clone(), Known { commit, error })
        };
        let listed = || Arc::new(self.sources.iter().map(known).collect());
        Arc::clone(self.commits.get_or_init(listed))
    }

    /// The set of that name.
    pub fn set(&self, project: &str, name: &str) -> Option<&Row<SetRecord>> {
        self.sets.at(&format!("{project}/{name}"))
    }

    /// The wave plan of that name.
    pub fn wave_plan(&self, project: &str, name: &str) -> Option<&Row<WavePlanRecord>> {
        self.wave_plans.at(&format!("{project}/{name}"))
    }

    /// The sets that name a wave plan, in key order.
    pub fn sets_with<'a>(
        &'a self,
        project: &'a str,
        plan: &'a str,
    ) -> impl Iterator<Item = &'a Arc<SetRecord>> {
        self.sets.iter().filter(move |set| {
            set.project == project && set.document.spec.strategy.wave_plan == plan
        })
    }

    /// How releases of a set reach their members: its own strategy, or that of the wave plan that it
    /// names. One whose plan is gone names it still, and cannot be planned.
    pub fn strategy<'a>(&'a self, set: &'a SetRecord) -> &'a strategy::Strategy {
        let own = &set.document.spec.strategy;
        match self.wave_plan(&set.project, &own.wave_plan) {
            Some(plan) if !own.wave_plan.is_empty() => &plan.record.document.spec.strategy,
            _ => own,
        }
    }

    /// The set with this uid.
    pub fn set_by_uid(&self, uid: SetUid) -> Option<&Arc<SetRecord>> {
        self.sets.iter().find(|set| set.uid == uid)
    }

    /// Applications of a set.
    pub fn apps_of(&self, set: &SetRecord) -> impl Iterator<Item = &Row<AppRecord>> {
        self.apps.under(&format!("{}/{}/", set.project, set.uid))
    }

    /// Applications with a last word for this cluster.
    pub fn apps_in(&self, cluster: ClusterUid) -> impl Iterator<Item = &Arc<AppRecord>> {
        let keys = self.index.apps_in.get(&cluster).into_iter().flatten();
        keys.filter_map(|key| self.apps.get(key))
            .map(|row| &row.record)
            .filter(|app| app.assignment.is_some())
    }

    /// Applications of a project with this name: one, and those on their way out.
    pub fn apps_named(&self, project: &str, name: &str) -> impl Iterator<Item = &Arc<AppRecord>> {
        let keys = self.index.apps_named.get(&named(project, name));
        let keys = keys.into_iter().flatten();
        keys.filter_map(|key| self.apps.get(key))
            .map(|row| &row.record)
    }

    /// The application with this uid.
    pub fn app(&self, uid: AppUid) -> Option<&Arc<AppRecord>> {
        self.app_row(uid).map(|row| &row.record)
    }

    /// The row of the application with this uid.
    pub fn app_row(&self, uid: AppUid) -> Option<&Row<AppRecord>> {
        self.apps.get(self.index.apps.get(&uid)?)
    }

    /// The last report on an application.
    pub fn report_of(&self, app: &AppRecord) -> Option<&Row<ReportRecord>> {
        self.reports
            .at(&format!("{}/{}/{}", app.app.project, app.set, app.uid))
    }

    /// Releases of a set, oldest first.
    pub fn releases_of(&self, set: &SetRecord) -> impl Iterator<Item = &Row<ReleaseRecord>> {
        self.releases
            .under(&format!("{}/{}/", set.project, set.uid))
    }

    /// The release of a set with this number.
    pub fn release(&self, set: &SetRecord, number: u64) -> Option<&Row<ReleaseRecord>> {
        self.releases
            .at(&format!("{}/{}/{number:020}", set.project, set.uid))
    }

    /// Runs of a set, oldest first (their ids sort by time).
    pub fn runs_of(&self, set: &SetRecord) -> impl Iterator<Item = &Row<RunRecord>> {
        self.runs.under(&format!("{}/{}/", set.project, set.uid))
    }

    /// The run of a set that is not over.
    pub fn open_run(&self, set: &SetRecord) -> Option<&Row<RunRecord>> {
        self.runs_of(set)
            .find(|row| !row.record.run.state.is_terminal())
    }

    /// The run with this id.
    pub fn run(&self, id: RunId) -> Option<&Row<RunRecord>> {
        self.runs.get(self.index.runs.get(&id)?)
    }

    /// Members of a run.
    pub fn members_of(&self, run: &RunRecord) -> impl Iterator<Item = &Row<MemberRecord>> {
        self.members
            .under(&format!("{}/{}/{}/", run.project, run.run.set, run.run.id))
    }

    /// One member of a run.
    pub fn member(&self, run: &RunRecord, id: &MemberId) -> Option<&Row<MemberRecord>> {
        let path = MemberRecord::path_of(&run.project, run.run.set, run.run.id, id);
        self.members.at(&path)
    }

    /// Pins of a set.
    pub fn pins_of(&self, set: &SetRecord) -> impl Iterator<Item = &Row<PinRecord>> {
        self.pins.under(&format!("{}/{}/", set.project, set.uid))
    }

    /// Denies of a set.
    pub fn denies_of(&self, set: &SetRecord) -> impl Iterator<Item = &Row<DenyRecord>> {
        self.denies.under(&format!("{}/{}/", set.project, set.uid))
    }

    /// Holds of a set.
    pub fn holds_of(&self, set: &SetRecord) -> impl Iterator<Item = &Row<HoldRecord>> {
        self.holds.under(&format!("{}/{}/", set.project, set.uid))
    }

    /// What a restore left to be settled in a set.
    pub fn restored_of(&self, set: &SetRecord) -> impl Iterator<Item = &Row<RestoredRecord>> {
        self.restored
            .under(&format!("{}/{}/", set.project, set.uid))
    }

    /// What a restore left to be settled of an application.
    pub fn restored(&self, app: &AppRecord) -> Option<&Row<RestoredRecord>> {
        if self.restored.is_empty() {
            return None;
        }
        self.restored
            .at(&format!("{}/{}/{}", app.app.project, app.set, app.uid))
    }

    /// Whether a set needs another release, and why.
    pub fn reissue(&self, set: &SetRecord) -> Option<&Row<ReissueRecord>> {
        self.reissues.at(&format!("{}/{}", set.project, set.uid))
    }
}

#[cfg(test)]
mod tests;
