//! Who may speak to the hub, and what they may ask of it.
//!
//! Owns the certificate authority, the reading of identities from certificates, join tokens, and
//! the one authoriser that every call passes. An identity comes from the TLS session and from
//! nowhere else (design, decision 8); what is not allowed by name is denied. Never opens a
//! connection and never writes to the store: roles and registered clusters are asked for, time is
//! a parameter.

mod authority;
pub mod authorize;
mod csr;
mod files;
pub mod layer;
mod server;
mod spiffe;
pub mod tls;
pub mod token;

use std::{io, path::PathBuf};

pub use self::{
    authority::{Authority, NewUser, Signed},
    authorize::Caller,
    layer::{AuthLayer, Standing},
    server::ServerCertificate,
    spiffe::{IdentityError, Peer, TrustDomain, check_user_name},
};

/// What can go wrong with certificates and their files.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A hub with another name lives here; its authority is never replaced.
    #[error(
        "failed to make a certificate authority for {wanted}: {} is the one of {found}; use \
         another state directory", path.display()
    )]
    Exists {
        /// The authority's file.
        path: PathBuf,
        /// The trust domain that was asked for.
        wanted: TrustDomain,
        /// The trust domain that is there.
        found: TrustDomain,
    },
    /// A file that `init` makes is not there.
    #[error(
        "failed to find {}: run `tidegate-hub init` first, or name the state directory that it \
         made", path.display()
    )]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// Everybody on the machine can read the private key.
    #[error(
        "failed to use {}: everybody may read or write it (mode {mode:04o}), so its key may have \
         been copied: make a new hub if so, else chmod 600 it", path.display()
    )]
    OpenToAll {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file could not be read or written.
    #[error("failed to {action} {}", path.display())]
    File {
        /// `read`, `write`, ….
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("failed to use {}: {problem}; restore it from a backup", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The authority can sign nothing at this time.
    #[error(
        "failed to sign a certificate: the certificate authority is good from {from} to {to}, now \
         is {now}; check the hub's clock, or make a new hub"
    )]
    OutOfTime {
        /// First moment.
        from: jiff::Timestamp,
        /// Last moment.
        to: jiff::Timestamp,
        /// Now.
        now: jiff::Timestamp,
    },
    /// A certificate request cannot be used.
    #[error("failed to use the certificate request: {0}")]
    Request(String),
    /// A name cannot be part of an identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The name of a listener is neither a DNS name nor an address.
    #[error("failed to use {name:?} as a name of the hub: expected a DNS name or an IP address")]
    ServerName {
        /// What was given.
        name: String,
    },
    /// The operating system gave no random bytes.
    #[error("failed to get random bytes from the operating system")]
    Random(#[source] rand::rand_core::OsError),
    /// The cryptography library refused.
    #[error("failed to make a certificate")]
    Certificate(#[from] rcgen::Error),
    /// The TLS library refused.
    #[error("failed to set TLS up: {0}")]
    Tls(String),
}

impl Error {
    /// Whether whoever asked for the certificate is to blame, and not the hub.
    pub fn is_callers_fault(&self) -> bool {
        matches!(self, Self::Request(_) | Self::Identity(_))
    }
}
