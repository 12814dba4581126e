//! What else must be given before and after a wave.
//!
//! Owns the documents of gates. Never says whether one is open: `tidegate-waves` does.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{AlarmClear, Analysis, Webhook, Window};
use crate::duration::Span;

/// What else must be given before and after a wave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gates {
    /// Before the first member is assigned; windows before every member.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<Gate>,
    /// After the soak.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<Gate>,
}

/// One gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Gate {
    /// People say yes to this run, wave and content.
    Approval(ApprovalGate),
    /// The time must be right, for every assignment of the wave and not for its first only. Stands
    /// among the gates and not beside the waves: which times suit is a property of the wave, and a
    /// list that waves share is written with a YAML anchor.
    Window(Window),
    /// An alarm must not fire.
    AlarmClear(AlarmClear),
    /// Somebody's service must let the run through.
    Webhook(Webhook),
    /// A sample must pass. Asked until one does: no sample of a gate fails the run.
    Analysis(Analysis),
}

impl Gate {
    /// The approval, if it is one.
    pub fn approval(&self) -> Option<&ApprovalGate> {
        match self {
            Self::Approval(gate) => Some(gate),
            _ => None,
        }
    }

    /// The window, if it is one.
    pub fn window(&self) -> Option<&Window> {
        match self {
            Self::Window(window) => Some(window),
            _ => None,
        }
    }

    /// Whether people are asked.
    pub fn is_approval(&self) -> bool {
        self.approval().is_some()
    }
}

/// The yes of as many people as are needed (facts/promotion.md §2.4, 20).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApprovalGate {
    /// So many different people.
    #[serde(default = "one")]
    pub min_approvals: u32,
    /// Whose word counts; everybody who may approve runs when it is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvers: Vec<Approver>,
    /// The word of who made the release does not count.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub separation_of_duties: bool,
    /// How long a yes is good for while the gate is closed; for ever when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Span>,
}

impl Default for ApprovalGate {
    fn default() -> Self {
        Self {
            min_approvals: one(),
            approvers: Vec::new(),
            separation_of_duties: false,
            expires: None,
        }
    }
}

fn one() -> u32 {
    1
}

/// Whose word counts: a group or a user, exactly one of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Approver {
    /// Anybody of this group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// This user.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// Without a yes that this matches, the gate stays closed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
}

impl Approver {
    /// Whether it means this user with these groups.
    pub fn matches(&self, user: &str, groups: &[String]) -> bool {
        if self.group.is_empty() {
            self.user == user
        } else {
            groups.contains(&self.group)
        }
    }
}

impl fmt::Display for Approver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() {
            write!(f, "user {}", self.user)
        } else {
            write!(f, "group {}", self.group)
        }
    }
}
