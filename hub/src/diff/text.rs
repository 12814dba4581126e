//! A changed object as people read it: a unified diff of its YAML, masked and bounded.
//!
//! Pure. Never says which objects to show.

use std::time::Duration;

use serde_json::Value;
use similar::TextDiff;

use super::mask::Mask;

/// The most bytes that are told of one object.
const LONGEST: usize = 32 * 1024;
/// Lines around a change.
const CONTEXT: usize = 3;
/// After this long the diff is a coarser one, so that two long texts cost no minutes.
const PATIENCE: Duration = Duration::from_millis(500);

/// A diff, and whether it is longer than what is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// The diff.
    pub diff: String,
    /// There is more of it.
    pub cut: bool,
}

/// What differs between two contents of an object.
pub fn unified(before: Value, after: Value, mask: &Mask) -> Text {
    let (before, after) = (yaml(&mask.hide(before)), yaml(&mask.hide(after)));
    let diff = TextDiff::configure()
        .timeout(PATIENCE)
        .diff_lines(before.as_str(), after.as_str());
    let mut unified = diff.unified_diff();
    unified.context_radius(CONTEXT).missing_newline_hint(false);
    bounded(unified.to_string())
}

/// An object as YAML; as JSON, should it not be possible.
fn yaml(object: &Value) -> String {
    serde_yaml::to_string(object).unwrap_or_else(|_| object.to_string())
}

/// As many whole lines as may be told; the beginning of the first if even that is too long.
fn bounded(diff: String) -> Text {
    if diff.len() <= LONGEST {
        return Text { diff, cut: false };
    }
    let end = diff.floor_char_boundary(LONGEST);
    let end = diff[..end].rfind('\n').map_or(end, |line| line + 1);
    Text {
        diff: diff[..end].to_owned(),
        cut: true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(data: &Value) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "data": data, "metadata": {"name": "a"}})
    }

    #[test]
    fn a_changed_field_stands_between_its_neighbours() {
        let (one, two) = (object(&json!({"x": "one"})), object(&json!({"x": "two"})));
        let text = unified(one, two, &Mask::new([0; 32]));
        assert_eq!(
            text.diff,
            "@@ -1,6 +1,6 @@\n apiVersion: v1\n data:\n-  x: one\n+  x: two\n kind: ConfigMap\n metadata:\n   name: a\n"
        );
        assert!(!text.cut);
    }

    #[test]
    fn a_secret_tells_that_it_changed_and_not_what_it_holds() {
        let secret = |value| json!({"apiVersion": "v1", "kind": "Secret", "stringData": {"password": value}});
        let text = unified(secret("hunter2"), secret("hunter3"), &Mask::new([0; 32]));
        assert!(!text.diff.contains("hunter"), "{}", text.diff);
        let changed = text
            .diff
            .lines()
            .filter(|line| line.contains("password: masked:"));
        assert_eq!(changed.count(), 2, "{}", text.diff);
    }

    #[test]
    fn a_long_diff_is_cut_at_a_line_and_says_so() {
        let long: Vec<_> = (0..LONGEST).map(|n| n.to_string()).collect();
        let text = unified(
            object(&json!([])),
            object(&json!(long)),
            &Mask::new([0; 32]),
        );
        assert!(text.cut && text.diff.ends_with('\n') && text.diff.len() <= LONGEST);
        let one_line = "ü".repeat(LONGEST);
        let text = unified(
            object(&json!("")),
            object(&json!(one_line)),
            &Mask::new([0; 32]),
        );
        assert!(text.cut && text.diff.len() <= LONGEST);
    }
}
