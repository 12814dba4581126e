//! The plan of one application: what to apply in which order, and what is left over.
//!
//! Pure: content, inventory and what discovery knows come in as values. Owns the identity of
//! objects in this cluster, the stages, and which object needs which. Never decides whether a
//! leftover may go: that is [`crate::prune`].

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tidegate_model::{
    digest::Digest,
    object::{ObjectId, ObjectKey},
};

use crate::{
    inventory::Inventory,
    manifest::{self, Owner, Scope},
    stage::{Stage, stage_of},
};

/// One object of the content.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its name in the bundle.
    pub key: ObjectKey,
    /// Digest of the object as it stands in the bundle.
    pub digest: Digest,
    /// The object.
    pub object: Value,
}

/// What discovery says about a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// It is served in this version.
    Served(Scope),
    /// Discovery is fresh and does not have it.
    Absent,
    /// Discovery of its group failed or is old, so nobody can say.
    Undiscovered,
}

/// One object to apply.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Its identity in this cluster.
    pub id: ObjectId,
    /// API version to apply it in.
    pub version: String,
    /// Digest of the object it was made from.
    pub digest: Digest,
    /// Its stage.
    pub stage: Stage,
    /// What to send.
    pub body: Value,
    /// Objects of this plan without which it cannot be applied: its Namespace, its definition.
    pub needs: Vec<ObjectId>,
}

/// What to do about one application.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Objects to apply, by stage and id.
    pub targets: Vec<Target>,
    /// Objects that no retry helps: the content itself is wrong.
    pub refused: Vec<(ObjectId, String)>,
    /// Objects whose kind is not served (yet).
    pub pending: Vec<(ObjectId, String)>,
    /// Objects of the inventory that the content no longer declares.
    pub leftovers: Vec<ObjectId>,
}

/// What a plan is made from.
pub struct Input<'a> {
    /// The content.
    pub objects: &'a [Item],
    /// Whose it is.
    pub owner: Owner<'a>,
    /// Namespace of the agent's own state, which no application may write.
    pub agent_namespace: &'a str,
    /// What may be in the cluster already.
    pub inventory: &'a Inventory,
    /// What discovery says about (group, version, kind).
    pub kinds: &'a dyn Fn(&str, &str, &str) -> Known,
}

impl std::fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input")
            .field("owner", &self.owner)
            .field("objects", &self.objects.len())
            .finish_non_exhaustive()
    }
}

impl Plan {
    /// Makes the plan.
    pub fn of(input: &Input<'_>) -> Self {
        let definitions = definitions(input.objects);
        let mut plan = Self::default();
        let mut declared = BTreeSet::new();
        for item in input.objects {
            let id = &item.key.id;
            let defined = definitions.get(&(id.group.as_str(), id.kind.as_str()));
            let scope = match (
                (input.kinds)(&id.group, &item.key.version, &id.kind),
                defined,
            ) {
                (Known::Served(scope), _) => scope,
                (_, Some((_, scope))) => *scope,
                (known, None) => {
                    // Its scope is not known, so neither of its possible names may be pruned.
                    for scope in [Scope::Cluster, Scope::Namespaced] {
                        declared.insert(manifest::canonical_id(id, scope, input.owner.namespace));
                    }
                    plan.pending
                        .push((id.clone(), not_served(&item.key, known)));
                    continue;
                }
            };
            let canonical = manifest::canonical_id(id, scope, input.owner.namespace);
            if let Some(why) = refusal(&canonical, &declared, input) {
                plan.refused.push((canonical, why));
                continue;
            }
            declared.insert(canonical.clone());
            plan.targets.push(Target {
                stage: stage_of(&id.group, &id.kind),
                version: item.key.version.clone(),
                digest: item.digest,
                body: manifest::body(&item.object, &canonical, &input.owner),
                needs: defined
                    .map(|(definition, _)| definition.clone())
                    .into_iter()
                    .collect(),
                id: canonical,
            });
        }
        need_namespaces(&mut plan.targets, &declared);
        plan.targets
            .sort_by(|a, b| (a.stage, &a.id).cmp(&(b.stage, &b.id)));
        let known = input.inventory.entries().keys();
        plan.leftovers = known
            .filter(|id| !declared.contains(*id))
            .cloned()
            .collect();
        plan
    }

    /// Every identity that the content declares and this cluster can name.
    pub fn declared(&self) -> BTreeSet<ObjectId> {
        let targets = self.targets.iter().map(|target| &target.id);
        let others = self.pending.iter().chain(&self.refused).map(|(id, _)| id);
        targets.chain(others).cloned().collect()
    }
}

fn not_served(key: &ObjectKey, known: Known) -> String {
    let (kind, api) = (&key.id.kind, key.api_version());
    match known {
        Known::Undiscovered => format!(
            "the API group of {kind} in {api} cannot be discovered now; see the APIService of that group"
        ),
        _ => format!(
            "the cluster serves no kind {kind} in {api}; it is retried until its CustomResourceDefinition is there"
        ),
    }
}

fn refusal(id: &ObjectId, declared: &BTreeSet<ObjectId>, input: &Input<'_>) -> Option<String> {
    if declared.contains(id) {
        return Some("the content declares it twice; remove one of the two".to_owned());
    }
    let of_agent = id.group.is_empty()
        && id.kind == "Secret"
        && id.namespace == input.agent_namespace
        && id.name.starts_with(crate::state::NAME_PREFIX);
    of_agent.then(|| "the name is kept for the agent's own state; choose another".to_owned())
}

/// The kinds that definitions of the content bring: (group, kind) → (definition, scope).
fn definitions(objects: &[Item]) -> BTreeMap<(&str, &str), (ObjectId, Scope)> {
    objects
        .iter()
        .filter(|item| stage_of(&item.key.id.group, &item.key.id.kind) == Stage::Definitions)
        .filter_map(|item| {
            let text = |pointer: &str| item.object.pointer(pointer).and_then(Value::as_str);
            let scope = match text("/spec/scope")? {
                "Cluster" => Scope::Cluster,
                _ => Scope::Namespaced,
            };
            let id = manifest::canonical_id(&item.key.id, Scope::Cluster, "");
            Some((
                (text("/spec/group")?, text("/spec/names/kind")?),
                (id, scope),
            ))
        })
        .collect()
}

fn need_namespaces(targets: &mut [Target], declared: &BTreeSet<ObjectId>) {
    for target in targets {
        let namespace = ObjectId {
            group: String::new(),
            kind: "Namespace".to_owned(),
            namespace: String::new(),
            name: target.id.namespace.clone(),
        };
        if declared.contains(&namespace) {
            target.needs.push(namespace);
        }
    }
}

/// Groups of objects in the order in which they are deleted: each group is gone before the next
/// is touched. Custom resources go before the workloads that may have to finalise them, and
/// before their definitions (facts "agent-reconcile" 1.11, E31).
pub fn deletion_order(ids: impl IntoIterator<Item = ObjectId>) -> Vec<Vec<ObjectId>> {
    let mut stages: BTreeMap<Stage, Vec<ObjectId>> = BTreeMap::new();
    for id in ids {
        stages
            .entry(stage_of(&id.group, &id.kind))
            .or_default()
            .push(id);
    }
    stages.into_values().rev().collect()
}

#[cfg(test)]
mod tests;
