//! What differs between two states of a set's applications, object by object, and the same told
//! once.
//!
//! Pure. Compares digests; `text` makes words of the few objects whose content differs, and `mask`
//! keeps secret values out of them. Never reads a blob and never decides what a difference means.

pub mod mask;
pub mod text;

use std::{collections::BTreeMap, sync::Arc};

use tidegate_model::{
    assignment::{Assignment, Desired},
    bundle::Bundle,
    digest::Digest,
    ids::{AppUid, ClusterUid},
    object::ObjectId,
    policy::{Drift, Policy},
};

/// An application: its name and where it runs.
pub type Place = (String, ClusterUid);

/// Applications and what each would run.
pub type Sides = BTreeMap<Place, Side>;

/// What one application is told to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    /// Its objects.
    pub bundle: Arc<Bundle>,
    /// What its agent may do besides.
    pub policy: Policy,
    /// Namespace of objects that name none.
    pub namespace: String,
}

impl Side {
    /// What an assignment tells, its bundle taken from `bundles`; a tombstone tells nothing to run.
    pub fn of(assignment: &Assignment, bundles: &BTreeMap<AppUid, Arc<Bundle>>) -> Option<Self> {
        let Desired::Run {
            policy, namespace, ..
        } = &assignment.desired
        else {
            return None;
        };
        Some(Self {
            bundle: Arc::clone(bundles.get(&assignment.app)?),
            policy: policy.clone(),
            namespace: namespace.clone(),
        })
    }
}

/// What becomes of an application or an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It comes.
    Added,
    /// It stays and is another.
    Changed,
    /// It goes.
    Removed,
}

/// What becomes of one object. Content is named by digest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// The object.
    pub id: ObjectId,
    /// What it was.
    pub before: Option<Digest>,
    /// What it will be.
    pub after: Option<Digest>,
}

impl Change {
    /// What becomes of it.
    pub fn kind(&self) -> Kind {
        match (self.before, self.after) {
            (None, _) => Kind::Added,
            (_, None) => Kind::Removed,
            _ => Kind::Changed,
        }
    }
}

/// Applications with exactly the same changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// What becomes of the applications.
    pub kind: Kind,
    /// Changes besides objects, for people.
    pub settings: Vec<String>,
    /// What becomes of their objects, by object.
    pub objects: Vec<Change>,
    /// Which, in order.
    pub applications: Vec<Place>,
}

/// Everything that differs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// In the order of the first application of each.
    pub groups: Vec<Group>,
    /// Applications that stay as they are.
    pub unchanged: usize,
}

/// Compares two states; the same changes are one group, however many applications have them.
pub fn compare(before: &Sides, after: &Sides) -> Differences {
    let mut unchanged = 0;
    let mut groups: BTreeMap<(Kind, Vec<String>, Vec<Change>), Vec<Place>> = BTreeMap::new();
    let nothing = Bundle::default();
    for (place, new) in after {
        let (kind, settings, objects) = match before.get(place) {
            None => (Kind::Added, Vec::new(), changes(&nothing, &new.bundle)),
            Some(old) if old == new => {
                unchanged += 1;
                continue;
            }
            Some(old) => {
                let objects = changes(&old.bundle, &new.bundle);
                (Kind::Changed, settings(old, new), objects)
            }
        };
        let key = (kind, settings, objects);
        groups.entry(key).or_default().push(place.clone());
    }
    for (place, old) in before
        .iter()
        .filter(|(place, _)| !after.contains_key(*place))
    {
        let objects = changes(&old.bundle, &nothing);
        let key = (Kind::Removed, Vec::new(), objects);
        groups.entry(key).or_default().push(place.clone());
    }
    let groups = groups.into_iter();
    let mut groups: Vec<_> = groups
        .map(|((kind, settings, objects), applications)| Group {
            kind,
            settings,
            objects,
            applications,
        })
        .collect();
    groups.sort_by(|a, b| a.applications.cmp(&b.applications));
    Differences { groups, unchanged }
}

fn changes(before: &Bundle, after: &Bundle) -> Vec<Change> {
    fn by_id(bundle: &Bundle) -> BTreeMap<&ObjectId, Digest> {
        let entries = bundle.objects().iter();
        entries.map(|entry| (&entry.key.id, entry.digest)).collect()
    }
    let (before, after) = (by_id(before), by_id(after));
    let mut ids: Vec<_> = before.keys().chain(after.keys()).copied().collect();
    ids.sort();
    ids.dedup();
    ids.into_iter()
        .map(|id| Change {
            id: id.clone(),
            before: before.get(id).copied(),
            after: after.get(id).copied(),
        })
        .filter(|change| change.before != change.after)
        .collect()
}

/// What a person is told of changes that are no objects.
fn settings(old: &Side, new: &Side) -> Vec<String> {
    let drift = |drift| match drift {
        Drift::Heal => "heal",
        Drift::Warn => "warn",
        Drift::Off => "off",
    };
    let shown = |namespace: &str| match namespace {
        "" => "none".to_owned(),
        name => name.to_owned(),
    };
    let rows = [
        (
            "prune",
            old.policy.prune.to_string(),
            new.policy.prune.to_string(),
        ),
        (
            "drift",
            drift(old.policy.drift).to_owned(),
            drift(new.policy.drift).to_owned(),
        ),
        ("namespace", shown(&old.namespace), shown(&new.namespace)),
    ];
    rows.into_iter()
        .filter(|(_, old, new)| old != new)
        .map(|(what, old, new)| format!("{what}: {old} -> {new}"))
        .collect()
}

#[cfg(test)]
mod tests;
