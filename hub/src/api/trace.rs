//! From an object in a cluster to the commit that brought it.
//!
//! Owns the way back: object, application, release, commit, run. Looks in what the cluster is told
//! to run, never into the cluster, and changes nothing.

mod object;

use tidegate_model::{
    assignment::{Assignment, Desired},
    bundle::BundleEntry,
    digest::Digest,
    object::ObjectId,
    release::SourceCommit,
    run::Run,
    source::Source,
};
use tidegate_proto::v1 as wire;
use tidegate_store::Range;
use tokio::task::spawn_blocking;
use tonic::Status;

use self::object::Asked;
use super::{FleetApi, convert, list};
use crate::{
    garbage::keep,
    git,
    preview::Previewer,
    records::{AppRecord, AuditRecord, Record as _, ReleaseRecord, SetRecord},
    state::State,
};

/// The most applications that are told of.
const TOLD: usize = 20;
/// The most names that somebody may have meant.
const NEAR: usize = 5;
/// How many audit records are looked through for when an agent was told.
const RECORDS: u64 = 5_000;
/// Records that are read at a time.
const PAGE: u64 = 500;

/// An application that brings the object.
struct Found {
    app: AppRecord,
    entry: BundleEntry,
}

impl FleetApi {
    /// Every application whose last word to this cluster holds such an object.
    pub(super) async fn trace(
        &self,
        request: &wire::GetTraceRequest,
    ) -> Result<wire::GetTraceResponse, Status> {
        if request.kind.is_empty() || request.name.is_empty() {
            return Err(Status::invalid_argument(
                "name a kind and an object, such as deployment/web",
            ));
        }
        let _turn = self.previews.acquire().await;
        let asked = Asked::new(&request.kind, &request.name, &request.namespace);
        let apps = self.apps_of_cluster(request)?;
        let previewer = self.previewer();
        let mut found = Vec::new();
        let mut near: Vec<(u32, String)> = Vec::new();
        for app in apps {
            let Some((bundle, namespace)) = content(&app) else {
                continue;
            };
            for entry in previewer.bundle(bundle).await?.objects() {
                if asked.is(&entry.key.id, &namespace) {
                    let (app, entry) = (app.clone(), entry.clone());
                    found.push(Found { app, entry });
                } else {
                    let name = format!("{} of application {}", entry.key.id, app.app.name);
                    near.push((asked.nearness(&entry.key.id), name));
                }
            }
        }
        if found.is_empty() {
            return Err(nothing(request, near));
        }
        let more = convert::count(found.len().saturating_sub(TOLD));
        let mut items = Vec::new();
        for one in found.into_iter().take(TOLD) {
            items.push(self.one_trace(&previewer, one).await?);
        }
        Ok(wire::GetTraceResponse { items, more })
    }

    fn apps_of_cluster(&self, request: &wire::GetTraceRequest) -> Result<Vec<AppRecord>, Status> {
        let state = self.db.read();
        let cluster = state.cluster_named(&request.cluster).ok_or_else(|| {
            Status::not_found(format!(
                "no cluster {:?}; `tidegate get clusters` lists them",
                request.cluster
            ))
        })?;
        let apps = state.apps_in(cluster.cluster.uid);
        let apps = apps.filter(|app| list::wanted(&request.project, &app.app.project));
        Ok(apps.map(|app| AppRecord::clone(app)).collect())
    }

    async fn one_trace(&self, previewer: &Previewer, found: Found) -> Result<wire::Trace, Status> {
        let Found { app, entry } = found;
        let state = self.db.read().clone();
        let set = state.set_by_uid(app.set);
        let releases = match set {
            Some(set) => history(&state, set, &app, previewer, &entry).await?,
            None => History::default(),
        };
        let mut trace = told(&state, &app, &entry.key.id);
        let assigned_at = self.assigned_at(&app).await?;
        let verdict = self.evidence.of(&state, &app);
        trace.assigned_at_ms = assigned_at;
        trace.synced = verdict.synced;
        trace.health = convert::health(verdict.health).into();
        trace.since_may_be_older = releases.may_be_older;
        if let Some(release) = &releases.running {
            let commit = commit_of(release, &app.app.source);
            if let Some(commit) = &commit {
                trace.place = self.place(&app.app.source, &commit.commit, &entry).await;
            }
            trace.release = Some(self.release_told(release, commit).await);
        }
        if let Some(since) = &releases.since {
            let commit = commit_of(since, &app.app.source);
            trace.since = Some(self.release_told(since, commit).await);
        }
        Ok(trace)
    }

    async fn release_told(
        &self,
        release: &ReleaseRecord,
        commit: Option<SourceCommit>,
    ) -> wire::TracedRelease {
        let commit = match commit {
            Some(commit) => Some(self.commit_told(commit).await),
            None => None,
        };
        wire::TracedRelease {
            number: release.number,
            created_at_ms: convert::millis(Some(release.created_at)),
            cause: release.cause.clone(),
            commit,
        }
    }

    async fn commit_told(&self, commit: SourceCommit) -> wire::Commit {
        let SourceCommit { source, commit } = commit;
        let mut told = wire::Commit {
            repo_url: source.repo_url.clone(),
            id: commit.clone(),
            ..wire::Commit::default()
        };
        let signature = |signature: git::Signature| wire::Signature {
            name: signature.name,
            email: signature.email,
            at_ms: convert::millis(signature.at),
        };
        match self.poller.git().commit(&source.repo_url, &commit).await {
            Ok(info) => {
                told.author = Some(signature(info.author));
                told.committer = Some(signature(info.committer));
                told.subject = info.subject;
            }
            Err(error) => told.error = error.to_string(),
        }
        told
    }

    /// File and line of an object; nothing where the source renders to something else by now.
    async fn place(&self, source: &Source, commit: &str, entry: &BundleEntry) -> String {
        let (git, source, commit) = (self.poller.git().clone(), source.clone(), commit.to_owned());
        let (id, digest) = (entry.key.id.clone(), entry.digest);
        let find = move || {
            let tree = git.tree(&source.repo_url, &commit).ok()?;
            let limits = tidegate_render::Limits::default();
            let rendered = tidegate_render::render(&tree, &source, &limits).ok()?;
            let place = rendered.places.get(&id)?;
            rendered
                .objects
                .contains_key(&digest)
                .then(|| place.to_string())
        };
        spawn_blocking(find)
            .await
            .ok()
            .flatten()
            .unwrap_or_default()
    }

    /// When the agent was told what it is told now, from the audit chain; 0 if that is further back
    /// than is looked.
    async fn assigned_at(&self, app: &AppRecord) -> Result<i64, Status> {
        let project = &app.app.project;
        let chain = format!("/tidegate/v1/{}/{project}/", AuditRecord::KIND);
        let last = {
            let state = self.db.read();
            let head = state.audit_heads.find(|head| head.project == *project);
            head.map_or(0, |head| head.record.sequence)
        };
        let subject = format!(" application/{}", app.app.name);
        let digest = app.assignment.as_ref().map(Assignment::digest);
        let bundle = app.assignment.as_ref().and_then(Assignment::bundle);
        let after = [digest, bundle].map(|digest| digest.map(|digest| digest.to_string()));
        let mut end = last;
        while end > last.saturating_sub(RECORDS) {
            let start = end.saturating_sub(PAGE);
            let range = Range::prefix(chain.clone()).after(format!("{chain}{start:020}"));
            let limit = usize::try_from(end - start).unwrap_or(usize::MAX);
            let page = self.db.store().range(range.limit(limit)).await;
            let page = page.map_err(|error| Status::unavailable(error.to_string()))?;
            for entry in page.entries.iter().rev() {
                let record = AuditRecord::decode(&entry.key, &entry.value)
                    .map_err(|error| Status::data_loss(error.to_string()))?;
                let told = ["run.assign", "run.revert"].contains(&record.action.as_str());
                let this = after.iter().flatten().any(|after| *after == record.after);
                if told && this && record.subject.ends_with(&subject) {
                    return Ok(convert::millis(Some(record.at)));
                }
            }
            end = start;
        }
        Ok(0)
    }
}

/// What an application is told to run, and the namespace of objects that name none.
fn content(app: &AppRecord) -> Option<(Digest, String)> {
    match &app.assignment.as_ref()?.desired {
        Desired::Run {
            bundle, namespace, ..
        } => Some((*bundle, namespace.clone())),
        Desired::Tombstone { .. } => None,
    }
}

/// What the records say without looking any further.
fn told(state: &State, app: &AppRecord, id: &ObjectId) -> wire::Trace {
    let run = app.assignment.as_ref().and_then(|last| match last.desired {
        Desired::Run { run, .. } => state.run(run),
        Desired::Tombstone { .. } => None,
    });
    let run = run.map(|row| &row.record.run);
    let pins = format!("{}/{}/{}", app.app.project, app.set, app.uid);
    wire::Trace {
        object: Some(convert::object(id)),
        cluster: app.app.cluster_name.clone(),
        project: app.app.project.clone(),
        set: app.app.set.clone(),
        application: app.app.name.clone(),
        repo_url: app.app.source.repo_url.clone(),
        revision: app.app.source.target_revision.clone(),
        path: app.app.source.path.clone(),
        generation: app.generation.0,
        run_id: run.map(|run| run.id.to_string()).unwrap_or_default(),
        run_state: run
            .map(|run| convert::run_state(run.state).to_owned())
            .unwrap_or_default(),
        wave: run
            .and_then(|run| wave_of(state, run, app))
            .unwrap_or_default(),
        report_at_ms: convert::millis(state.report_of(app).map(|row| row.record.received_at)),
        pinned: state.pins.at(&pins).is_some(),
        ..wire::Trace::default()
    }
}

/// The wave of a run in which an application is.
fn wave_of(state: &State, run: &Run, app: &AppRecord) -> Option<String> {
    let record = &state.run(run.id)?.record;
    let mut members = state.members_of(record);
    let member = members.find(|row| row.record.member.apps.contains_key(&app.uid))?;
    let wave = usize::try_from(member.record.member.id.wave).ok()?;
    run.plan.waves.get(wave).map(|wave| wave.name.clone())
}

/// The commit that a release took a source at.
fn commit_of(release: &ReleaseRecord, source: &Source) -> Option<SourceCommit> {
    let followed = source.repo_revision();
    let mut commits = release.sources.iter();
    commits.find(|commit| commit.source == followed).cloned()
}

/// The releases that brought an object.
#[derive(Default)]
struct History {
    running: Option<ReleaseRecord>,
    since: Option<ReleaseRecord>,
    may_be_older: bool,
}

/// Goes back from the release that runs to the first since which the object is what it is.
async fn history(
    state: &State,
    set: &SetRecord,
    app: &AppRecord,
    previewer: &Previewer,
    entry: &BundleEntry,
) -> Result<History, Status> {
    let mut history = History::default();
    let mut number = app.release;
    while let Some(row) = state.release(set, number) {
        let release = &row.record;
        history
            .running
            .get_or_insert_with(|| ReleaseRecord::clone(release));
        if !keep::keeps_release(state, set, number) {
            history.may_be_older = true;
            break;
        }
        let entries = previewer.entries(release.entries).await?;
        let mine = entries.into_iter().find(|known| known.app == app.uid);
        let bundle = match mine.and_then(|mine| mine.content.bundle()) {
            Some(digest) => previewer.bundle(digest).await?,
            None => break,
        };
        if !bundle.objects().contains(entry) {
            break;
        }
        history.since = Some(ReleaseRecord::clone(release));
        let Some(before) = number.checked_sub(1).filter(|before| *before > 0) else {
            break;
        };
        number = before;
    }
    Ok(history)
}

/// Nobody brings such an object: what was meant, perhaps.
fn nothing(request: &wire::GetTraceRequest, mut near: Vec<(u32, String)>) -> Status {
    near.retain(|(nearness, _)| *nearness > 0);
    near.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let near: Vec<_> = near.into_iter().take(NEAR).map(|(_, name)| name).collect();
    let place = match request.namespace.as_str() {
        "" => request.cluster.clone(),
        namespace => format!("{} in namespace {namespace}", request.cluster),
    };
    let advice = if near.is_empty() {
        "it may have been made in the cluster by hand or by a controller".to_owned()
    } else {
        format!("near it: {}", near.join("; "))
    };
    Status::not_found(format!(
        "no application brings {}/{} to cluster {place}; {advice}",
        request.kind, request.name
    ))
}
