//! What would change, and what differs between two releases.
//!
//! Owns which sets are looked at and how much is told. Writes nothing: the work is `preview`'s, over
//! a copy of the view. The words are `told`'s.

mod told;

use std::{collections::BTreeMap, sync::Arc};

use tidegate_proto::v1 as wire;
use tonic::Status;

use self::told::Teller;
use super::{FleetApi, convert, list};
use crate::{
    changes::Changes,
    diff::{self, Place, Sides},
    garbage::keep,
    preview::{At, Error, Preview, Previewer},
    records::HoldRecord,
    state::State,
};

/// The most sets that one call looks at.
pub(super) const SETS: usize = 20;

/// Applications that cannot be rendered, by why.
type Unrendered = BTreeMap<String, Vec<Place>>;

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        match &error {
            Error::Unclear(_) => Self::invalid_argument(error.to_string()),
            Error::NoSet { .. } => Self::failed_precondition(error.to_string()),
            Error::Content(_) | Error::Record(_) | Error::Internal(_) => {
                tracing::error!(%error, "failed to compute a preview");
                Self::internal(error.to_string())
            }
        }
    }
}

impl FleetApi {
    /// What commits would change in sets that are applied.
    pub(super) async fn preview_sets(
        &self,
        request: &wire::PreviewRequest,
    ) -> Result<wire::PreviewResponse, Status> {
        let at = At {
            revision: request.revision.trim().to_owned(),
            source: request.source.clone(),
        };
        if at.revision.is_empty() && !at.source.is_empty() {
            return Err(Status::invalid_argument(
                "a source is named and no revision: say which commit, branch or tag of it",
            ));
        }
        let state = self.db.read().clone();
        let sets = meant(&state, request)?;
        self.preview_all(&state, &sets, &at, request.filter.as_ref())
            .await
    }

    /// What applying documents would change.
    pub(super) async fn preview_documents(
        &self,
        actor: &str,
        request: &wire::PreviewApplyRequest,
    ) -> Result<wire::PreviewResponse, Status> {
        let (state, sets) = self.as_if_applied(actor, &request.files)?;
        if sets.is_empty() {
            return Err(Status::invalid_argument(
                "the documents hold no application set: a wave plan changes in which order releases \
                 roll out, and nothing of what they bring",
            ));
        }
        if sets.len() > SETS {
            return Err(too_many(sets.len(), "preview fewer files at once"));
        }
        self.preview_all(&state, &sets, &At::default(), request.filter.as_ref())
            .await
    }

    /// The view with these documents applied, and which sets they hold.
    pub(super) fn as_if_applied(
        &self,
        actor: &str,
        files: &[wire::SourceFile],
    ) -> Result<(State, Vec<(String, String)>), Status> {
        let checked = self.check(files)?;
        let mut state = self.db.read().clone();
        let mut sets = Vec::new();
        for item in &checked {
            let mut changes = Changes::default();
            let object = self.put(&state, actor, item, &mut changes)?;
            state = state
                .with(&changes)
                .map_err(|error| Status::from(Error::Record(error)))?;
            // A wave plan changes nothing that is rendered.
            if item.is_set() {
                sets.push((object.project, object.name));
            }
        }
        Ok((state, sets))
    }

    async fn preview_all(
        &self,
        state: &State,
        sets: &[(String, String)],
        at: &At,
        filter: Option<&wire::DiffFilter>,
    ) -> Result<wire::PreviewResponse, Status> {
        let filter = Filter::new(state, filter)?;
        let _turn = self.previews.acquire().await;
        let mut teller = Teller::default();
        let mut answer = wire::PreviewResponse::default();
        let mut found = false;
        for (project, name) in sets {
            let previewer = self.previewer();
            let mut preview = previewer
                .preview(state.clone(), project, name, at)
                .await
                .map_err(|error| in_set(&Status::from(error), project, name))?;
            found |= filter.narrow(
                &mut [&mut preview.before, &mut preview.after],
                &mut preview.unrendered,
            );
            let differences = diff::compare(&preview.before, &preview.after);
            let differences = teller.differences(state, &previewer, differences).await?;
            answer.sets.push(wire::SetPreview {
                project: project.clone(),
                set: name.clone(),
                differences: Some(differences),
                ..Self::set_preview(state, name, preview)
            });
        }
        filter.must_have(found)?;
        Ok(answer)
    }

    /// What reads and makes content for one answer.
    pub(super) fn previewer(&self) -> Previewer {
        Previewer::new(
            self.poller.git().clone(),
            Arc::clone(self.db.blobs()),
            self.db.clock().clone(),
            self.db.epoch(),
        )
    }

    /// Everything but the differences.
    fn set_preview(state: &State, set: &str, preview: Preview) -> wire::SetPreview {
        let known = |hold: &HoldRecord| state.holds.iter().any(|known| known.id == hold.id);
        let hold = |hold: &HoldRecord| wire::Hold {
            set: set.to_owned(),
            // One that is not there yet can neither be approved nor be old.
            id: if known(hold) {
                hold.id.clone()
            } else {
                String::new()
            },
            since_ms: if known(hold) {
                convert::millis(Some(hold.since))
            } else {
                0
            },
            ..convert::hold(state, hold)
        };
        wire::SetPreview {
            sources: convert::commits(&preview.sources),
            holds: preview.holds.iter().map(hold).collect(),
            unrendered: told::unrendered(state, preview.unrendered),
            problems: told::problems(preview.problems),
            incomplete: preview.incomplete,
            release: preview.release.unwrap_or_default(),
            ..wire::SetPreview::default()
        }
    }

    /// What differs between two releases of a set.
    pub(super) async fn compare_releases(
        &self,
        request: &wire::DiffReleasesRequest,
    ) -> Result<wire::DiffReleasesResponse, Status> {
        let state = self.db.read().clone();
        let filter = Filter::new(&state, request.filter.as_ref())?;
        let digests = [request.from, request.to].map(|number| entries_of(&state, request, number));
        let [from, to] = digests;
        let (from, to) = (from?, to?);
        let _turn = self.previews.acquire().await;
        let previewer = self.previewer();
        let (mut before, _) = previewer.release(from).await?;
        let (mut after, entries) = previewer.release(to).await?;
        let mut unrendered = Unrendered::new();
        for entry in entries {
            let place = (entry.name, entry.cluster);
            if let tidegate_model::release::EntryContent::Unrendered { cause } = entry.content {
                // It brings nothing: what ran there before goes on.
                if let Some(side) = before.get(&place) {
                    after.insert(place.clone(), side.clone());
                }
                unrendered.entry(cause).or_default().push(place);
            }
        }
        let found = filter.narrow(&mut [&mut before, &mut after], &mut unrendered);
        filter.must_have(found)?;
        let differences = diff::compare(&before, &after);
        Ok(wire::DiffReleasesResponse {
            differences: Some(
                Teller::default()
                    .differences(&state, &previewer, differences)
                    .await?,
            ),
            unrendered: told::unrendered(&state, unrendered),
        })
    }
}

/// The sets that are meant: one by its name, or all.
fn meant(state: &State, request: &wire::PreviewRequest) -> Result<Vec<(String, String)>, Status> {
    if !request.set.is_empty() {
        let set = &list::find_set(state, &request.project, &request.set)?.record;
        return Ok(vec![(set.project.clone(), set.name.clone())]);
    }
    let sets = state
        .sets
        .iter()
        .filter(|set| !set.deleting && list::wanted(&request.project, &set.project));
    let sets: Vec<_> = sets
        .map(|set| (set.project.clone(), set.name.clone()))
        .collect();
    match sets.len() {
        0 => Err(Status::not_found(
            "there is no set; `tidegate get sets` lists them",
        )),
        count if count > SETS => Err(too_many(count, "name one")),
        1 => Ok(sets),
        _ if !request.revision.is_empty() => Err(Status::invalid_argument(
            "a revision is of one set's source: name the set",
        )),
        _ => Ok(sets),
    }
}

pub(super) fn too_many(count: usize, advice: &str) -> Status {
    Status::invalid_argument(format!(
        "there are {count} sets, and one preview looks at {SETS} at most: {advice}"
    ))
}

pub(super) fn in_set(status: &Status, project: &str, name: &str) -> Status {
    Status::new(
        status.code(),
        format!("set {name} in project {project}: {}", status.message()),
    )
}

/// The blob with the entries of a release.
fn entries_of(
    state: &State,
    request: &wire::DiffReleasesRequest,
    number: u64,
) -> Result<tidegate_model::digest::Digest, Status> {
    let set = &list::find_set(state, &request.project, &request.set)?.record;
    let release = state.release(set, number).ok_or_else(|| {
        Status::not_found(format!(
            "set {} has no release {number}; `tidegate get releases` lists them",
            set.name
        ))
    })?;
    if !keep::keeps_release(state, set, number) {
        return Err(Status::failed_precondition(format!(
            "what release {number} of set {} held is no longer kept: only the last {} releases of a \
             set are, and those that runs still bring out",
            set.name,
            keep::RELEASES
        )));
    }
    Ok(release.record.entries)
}

/// Which applications are told of.
struct Filter<'a> {
    cluster: Option<tidegate_model::ids::ClusterUid>,
    app: &'a str,
}

impl<'a> Filter<'a> {
    fn new(state: &State, filter: Option<&'a wire::DiffFilter>) -> Result<Self, Status> {
        let (cluster, app) = filter.map_or(("", ""), |filter| {
            (filter.cluster.as_str(), filter.app.as_str())
        });
        let found = state
            .cluster_named(cluster)
            .map(|record| record.cluster.uid);
        if !cluster.is_empty() && found.is_none() {
            return Err(Status::not_found(format!(
                "no cluster {cluster}; `tidegate get clusters` lists them"
            )));
        }
        Ok(Self {
            cluster: found,
            app,
        })
    }

    fn fits(&self, (name, cluster): &Place) -> bool {
        self.cluster.is_none_or(|wanted| wanted == *cluster) && list::wanted(self.app, name)
    }

    /// Leaves only what is told of; says whether anything is left.
    fn narrow(&self, sides: &mut [&mut Sides], unrendered: &mut Unrendered) -> bool {
        for side in sides.iter_mut() {
            side.retain(|place, _| self.fits(place));
        }
        for places in unrendered.values_mut() {
            places.retain(|place| self.fits(place));
        }
        unrendered.retain(|_, places| !places.is_empty());
        !unrendered.is_empty() || sides.iter().any(|side| !side.is_empty())
    }

    /// A misspelt application is an error, not "no difference".
    fn must_have(&self, found: bool) -> Result<(), Status> {
        if found || self.app.is_empty() {
            return Ok(());
        }
        Err(Status::not_found(format!(
            "no application {} there, neither now nor then; `tidegate get applications` lists them",
            self.app
        )))
    }
}
