//! Warnings of a set: what renders but should be looked at, such as a plain Secret in Git.
//!
//! Pure. Owns their words and their bound. Never holds anything back: what must wait is a hold,
//! what failed is a problem.

use std::collections::BTreeSet;

use tidegate_model::source::Source;
use tidegate_render::Warning;

use super::Candidate;

/// The most warnings of a set that are told one by one.
const TOLD: usize = 20;
/// The most characters of one; paths in a repository may be long.
const LENGTH: usize = 1_000;

/// A warning with the source it came from: a set may have several, with files of the same name.
pub fn of(source: &Source, warning: &Warning) -> String {
    let text = format!(
        "{} at {}: {warning}",
        source.repo_url, source.target_revision
    );
    match text.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// What a person is told: the same once, however many applications render it, by name of the
/// first application that does, and the rest as a number.
pub fn told(candidate: &Candidate) -> Vec<String> {
    let rendered = candidate.apps.values();
    let all = rendered
        .filter_map(|app| app.content.as_ref().ok())
        .flat_map(|content| content.warnings.iter());
    let mut seen = BTreeSet::new();
    let mut told = Vec::new();
    for warning in all {
        if seen.insert(warning) && told.len() < TOLD {
            told.push(warning.clone());
        }
    }
    let more = seen.len() - told.len();
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    told
}
