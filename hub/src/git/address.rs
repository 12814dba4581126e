//! What may be fetched: the form of addresses and revisions.
//!
//! Everything in them comes from users and some of it reaches the command line of ssh, so what is
//! not known to be harmless is refused here. Never asks the network.

use std::fmt::Write as _;

use gix::url::Scheme;
use sha2::{Digest as _, Sha256};

use super::Error;

const FORMS: &str = "write https://host/path, ssh://user@host/path or user@host:path";

/// The checked address of a repository.
#[derive(Clone, Debug)]
pub(super) struct Address {
    text: String,
    url: gix::Url,
}

impl Address {
    /// Checks an address as a user wrote it.
    pub(super) fn parse(text: &str, allow_file: bool) -> Result<Self, Error> {
        let refuse = |reason| {
            Err(Error::Address {
                repo: without_user(text),
                reason,
            })
        };
        if text.is_empty() || text.len() > 2048 {
            return refuse("it is empty or longer than 2048 bytes");
        }
        if text.starts_with('-') || text.chars().any(|c| c.is_control() || c == ' ') {
            return refuse("it begins with `-` or holds blanks or control characters");
        }
        let Ok(url) = gix::url::parse(text.as_bytes()) else {
            return refuse(FORMS);
        };
        let begins_with_dash = |part: Option<&str>| part.is_some_and(|part| part.starts_with('-'));
        if begins_with_dash(url.host()) || begins_with_dash(url.user()) {
            return refuse("its user or host begins with `-`");
        }
        match url.scheme {
            Scheme::Https if url.user().is_some() || url.password().is_some() => {
                return refuse(
                    "credentials do not belong into an address, where everyone reads them; give \
                     them to the hub",
                );
            }
            Scheme::Ssh if url.password().is_some() => {
                return refuse("ssh takes a key, not a password");
            }
            Scheme::Https | Scheme::Ssh if url.host().is_none_or(str::is_empty) => {
                return refuse("it has no host");
            }
            Scheme::Ssh if url.path.starts_with(b"-") => {
                return refuse("its path begins with `-`");
            }
            Scheme::File if !text.starts_with("file:///") => {
                return refuse(FORMS);
            }
            Scheme::File if !allow_file => {
                return Err(Error::FileRefused {
                    repo: text.to_owned(),
                });
            }
            Scheme::Https | Scheme::Ssh | Scheme::File => {}
            Scheme::Http => {
                return refuse("http:// is neither secret nor authentic; use https://");
            }
            _ => return refuse(FORMS),
        }
        Ok(Self {
            text: text.to_owned(),
            url,
        })
    }

    /// The address as written; it holds no credentials.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn url(&self) -> &gix::Url {
        &self.url
    }

    /// The name of the mirror's directory.
    pub(super) fn directory(&self) -> String {
        short_hash(&self.text)
    }
}

/// The address without what stands before `@` in its authority.
fn without_user(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let authority_end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority_end);
    let host = authority.rsplit('@').next().unwrap_or(authority);
    let shown = match scheme {
        "" => format!("{host}{path}"),
        scheme => format!("{scheme}://{host}{path}"),
    };
    shown.chars().take(300).collect()
}

/// A checked revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Revision {
    /// The remote's default branch.
    Head,
    /// A full commit id, in lower case.
    Commit(String),
    /// A full reference name, `refs/…`.
    Full(String),
    /// A branch or a tag.
    Short(String),
}

impl Revision {
    /// Checks a revision as a user wrote it.
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let refuse = |reason| {
            Err(Error::Revision {
                revision: text.chars().take(200).collect(),
                reason,
            })
        };
        if text == "HEAD" {
            return Ok(Self::Head);
        }
        if text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(Self::Commit(text.to_ascii_lowercase()));
        }
        if text.is_empty() || text.len() > 255 {
            return refuse("it is empty or longer than 255 bytes");
        }
        let full = if text.starts_with("refs/") {
            text.to_owned()
        } else {
            format!("refs/heads/{text}")
        };
        // `@`, `a..b`, `a~1`, `a:b`, blanks, a leading `-`: Git's own rules for names exclude them.
        if text.starts_with('-') || gix::validate::reference::name(full.as_str().into()).is_err() {
            return refuse(
                "it is not the name of a branch or tag, nor a commit id of 40 digits; expressions \
                 such as HEAD~1 are not read",
            );
        }
        Ok(if text.starts_with("refs/") {
            Self::Full(full)
        } else {
            Self::Short(text.to_owned())
        })
    }

    /// As the user wrote it.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Head => "HEAD",
            Self::Commit(text) | Self::Full(text) | Self::Short(text) => text,
        }
    }

    /// The remote names that it can mean.
    pub(super) fn remote_names(&self) -> Vec<String> {
        match self {
            Self::Short(name) => vec![format!("refs/heads/{name}"), format!("refs/tags/{name}")],
            other => vec![other.text().to_owned()],
        }
    }
}

/// A flat local name for a remote reference: names such as `a` and `a/b`, which cannot be in one
/// repository at a time, can be in a mirror one after the other.
pub(super) fn local_name(remote: &str) -> String {
    format!("refs/tidegate/{}", short_hash(remote))
}

fn short_hash(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(16).fold(String::new(), |mut out, byte| {
        // Writing to a string does not fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Address::parse(text, true).unwrap_err().to_string()
    }

    #[test]
    fn the_addresses_of_users_are_taken() {
        for good in [
            "https://github.com/org/repo.git",
            "https://git.example.com:8443/a/b/c",
            "ssh://git@github.com/org/repo.git",
            "ssh://git@host:2222/~user/repo",
            "git@github.com:org/repo.git",
            "file:///srv/git/repo.git",
        ] {
            let address = Address::parse(good, true).unwrap();
            assert_eq!(address.text(), good);
        }
    }

    #[test]
    fn what_could_do_harm_is_refused() {
        for bad in [
            "",
            "-oProxyCommand=touch /tmp/x",
            "--upload-pack=x",
            "ext::sh -c touch%20x",
            "ext::sh",
            "fd::17",
            "git://host/repo",
            "http://host/repo",
            "ftp://host/repo",
            "/srv/git/repo.git",
            "../repo",
            "file://host/repo",
            "https:///repo",
            "https://user:secret@host/repo",
            "https://ghp_token@host/repo",
            "ssh://user:secret@host/repo",
            "ssh://-oProxyCommand=x/repo",
            "ssh://-x@host/repo",
            "-x@host:repo",
            "git@host:-x",
            "https://host/re po",
            "https://host/repo\n",
            "https://host/\u{7}",
            &format!("https://host/{}", "a".repeat(2048)),
        ] {
            assert!(Address::parse(bad, true).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn file_needs_the_flag() {
        let error = Address::parse("file:///srv/repo", false).unwrap_err();
        assert!(matches!(error, Error::FileRefused { .. }), "{error:?}");
        assert!(error.to_string().contains("--allow-file-sources"));
    }

    #[test]
    fn a_refusal_does_not_repeat_a_secret() {
        for text in [
            "https://user:secret@host/repo",
            "https://secret@host/repo",
            "ssh://user:secret@host/repo",
            "ftp://a:secret@host",
        ] {
            let message = refused(text);
            assert!(
                !message.contains("secret") && message.contains("host"),
                "{message}"
            );
        }
    }

    #[test]
    fn revisions_are_names_or_full_commits() {
        let commit = "0123456789ABCDEF0123456789abcdef01234567";
        assert_eq!(Revision::parse("HEAD").unwrap(), Revision::Head);
        assert_eq!(
            Revision::parse(commit).unwrap(),
            Revision::Commit(commit.to_lowercase())
        );
        for good in ["main", "release/1.2", "v1.0.0", "a-b", "0123456", "dépôt"] {
            assert_eq!(
                Revision::parse(good).unwrap(),
                Revision::Short(good.to_owned())
            );
        }
        assert!(matches!(
            Revision::parse("refs/tags/v1").unwrap(),
            Revision::Full(_)
        ));
        for bad in [
            "",
            "-x",
            "--upload-pack=x",
            "HEAD~1",
            "main^",
            "a..b",
            "a:b",
            "a b",
            "a\n",
            "*",
            "refs/heads/*",
            "@{u}",
            "a.lock",
            "/a",
            "a//b",
            "refs/",
            &"a".repeat(256),
        ] {
            assert!(Revision::parse(bad).is_err(), "{bad:?}");
        }
    }
}
