//! What an application has, or may have, in the cluster.
//!
//! Pure. A superset at all times: an object is entered before the first write and leaves only
//! when its absence was seen (facts "agent-reconcile" 1.4, E7, E8), so a crash at any point leaks
//! nothing. Keeping it is the business of [`crate::state`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tidegate_model::{ids::Generation, object::ObjectId};

/// What is known about one object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// API version it was applied in.
    pub version: String,
    /// Uid of the object we applied; `None` until the server told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Set if it is known from before some state was lost (found by its label, or inherited): it
    /// may be pruned only by a generation after this one, which is a new word of the hub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found_at: Option<Generation>,
}

#[derive(Serialize, Deserialize)]
struct Row {
    #[serde(flatten)]
    id: ObjectId,
    #[serde(flatten)]
    entry: Entry,
}

/// The objects of one application.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Row>", into = "Vec<Row>")]
pub struct Inventory {
    entries: BTreeMap<ObjectId, Entry>,
}

impl From<Vec<Row>> for Inventory {
    fn from(rows: Vec<Row>) -> Self {
        Self {
            entries: rows.into_iter().map(|row| (row.id, row.entry)).collect(),
        }
    }
}

impl From<Inventory> for Vec<Row> {
    fn from(inventory: Inventory) -> Self {
        let rows = inventory.entries.into_iter();
        rows.map(|(id, entry)| Row { id, entry }).collect()
    }
}

impl Inventory {
    /// The entries in the order of their ids.
    pub fn entries(&self) -> &BTreeMap<ObjectId, Entry> {
        &self.entries
    }

    /// The uid of the object we applied under this id.
    pub fn uid(&self, id: &ObjectId) -> Option<&str> {
        self.entries.get(id)?.uid.as_deref()
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Enters objects that are about to be applied, keeping the uids that are known.
    pub fn enter<'a>(&mut self, objects: impl IntoIterator<Item = (&'a ObjectId, &'a str)>) {
        for (id, version) in objects {
            let entry = self.entries.entry(id.clone()).or_default();
            version.clone_into(&mut entry.version);
            entry.found_at = None;
        }
    }

    /// Enters an object that was found by its label.
    pub fn enter_found(&mut self, id: ObjectId, version: String, uid: String, at: Generation) {
        self.entries.entry(id).or_insert(Entry {
            version,
            uid: Some(uid),
            found_at: Some(at),
        });
    }

    /// Enters what an earlier life of the application has in the cluster; what is known stays.
    pub fn inherit(&mut self, from: &Self, at: Generation) {
        for (id, entry) in &from.entries {
            self.entries.entry(id.clone()).or_insert_with(|| Entry {
                found_at: Some(at),
                ..entry.clone()
            });
        }
    }

    /// Notes the uid of an applied object.
    pub fn confirm(&mut self, id: &ObjectId, uid: &str) {
        if let Some(entry) = self.entries.get_mut(id) {
            entry.uid = Some(uid.to_owned());
        }
    }

    /// Drops an object that is surely gone, or surely not ours.
    pub fn drop_entry(&mut self, id: &ObjectId) {
        self.entries.remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> ObjectId {
        ObjectId {
            group: "apps".into(),
            kind: "Deployment".into(),
            namespace: "n".into(),
            name: name.into(),
        }
    }

    #[test]
    fn a_new_version_of_an_object_is_the_same_entry() {
        let mut inventory = Inventory::default();
        inventory.enter([(&id("a"), "v1beta1")]);
        inventory.confirm(&id("a"), "u1");
        inventory.enter([(&id("a"), "v1"), (&id("b"), "v1")]);
        assert_eq!(inventory.len(), 2);
        assert_eq!(inventory.uid(&id("a")), Some("u1"));
        assert_eq!(inventory.entries()[&id("a")].version, "v1");
    }

    #[test]
    fn what_is_inherited_waits_for_a_new_word_and_hides_nothing() {
        let (mut earlier, mut inventory) = (Inventory::default(), Inventory::default());
        earlier.enter([(&id("a"), "v1"), (&id("b"), "v1")]);
        earlier.confirm(&id("a"), "u1");
        earlier.confirm(&id("b"), "u2");
        inventory.enter([(&id("a"), "v1")]);
        inventory.inherit(&earlier, Generation(1));
        assert_eq!(inventory.entries()[&id("a")].found_at, None);
        assert_eq!(inventory.entries()[&id("b")].found_at, Some(Generation(1)));
        assert_eq!(
            (inventory.uid(&id("a")), inventory.uid(&id("b"))),
            (None, Some("u2"))
        );
    }

    #[test]
    fn it_reads_back_and_a_found_entry_never_hides_a_known_one() {
        let mut inventory = Inventory::default();
        inventory.enter([(&id("a"), "v1")]);
        inventory.enter_found(id("a"), "v1".into(), "other".into(), Generation(4));
        inventory.enter_found(id("b"), "v1".into(), "u".into(), Generation(4));
        assert_eq!(inventory.uid(&id("a")), None);
        let text = serde_json::to_string(&inventory).unwrap();
        assert_eq!(serde_json::from_str::<Inventory>(&text).unwrap(), inventory);
        assert_eq!(inventory.entries()[&id("b")].found_at, Some(Generation(4)));
        inventory.enter([(&id("b"), "v1")]);
        assert_eq!(inventory.entries()[&id("b")].found_at, None);
    }
}
