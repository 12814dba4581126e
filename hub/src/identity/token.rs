//! Join tokens: what an agent trades for its first certificate.
//!
//! Owns their form, `tgj1.<id>.<secret>.<SHA-256 of the authority's certificate>`, and the one
//! question whether a token is good. The last part lets the agent check the hub before it shows the
//! secret. Pure but for [`Secrets::random`]: records and time are parameters. Never stores a
//! secret, and never prints one by accident: `Debug` shows the id alone.

use std::fmt;

use jiff::Timestamp;
use rand::{TryRngCore as _, rngs::OsRng};
use sha2::{Digest as _, Sha256};
use tidegate_model::ids::ClusterUid;

use super::Error;
use crate::records::TokenRecord;

/// Form and version of a token.
const PREFIX: &str = "tgj1";

/// The random parts of a token.
#[derive(Clone)]
pub struct Secrets {
    /// Becomes the public id.
    pub id: [u8; 8],
    /// Becomes the secret.
    pub secret: [u8; 32],
}

impl Secrets {
    /// Random bytes of the operating system.
    pub fn random() -> Result<Self, Error> {
        let mut secrets = Self {
            id: [0; 8],
            secret: [0; 32],
        };
        OsRng
            .try_fill_bytes(&mut secrets.id)
            .map_err(Error::Random)?;
        OsRng
            .try_fill_bytes(&mut secrets.secret)
            .map_err(Error::Random)?;
        Ok(secrets)
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}

/// A token as somebody shows it.
#[derive(Clone)]
pub struct Presented {
    /// Its public half, the name of its record.
    pub id: String,
    /// SHA-256 of the authority's certificate of the hub that made it.
    pub authority: [u8; 32],
    secret: [u8; 32],
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Why a token lets nobody in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not of the form.
    #[error(
        "failed to read the join token: expected tgj1.<id>.<secret>.<hash>; copy it whole, as \
         `tidegate cluster join-token` printed it"
    )]
    Malformed,
    /// Never made here, or with another secret; which of the two is not told.
    #[error(
        "failed to use the join token: it is not known to this hub; check the hub's address, or \
         make a new one"
    )]
    Unknown,
    /// Too late.
    #[error("failed to use the join token: it expired at {at}; make a new one")]
    Expired {
        /// When.
        at: Timestamp,
    },
    /// It was traded in already.
    #[error(
        "failed to use the join token: it was used at {at}, and a token is good once; make a new \
         one, and if that was not you, somebody else has joined with it: remove the cluster first"
    )]
    Used {
        /// When.
        at: Timestamp,
    },
}

/// A token for `cluster` of the hub whose authority has this fingerprint: the whole text, for the
/// one answer that gives it out, and what the hub keeps of it.
pub fn mint(
    secrets: &Secrets,
    authority: &[u8; 32],
    cluster: ClusterUid,
    expires_at: Timestamp,
    created_by: &str,
) -> (String, TokenRecord) {
    let id = hex::encode(secrets.id);
    let (secret, authority) = (hex::encode(secrets.secret), hex::encode(authority));
    let text = format!("{PREFIX}.{id}.{secret}.{authority}");
    let record = TokenRecord {
        id,
        secret_hash: Sha256::digest(secrets.secret).into(),
        cluster,
        expires_at,
        used_at: None,
        created_by: created_by.to_owned(),
    };
    (text, record)
}

/// Reads a token. White space around it is forgiven: tokens come from files.
pub fn parse(text: &str) -> Result<Presented, Refusal> {
    let parts: Vec<_> = text.trim().splitn(5, '.').collect();
    let [PREFIX, id, secret, authority] = parts[..] else {
        return Err(Refusal::Malformed);
    };
    bytes_of::<8>(id)?;
    Ok(Presented {
        id: id.to_owned(),
        authority: bytes_of(authority)?,
        secret: bytes_of(secret)?,
    })
}

/// Lower-case hexadecimal of exactly `N` bytes.
fn bytes_of<const N: usize>(text: &str) -> Result<[u8; N], Refusal> {
    let mut bytes = [0; N];
    let upper = text.bytes().any(|b| b.is_ascii_uppercase());
    if upper || hex::decode_to_slice(text, &mut bytes).is_err() {
        return Err(Refusal::Malformed);
    }
    Ok(bytes)
}

/// Whether a token is good, and for which cluster. `record` is the one of its id.
///
/// Whoever lets the cluster in must mark the record as used in the same transaction, on the
/// condition that it has not changed: that is what makes a token good once.
pub fn verify(
    presented: &Presented,
    record: Option<&TokenRecord>,
    now: Timestamp,
) -> Result<ClusterUid, Refusal> {
    // An unknown id and a wrong secret take the same way, so that ids cannot be found out.
    let hash: [u8; 32] = Sha256::digest(presented.secret).into();
    let stored = record.map_or([0; 32], |record| record.secret_hash);
    let same = equal(&hash, &stored);
    let record = record
        .filter(|record| same && record.id == presented.id)
        .ok_or(Refusal::Unknown)?;
    if let Some(at) = record.used_at {
        return Err(Refusal::Used { at });
    }
    if now >= record.expires_at {
        return Err(Refusal::Expired {
            at: record.expires_at,
        });
    }
    Ok(record.cluster)
}

/// Compares without stopping at the first difference. The two are hashes, so what time could tell
/// is of little use; it is not told all the same.
fn equal(a: &[u8; 32], b: &[u8; 32]) -> bool {
    let difference = a.iter().zip(b).fold(0, |sum, (a, b)| sum | (a ^ b));
    std::hint::black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use proptest::prelude::*;

    use super::*;

    const HUB: [u8; 32] = [7; 32];

    fn now() -> Timestamp {
        "2026-03-04T05:06:07Z".parse().unwrap()
    }

    fn uid() -> ClusterUid {
        "0190a0b0-c0d0-7000-8000-000000000001".parse().unwrap()
    }

    /// A good token with this secret, and its record.
    fn made(secret: [u8; 32]) -> (Presented, TokenRecord) {
        let expires_at = now() + SignedDuration::from_hours(1);
        let (text, record) = mint(
            &Secrets { id: [1; 8], secret },
            &HUB,
            uid(),
            expires_at,
            "ada",
        );
        (parse(&text).unwrap(), record)
    }

    #[test]
    fn a_good_token_lets_its_cluster_in() {
        let (token, record) = made([2; 32]);
        assert_eq!(token.id, record.id);
        assert_eq!(token.authority, HUB);
        assert_eq!(verify(&token, Some(&record), now()), Ok(uid()));
    }

    #[test]
    fn the_form_never_changes() {
        let (text, record) = mint(
            &Secrets {
                id: [1; 8],
                secret: [2; 32],
            },
            &HUB,
            uid(),
            now(),
            "ada",
        );
        let expected = format!(
            "tgj1.{}.{}.{}",
            "01".repeat(8),
            "02".repeat(32),
            "07".repeat(32)
        );
        assert_eq!(text, expected);
        // SHA-256 of 32 bytes of 2.
        assert_eq!(
            hex::encode(record.secret_hash),
            "75877bb41d393b5fb8455ce60ecd8dda001d06316496b14dfa7f895656eeca4a"
        );
    }

    #[test]
    fn a_wrong_secret_and_an_unknown_token_look_the_same() {
        let (token, record) = made([2; 32]);
        let (wrong, _) = made([3; 32]);
        assert_eq!(verify(&wrong, Some(&record), now()), Err(Refusal::Unknown));
        assert_eq!(verify(&token, None, now()), Err(Refusal::Unknown));
        let other = TokenRecord {
            id: "ff".repeat(8),
            ..record
        };
        assert_eq!(verify(&token, Some(&other), now()), Err(Refusal::Unknown));
    }

    #[test]
    fn every_bit_of_the_secret_counts() {
        let (_, record) = made([2; 32]);
        for bit in 0..256 {
            let mut secret = [2; 32];
            secret[bit / 8] ^= 1 << (bit % 8);
            let (wrong, _) = made(secret);
            assert_eq!(
                verify(&wrong, Some(&record), now()),
                Err(Refusal::Unknown),
                "bit {bit}"
            );
        }
    }

    #[test]
    fn a_token_is_good_once_and_for_a_while() {
        let (token, record) = made([2; 32]);
        let used = TokenRecord {
            used_at: Some(now()),
            ..record.clone()
        };
        assert_eq!(
            verify(&token, Some(&used), now()),
            Err(Refusal::Used { at: now() })
        );
        let end = record.expires_at;
        let almost = end - SignedDuration::from_millis(1);
        assert_eq!(verify(&token, Some(&record), almost), Ok(uid()));
        assert_eq!(
            verify(&token, Some(&record), end),
            Err(Refusal::Expired { at: end })
        );
    }

    #[test]
    fn whoever_does_not_know_the_secret_learns_nothing_of_the_token() {
        let (_, record) = made([2; 32]);
        let (wrong, _) = made([3; 32]);
        let spent = TokenRecord {
            used_at: Some(now()),
            expires_at: now(),
            ..record
        };
        assert_eq!(verify(&wrong, Some(&spent), now()), Err(Refusal::Unknown));
    }

    #[test]
    fn secrets_are_random_and_never_printed() {
        let (one, two) = (Secrets::random().unwrap(), Secrets::random().unwrap());
        assert!(one.id != two.id && one.secret != two.secret);
        let (text, record) = mint(&one, &HUB, uid(), now(), "ada");
        let secret = hex::encode(one.secret);
        assert!(text.contains(&secret));
        let token = parse(&text).unwrap();
        let refusal = parse(&format!("x{text}")).unwrap_err();
        for printed in [
            format!("{token:?}"),
            format!("{one:?}"),
            format!("{record:?}"),
            refusal.to_string(),
        ] {
            assert!(!printed.contains(&secret), "{printed}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let secrets = Secrets {
            id: [1; 8],
            secret: [2; 32],
        };
        let (good, _) = mint(&secrets, &[0xab; 32], uid(), now(), "ada");
        let parts: Vec<_> = good.split('.').collect();
        for bad in [
            String::new(),
            "tgj1...".to_owned(),
            good.replacen("tgj1", "tgj2", 1),
            good.replace("ab", "AB"),
            format!("{good}.x"),
            format!("{good}0"),
            good[..good.len() - 1].to_owned(),
            parts[..3].join("."),
            good.replacen("01", "0g", 1),
            good.replacen('.', "/", 1),
        ] {
            assert_eq!(parse(&bad).map(|_| ()), Err(Refusal::Malformed), "{bad}");
        }
        assert!(parse(&format!(" {good}\n")).is_ok());
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in "tgj1[.0-9a-f]{0,160}|.*") {
            prop_assert!(parse(&text).is_err());
        }
    }
}
