//! Certificate authorities in a file.
//!
//! Never looks at a private key.

use std::{io, path::Path};

/// The certificates in a PEM file, at least one.
pub(crate) fn certificates(path: &Path) -> io::Result<Vec<reqwest::Certificate>> {
    let pem = std::fs::read(path)?;
    let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(io::Error::other)?;
    if certificates.is_empty() {
        return Err(io::Error::other("it holds no certificate in PEM form"));
    }
    Ok(certificates)
}
