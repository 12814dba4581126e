//! Words on a screen: made harmless, and coloured where that helps.

use clap::builder::styling::{AnsiColor, Style};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Colours words, or leaves them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Paint {
    /// Whether colour is wanted.
    pub on: bool,
}

impl Paint {
    /// A state word (health, run, wave, member) in the colour of how good it is.
    pub fn state(self, word: &str) -> String {
        let colour = match word {
            "Healthy" | "Succeeded" | "Soaked" | "Done" | "Unchanged" | "Connected" => {
                AnsiColor::Green
            }
            "Degraded" | "Failed" | "TimedOut" | "Missing" | "Breached" | "RolledBack"
            | "RollbackFailed" | "RollingBack" | "Reverting" | "Reverted" | "Disconnected" => {
                AnsiColor::Red
            }
            "WaitingGate" | "Paused" | "Suspended" | "Unreachable" | "Deferred" | "Unknown"
            | "Cancelled" | "Superseded" | "Pinned" => AnsiColor::Yellow,
            _ => return word.to_owned(),
        };
        if !self.on {
            return word.to_owned();
        }
        let style = Style::new().fg_color(Some(colour.into()));
        format!("{style}{word}{style:#}")
    }
}

/// The text on one line and without control characters: what the hub tells may come from a Git
/// repository or a cluster, and must not steer the user's terminal.
pub fn plain(text: &str) -> String {
    harmless(text.trim())
}

/// The same, with the white space around it.
pub fn harmless(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\r' | '\t' => clean.push(' '),
            character if character.is_control() => clean.push('\u{fffd}'),
            // Marks that turn the direction of text around (Unicode TR9) hide what stands there.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => clean.push('\u{fffd}'),
            character => clean.push(character),
        }
    }
    clean
}

/// The beginning of a digest or commit that tells it from others at a glance.
pub fn short(digest: &str) -> String {
    let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
    plain(hex).chars().take(12).collect()
}

/// At most `width` columns of a screen, marked where something was cut.
pub fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut room = width.saturating_sub(1);
    for character in text.chars() {
        let wide = character.width().unwrap_or(0);
        if wide > room {
            break;
        }
        room -= wide;
        kept.push(character);
    }
    format!("{kept}…")
}

/// `-` for nothing.
pub fn or_dash(text: &str) -> String {
    let text = plain(text);
    if text.is_empty() {
        "-".to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_cannot_steer_a_terminal() {
        assert_eq!(
            plain("a\x1b[31mb\nc\u{202e}d\n"),
            "a\u{fffd}[31mb c\u{fffd}d"
        );
    }

    #[test]
    fn colour_is_only_where_it_is_wanted() {
        assert_eq!(Paint { on: false }.state("Failed"), "Failed");
        assert!(Paint { on: true }.state("Failed").starts_with("\x1b["));
        assert_eq!(Paint { on: true }.state("Rolling"), "Rolling");
    }

    #[test]
    fn what_is_cut_fits_whatever_the_characters_are_wide() {
        assert_eq!(cut("production", 10), "production");
        assert_eq!(cut("production", 5), "prod…");
        assert_eq!(cut("東京都庁", 8), "東京都庁");
        assert_eq!(cut("東京都庁", 6), "東京…");
        assert_eq!(cut("abc", 0), "…");
    }

    #[test]
    fn digests_lose_their_algorithm_and_tail() {
        assert_eq!(short("sha256:0123456789abcdef"), "0123456789ab");
        assert_eq!(short("0123456789abcdef"), "0123456789ab");
    }
}
