//! What an approval gate waits for, in words.

use crate::Quorum;

/// What it has and lacks.
pub(super) fn needs(quorum: &Quorum) -> String {
    let given = quorum.given.join(", ");
    let mut needs = vec![match (quorum.missing, quorum.given.len()) {
        (0, _) => format!("has the approval of {given}"),
        (1, 0) => "needs the approval of a person".to_owned(),
        (missing, 0) => format!("needs the approval of {missing} people"),
        (missing, _) => format!("has the approval of {given} and needs {missing} more"),
    }];
    let required = quorum.required.iter();
    needs.extend(required.map(|rule| format!("one of them by {rule}")));
    let expired = quorum.expired.iter();
    needs.extend(expired.map(|old| format!("that of {old} expired")));
    if let Some((who, why)) = &quorum.rejected {
        needs.push(format!("{who} rejected it ({why})"));
    }
    needs.join(", ")
}

/// What would open it.
pub(super) fn clears(quorum: &Quorum) -> String {
    match &quorum.rejected {
        Some((who, _)) => {
            format!("an approval by {who}, who rejected it, or a newer release instead")
        }
        None if quorum.missing > 1 => format!("{} approvals", quorum.missing),
        None => "an approval".to_owned(),
    }
}
