//! The objects of one application as its agent sees them, a page at a time.
//!
//! Asked for by a person, never part of a report: a report must stay small, and no gate reads this.
//! Never carries values.

use std::sync::Arc;

use crate::{health::Health, ids::Generation, object::ObjectId};

/// The most objects of a page.
pub const PAGE: usize = 100;

/// Where an object stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is as its manifest says.
    Synced,
    /// It waits for its turn, or for something else.
    Waiting,
    /// It could not be applied.
    Failed,
    /// It belongs to somebody else.
    Foreign,
    /// It is not in the cluster.
    Missing,
    /// Somebody changed it in the cluster.
    Drifted,
}

/// One object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectState {
    /// Which.
    pub id: ObjectId,
    /// Version that its manifest is written in.
    pub version: String,
    /// Where it stands.
    pub standing: Standing,
    /// Its health, at the content of the generation.
    pub health: Health,
    /// Why it is not healthy, for a person.
    pub message: String,
    /// JSON pointers of fields that somebody changed.
    pub drifted: Vec<String>,
}

/// All objects of one application, in the order of their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objects {
    /// What they are told of.
    pub generation: Generation,
    /// The objects.
    pub all: Arc<[ObjectState]>,
}

/// Some of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectPage {
    /// What they are told of.
    pub generation: Generation,
    /// The objects.
    pub items: Vec<ObjectState>,
    /// How many there are in all.
    pub total: usize,
    /// There are more behind the last of these.
    pub more: bool,
}

impl Objects {
    /// The page behind this object, at most [`PAGE`] long. An object that is gone meanwhile is as
    /// good a place to go on from as any.
    pub fn page(&self, after: Option<&ObjectId>) -> ObjectPage {
        let start = after.map_or(0, |after| {
            self.all.partition_point(|state| state.id <= *after)
        });
        let rest = &self.all[start..];
        ObjectPage {
            generation: self.generation,
            items: rest.iter().take(PAGE).cloned().collect(),
            total: self.all.len(),
            more: rest.len() > PAGE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: usize) -> ObjectId {
        ObjectId {
            group: String::new(),
            kind: "ConfigMap".to_owned(),
            namespace: "shop".to_owned(),
            name: format!("n{n:04}"),
        }
    }

    fn objects(count: usize) -> Objects {
        let state = |n| ObjectState {
            id: id(n),
            version: "v1".to_owned(),
            standing: Standing::Synced,
            health: Health::Healthy,
            message: String::new(),
            drifted: Vec::new(),
        };
        Objects {
            generation: Generation(3),
            all: (0..count).map(state).collect(),
        }
    }

    #[test]
    fn pages_follow_each_other_without_a_gap_or_a_repetition() {
        let objects = objects(2 * PAGE + 1);
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = objects.page(after.as_ref());
            assert_eq!(page.total, 2 * PAGE + 1);
            seen.extend(page.items.into_iter().map(|state| state.id));
            after = seen.last().cloned();
            if !page.more {
                break;
            }
        }
        let all: Vec<_> = (0..=2 * PAGE).map(id).collect();
        assert_eq!(seen, all);
        assert!(objects.page(after.as_ref()).items.is_empty());
    }
}
