//! Base64 as Go reads it (`encoding/base64`): line ends and stray bits at the end do not count. Pure.

use base64::{
    Engine as _, alphabet,
    engine::{GeneralPurpose, GeneralPurposeConfig},
};

/// Line ends are taken out before.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// Reads a text; where it is wrong if it is, in bytes from its beginning.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, usize> {
    let bare: String = text.chars().filter(|it| !is_line_end(*it)).collect();
    LENIENT.decode(bare).map_err(|_| wrong_at(text.as_bytes()))
}

/// The one form in which bytes are kept.
pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    LENIENT.encode(bytes)
}

fn is_line_end(it: char) -> bool {
    it == '\n' || it == '\r'
}

/// Where Go stops reading a text that is no base64.
fn wrong_at(text: &[u8]) -> usize {
    let part_of = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    let mut rest = text.iter().enumerate();
    let mut rest = rest
        .by_ref()
        .filter(|(_, it)| !is_line_end(char::from(**it)));
    let mut read = 0;
    while let Some((at, byte)) = rest.next() {
        match (byte, read % 4) {
            (byte, _) if part_of(*byte) => read += 1,
            // Padding, and what stands after it.
            (b'=', 2) => {
                return match rest.next() {
                    Some((_, b'=')) => rest.next().map_or(text.len(), |(at, _)| at),
                    Some((at, _)) => at - 1,
                    None => text.len(),
                };
            }
            (b'=', 3) => return rest.next().map_or(text.len(), |(at, _)| at),
            _ => return at,
        }
    }
    // Cut off within four signs.
    text.len() - read % 4
}
