//! Whether output is what a story expects.
//!
//! `…` stands for any text within a line; a line that is only `…` stands for any number of lines.
//! Blanks at the end of lines and the width of columns do not count. Without expected lines
//! everything fits.

/// Whether `output` fits the expected lines.
pub fn fits(expected: &[String], output: &str) -> bool {
    if expected.is_empty() {
        return true;
    }
    let lines: Vec<String> = output.trim_end().lines().map(squeeze).collect();
    let wanted: Vec<String> = expected.iter().map(|line| squeeze(line)).collect();
    lines_fit(&wanted, &lines)
}

/// One blank for each run of blanks, none at the end.
fn squeeze(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn lines_fit(wanted: &[String], lines: &[String]) -> bool {
    match wanted.split_first() {
        None => lines.is_empty(),
        Some((first, rest)) if first == "…" => {
            (0..=lines.len()).any(|skipped| lines_fit(rest, &lines[skipped..]))
        }
        Some((first, rest)) => lines
            .split_first()
            .is_some_and(|(line, others)| line_fits(first, line) && lines_fit(rest, others)),
    }
}

fn line_fits(wanted: &str, line: &str) -> bool {
    let mut parts = wanted.split('…');
    let Some(start) = parts.next() else {
        return true;
    };
    let Some(mut rest) = line.strip_prefix(start) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((end, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(end)
}

#[cfg(test)]
mod tests {
    fn fits(expected: &str, output: &str) -> bool {
        super::fits(
            &expected.lines().map(str::to_owned).collect::<Vec<_>>(),
            output,
        )
    }

    #[test]
    fn anything_fits_nothing_expected() {
        assert!(fits("", "some\nlines"));
    }

    #[test]
    fn dots_stand_for_text_and_for_lines() {
        assert!(fits("a … c", "a b b c\n"));
        assert!(fits("a   b", "a b  "));
        assert!(!fits("a … c", "a b d"));
        assert!(fits("one\n…\nlast", "one\ntwo\nthree\nlast"));
        assert!(fits("…\nlast", "last"));
        assert!(!fits("one\nlast", "one\ntwo\nlast"));
        assert!(!fits("one", "one\ntwo"));
        assert!(!fits("x…x", "x"));
    }
}
