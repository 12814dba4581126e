//! As many steps as one transaction takes.
//!
//! Owns which steps may share the facts that they saw. A wave that is through soaks, is done, and the
//! next stands open: three steps, each a decision with its record, and nothing in the world can come
//! between them but what the next look at it would see as well. Never decides.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tidegate_model::run::{Member, MemberId, Run};

use crate::{
    Effect, Facts, Step,
    step::{advance, same_but_clock, step},
};

/// What some steps come to, to be stored together.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "what is not committed never happened"]
pub struct Walk {
    /// The header after the last of them.
    pub run: Run,
    /// The members that changed, at most [`Step::MAX_MEMBERS`].
    pub changed: BTreeMap<MemberId, Member>,
    /// In the order in which they were decided.
    pub effects: Vec<Effect>,
}

/// The most steps of a walk.
const STEPS: usize = 8;
/// The most members and effects of all steps but the first, which fits by itself.
const OPERATIONS: usize = 90;

/// Moves a run by one step, and on while the facts are what the next step would see too: nothing was
/// assigned, and no person's word was carried out, which is to be seen and stored first.
pub fn walk(
    run: &Run,
    members: &BTreeMap<MemberId, Member>,
    facts: &Facts,
    now: Timestamp,
) -> Walk {
    let mut walk = one(run, members, facts, now);
    let mut asked = run.request.is_some();
    let mut last_moved = is_moved(run, &mut walk);
    let mut after = members.clone();
    for _ in 1..STEPS {
        if asked || !last_moved || !walk.effects.iter().all(is_only_told) {
            break;
        }
        after.extend(walk.changed.clone());
        let mut next = one(&walk.run, &after, facts, now);
        last_moved = is_moved(&walk.run, &mut next);
        if !last_moved || !fits(&walk, &next) || next.effects.iter().any(sticks) {
            break;
        }
        asked = walk.run.request.is_some();
        walk.run = next.run;
        walk.changed.extend(next.changed);
        walk.effects.extend(next.effects);
    }
    walk
}

fn one(run: &Run, members: &BTreeMap<MemberId, Member>, facts: &Facts, now: Timestamp) -> Walk {
    if cfg!(debug_assertions) {
        // Held to the invariants, which ask for its report too.
        let Step {
            run,
            changed,
            effects,
            ..
        } = step(run, members, facts, now);
        return Walk {
            run,
            changed,
            effects,
        };
    }
    let (run, changed, effects) = advance(run, members, facts, now);
    Walk {
        run,
        changed,
        effects,
    }
}

fn is_moved(before: &Run, walk: &mut Walk) -> bool {
    !walk.changed.is_empty() || !walk.effects.is_empty() || !same_but_clock(before, &mut walk.run)
}

/// Whether no fact tells of it.
fn is_only_told(effect: &Effect) -> bool {
    matches!(effect, Effect::Audit(_) | Effect::RecordLastGood { .. })
}

/// Whether it is a pin or a deny. What these come to may be too much for the transaction of its own
/// step, and then goes ahead of it: the run must stand on its way back by then.
fn sticks(effect: &Effect) -> bool {
    matches!(effect, Effect::Pin(_) | Effect::Deny { .. })
}

fn fits(walk: &Walk, next: &Walk) -> bool {
    let new = next.changed.keys();
    let new = new.filter(|id| !walk.changed.contains_key(id)).count();
    let members = walk.changed.len() + new;
    members <= Step::MAX_MEMBERS && members + walk.effects.len() + next.effects.len() <= OPERATIONS
}
