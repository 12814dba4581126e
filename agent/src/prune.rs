//! The gate before every delete that a bundle implies (facts "agent-reconcile" 1.4).
//!
//! Pure. Everything must speak for a delete: every apply of this generation done, the kind freshly
//! discovered, few objects, nothing that no manifest can bring back; otherwise it waits for a
//! person, and says what for. Never deletes: [`crate::delete`] does, with proofs of its own.

use tidegate_model::{ids::Generation, object::ObjectId, report::HeldPrune};

use crate::{inventory::Inventory, stage::is_protected};

/// More than this many objects *and* more than [`MOST_PERCENT`] of the inventory wait for a person.
pub const MOST_OBJECTS: usize = 20;
/// See [`MOST_OBJECTS`].
pub const MOST_PERCENT: usize = 30;

/// What the gate looks at.
pub struct Input<'a> {
    /// Objects of the inventory that the content does not declare and no other application does.
    pub leftovers: &'a [ObjectId],
    /// Everything that may be in the cluster.
    pub inventory: &'a Inventory,
    /// Generation of the content.
    pub generation: Generation,
    /// Number of objects that the content declares.
    pub declared: usize,
    /// The application's policy.
    pub prune: bool,
    /// Whether a person approved the prune of this very content.
    pub approved: bool,
    /// Whether every object of the content is applied.
    pub all_applied: bool,
    /// Whether an object cannot go now, and why: its kind is not discovered, another application
    /// lives in it.
    pub blocked: &'a dyn Fn(&ObjectId) -> Option<String>,
}

impl std::fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input")
            .field("leftovers", &self.leftovers)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

/// What the gate says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// Objects that may go now.
    pub delete: Vec<ObjectId>,
    /// Objects that are held back.
    pub held: Option<HeldPrune>,
}

/// Decides about every leftover.
pub fn decide(input: &Input<'_>) -> Decision {
    let leftovers = input.leftovers;
    if leftovers.is_empty() {
        return Decision::default();
    }
    if let Some(reason) = hold_all(input) {
        return Decision {
            delete: Vec::new(),
            held: Some(HeldPrune {
                count: count_of(leftovers.len()),
                reason: format!("{reason}: {}", some_of(leftovers)),
            }),
        };
    }
    let mut decision = Decision::default();
    let mut reasons: Vec<(String, Vec<ObjectId>)> = Vec::new();
    for id in leftovers {
        match hold_one(id, input) {
            None => decision.delete.push(id.clone()),
            Some(reason) => match reasons.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, ids)) => ids.push(id.clone()),
                None => reasons.push((reason, vec![id.clone()])),
            },
        }
    }
    let count: usize = reasons.iter().map(|(_, ids)| ids.len()).sum();
    let texts: Vec<_> = reasons
        .into_iter()
        .map(|(reason, ids)| format!("{reason}: {}", some_of(&ids)))
        .collect();
    if count > 0 {
        decision.held = Some(HeldPrune {
            count: count_of(count),
            reason: texts.join("; "),
        });
    }
    decision
}

/// A reason that holds every leftover back.
fn hold_all(input: &Input<'_>) -> Option<String> {
    let (count, total) = (input.leftovers.len(), input.inventory.len());
    if !input.prune {
        return Some("the policy says prune: false".to_owned());
    }
    if !input.all_applied {
        return Some("not every object of this generation is applied yet".to_owned());
    }
    if input.approved {
        return None;
    }
    if input.declared == 0 {
        return Some("the content is empty; approve the prune if that is meant".to_owned());
    }
    if count >= total {
        return Some(
            "nothing of what is in the cluster would be left; approve the prune if that is meant"
                .to_owned(),
        );
    }
    let many = count > MOST_OBJECTS && count * 100 > total * MOST_PERCENT;
    many.then(|| {
        format!(
            "{count} of {total} objects would go, the limit is {MOST_OBJECTS} objects and {MOST_PERCENT} %; approve the prune if that is meant"
        )
    })
}

/// A reason that holds this one back.
fn hold_one(id: &ObjectId, input: &Input<'_>) -> Option<String> {
    if let Some(reason) = (input.blocked)(id) {
        return Some(reason);
    }
    if input.approved {
        return None;
    }
    if is_protected(&id.group, &id.kind) {
        return Some(
            "deleting it destroys what it holds; approve the prune if that is meant".to_owned(),
        );
    }
    let found_at = input.inventory.entries().get(id)?.found_at?;
    (found_at >= input.generation)
        .then(|| "known from before state was lost; the next generation prunes it".to_owned())
}

fn count_of(objects: usize) -> u32 {
    u32::try_from(objects).unwrap_or(u32::MAX)
}

/// The first names, and how many more.
fn some_of(ids: &[ObjectId]) -> String {
    const NAMED: usize = 5;
    let named: Vec<_> = ids.iter().take(NAMED).map(ToString::to_string).collect();
    match ids.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(kind: &str, n: usize) -> ObjectId {
        let group = match kind {
            "StatefulSet" => "apps",
            "CustomResourceDefinition" => "apiextensions.k8s.io",
            _ => "",
        };
        ObjectId {
            group: group.into(),
            kind: kind.into(),
            namespace: "n".into(),
            name: format!("{n:03}"),
        }
    }

    struct Case {
        leftovers: Vec<ObjectId>,
        total: usize,
        approved: bool,
        change: fn(&mut Input<'_>),
    }

    fn case(leftovers: usize, total: usize) -> Case {
        Case {
            leftovers: (0..leftovers).map(|n| id("ConfigMap", n)).collect(),
            total,
            approved: false,
            change: |_| {},
        }
    }

    fn run(case: &Case) -> (usize, u32, String) {
        let mut inventory = Inventory::default();
        let all: Vec<_> = (0..case.total).map(|n| id("ConfigMap", n)).collect();
        inventory.enter_found(id("Found", 1), "v1".into(), "u".into(), Generation(7));
        let known = case.leftovers.iter().filter(|id| id.kind != "Found");
        inventory.enter(all.iter().chain(known).map(|id| (id, "v1")));
        let mut input = Input {
            leftovers: &case.leftovers,
            inventory: &inventory,
            generation: Generation(7),
            declared: 1,
            prune: true,
            approved: case.approved,
            all_applied: true,
            blocked: &|_| None,
        };
        (case.change)(&mut input);
        let decision = decide(&input);
        let held = decision.held.unwrap_or(HeldPrune {
            count: 0,
            reason: String::new(),
        });
        (decision.delete.len(), held.count, held.reason)
    }

    #[test]
    fn few_go_and_many_wait_for_a_person() {
        assert_eq!(run(&case(10, 100)).0, 10);
        assert_eq!(run(&case(20, 21)).0, 20, "20 are not more than 20");
        assert_eq!(run(&case(40, 1000)).0, 40, "4 % are not more than 30 %");
        let (deleted, held, reason) = run(&case(40, 100));
        assert_eq!((deleted, held), (0, 40));
        assert!(
            reason.contains("40 of 101") && reason.contains("and 35 more"),
            "{reason}"
        );
        assert_eq!(
            run(&Case {
                approved: true,
                ..case(40, 100)
            })
            .0,
            40
        );
    }

    #[test]
    fn never_everything_and_never_for_empty_content_without_approval() {
        let empty = Case {
            change: |input| input.declared = 0,
            ..case(1, 100)
        };
        assert!(run(&empty).2.contains("empty"));
        assert_eq!(
            run(&Case {
                approved: true,
                ..empty
            })
            .0,
            1
        );
        let all = Case {
            leftovers: (0..2)
                .map(|n| id("ConfigMap", n))
                .chain([id("Found", 1)])
                .collect(),
            ..case(0, 2)
        };
        assert!(run(&all).2.contains("nothing of what is in the cluster"));
    }

    #[test]
    fn no_approval_overrides_policy_failed_applies_and_blocks() {
        for (change, word) in [
            (
                (|input| input.prune = false) as fn(&mut Input<'_>),
                "prune: false",
            ),
            (|input| input.all_applied = false, "applied yet"),
            (
                |input| input.blocked = &|_| Some("stale".to_owned()),
                "stale",
            ),
        ] {
            let (deleted, held, reason) = run(&Case {
                approved: true,
                change,
                ..case(3, 10)
            });
            assert_eq!((deleted, held), (0, 3));
            assert!(reason.contains(word), "{reason}");
        }
    }

    #[test]
    fn protected_kinds_wait_alone() {
        for kind in [
            "Namespace",
            "PersistentVolume",
            "PersistentVolumeClaim",
            "StatefulSet",
            "CustomResourceDefinition",
        ] {
            let leftovers = vec![id("ConfigMap", 1), id(kind, 500)];
            let waiting = Case {
                leftovers,
                ..case(0, 50)
            };
            let (deleted, held, reason) = run(&waiting);
            assert_eq!((deleted, held), (1, 1), "{kind}");
            assert!(reason.contains(kind), "{reason}");
            assert_eq!(
                run(&Case {
                    approved: true,
                    ..waiting
                })
                .0,
                2
            );
        }
    }

    #[test]
    fn what_was_found_by_label_waits_for_a_new_word() {
        let found = Case {
            leftovers: vec![id("Found", 1)],
            ..case(0, 50)
        };
        assert_eq!(run(&found).1, 1);
        assert_eq!(
            run(&Case {
                change: |input| input.generation = Generation(8),
                ..found
            })
            .0,
            1
        );
    }
}
