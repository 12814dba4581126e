//! Join tokens as the agent reads them: `tgj1.<id>.<secret>.<SHA-256 of the hub's authority>`.
//!
//! The last part lets the agent know the hub before it shows the secret. Never prints the secret.

use std::{fmt, str::FromStr};

/// Form and version of a token.
const PREFIX: &str = "tgj1";

/// A join token.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    text: String,
    id: String,
    authority: [u8; 32],
}

/// Not a join token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "failed to read the join token: expected tgj1.<id>.<secret>.<hash>; copy it whole, as `tidegate cluster join-token` printed it"
)]
pub struct ParseTokenError;

impl FromStr for JoinToken {
    type Err = ParseTokenError;

    fn from_str(text: &str) -> Result<Self, ParseTokenError> {
        let text = text.trim();
        let parts: Vec<_> = text.split('.').collect();
        let [PREFIX, id, secret, authority] = parts.as_slice() else {
            return Err(ParseTokenError);
        };
        let mut hash = [0; 32];
        hex::decode_to_slice(authority, &mut hash).map_err(|_| ParseTokenError)?;
        if id.is_empty() || secret.is_empty() {
            return Err(ParseTokenError);
        }
        Ok(Self {
            text: text.to_owned(),
            id: (*id).to_owned(),
            authority: hash,
        })
    }
}

impl JoinToken {
    /// Its public part.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// SHA-256 of the DER of the certificate of the hub's authority.
    pub(super) fn authority(&self) -> [u8; 32] {
        self.authority
    }

    /// The whole token, to be sent to the hub that it was made by.
    pub(super) fn reveal(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinToken")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_whole_or_not_at_all_and_never_printed() {
        let hash = "ab".repeat(32);
        let text = format!(" tgj1.0011.secret.{hash}\n");
        let token: JoinToken = text.parse().unwrap();
        assert_eq!((token.id(), token.authority()), ("0011", [0xab; 32]));
        assert_eq!(token.reveal(), text.trim());
        assert!(!format!("{token:?}").contains("secret"), "{token:?}");
        for bad in [
            String::new(),
            format!("tgj2.0011.secret.{hash}"),
            format!("tgj1.0011.secret.{}", &hash[1..]),
            format!("tgj1.0011.secret.{hash}.more"),
            format!("tgj1..secret.{hash}"),
            format!("tgj1.0011..{hash}"),
        ] {
            assert_eq!(bad.parse::<JoinToken>(), Err(ParseTokenError), "{bad}");
        }
    }
}
