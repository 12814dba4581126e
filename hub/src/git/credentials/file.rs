//! The file with credentials for `https://`: a list of hosts with user and password.
//!
//! Read anew for every fetch, because mounted Secrets change while the hub runs. Never shows a
//! value of it: errors name the file, the line or entry, and what was expected.

use std::{collections::BTreeMap, fs, io, os::unix::fs::PermissionsExt as _, path::Path};

use serde::Deserialize;

use super::Credential;

/// The largest file, bytes: whatever is larger is something else.
const LARGEST: u64 = 1 << 20;

/// One entry.
#[derive(Deserialize)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "an entry with host, username, and password or passwordFile"
)]
struct Entry {
    host: String,
    username: String,
    #[serde(default)]
    password: Option<String>,
    #[serde(default)]
    password_file: Option<String>,
}

/// The credentials in a file, by host. The error says what is wrong with it.
pub(in crate::git) fn read(path: &Path) -> Result<BTreeMap<String, Credential>, String> {
    let text = read_closed(path)?;
    let entries: Vec<Entry> =
        serde_yaml::from_str(&text).map_err(|error| without_values(&error.to_string()))?;
    let mut credentials = BTreeMap::new();
    for (index, entry) in entries.into_iter().enumerate() {
        let host = entry.host.to_ascii_lowercase();
        let place = format!("entry {} ({:?})", index + 1, cut(&host));
        let credential =
            credential(path, entry).map_err(|problem| format!("{place}: {problem}"))?;
        if credentials.insert(host, credential).is_some() {
            return Err(format!("{place}: this host was there before"));
        }
    }
    Ok(credentials)
}

fn credential(path: &Path, entry: Entry) -> Result<Credential, String> {
    let host = &entry.host;
    if host.is_empty() || host.contains(|c: char| c == '/' || c == '@' || c.is_whitespace()) {
        return Err("expected host or host:port, without scheme, user and path".to_owned());
    }
    let password = match (entry.password, entry.password_file) {
        (Some(password), None) => password,
        (None, Some(file)) => {
            let file = path.parent().unwrap_or(Path::new(".")).join(file);
            let text = read_closed(&file)
                .map_err(|problem| format!("passwordFile {}: {problem}", file.display()))?;
            // Editors and `echo` end a file with a line break.
            let text = text.strip_suffix('\n').unwrap_or(&text);
            text.strip_suffix('\r').unwrap_or(text).to_owned()
        }
        _ => return Err("expected either password or passwordFile".to_owned()),
    };
    if password.is_empty() {
        return Err("the password is empty".to_owned());
    }
    Ok(Credential {
        username: entry.username,
        password,
    })
}

/// Reads a file that not everybody may read. A group may: Kubernetes opens every file of a volume
/// to the pod's group (`fsGroup`).
fn read_closed(path: &Path) -> Result<String, String> {
    check_closed(path).map_err(|error| error.to_string())?;
    let size = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > LARGEST {
        return Err(format!("it is {size} bytes, at most {LARGEST} are read"));
    }
    // The error of text that is no UTF-8 repeats nothing of it.
    fs::read_to_string(path).map_err(|error| error.to_string())
}

/// Whether a file with a secret is there and closed to those whom it is nothing to.
pub(crate) fn check_closed(path: &Path) -> io::Result<()> {
    let mode = fs::metadata(path)?.permissions().mode() & 0o7777;
    if mode & 0o007 != 0 {
        return Err(io::Error::other(format!(
            "everybody may read or write it (mode {mode:04o}): chmod 640 it (for a mounted Secret, \
             set defaultMode: 0440)"
        )));
    }
    Ok(())
}

/// What the parser says, without the values that it repeats: it may have been given a password.
fn without_values(message: &str) -> String {
    match message.rsplit_once(", expected ") {
        Some((_, expected)) if !message.contains("unknown field") => {
            format!("something else is there than expected: {expected}")
        }
        _ => message.to_owned(),
    }
}

fn cut(text: &str) -> String {
    text.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use tempfile::TempDir;

    use super::*;

    struct Files(TempDir);

    impl Files {
        fn new() -> Self {
            Self(TempDir::new().unwrap())
        }

        fn write(&self, name: &str, content: &str) -> PathBuf {
            let path = self.0.path().join(name);
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
            path
        }

        fn refused(&self, content: &str) -> String {
            let error = read(&self.write("bad.yaml", content)).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
            error
        }
    }

    #[test]
    fn yaml_and_json_hold_passwords_or_name_their_files() {
        let files = Files::new();
        files.write("token", "hunter3\n");
        let yaml = "- host: Git.example.com\n  username: bot\n  password: hunter2\n\
            - {host: 'other:8443', username: x, passwordFile: token}\n";
        let json = r#"[{"host": "git.example.com", "username": "bot", "password": "hunter2"},
            {"host": "other:8443", "username": "x", "passwordFile": "token"}]"#;
        let credential = |username: &str, password: &str| Credential {
            username: username.to_owned(),
            password: password.to_owned(),
        };
        let expected = BTreeMap::from([
            ("git.example.com".to_owned(), credential("bot", "hunter2")),
            ("other:8443".to_owned(), credential("x", "hunter3")),
        ]);
        for text in [yaml, json] {
            assert!(
                read(&files.write("all", text)).unwrap() == expected,
                "{text}"
            );
        }
    }

    #[test]
    fn an_unknown_or_missing_field_is_told_with_its_line() {
        let files = Files::new();
        let unknown = "- host: a\n  username: b\n  passwd: hunter2\n";
        let error = files.refused(unknown);
        assert!(
            error.contains("unknown field `passwd`") && error.contains("line 3"),
            "{error}"
        );
        let error = files.refused("- host: a\n  password: hunter2\n");
        assert!(
            error.contains("missing field `username`") && error.contains("line 1"),
            "{error}"
        );
    }

    #[test]
    fn what_is_wrong_is_told_without_values() {
        let files = Files::new();
        for (text, says) in [
            ("hunter2", "a sequence"),
            ("{hunter2: hunter2}", "a sequence"),
            ("[hunter2]", "an entry with host"),
            ("[{host: a, username: b, password: [hunter2]}]", "a string"),
            (
                "[{host: a, username: b}]",
                "either password or passwordFile",
            ),
            (
                "[{host: a, username: b, password: hunter2, passwordFile: c}]",
                "either password or passwordFile",
            ),
            (
                "[{host: a, username: b, password: ''}]",
                "the password is empty",
            ),
            (
                "[{host: 'https://a', username: b, password: hunter2}]",
                "entry 1 (\"https://a\"): expected host",
            ),
            (
                "[{host: a, username: b, password: hunter2}, {host: A, username: b, password: hunter2}]",
                "entry 2 (\"a\"): this host was there before",
            ),
            (
                "[{host: a, username: b, passwordFile: none}]",
                "none: No such file",
            ),
        ] {
            let error = files.refused(text);
            assert!(error.contains(says), "{text}: {error}");
        }
        // What looks like a number is taken as it is written.
        let number = files.write("n", "[{host: a, username: 1, password: 0047}]");
        assert_eq!(read(&number).unwrap()["a"].password, "0047");
    }

    #[test]
    fn files_that_everybody_may_read_are_refused() {
        let files = Files::new();
        let text = "[{host: a, username: b, passwordFile: token}]";
        let (list, token) = (files.write("list", text), files.write("token", "c"));
        for open in [&list, &token] {
            fs::set_permissions(open, fs::Permissions::from_mode(0o644)).unwrap();
            let error = read(&list).unwrap_err();
            assert!(
                error.contains("mode 0644") && error.contains("chmod 640"),
                "{error}"
            );
            fs::set_permissions(open, fs::Permissions::from_mode(0o440)).unwrap();
        }
        assert_eq!(read(&list).unwrap().len(), 1);
    }
}
