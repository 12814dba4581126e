//! Names as DNS has them (RFC 1123), which is what Kubernetes allows for most names.
//!
//! Never changes a name to make it fit: that is a template's `normalize`.

/// What a label must look like; ends a message.
pub const LABEL_RULE: &str = "at most 63 of a-z, 0-9 and -, with a letter or digit at both ends";

/// What a subdomain must look like; ends a message.
pub const SUBDOMAIN_RULE: &str =
    "at most 253 of a-z, 0-9, - and ., with a letter or digit at both ends of every part";

/// Whether `name` is a DNS label.
pub fn is_label(name: &str) -> bool {
    name.len() <= 63 && is_part(name)
}

/// Whether `name` is a DNS subdomain. As in Kubernetes, its parts may be longer than a label.
pub fn is_subdomain(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_part)
}

fn is_part(part: &str) -> bool {
    let inner = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = part.as_bytes();
    bytes.first().is_some_and(inner)
        && bytes.last().is_some_and(inner)
        && bytes.iter().all(|byte| inner(byte) || *byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, label, subdomain) in [
            ("a", true, true),
            ("a-1", true, true),
            ("a.b-c", false, true),
            ("", false, false),
            ("-a", false, false),
            ("a-", false, false),
            ("a..b", false, false),
            ("a.-b", false, false),
            ("A", false, false),
            ("a_b", false, false),
            ("ä", false, false),
            (&"a".repeat(63), true, true),
            (&"a".repeat(64), false, true),
            (&"a".repeat(254), false, false),
        ] {
            assert_eq!(is_label(name), label, "{name}");
            assert_eq!(is_subdomain(name), subdomain, "{name}");
        }
    }
}
