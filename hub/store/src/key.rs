//! The form of keys: `/tidegate/v1/<kind>/<segment>/…`.
//!
//! Keys are held to one form on every backend, so that a kind can be listed by prefix and no
//! value ends up where nobody looks. Never knows which kinds exist.

use crate::error::Error;

/// What every key starts with.
pub const ROOT: &str = "/tidegate/v1/";

/// Longest key in bytes.
pub const MAX_KEY_BYTES: usize = 1024;

/// Joins a kind and segments to a key.
///
/// # Errors
/// [`Error::Key`] if the kind or a segment is empty or holds a character that keys must not hold,
/// such as `/`.
pub fn join(kind: &str, segments: &[&str]) -> Result<String, Error> {
    let mut key = format!("{ROOT}{kind}");
    for segment in segments {
        if segment.contains('/') {
            return Err(wrong(
                segment,
                "a segment must not contain `/`; encode or hash it",
            ));
        }
        key.push('/');
        key.push_str(segment);
    }
    check(&key)?;
    Ok(key)
}

/// The prefix of every key of `kind` below these segments, `/` included.
///
/// # Errors
/// As [`join`].
pub fn prefix(kind: &str, segments: &[&str]) -> Result<String, Error> {
    let mut prefix = format!("{ROOT}{kind}/");
    for segment in segments {
        prefix.push_str(segment);
        prefix.push('/');
    }
    check_prefix(&prefix)?;
    Ok(prefix)
}

/// Checks that `key` names one entry.
///
/// # Errors
/// [`Error::Key`] with the reason.
pub fn check(key: &str) -> Result<(), Error> {
    let rest = under_root(key)?;
    let mut segments = rest.split('/');
    check_kind(key, segments.next().unwrap_or_default())?;
    let mut names = 0;
    for segment in segments {
        check_segment(key, segment)?;
        names += 1;
    }
    if names == 0 {
        return Err(wrong(key, "a name must follow the kind"));
    }
    Ok(())
}

/// Checks that `prefix` ends at a segment boundary: `/tidegate/v1/run` would also match
/// `/tidegate/v1/runner/…`.
///
/// # Errors
/// [`Error::Key`] with the reason.
pub fn check_prefix(prefix: &str) -> Result<(), Error> {
    let rest = under_root(prefix)?;
    if rest.is_empty() {
        return Ok(());
    }
    let Some(inner) = rest.strip_suffix('/') else {
        return Err(wrong(prefix, "a prefix ends with `/`"));
    };
    let mut segments = inner.split('/');
    check_kind(prefix, segments.next().unwrap_or_default())?;
    segments.try_for_each(|segment| check_segment(prefix, segment))
}

fn under_root(key: &str) -> Result<&str, Error> {
    if key.len() > MAX_KEY_BYTES {
        return Err(wrong(key, "a key is at most 1024 bytes long"));
    }
    key.strip_prefix(ROOT)
        .ok_or_else(|| wrong(key, "a key starts with /tidegate/v1/"))
}

fn check_kind(key: &str, kind: &str) -> Result<(), Error> {
    let fits = kind.starts_with(|c: char| c.is_ascii_lowercase())
        && kind
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if fits {
        Ok(())
    } else {
        Err(wrong(
            key,
            "a kind is lower-case letters, digits and `-`, and starts with a letter",
        ))
    }
}

fn check_segment(key: &str, segment: &str) -> Result<(), Error> {
    if segment.is_empty() {
        Err(wrong(key, "a segment must not be empty"))
    } else if segment.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(())
    } else {
        Err(wrong(
            key,
            "a segment is printable ASCII without spaces; encode or hash it",
        ))
    }
}

fn wrong(key: &str, reason: &'static str) -> Error {
    Error::Key {
        key: key.chars().take(200).collect(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_the_form_pass_and_others_say_why_not() {
        check("/tidegate/v1/run/payments/0190-ab").unwrap();
        check_prefix("/tidegate/v1/").unwrap();
        check_prefix("/tidegate/v1/run/").unwrap();
        check_prefix("/tidegate/v1/run/payments/").unwrap();
        for bad in [
            "",
            "/other/v1/run/a",
            "/tidegate/v1/run",
            "/tidegate/v1/run/",
            "/tidegate/v1/run//a",
            "/tidegate/v1/Run/a",
            "/tidegate/v1/1run/a",
            "/tidegate/v1/run/a b",
            "/tidegate/v1/run/é",
            "/tidegate/v1/run/a\n",
        ] {
            assert!(matches!(check(bad), Err(Error::Key { .. })), "{bad:?}");
        }
        assert!(check(&format!("{ROOT}run/{}", "a".repeat(MAX_KEY_BYTES))).is_err());
    }

    #[test]
    fn a_prefix_must_end_at_a_segment() {
        for bad in [
            "/",
            "/tidegate/v1/run",
            "/tidegate/v1/run/a",
            "/tidegate/v1//",
        ] {
            assert!(check_prefix(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn joining_refuses_a_segment_that_would_become_two() {
        assert_eq!(
            join("run", &["payments", "7"]).unwrap(),
            "/tidegate/v1/run/payments/7"
        );
        assert_eq!(
            prefix("run", &["payments"]).unwrap(),
            "/tidegate/v1/run/payments/"
        );
        assert!(join("run", &["a/b"]).is_err());
        assert!(join("run", &[]).is_err());
        assert!(join("run", &[""]).is_err());
    }
}
