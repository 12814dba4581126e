//! Who belongs to whom: objects by uid, dependents by owner, and what is being deleted, so that the
//! collector looks at what a change concerns and at nothing else.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{Key, Stored};

/// Where an object is: its kind and key.
pub(crate) type Place = (Arc<str>, Key);

/// The index of one store; kept with each write.
#[derive(Debug, Default)]
pub(crate) struct Index {
    uids: BTreeMap<Box<str>, Place>,
    /// By owner, each with whether the owner waits for it.
    dependents: BTreeMap<Box<str>, BTreeMap<Place, bool>>,
    terminating: BTreeSet<Place>,
    /// Objects whose owners may have gone since they were last looked at.
    suspects: BTreeSet<Place>,
}

impl Index {
    /// An object came, in place of what was there.
    pub(super) fn put(&mut self, place: &Place, object: &Stored, before: Option<&Stored>) {
        if let Some(before) = before {
            self.drop_owners(place, before);
        }
        self.uids.insert(object.uid.clone(), place.clone());
        for owner in &object.owners {
            let all = self.dependents.entry(owner.uid.clone()).or_default();
            all.insert(place.clone(), owner.blocks);
        }
        if !object.owners.is_empty() {
            self.suspects.insert(place.clone());
        }
        if object.terminating {
            self.terminating.insert(place.clone());
            self.suspect_dependents(&object.uid);
        }
    }

    /// An object went.
    pub(super) fn remove(&mut self, place: &Place, object: &Stored) {
        self.drop_owners(place, object);
        self.uids.remove(&object.uid);
        self.terminating.remove(place);
        self.suspects.remove(place);
        self.suspect_dependents(&object.uid);
    }

    fn drop_owners(&mut self, place: &Place, object: &Stored) {
        for owner in &object.owners {
            if let Some(all) = self.dependents.get_mut(&owner.uid) {
                all.remove(place);
                if all.is_empty() {
                    self.dependents.remove(&owner.uid);
                }
            }
        }
    }

    fn suspect_dependents(&mut self, uid: &str) {
        let all = self.dependents.get(uid).into_iter().flatten();
        self.suspects.extend(all.map(|(place, _)| place.clone()));
    }

    /// Where the object of a uid is.
    pub(crate) fn by_uid(&self, uid: &str) -> Option<&Place> {
        self.uids.get(uid)
    }

    /// The dependents of an owner.
    pub(crate) fn dependents(&self, uid: &str) -> impl Iterator<Item = &Place> {
        let all = self.dependents.get(uid).into_iter().flatten();
        all.map(|(place, _)| place)
    }

    /// Whether an owner that is deleted in the foreground still has to wait.
    pub(crate) fn is_blocked(&self, uid: &str) -> bool {
        let mut all = self.dependents.get(uid).into_iter().flatten();
        all.any(|(_, blocks)| *blocks)
    }

    /// What is being deleted.
    pub(crate) fn terminating(&self) -> &BTreeSet<Place> {
        &self.terminating
    }

    /// What must be looked at, once.
    pub(crate) fn take_suspects(&mut self) -> BTreeSet<Place> {
        std::mem::take(&mut self.suspects)
    }
}
