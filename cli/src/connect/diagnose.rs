//! Why a connection failed, out of the chain of errors that reports it.
//!
//! Owns the knowledge of how TLS failures look from this side. Never decides what to do about them.

use std::{error::Error as StdError, io};

use jiff::Timestamp;
use rustls::{AlertDescription, CertificateError, InvalidMessage};

use super::Error;

/// What went wrong between us and `address`, if it is something about certificates.
pub(super) fn connection(
    error: &(dyn StdError + 'static),
    address: &str,
    context: &str,
) -> Option<Error> {
    let untrusted = |cause: &str| Error::Untrusted {
        address: address.to_owned(),
        cause: cause.to_owned(),
    };
    let refused = |cause: String| Error::Refused {
        address: address.to_owned(),
        context: context.to_owned(),
        cause,
    };
    match find_tls(error) {
        Some(rustls::Error::InvalidCertificate(problem)) => Some(untrusted(&certificate(problem))),
        Some(rustls::Error::AlertReceived(alert)) => Some(refused(told(*alert))),
        Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => Some(untrusted(
            "it does not speak TLS; is this the hub's gRPC port, and is the address right? (--server, \
             or server in the configuration)",
        )),
        Some(other) => Some(untrusted(&other.to_string())),
        // HTTP/2 keeps only the text of what ended a connection.
        None => innermost(error)
            .split_once("received fatal alert: ")
            .map(|(_, alert)| refused(alert_in_words(alert))),
    }
}

/// The last error of the chain, which is the one that says what happened.
pub(super) fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut last = error;
    while let Some(next) = below(last) {
        last = next;
    }
    last.to_string()
}

fn find_tls<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    let mut current = Some(error);
    while let Some(error) = current {
        if let Some(tls) = error.downcast_ref() {
            return Some(tls);
        }
        current = below(error);
    }
    None
}

/// The next error down. An `io::Error` that wraps another passes over it in `source`.
fn below<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref)
    {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

fn certificate(problem: &CertificateError) -> String {
    match problem {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "its certificate is not signed by the context's caData; it is another hub, or its \
             authority was renewed: take caData from its administrator"
                .to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            let at = match problem {
                CertificateError::ExpiredContext { not_after, .. } => {
                    let seconds = i64::try_from(not_after.as_secs()).unwrap_or(i64::MAX);
                    format!(" on {}", moment(seconds))
                }
                _ => String::new(),
            };
            format!(
                "its certificate expired{at}; the hub's certificate must be renewed, or this \
                 machine's clock is wrong"
            )
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!(
                "{problem}; use a name that the hub was initialised with (tidegate-hub init --name)"
            )
        }
        other => other.to_string(),
    }
}

/// A moment, given in Unix seconds.
pub(super) fn moment(seconds: i64) -> String {
    match Timestamp::from_second(seconds) {
        Ok(at) => at.to_string(),
        Err(_) => format!("{seconds} s after 1970"),
    }
}

fn told(alert: AlertDescription) -> String {
    alert_in_words(&format!("{alert:?}"))
}

/// What a TLS alert about our certificate means (RFC 8446, 6.2).
fn alert_in_words(alert: &str) -> String {
    match alert {
        "CertificateExpired" => "it has expired".to_owned(),
        "UnknownCA" => "another authority than the hub's signed it".to_owned(),
        "DecryptError" | "BadCertificate" => {
            format!("another authority than the hub's signed it, or it is damaged ({alert})")
        }
        "CertificateRevoked" => "it was revoked".to_owned(),
        "CertificateRequired" => "the hub got none".to_owned(),
        other => format!("TLS alert {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_errors_are_found_inside_io_errors() {
        let tls = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let io = io::Error::new(io::ErrorKind::InvalidData, tls);
        let error = connection(&io, "https://hub:1", "prod").unwrap();
        assert!(error.to_string().contains("not signed by"), "{error}");
        assert!(matches!(error, Error::Untrusted { .. }));
    }

    #[test]
    fn an_alert_is_understood_from_its_text_alone() {
        let io = io::Error::other("received fatal alert: CertificateExpired");
        let error = connection(&io, "https://hub:1", "prod").unwrap();
        assert!(error.to_string().contains("it has expired"), "{error}");
        assert!(matches!(error, Error::Refused { .. }));
    }

    #[test]
    fn other_failures_are_not_about_certificates() {
        let io = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert!(connection(&io, "https://hub:1", "prod").is_none());
        assert_eq!(innermost(&io), "connection refused");
    }
}
