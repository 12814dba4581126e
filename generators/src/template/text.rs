//! Names made from other text, as Argo CD makes them.
//!
//! Never fails on length: both cut.

/// A DNS subdomain made from any text: lower case, everything else than `a-z0-9.-` becomes `-`,
/// at most 253 bytes, no `-` or `.` at the ends. May be empty.
pub(crate) fn normalize(text: &str) -> String {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    let mut name: String = text
        .to_lowercase()
        .chars()
        .map(|c| if allowed(c) { c } else { '-' })
        .collect();
    name.truncate(253);
    name.trim_matches(['-', '.']).to_owned()
}

/// A DNS label made from any text: normalized, words joined by `-`, at most `max` bytes, cut
/// between words when `smart`. May be empty.
pub(crate) fn slugify(text: &str, max: usize, smart: bool) -> String {
    let slug = normalize(text).replace('.', "-");
    let words: Vec<_> = slug.split('-').filter(|word| !word.is_empty()).collect();
    let slug = words.join("-");
    if slug.len() <= max {
        return slug;
    }
    let end = match slug.as_bytes()[..=max]
        .iter()
        .rposition(|byte| *byte == b'-')
    {
        Some(at) if smart => at,
        _ => max,
    };
    slug[..end].trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalized_names() {
        for (text, want) in [
            ("cluster-name", "cluster-name"),
            ("Prod_01/West", "prod-01-west"),
            ("-lead.", "lead"),
            ("Ä_b", "b"),
            ("", ""),
            (&"a".repeat(300), &"a".repeat(253)),
        ] {
            assert_eq!(normalize(text), want, "{text}");
        }
    }

    #[test]
    fn slugs() {
        let long = "feat/a_really+long_pull_request_name_to_test_argo_slugification_and_branch_name_shortening_feature";
        let words = "feat-a-really-long-pull-request-name-to-test-argo";
        assert_eq!(slugify(long, 50, false), words);
        assert_eq!(slugify(long, 53, true), words);
        let joined =
            "feat/areallylongpullrequestnametotestargoslugificationandbranchnameshorteningfeature";
        assert_eq!(slugify(joined, 50, true), "feat");
        assert_eq!(slugify("abcdef", 3, true), "abc");
        assert_eq!(slugify("--A  b@C's--", 50, true), "a-b-c-s");
        assert_eq!(slugify("Ünïcode & more.x", 50, true), "n-code-more-x");
        assert_eq!(slugify("a-b", 0, true), "");
    }
}
