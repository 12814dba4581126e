//! Why an application is in its state.
//!
//! Pure over the view and the live sessions. Gathers what others know into one answer, from the
//! cluster up to Git: link, agent, objects, source, pins and holds, run. Each reason says what
//! clears it. What a run waits for is `tidegate_waves::explain`'s to say.

use tidegate_model::{
    deny::PinRelease,
    object::ObjectId,
    report::{Phase, Report},
    run::{Member, MemberState},
};
use tidegate_proto::v1 as wire;
use tonic::Status;

use super::{FleetApi, convert, project_or_default};
use crate::{
    evidence::Evidence,
    records::{AppRecord, HoldKind, RunRecord, SetRecord},
    rejection,
    state::State,
};

/// The most reasons of an answer.
const MOST: usize = 50;

impl FleetApi {
    /// Everything that is in the way of an application.
    pub(super) fn why(
        &self,
        request: &wire::ExplainApplicationRequest,
    ) -> Result<wire::ExplainApplicationResponse, Status> {
        let state = self.db.read();
        let app = find_app(&state, &request.project, &request.name)?;
        let set = state.set_by_uid(app.set).map(AsRef::as_ref);
        let run = set
            .and_then(|set| set.latest_run)
            .and_then(|id| state.run(id));
        let run = run.map(|row| &*row.record);
        let member = run.and_then(|run| member_of(&state, run, app));
        let mut why = Why {
            state: &state,
            evidence: &self.evidence,
            app,
            report: state.report_of(app).map(|row| &row.record.report),
            reasons: Vec::new(),
        };
        why.cluster();
        why.agent();
        why.objects();
        if let Some(set) = set {
            why.source(set);
            why.stops(set);
        }
        if let (Some(set), Some(run)) = (set, run) {
            let now = self.db.clock().now();
            let blocking =
                crate::promote::explain(&state, &self.evidence, run, self.db.epoch(), now);
            why.run(set, run, member, blocking);
        }
        let mut reasons = why.reasons;
        let more = convert::count(reasons.len().saturating_sub(MOST));
        reasons.truncate(MOST);
        Ok(wire::ExplainApplicationResponse {
            application: Some(convert::application(&state, &self.evidence, app)),
            latest_release: set.map_or(0, |set| set.last_release),
            run_id: run.map(|run| run.run.id.to_string()).unwrap_or_default(),
            run_state: run
                .map(|run| convert::run_state(run.run.state).to_owned())
                .unwrap_or_default(),
            wave: run
                .zip(member)
                .map(|(run, member)| wave(run, member))
                .unwrap_or_default(),
            member_state: member
                .map(|member| convert::member_state(member.state).to_owned())
                .unwrap_or_default(),
            reasons,
            more,
        })
    }
}

/// The application of that name, which is unique in its project.
pub(super) fn find_app<'a>(
    state: &'a State,
    project: &str,
    name: &str,
) -> Result<&'a AppRecord, Status> {
    let project = project_or_default(project);
    let app = state.apps_named(project, name).next();
    app.map(AsRef::as_ref).ok_or_else(|| {
        Status::not_found(format!(
            "no application {name:?} in project {project}; `tidegate get applications` lists them"
        ))
    })
}

fn member_of<'a>(state: &'a State, run: &RunRecord, app: &AppRecord) -> Option<&'a Member> {
    let mut members = state.members_of(run).map(|row| &row.record.member);
    members.find(|member| member.apps.contains_key(&app.uid))
}

fn wave(run: &RunRecord, member: &Member) -> String {
    let index = usize::try_from(member.id.wave).unwrap_or(usize::MAX);
    let wave = run.run.plan.waves.get(index);
    wave.map(|wave| wave.name.clone()).unwrap_or_default()
}

/// Collects reasons.
struct Why<'a> {
    state: &'a State,
    evidence: &'a Evidence,
    app: &'a AppRecord,
    report: Option<&'a Report>,
    reasons: Vec<wire::Blocking>,
}

impl Why<'_> {
    fn say(
        &mut self,
        code: &str,
        message: String,
        clears: impl Into<String>,
    ) -> &mut wire::Blocking {
        self.reasons.push(wire::Blocking {
            code: code.to_owned(),
            message,
            clears: clears.into(),
            ..wire::Blocking::default()
        });
        let last = self.reasons.len() - 1;
        &mut self.reasons[last]
    }

    /// The way to its cluster.
    fn cluster(&mut self) {
        let (uid, name) = (self.app.app.cluster, self.app.app.cluster_name.clone());
        let live = self.evidence.session(uid);
        let joined = self.state.cluster(uid).is_some_and(|row| row.record.joined);
        let said = if !joined {
            let message = format!("cluster {name} never joined: no agent speaks for it");
            let clears = format!("`tidegate cluster join-token {name}` and an agent that has it");
            self.say("NotJoined", message, clears)
        } else if !live.connected {
            let message = format!("cluster {name} is not connected: nothing is known of it now");
            self.say("Disconnected", message, "its agent's return")
        } else if !self.evidence.is_fresh(uid) {
            let message =
                format!("the last heartbeat of cluster {name} did not confirm its reports");
            self.say("NotConfirmed", message, "its next heartbeat or report")
        } else {
            return;
        };
        said.cluster = name;
        said.since_ms = convert::millis(live.last_seen);
    }

    /// What its agent took and how far it got.
    fn agent(&mut self) {
        let Some(assignment) = &self.app.assignment else {
            let message = "it was never assigned to its cluster".to_owned();
            self.say("NotAssigned", message, "a run that reaches its wave");
            return;
        };
        if self.app.vanished {
            let message = "its row is gone: its agent is told to remove it".to_owned();
            self.say("Removing", message, "its agent's report that it is removed");
        }
        if let Some(rejected) = rejection::current(self.app, self.report) {
            let (message, at) = (rejection::problem(rejected).message, rejected.at);
            let clears = "what the agent asks for, or other content; it is offered again and again";
            self.say("Rejected", message, clears).since_ms = convert::millis(Some(at));
            return;
        }
        let told = (assignment.generation, assignment.digest());
        let message = match self.report {
            None => format!(
                "its agent has said nothing of it yet (told generation {})",
                told.0.0
            ),
            Some(report) if (report.generation, report.digest) != told => format!(
                "its agent speaks of generation {}, and was told generation {}",
                report.generation.0, told.0.0
            ),
            Some(report) if !matches!(report.phase, Phase::Applied | Phase::Removed) => format!(
                "its agent has not brought generation {} through: {:?}",
                told.0.0, report.phase
            ),
            Some(_) => return,
        };
        self.say("NotApplied", message, "its agent's next pass");
    }

    /// What its agent says of the objects.
    fn objects(&mut self) {
        let Some(report) = self.report else { return };
        for problem in &report.problems {
            let message = about(problem.object.as_ref(), &problem.message);
            let clears = "other content, or whatever the object waits for in the cluster";
            self.say("ObjectProblem", message, clears);
        }
        for drift in report.drift.iter().filter(|drift| !drift.healed) {
            let fields = match drift.fields.as_slice() {
                [] => "it is missing".to_owned(),
                fields => format!("changed in the cluster: {}", fields.join(", ")),
            };
            let message = about(Some(&drift.object), &fields);
            self.say(
                "Drift",
                message,
                "healing, if its policy says so; or `tidegate sync`",
            );
        }
        if let Some(held) = &report.held_prune {
            let message = format!(
                "its agent holds {} deletions back: {}",
                held.count, held.reason
            );
            let clears = "an approval of that content, or the objects back in the source";
            self.say("PruneHeld", message, clears);
        }
    }

    /// Where its content comes from.
    fn source(&mut self, set: &SetRecord) {
        let source = self.app.app.source.repo_revision();
        let record = self
            .state
            .sources
            .iter()
            .find(|record| record.source == source);
        if let Some((record, error)) =
            record.and_then(|record| Some((record, record.error.clone()?)))
        {
            let at = record.checked_at;
            let message = format!("its source cannot be fetched: {error}");
            let clears = "a fetch that succeeds; until then it stays at the last commit";
            self.say("SourceError", message, clears).since_ms = convert::millis(Some(at));
        }
        let own = format!("application {}", self.app.app.name);
        let mentions = |problem: &&String| {
            let rest = problem.strip_prefix(&own);
            // Problems of others do not concern it; those of the whole set do.
            rest.map_or(!problem.starts_with("application "), |rest| {
                rest.starts_with([':', ' '])
            })
        };
        for problem in set.problems.iter().filter(mentions) {
            self.say(
                "SetProblem",
                problem.clone(),
                "a commit or a document without it",
            );
        }
        if set.deleting {
            let message = format!("set {} is being deleted", set.name);
            self.say("Removing", message, "the end of it");
        }
    }

    /// What keeps new content away.
    fn stops(&mut self, set: &SetRecord) {
        let (app, name) = (self.app, &self.app.app.name);
        let key = format!("{}/{}/{}", app.app.project, app.set, app.uid);
        if let Some(row) = self.state.pins.at(&key) {
            let pin = &row.record.pin;
            let opens = match pin.release {
                PinRelease::Converged => "Git at the pinned content again, or ",
                PinRelease::Changed => "content in which nothing denied is left, or ",
                PinRelease::Manual => "",
            };
            let message = format!("pinned by {}: {}", pin.actor, pin.reason);
            let clears = format!("{opens}`tidegate unpin {} --app {name}`", set.name);
            let at = pin.created_at;
            self.say("Pinned", message, clears).since_ms = convert::millis(Some(at));
        }
        let denies = self.state.denies_of(set).count();
        for row in self
            .state
            .holds_of(set)
            .filter(|row| row.record.approved_by.is_none())
        {
            let hold = &row.record;
            let code = match hold.kind {
                HoldKind::DeniedContent => "Denied",
                _ => "Held",
            };
            let clears = if hold.approvable {
                format!("`tidegate hold approve {}`, or other content", hold.id)
            } else {
                format!("other content, or `tidegate unpin {}`", set.name)
            };
            let message = match (hold.kind, denies) {
                (HoldKind::DeniedContent, denies) => {
                    format!("{} ({denies} denies in the set)", hold.message)
                }
                _ => hold.message.clone(),
            };
            let message = format!("the set's next release waits: {message}");
            let at = hold.since;
            self.say(code, message, clears).since_ms = convert::millis(Some(at));
        }
    }

    /// The run that brings, or brought, the set's latest release.
    fn run(
        &mut self,
        set: &SetRecord,
        run: &RunRecord,
        member: Option<&Member>,
        blocking: Vec<wire::Blocking>,
    ) {
        let behind = self.app.release < set.last_release && !self.app.vanished;
        if run.run.state.is_terminal() {
            self.ended(run, member, behind);
            return;
        }
        let Some(member) = member else {
            if behind {
                let message = format!("it is not in run {}, which is open", run.run.id);
                self.say(
                    "WaitsForTurn",
                    message,
                    "the end of that run, and the next one",
                );
            }
            return;
        };
        let (mine, own) = (wave(run, member), member.cluster_name.clone());
        if member.state == MemberState::Queued {
            let message = format!(
                "it waits for its turn in wave {mine} of run {} ({})",
                run.run.id,
                convert::run_state(run.run.state)
            );
            let said = self.say(
                "WaitsForTurn",
                message,
                "what stands in the run's way, below",
            );
            said.wave = mine;
            said.cluster = own;
            self.reasons.extend(blocking);
            return;
        }
        // What other clusters wait for is in the way only of those behind them.
        let concerns =
            |blocking: &wire::Blocking| blocking.cluster.is_empty() || blocking.cluster == own;
        self.reasons.extend(blocking.into_iter().filter(concerns));
    }

    fn ended(&mut self, run: &RunRecord, member: Option<&Member>, behind: bool) {
        let at = convert::millis(run.run.finished_at);
        let state = convert::run_state(run.run.state);
        let cause = member
            .and_then(|member| member.cause.as_ref())
            .or(run.run.cause.as_ref());
        if run.run.owes && member.is_some_and(|it| it.state == MemberState::Deferred) {
            let release = run.run.release_number;
            let message = format!(
                "run {} went on without its cluster; it gets release {release} before anything newer",
                run.run.id
            );
            let clears = "its agent's return, and health at that release";
            self.say("Deferred", message, clears).since_ms = at;
            return;
        }
        let failed = member.is_some_and(|member| {
            matches!(
                member.state,
                MemberState::Failed | MemberState::TimedOut | MemberState::Skipped
            )
        });
        if behind || failed {
            let why = cause.map_or_else(String::new, |cause| format!(": {}", cause.message));
            let message = format!("run {} ended as {state}{why}", run.run.id);
            let clears = "a new commit, or `tidegate unpin` where it was rolled back";
            self.say("RunEnded", message, clears).since_ms = at;
        }
    }
}

fn about(object: Option<&ObjectId>, message: &str) -> String {
    match object {
        Some(id) => format!("{id}: {message}"),
        None => message.to_owned(),
    }
}
