//! Names as `-o name` prints them: KIND/NAME.

/// The name without its kind; another kind's is part of a name, and found by nobody.
pub fn bare<'a>(name: &'a str, kind: &str) -> &'a str {
    name.strip_prefix(kind)
        .and_then(|rest| rest.strip_prefix('/'))
        .unwrap_or(name)
}
