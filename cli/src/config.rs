//! The configuration file: which hubs there are, and who the user is to each.
//!
//! Owns its form, where it is looked for, and reading and writing it. Private keys are in it, so it
//! is written for its owner alone and never printed. `tidegate-hub init` writes the same form.

pub mod edit;

use std::{
    fmt, fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// What `apiVersion` must say.
pub const API_VERSION: &str = "tidegate.dev/v1alpha1";
/// What `kind` must say.
pub const KIND: &str = "Config";

/// The whole file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// Always [`API_VERSION`].
    pub api_version: String,
    /// Always [`KIND`].
    pub kind: String,
    /// Name of the context that is used when none is named.
    #[serde(default)]
    pub current_context: String,
    /// The hubs the user knows.
    pub contexts: Vec<Context>,
}

/// One hub and who the user is to it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Context {
    /// Its name in this file.
    pub name: String,
    /// Where it answers: `https://host:port`.
    pub server: String,
    /// Certificates that sign the hub's, PEM.
    pub ca_data: String,
    /// The user's certificate chain, PEM.
    pub certificate_data: String,
    /// The user's private key, PEM.
    pub key_data: String,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("name", &self.name)
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

/// Why there is no usable configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither a flag nor the environment says where the file is.
    #[error(
        "failed to find the configuration: neither XDG_CONFIG_HOME nor HOME is set; \
         name the file with --config"
    )]
    NoHome,
    /// There is no file.
    #[error(
        "failed to find the configuration file {path}: `tidegate-hub init --admin-config {path}` \
         writes one for the first administrator, who makes others with `tidegate user create`; \
         --config or TIDEGATE_CONFIG names another place"
    )]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("failed to read the configuration file {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("failed to write the configuration file {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not what it should be.
    #[error("failed to understand the configuration file {path}: {problem}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        problem: String,
    },
    /// Another program holds the file.
    #[error(
        "failed to change the configuration file {path}: another command has been changing it for \
         10 s and holds {lock}; end it or try again"
    )]
    Locked {
        /// The file.
        path: PathBuf,
        /// What is held.
        lock: PathBuf,
    },
    /// There is one of that name already.
    #[error("failed to add to {path}: it has a context {names} already; {hint}")]
    Taken {
        /// The names.
        names: String,
        /// The file.
        path: PathBuf,
        /// What to do.
        hint: &'static str,
    },
    /// Nobody could write it on a command line.
    #[error("failed to use {name:?} as the name of a context: write letters, digits, - and .")]
    Name {
        /// What was written.
        name: String,
    },
    /// No context is current.
    #[error(
        "failed to choose a context: {path} has no currentContext; `tidegate config use-context \
         NAME` sets it, --context names one for once; there are {known}"
    )]
    NoCurrent {
        /// The file.
        path: PathBuf,
        /// The names there are.
        known: String,
    },
    /// No context of that name.
    #[error(
        "failed to find context {name:?} in {path}: it has {known}; choose with --context, or \
         `tidegate config use-context`"
    )]
    UnknownContext {
        /// The name asked for.
        name: String,
        /// The file.
        path: PathBuf,
        /// The names there are.
        known: String,
    },
}

impl Config {
    /// A configuration of one context, which is the current one.
    pub fn single(context: Context) -> Self {
        Self {
            api_version: API_VERSION.to_owned(),
            kind: KIND.to_owned(),
            current_context: context.name.clone(),
            contexts: vec![context],
        }
    }

    /// Reads the file.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => Error::Missing {
                path: path.to_owned(),
            },
            _ => Error::Read {
                path: path.to_owned(),
                source,
            },
        })?;
        let invalid = |problem: String| Error::Invalid {
            path: path.to_owned(),
            problem,
        };
        let config: Self = serde_yaml::from_str(&text).map_err(|error| {
            let message = error.to_string();
            // A reader that quotes what it found must not quote a key onto a screen.
            let secret = message.contains("-----BEGIN");
            invalid(if secret {
                "a PEM text stands where it should not".to_owned()
            } else {
                message
            })
        })?;
        if config.api_version != API_VERSION || config.kind != KIND {
            return Err(invalid(format!(
                "it says apiVersion {:?}, kind {:?}; expected {API_VERSION:?}, {KIND:?}",
                config.api_version, config.kind
            )));
        }
        Ok(config)
    }

    /// The context of that name, or the current one when none is named. `path` is for the error.
    pub fn context(&self, name: Option<&str>, path: &Path) -> Result<&Context, Error> {
        let name = name.unwrap_or(&self.current_context);
        self.contexts
            .iter()
            .find(|context| context.name == name)
            .ok_or_else(|| {
                let names: Vec<_> = self
                    .contexts
                    .iter()
                    .map(|context| context.name.as_str())
                    .collect();
                let known = match names.as_slice() {
                    [] => "none".to_owned(),
                    names => names.join(", "),
                };
                let path = path.to_owned();
                match name {
                    "" => Error::NoCurrent { path, known },
                    name => Error::UnknownContext {
                        name: name.to_owned(),
                        path,
                        known,
                    },
                }
            })
    }

    /// The file's text.
    pub fn to_yaml(&self, path: &Path) -> Result<String, Error> {
        serde_yaml::to_string(self).map_err(|error| Error::Invalid {
            path: path.to_owned(),
            problem: error.to_string(),
        })
    }
}

/// A file that was made, empty and for its owner alone, before there is anything to write: making
/// it may fail, and must do so before a certificate is asked for that could then not be kept.
#[derive(Debug)]
pub struct Reserved {
    path: PathBuf,
    file: fs::File,
    filled: bool,
}

impl Reserved {
    /// Makes the file; refuses to touch one that exists.
    pub fn make(path: &Path) -> Result<Self, Error> {
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path).map_err(|source| Error::Write {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            path: path.to_owned(),
            file,
            filled: false,
        })
    }

    /// Writes the configuration and makes it durable.
    pub fn fill(mut self, config: &Config) -> Result<(), Error> {
        let text = config.to_yaml(&self.path)?;
        self.file
            .write_all(text.as_bytes())
            .and_then(|()| self.file.sync_all())
            .map_err(|source| Error::Write {
                path: self.path.clone(),
                source,
            })?;
        self.filled = true;
        Ok(())
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if !self.filled {
            // Best effort: an empty file left behind only makes the next attempt refuse.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Where the file is: as an option says, or the environment.
pub fn path(option: Option<&Path>) -> Result<PathBuf, Error> {
    match option {
        Some(path) => Ok(path.to_owned()),
        None => default_path(|name| std::env::var_os(name).map(Into::into)),
    }
}

/// Where the file is when nobody says: `$XDG_CONFIG_HOME/tidegate/config.yaml`, else
/// `$HOME/.config/tidegate/config.yaml`. `variable` reads the environment.
pub fn default_path(variable: impl Fn(&str) -> Option<PathBuf>) -> Result<PathBuf, Error> {
    // The XDG base directory specification has relative paths ignored.
    let home = variable("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
    let home = home.or_else(|| {
        variable("HOME")
            .filter(|path| path.is_absolute())
            .map(|path| path.join(".config"))
    });
    Ok(home
        .ok_or(Error::NoHome)?
        .join("tidegate")
        .join("config.yaml"))
}

/// Whether somebody else than the owner may read the file.
pub fn is_exposed(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::metadata(path).is_ok_and(|data| data.permissions().mode() & 0o077 != 0)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(name: &str) -> Context {
        Context {
            name: name.to_owned(),
            server: "https://hub.example:8443".to_owned(),
            ca_data: "-----BEGIN CERTIFICATE-----\nca\n-----END CERTIFICATE-----\n".to_owned(),
            certificate_data: "cert\n".to_owned(),
            key_data: "-----BEGIN PRIVATE KEY-----\nhush\n-----END PRIVATE KEY-----\n".to_owned(),
        }
    }

    #[test]
    fn what_is_written_reads_back_and_belongs_to_its_owner() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.yaml");
        let config = Config::single(context("prod"));
        Reserved::make(&path).unwrap().fill(&config).unwrap();
        assert_eq!(Config::load(&path).unwrap(), config);
        assert!(!is_exposed(&path));
        let again = Reserved::make(&path).unwrap_err().to_string();
        assert!(again.contains("config.yaml"), "{again}");
        assert_eq!(
            Config::load(&path).unwrap(),
            config,
            "the refusal touched the file"
        );
    }

    #[test]
    fn a_reserved_file_that_is_not_filled_goes_away() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.yaml");
        drop(Reserved::make(&path).unwrap());
        assert!(!path.exists());
    }

    #[test]
    fn the_form_is_the_documented_one() {
        let yaml = Config::single(context("prod"))
            .to_yaml(Path::new("x"))
            .unwrap();
        for key in [
            "apiVersion: tidegate.dev/v1alpha1",
            "kind: Config",
            "currentContext: prod",
            "contexts:",
        ] {
            assert!(yaml.contains(key), "{key} is not in {yaml}");
        }
        for key in [
            "name:",
            "server:",
            "caData:",
            "certificateData:",
            "keyData:",
        ] {
            assert!(yaml.contains(key), "{key} is not in {yaml}");
        }
    }

    #[test]
    fn the_default_place_follows_xdg() {
        let with = |xdg: Option<&str>, home: Option<&str>| {
            default_path(|name| match name {
                "XDG_CONFIG_HOME" => xdg.map(PathBuf::from),
                _ => home.map(PathBuf::from),
            })
        };
        let path = |text: &str| PathBuf::from(text);
        assert_eq!(
            with(Some("/x"), Some("/h")).unwrap(),
            path("/x/tidegate/config.yaml")
        );
        assert_eq!(
            with(Some("x"), Some("/h")).unwrap(),
            path("/h/.config/tidegate/config.yaml")
        );
        assert_eq!(
            with(None, Some("/h")).unwrap(),
            path("/h/.config/tidegate/config.yaml")
        );
        assert!(matches!(with(None, None), Err(Error::NoHome)));
    }

    #[test]
    fn errors_and_debug_never_show_a_key() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.yaml");
        let key = context("x").key_data;
        let text = format!("apiVersion: a\nkind: b\ncontexts: {key:?}\n");
        fs::write(&path, text).unwrap();
        let error = Config::load(&path).unwrap_err().to_string();
        assert!(!error.contains("hush"), "{error}");
        assert!(!format!("{:?}", context("x")).contains("hush"));
    }

    #[test]
    fn a_wrong_field_and_a_wrong_kind_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.yaml");
        fs::write(
            &path,
            "apiVersion: tidegate.dev/v1alpha1\nkind: Config\ncontext: []\n",
        )
        .unwrap();
        let error = Config::load(&path).unwrap_err().to_string();
        assert!(
            error.contains("context") && error.contains("line"),
            "{error}"
        );
        fs::write(&path, "apiVersion: v1\nkind: Config\ncontexts: []\n").unwrap();
        let error = Config::load(&path).unwrap_err().to_string();
        assert!(
            error.contains("\"v1\"") && error.contains(API_VERSION),
            "{error}"
        );
    }
}
