//! Differences in the words of the wire, and no more of them than fit into an answer.
//!
//! Owns the bounds: what is left out is counted, never silently gone.

use std::collections::BTreeMap;

use rand::{TryRngCore as _, rngs::OsRng};
use serde_json::Value;
use tidegate_model::{bundle::OBJECT_TAG, digest::Digest};
use tidegate_proto::v1 as wire;
use tidegate_store::{BlobId, BlobStore};
use tokio::task::spawn_blocking;
use tonic::Status;

use super::{Unrendered, convert};
use crate::{
    diff::{
        Change, Differences, Group, Kind, Place,
        mask::Mask,
        text::{self, Text},
    },
    preview::Previewer,
    state::State,
};

/// The most bytes of diffs in an answer; a message has 4 MiB, and the rest wants its share.
const TEXT: usize = 1_500_000;
/// The most groups of an answer.
const GROUPS: usize = 200;
/// The most applications that are named of a group.
const PLACES: usize = 100;
/// The most objects that are named of a group.
const OBJECTS: usize = 200;
/// The most problems of a set that are told one by one.
const PROBLEMS: usize = 50;
/// The most characters of one.
const LENGTH: usize = 2_000;

/// Tells differences until an answer is full.
pub(super) struct Teller {
    text: usize,
    groups: usize,
    /// Made by the first object that needs it.
    mask: Option<std::sync::Arc<Mask>>,
}

impl Default for Teller {
    fn default() -> Self {
        Self {
            text: TEXT,
            groups: GROUPS,
            mask: None,
        }
    }
}

impl Teller {
    /// The differences with the text of what changed.
    pub(super) async fn differences(
        &mut self,
        state: &State,
        previewer: &Previewer,
        differences: Differences,
    ) -> Result<wire::Differences, Status> {
        let all = differences.groups.len();
        let mut groups = Vec::new();
        for group in differences.groups.into_iter().take(self.groups) {
            groups.push(self.group(state, previewer, group).await?);
        }
        self.groups -= groups.len();
        Ok(wire::Differences {
            more_groups: convert::count(all - groups.len()),
            groups,
            unchanged: convert::count(differences.unchanged),
        })
    }

    async fn group(
        &mut self,
        state: &State,
        previewer: &Previewer,
        group: Group,
    ) -> Result<wire::DiffGroup, Status> {
        let more_objects = convert::count(group.objects.len().saturating_sub(OBJECTS));
        let mut objects = Vec::new();
        for change in group.objects.iter().take(OBJECTS) {
            let text = self.text(previewer, change).await?;
            objects.push(wire::ObjectDiff {
                kind: kind(change.kind()).into(),
                object: Some(convert::object(&change.id)),
                diff: text.diff,
                cut: text.cut,
            });
        }
        let (applications, more_applications) = places(state, &group.applications);
        Ok(wire::DiffGroup {
            kind: kind(group.kind).into(),
            applications,
            more_applications,
            objects,
            more_objects,
            settings: group.settings,
        })
    }

    /// The text of an object that changed.
    async fn text(&mut self, previewer: &Previewer, change: &Change) -> Result<Text, Status> {
        let (Some(before), Some(after)) = (change.before, change.after) else {
            return Ok(Text::default());
        };
        if self.text == 0 {
            return Ok(Text {
                cut: true,
                ..Text::default()
            });
        }
        let mask = self.mask()?;
        let before = object(previewer.blobs(), before).await?;
        let after = object(previewer.blobs(), after).await?;
        let text = spawn_blocking(move || text::unified(before, after, &mask))
            .await
            .map_err(|error| Status::internal(format!("failed to compare an object: {error}")))?;
        self.text = self.text.saturating_sub(text.diff.len());
        Ok(text)
    }

    fn mask(&mut self) -> Result<std::sync::Arc<Mask>, Status> {
        if let Some(mask) = &self.mask {
            return Ok(mask.clone());
        }
        let mut key = [0; 32];
        OsRng
            .try_fill_bytes(&mut key)
            .map_err(|error| Status::internal(format!("failed to make a random key: {error}")))?;
        Ok(self
            .mask
            .insert(std::sync::Arc::new(Mask::new(key)))
            .clone())
    }
}

async fn object(blobs: &dyn BlobStore, digest: Digest) -> Result<Value, Status> {
    let lost = |error: String| Status::data_loss(format!("failed to read an object: {error}"));
    let id = BlobId::new(OBJECT_TAG, digest).map_err(|error| lost(error.to_string()))?;
    let bytes = blobs
        .get(&id)
        .await
        .map_err(|error| lost(error.to_string()))?;
    let bytes = bytes.ok_or_else(|| lost(format!("{id} is not in the blob store")))?;
    serde_json::from_slice(&bytes).map_err(|error| lost(error.to_string()))
}

/// As many applications as are named, and how many more there are.
fn places(state: &State, places: &[Place]) -> (Vec<wire::ApplicationPlace>, u32) {
    let named = places.iter().take(PLACES);
    let named = named.map(|(name, cluster)| wire::ApplicationPlace {
        name: name.clone(),
        cluster: convert::cluster_name(state, *cluster),
    });
    let more = places.len().saturating_sub(PLACES);
    (named.collect(), convert::count(more))
}

pub(super) fn unrendered(state: &State, unrendered: Unrendered) -> Vec<wire::Unrendered> {
    let mut all: BTreeMap<String, Vec<Place>> = BTreeMap::new();
    for (cause, places) in unrendered {
        all.entry(cut(cause)).or_default().extend(places);
    }
    let more = all.len().saturating_sub(PROBLEMS);
    let told = all.into_iter().take(PROBLEMS);
    let rest = (more > 0).then(|| wire::Unrendered {
        message: format!("and {more} more reasons"),
        ..wire::Unrendered::default()
    });
    told.map(|(message, mut applications)| {
        applications.sort();
        let (applications, more) = places(state, &applications);
        wire::Unrendered {
            message,
            applications,
            more,
        }
    })
    .chain(rest)
    .collect()
}

pub(super) fn problems(mut problems: Vec<String>) -> Vec<String> {
    let more = problems.len().saturating_sub(PROBLEMS);
    problems.truncate(PROBLEMS);
    let mut told: Vec<_> = problems.into_iter().map(cut).collect();
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    told
}

fn cut(text: String) -> String {
    match text.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn kind(kind: Kind) -> wire::DiffKind {
    match kind {
        Kind::Added => wire::DiffKind::Added,
        Kind::Changed => wire::DiffKind::Changed,
        Kind::Removed => wire::DiffKind::Removed,
    }
}
