//! Documents in: read, checked whole, written all or none.
//!
//! Every problem of every file is told at once, each with its file, line and field. Never expands
//! Git generators here: what they yield is the controller's business and shows as problems of the
//! set.

use std::collections::BTreeSet;

use tidegate_model::{
    application_set::ApplicationSet,
    ids::SetUid,
    manifest::{self, Document, Limits},
    source::RepoRevision,
    strategy::Strategy,
    wave_plan::WavePlan,
    written::Written,
};
use tidegate_proto::v1 as wire;
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt as _};

use super::{FleetApi, plans};
use crate::{
    changes::{Changes, Decision},
    records::SetRecord,
    state::State,
};

/// A document that passed the checks.
pub(super) struct Checked {
    place: String,
    /// Where its strategy is.
    strategy: String,
    written: Written,
}

impl Checked {
    /// Kind, project and name.
    fn name(&self) -> (&'static str, String, String) {
        match &self.written {
            Written::Set(set) => {
                let project = set.spec.template.spec.project.clone();
                ("set", project, set.metadata.name.clone())
            }
            Written::Plan(plan) => {
                let project = plan.spec.project.clone();
                ("wave plan", project, plan.metadata.name.clone())
            }
        }
    }

    /// The wave plan that it is.
    fn plan(&self) -> Option<&WavePlan> {
        match &self.written {
            Written::Plan(plan) => Some(plan),
            Written::Set(_) => None,
        }
    }

    /// Whether it is an `ApplicationSet`.
    pub(super) fn is_set(&self) -> bool {
        self.plan().is_none()
    }
}

/// Collects what is wrong, with places.
#[derive(Default)]
struct Problems(Vec<(String, String)>);

impl Problems {
    fn note(&mut self, place: impl Into<String>, problem: impl Into<String>) {
        self.0.push((place.into(), problem.into()));
    }

    fn into_result(self) -> Result<(), Status> {
        if self.0.is_empty() {
            return Ok(());
        }
        let lines: Vec<_> = self
            .0
            .iter()
            .map(|(place, problem)| format!("{place}: {problem}"))
            .collect();
        let mut details = ErrorDetails::new();
        for (place, problem) in self.0 {
            details.add_bad_request_violation(place, problem);
        }
        let message = format!("nothing was written:\n{}", lines.join("\n"));
        Err(Status::with_error_details(
            tonic::Code::InvalidArgument,
            message,
            details,
        ))
    }
}

impl FleetApi {
    pub(super) async fn apply_documents(
        &self,
        actor: &str,
        request: &wire::ApplyRequest,
    ) -> Result<wire::ApplyResponse, Status> {
        let checked = self.check(&request.files)?;
        let objects = self
            .write(|state| {
                let mut changes = Changes::default();
                let mut objects = Vec::new();
                for item in &checked {
                    objects.push(self.put(state, actor, item, &mut changes)?);
                }
                if request.dry_run {
                    changes = Changes::default();
                }
                Ok((objects, changes))
            })
            .await?;
        Ok(wire::ApplyResponse { objects })
    }

    pub(super) fn check(&self, files: &[wire::SourceFile]) -> Result<Vec<Checked>, Status> {
        let mut problems = Problems::default();
        let mut checked = Vec::new();
        let mut seen = BTreeSet::new();
        for file in files {
            let documents = match manifest::read(&file.content, &file.name, &Limits::default()) {
                Ok(documents) => documents,
                Err(error) => {
                    problems.note(error.place.to_string(), error.problem.to_string());
                    continue;
                }
            };
            if documents.is_empty() {
                problems.note(file.name.clone(), "the file holds no document");
            }
            for document in documents {
                if let Some(item) = self.check_document(&file.name, &document, &mut problems) {
                    let name = item.name();
                    if !seen.insert(name.clone()) {
                        let problem = format!("{} {} is there twice", name.0, name.2);
                        problems.note(item.place.clone(), problem);
                    }
                    checked.push(item);
                }
            }
        }
        if files.is_empty() {
            problems.note("request", "it holds no file");
        }
        // Sets may name a plan that comes with them.
        checked.sort_by_key(Checked::is_set);
        check_plans(&self.db.read(), &checked, &mut problems);
        problems.into_result().map(|()| checked)
    }

    fn check_document(
        &self,
        file: &str,
        document: &Document,
        problems: &mut Problems,
    ) -> Option<Checked> {
        let place = format!("{file}:{}", document.line);
        let written = match Written::from_document(document, file) {
            Ok(written) => written,
            Err(errors) => {
                for error in errors {
                    let message = match error.field.as_str() {
                        "" => error.message,
                        field => format!("{field}: {}", error.message),
                    };
                    problems.note(format!("{file}:{}", error.line), message);
                }
                return None;
            }
        };
        let mut fine = true;
        let strategy = format!("{file}:{}", document.line_of("/spec/strategy"));
        let (own, sources) = match &written {
            Written::Set(set) => (&set.spec.strategy, sources(set)),
            Written::Plan(plan) => (&plan.spec.strategy, BTreeSet::new()),
        };
        if let Err(error) = tidegate_waves::validate(own) {
            fine = false;
            problems.note(strategy.clone(), format!("spec.strategy: {error}"));
        }
        for source in sources {
            if let Err(error) = self.poller.check(&source) {
                fine = false;
                problems.note(place.clone(), error.to_string());
            }
        }
        fine.then_some(Checked {
            place,
            strategy,
            written,
        })
    }

    /// Writes a document into `changes`.
    pub(super) fn put(
        &self,
        state: &State,
        actor: &str,
        item: &Checked,
        changes: &mut Changes,
    ) -> Result<wire::AppliedObject, Status> {
        match &item.written {
            Written::Set(set) => self.put_set(state, actor, set, changes),
            Written::Plan(plan) => Ok(plans::put(state, actor, plan, changes)),
        }
    }

    fn put_set(
        &self,
        state: &State,
        actor: &str,
        set: &ApplicationSet,
        changes: &mut Changes,
    ) -> Result<wire::AppliedObject, Status> {
        let name = &set.metadata.name;
        let project = &set.spec.template.spec.project;
        let known = state.set(project, name);
        let applied = |outcome: wire::ApplyOutcome| wire::AppliedObject {
            kind: "ApplicationSet".to_owned(),
            project: project.clone(),
            name: name.clone(),
            outcome: outcome.into(),
        };
        let Some(row) = known else {
            changes.create(&new_set(SetUid(self.db.clock().id()), set, actor));
            changes.decide(Decision::by(
                actor,
                project,
                "set.create",
                format!("set/{name}"),
                String::new(),
            ));
            return Ok(applied(wire::ApplyOutcome::Created));
        };
        if row.record.managed_by != DOOR {
            return Err(Status::failed_precondition(format!(
                "set {name} is managed by {}; change it there",
                row.record.managed_by
            )));
        }
        if row.record.deleting {
            return Err(Status::failed_precondition(format!(
                "set {name} is being deleted; apply it again when `tidegate get sets` no longer shows it"
            )));
        }
        if row.record.document == *set {
            return Ok(applied(wire::ApplyOutcome::Unchanged));
        }
        let mut record = SetRecord::clone(&row.record);
        record.version += 1;
        actor.clone_into(&mut record.applied_by);
        record.document = set.clone();
        changes.update(row, &record);
        changes.decide(
            Decision::by(
                actor,
                project,
                "set.change",
                format!("set/{name}"),
                String::new(),
            )
            .from_to(row.record.version, record.version),
        );
        Ok(applied(wire::ApplyOutcome::Configured))
    }
}

/// The front door that this API is.
const DOOR: &str = "api";

/// The first record of a set.
fn new_set(uid: SetUid, document: &ApplicationSet, actor: &str) -> SetRecord {
    SetRecord {
        uid,
        project: document.spec.template.spec.project.clone(),
        name: document.metadata.name.clone(),
        version: 1,
        document: document.clone(),
        last_release: 0,
        deleting: false,
        problems: Vec::new(),
        managed_by: DOOR.to_owned(),
        latest_run: None,
        last_succeeded: None,
        warnings: Vec::new(),
        applied_by: actor.to_owned(),
        void_through: 0,
    }
}

/// Sources that a set names literally; templated ones are known only after an expansion.
pub(crate) fn sources(set: &ApplicationSet) -> BTreeSet<RepoRevision> {
    let mut sources: BTreeSet<_> = set
        .spec
        .generators
        .iter()
        .filter_map(|generator| generator.git.as_ref())
        .map(|git| RepoRevision {
            repo_url: git.repo_url.clone(),
            revision: git.revision.clone(),
        })
        .collect();
    let source = set.spec.template.spec.source.repo_revision();
    if !source.repo_url.contains("{{") && !source.revision.contains("{{") {
        sources.insert(source);
    }
    sources
}

/// Plans the waves of each set by its own strategy or the wave plan that it names, and those of the
/// sets that are there already by the plan that changes.
fn check_plans(state: &State, checked: &[Checked], problems: &mut Problems) {
    let coming = |project: &str, name: &str| {
        let mut plans = checked.iter().filter_map(Checked::plan);
        plans.find(|plan| plan.spec.project == project && plan.metadata.name == name)
    };
    for item in checked {
        match &item.written {
            Written::Set(set) => {
                let (own, project) = (&set.spec.strategy, &set.spec.template.spec.project);
                let known = || state.wave_plan(project, &own.wave_plan);
                let strategy = match coming(project, &own.wave_plan) {
                    Some(plan) => &plan.spec.strategy,
                    None => known().map_or(own, |row| &row.record.document.spec.strategy),
                };
                if let Err(problem) = plan_now(state, set, strategy) {
                    problems.note(item.strategy.clone(), problem);
                }
            }
            Written::Plan(plan) => {
                let (project, name) = (&plan.spec.project, &plan.metadata.name);
                for set in state.sets_with(project, name) {
                    let again = ("set", set.project.clone(), set.name.clone());
                    if set.deleting || checked.iter().any(|item| item.name() == again) {
                        continue;
                    }
                    if let Err(problem) = plan_now(state, &set.document, &plan.spec.strategy) {
                        let problem = format!("set {} names this plan: {problem}", set.name);
                        problems.note(item.strategy.clone(), problem);
                    }
                }
            }
        }
    }
}

/// Plans the waves over what the set yields now, if that can be known without Git: a member that no
/// wave picks is an error when the set is written (design/waves.md, `unmatched`).
fn plan_now(state: &State, set: &ApplicationSet, strategy: &Strategy) -> Result<(), String> {
    if !strategy.wave_plan.is_empty() {
        let error = tidegate_waves::plan(strategy, &[], 0).map(|_| ());
        return error.map_err(|error| error.to_string());
    }
    if !tidegate_generators::needs(set).is_empty() {
        return Ok(());
    }
    let clusters = state.fleet();
    let inputs = tidegate_generators::Inputs {
        clusters: &clusters,
        ..Default::default()
    };
    let expansion = tidegate_generators::expand(set, &inputs);
    let candidates = crate::promote::candidates_of(&clusters, &expansion.applications);
    tidegate_waves::plan(strategy, &candidates, 0)
        .map(|_| ())
        .map_err(|error| error.to_string())
}
