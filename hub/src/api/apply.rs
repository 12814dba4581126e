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
};
use tidegate_proto::v1 as wire;
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt as _};

use super::FleetApi;
use crate::{
    changes::{Changes, Decision},
    records::SetRecord,
    state::State,
};

/// A document that passed the checks.
pub(super) struct Checked {
    place: String,
    /// The set that it describes.
    pub(super) set: ApplicationSet,
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
                    objects.push(self.plan_set(state, actor, item, &mut changes)?);
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
                    let name = (
                        item.set.spec.template.spec.project.clone(),
                        item.set.metadata.name.clone(),
                    );
                    if !seen.insert(name.clone()) {
                        problems.note(item.place.clone(), format!("set {} is there twice", name.1));
                    }
                    checked.push(item);
                }
            }
        }
        if files.is_empty() {
            problems.note("request", "it holds no file");
        }
        problems.into_result().map(|()| checked)
    }

    fn check_document(
        &self,
        file: &str,
        document: &Document,
        problems: &mut Problems,
    ) -> Option<Checked> {
        let place = format!("{file}:{}", document.line);
        let set = match ApplicationSet::from_document(document, file) {
            Ok(set) => set,
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
        if let Err(error) = tidegate_waves::validate(&set.spec.strategy) {
            fine = false;
            let line = document.line_of("/spec/strategy");
            problems.note(format!("{file}:{line}"), format!("spec.strategy: {error}"));
        }
        for source in sources(&set) {
            if let Err(error) = self.poller.check(&source) {
                fine = false;
                problems.note(place.clone(), error.to_string());
            }
        }
        // A plan would only say again what is wrong with the strategy.
        if fine && let Err(problem) = plan_now(&self.db.read(), &set) {
            fine = false;
            let line = document.line_of("/spec/strategy");
            problems.note(format!("{file}:{line}"), problem);
        }
        fine.then_some(Checked { place, set })
    }

    pub(super) fn plan_set(
        &self,
        state: &State,
        actor: &str,
        item: &Checked,
        changes: &mut Changes,
    ) -> Result<wire::AppliedObject, Status> {
        let name = &item.set.metadata.name;
        let project = &item.set.spec.template.spec.project;
        let known = state.set(project, name);
        let applied = |outcome: wire::ApplyOutcome| wire::AppliedObject {
            kind: "ApplicationSet".to_owned(),
            project: project.clone(),
            name: name.clone(),
            outcome: outcome.into(),
        };
        let Some(row) = known else {
            changes.create(&new_set(SetUid(self.db.clock().id()), &item.set, actor));
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
        if row.record.document == item.set {
            return Ok(applied(wire::ApplyOutcome::Unchanged));
        }
        let mut record = SetRecord::clone(&row.record);
        record.version += 1;
        actor.clone_into(&mut record.applied_by);
        record.document = item.set.clone();
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

/// Plans the waves over what the set yields now, if that can be known without Git: a member that no
/// wave picks is an error when the set is written (design/waves.md, `unmatched`).
fn plan_now(state: &State, set: &ApplicationSet) -> Result<(), String> {
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
    tidegate_waves::plan(&set.spec.strategy, &candidates, 0)
        .map(|_| ())
        .map_err(|error| error.to_string())
}
