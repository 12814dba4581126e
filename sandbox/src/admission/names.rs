//! Names of objects: which characters they may have, in the server's words.

use crate::{answer::Cause, resources::Resource};

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric \
    characters, '-' or '.', and must start and end with an alphanumeric character (e.g. \
    'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric \
    characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or \
    '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

/// Lists and structs that a built-in kind requires with content.
const WITH_CONTENT: [&str; 4] = ["selector", "containers", "scaleTargetRef", "roleRef"];

/// What is wrong with a name.
pub(super) fn cause(resource: &Resource, name: &str) -> Option<Cause> {
    let cause = |reason, words| Cause {
        field: "metadata.name".to_owned(),
        reason,
        words,
    };
    if name.is_empty() {
        let words = "Required value: name or generateName is required";
        return Some(cause("FieldValueRequired", words.to_owned()));
    }
    let invalid = |rule: &str| {
        let words = format!("Invalid value: {name:?}: {rule}");
        Some(cause("FieldValueInvalid", words))
    };
    match &*resource.kind {
        kind if resource.group == "rbac.authorization.k8s.io" && !kind.is_empty() => match name {
            "." | ".." => invalid(&format!("may not be '{name}'")),
            _ if name.contains('/') => invalid("may not contain '/'"),
            _ if name.contains('%') => invalid("may not contain '%'"),
            _ => None,
        },
        "Namespace" | "Service" if !resource.custom => {
            (!is_label(name) || name.len() > 63).then(|| invalid(LABEL))?
        }
        _ => (!name.split('.').all(is_label) || name.len() > 253).then(|| invalid(SUBDOMAIN))?,
    }
}

fn is_label(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty() && text.chars().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// Whether a built-in kind refuses an object without this required field.
pub(super) fn must_have_content(path: &str) -> bool {
    let name = path.rsplit('.').next().unwrap_or_default();
    WITH_CONTENT.contains(&name)
}
