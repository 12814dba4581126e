//! Labels and values one below the other, where a table has no room.
//!
//! Owns how a value is broken into lines: between words only, so that a name, an address or a digest
//! can be copied.

use unicode_width::UnicodeWidthStr as _;

/// How far a value is indented that stands below its label, columns.
const INDENT: usize = 2;

/// A label and its value on a screen of this width, where the longest label has `labels` columns. What
/// would have to be broken beside its label stands below it.
pub fn field(label: &str, value: &str, labels: usize, width: u16) -> Vec<String> {
    let (width, beside) = (usize::from(width), labels + 2);
    let longest = value.split(' ').map(str::width).max();
    let fits = longest.unwrap_or(0) <= width.saturating_sub(beside);
    let indent = if fits { beside } else { INDENT };
    let wrapped = wrap(value, width.saturating_sub(indent).max(1));
    let mut lines: Vec<_> = wrapped
        .iter()
        .map(|line| format!("{}{line}", " ".repeat(indent)))
        .collect();
    match lines.first_mut() {
        Some(first) if fits => {
            let gap = " ".repeat(beside.saturating_sub(label.width()));
            let line = format!("{label}{gap}{}", wrapped[0]);
            line.trim_end().clone_into(first);
        }
        _ => lines.insert(0, label.to_owned()),
    }
    lines
}

/// Lines of whole words; a word that is longer than a line stays whole.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.width() + 1 + word.width() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words_whatever_their_characters_are_wide() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("東京 大阪 名古屋", 9), ["東京 大阪", "名古屋"]);
        assert_eq!(
            wrap("a-name-that-is-long it", 6),
            ["a-name-that-is-long", "it"]
        );
    }

    #[test]
    fn a_value_that_has_no_room_stands_below_its_label() {
        assert_eq!(field("ID", "one two", 4, 10), ["ID    one", "      two"]);
        assert_eq!(field("ID", "0123456789", 4, 12), ["ID", "  0123456789"]);
        assert_eq!(field("ID", "", 4, 12), ["ID"]);
    }
}
