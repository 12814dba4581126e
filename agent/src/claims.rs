//! Which application of this cluster declares which object.
//!
//! The agent sees every application, so an object that moves from one to another changes hands
//! without a delete (facts "agent-reconcile" §0 item 5). Shared by all application tasks; never
//! touches the cluster.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError, RwLock},
};

use tidegate_model::{ids::AppUid, object::ObjectId};

use crate::ownership::Claim;

/// The declared objects of every application that is held.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    declared: RwLock<BTreeMap<AppUid, Arc<BTreeSet<ObjectId>>>>,
}

impl Claims {
    /// Replaces what `app` declares; a tombstone declares nothing.
    pub(crate) fn set(&self, app: AppUid, declared: BTreeSet<ObjectId>) {
        let mut all = self
            .declared
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        all.insert(app, Arc::new(declared));
    }

    pub(crate) fn forget(&self, app: AppUid) {
        let mut all = self
            .declared
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        all.remove(&app);
    }

    /// What `owner` has to do with `id`.
    pub(crate) fn claim(&self, owner: AppUid, id: &ObjectId) -> Claim {
        let all = self.declared.read().unwrap_or_else(PoisonError::into_inner);
        match all.get(&owner) {
            None => Claim::Unknown,
            Some(declared) if declared.contains(id) => Claim::Declared,
            Some(_) => Claim::Dropped,
        }
    }

    /// Another application than `app` that declares `id`.
    pub(crate) fn other(&self, app: AppUid, id: &ObjectId) -> Option<AppUid> {
        let all = self.declared.read().unwrap_or_else(PoisonError::into_inner);
        let other = all
            .iter()
            .find(|(other, declared)| **other != app && declared.contains(id));
        other.map(|(other, _)| *other)
    }

    /// Another application than `app` that declares something inside the namespace `name`.
    pub(crate) fn lives_in(&self, app: AppUid, name: &str) -> Option<AppUid> {
        let all = self.declared.read().unwrap_or_else(PoisonError::into_inner);
        let other = all.iter().find(|(other, declared)| {
            **other != app && declared.iter().any(|id| id.namespace == name)
        });
        other.map(|(other, _)| *other)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn each_application_is_told_apart() {
        let (a, b) = (AppUid(Uuid::from_u128(1)), AppUid(Uuid::from_u128(2)));
        let id = ObjectId {
            group: String::new(),
            kind: "ConfigMap".into(),
            namespace: "n".into(),
            name: "x".into(),
        };
        let claims = Claims::default();
        assert_eq!(claims.claim(a, &id), Claim::Unknown);
        claims.set(a, BTreeSet::from([id.clone()]));
        assert_eq!(claims.claim(a, &id), Claim::Declared);
        assert_eq!(
            (claims.other(b, &id), claims.other(a, &id)),
            (Some(a), None)
        );
        assert_eq!(
            (claims.lives_in(b, "n"), claims.lives_in(b, "m")),
            (Some(a), None)
        );
        claims.set(a, BTreeSet::new());
        assert_eq!(claims.claim(a, &id), Claim::Dropped);
        claims.forget(a);
        assert_eq!(claims.claim(a, &id), Claim::Unknown);
    }
}
