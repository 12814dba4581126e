//! What a release may bring again after a rollback.
//!
//! Owns the rules of pins and denies for candidates. A candidate that is held keeps being computed
//! and shown; it is not released. Never writes: the hub deletes the pins that opened, in the
//! transaction that makes the release.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_model::{
    deny::{Deny, Pin, PinRelease},
    digest::Digest,
    ids::AppUid,
};

use crate::mutant::{self, Mutant};

/// The content that an application would get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The application.
    pub app: AppUid,
    /// Its bundle.
    pub bundle: Digest,
    /// Every object of the bundle, as a deny would name it.
    pub objects: Vec<Deny>,
}

/// Whether a candidate may be released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admit {
    /// It may. It becomes a new release, so it starts again at the first wave.
    Go {
        /// The application had a pin, and this content opens it.
        opens_pin: bool,
    },
    /// It waits.
    Held {
        /// Why and what would let it through, for people.
        reason: String,
        /// A pin holds it; otherwise denied content does, which waits for a change of content.
        pinned: bool,
    },
}

impl Admit {
    /// Whether it waits.
    pub fn is_held(&self) -> bool {
        matches!(self, Self::Held { .. })
    }
}

/// Judges each candidate. `pins` and `denies` are those of the set; a denied object is denied in
/// whatever application of the set it turns up.
pub fn admit(
    candidates: &[Candidate],
    pins: &[Pin],
    denies: &BTreeSet<Deny>,
) -> BTreeMap<AppUid, Admit> {
    let pins: BTreeMap<_, _> = pins.iter().map(|pin| (pin.app, pin)).collect();
    let judge = |candidate: &Candidate| judge(candidate, pins.get(&candidate.app).copied(), denies);
    candidates
        .iter()
        .map(|candidate| (candidate.app, judge(candidate)))
        .collect()
}

fn judge(candidate: &Candidate, pin: Option<&Pin>, denies: &BTreeSet<Deny>) -> Admit {
    let bad: Vec<_> = candidate
        .objects
        .iter()
        .filter(|object| denies.contains(object) && !mutant::on(Mutant::DenyIgnored))
        .collect();
    if !bad.is_empty() {
        let reason = denied(&bad);
        let reason = match pin {
            Some(pin) => format!("{reason}, or unpin the application ({})", said(pin)),
            None => format!("{reason}, or remove the denies"),
        };
        return Admit::Held {
            reason,
            pinned: pin.is_some(),
        };
    }
    let Some(pin) = pin.filter(|_| !mutant::on(Mutant::PinIgnored)) else {
        return Admit::Go { opens_pin: false };
    };
    let problem = match pin.release {
        PinRelease::Changed if candidate.bundle != pin.bad => None,
        PinRelease::Changed => Some("it is what was rolled back; change it in the source"),
        PinRelease::Converged if candidate.bundle == pin.bundle => None,
        PinRelease::Converged => {
            Some("it is not yet what the application is pinned to; revert the source")
        }
        PinRelease::Manual => Some("the pin opens by unpin only"),
    };
    match problem {
        None => Admit::Go { opens_pin: true },
        Some(problem) => Admit::Held {
            reason: format!("{problem}, or unpin the application ({})", said(pin)),
            pinned: true,
        },
    }
}

/// What is denied of a candidate, and what to do.
fn denied(bad: &[&Deny]) -> String {
    let whole = bad.iter().any(|deny| deny.is_whole());
    let objects = bad.iter().filter(|deny| !deny.is_whole());
    let objects: Vec<_> = objects.map(|deny| deny.object.to_string()).collect();
    match objects.len() {
        0 if whole => "it is exactly what was rolled back; change it in the source".to_owned(),
        count => format!(
            "it holds content that was rolled back: {}; change {} in the source",
            objects.join(", "),
            if count == 1 {
                "this object"
            } else {
                "these objects"
            },
        ),
    }
}

fn said(pin: &Pin) -> String {
    format!(
        "pinned to {} by {}: {}",
        pin.bundle.short(),
        pin.actor,
        pin.reason
    )
}
